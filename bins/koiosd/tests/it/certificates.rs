//! List, generate, detail, patch, delete, default, assignment.

use std::{collections::BTreeSet, fs};

use koios_testkit::openssl;
use serde_json::{Value, json};

use crate::daemon::{Daemon, Setup};

const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

/// Every field of a certificate, as the contract lists them.
const FIELDS: &[&str] = &[
    "id",
    "revision",
    "name",
    "description",
    "is_default",
    "origin",
    "statuses",
    "common_name",
    "organization",
    "subject",
    "issuer",
    "self_signed",
    "application_uri",
    "dns_names",
    "ip_addresses",
    "not_before",
    "not_after",
    "expires_in_days",
    "key",
    "signature_algorithm",
    "serial_number",
    "thumbprint_sha1",
    "thumbprint_sha256",
    "chain_length",
    "device_count",
    "assigned_device_count",
    "files",
    "findings",
    "generation",
    "created_at",
    "updated_at",
];

#[track_caller]
fn assert_is_certificate(value: &Value) {
    let fields: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, FIELDS.iter().copied().collect());
    let fields = |name: &str| value[name].as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(fields("key"), ["algorithm", "bits", "curve"]);
    assert_eq!(fields("files"), ["certificate", "downloadable", "private_key"]);
    for name in ["not_before", "not_after", "created_at", "updated_at"] {
        assert!(value[name].as_str().unwrap().ends_with('Z'), "{name}: {value}");
    }
}

fn id(certificate: &Value) -> &str {
    certificate["id"].as_str().expect("an id")
}

fn path(certificate: &Value, rest: &str) -> String {
    format!("certificates/{}{rest}", id(certificate))
}

#[test]
fn r2_the_list_shows_name_common_name_expiry_devices_badges_and_the_star() {
    let daemon = Setup::new().start();
    daemon.generate("Plant A Certificate");
    let page = daemon.get("certificates").expect(200);
    assert_eq!((&page["total"], &page["next_cursor"]), (&json!(2), &Value::Null));
    for item in page["items"].as_array().unwrap() {
        assert_is_certificate(item);
    }
    let (default, plant) = (&page["items"][0], &page["items"][1]);
    assert_eq!((&default["name"], &default["is_default"]), (&json!("Default"), &json!(true)));
    assert_eq!((&plant["name"], &plant["is_default"]), (&json!("Plant A Certificate"), &json!(false)));
    assert_eq!(plant["common_name"], "Koios@gw01.plant.example");
    assert_eq!(plant["statuses"], json!(["valid"]));
    assert_eq!((&plant["device_count"], &plant["expires_in_days"]), (&json!(0), &json!(1094)));
}

#[test]
fn r2_the_list_is_searched_filtered_sorted_and_paged() {
    let daemon = Setup::empty().start();
    for (name, days) in [("Alpha", 20), ("beta", 400), ("Gamma", 100)] {
        let body = json!({ "name": name, "validity_days": days, "description": format!("made for {name}"), "hostname": format!("{name}.example") });
        daemon.post("certificates/generate", &body).expect(201);
    }
    let names = |query: &str| -> Vec<String> {
        let page = daemon.get(&format!("certificates{query}")).expect(200);
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(""), ["Alpha", "beta", "Gamma"]);
    assert_eq!(names("?sort=-name"), ["Gamma", "beta", "Alpha"]);
    assert_eq!(names("?sort=not_after"), ["Alpha", "Gamma", "beta"]);
    assert_eq!(names("?sort=created_at"), ["Alpha", "beta", "Gamma"]);
    assert_eq!(names("?sort=-common_name"), ["Gamma", "beta", "Alpha"]);
    assert_eq!(names("?sort=device_count").len(), 3);
    assert_eq!(names("?q=BETA"), ["beta"]);
    assert_eq!(names("?q=made+for+gamma"), ["Gamma"]);
    assert_eq!(names("?q=urn:koios:alpha"), ["Alpha"]);
    assert_eq!(names("?q=nothing").len(), 0);
    let thumbprint = daemon.get("certificates?q=beta").expect(200)["items"][0]["thumbprint_sha256"]
        .as_str()
        .unwrap()
        .to_lowercase();
    assert_eq!(names(&format!("?q={thumbprint}")), ["beta"]);
    assert_eq!(names("?status=expiring_soon"), ["Alpha"]);
    assert_eq!(names("?status=expired&status=expiring_soon"), ["Alpha"]);
    assert_eq!(names("?status=valid").len(), 3);

    let first = daemon.get("certificates?limit=2").expect(200);
    assert_eq!((first["items"].as_array().unwrap().len(), &first["total"]), (2, &json!(3)));
    daemon.generate("Aaa");
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(names(&format!("?limit=2&cursor={cursor}")), ["Gamma"]);
    daemon.get(&format!("certificates?sort=-name&cursor={cursor}")).expect_problem(422, "invalid_field");
}

