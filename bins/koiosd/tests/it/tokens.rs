//! The admin token, roles and permissions.

use std::fs;

use serde_json::{Value, json};

use crate::{
    clock::{Clock, DAY},
    daemon::{ADMIN, Daemon, Setup, contents_below},
    http::Answer,
};

/// Makes a token of that role; answers it and its id.
#[track_caller]
pub(crate) fn made(daemon: &Daemon, role: &str) -> (String, String) {
    let body = daemon.post("tokens", &json!({ "name": role, "role": role })).expect(201);
    let text = |field: &str| body[field].as_str().expect("text").to_owned();
    (text("token"), text("id"))
}

#[track_caller]
fn status(daemon: &Daemon, token: &str) -> u16 {
    daemon.call("GET", "certificates").token(token).send().status
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().expect("a list").iter().map(|token| token["name"].as_str().unwrap()).collect()
}

#[test]
fn the_first_start_makes_one_admin_token_and_tells_a_log_only_where_it_is() {
    let setup = Setup::empty().without_environment("KOIOS_BOOTSTRAP_TOKEN");
    let daemon = setup.start();
    let path = setup.data_dir().join("initial-admin-token");
    let token = fs::read_to_string(&path).unwrap();
    let token = token.trim();
    assert!(token.len() >= 32);
    assert_eq!(daemon.call("GET", "certificates").token(token).send().status, 200);
    assert!(daemon.log().contains(path.to_str().unwrap()), "{}", daemon.log());
    assert!(!daemon.log().contains(token));
    daemon.stop();
    let daemon = setup.start();
    assert_eq!(fs::read_to_string(&path).unwrap().trim(), token);
    assert_eq!(daemon.call("GET", "certificates").token(token).send().status, 200);
}

#[test]
fn a_chosen_token_is_set_at_the_first_start_only() {
    let setup = Setup::empty();
    setup.start().stop();
    let other = "another-token-0123456789abcdef0123456789";
    let daemon = setup.with_environment("KOIOS_BOOTSTRAP_TOKEN", other).start();
    assert_eq!(daemon.call("GET", "certificates").token(other).send().status, 401);
    assert_eq!(daemon.get("certificates").status, 200);
    assert!(!daemon.log().contains(other));
}

#[test]
fn a_chosen_token_that_is_too_short_ends_with_exit_code_2_and_the_next_start_is_still_the_first() {
    let setup = Setup::empty();
    let output = setup.clone().with_environment("KOIOS_BOOTSTRAP_TOKEN", "too-short").run();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("KOIOS_BOOTSTRAP_TOKEN") && !stderr.contains("too-short"), "{stderr}");
    assert_eq!(setup.start().get("certificates").status, 200);
}

#[test]
fn without_a_valid_token_nothing_but_the_public_pages_answers() {
    let setup = Setup::empty();
    setup.start().stop();
    setup.add_tokens();
    let daemon = setup.start();
    for path in [
        "certificates",
        "certificates/00000000-0000-7000-8000-000000000000",
        "nowhere",
        "certificates/generate",
    ] {
        let answer = daemon.call("GET", path).without_token().send();
        answer.expect_problem(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"koios\""));
    }
    for authorization in
        ["Bearer", "Bearer ", "Basic YWRtaW46YWRtaW4=", "Bearer wrong", "Bearer expired", ADMIN]
    {
        let answer =
            daemon.call("GET", "certificates").without_token().header("Authorization", authorization).send();
        answer.expect_problem(401, "unauthenticated");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer realm=\"koios\""));
    }
    assert_eq!(
        daemon
            .call("GET", "certificates")
            .without_token()
            .header("Authorization", format!("bearer {ADMIN}"))
            .send()
            .status,
        200
    );
    for path in ["/healthz", "/readyz", "/api/v1/openapi.json", "/docs/", "/docs/swagger-ui.css"] {
        let answer = daemon.call("GET", path).without_token().send();
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(daemon.call("GET", "/readyz").without_token().send().json(), json!({ "status": "ok" }));
}

