//! R9: a new key and certificate in place.

use std::fs;

use koios_testkit::openssl;
use serde_json::{Value, json};

use crate::daemon::Setup;

fn path(certificate: &Value, rest: &str) -> String {
    format!("certificates/{}{rest}", certificate["id"].as_str().expect("an id"))
}

#[test]
fn r9_regenerate_keeps_id_name_and_identity_and_changes_key_and_certificate() {
    let daemon = Setup::empty().start();
    let before = daemon.post("certificates/generate", &json!({
        "name": "A", "hostname": "gw01.example", "dns_names": ["alias"], "ip_addresses": ["10.0.0.1"], "organization": "Plant",
        "validity_days": 77, "description": "kept",
    })).expect(201);
    let old_files = daemon.files_of(&before);

    let dry =
        daemon.post(&path(&before, "/regenerate?dry_run=true"), &json!({ "validity_days": 5 })).expect(200);
    assert_eq!((&dry["dry_run"], &dry["certificate"]), (&json!(true), &before));
    assert_eq!(dry["previous"]["thumbprint_sha256"], before["thumbprint_sha256"]);
    assert_eq!(daemon.get(&path(&before, "")).expect(200), before);

    let answer = daemon.call("POST", &path(&before, "/regenerate")).send().expect(200);
    let after = &answer["certificate"];
    for field in [
        "id",
        "name",
        "description",
        "is_default",
        "common_name",
        "organization",
        "application_uri",
        "dns_names",
        "ip_addresses",
        "key",
        "origin",
        "expires_in_days",
        "created_at",
    ] {
        assert_eq!(after[field], before[field], "{field}");
    }
    for field in ["thumbprint_sha1", "thumbprint_sha256", "serial_number", "revision"] {
        assert_ne!(after[field], before[field], "{field}");
    }
    assert_eq!(after["generation"], 2);
    assert_eq!(
        answer["previous"],
        json!({
            "thumbprint_sha1": before["thumbprint_sha1"], "thumbprint_sha256": before["thumbprint_sha256"], "not_after": before["not_after"]
        })
    );
    assert_eq!(
        (&answer["affected_devices"], &answer["was_ca_issued"], &answer["dry_run"]),
        (&json!([]), &json!(false), &json!(false))
    );
    assert!(answer["message"].as_str().unwrap().contains("trust"), "{answer}");
    assert!(!old_files.join("private-key.pem").exists(), "the old key is gone before the answer");
    assert!(daemon.files_of(after).join("private-key.pem").exists());
    assert_eq!(&daemon.get(&path(&before, "")).expect(200), after);
}

#[test]
fn r9_regenerate_works_without_files_and_from_a_patch_of_the_host_the_validity_and_the_key() {
    let daemon = Setup::empty().start();
    let before = daemon.generate("A");
    fs::remove_dir_all(daemon.files_of(&before)).unwrap();
    let body = json!({ "hostname": "GW02.plant.example", "validity_days": 10, "key": { "algorithm": "rsa", "bits": 3072 } });
    let answer = daemon.post(&path(&before, "/regenerate"), &body).expect(200);
    let after = &answer["certificate"];
    assert_eq!(after["common_name"], "Koios@gw02.plant.example");
    assert_eq!(after["dns_names"], json!(["gw02.plant.example"]));
    assert_eq!(after["application_uri"], before["application_uri"], "the application URI stays");
    assert_eq!((&after["key"]["bits"], &after["expires_in_days"]), (&json!(3072), &json!(9)));
    assert_eq!(after["statuses"], json!(["valid", "expiring_soon"]));

    let again = daemon.post(&path(&before, "/regenerate"), &json!({})).expect(200);
    assert_eq!(
        (&again["certificate"]["key"]["bits"], &again["certificate"]["expires_in_days"]),
        (&json!(3072), &json!(9))
    );
    for body in [
        json!({ "name": "B" }),
        json!({ "validity_days": 0 }),
        json!({ "key": { "algorithm": "rsa", "bits": 1024 } }),
        json!({ "key": {} }),
    ] {
        daemon.post(&path(&before, "/regenerate"), &body).expect_problem(422, "invalid_field");
        daemon.post(&path(&before, "/regenerate?dry_run=true"), &body).expect_problem(422, "invalid_field");
    }
    daemon
        .post(&path(&before, "/regenerate"), &json!({ "hostname": "*" }))
        .expect_problem(422, "hostname_invalid");
    assert_eq!(daemon.get(&path(&before, "")).expect(200)["generation"], 3);
}