#[test]
fn r3_badges_come_from_the_clock_and_the_disk_at_each_request() {
    let daemon = Setup::empty().start();
    let certificate = daemon.generate("A");
    let file = daemon.files_of(&certificate).join("private-key.pem");
    let kept = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let missing = daemon.get(&path(&certificate, "")).expect(200);
    assert_eq!(missing["statuses"], json!(["missing_files"]));
    assert_eq!(missing["files"], json!({ "certificate": true, "private_key": false, "downloadable": false }));
    assert_eq!(missing["thumbprint_sha256"], certificate["thumbprint_sha256"]);
    assert_is_certificate(&missing);
    daemon.get(&path(&certificate, "/certificate.der")).expect_problem(404, "files_missing");
    daemon.get(&path(&certificate, "/private-key.pem")).expect_problem(404, "files_missing");

    fs::write(&file, b"not what was stored").unwrap();
    let changed = daemon.get(&path(&certificate, "")).expect(200);
    assert_eq!(changed["statuses"], json!(["missing_files"]));
    let codes: Vec<_> =
        changed["findings"].as_array().unwrap().iter().map(|finding| &finding["code"]).collect();
    assert!(codes.contains(&&json!("files_changed")), "{codes:?}");
    daemon.get(&path(&certificate, "/chain.pem")).expect_problem(404, "files_missing");

    fs::write(&file, kept).unwrap();
    assert_eq!(daemon.get(&path(&certificate, "")).expect(200)["statuses"], json!(["valid"]));
    assert_eq!(daemon.get(&path(&certificate, "/certificate.der")).status, 200);
    let short =
        daemon.post("certificates/generate", &json!({ "name": "B", "validity_days": 30 })).expect(201);
    assert_eq!(short["statuses"], json!(["valid", "expiring_soon"]));
}

