//! The table of bad input for every route of certificates: a 4xx with a code, the store unchanged, a clean log.

use serde_json::{Value, json};

use crate::{
    bad_bodies::expect_refused,
    daemon::{ADMIN, Daemon, Setup},
};

/// Never to be seen in an answer or a log line: it stands where a secret might.
const CANARY: &str = "canary-s3cret";

#[test]
fn bad_bodies_are_4xx_with_a_code_and_change_nothing() {
    let daemon = Setup::new().start();
    let certificate = daemon.generate("A");
    let before = daemon.get("certificates").expect(200);
    let id = certificate["id"].as_str().unwrap();

    for (path, method, good) in [
        ("certificates/generate", "POST", json!({ "name": "B" })),
        ("certificates/default", "PUT", json!({ "id": id })),
        (&format!("certificates/{id}"), "PATCH", json!({ "name": "B" })),
        (&format!("certificates/{id}/devices"), "PUT", json!({ "assign": [] })),
        (&format!("certificates/{id}/regenerate"), "POST", json!({})),
    ] {
        expect_refused(|| daemon.call(method, path), &good);
    }
    assert_unchanged(&daemon, &before);
}

#[test]
fn fields_that_do_not_fit_are_422_and_named() {
    let daemon = Setup::new().start();
    let before = daemon.get("certificates").expect(200);
    let with = |field: &str, value: Value| {
        let mut body = json!({ "name": "B" });
        body[field] = value;
        body
    };
    for (field, values) in [
        (
            "name",
            vec![
                json!(null),
                json!(5),
                json!([]),
                json!({}),
                json!(true),
                json!(""),
                json!("  "),
                json!("a\u{0}b"),
                json!("a\nb"),
                json!("x".repeat(129)),
            ],
        ),
        ("description", vec![json!(5), json!([]), json!("x".repeat(1025))]),
        ("organization", vec![json!(5), json!("x".repeat(65)), json!("a\u{7}b")]),
        (
            "validity_days",
            vec![
                json!(null),
                json!(0),
                json!(9126),
                json!(-1),
                json!(1.5),
                json!("30"),
                json!(1e10),
                json!(4294967297_u64),
            ],
        ),
        ("key", vec![json!(null), json!("rsa"), json!([])]),
        ("key.algorithm", vec![]),
        ("profile", vec![json!(null), json!("ca-issued"), json!("x"), json!(1.05)]),
        (
            "dns_names",
            vec![
                json!(null),
                json!("a"),
                json!(["*.a"]),
                json!(["a_b"]),
                json!(["10.0.0.1"]),
                json!([""]),
                json!(vec!["a"; 101]),
            ],
        ),
        (
            "ip_addresses",
            vec![json!(null), json!("10.0.0.1"), json!(["10.0.0.256"]), json!(["a"]), json!(["10.0.0.1/24"])],
        ),
        (
            "application_uri",
            vec![
                json!(5),
                json!("no uri"),
                json!("urn:a b"),
                json!("relative/path"),
                json!(format!("urn:koios:{}", "x".repeat(300))),
                json!("urn:ü:x"),
            ],
        ),
        ("organizational_unit", vec![json!(5), json!("x".repeat(65)), json!("a\nb")]),
        ("locality", vec![json!("x".repeat(129))]),
        ("state", vec![json!("x".repeat(129)), json!("a\u{7}")]),
        ("country", vec![json!("DEU"), json!("D"), json!("D1"), json!("ß")]),
        ("common_name", vec![json!(5), json!("x".repeat(65)), json!("a\nb")]),
        ("assign_to", vec![json!(null), json!("x"), json!(["x"]), json!([5]), json!(["../../x"])]),
        ("make_default", vec![json!(null), json!("true"), json!(1)]),
        ("passphrase", vec![json!(CANARY)]),
    ] {
        for value in values {
            let answer = daemon.post("certificates/generate", &with(field, value.clone()));
            let problem = answer.expect_problem(422, "invalid_field");
            let named = problem["errors"][0]["field"].as_str().unwrap();
            assert!(named.starts_with(field), "{field} = {value}: {problem}");
        }
    }
    for (key, code) in [
        (json!({}), "invalid_field"),
        (json!({ "algorithm": "rsa", "bits": 1024 }), "invalid_field"),
        (json!({ "algorithm": "rsa", "bits": 2049 }), "invalid_field"),
        (json!({ "algorithm": "rsa", "bits": "2048" }), "invalid_field"),
        (json!({ "algorithm": "rsa", "curve": "p256" }), "invalid_field"),
        (json!({ "algorithm": "dsa" }), "invalid_field"),
        (json!({ "algorithm": "ec", "curve": "p521" }), "invalid_field"),
        (json!({ "algorithm": "ec", "bits": 256 }), "invalid_field"),
        (json!({ "algorithm": "rsa", "size": 1 }), "invalid_field"),
    ] {
        let problem = daemon.post("certificates/generate", &with("key", key)).expect_problem(422, code);
        assert!(problem["errors"][0]["field"].as_str().unwrap().starts_with("key."), "{problem}");
    }
    daemon.post("certificates/generate", &json!({})).expect_problem(422, "invalid_field");
    daemon.post("certificates/generate", &json!({ "name": "dEFAULT" })).expect_problem(409, "name_taken");
    for body in [
        json!({}),
        json!({ "id": null }),
        json!({ "id": 5 }),
        json!({ "id": "x" }),
        json!({ "id": "../../x" }),
    ] {
        daemon.put("certificates/default", &body).expect_problem(422, "invalid_field");
    }
    assert_unchanged(&daemon, &before);
}