#[test]
fn roles_and_the_permission_to_take_keys_out_are_separate() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let certificate = daemon.generate("A");
    daemon.stop();
    setup.add_tokens();
    let daemon = setup.start();
    let id = certificate["id"].as_str().unwrap();
    let call = |token: &str, method: &str, path: &str| {
        let path = path.replace("{id}", id);
        daemon.call(method, &path).token(token).json(&json!({})).send().status
    };
    for path in [
        "certificates",
        "certificates/{id}",
        "certificates/{id}/devices",
        "certificates/{id}/certificate.der",
    ] {
        assert_eq!(call("viewer", "GET", path), 200, "{path}");
    }
    for (method, path) in [
        ("POST", "certificates/generate"),
        ("POST", "certificates/upload"),
        ("POST", "certificates/{id}/regenerate"),
        ("POST", "certificates/{id}/replace"),
        ("PATCH", "certificates/{id}"),
        ("DELETE", "certificates/{id}"),
        ("PUT", "certificates/default"),
        ("PUT", "certificates/{id}/devices"),
    ] {
        assert_eq!(call("viewer", method, path), 403, "{method} {path}");
        assert_ne!(call("operator", method, &format!("{path}?dry_run=maybe")), 403, "{method} {path}");
    }
    for token in ["viewer", "operator", "admin"] {
        let answer = daemon.call("GET", &format!("certificates/{id}/private-key.pem")).token(token).send();
        answer.expect_problem(403, "forbidden");
    }
    assert_eq!(daemon.get(&format!("certificates/{id}/private-key.pem")).status, 200);
    assert_eq!(daemon.get("certificates").expect(200)["items"][0]["revision"], certificate["revision"]);
}

#[test]
fn a_token_is_shown_by_the_answer_that_made_it_and_never_again() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let body = json!({
        "name": " CI pipeline ", "role": "operator", "permissions": ["download_private_key", "download_private_key"],
        "expires_at": "2999-01-01T01:00:00.5+01:00"
    });
    let answer = daemon.call("POST", "tokens").header("Idempotency-Key", "k").json(&body).send();
    assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")));
    let token = answer.json();
    let secret = token["token"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("koios_") && secret.len() == 49, "{secret}");
    assert_eq!(answer.text().matches(&secret).count(), 1);
    let shown = json!({
        "id": token["id"], "name": "CI pipeline", "role": "operator", "permissions": ["download_private_key"],
        "created_at": token["created_at"], "expires_at": "2999-01-01T00:00:00.5Z", "last_used_at": null
    });
    let mut without = token.clone();
    without.as_object_mut().unwrap().remove("token");
    assert_eq!(without, shown);
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(location, format!("/api/v1/tokens/{}", token["id"].as_str().unwrap()));
    assert_eq!(daemon.call("GET", &location).send().expect(200), shown);

    // The same again makes another one: nothing is kept that could show it.
    let again = daemon.call("POST", "tokens").header("Idempotency-Key", "k").json(&body).send().expect(201);
    assert_ne!(again["token"], token["token"]);
    assert_ne!(again["id"], token["id"]);

    assert_eq!(status(&daemon, &secret), 200);
    let answers: Vec<Answer> = ["tokens", &location, "audit", "system", "/metrics"]
        .into_iter()
        .map(|path| daemon.get(path))
        .collect();
    for answer in &answers {
        assert!(answer.status == 200 && !answer.text().contains(&secret), "{}", answer.text());
    }
    daemon.signal("STOP");
    let on_disk = contents_below(&setup.data_dir());
    daemon.signal("CONT");
    assert!(on_disk.iter().any(|(path, _)| path.ends_with("koios.db-wal")));
    for (path, bytes) in on_disk.into_iter().chain([(setup.folder().join("log"), daemon.log().into_bytes())])
    {
        let holds = |text: &str| memchr::memmem::find(&bytes, text.as_bytes()).is_some();
        assert!(!holds(&secret), "{}", path.display());
        assert_eq!(holds(ADMIN), path.ends_with("initial-admin-token"), "{}", path.display());
    }
}

