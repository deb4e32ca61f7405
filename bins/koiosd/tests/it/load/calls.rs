//! Everything a client may do. What it makes it also takes away again.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::client::{Client, id};

/// One thing that clients do, in one call or a few.
pub(super) struct Calls {
    /// How often it is chosen, among all of them.
    pub(super) weight: u64,
    /// Whether it makes a key and a certificate.
    pub(super) generates: bool,
    pub(super) make: fn(&mut Client),
}

const fn often(weight: u64, make: fn(&mut Client)) -> Calls {
    Calls { weight, generates: false, make }
}

const fn generating(make: fn(&mut Client)) -> Calls {
    Calls { weight: 1, generates: true, make }
}

pub(super) const CALLS: &[Calls] = &[
    often(60, list_certificates),
    often(40, read_certificate),
    often(6, list_devices_of_a_certificate),
    often(6, list_earlier_certificates),
    often(10, download),
    often(1, download_encrypted_keys),
    often(10, describe_certificate),
    often(4, assign_device),
    often(2, set_default),
    often(1, upload_and_delete),
    often(1, replace),
    generating(generate_and_delete),
    generating(regenerate),
    generating(ask_authority),
    often(60, list_devices),
    often(40, read_device),
    often(30, read_status),
    often(6, read_device_history),
    often(10, change_device),
    often(2, enable_and_disable),
    often(2, create_and_delete_device),
    often(1, export_and_import_devices),
    often(3, test_device),
    often(3, discover),
    often(2, approve_server_certificate),
    often(6, read_trust_guide),
    often(4, list_trust_guides),
    often(10, list_trust),
    often(2, change_trust_lists),
    often(2, change_revocation_lists),
    often(6, list_endpoints),
    often(10, list_audit),
    often(10, read_system),
    often(4, read_metrics),
    often(4, ask_for_health),
    often(1, read_document),
    often(1, use_token),
    often(2, follow_events),
];

fn list_certificates(client: &mut Client) {
    let queries = [
        "",
        "?limit=500",
        "?sort=-not_after&limit=10",
        "?q=client&sort=name",
        "?status=valid&status=expiring_soon",
        "?status=missing_files",
        "?sort=-device_count&limit=20",
    ];
    let query = *client.random.one_of(&queries).expect("some");
    let page = client.get("GET /api/v1/certificates", &format!("/api/v1/certificates{query}"));
    if let Some(cursor) = page["next_cursor"].as_str() {
        let and = if query.is_empty() { "?" } else { "&" };
        client.get("GET /api/v1/certificates", &format!("/api/v1/certificates{query}{and}cursor={cursor}"));
    }
}

fn own(client: &Client, rest: &str) -> String {
    format!("/api/v1/certificates/{}{rest}", client.certificate)
}

fn read_certificate(client: &mut Client) {
    client.get("GET /api/v1/certificates/{id}", &own(client, ""));
}

fn list_devices_of_a_certificate(client: &mut Client) {
    client.get("GET /api/v1/certificates/{id}/devices", &own(client, "/devices?limit=20"));
}

fn list_earlier_certificates(client: &mut Client) {
    client.get("GET /api/v1/certificates/{id}/history", &own(client, "/history"));
}

fn download(client: &mut Client) {
    client.get("GET /api/v1/certificates/{id}/certificate.der", &own(client, "/certificate.der"));
    client.get("GET /api/v1/certificates/{id}/certificate.pem", &own(client, "/certificate.pem"));
    client.get("GET /api/v1/certificates/{id}/chain.pem", &own(client, "/chain.pem"));
    client.get("GET /api/v1/certificates/{id}/private-key.pem", &own(client, "/private-key.pem"));
}

fn download_encrypted_keys(client: &mut Client) {
    let body = json!({ "passphrase": "a passphrase of the load" });
    client.json("POST /api/v1/certificates/{id}/private-key.pem", &own(client, "/private-key.pem"), &body);
    client.json("POST /api/v1/certificates/{id}/bundle.p12", &own(client, "/bundle.p12"), &body);
}

