//! What holds for every route: problems, revisions, queries, idempotency, CORS.

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    http::raw,
};

const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

#[test]
fn unknown_routes_and_ids_that_are_no_ids_are_404_and_other_methods_405_with_allow() {
    let daemon = Setup::empty().start();
    let braced = format!("%7B{UNKNOWN}%7D");
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "nowhere",
        "certificates/",
        "certificates/1",
        "certificates/..%2f..%2fkoios.db",
        "certificates/%ff",
        "certificates/%00",
        UNKNOWN,
        &format!("certificates/{UNKNOWN}"),
        &format!("certificates/{UNKNOWN}/devices"),
        &format!("certificates/{UNKNOWN}/certificate.der"),
        &format!("certificates/{UNKNOWN}/private-key.pem"),
        &format!("certificates/{braced}"),
        &format!("certificates/{UNKNOWN}/nothing"),
        &format!("certificates/urn:uuid:{UNKNOWN}"),
        &format!("certificates/{}", UNKNOWN.replace('-', "")),
    ] {
        daemon.get(path).expect_problem(404, "not_found");
    }
    for (method, path, allow) in [
        ("POST", "certificates", "GET, HEAD"),
        ("GET", "certificates/generate", "POST"),
        ("GET", "certificates/default", "PUT"),
        ("POST", &format!("certificates/{UNKNOWN}"), "GET, HEAD, PATCH, DELETE"),
        ("BREW", "certificates/upload", "POST"),
        ("OPTIONS", "certificates/upload", "POST"),
        ("DELETE", "/healthz", "GET, HEAD"),
    ] {
        let answer = daemon.call(method, path).send();
        answer.expect_problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    let head = daemon.call("HEAD", "certificates").send();
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn every_answer_has_its_own_request_id_which_the_log_knows() {
    let daemon = Setup::empty().start();
    let (a, b) = (daemon.get("/healthz"), daemon.get("certificates?page=1"));
    let (a, b) = (a.header("x-request-id").unwrap(), b.header("x-request-id").unwrap());
    assert_ne!(a, b);
    assert!(daemon.log().contains(a) && daemon.log().contains(b), "{}", daemon.log());
}

#[test]
fn query_parameters_are_neither_ignored_nor_clamped() {
    let daemon = Setup::empty().start();
    let id = daemon.generate("A")["id"].as_str().unwrap().to_owned();
    for path in [
        "certificates?limit=0",
        "certificates?limit=501",
        "certificates?limit=-1",
        "certificates?limit=ten",
        "certificates?limit=",
        "certificates?limit=1&limit=2",
        "certificates?page=2",
        "certificates?q=%ff",
        "certificates?status=fine",
        "certificates?status=valid&status=fine",
        "certificates?sort=colour",
        "certificates?sort=--name",
        "certificates?cursor=zz",
        "certificates?cursor=",
        "certificates?dry_run=true",
        &format!("certificates/{id}?verbose=true"),
        &format!("certificates/{id}/devices?q=x"),
        &format!("certificates/{id}/certificate.der?passphrase=x"),
    ] {
        let problem = daemon.get(path).expect_problem(422, "invalid_field");
        assert!(!problem["errors"].as_array().unwrap().is_empty(), "{path}");
    }
    daemon
        .call("DELETE", &format!("certificates/{id}?dry_run=yes"))
        .send()
        .expect_problem(422, "invalid_field");
    assert_eq!(
        daemon.get("certificates?limit=500&q=&sort=-not_after&status=valid&status=expired").expect(200)["total"],
        1
    );
    let both = daemon.get("certificates?limit=0&page=2").expect_problem(422, "invalid_field");
    assert_eq!(both["errors"].as_array().unwrap().len(), 2);
}

#[test]
fn a_write_with_a_revision_that_does_not_fit_is_412_and_one_without_is_applied() {
    let daemon = Setup::empty().start();
    let certificate = daemon.generate("A");
    let path = format!("certificates/{}", certificate["id"].as_str().unwrap());
    let answer = daemon.get(&path);
    let tag = answer.header("etag").unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", answer.json()["revision"]));

    let patch = |tag: Option<&str>, name: &str| {
        let call = daemon.call("PATCH", &path).json(&json!({ "name": name }));
        match tag {
            Some(tag) => call.header("If-Match", tag).send(),
            None => call.send(),
        }
    };
    let changed = patch(Some(&tag), "B");
    assert_eq!(changed.status, 200, "{}", changed.text());
    let new_tag = changed.header("etag").unwrap().to_owned();
    assert_ne!(new_tag, tag);
    for stale in [&*tag, "\"99\"", "W/\"2\"", "nonsense"] {
        patch(Some(stale), "C").expect_problem(412, "revision_mismatch");
    }
    for (method, path, body) in [
        ("DELETE", path.clone(), Value::Null),
        ("POST", format!("{path}/regenerate"), json!({})),
        ("POST", format!("{path}/regenerate?dry_run=true"), json!({})),
        ("PUT", format!("{path}/devices"), json!({ "assign": [] })),
        ("PUT", "certificates/default".to_owned(), json!({ "id": certificate["id"] })),
    ] {
        let answer = daemon.call(method, &path).json(&body).header("If-Match", &tag).send();
        answer.expect_problem(412, "revision_mismatch");
    }
    assert_eq!(patch(Some("*"), "D").expect(200)["name"], "D");
    assert_eq!(patch(None, "E").expect(200)["name"], "E");
    assert_eq!(daemon.get(&path).expect(200)["generation"], 1);
}

#[test]
fn the_same_idempotency_key_and_body_answer_the_first_result() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let body = json!({ "name": "A", "hostname": "gw01" });
    let generate = |key: &str, body: &Value| {
        daemon.call("POST", "certificates/generate").json(body).header("Idempotency-Key", key).send()
    };
    let first = generate("key-1", &body);
    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!(first.header("idempotency-replayed"), None);
    let again = generate("key-1", &body);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    for name in ["location", "etag", "content-type"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    generate("key-1", &json!({ "name": "B" })).expect_problem(422, "idempotency_key_reused");
    generate("key-2", &body).expect_problem(409, "name_taken");
    let long = "x".repeat(129);
    for bad in ["", "with blank", &long] {
        generate(bad, &json!({ "name": "C" })).expect_problem(422, "invalid_field");
    }
    assert_eq!(generate(&long[..128], &json!({ "name": "D" })).status, 201);
    assert_eq!(daemon.get("certificates").expect(200)["total"], 2);

    let path = format!("certificates/{}/regenerate", first.json()["id"].as_str().unwrap());
    let regenerate = || daemon.call("POST", &path).header("Idempotency-Key", "key-3").send().expect(200);
    assert_eq!(regenerate(), regenerate());
    daemon
        .call("POST", &path)
        .json(&json!({ "validity_days": 9 }))
        .header("Idempotency-Key", "key-3")
        .send()
        .expect_problem(422, "idempotency_key_reused");
    assert_eq!(daemon.get(first.header("location").unwrap()).expect(200)["generation"], 2);

    // Another token has its own keys, and a restart forgets none.
    daemon.stop();
    setup.add_tokens();
    let daemon = setup.start();
    let again =
        daemon.call("POST", "certificates/generate").json(&body).header("Idempotency-Key", "key-1").send();
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let other = daemon
        .call("POST", "certificates/generate")
        .token("operator")
        .json(&body)
        .header("Idempotency-Key", "key-1")
        .send();
    other.expect_problem(409, "name_taken");
}

/// As a kill between the commit of the change and that of its answer leaves it.
fn lose_answers(setup: &Setup) {
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
        c.execute(\"update idempotency set status = 0, headers = '[]', body = cast((select resource_id from audit \
        order by sequence desc limit 1) as blob)\"); c.commit()";
    let database = setup.data_dir().join("koios.db");
    let ended = std::process::Command::new("python3").arg("-c").arg(script).arg(database).status();
    assert!(ended.expect("python3").success());
}

#[test]
fn what_was_carried_out_before_a_kill_is_not_carried_out_again() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let body = json!({ "name": "A" });
    let generate = |daemon: &Daemon| {
        daemon.call("POST", "certificates/generate").json(&body).header("Idempotency-Key", "key").send()
    };
    let first = generate(&daemon).expect(201);
    daemon.stop();
    lose_answers(&setup);
    let daemon = setup.start();
    let again = generate(&daemon);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(
        again.header("location"),
        Some(&*format!("/api/v1/certificates/{}", first["id"].as_str().unwrap()))
    );
    assert_eq!(again.expect(201), first);

    let path = format!("certificates/{}/regenerate", first["id"].as_str().unwrap());
    let regenerate =
        |daemon: &Daemon| daemon.call("POST", &path).header("Idempotency-Key", "other-key").send();
    regenerate(&daemon).expect(200);
    daemon.stop();
    lose_answers(&setup);
    let daemon = setup.start();
    let problem = regenerate(&daemon).expect_problem(422, "idempotency_key_reused");
    assert!(problem["detail"].as_str().unwrap().contains("was carried out"), "{problem}");
    let shown = daemon.get(&format!("certificates/{}", first["id"].as_str().unwrap())).expect(200);
    assert_eq!(shown["generation"], 2);
}

#[test]
fn requests_with_the_same_key_at_the_same_time_are_carried_out_once() {
    let daemon = Setup::empty().start();
    let requests: Vec<_> = (0..4)
        .map(|_| {
            let call = daemon.call("POST", "certificates/generate").json(&json!({ "name": "A" }));
            std::thread::spawn(move || call.header("Idempotency-Key", "one").send())
        })
        .collect();
    let answers: Vec<_> = requests.into_iter().map(|request| request.join().unwrap()).collect();
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body));
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count(), 1);
}

