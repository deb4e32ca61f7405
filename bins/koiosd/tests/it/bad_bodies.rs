//! Bodies that no route takes, whatever it does.

use serde_json::{Value, json};

use crate::http::Call;

/// Each bad body, sent by a call to one route, is a 4xx with its code; `good` is a body that the route would take.
#[track_caller]
pub(crate) fn expect_refused(call: impl Fn() -> Call, good: &Value) {
    for (media_type, body, status, code) in [
        ("application/json", &b"{"[..], 400, "malformed_request"),
        ("application/json", b"{\"name\": \"\xff\"}", 400, "malformed_request"),
        ("application/json", b"{\"name\": \"\\ud800\"}", 400, "malformed_request"),
        ("application/json", b"{\"name\": 1e999}", 400, "malformed_request"),
        ("application/json", b"{\"timeout_seconds\": 1e999}", 400, "malformed_request"),
        ("application/json", b"{\"timeout_seconds\": NaN}", 400, "malformed_request"),
        ("application/json", b"{} {}", 400, "malformed_request"),
        ("application/json", b"[]", 422, "invalid_field"),
        ("application/json", b"null", 422, "invalid_field"),
        ("application/json", b"\"text\"", 422, "invalid_field"),
        ("application/json", b"{\"unknown\": 1}", 422, "invalid_field"),
        ("text/plain", b"{}", 415, "unsupported_media_type"),
        ("text/plain", b"{\"name\": \"B\"}", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", b"name=B", 415, "unsupported_media_type"),
        ("multipart/form-data; boundary=x", b"--x--", 415, "unsupported_media_type"),
        ("nonsense", b"{}", 415, "unsupported_media_type"),
        ("nonsense", b"{\"name\": \"B\"}", 415, "unsupported_media_type"),
    ] {
        let call = call().bytes(media_type, body);
        let route = format!("{call:?}");
        let answer = call.send();
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)), "{route}");
        answer.expect_problem(status, code);
    }
    for body in [good.to_string().as_bytes(), b"{\"name\": \"B\"}", b"{\"a\": 1}"] {
        call().body(body).send().expect_problem(415, "unsupported_media_type");
    }
    let gzip = call().json(good).header("Content-Encoding", "gzip").send();
    gzip.expect_problem(415, "unsupported_media_type");
    let deep = format!("{{\"name\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
    call().bytes("application/json", deep).send().expect_problem(400, "malformed_request");
    for field in ["description", "name"] {
        let large = json!({ field: "x".repeat(10 << 20) });
        call().json(&large).send().expect_problem(413, "payload_too_large");
    }
}