fn describe_certificate(client: &mut Client) {
    let found = client.answer("GET /api/v1/certificates/{id}", &own(client, ""), |call| call);
    let Some(found) = found else { return };
    let tag = found.header("etag").expect("a certificate has one").to_owned();
    let body = json!({ "description": format!("Seen at {}", client.random.below(1000)) });
    client.send("PATCH /api/v1/certificates/{id}", &own(client, ""), |call| {
        call.header("If-Match", tag).json(&body)
    });
}

fn assign_device(client: &mut Client) {
    let path = own(client, "/devices");
    let one = [client.device.clone()];
    client.json("PUT /api/v1/certificates/{id}/devices", &path, &json!({ "assign": one }));
    client.json("PUT /api/v1/certificates/{id}/devices", &path, &json!({ "unassign": one }));
}

/// All devices would connect again if it really changed.
fn set_default(client: &mut Client) {
    let system = client.get("GET /api/v1/system", "/api/v1/system");
    let operation = "PUT /api/v1/certificates/default";
    let same = json!({ "id": system["default_certificate_id"] });
    client.json(operation, "/api/v1/certificates/default", &same);
    let other = json!({ "id": client.certificate });
    client.json(operation, "/api/v1/certificates/default?dry_run=true", &other);
}

fn upload_and_delete(client: &mut Client) {
    let spare = client.spare.clone();
    let name = format!("Spare of client {}", client.number);
    let fields = [
        ("name", name.as_bytes()),
        ("certificate", spare.der()),
        ("private_key", spare.key_pem().as_bytes()),
    ];
    let made = client.form("POST /api/v1/certificates/upload", "/api/v1/certificates/upload", &fields);
    delete_certificate(client, &made);
}

fn delete_certificate(client: &mut Client, made: &Value) {
    let operation = "DELETE /api/v1/certificates/{id}";
    let path = format!("/api/v1/certificates/{}", id(made));
    client.get(operation, &format!("{path}?dry_run=true"));
    client.get(operation, &path);
}

fn replace(client: &mut Client) {
    client.in_use = 1 - client.in_use;
    let pair = client.pairs[client.in_use].clone();
    let path = format!("/api/v1/certificates/{}/replace", client.uploaded);
    let fields = [("certificate", pair.der()), ("private_key", pair.key_pem().as_bytes())];
    client.form("POST /api/v1/certificates/{id}/replace", &path, &fields);
}

fn generate_and_delete(client: &mut Client) {
    let name = format!("Passing of client {}", client.number);
    let body = json!({ "name": name, "key": { "algorithm": "ec", "curve": "p256" } });
    let key = format!("load-{}-{}", client.number, client.random.next());
    let mut once = || {
        client.send("POST /api/v1/certificates/generate", "/api/v1/certificates/generate", |call| {
            call.header("Idempotency-Key", key.clone()).json(&body)
        })
    };
    let (made, again) = (once(), once());
    if made != again {
        client.tally.wrong.push(format!("a repeated request made another: {made} and {again}"));
    }
    delete_certificate(client, &made);
}

fn regenerate(client: &mut Client) {
    let operation = "POST /api/v1/certificates/{id}/regenerate";
    client.json(operation, &own(client, "/regenerate?dry_run=true"), &json!({}));
    client.json(operation, &own(client, "/regenerate"), &json!({}));
}

fn ask_authority(client: &mut Client) {
    let path = |rest: &str| format!("/api/v1/certificates/{}{rest}", client.issued);
    let (csr, install) = (path("/csr"), path("/install"));
    client.json("POST /api/v1/certificates/{id}/csr", &csr, &json!({ "new_key": true }));
    client.get("DELETE /api/v1/certificates/{id}/csr", &csr);
    client.json("POST /api/v1/certificates/{id}/csr", &csr, &json!({ "new_key": false }));
    let request = client.get("GET /api/v1/certificates/{id}/csr", &csr);
    if request["pem"].is_string() {
        let answer = client.authority.clone().sign(&request);
        client.form("POST /api/v1/certificates/{id}/install", &install, &[("certificate", &answer)]);
    }
}

