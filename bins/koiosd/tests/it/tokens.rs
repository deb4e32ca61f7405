//! The admin token, roles and permissions.

use std::fs;

use serde_json::json;

use crate::daemon::{ADMIN, Setup};

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