#[test]
fn r4_exactly_one_certificate_is_the_default_and_it_can_be_moved() {
    let daemon = Setup::new().start();
    let old = daemon.get("certificates").expect(200)["items"][0].clone();
    let new = daemon.generate("New");
    let dry = daemon.put("certificates/default?dry_run=true", &json!({ "id": new["id"] })).expect(200);
    assert_eq!((&dry["dry_run"], &dry["certificate"]["is_default"]), (&json!(true), &json!(false)));
    assert_eq!(daemon.get(&path(&old, "")).expect(200)["is_default"], true);

    let moved = daemon.put("certificates/default", &json!({ "id": new["id"] })).expect(200);
    assert_eq!(moved["previous_default"], json!({ "id": old["id"], "name": "Default" }));
    assert_eq!((&moved["certificate"]["is_default"], &moved["dry_run"]), (&json!(true), &json!(false)));
    assert_eq!(moved["affected_devices"], json!([]));
    let stars = daemon.get("certificates").expect(200)["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["is_default"] == true)
        .count();
    assert_eq!(stars, 1);

    let again = daemon.put("certificates/default", &json!({ "id": new["id"] })).expect(200);
    assert_eq!(again["certificate"]["revision"], moved["certificate"]["revision"]);
    let unknown = daemon.put("certificates/default", &json!({ "id": UNKNOWN }));
    let problem = unknown.expect_problem(422, "unknown_certificate");
    assert_eq!(problem["errors"][0]["field"], "id");
    assert!(!problem["detail"].as_str().unwrap().contains("assign"), "{problem}");

    fs::remove_file(daemon.files_of(&old).join("certificate.der")).unwrap();
    daemon
        .put("certificates/default", &json!({ "id": old["id"] }))
        .expect_problem(422, "certificate_not_usable");
    daemon
        .put("certificates/default?dry_run=true", &json!({ "id": old["id"] }))
        .expect_problem(422, "certificate_not_usable");
    let forced = daemon.put("certificates/default", &json!({ "id": old["id"], "force": true })).expect(200);
    assert_eq!(forced["certificate"]["is_default"], true);

    let third =
        daemon.post("certificates/generate", &json!({ "name": "Third", "make_default": true })).expect(201);
    assert_eq!(third["is_default"], true);
}

#[test]
fn r5_generate_puts_the_hostname_into_common_name_application_uri_and_alternative_names() {
    let daemon = Setup::empty().start();
    let body = json!({ "name": "Plant A Certificate", "description": "Line 1 and 2", "hostname": "GW01.plant.example." });
    let answer = daemon.post("certificates/generate", &body);
    let certificate = answer.json();
    assert_eq!(answer.status, 201);
    assert_is_certificate(&certificate);
    assert_eq!(
        answer.header("location"),
        Some(format!("/api/v1/certificates/{}", id(&certificate)).as_str())
    );
    assert_eq!(answer.header("etag"), Some(format!("\"{}\"", certificate["revision"]).as_str()));
    for (field, value) in [
        ("common_name", json!("Koios@gw01.plant.example")),
        ("organization", json!("Koios")),
        ("application_uri", json!("urn:koios:gw01.plant.example:plant-a-certificate")),
        ("dns_names", json!(["gw01.plant.example"])),
        ("ip_addresses", json!([])),
        ("description", json!("Line 1 and 2")),
        ("origin", json!("generated")),
        ("self_signed", json!(true)),
        ("key", json!({ "algorithm": "rsa", "bits": 2048, "curve": null })),
        ("signature_algorithm", json!("sha256WithRSAEncryption")),
        ("chain_length", json!(1)),
        ("generation", json!(1)),
        ("findings", json!([])),
        ("files", json!({ "certificate": true, "private_key": true, "downloadable": true })),
    ] {
        assert_eq!(certificate[field], value, "{field}");
    }
    assert_eq!(daemon.get(&path(&certificate, "")).expect(200), certificate);
    assert_eq!(daemon.get("certificates").expect(200)["items"], json!([certificate]));
    if !openssl::available_or_skip() {
        return;
    }
    let der = daemon.get(&path(&certificate, "/certificate.der")).body;
    let text = openssl::certificate_text(&der);
    for expected in [
        "CN=Koios@gw01.plant.example",
        "O=Koios",
        "URI:urn:koios:gw01.plant.example:plant-a-certificate, DNS:gw01.plant.example",
        "Public-Key: (2048 bit)",
        "sha256WithRSAEncryption",
        "CA:FALSE",
        "Digital Signature, Non Repudiation, Key Encipherment, Data Encipherment, Certificate Sign",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let serial =
        String::from_utf8(openssl::run(&["x509", "-inform", "DER", "-noout", "-serial"], &der)).unwrap();
    let hex = |text: &str| text.trim_start_matches('0').to_uppercase();
    assert_eq!(
        hex(serial.trim().trim_start_matches("serial=")),
        hex(certificate["serial_number"].as_str().unwrap())
    );
}

#[test]
fn r5_a_blank_hostname_is_the_systems() {
    let daemon = Setup::new().start();
    let default = daemon.get("certificates").expect(200)["items"][0].clone();
    for (name, hostname) in [("Null", json!(null)), ("Empty", json!("")), ("Blanks", json!("  "))] {
        let made =
            daemon.post("certificates/generate", &json!({ "name": name, "hostname": hostname })).expect(201);
        assert_eq!(made["common_name"], default["common_name"], "{name}");
    }
}

#[test]
fn r5_hostnames_of_every_kind_are_taken_or_refused_as_the_contract_says() {
    let daemon = Setup::empty().start();
    let generate = |number: usize, hostname: &str| {
        daemon.post("certificates/generate", &json!({ "name": format!("C{number}"), "hostname": hostname }))
    };
    let label = "a".repeat(63);
    for (number, (hostname, common_name, dns_names, ip_addresses)) in [
        ("PLC-1", "Koios@plc-1", json!(["plc-1"]), json!([])),
        ("bücher.example", "Koios@xn--bcher-kva.example", json!(["xn--bcher-kva.example"]), json!([])),
        ("gw_01", "Koios@gw_01", json!([]), json!([])),
        ("192.168.0.7", "Koios@192.168.0.7", json!([]), json!(["192.168.0.7"])),
        ("2001:DB8::1", "Koios@2001:db8::1", json!([]), json!(["2001:db8::1"])),
        (" padded ", "Koios@padded", json!(["padded"]), json!([])),
        (&format!("short.{label}"), "Koios@short", json!([format!("short.{label}")]), json!([])),
    ]
    .into_iter()
    .enumerate()
    {
        let made = generate(number, hostname).expect(201);
        assert_eq!(made["common_name"], common_name);
        assert_eq!((&made["dns_names"], &made["ip_addresses"]), (&dns_names, &ip_addresses), "{hostname}");
        assert!(made["application_uri"].as_str().unwrap().starts_with("urn:koios:"), "{hostname}");
    }
    let too_long = format!("{}.example", "a".repeat(64));
    for hostname in [
        ".",
        "..",
        "*.example",
        "host:4840",
        "two words",
        "a..b",
        "-a",
        "a-",
        "http://a",
        "a/b",
        "a@b",
        "a\nb",
        "a\u{0}b",
        "999.1.1.1",
        &label,
        &too_long,
        &"a.".repeat(200),
        "\u{202e}evil",
        "'; drop table certificates; --",
        "../../etc",
    ] {
        let problem = generate(99, hostname).expect_problem(422, "hostname_invalid");
        assert_eq!(problem["errors"][0]["field"], "hostname", "{hostname}");
    }
}

#[test]
fn r5_every_part_of_a_certificate_can_be_asked_for() {
    let daemon = Setup::empty().start();
    let made = daemon.post("certificates/generate", &json!({
        "name": "All", "hostname": "gw01", "organization": " Plant GmbH ", "validity_days": 9125,
        "key": { "algorithm": "rsa", "bits": 3072 }, "profile": "opcua-1.05", "dns_names": ["Alias.example", "gw01"],
        "ip_addresses": ["10.0.0.1", "2001:db8::7"], "application_uri": "urn:plant:all", "common_name": "Press Line",
    })).expect(201);
    for (field, value) in [
        ("common_name", json!("Press Line")),
        ("organization", json!("Plant GmbH")),
        ("application_uri", json!("urn:plant:all")),
        ("dns_names", json!(["gw01", "alias.example"])),
        ("ip_addresses", json!(["10.0.0.1", "2001:db8::7"])),
        ("key", json!({ "algorithm": "rsa", "bits": 3072, "curve": null })),
        ("expires_in_days", json!(9124)),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let plain = |name: &str| {
        daemon.post("certificates/generate", &json!({ "name": name, "hostname": "gw01" })).expect(201)
    };
    assert_eq!(plain("Line 1")["application_uri"], "urn:koios:gw01:line-1");
    assert_eq!(plain("line-1")["application_uri"], "urn:koios:gw01:line-1-2");
    assert_eq!(plain("Line #1")["application_uri"], "urn:koios:gw01:line-1-3");
    assert_eq!(plain("証明書")["application_uri"], "urn:koios:gw01:certificate");
}

#[test]
fn r7_names_and_descriptions_are_patched_and_null_clears_a_description() {
    let daemon = Setup::empty().start();
    let made =
        daemon.post("certificates/generate", &json!({ "name": "A", "description": "old" })).expect(201);
    daemon.generate("Taken");
    let patch = |media_type: &str, body: Value| {
        daemon.call("PATCH", &path(&made, "")).bytes(media_type, body.to_string()).send()
    };
    let json_patch = "application/merge-patch+json";
    assert_eq!(patch(json_patch, json!({})).expect(200)["description"], "old");
    let renamed = patch(json_patch, json!({ "name": "  Pu\u{308}mpe " })).expect(200);
    assert_eq!((&renamed["name"], &renamed["description"]), (&json!("P\u{fc}mpe"), &json!("old")));
    assert_eq!(renamed["application_uri"], made["application_uri"], "kept by rename");
    assert_eq!(
        patch("application/json", json!({ "description": null })).expect(200)["description"],
        Value::Null
    );
    patch(json_patch, json!({ "name": "TAKEN" })).expect_problem(409, "name_taken");
    for body in [
        json!({ "name": null }),
        json!({ "name": "" }),
        json!({ "name": " " }),
        json!({ "name": "a\nb" }),
        json!({ "name": "x".repeat(129) }),
        json!({ "name": 5 }),
        json!({ "description": 5 }),
        json!({ "description": "x".repeat(1025) }),
        json!({ "origin": "uploaded" }),
        json!({ "is_default": true }),
        json!([]),
    ] {
        patch(json_patch, body).expect_problem(422, "invalid_field");
    }
    patch("application/json-patch+json", json!({})).expect_problem(415, "unsupported_media_type");
    assert_eq!(patch(json_patch, json!({ "description": "x".repeat(1024) })).status, 200);
    assert_eq!(patch(json_patch, json!({ "name": "x".repeat(128) })).status, 200);
}

#[test]
fn r10_the_default_is_never_deleted_and_others_are_with_their_files() {
    let daemon = Setup::new().start();
    let default = daemon.get("certificates").expect(200)["items"][0].clone();
    let other = daemon.generate("Other");
    let dry = daemon.delete(&path(&other, "?dry_run=true")).expect(200);
    assert_eq!(dry["dry_run"], true);
    assert!(daemon.files_of(&other).join("private-key.pem").exists());
    let deleted = daemon.delete(&path(&other, "")).expect(200);
    assert_eq!(
        deleted,
        json!({
            "deleted": other["id"], "reassigned_devices": [], "now_using": { "id": default["id"], "name": "Default" }, "dry_run": false
        })
    );
    assert!(!daemon.files_of(&other).join("private-key.pem").exists());
    daemon.get(&path(&other, "")).expect_problem(404, "not_found");
    daemon.delete(&path(&other, "")).expect_problem(404, "not_found");
    for query in ["", "?dry_run=true"] {
        daemon.delete(&path(&default, query)).expect_problem(409, "default_certificate_required");
    }
    assert_eq!(daemon.get("certificates").expect(200)["total"], 1);
    assert_eq!(daemon.generate("Other")["application_uri"], "urn:koios:gw01.plant.example:other");
}

#[test]
fn unknown_devices_are_refused_and_nothing_is_generated_or_assigned() {
    let daemon = Setup::empty().start();
    let made = daemon.generate("A");
    let devices = daemon.get(&path(&made, "/devices")).expect(200);
    assert_eq!(devices, json!({ "items": [], "total": 0, "next_cursor": null }));
    let body = json!({ "name": "B", "assign_to": [UNKNOWN] });
    daemon.post("certificates/generate", &body).expect_problem(422, "unknown_device");
    for query in ["", "?dry_run=true"] {
        let path = path(&made, &format!("/devices{query}"));
        daemon.put(&path, &json!({ "assign": [UNKNOWN] })).expect_problem(422, "unknown_device");
        let nothing = daemon.put(&path, &json!({ "assign": [], "unassign": [] })).expect(200);
        assert_eq!((&nothing["assigned"], &nothing["unassigned"]), (&json!([]), &json!([])));
        assert_is_certificate(&nothing["certificate"]);
    }
    assert_same(&daemon, &made);
}

/// Nothing has happened to the only certificate, and no other came.
#[track_caller]
fn assert_same(daemon: &Daemon, certificate: &Value) {
    assert_eq!(daemon.get("certificates").expect(200)["items"], json!([certificate]));
}

#[test]
fn an_organization_is_never_empty_and_a_request_comes_before_the_setting() {
    let organization_of = |daemon: &Daemon, name: &str, organization: Value| {
        let body = json!({ "name": name, "hostname": "a", "organization": organization });
        daemon.post("certificates/generate", &body).expect(201)["organization"].clone()
    };
    let daemon = Setup::empty().start();
    assert_eq!(organization_of(&daemon, "A", Value::Null), "Koios");
    assert_eq!(organization_of(&daemon, "B", json!("  ")), "Koios");
    assert_eq!(organization_of(&daemon, "C", json!(" Plant ")), "Plant");
    let daemon = Setup::empty().with_environment("KOIOS_ORGANIZATION", "Setting").start();
    assert_eq!(organization_of(&daemon, "A", json!("")), "Setting");
    assert_eq!(organization_of(&daemon, "B", json!("Plant")), "Plant");
}

#[test]
fn an_application_uri_is_made_unique_and_kept_by_rename_and_regenerate() {
    let daemon = Setup::empty().start();
    let uri = |name: &str| daemon.generate(name)["application_uri"].as_str().unwrap().to_owned();
    assert_eq!(uri("Plant A"), "urn:koios:gw01.plant.example:plant-a");
    assert_eq!(uri("Plant+A"), "urn:koios:gw01.plant.example:plant-a-2");
    assert_eq!(uri("証明書"), "urn:koios:gw01.plant.example:certificate");
    assert_eq!(uri("!"), "urn:koios:gw01.plant.example:certificate-2");
    let first = daemon.get("certificates?q=plant-a&sort=created_at").expect(200)["items"][0].clone();
    let path = format!("certificates/{}", first["id"].as_str().unwrap());
    let renamed = daemon.call("PATCH", &path).json(&json!({ "name": "Plant B" })).send().expect(200);
    assert_eq!(renamed["application_uri"], first["application_uri"]);
    let body = json!({ "hostname": "gw02.plant.example" });
    let regenerated = daemon.post(&format!("{path}/regenerate"), &body).expect(200);
    assert_eq!(regenerated["certificate"]["application_uri"], first["application_uri"]);
    assert_eq!(regenerated["certificate"]["common_name"], "Koios@gw02.plant.example");
    assert_eq!(regenerated["certificate"]["dns_names"], json!(["gw02.plant.example"]));
}
