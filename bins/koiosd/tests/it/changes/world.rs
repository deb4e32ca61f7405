//! What there is, as a client of the API sees it.

use std::collections::{BTreeMap, BTreeSet};

use koios_pki::{Certificate, PrivateKey, PrivateKeyPem};
use koios_store::{Store, StoreOptions};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::daemon::Daemon;

/// Everything that one client looks after, by kind and name. What no change may touch unseen stands in the values.
pub(crate) type State = BTreeMap<String, Value>;

/// The certificate that was there before the clients; the first of them looks after it and after the default.
pub(crate) const FIRST: &str = "Default";

/// Where the default stands in the first client's state.
pub(crate) const DEFAULT: &str = "default";

pub(crate) fn certificate_key(name: &str) -> String {
    format!("certificate {name}")
}

pub(crate) fn device_key(name: &str) -> String {
    format!("device {name}")
}

pub(crate) fn server_key(thumbprint: &str) -> String {
    format!("server {thumbprint}")
}

pub(crate) fn revocation_list_key(sha256: &str) -> String {
    format!("revocation list {sha256}")
}

/// What is remembered of a certificate; `pending` is the key of the request that waits.
pub(crate) fn certificate_entry(shown: &Value, pending: Value) -> Value {
    json!({
        "id": shown["id"], "thumbprint": shown["thumbprint_sha256"], "generation": shown["generation"],
        "origin": shown["origin"], "description": shown["description"], "pending": pending,
    })
}

/// What is remembered of a device.
pub(crate) fn device_entry(shown: &Value, password: Value) -> Value {
    json!({
        "id": shown["id"], "certificate_id": shown["certificate_id"], "enabled": shown["enabled"],
        "scan_rate_seconds": shown["scan_rate_seconds"], "password": password,
    })
}

/// Whose it is: `client 3 …` belongs to client 3.
pub(crate) fn owner(name: &str) -> usize {
    if name == FIRST {
        return 0;
    }
    let number = name.strip_prefix("client ").and_then(|rest| rest.split(' ').next());
    number.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("nobody made {name:?}"))
}

/// Everything there is, sorted by whom it belongs to; what can be wrong for anybody is an error here.
pub(crate) fn observe(daemon: &Daemon, clients: usize) -> Vec<State> {
    let mut states = vec![State::new(); clients];
    let mut defaults = Vec::new();
    let certificates = items(daemon, "certificates");
    for shown in &certificates {
        let name = text(&shown["name"]);
        assert_eq!(shown["files"]["downloadable"], true, "half a certificate: {shown}");
        assert!(shown["statuses"].as_array().expect("statuses").contains(&json!("valid")), "{shown}");
        if shown["is_default"] == true {
            defaults.push(text(&shown["id"]).to_owned());
        }
        let entry = certificate_entry(shown, pending(daemon, text(&shown["id"])));
        states[owner(name)].insert(certificate_key(name), entry);
    }
    assert_eq!(defaults.len(), 1, "there is always exactly one default");
    states[0].insert(DEFAULT.to_owned(), json!(defaults[0]));

    let ids: BTreeSet<&str> = certificates.iter().map(|shown| text(&shown["id"])).collect();
    let devices = items(daemon, "devices");
    let passwords = passwords(daemon, &devices);
    for (shown, password) in devices.iter().zip(passwords) {
        let named = &shown["certificate_id"];
        assert!(named.as_str().is_none_or(|id| ids.contains(id)), "it names what is not there: {shown}");
        let name = text(&shown["name"]);
        states[owner(name)].insert(device_key(name), device_entry(shown, password));
    }
    for list in ["trusted", "issuer", "rejected"] {
        for shown in items(daemon, &format!("trust/server-certificates?list={list}")) {
            // Row and file belong together: the reason stands in a row, the list is a folder.
            assert_eq!(shown["reason"].is_null(), list != "rejected", "{shown}");
            let key = server_key(text(&shown["thumbprint_sha256"]));
            let earlier = states[owner(text(&shown["common_name"]))].insert(key, json!({ "list": list }));
            assert_eq!(earlier, None, "in two lists: {shown}");
        }
    }
    for shown in items(daemon, "trust/crls") {
        let issuer = text(&shown["issuer"]);
        let name = issuer.split(", ").find_map(|part| part.strip_prefix("CN=")).expect("a common name");
        states[owner(name)].insert(revocation_list_key(text(&shown["sha256"])), json!({}));
    }
    states
}

/// Everything that there is but one device, when there is one client.
pub(crate) fn observe_without(daemon: &Daemon, device: &str) -> State {
    let mut state = observe(daemon, 1).remove(0);
    let id = device.strip_prefix("devices/").expect("a device");
    state.retain(|key, entry| !(key.starts_with("device ") && entry["id"] == id));
    state
}

/// All items of a list, however many pages it has.
fn items(daemon: &Daemon, path: &str) -> Vec<Value> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut page = daemon.get(&format!("{path}{separator}limit=500")).expect(200);
    let mut items = page["items"].as_array().expect("items").clone();
    while let Some(cursor) = page["next_cursor"].as_str() {
        page = daemon.get(&format!("{path}{separator}limit=500&cursor={cursor}")).expect(200);
        items.extend(page["items"].as_array().expect("items").iter().cloned());
    }
    items
}

fn pending(daemon: &Daemon, id: &str) -> Value {
    let answer = daemon.get(&format!("certificates/{id}/csr"));
    match answer.status {
        200 => answer.json()["pending"]["public_key_sha256"].clone(),
        _ => {
            answer.expect_problem(409, "no_pending_request");
            Value::Null
        }
    }
}

/// The passwords as the supervisor would read them, beside the daemon.
fn passwords(daemon: &Daemon, devices: &[Value]) -> Vec<Value> {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = StoreOptions::new(daemon.data_dir());
        let store = Store::open_for_reading(options).await.expect("the store opens beside the daemon");
        let mut passwords = Vec::new();
        for device in devices {
            let id = text(&device["id"]).parse().expect("an id");
            let password = store.device_password(id).await.expect("the password opens");
            passwords.push(password.map_or(Value::Null, |password| json!(*password)));
        }
        store.close().await;
        passwords
    })
}

/// The certificate and the key that can be downloaded are those of the entry, and belong together.
pub(crate) fn require_pair(daemon: &Daemon, entry: &Value) {
    let id = text(&entry["id"]);
    let der = daemon.get(&format!("certificates/{id}/certificate.der"));
    assert_eq!(der.status, 200, "{}", der.text());
    let certificate = Certificate::from_der(&der.body).expect("a certificate");
    assert_eq!(certificate.thumbprint_sha256().to_string(), text(&entry["thumbprint"]));
    let pem = daemon.get(&format!("certificates/{id}/private-key.pem"));
    assert_eq!(pem.status, 200, "{}", pem.text());
    let key = PrivateKey::from_pem(&PrivateKeyPem::from_bytes(pem.body)).expect("a private key");
    assert!(key.matches(&certificate), "the key of {id} is another certificate's");
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}"))
}