fn list_devices(client: &mut Client) {
    let queries = [
        "",
        "?limit=500",
        "?q=fleet&sort=-name",
        "?state=running&limit=10",
        "?security_mode=none",
        "?enabled=false",
    ];
    let query = *client.random.one_of(&queries).expect("some");
    client.get("GET /api/v1/devices", &format!("/api/v1/devices{query}"));
}

fn device(client: &Client, rest: &str) -> String {
    format!("/api/v1/devices/{}{rest}", client.device)
}

fn read_device(client: &mut Client) {
    client.get("GET /api/v1/devices/{id}", &device(client, ""));
}

fn read_status(client: &mut Client) {
    client.get("GET /api/v1/devices/{id}/status", &device(client, "/status"));
}

fn read_device_history(client: &mut Client) {
    client.get("GET /api/v1/devices/{id}/history", &device(client, "/history?limit=20"));
}

fn change_device(client: &mut Client) {
    let body = json!({ "description": format!("Line {}", client.random.below(9)), "scan_rate_seconds": 5 });
    client.json("PATCH /api/v1/devices/{id}", &device(client, ""), &body);
}

fn enable_and_disable(client: &mut Client) {
    client.get("POST /api/v1/devices/{id}/enable", &device(client, "/enable"));
    client.get("POST /api/v1/devices/{id}/disable", &device(client, "/disable"));
}

fn create_and_delete_device(client: &mut Client) {
    let name = format!("Passing of client {}", client.number);
    let body = json!({ "name": name, "endpoint_url": client.endpoint_url });
    let made = client.json("POST /api/v1/devices", "/api/v1/devices", &body);
    client.get("DELETE /api/v1/devices/{id}", &format!("/api/v1/devices/{}", id(&made)));
}

fn export_and_import_devices(client: &mut Client) {
    client.get("GET /api/v1/devices/export", "/api/v1/devices/export");
    let name = format!("Imported by client {}", client.number);
    let body = json!({ "version": 1, "devices": [{ "name": name, "endpoint_url": client.endpoint_url }] });
    client.json("POST /api/v1/devices/import", "/api/v1/devices/import?dry_run=true", &body);
}

fn test_device(client: &mut Client) {
    client.json("POST /api/v1/devices/{id}/test", &device(client, "/test"), &json!({}));
    let body = json!({ "endpoint_url": client.endpoint_url, "security_mode": "sign_and_encrypt" });
    client.json("POST /api/v1/devices/test", "/api/v1/devices/test", &body);
}

fn discover(client: &mut Client) {
    let body = json!({ "endpoint_url": client.endpoint_url });
    client.json("POST /api/v1/discovery/endpoints", "/api/v1/discovery/endpoints", &body);
}

fn approve_server_certificate(client: &mut Client) {
    let path = device(client, "/server-certificate");
    let shown = client.get("GET /api/v1/devices/{id}/server-certificate", &path);
    if let Some(presented) = shown["presented"]["thumbprint_sha256"].as_str() {
        let body = json!({ "thumbprint_sha256": presented });
        client.json(
            "POST /api/v1/devices/{id}/server-certificate/approve",
            &device(client, "/server-certificate/approve"),
            &body,
        );
        client.get("DELETE /api/v1/devices/{id}/server-certificate", &path);
    }
}

fn read_trust_guide(client: &mut Client) {
    client.get("GET /api/v1/devices/{id}/trust-guide", &device(client, "/trust-guide"));
}

fn list_trust_guides(client: &mut Client) {
    client.get("GET /api/v1/trust-guides", "/api/v1/trust-guides");
}

fn list_trust(client: &mut Client) {
    let queries = ["", "?list=trusted", "?list=rejected&limit=10"];
    let query = *client.random.one_of(&queries).expect("some");
    let path = format!("/api/v1/trust/server-certificates{query}");
    client.get("GET /api/v1/trust/server-certificates", &path);
    client.get("GET /api/v1/trust/crls", "/api/v1/trust/crls");
}