#[test]
fn a_token_grants_only_what_its_creator_holds_and_no_longer() {
    let daemon = Setup::empty().start();
    let (admin, _) = made(&daemon, "admin");
    let create = |token: &str, body: Value| daemon.call("POST", "tokens").token(token).json(&body).send();
    let with_keys = json!({ "name": "a", "role": "viewer", "permissions": ["download_private_key"] });
    let problem = create(&admin, with_keys.clone()).expect_problem(403, "forbidden");
    assert_eq!(problem["errors"][0]["field"], "permissions", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("only what its creator holds"), "{problem}");
    create(ADMIN, with_keys).expect(201);

    let until = json!({ "name": "contractor", "role": "admin", "expires_at": "2998-01-01T00:00:00Z" });
    let contractor = create(ADMIN, until).expect(201)["token"].as_str().unwrap().to_owned();
    for end in [json!(null), json!("2998-01-01T00:00:01Z")] {
        let body = json!({ "name": "a", "role": "viewer", "expires_at": end });
        let problem = create(&contractor, body).expect_problem(403, "forbidden");
        assert_eq!(problem["errors"][0]["field"], "expires_at", "{problem}");
    }
    let same = create(&contractor, json!({ "name": "a", "role": "viewer" })).expect(201);
    assert_eq!(same["expires_at"], "2998-01-01T00:00:00Z");
    let earlier = json!({ "name": "a", "role": "viewer", "expires_at": "2997-01-01T00:00:00Z" });
    assert_eq!(create(&contractor, earlier).expect(201)["expires_at"], "2997-01-01T00:00:00Z");
    assert_eq!(
        create(ADMIN, json!({ "name": "a", "role": "viewer" })).expect(201)["expires_at"],
        Value::Null
    );
}

