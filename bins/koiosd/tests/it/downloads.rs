//! R8: the files, and what goes with them.

use koios_testkit::openssl;
use serde_json::{Value, json};

use crate::daemon::Setup;

fn path(certificate: &Value, rest: &str) -> String {
    format!("certificates/{}{rest}", certificate["id"].as_str().expect("an id"))
}

#[test]
fn r8_downloads_have_the_right_names_and_types_and_keys_are_never_cached() {
    let daemon = Setup::empty().start();
    let made = daemon.generate("Plant A Certificate");
    for (file, media_type, name) in [
        ("certificate.der", "application/pkix-cert", "plant-a-certificate.der"),
        ("certificate.pem", "application/x-pem-file", "plant-a-certificate.pem"),
        ("chain.pem", "application/x-pem-file", "plant-a-certificate-chain.pem"),
        ("private-key.pem", "application/x-pem-file", "plant-a-certificate-private-key.pem"),
    ] {
        let answer = daemon.get(&path(&made, &format!("/{file}")));
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.header("content-type"), Some(media_type));
        let disposition = format!("attachment; filename=\"{name}\"; filename*=UTF-8''{name}");
        assert_eq!(answer.header("content-disposition"), Some(disposition.as_str()));
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{file}");
    }
    let umlaut = daemon.generate("Anlage Süd / \"1\"\\..");
    let answer = daemon.get(&path(&umlaut, "/certificate.der"));
    let disposition = answer.header("content-disposition").unwrap();
    assert!(disposition.ends_with("filename*=UTF-8''anlage-s%C3%BCd-1.der"), "{disposition}");
}

#[test]
fn r8_openssl_reads_what_is_downloaded_and_finds_the_same_thumbprints() {
    if !openssl::available_or_skip() {
        return;
    }
    let daemon = Setup::empty().start();
    let made = daemon.generate("A");
    let file = |name: &str| daemon.get(&path(&made, &format!("/{name}"))).body;
    for (digest, field) in [("-sha1", "thumbprint_sha1"), ("-sha256", "thumbprint_sha256")] {
        for (name, form) in [("certificate.der", "DER"), ("certificate.pem", "PEM"), ("chain.pem", "PEM")] {
            let line =
                openssl::run(&["x509", "-inform", form, "-noout", "-fingerprint", digest], &file(name));
            let line = String::from_utf8(line).unwrap();
            let thumbprint = line.trim().rsplit('=').next().unwrap().replace(':', "");
            assert_eq!(made[field], thumbprint, "{name}");
        }
    }
    let key = file("private-key.pem");
    assert!(key.starts_with(b"-----BEGIN PRIVATE KEY-----"), "PKCS#8");
    openssl::run(&["pkey", "-check", "-noout"], &key);
}

#[test]
fn r8_every_key_download_is_recorded_with_who_and_what() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let made = daemon.generate("A");
    daemon.get(&path(&made, "/certificate.der"));
    assert_eq!(daemon.get(&path(&made, "/private-key.pem")).status, 200);
    assert_eq!(daemon.get(&path(&made, "/private-key.pem")).status, 200);
    daemon.stop();
    let rows = ask_database(
        &setup,
        "select count(*) from audit where action = 'certificate.private_key_downloaded'",
    );
    if let Some(rows) = rows {
        assert_eq!(rows, "2");
    }
    let daemon = setup.start();
    assert_eq!(
        daemon.get(&path(&made, "")).expect(200)["files"],
        json!({ "certificate": true, "private_key": true, "downloadable": true })
    );
}

