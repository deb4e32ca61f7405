//! What every answer says to browsers, and what pages of other origins may do.

use crate::{daemon::Setup, http::Answer};

#[track_caller]
fn assert_safe(answer: &Answer, policy: &str, cache: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cache-control", cache),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name} of {}", answer.status);
    }
    assert!(answer.header("content-security-policy").is_some_and(|given| given.starts_with(policy)));
    assert_eq!(answer.header("strict-transport-security"), None);
}

#[test]
fn every_answer_says_that_nothing_runs_and_nothing_is_kept() {
    let daemon = Setup::empty().start();
    let id = daemon.generate("A")["id"].as_str().unwrap().to_owned();
    for (call, status) in [
        (daemon.call("GET", "certificates"), 200),
        (daemon.call("GET", &format!("certificates/{id}/private-key.pem")), 200),
        (daemon.call("GET", &format!("certificates/{id}/certificate.der")), 200),
        (daemon.call("GET", "certificates").without_token(), 401),
        (daemon.call("GET", "nowhere"), 404),
        (daemon.call("DELETE", "certificates"), 405),
        (daemon.call("POST", "devices").bytes("text/plain", "x"), 415),
        (daemon.call("GET", "/nowhere"), 404),
        (daemon.call("GET", "/healthz").without_token(), 200),
        (daemon.call("GET", "/metrics"), 200),
        (
            daemon
                .call("OPTIONS", "certificates")
                .header("Origin", "https://evil.example")
                .header("Access-Control-Request-Method", "GET"),
            403,
        ),
    ] {
        let answer = call.send();
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_safe(&answer, "default-src 'none'; frame-ancestors 'none'", "no-store");
    }
    let document = daemon.call("GET", "openapi.json").without_token().send();
    assert_safe(&document, "default-src 'none'", "no-cache");
    let page = daemon.call("GET", "/docs/").without_token().send();
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-security-policy").is_some_and(|given| given.contains("frame-ancestors 'none'"))
    );
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn preflights_are_answered_by_the_list_to_the_letter_and_without_a_token() {
    let daemon =
        Setup::empty().with_environment("KOIOS_CORS_ALLOWED_ORIGINS", "https://koios.example").start();
    let preflight = |origin: &str, method: &str, headers: &str, path: &str| {
        let call = daemon.call("OPTIONS", path).without_token().header("Origin", origin);
        let call = call.header("Access-Control-Request-Method", method);
        if headers.is_empty() {
            call.send()
        } else {
            call.header("Access-Control-Request-Headers", headers).send()
        }
    };
    let good = "https://koios.example";
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        for headers in ["", "authorization", "Content-Type, If-Match", "idempotency-key,last-event-id"] {
            let answer = preflight(good, method, headers, "certificates");
            assert_eq!(answer.status, 200, "{method} {headers}: {}", answer.text());
            assert_eq!(answer.header("access-control-allow-origin"), Some(good));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            assert!(answer.header("access-control-allow-methods").unwrap().contains(method));
            assert!(answer.header("vary").unwrap().to_lowercase().contains("origin"));
        }
    }
    // Where nothing is, too: what is there is not a preflight's to tell.
    assert_eq!(preflight(good, "GET", "authorization", "nowhere").status, 200);
    for (origin, method, headers) in [
        ("https://evil.example", "GET", ""),
        ("null", "GET", ""),
        ("http://koios.example", "GET", ""),
        ("https://koios.example:8443", "GET", ""),
        ("https://koios.example.evil.example", "GET", ""),
        ("https://KOIOS.example", "GET", ""),
        (good, "TRACE", ""),
        (good, "GET", "x-other"),
        (good, "GET", "authorization, x-other"),
        (good, "GET", "cookie"),
    ] {
        let answer = preflight(origin, method, headers, "certificates");
        answer.expect_problem(403, "forbidden");
        if origin != good {
            assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        }
    }
    // An OPTIONS that is no preflight is a request like any other.
    assert_eq!(daemon.call("OPTIONS", "certificates").without_token().send().status, 401);
}
