//! R18: a server that keeps certificates as the Prosys OPC UA Simulation Server does.

use koios_testkit::ProsysStandIn;
use serde_json::json;

use crate::{daemon::Setup, devices::path_of};

#[test]
fn r18_the_trust_guide_of_a_prosys_simulation_server_names_the_file_that_it_wrote() {
    let pki = tempfile::tempdir().unwrap();
    let server = ProsysStandIn::start(pki.path(), 0).unwrap();
    let daemon = Setup::new().start();
    let device =
        json!({ "name": "Press", "endpoint_url": server.endpoint_url, "security_mode": "sign_and_encrypt" });
    let device = daemon.post("devices", &device).expect(201);
    let test = || daemon.post(&format!("{}/test", path_of(&device)), &json!({})).expect(200);

    let refused = test();
    assert_eq!(refused["code"], "certificate_rejected_by_server", "{refused}");
    let guide = daemon.get(refused["remedy"][0]["link"].as_str().expect("the trust guide")).expect(200);
    assert_eq!(guide["product"]["id"], "prosys-simulation-server", "{guide}");
    assert_eq!(guide["product"]["recognised_by"], "product_uri", "{guide}");
    let name = guide["rejected_file_name"].as_str().expect("a name");
    assert!(guide["rejected_location"].as_str().is_some_and(|place| place.ends_with("/PKI/CA/rejected")));
    assert!(guide["trusted_location"].as_str().is_some_and(|place| place.ends_with("/PKI/CA/certs")));

    std::fs::rename(server.rejected().join(name), server.trusted().join(name)).expect("the file lies there");
    let connected = test();
    assert_eq!(connected["code"], "connected", "{connected}");
}