#[test]
fn keys_leave_encrypted_under_a_passphrase_and_that_is_recorded() {
    if !openssl::available_or_skip() {
        return;
    }
    let setup = Setup::empty();
    let daemon = setup.start();
    let rsa = daemon.generate("Plant A Certificate");
    let curve = json!({ "name": "Curve", "key": { "algorithm": "ec", "curve": "p384" } });
    let curve = daemon.post("certificates/generate", &curve).expect(201);
    let passphrase = "Pässword CANARY";
    let body = json!({ "passphrase": passphrase });
    for (made, slug) in [(&rsa, "plant-a-certificate"), (&curve, "curve")] {
        let plain = daemon.get(&path(made, "/private-key.pem")).body;
        let public = openssl::run(&["pkey", "-pubout"], &plain);
        let password = format!("pass:{passphrase}");

        let answer = daemon.post(&path(made, "/private-key.pem"), &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/x-pem-file"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let name = format!("attachment; filename=\"{slug}-private-key.pem\"");
        assert!(answer.header("content-disposition").unwrap().starts_with(&name));
        assert!(answer.body.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        assert_eq!(openssl::run(&["pkey", "-pubout", "-passin", &password], &answer.body), public);

        let answer = daemon.post(&path(made, "/bundle.p12"), &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/x-pkcs12"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let name = format!("attachment; filename=\"{slug}.p12\"");
        assert!(answer.header("content-disposition").unwrap().starts_with(&name));
        let pem = openssl::run(&["pkcs12", "-nodes", "-nocerts", "-passin", &password], &answer.body);
        assert_eq!(openssl::run(&["pkey", "-pubout"], &pem), public);

        // What leaves can come back, elsewhere.
        let elsewhere = Setup::empty().start();
        let form: &[(&str, &[u8])] =
            &[("name", b"B"), ("certificate", &answer.body), ("passphrase", passphrase.as_bytes())];
        let uploaded = elsewhere.call("POST", "certificates/upload").form(form).send().expect(201);
        assert_eq!(uploaded["thumbprint_sha256"], made["thumbprint_sha256"]);
        let wrong: &[(&str, &[u8])] =
            &[("name", b"C"), ("certificate", &answer.body), ("passphrase", b"other")];
        let refused = elsewhere.call("POST", "certificates/upload").form(wrong).send();
        refused.expect_problem(422, "passphrase_wrong");
        let none: &[(&str, &[u8])] = &[("name", b"C"), ("certificate", &answer.body)];
        let refused = elsewhere.call("POST", "certificates/upload").form(none).send();
        refused.expect_problem(422, "passphrase_required");
    }
    for file in ["private-key.pem", "bundle.p12"] {
        for body in [
            json!({}),
            json!({ "passphrase": "" }),
            json!({ "passphrase": null }),
            json!({ "passphrase": "x".repeat(1025) }),
            json!({ "passphrase": "x", "other": 1 }),
        ] {
            let problem = daemon.post(&path(&rsa, &format!("/{file}")), &body);
            problem.expect_problem(422, "invalid_field");
        }
        // No secret stands in a query.
        let query = daemon.post(&path(&rsa, &format!("/{file}?passphrase=x")), &json!({ "passphrase": "x" }));
        query.expect_problem(422, "invalid_field");
    }
    assert!(!daemon.log().contains("CANARY"));
    std::fs::remove_file(daemon.files_of(&rsa).join("private-key.pem")).unwrap();
    daemon.post(&path(&rsa, "/bundle.p12"), &body).expect_problem(404, "files_missing");
    daemon.stop();
    let forms = "select group_concat(json_extract(after_json, '$.form'), ' ') from (select after_json from audit \
                 where action = 'certificate.private_key_downloaded' order by after_json)";
    if let Some(forms) = ask_database(&setup, forms) {
        assert_eq!(forms, "encrypted_pkcs8 encrypted_pkcs8 pkcs12 pkcs12 pkcs8 pkcs8");
    }
    setup.add_tokens();
    let daemon = setup.start();
    for file in ["private-key.pem", "bundle.p12"] {
        // The role admin alone does not include the permission.
        let call = daemon.call("POST", &path(&curve, &format!("/{file}"))).token("admin").json(&body);
        call.send().expect_problem(403, "forbidden");
    }
}

/// Asks the database through Python's standard library, which is an outside view of it.
pub(crate) fn ask_database(setup: &Setup, query: &str) -> Option<String> {
    let script =
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])";
    let database = setup.data_dir().join("koios.db");
    let Ok(output) =
        std::process::Command::new("python3").arg("-c").arg(script).arg(database).arg(query).output()
    else {
        koios_testkit::skip("sqlite", "python3 was not found");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