#[test]
fn what_does_not_fit_makes_no_token() {
    let daemon = Setup::empty().start();
    for (body, field) in [
        (json!({ "role": "viewer" }), "name"),
        (json!({ "name": "a" }), "role"),
        (json!({ "name": "", "role": "viewer" }), "name"),
        (json!({ "name": "a\u{0}b", "role": "viewer" }), "name"),
        (json!({ "name": "a\nb", "role": "viewer" }), "name"),
        (json!({ "name": "x".repeat(129), "role": "viewer" }), "name"),
        (json!({ "name": "Koiosd import", "role": "viewer" }), "name"),
        (json!({ "name": "a", "role": "root" }), "role"),
        (json!({ "name": "a", "role": null }), "role"),
        (json!({ "name": "a", "role": "viewer", "permissions": ["everything"] }), "permissions"),
        (json!({ "name": "a", "role": "viewer", "permissions": null }), "permissions"),
        (json!({ "name": "a", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z" }), "expires_at"),
        (json!({ "name": "a", "role": "viewer", "expires_at": "tomorrow" }), "expires_at"),
        (json!({ "name": "a", "role": "viewer", "expires_at": 5 }), "expires_at"),
        (json!({ "name": "a", "role": "viewer", "token": "chosen" }), "token"),
    ] {
        let problem = daemon.post("tokens", &body).expect_problem(422, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    assert_eq!(daemon.get("tokens").expect(200)["total"], 1);
    for id in ["00000000-0000-7000-8000-000000000000", "1", "initial-admin"] {
        daemon.delete(&format!("tokens/{id}")).expect_problem(404, "not_found");
        daemon.get(&format!("tokens/{id}")).expect_problem(404, "not_found");
    }
    daemon.get("tokens?sort=role").expect_problem(422, "invalid_field");
    daemon.get("tokens?cursor=x").expect_problem(422, "invalid_field");
    daemon.get("tokens?limit=501").expect_problem(422, "invalid_field");
    daemon.call("PUT", "tokens").send().expect_problem(405, "method_not_allowed");
}

#[test]
fn tokens_are_listed_in_pages_with_their_last_use() {
    let setup = Setup::empty();
    let daemon = setup.start();
    for name in ["Belt", "anvil"] {
        daemon.post("tokens", &json!({ "name": name, "role": "viewer" })).expect(201);
    }
    let used = daemon.post("tokens", &json!({ "name": "Crane", "role": "viewer" })).expect(201);
    let secret = used["token"].as_str().unwrap();
    let list = |query: &str| daemon.get(&format!("tokens?{query}")).expect(200);
    assert_eq!(names(&list("")), ["initial admin", "Belt", "anvil", "Crane"]);
    assert_eq!(names(&list("sort=name")), ["anvil", "Belt", "Crane", "initial admin"]);
    let first = list("sort=-created_at&limit=3");
    assert_eq!((names(&first), &first["total"]), (vec!["Crane", "anvil", "Belt"], &json!(4)));
    let rest = list(&format!("sort=-created_at&cursor={}", first["next_cursor"].as_str().unwrap()));
    assert_eq!((names(&rest), &rest["next_cursor"]), (vec!["initial admin"], &Value::Null));

    assert_eq!(first["items"][0]["last_used_at"], Value::Null);
    assert_eq!(status(&daemon, secret), 200);
    let at = list("sort=-created_at")["items"][0]["last_used_at"].clone();
    assert!(at.as_str() >= used["created_at"].as_str() && at.as_str().unwrap().ends_with('Z'), "{at}");
    daemon.stop();
    let daemon = setup.start();
    let listed = daemon.get("tokens?sort=-created_at").expect(200);
    let instant = |value: &Value| {
        let text = value.as_str().expect("an instant");
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap()
    };
    // It is kept to the microsecond.
    let difference = instant(&at) - instant(&listed["items"][0]["last_used_at"]);
    assert!(difference.abs() < time::Duration::MILLISECOND, "{listed}");
}

#[test]
fn a_revoked_token_is_refused_from_the_next_request_on() {
    let daemon = Setup::empty().start();
    let (operator, id) = made(&daemon, "operator");
    let (admin, admin_id) = made(&daemon, "admin");
    assert_eq!(status(&daemon, &operator), 200);
    assert_eq!(daemon.delete(&format!("tokens/{id}")).status, 204);
    daemon.call("GET", "certificates").token(&operator).send().expect_problem(401, "unauthenticated");
    daemon.delete(&format!("tokens/{id}")).expect_problem(404, "not_found");
    // An admin may go by itself.
    assert_eq!(daemon.call("DELETE", &format!("tokens/{admin_id}")).token(&admin).send().status, 204);
    assert_eq!(status(&daemon, &admin), 401);
    let audit = daemon.get(&format!("audit?resource_id={id}")).expect(200);
    let entries = audit["items"].as_array().unwrap();
    let value = json!({ "role": "operator", "permissions": [], "expires_at": null });
    let told = |entry: &Value| {
        let [action, actor, address, name] =
            [&entry["action"], &entry["actor"], &entry["address"], &entry["resource"]["name"]]
                .map(Value::clone);
        [action, actor, address, name, entry["before"].clone(), entry["after"].clone()]
    };
    assert_eq!(
        told(&entries[0]),
        [
            json!("token.revoked"),
            json!("initial admin"),
            json!("127.0.0.1"),
            json!("operator"),
            value.clone(),
            json!(null)
        ]
    );
    assert_eq!(
        told(&entries[1]),
        [
            json!("token.created"),
            json!("initial admin"),
            json!("127.0.0.1"),
            json!("operator"),
            json!(null),
            value
        ]
    );
}

#[test]
fn the_last_admin_token_stays_and_the_initial_one_takes_its_file_along() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let file = setup.data_dir().join("initial-admin-token");
    let initial = daemon.get("tokens").expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    made(&daemon, "operator");
    let problem = daemon.delete(&format!("tokens/{initial}")).expect_problem(409, "last_admin_token");
    assert!(problem["detail"].as_str().unwrap().contains("Create another admin token"), "{problem}");
    assert_eq!(daemon.get("tokens").status, 200);
    assert!(file.exists());
    let (second, second_id) = made(&daemon, "admin");
    assert_eq!(daemon.call("DELETE", &format!("tokens/{initial}")).token(&second).send().status, 204);
    assert!(!file.exists());
    assert_eq!(status(&daemon, ADMIN), 401);
    let refused = daemon.call("DELETE", &format!("tokens/{second_id}")).token(&second).send();
    refused.expect_problem(409, "last_admin_token");
    daemon.stop();
    // As if the daemon had been killed after the commit.
    fs::write(&file, format!("{ADMIN}\n")).unwrap();
    let daemon = setup.start();
    assert!(!file.exists());
    assert_eq!((status(&daemon, ADMIN), status(&daemon, &second)), (401, 200));
}

#[test]
fn a_token_ends_when_its_time_is_over() {
    let Some((setup, clock)) = Clock::before(Setup::empty()) else { return };
    let daemon = setup.start();
    let tomorrow = time::OffsetDateTime::now_utc() + time::Duration::DAY;
    let tomorrow = tomorrow.format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = json!({ "name": "a day", "role": "admin", "expires_at": tomorrow });
    let body = daemon.post("tokens", &body).expect(201);
    let token = body["token"].as_str().unwrap();
    assert_eq!(status(&daemon, token), 200);
    clock.set(2 * DAY);
    daemon.call("GET", "certificates").token(token).send().expect_problem(401, "unauthenticated");
    // It is listed still, and no admin to rely on.
    let listed = daemon.get("tokens").expect(200);
    assert_eq!(names(&listed), ["initial admin", "a day"]);
    let initial = format!("tokens/{}", listed["items"][0]["id"].as_str().unwrap());
    daemon.delete(&initial).expect_problem(409, "last_admin_token");
    clock.set(0);
    assert_eq!(status(&daemon, token), 200);
}
