//! Certificate requests and the answers of an authority, which is openssl here.

use koios_testkit::openssl;
use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    http::Answer,
};

fn path(certificate: &Value, rest: &str) -> String {
    format!("certificates/{}{rest}", certificate["id"].as_str().expect("an id"))
}

/// An authority that signs what it is asked to.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let authority = Self { folder };
        let (key, certificate) = (authority.file("ca.key"), authority.file("ca.pem"));
        openssl::run(
            &[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                &key,
                "-out",
                &certificate,
                "-days",
                "100",
                "-subj",
                "/CN=Plant CA/O=Plant",
                "-addext",
                "basicConstraints=critical,CA:TRUE",
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
            ],
            b"",
        );
        authority
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// PEM of the certificate that the request asks for.
    pub(crate) fn sign(&self, csr: &Value) -> Vec<u8> {
        let pem = csr["pem"].as_str().unwrap();
        openssl::run(&["req", "-noout", "-verify"], pem.as_bytes());
        self.sign_with(pem.as_bytes(), &["-copy_extensions", "copyall"])
    }

    /// Without options it leaves out every extension that was asked for.
    fn sign_with(&self, request: &[u8], options: &[&str]) -> Vec<u8> {
        let (certificate, key) = (self.file("ca.pem"), self.file("ca.key"));
        let arguments = ["x509", "-req", "-CA", &certificate, "-CAkey", &key, "-days", "90"];
        openssl::run(&[&arguments, options].concat(), request)
    }

    fn certificate(&self) -> Vec<u8> {
        std::fs::read(self.file("ca.pem")).unwrap()
    }

    /// The certificate with that of the authority as PKCS#7, DER.
    fn pkcs7(&self, certificate: &[u8]) -> Vec<u8> {
        let both = self.file("both.pem");
        std::fs::write(&both, [certificate, &self.certificate()].concat()).unwrap();
        openssl::run(&["crl2pkcs7", "-nocrl", "-certfile", &both, "-outform", "DER"], b"")
    }
}

fn install(daemon: &Daemon, certificate: &Value, query: &str, file: &[u8]) -> Answer {
    daemon.call("POST", &path(certificate, &format!("/install{query}"))).form(&[("certificate", file)]).send()
}

