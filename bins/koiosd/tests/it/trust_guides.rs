//! R18: what a person does at the server.

use koios_testkit::{ServerOptions, Stack, start_or_skip};
use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    devices::path_of,
};

fn guide(daemon: &Daemon, device: &Value, query: &str) -> Value {
    daemon.get(&format!("{}/trust-guide{query}", path_of(device))).expect(200)
}

#[test]
fn r18_products_can_be_chosen_from_a_list() {
    let daemon = Setup::empty().start();
    let page = daemon.get("trust-guides").expect(200);
    let items = page["items"].as_array().unwrap();
    assert_eq!((&page["total"], &page["next_cursor"]), (&json!(items.len()), &Value::Null));
    let prosys = items.iter().find(|product| product["id"] == "prosys-simulation-server").unwrap();
    assert_eq!((&prosys["vendor"], &prosys["confidence"]), (&json!("Prosys OPC"), &json!("high")));
    assert_eq!(items.last().unwrap()["id"], "generic");
    let first = daemon.get("trust-guides?limit=2").expect(200);
    assert_eq!(first["items"], json!(items[..2]));
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = daemon.get(&format!("trust-guides?cursor={cursor}")).expect(200);
    assert_eq!((&rest["items"], &rest["next_cursor"]), (&json!(items[2..]), &Value::Null));
    let problem = daemon.get("trust-guides?cursor=nobody").expect_problem(422, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "cursor");
}

#[test]
fn r18_a_server_never_seen_has_the_generic_guide_and_a_product_can_be_chosen_by_hand() {
    let daemon = Setup::new().start();
    let device = json!({ "name": "Press", "endpoint_url": "opc.tcp://127.0.0.1:9", "security_mode": "sign" });
    let device = daemon.post("devices", &device).expect(201);
    let generic = guide(&daemon, &device, "");
    assert_eq!(generic["product"]["id"], "generic");
    assert_eq!(generic["product"]["recognised_by"], Value::Null);
    assert_eq!(generic["rejected_file_name"], Value::Null);

    let certificate = &device["effective_certificate"]["id"].as_str().unwrap();
    let sha1 = daemon.get(&format!("certificates/{certificate}")).expect(200)["thumbprint_sha1"].clone();
    let prosys = guide(&daemon, &device, "?product=prosys-simulation-server");
    assert_eq!(prosys["product"]["recognised_by"], "chosen");
    assert_eq!(prosys["rejected_file_name"], format!("{}.der", sha1.as_str().unwrap()));
    assert_eq!(prosys["certificate_download"], format!("/api/v1/certificates/{certificate}/certificate.der"));
    assert!(prosys["steps"].as_array().unwrap().len() > 3, "{prosys}");
    let problem = daemon
        .get(&format!("{}/trust-guide?product=nobody", path_of(&device)))
        .expect_problem(422, "invalid_field");
    assert_eq!(problem["errors"][0]["field"], "product", "{problem}");

    // The device's own choice, which a question may overrule.
    let change = json!({ "trust_guide_product": "siemens-s7-1500" });
    crate::devices::patch(&daemon, &device, &change).expect(200);
    assert_eq!(guide(&daemon, &device, "")["product"]["id"], "siemens-s7-1500");
    assert_eq!(guide(&daemon, &device, "?product=codesys")["product"]["id"], "codesys");
    // Without security there is no certificate to trust.
    crate::devices::patch(&daemon, &device, &json!({ "security_mode": "none" })).expect(200);
    let shown = guide(&daemon, &device, "?product=prosys-simulation-server");
    assert_eq!((&shown["certificate_download"], &shown["rejected_file_name"]), (&Value::Null, &Value::Null));
    daemon.get("devices/00000000-0000-7000-8000-000000000000/trust-guide").expect_problem(404, "not_found");
}

/// The name is true: the file lies there.
#[test]
fn r18_a_refused_test_recognises_the_server_and_names_the_file_that_it_wrote() {
    for (stack, product) in [(Stack::NodeOpcua, "node-opcua"), (Stack::AsyncOpcua, "async-opcua-rust")] {
        let Some(server) = start_or_skip(stack, ServerOptions::default()) else { continue };
        let daemon = Setup::new().start();
        let device = json!({ "name": "Press", "endpoint_url": server.endpoint_url, "security_mode": "sign" });
        let device = daemon.post("devices", &device).expect(201);
        let report = daemon.post(&format!("{}/test", path_of(&device)), &json!({})).expect(200);
        assert_eq!(report["code"], "certificate_rejected_by_server", "{report}");
        let link = report["remedy"][0]["link"].as_str().unwrap();
        assert_eq!(link, format!("/api/v1/{}/trust-guide", path_of(&device)));

        let query = if product == "node-opcua" { String::new() } else { format!("?product={product}") };
        let shown = guide(&daemon, &device, &query);
        assert_eq!(shown["product"]["id"], product, "{} {shown}", report["server"]);
        if query.is_empty() {
            assert_eq!(shown["product"]["recognised_by"], "product_uri", "{shown}");
        }
        let name = shown["rejected_file_name"].as_str().unwrap();
        let sha1 = report["client_certificate"]["thumbprint_sha1"].as_str().unwrap();
        assert_eq!(server.wait_for_rejected(sha1).file_name().unwrap(), name);
    }
}