#[test]
fn bad_forms_are_4xx_with_a_code_and_change_nothing() {
    let daemon = Setup::new().start();
    let before = daemon.get("certificates").expect(200);
    let id = before["items"][0]["id"].as_str().unwrap();
    let secret = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
    for path in ["certificates/upload", &format!("certificates/{id}/replace")] {
        let form = |fields: &[(&str, &[u8])]| daemon.call("POST", path).form(fields).send();
        form(&[]).expect_problem(422, "invalid_field");
        form(&[("name", b"B")]).expect_problem(422, "invalid_field");
        form(&[("certificate", b"x"), ("certificate", b"x")]).expect_problem(422, "invalid_field");
        form(&[("certificate", b"x"), ("colour", b"red")]).expect_problem(422, "invalid_field");
        form(&[("certificate", b"x"), ("make_default", b"yes")]).expect_problem(422, "invalid_field");
        form(&[("certificate", b"x"), ("description", b"\xff")]).expect_problem(400, "malformed_request");
        form(&[("certificate", b"x"), ("passphrase", b"\xff")]).expect_problem(400, "malformed_request");
        let large = vec![b'x'; 300 << 10];
        form(&[("certificate", &large)]).expect_problem(413, "payload_too_large");
        let larger = vec![b'x'; 10 << 20];
        form(&[("certificate", &larger)]).expect_problem(413, "payload_too_large");
        let bytes = |media_type: &str, body: &[u8]| daemon.call("POST", path).bytes(media_type, body).send();
        bytes("application/json", b"{}").expect_problem(415, "unsupported_media_type");
        bytes("multipart/mixed; boundary=x", b"--x--").expect_problem(415, "unsupported_media_type");
        daemon.call("POST", path).body(b"--x--").send().expect_problem(415, "unsupported_media_type");
        bytes("multipart/form-data", b"--x--").expect_problem(400, "malformed_request");
        bytes("multipart/form-data; boundary=x", b"no boundary here")
            .expect_problem(400, "malformed_request");
        bytes(
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=\"certificate\"\r\n\r\ncut",
        )
        .expect_problem(400, "malformed_request");
        bytes("multipart/form-data; boundary=x", b"--x\r\n\r\nnameless\r\n--x--\r\n")
            .expect_problem(400, "malformed_request");
    }
    let upload = |name: &[u8]| {
        daemon
            .call("POST", "certificates/upload")
            .form(&[("name", name), ("certificate", b"x"), ("private_key", secret.as_bytes())])
            .send()
    };
    for name in [&b""[..], b"  ", b"a\nb", b"a\0b", "x".repeat(129).as_bytes()] {
        upload(name).expect_problem(422, "invalid_field");
    }
    upload(b"\xff").expect_problem(400, "malformed_request");
    upload(b"../../etc/passwd").expect_problem(422, "certificate_unreadable");
    assert_unchanged(&daemon, &before);
}

#[test]
fn names_that_look_like_paths_are_names() {
    let daemon = Setup::empty().start();
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "C:\\Windows",
        "a/../b",
        "%2e%2e%2f",
        "<script>",
        "'; drop table certificates; --",
        "{}",
    ] {
        let made =
            daemon.post("certificates/generate", &json!({ "name": name, "hostname": "gw01" })).expect(201);
        assert_eq!(made["name"], name);
        assert!(daemon.files_of(&made).join("certificate.der").exists());
        let uri = made["application_uri"].as_str().unwrap();
        assert!(uri.bytes().all(|byte| byte.is_ascii_graphic()), "{uri}");
    }
    let mut entries: Vec<_> = std::fs::read_dir(daemon.data_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    entries.retain(|entry| !entry.starts_with("koios.db"));
    entries.sort_unstable();
    assert!(
        entries.iter().all(|entry| [
            "certificates",
            "initial-admin-token",
            "koios.lock",
            "secrets.key",
            "trust"
        ]
        .contains(&entry.as_str())),
        "{entries:?}"
    );
}

/// The same certificates as before, and a log without secrets.
#[track_caller]
fn assert_unchanged(daemon: &Daemon, before: &Value) {
    assert_eq!(&daemon.get("certificates").expect(200), before);
    let log = daemon.log();
    for secret in [CANARY, ADMIN, "PRIVATE KEY"] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(!log.contains("panic"), "{log}");
}

#[test]
fn what_does_not_fit_is_told_in_words_for_people() {
    let daemon = Setup::empty().start();
    for (path, body, expected) in [
        ("certificates/generate", json!([]), "the body must be a JSON object"),
        ("certificates/generate", json!({ "name": "A", "key": 5 }), "key: must be an object"),
        ("certificates/generate", json!({ "name": "A", "dns_names": "a" }), "dns_names: must be a list"),
        ("certificates/generate", json!({ "name": "A", "assign_to": ["a"] }), "assign_to[0]: must be a UUID"),
        ("certificates/generate", json!({ "name": "A", "assign_to": [5] }), "assign_to[0]: must be a UUID"),
        ("devices", json!({ "user_identity": "op" }), "user_identity: must be an object"),
        ("devices", json!({ "name": null, "endpoint_url": "opc.tcp://a" }), "name: must be a string"),
    ] {
        let problem = daemon.post(path, &body).expect_problem(422, "invalid_field");
        assert_eq!(problem["detail"], expected, "{body}");
    }
}