#[test]
fn pages_of_allowed_origins_may_call_and_no_others() {
    let daemon = Setup::empty()
        .with_environment("KOIOS_CORS_ALLOWED_ORIGINS", "https://koios.example,http://localhost:3000")
        .start();
    let preflight = |origin: &str| {
        daemon
            .call("OPTIONS", "certificates/generate")
            .without_token()
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header(
                "Access-Control-Request-Headers",
                "authorization,content-type,if-match,idempotency-key,last-event-id",
            )
            .send()
    };
    let list = |answer: &crate::http::Answer, name: &str| -> Vec<String> {
        let mut items: Vec<_> = answer
            .header(name)
            .unwrap_or_default()
            .split(',')
            .map(|item| item.trim().to_lowercase())
            .collect();
        items.sort_unstable();
        items
    };
    for origin in ["https://koios.example", "http://localhost:3000"] {
        let answer = preflight(origin);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(
            list(&answer, "access-control-allow-headers"),
            ["authorization", "content-type", "idempotency-key", "if-match", "last-event-id"]
        );
    }
    let refused = preflight("https://evil.example");
    refused.expect_problem(403, "forbidden");
    assert_eq!(refused.header("access-control-allow-origin"), None);

    for (call, status) in [
        (daemon.call("GET", "certificates"), 200),
        (daemon.call("GET", "certificates/nowhere"), 404),
        (daemon.call("GET", "certificates").without_token(), 401),
    ] {
        let answer = call.header("Origin", "https://koios.example").send();
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://koios.example"));
        assert_eq!(
            list(&answer, "access-control-expose-headers"),
            [
                "content-disposition",
                "etag",
                "idempotency-replayed",
                "location",
                "retry-after",
                "x-request-id"
            ]
        );
    }
    let other = daemon.call("GET", "certificates").header("Origin", "https://evil.example").send();
    assert_eq!(other.header("access-control-allow-origin"), None);
}