#[test]
fn r9_the_regenerated_pair_belongs_together() {
    if !openssl::available_or_skip() {
        return;
    }
    let daemon = Setup::empty().start();
    let before = daemon.generate("A");
    daemon.call("POST", &path(&before, "/regenerate")).send().expect(200);
    let der = daemon.get(&path(&before, "/certificate.der")).body;
    let key = daemon.get(&path(&before, "/private-key.pem")).body;
    let of_certificate = openssl::run(&["x509", "-inform", "DER", "-noout", "-pubkey"], &der);
    let of_key = openssl::run(&["pkey", "-pubout"], &key);
    assert_eq!(of_certificate, of_key);
    openssl::run(&["rsa", "-check", "-noout"], &key);
}

#[test]
fn an_answer_with_a_certificate_has_its_revision_as_entity_tag() {
    let daemon = Setup::empty().start();
    let first = daemon.generate("A");
    let second = daemon.generate("B");
    for answer in [
        daemon.post(&path(&first, "/regenerate?dry_run=true"), &json!({})),
        daemon.post(&path(&first, "/regenerate"), &json!({})),
        daemon.put("certificates/default", &json!({ "id": second["id"] })),
    ] {
        let revision = answer.json()["certificate"]["revision"].to_string();
        assert_eq!(answer.header("etag"), Some(format!("\"{revision}\"").as_str()));
    }
}

#[test]
fn r9_the_history_of_a_certificate_shows_the_pairs_it_had_newest_first() {
    let daemon = Setup::empty().start();
    let first = daemon.generate("A");
    let history = |query: &str| daemon.get(&path(&first, &format!("/history{query}")));
    assert_eq!(history("").expect(200), json!({ "items": [], "total": 0, "next_cursor": null }));
    let second = daemon.post(&path(&first, "/regenerate"), &json!({})).expect(200)["certificate"].clone();
    let other = koios_testkit::CertificateSpec::application("urn:plant:other").make();
    let form: &[(&str, &[u8])] = &[
        ("certificate", other.der()),
        ("private_key", other.key_pem().as_bytes()),
        ("allow_uri_change", b"true"),
    ];
    daemon.call("POST", &path(&first, "/replace")).form(form).send().expect(200);

    let page = history("").expect(200);
    assert_eq!(page["total"], 2);
    for (past, (certificate, generation, reason)) in
        page["items"].as_array().unwrap().iter().zip([(&second, 2, "replaced"), (&first, 1, "regenerated")])
    {
        let mut fields: Vec<&str> = past.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "from",
                "generation",
                "not_after",
                "not_before",
                "reason",
                "thumbprint_sha1",
                "thumbprint_sha256",
                "until"
            ]
        );
        assert_eq!((&past["generation"], &past["reason"]), (&json!(generation), &json!(reason)));
        for field in ["thumbprint_sha1", "thumbprint_sha256", "not_before", "not_after"] {
            assert_eq!(past[field], certificate[field], "{field}");
        }
    }
    assert_eq!(page["items"][1]["from"], first["created_at"]);
    assert_eq!(page["items"][1]["until"], page["items"][0]["from"]);

    let newest = history("?limit=1").expect(200);
    assert_eq!(newest["items"], json!([page["items"][0]]));
    let cursor = newest["next_cursor"].as_str().unwrap();
    let oldest = history(&format!("?limit=1&cursor={cursor}")).expect(200);
    assert_eq!((&oldest["items"], &oldest["next_cursor"]), (&json!([page["items"][1]]), &Value::Null));
    daemon.get("certificates/00000000-0000-7000-8000-000000000000/history").expect_problem(404, "not_found");
}
