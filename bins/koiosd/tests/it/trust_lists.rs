//! R16 over HTTP: trusted, issuer and rejected server certificates, revocation lists, the inventory.

use koios_testkit::{CertificateSpec, ServerOptions, Stack, revocation_list, start};
use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    devices::{add, patch, path_of},
    supervision::{state, wait_for},
};

fn list(daemon: &Daemon, list: &str) -> Vec<Value> {
    let page = daemon.get(&format!("trust/server-certificates?list={list}")).expect(200);
    page["items"].as_array().unwrap().clone()
}

fn post(daemon: &Daemon, path: &str) -> crate::http::Answer {
    daemon.call("POST", path).send()
}

#[test]
fn r16_a_rejected_server_is_reviewed_trusted_and_rejected_again() {
    let setup = Setup::empty().with_environment("KOIOS_DEFAULT_SERVER_CERTIFICATE_POLICY", "trust_list");
    let daemon = setup.start();
    daemon.generate("A");
    let server = start(Stack::AsyncOpcua, ServerOptions::default()).expect("always there");
    let device = json!({
        "name": "Press 4", "endpoint_url": server.endpoint_url, "security_mode": "sign_and_encrypt", "enabled": true
    });
    let device = add(&daemon, &device);
    assert_eq!(device["server_certificate_policy"], "trust_list", "the default of new devices");
    let failed = wait_for(&daemon, &device, state("failed"));
    assert_eq!(failed["error_code"], "server_certificate_untrusted");
    let test = daemon.post(&format!("{}/test", path_of(&device)), &json!({})).expect(200);
    assert_eq!((&test["code"], &test["message"]), (&failed["error_code"], &failed["error_message"]));
    assert_eq!(test["causes"][0]["code"], "server_not_trusted");
    assert_eq!(test["remedy"][0]["link"], "/api/v1/trust/server-certificates?list=rejected");

    let rejected = list(&daemon, "rejected");
    let [entry] = rejected.as_slice() else { panic!("{rejected:?}") };
    let thumbprint = server.certificate().sha256();
    assert_eq!((&entry["thumbprint_sha256"], &entry["list"]), (&json!(thumbprint), &json!("rejected")));
    assert_eq!(entry["reason_code"], "server_certificate_untrusted");
    assert!(entry["reason"].is_string() && entry["first_seen"].is_string() && entry["last_seen"].is_string());
    assert_eq!(entry["devices"][0]["name"], "Press 4");
    let shown = daemon.get(&format!("{}/server-certificate", path_of(&device))).expect(200);
    assert_eq!(shown["verdict"]["code"], "server_certificate_untrusted", "{shown}");

    // The server does not trust our certificate yet, which is all that is left to cure.
    let trusted = post(&daemon, &format!("trust/server-certificates/{thumbprint}/trust")).expect(200);
    assert_eq!((&trusted["list"], &trusted["reason"]), (&json!("trusted"), &Value::Null));
    let refused = |status: &Value| status["error_code"] == "certificate_rejected_by_server";
    let failed = wait_for(&daemon, &device, refused);
    let ours = daemon.get("certificates").expect(200)["items"][0]["thumbprint_sha1"].clone();
    server.trust_rejected(ours.as_str().unwrap());
    wait_for(&daemon, &device, state("running"));
    assert_eq!(failed["error_message"], "Certificate rejected by server");
    assert!(list(&daemon, "rejected").is_empty());
    assert_eq!(list(&daemon, "trusted")[0]["devices"][0]["name"], "Press 4");
    let shown = daemon.get(&format!("{}/server-certificate", path_of(&device))).expect(200);
    assert_eq!(shown["verdict"]["message"], "The trust lists validate it");

    let inventory = daemon.get("endpoints").expect(200);
    assert_eq!((&inventory["total"], &inventory["next_cursor"]), (&json!(1), &Value::Null));
    let endpoint = &inventory["items"][0];
    assert_eq!(endpoint["endpoint_url"], server.endpoint_url);
    assert_eq!(endpoint["certificates"][0]["thumbprint_sha256"], thumbprint);
    assert!(endpoint["certificates"][0]["first_seen"].is_string());
    assert_eq!(endpoint["devices"][0]["name"], "Press 4");

    let entry = post(&daemon, &format!("trust/server-certificates/{thumbprint}/reject")).expect(200);
    assert_eq!((&entry["list"], &entry["reason_code"]), (&json!("rejected"), &Value::Null));
    assert_eq!(entry["reason"], "An administrator has rejected it");
    let untrusted = |status: &Value| status["error_code"] == "server_certificate_untrusted";
    wait_for(&daemon, &device, untrusted);

    let gone = daemon.call("DELETE", &format!("trust/server-certificates/{thumbprint}")).send();
    assert_eq!(gone.status, 204);
    let again = daemon.call("DELETE", &format!("trust/server-certificates/{thumbprint}")).send();
    again.expect_problem(404, "not_found");
}

