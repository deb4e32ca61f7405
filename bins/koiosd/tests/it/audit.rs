//! The audit trail over HTTP and from the shell.

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    devices::{add, patch, path_of},
};

fn entries(daemon: &Daemon, query: &str) -> Vec<Value> {
    daemon.get(&format!("audit?limit=500{query}")).expect(200)["items"].as_array().unwrap().clone()
}

fn actions(daemon: &Daemon, query: &str) -> Vec<String> {
    let actions = entries(daemon, query);
    actions.iter().rev().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

/// One change of every kind, and a refused one.
fn busy_day(daemon: &Daemon) -> (Value, Value) {
    let first = daemon.generate("A");
    let second = daemon.generate("B");
    let id = |record: &Value| record["id"].as_str().unwrap().to_owned();
    let device =
        json!({ "name": "Press 4", "endpoint_url": "opc.tcp://127.0.0.1:9", "security_mode": "sign" });
    let device = add(daemon, &device);
    let secret = json!({ "user_identity": { "type": "username", "username": "op", "password": "a secret" } });
    patch(daemon, &device, &secret).expect(200);
    patch(daemon, &device, &secret_free()).expect(200);
    daemon.post(&format!("{}/enable", path_of(&device)), &json!({})).expect(200);
    daemon.post(&format!("{}/disable", path_of(&device)), &json!({})).expect(200);
    daemon.post(&format!("{}/disable", path_of(&device)), &json!({})).expect(200);
    let assign = json!({ "assign": [device["id"]] });
    daemon.call("PUT", &format!("certificates/{}/devices", id(&second))).json(&assign).send().expect(200);
    daemon.call("PUT", "certificates/default").json(&json!({ "id": id(&second) })).send().expect(200);
    let rename = json!({ "name": "Renamed" });
    let path = format!("certificates/{}", id(&first));
    let call = daemon.call("PATCH", &path).bytes("application/merge-patch+json", rename.to_string());
    call.send().expect(200);
    daemon.post(&format!("{path}/regenerate"), &json!({})).expect(200);
    daemon.get(&format!("{path}/private-key.pem"));
    daemon
        .call("DELETE", &format!("certificates/{}", id(&second)))
        .send()
        .expect_problem(409, "default_certificate_required");
    daemon.call("DELETE", &path).send().expect(200);
    assert_eq!(daemon.call("DELETE", &path_of(&device)).send().status, 204);
    (first, device)
}

fn secret_free() -> Value {
    json!({ "timeout_seconds": 20 })
}

#[test]
fn every_change_is_recorded_with_who_what_and_from_where_and_no_secret() {
    let daemon = Setup::empty().start();
    let (certificate, device) = busy_day(&daemon);
    let expected = [
        "token.created",
        "certificate.generated",
        "certificate.generated",
        "device.created",
        "device.updated",
        "device.updated",
        "device.enabled",
        "device.disabled",
        "certificate.assigned",
        "certificate.default_changed",
        "certificate.updated",
        "certificate.regenerated",
        "certificate.private_key_downloaded",
        "certificate.deleted",
        "device.deleted",
    ];
    assert_eq!(
        actions(&daemon, ""),
        expected,
        "once each, and nothing for what changed nothing or was refused"
    );
    let all = entries(&daemon, "");
    let (first, others) = all.split_last().expect("entries");
    assert_eq!((&first["actor"], &first["address"]), (&json!("koios"), &Value::Null), "the first token");
    assert!(
        others.iter().all(|entry| entry["address"] == "127.0.0.1" && entry["actor"].is_string()),
        "{all:?}"
    );
    assert!(!Value::Array(all.clone()).to_string().contains("a secret"));
    let sequences: Vec<_> = all.iter().map(|entry| entry["sequence"].as_i64().unwrap()).collect();
    assert_eq!(sequences, (1..=15).rev().collect::<Vec<_>>());

    let about = format!("&resource_id={}", certificate["id"].as_str().unwrap());
    let regenerated = &entries(&daemon, &format!("{about}&action=certificate.regenerated"))[0];
    assert_eq!(regenerated["before"]["thumbprint_sha256"], certificate["thumbprint_sha256"]);
    assert_ne!(regenerated["after"]["thumbprint_sha256"], certificate["thumbprint_sha256"]);
    assert_eq!(regenerated["resource"]["name"], "Renamed");
    let about = format!("&resource_id={}&action=device.updated", device["id"].as_str().unwrap());
    let updated = entries(&daemon, &about);
    assert_eq!(updated[0]["before"], json!({ "timeout_seconds": 10 }), "only what differs");
    assert_eq!(updated[0]["after"], json!({ "timeout_seconds": 20 }));
    assert_eq!(updated[1]["after"], json!({ "username": "op", "password": "changed" }));

    assert_eq!(entries(&daemon, "&actor=nobody"), Vec::<Value>::new());
    assert_eq!(entries(&daemon, "&from=2126-01-01T00:00:00Z"), Vec::<Value>::new());
    assert_eq!(entries(&daemon, "&to=2126-01-01T00:00:00Z").len(), 15);
    daemon.get("audit?from=yesterday").expect_problem(422, "invalid_field");
    daemon.get("audit?cursor=x").expect_problem(422, "invalid_field");
    let page = daemon.get("audit?limit=10").expect(200);
    assert_eq!(page["total"], 15);
    let rest = daemon.get(&format!("audit?cursor={}", page["next_cursor"].as_str().unwrap())).expect(200);
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (5, &Value::Null));
}

#[test]
fn the_trail_is_verified_and_exported_beside_the_daemon() {
    let setup = Setup::empty();
    let daemon = setup.start();
    busy_day(&daemon);
    let run = |arguments: &[&str]| {
        let (code, said, _) = setup.ended(arguments);
        (code, said)
    };
    let (code, said) = run(&["audit", "verify"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("15 entries\n") && said.contains("as it was written"), "{said}");
    let head = said.lines().find_map(|line| line.strip_prefix("head ")).expect("a head").to_owned();
    let (code, exported) = run(&["audit", "export"]);
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len()), (Some(0), 15));
    let newest_first: Vec<Value> = lines.into_iter().rev().collect();
    assert_eq!(newest_first, entries(&daemon, ""), "as the API answers them");
    daemon.stop();

    let daemon = setup.start();
    assert!(daemon.log().contains(&head), "the head is in the log of each start: {}", daemon.log());
    daemon.stop();
    assert_eq!(run(&["audit", "verify", "--head", &head]).0, Some(0));
    let other = format!("15:{}", "0".repeat(64));
    let (code, said) = run(&["audit", "verify", "--head", &other]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("FAULT: entry 15"), "{said}");
    assert_eq!(run(&["audit", "verify", "--head", "nonsense"]).0, Some(2));
    let nowhere = setup.folder().join("nowhere");
    assert_eq!(run(&["audit", "verify", "--data-dir", nowhere.to_str().unwrap()]).0, Some(3));
    assert!(!nowhere.exists());
}

#[test]
fn the_trail_is_for_admins() {
    let setup = Setup::empty();
    setup.start().stop();
    setup.add_tokens();
    let daemon = setup.start();
    for token in ["viewer", "operator"] {
        daemon.call("GET", "audit").token(token).send().expect_problem(403, "forbidden");
    }
    assert_eq!(daemon.call("GET", "audit").token("admin").send().status, 200);
}