fn change_trust_lists(client: &mut Client) {
    let der = client.spare.der().to_vec();
    let path = |rest: &str| format!("/api/v1/trust/server-certificates/{}{rest}", client.spare.sha256());
    let (reject, trust, whole) = (path("/reject"), path("/trust"), path(""));
    let fields: [(&str, &[u8]); 2] = [("certificate", &der), ("list", b"trusted")];
    client.form("POST /api/v1/trust/server-certificates", "/api/v1/trust/server-certificates", &fields);
    client.get("POST /api/v1/trust/server-certificates/{thumbprint_sha256}/reject", &reject);
    client.get("POST /api/v1/trust/server-certificates/{thumbprint_sha256}/trust", &trust);
    client.get("DELETE /api/v1/trust/server-certificates/{thumbprint_sha256}", &whole);
}

fn change_revocation_lists(client: &mut Client) {
    let list = client.revocation_list.clone();
    let made = client.form("POST /api/v1/trust/crls", "/api/v1/trust/crls", &[("crl", &list)]);
    let sha256 = made["sha256"].as_str().unwrap_or_default();
    client.get("DELETE /api/v1/trust/crls/{sha256}", &format!("/api/v1/trust/crls/{sha256}"));
}

fn list_endpoints(client: &mut Client) {
    client.get("GET /api/v1/endpoints", "/api/v1/endpoints");
}

fn list_audit(client: &mut Client) {
    let queries = ["", "?action=certificate.updated", "?limit=200"];
    let query = *client.random.one_of(&queries).expect("some");
    client.get("GET /api/v1/audit", &format!("/api/v1/audit{query}"));
}

fn read_system(client: &mut Client) {
    client.get("GET /api/v1/system", "/api/v1/system");
}

fn read_metrics(client: &mut Client) {
    client.get("GET /metrics", "/metrics");
}

fn ask_for_health(client: &mut Client) {
    client.get("GET /healthz", "/healthz");
    client.get("GET /readyz", "/readyz");
}

fn read_document(client: &mut Client) {
    client.get("GET /api/v1/openapi.json", "/api/v1/openapi.json");
}

fn use_token(client: &mut Client) {
    let body = json!({ "name": format!("Token of client {}", client.number), "role": "viewer" });
    let made = client.json("POST /api/v1/tokens", "/api/v1/tokens", &body);
    let Some(token) = made["token"].as_str() else { return };
    client.send("GET /api/v1/certificates", "/api/v1/certificates?limit=1", |call| call.token(token));
    client.get("GET /api/v1/tokens", "/api/v1/tokens?limit=500");
    client.get("GET /api/v1/tokens/{id}", &format!("/api/v1/tokens/{}", id(&made)));
    client.get("DELETE /api/v1/tokens/{id}", &format!("/api/v1/tokens/{}", id(&made)));
}

/// Opens a stream with a ticket, and leaves when it has begun.
fn follow_events(client: &mut Client) {
    let operation = "GET /api/v1/events";
    let ticket = client.get("POST /api/v1/events/ticket", "/api/v1/events/ticket");
    let Some(ticket) = ticket["ticket"].as_str() else { return };
    let address = client.url.strip_prefix("http://").expect("an address").to_owned();
    let begun = Instant::now();
    let follow = || -> std::io::Result<u16> {
        let mut stream = TcpStream::connect(&address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let request = format!("GET /api/v1/events?ticket={ticket} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        let status = std::str::from_utf8(&head[9..]).ok().and_then(|text| text.parse().ok());
        status.ok_or_else(|| std::io::Error::other("no status"))
    };
    match follow() {
        Ok(status) => {
            client.tally.count(operation, status, begun.elapsed());
            if status != 200 {
                client.tally.wrong.push(format!("{operation}: {status}"));
            }
        }
        Err(error) => client.tally.wrong.push(format!("{operation}: {error}")),
    }
}
