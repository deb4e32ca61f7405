//! Nothing is ignored: what no route knows is refused on every route of the document, those of later versions included.

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    http::multipart,
};

const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

/// An operation of the document.
struct Operation {
    method: String,
    /// With an id that nothing has in the place of each parameter.
    path: String,
    media_types: Vec<String>,
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    let mut all = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = path.replace("{thumbprint_sha256}", &"A".repeat(64)).replace("{sha256}", &"A".repeat(64));
        for (method, operation) in operations.as_object().unwrap() {
            let media_types = operation["requestBody"]["content"].as_object();
            all.push(Operation {
                method: method.to_uppercase(),
                path: path.replace("{id}", UNKNOWN),
                media_types: media_types.map(|content| content.keys().cloned().collect()).unwrap_or_default(),
            });
        }
    }
    all
}

/// Whether the problem names this field.
fn names(problem: &Value, field: &str) -> bool {
    problem["errors"].as_array().unwrap().iter().any(|error| error["field"] == field)
}

#[test]
fn an_unknown_query_parameter_is_422_on_every_route() {
    let daemon = Setup::empty().start();
    let mut checked = 0;
    for Operation { method, path, .. } in operations() {
        if !path.starts_with("/api/v1/") {
            continue;
        }
        let answer = daemon.call(&method, &format!("{path}?no_such_parameter=1")).send();
        assert_eq!(answer.status, 422, "{method} {path}: {}", answer.text());
        let problem = answer.expect_problem(422, "invalid_field");
        assert!(names(&problem, "no_such_parameter"), "{method} {path}: {problem}");
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn a_dry_run_is_refused_where_the_document_does_not_name_it() {
    let document: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    let daemon = Setup::empty().start();
    for (template, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            if parameters.iter().any(|parameter| parameter["name"] == "dry_run")
                || !template.starts_with("/api/v1/")
            {
                continue;
            }
            let hash = "A".repeat(64);
            let path = template.replace("{id}", UNKNOWN).replace("{thumbprint_sha256}", &hash);
            let path = path.replace("{sha256}", &hash);
            let answer = daemon.call(&method.to_uppercase(), &format!("{path}?dry_run=true")).send();
            let problem = answer.expect_problem(422, "invalid_field");
            assert!(names(&problem, "dry_run"), "{method} {path}: {problem}");
        }
    }
}

#[test]
fn an_unknown_field_is_422_in_every_body() {
    let daemon = Setup::empty().start();
    let (mut json_bodies, mut forms) = (0, 0);
    for Operation { method, path, media_types } in operations() {
        for media_type in media_types {
            let call = daemon.call(&method, &path);
            let answer = match media_type.as_str() {
                "multipart/form-data" => {
                    forms += 1;
                    call.form(&[("no_such_field", b"1")]).send()
                }
                json => {
                    json_bodies += 1;
                    call.bytes(json, json!({ "no_such_field": 1 }).to_string()).send()
                }
            };
            assert_eq!(answer.status, 422, "{method} {path} {media_type}: {}", answer.text());
            let problem = answer.expect_problem(422, "invalid_field");
            assert!(names(&problem, "no_such_field"), "{method} {path}: {problem}");
        }
    }
    assert!(json_bodies >= 14 && forms >= 5, "{json_bodies} {forms}");
}

#[test]
fn a_body_of_another_media_type_is_415_on_every_route_that_takes_one() {
    let daemon = Setup::empty().start();
    for Operation { method, path, media_types } in operations() {
        if media_types.is_empty() {
            continue;
        }
        for other in [Some("text/plain"), Some("application/xml; charset=utf-8"), None] {
            let call = daemon.call(&method, &path);
            let call = match other {
                Some(other) => call.bytes(other, "{\"a\": 1}"),
                None => call.body("{\"a\": 1}"),
            };
            call.send().expect_problem(415, "unsupported_media_type");
        }
    }
}

#[test]
fn a_body_in_json_may_name_its_encoding_and_stands_for_its_text() {
    let daemon = Setup::empty().start();
    let generate = |media_type: &str, body: &[u8]| {
        daemon.call("POST", "certificates/generate").bytes(media_type, body).send()
    };
    assert_eq!(generate("application/json; charset=utf-8", b"{\"name\": \"A\"}").status, 201);
    assert_eq!(generate("Application/JSON;charset=\"UTF-8\"", b"{\"name\": \"B\"}").status, 201);
    for body in [
        &b"\xef\xbb\xbf{\"name\": \"C\"}"[..],
        b"{\"name\": \"\xff\"}",
        b"{\"name\": \"\\ud800\"}",
        b"{\"name\": \"C\",}",
        b"{\"name\": \"C\"} {}",
        b"{\"name\": \"C\", \"validity_days\": 1e400}",
        b"",
    ] {
        generate("application/json", body).expect_problem(400, "malformed_request");
    }
    generate("application/json", "[".repeat(100_000).as_bytes()).expect_problem(400, "malformed_request");
    for body in [
        "{\"name\": \"C\", \"name\": \"D\"}",
        "{\"name\": \"C\", \"validity_days\": 1.5}",
        "{\"name\": \"C\", \"validity_days\": 99999999999999999999}",
        "{\"name\": \"C\\u0000\"}",
        "[]",
        "null",
    ] {
        generate("application/json", body.as_bytes()).expect_problem(422, "invalid_field");
    }
    assert_eq!(daemon.get("certificates").expect(200)["total"], 2);
}

#[test]
fn head_answers_as_get_without_a_body() {
    let daemon = Setup::empty().start();
    let id = daemon.generate("A")["id"].as_str().unwrap().to_owned();
    let fields = |daemon: &Daemon, method: &str, path: &str| {
        let answer = daemon.call(method, path).send();
        let field = |name: &str| answer.header(name).map(str::to_owned);
        let told = ["content-type", "content-disposition", "cache-control", "etag"].map(field);
        (answer.status, told, answer.body.is_empty())
    };
    for path in [
        "certificates".to_owned(),
        format!("certificates/{id}"),
        format!("certificates/{id}/certificate.der"),
        format!("certificates/{id}/private-key.pem"),
        format!("certificates/{id}/history"),
        "certificates/1".to_owned(),
        "system".to_owned(),
        "/healthz".to_owned(),
    ] {
        let (get, head) = (fields(&daemon, "GET", &path), fields(&daemon, "HEAD", &path));
        assert_eq!((get.0, get.1), (head.0, head.1), "{path}");
        assert!(!get.2 && head.2, "{path}");
    }
}

#[test]
fn an_upload_may_have_256_kib_and_any_other_body_1_mib_and_no_byte_more() {
    let daemon = Setup::empty().start();
    let generate = |length: usize, name: &str| {
        let mut body = json!({ "name": name }).to_string().into_bytes();
        body.resize(length, b' ');
        daemon.call("POST", "certificates/generate").bytes("application/json", body).send()
    };
    assert_eq!(generate(1 << 20, "A").status, 201);
    generate((1 << 20) + 1, "B").expect_problem(413, "payload_too_large");
    let upload = |length: usize| {
        let around = multipart("koiosboundary", &[("name", b"B"), ("certificate", b"")]).len();
        let certificate = vec![b'x'; length - around];
        let form: &[(&str, &[u8])] = &[("name", b"B"), ("certificate", &certificate)];
        daemon.call("POST", "certificates/upload").form(form).send()
    };
    upload(256 << 10).expect_problem(422, "certificate_unreadable");
    upload((256 << 10) + 1).expect_problem(413, "payload_too_large");
}
