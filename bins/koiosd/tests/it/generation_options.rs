//! What can be asked of generation beyond the name: keys on curves, profiles, the rest of the subject.

use koios_testkit::{Policy, ServerOptions, Stack, start_or_skip};
use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    http::Answer,
    supervision::{state, wait_for},
};

fn path(certificate: &Value, rest: &str) -> String {
    format!("certificates/{}{rest}", certificate["id"].as_str().expect("an id"))
}

#[track_caller]
fn generate(daemon: &Daemon, name: &str, key: &str, value: Value) -> Answer {
    let mut body = json!({ "name": name, "hostname": "gw01.plant.example" });
    body[key] = value;
    daemon.post("certificates/generate", &body)
}

fn codes(certificate: &Value) -> Vec<&str> {
    let findings = certificate["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

fn on_curve(daemon: &Daemon, name: &str, curve: &str) -> Value {
    generate(daemon, name, "key", json!({ "algorithm": "ec", "curve": curve })).expect(201)
}

#[test]
fn r5_the_rest_of_the_subject_is_written_and_kept_when_it_is_regenerated() {
    let daemon = Setup::empty().start();
    let made = daemon
        .post(
            "certificates/generate",
            &json!({ "name": "A", "hostname": "gw01", "organization": "Plant", "organizational_unit": " Line 1 ",
                "locality": "Ulm", "state": "Baden-Württemberg", "country": "de" }),
        )
        .expect(201);
    let subject = "CN=Koios@gw01, O=Plant, OU=Line 1, L=Ulm, ST=Baden-Württemberg, C=DE";
    assert_eq!(made["subject"], subject);
    assert_eq!(codes(&made), [""; 0]);
    let again = daemon.post(&path(&made, "/regenerate"), &json!({})).expect(200);
    assert_eq!(again["certificate"]["subject"], subject);
}

#[test]
fn keys_on_curves_are_generated_shown_downloaded_and_regenerated() {
    let daemon = Setup::new().start();
    for (curve, signature) in [("p256", "ecdsa-with-SHA256"), ("p384", "ecdsa-with-SHA384")] {
        let made = on_curve(&daemon, curve, curve);
        assert_eq!(made["key"], json!({ "algorithm": "ec", "bits": null, "curve": curve }));
        assert_eq!(made["signature_algorithm"], signature);
        assert_eq!(made["statuses"], json!(["valid"]));
        let pem = daemon.get(&path(&made, "/private-key.pem"));
        assert_eq!(pem.status, 200);
        let der = daemon.get(&path(&made, "/certificate.der")).body;
        // What is downloaded can be uploaded elsewhere.
        let elsewhere = Setup::empty().start();
        let fields: &[(&str, &[u8])] = &[("name", b"B"), ("certificate", &der), ("private_key", &pem.body)];
        let uploaded = elsewhere.call("POST", "certificates/upload").form(fields).send().expect(201);
        assert_eq!(uploaded["thumbprint_sha256"], made["thumbprint_sha256"]);
        let again = daemon.post(&path(&made, "/regenerate"), &json!({})).expect(200);
        assert_eq!(again["certificate"]["key"], made["key"], "the kind of key is kept");
    }
    let plain = generate(&daemon, "defaults", "key", json!({ "algorithm": "ec" })).expect(201);
    assert_eq!(plain["key"]["curve"], "p256");
    let plain = generate(&daemon, "default RSA", "key", json!({ "algorithm": "rsa" })).expect(201);
    assert_eq!(plain["key"]["bits"], 2048);
}

#[test]
fn certificates_on_curves_connect_where_a_policy_takes_them_and_a_test_says_where_none_does() {
    let daemon = Setup::new().start();
    let curve = on_curve(&daemon, "Curve", "p256");
    let der = daemon.get(&path(&curve, "/certificate.der")).body;
    let options = |key_bits, policies: &[Policy]| ServerOptions {
        key_bits,
        policies: policies.to_vec(),
        trusted: vec![der.clone()],
        ..ServerOptions::default()
    };
    let Some(server) = start_or_skip(Stack::Open62541, options(256, &[Policy::EccNistP256])) else { return };
    for policy in ["auto", "ECC_nistP256"] {
        for mode in ["sign", "sign_and_encrypt"] {
            let report = test(&daemon, &server.endpoint_url, mode, policy, &curve);
            assert_eq!(
                (&report["code"], &report["endpoint"]["security_policy"]),
                (&json!("connected"), &json!("ECC_nistP256")),
                "{report}"
            );
        }
    }
    let offered = [Policy::EccNistP256, Policy::EccNistP256ChaChaPoly, Policy::EccNistP256AesGcm];
    let Some(newer) = start_or_skip(Stack::Open62541, options(256, &offered)) else { return };
    for (policy, taken) in [
        ("auto", "ECC_nistP256_AesGcm"),
        ("ECC_nistP256_ChaChaPoly", "ECC_nistP256_ChaChaPoly"),
        ("ECC_nistP256", "ECC_nistP256"),
    ] {
        let report = test(&daemon, &newer.endpoint_url, "sign_and_encrypt", policy, &curve);
        assert_eq!(
            (&report["code"], &report["endpoint"]["security_policy"]),
            (&json!("connected"), &json!(taken)),
            "{report}"
        );
    }
    for (policy, code, stage) in [
        ("Basic256Sha256", "certificate_key_type_unsupported", "certificate"),
        ("ECC_nistP384", "certificate_key_type_unsupported", "certificate"),
    ] {
        let report = test(&daemon, &server.endpoint_url, "sign", policy, &curve);
        assert_eq!((&report["code"], &report["failed_stage"]), (&json!(code), &json!(stage)), "{report}");
    }
    let rsa_only =
        koios_testkit::start(Stack::AsyncOpcua, options(2048, &Policy::RSA)).expect("always there");
    let report = test(&daemon, &rsa_only.endpoint_url, "sign", "auto", &curve);
    assert_eq!(report["code"], "no_matching_endpoint", "{report}");
    assert!(report["detail"].as_str().unwrap().contains("elliptic-curve key (P256)"), "{report}");

    // A device keeps its session, and an RSA certificate is what a server on curves cannot use.
    let device = json!({ "name": "Press", "endpoint_url": server.endpoint_url, "security_mode": "sign_and_encrypt",
        "certificate_id": curve["id"], "enabled": true });
    let device = daemon.post("devices", &device).expect(201);
    wait_for(&daemon, &device, state("running"));
    let rsa = daemon.generate("RSA");
    let report = test(&daemon, &server.endpoint_url, "sign", "auto", &rsa);
    assert_eq!(report["code"], "no_matching_endpoint", "{report}");
}

#[track_caller]
fn test(daemon: &Daemon, url: &str, mode: &str, policy: &str, certificate: &Value) -> Value {
    let body = json!({ "endpoint_url": url, "security_mode": mode, "security_policy": policy,
        "certificate_id": certificate["id"] });
    daemon.post("devices/test", &body).expect(200)
}

#[test]
fn the_profile_for_older_peers_marks_the_certificate_as_its_own_authority_and_is_kept() {
    let daemon = Setup::empty().start();
    let made = generate(&daemon, "Old", "profile", json!("legacy-1.04")).expect(201);
    assert_eq!(codes(&made), ["legacy_ca_certificate"]);
    let finding = &made["findings"][0];
    assert!(finding["peers"].as_array().unwrap().contains(&json!("open62541")), "{finding}");
    let again = daemon.post(&path(&made, "/regenerate"), &json!({})).expect(200);
    assert_eq!(codes(&again["certificate"]), ["legacy_ca_certificate"]);
    let problem =
        generate(&daemon, "Request", "profile", json!("ca-issued")).expect_problem(422, "invalid_field");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("/csr"), "{problem}");
}