#[test]
fn a_request_for_a_new_key_is_answered_by_an_authority_and_installed() {
    if !openssl::available_or_skip() {
        return;
    }
    let authority = Authority::new();
    let setup = Setup::new();
    let daemon = setup.start();
    let made = daemon.generate("Plant A Certificate");
    let press = daemon
        .post(
            "devices",
            &json!({ "name": "Press", "endpoint_url": "opc.tcp://127.0.0.1:1/", "security_mode": "sign",
                "certificate_id": made["id"] }),
        )
        .expect(201);
    let csr = daemon.post(&path(&made, "/csr"), &json!({ "new_key": true })).expect(200);
    assert!(csr["pem"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"));
    assert_eq!(csr["pending"]["key"], json!({ "algorithm": "rsa", "bits": 2048, "curve": null }));
    assert_eq!(csr["pending"]["new_key"], true);
    assert_eq!(csr["pending"]["public_key_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(daemon.get(&path(&made, "/csr")).expect(200), csr);
    assert_eq!(daemon.get(&path(&made, "")).expect(200), {
        // Being named by a device is no change of the certificate.
        let mut shown = made.clone();
        shown["device_count"] = json!(1);
        shown["assigned_device_count"] = json!(1);
        shown
    });
    let problem = daemon.post(&path(&made, "/csr"), &json!({})).expect_problem(409, "operation_in_progress");
    assert!(problem["detail"].as_str().unwrap().contains("drop the request"), "{problem}");

    // The request outlives the process.
    daemon.stop();
    let daemon = setup.start();
    assert_eq!(daemon.get(&path(&made, "/csr")).expect(200), csr);

    let issued = authority.sign(&csr);
    let answer = authority.pkcs7(&issued);
    let preview = install(&daemon, &made, "?dry_run=true", &answer).expect(200);
    assert_eq!((&preview["dry_run"], &preview["certificate"]["generation"]), (&json!(true), &json!(1)));
    let installed = install(&daemon, &made, "", &answer).expect(200);
    let now = &installed["certificate"];
    assert_eq!((&now["id"], &now["name"], &now["origin"]), (&made["id"], &made["name"], &json!("issued")));
    assert_eq!((&now["issuer"], &now["self_signed"]), (&json!("CN=Plant CA, O=Plant"), &json!(false)));
    assert_eq!(now["chain_length"], 2);
    for field in ["subject", "application_uri", "dns_names", "ip_addresses", "common_name"] {
        assert_eq!(now[field], made[field], "{field}");
    }
    assert_eq!(now["statuses"], json!(["valid"]));
    assert_eq!(installed["previous"]["thumbprint_sha256"], made["thumbprint_sha256"]);
    assert_eq!(installed["affected_devices"][0]["id"], press["id"]);
    let message = installed["message"].as_str().unwrap();
    assert!(message.contains("a new key and certificate"), "{message}");
    assert!(
        message.contains("trusts the new certificate or its authority \"CN=Plant CA, O=Plant\""),
        "{message}"
    );
    assert_eq!(installed["was_ca_issued"], false);
    daemon.get(&path(&made, "/csr")).expect_problem(409, "no_pending_request");
    let key = daemon.get(&path(&made, "/private-key.pem")).body;
    let public = openssl::run(&["pkey", "-pubout"], &key);
    assert_eq!(public, openssl::run(&["x509", "-noout", "-pubkey"], &issued));
    let folders = std::fs::read_dir(daemon.data_dir().join(path(&made, ""))).unwrap().count();
    assert_eq!(folders, 1, "neither the old nor the staged key is left");
}

#[test]
fn a_request_for_the_key_in_use_keeps_the_key_and_ends_with_it() {
    if !openssl::available_or_skip() {
        return;
    }
    let authority = Authority::new();
    let daemon = Setup::empty().start();
    let made = daemon.generate("A");
    let key = daemon.get(&path(&made, "/private-key.pem")).body;
    let csr = daemon.call("POST", &path(&made, "/csr")).send().expect(200);
    assert_eq!(csr["pending"]["new_key"], false);
    // PEM, leaf alone.
    let installed = install(&daemon, &made, "", &authority.sign(&csr)).expect(200);
    assert_eq!(installed["certificate"]["generation"], 2);
    let message = installed["message"].as_str().unwrap();
    assert!(message.contains("a new certificate for the same key"), "{message}");
    assert_eq!(daemon.get(&path(&made, "/private-key.pem")).body, key);
    let codes: Vec<_> = installed["certificate"]["findings"].as_array().unwrap().iter().collect();
    assert!(codes.iter().any(|finding| finding["code"] == "chain_incomplete"), "{codes:?}");

    daemon.post(&path(&made, "/csr"), &json!({ "new_key": false })).expect(200);
    let again = daemon.post(&path(&made, "/regenerate"), &json!({})).expect(200);
    assert_eq!((&again["request_dropped"], &again["was_ca_issued"]), (&json!(true), &json!(true)));
    daemon.get(&path(&made, "/csr")).expect_problem(409, "no_pending_request");
}

#[test]
fn what_does_not_answer_the_request_is_refused_and_changes_nothing() {
    if !openssl::available_or_skip() {
        return;
    }
    let authority = Authority::new();
    let daemon = Setup::empty().start();
    let (made, other) = (daemon.generate("A"), daemon.generate("B"));
    install(&daemon, &made, "", b"x").expect_problem(409, "no_pending_request");
    daemon.post(&path(&made, "/csr"), &json!({ "new_key": true })).expect(200);
    let others = daemon.post(&path(&other, "/csr"), &json!({ "new_key": true })).expect(200);
    let before = daemon.get(&path(&made, "")).expect(200);

    install(&daemon, &made, "", &authority.sign(&others)).expect_problem(422, "key_mismatch");
    install(&daemon, &made, "", b"<html>").expect_problem(422, "certificate_unreadable");
    let csr = daemon.get(&path(&made, "/csr")).expect(200);
    let request = csr["pem"].as_str().unwrap().as_bytes();
    let problem = install(&daemon, &made, "", request).expect_problem(422, "certificate_unreadable");
    assert!(problem["detail"].as_str().unwrap().contains("certificate request"), "{problem}");
    daemon.call("POST", &path(&made, "/install")).form(&[]).send().expect_problem(422, "invalid_field");

    let renamed = authority.sign_with(request, &[]);
    install(&daemon, &made, "", &renamed).expect_problem(422, "application_uri_changed");
    let stale = daemon
        .call("POST", &path(&made, "/install"))
        .header("if-match", "\"7\"")
        .form(&[("certificate", &authority.sign(&csr))])
        .send();
    stale.expect_problem(412, "revision_mismatch");
    assert_eq!(daemon.get(&path(&made, "")).expect(200), before);
    let allowed = install(&daemon, &made, "?allow_uri_change=true", &renamed).expect(200);
    assert_eq!(allowed["certificate"]["application_uri"], Value::Null);

    daemon.post(&path(&other, "/csr"), &json!({})).expect_problem(409, "operation_in_progress");
    assert_eq!(daemon.delete(&path(&other, "/csr")).status, 204);
    daemon.delete(&path(&other, "/csr")).expect_problem(409, "no_pending_request");
    let key = json!({ "algorithm": "rsa", "bits": 3072 });
    let problem =
        daemon.post(&path(&other, "/csr"), &json!({ "key": key })).expect_problem(422, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "key");
    let longer = daemon.post(&path(&other, "/csr"), &json!({ "new_key": true, "key": key })).expect(200);
    assert_eq!(longer["pending"]["key"]["bits"], 3072);
    let unknown = "certificates/01a21a37-0000-7000-8000-000000000000";
    for (method, rest) in [("GET", "csr"), ("POST", "csr"), ("DELETE", "csr")] {
        daemon.call(method, &format!("{unknown}/{rest}")).send().expect_problem(404, "not_found");
    }
    daemon
        .call("POST", &format!("{unknown}/install"))
        .form(&[("certificate", b"x")])
        .send()
        .expect_problem(404, "not_found");
}

#[test]
fn without_the_key_file_no_request_for_the_key_in_use_can_be_made() {
    let daemon = Setup::empty().start();
    let made = daemon.generate("A");
    std::fs::remove_file(daemon.files_of(&made).join("private-key.pem")).unwrap();
    daemon.post(&path(&made, "/csr"), &json!({})).expect_problem(404, "files_missing");
    let csr = daemon.post(&path(&made, "/csr"), &json!({ "new_key": true })).expect(200);
    assert_eq!(csr["pending"]["new_key"], true);
}

#[test]
fn requests_need_an_operator_and_leave_a_trace() {
    let setup = Setup::new();
    // The first start makes the admin's token; the store is free for more of them afterwards.
    setup.start().stop();
    setup.add_tokens();
    let daemon = setup.start();
    let made = daemon.get("certificates").expect(200)["items"][0].clone();
    for (method, rest) in [("POST", "/csr"), ("DELETE", "/csr")] {
        daemon.call(method, &path(&made, rest)).token("viewer").send().expect_problem(403, "forbidden");
    }
    daemon.call("POST", &path(&made, "/csr")).token("operator").send().expect(200);
    daemon.call("GET", &path(&made, "/csr")).token("viewer").send().expect(200);
    assert_eq!(daemon.call("DELETE", &path(&made, "/csr")).token("operator").send().status, 204);
    daemon.stop();
    assert_audit(&setup, &["certificate.request_created", "certificate.request_dropped"]);
}

/// The actions of the audit trail after the making of the certificates, in their order.
fn assert_audit(setup: &Setup, expected: &[&str]) {
    let actions = "select group_concat(action, ' ') from (select action from audit \
                   where action not in ('certificate.generated', 'token.created') order by sequence)";
    if let Some(actions) = crate::downloads::ask_database(setup, actions) {
        assert_eq!(actions, expected.join(" "));
    }
}

#[test]
fn a_request_that_ends_with_the_key_in_use_leaves_a_trace_and_a_dry_run_none() {
    let setup = Setup::new();
    let daemon = setup.start();
    let made = daemon.generate("A");
    daemon.post(&path(&made, "/csr"), &json!({})).expect(200);
    daemon.post(&path(&made, "/regenerate?dry_run=true"), &json!({})).expect(200);
    daemon.post(&path(&made, "/regenerate"), &json!({ "key": null })).expect(200);
    daemon.post(&path(&made, "/csr"), &json!({ "new_key": true, "key": null })).expect(200);
    daemon.call("DELETE", &path(&made, "?dry_run=true")).send().expect(200);
    daemon.call("DELETE", &path(&made, "")).send().expect(200);
    daemon.stop();
    assert_audit(
        &setup,
        &[
            "certificate.request_created",
            "certificate.regenerated",
            "certificate.request_dropped",
            "certificate.request_created",
            "certificate.deleted",
            "certificate.request_dropped",
        ],
    );
}

#[test]
fn an_answer_is_taken_in_every_form() {
    if !openssl::available_or_skip() {
        return;
    }
    let authority = Authority::new();
    let daemon = Setup::new().start();
    for (name, with_authority) in
        [("DER", false), ("PEM", false), ("PEM chain", true), ("PEM chain, root first", true)]
    {
        let made = daemon.generate(name);
        let csr = daemon.post(&path(&made, "/csr"), &json!({})).expect(200);
        let issued = authority.sign(&csr);
        let answer = match name {
            "DER" => openssl::run(&["x509", "-outform", "DER"], &issued),
            "PEM" => issued.clone(),
            "PEM chain" => [issued.clone(), authority.certificate()].concat(),
            _ => [authority.certificate(), issued.clone()].concat(),
        };
        let installed = install(&daemon, &made, "", &answer).expect(200);
        let length = if with_authority { 2 } else { 1 };
        assert_eq!(installed["certificate"]["chain_length"], length, "{name}");
        let der = openssl::run(&["x509", "-outform", "DER"], &issued);
        assert_eq!(daemon.get(&path(&made, "/certificate.der")).body, der, "{name}");
    }
}

#[test]
fn a_certificate_of_an_authority_that_is_regenerated_says_so() {
    if !openssl::available_or_skip() {
        return;
    }
    let authority = Authority::new();
    let daemon = Setup::empty().start();
    let before = daemon.generate("A");
    let csr = daemon.post(&path(&before, "/csr"), &json!({})).expect(200);
    let installed = install(&daemon, &before, "", &authority.sign(&csr)).expect(200);
    let issued = &installed["certificate"];
    assert_eq!((&issued["origin"], &issued["self_signed"]), (&json!("issued"), &json!(false)));
    assert_eq!(installed["was_ca_issued"], false);
    for query in ["?dry_run=true", ""] {
        let answer = daemon.post(&path(&before, &format!("/regenerate{query}")), &json!({})).expect(200);
        assert_eq!(answer["was_ca_issued"], true, "{query}");
        assert!(answer["message"].as_str().unwrap().contains("certification authority"), "{answer}");
        assert_eq!(answer["previous"]["thumbprint_sha256"], issued["thumbprint_sha256"]);
    }
    let after = daemon.get(&path(&before, "")).expect(200);
    assert_eq!((&after["origin"], &after["self_signed"]), (&json!("generated"), &json!(true)));
    for same in ["id", "name", "common_name", "organization", "application_uri", "dns_names", "key"] {
        assert_eq!(after[same], before[same], "{same}");
    }
}