#[test]
fn without_an_allow_list_no_other_origin_is_told_anything() {
    let daemon = Setup::empty().start();
    let answer = daemon.call("GET", "certificates").header("Origin", "https://koios.example").send();
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
}

#[test]
fn broken_http_gets_an_answer_or_a_closed_connection_and_the_daemon_lives_on() {
    let daemon = Setup::empty().start();
    let token = crate::daemon::ADMIN;
    for request in [
        "GARBAGE\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        format!("GET /api/v1/certificates HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(300_000)),
        format!(
            "POST /api/v1/certificates/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 5\r\nContent-Length: 6\r\nConnection: close\r\n\r\n{{}}"
        ),
        format!(
            "POST /api/v1/certificates/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nZZ\r\n{{}}\r\n0\r\n\r\n"
        ),
    ] {
        let answer = raw(daemon.address(), request.as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(daemon.get("certificates").expect(200)["total"], 0);
}

#[test]
fn a_body_over_its_limit_is_413_before_it_has_been_sent() {
    let daemon = Setup::empty().start();
    let token = crate::daemon::ADMIN;
    for (path, media_type) in
        [("generate", "application/json"), ("upload", "multipart/form-data; boundary=x")]
    {
        let head = format!(
            "POST /api/v1/certificates/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: {media_type}\r\nContent-Length: 10485760\r\n\r\n"
        );
        // Nothing of the body follows: an answer that waits for it never comes.
        let answer = first_answer(&daemon, &head);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
        assert!(answer.contains("payload_too_large"), "{path}: {answer}");
    }
}

fn first_answer(daemon: &Daemon, head: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(daemon.address()).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&answer).contains("request_id") {
        let count = stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