#[test]
fn r16_authorities_and_their_revocation_lists_are_uploaded_listed_and_removed() {
    let daemon = Setup::empty().start();
    let authority = CertificateSpec::authority("Plant CA").make();
    let upload = |list: &str, bytes: &[u8]| {
        daemon
            .call("POST", "trust/server-certificates")
            .form(&[("certificate", bytes), ("list", list.as_bytes())])
            .send()
    };
    let created = upload("issuer", authority.pem().as_bytes());
    assert_eq!(created.header("location"), Some("/api/v1/trust/server-certificates?list=issuer"));
    let created = created.expect(201);
    assert_eq!((&created["list"], &created["common_name"]), (&json!("issuer"), &json!("Plant CA")));
    assert_eq!(created["findings"], json!([]), "an authority is no application");
    upload("issuer", authority.der()).expect_problem(409, "certificate_exists");
    assert_eq!(upload("trusted", authority.der()).expect(201)["list"], "trusted");
    assert_eq!(daemon.get("trust/server-certificates").expect(200)["total"], 2);
    let first = daemon.get("trust/server-certificates?limit=1").expect(200);
    assert_eq!(first["items"][0]["list"], "trusted");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = daemon.get(&format!("trust/server-certificates?limit=1&cursor={cursor}")).expect(200);
    assert_eq!((&second["items"][0]["list"], &second["next_cursor"]), (&json!("issuer"), &Value::Null));

    let crl = revocation_list(&authority, &[]);
    let add_crl = |bytes: &[u8]| daemon.call("POST", "trust/crls").form(&[("crl", bytes)]).send();
    let created = add_crl(&crl).expect(201);
    assert_eq!((&created["revoked_count"], &created["issuer_known"]), (&json!(0), &json!(true)));
    assert_eq!((&created["list"], &created["problem"]), (&json!("issuer"), &Value::Null));
    assert!(created["issuer"].as_str().unwrap().contains("CN=Plant CA"), "{created}");
    add_crl(&crl).expect_problem(409, "crl_exists");
    assert_eq!(daemon.get("trust/crls").expect(200)["items"], json!([created]));
    let sha256 = created["sha256"].as_str().unwrap();
    assert_eq!(daemon.call("DELETE", &format!("trust/crls/{sha256}")).send().status, 204);
    daemon.call("DELETE", &format!("trust/crls/{sha256}")).send().expect_problem(404, "not_found");
    assert_eq!(daemon.get("trust/crls").expect(200)["total"], 0);
}

#[test]
fn r16_what_cannot_be_read_or_does_not_fit_is_named() {
    let daemon = Setup::empty().start();
    let certificate = CertificateSpec::application("urn:server").make();
    let send = |path: &str, fields: &[(&str, &[u8])]| daemon.call("POST", path).form(fields).send();
    let certificates = "trust/server-certificates";
    for (fields, field) in [
        (vec![("certificate", certificate.der())], "list"),
        (vec![("certificate", certificate.der()), ("list", b"rejected")], "list"),
        (vec![("list", &b"trusted"[..])], "certificate"),
        (vec![("certificate", certificate.der()), ("list", b"trusted"), ("name", b"x")], "name"),
    ] {
        let problem = send(certificates, &fields).expect_problem(422, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let several = [certificate.pem(), CertificateSpec::authority("CA").make().pem()].concat();
    let problem = send(certificates, &[("certificate", several.as_bytes()), ("list", b"trusted")])
        .expect_problem(422, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "certificate");
    send(certificates, &[("certificate", b"rubbish"), ("list", b"trusted")])
        .expect_problem(422, "certificate_unreadable");
    let problem = send("trust/crls", &[("crl", b"rubbish")]).expect_problem(422, "crl_unreadable");
    assert_eq!(problem["errors"][0]["field"], "crl");
    send("trust/crls", &[]).expect_problem(422, "invalid_field");

    for path in ["trust/server-certificates?list=unknown", "trust/crls?list=trusted", "endpoints?limit=0"] {
        daemon.get(path).expect_problem(422, "invalid_field");
    }
    for (method, path) in [
        ("POST", "trust/server-certificates/nothing/trust"),
        ("POST", &format!("trust/server-certificates/{}/reject", "0".repeat(64))),
        ("DELETE", "trust/crls/nothing"),
    ] {
        daemon.call(method, path).send().expect_problem(404, "not_found");
    }
    daemon.call("PUT", "trust/crls").send().expect_problem(405, "method_not_allowed");
}

#[test]
fn r16_trust_is_changed_by_admins_and_shown_to_all() {
    let setup = Setup::empty();
    setup.start().stop();
    setup.add_tokens();
    let daemon = setup.start();
    let certificate = CertificateSpec::application("urn:server").make();
    let form = [("certificate", certificate.der()), ("list", &b"trusted"[..])];
    daemon.call("POST", "trust/server-certificates").form(&form).send().expect(201);
    let sha256 = certificate.sha256();
    for token in ["viewer", "operator"] {
        for (method, path) in [
            ("POST", "trust/server-certificates".to_owned()),
            ("POST", format!("trust/server-certificates/{sha256}/trust")),
            ("POST", format!("trust/server-certificates/{sha256}/reject")),
            ("DELETE", format!("trust/server-certificates/{sha256}")),
            ("POST", "trust/crls".to_owned()),
            ("DELETE", format!("trust/crls/{sha256}")),
        ] {
            let call = daemon.call(method, &path).token(token).form(&form);
            call.send().expect_problem(403, "forbidden");
        }
        for path in ["trust/server-certificates", "trust/crls", "endpoints"] {
            assert_eq!(daemon.call("GET", path).token(token).send().status, 200);
        }
    }
}

#[test]
fn r16_a_host_name_exception_is_shown_with_the_device() {
    let daemon = Setup::empty().start();
    let device = json!({
        "name": "Press 4", "endpoint_url": "opc.tcp://127.0.0.1:9", "security_mode": "sign",
        "server_certificate_policy": "trust_list"
    });
    let device = add(&daemon, &device);
    assert_eq!(device["warnings"], json!([]));
    let excepted = patch(&daemon, &device, &json!({ "server_host_name_check": false })).expect(200);
    assert_eq!(excepted["warnings"][0]["code"], "host_name_not_checked");
}
