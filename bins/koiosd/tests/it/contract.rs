//! What the contract says of all routes and answers at once: fields, forms, roles, pages, dry runs.

use std::collections::BTreeSet;

use koios_testkit::CertificateSpec;
use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Setup},
    devices::{add, path_of},
    openapi::committed,
};

const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

/// The fields of each answer, as the contract names them.
const FIELDS: &[(&str, &str)] = &[
    (
        "Certificate",
        "id revision name description is_default origin statuses common_name organization subject issuer self_signed \
         application_uri dns_names ip_addresses not_before not_after expires_in_days key signature_algorithm serial_number \
         thumbprint_sha1 thumbprint_sha256 chain_length device_count assigned_device_count files findings generation \
         created_at updated_at",
    ),
    ("Key", "algorithm bits curve"),
    ("CertificateFiles", "certificate private_key downloadable"),
    ("Finding", "code severity message reference"),
    ("CertificateName", "id name"),
    ("PreviousPair", "thumbprint_sha1 thumbprint_sha256 not_after"),
    ("RegeneratedBody", "certificate previous affected_devices message was_ca_issued dry_run"),
    ("DeletedBody", "deleted reassigned_devices now_using dry_run"),
    ("DefaultChangedBody", "certificate previous_default affected_devices dry_run"),
    ("AssignedBody", "certificate assigned unassigned dry_run"),
    ("DeviceRef", "id name endpoint_url security_mode enabled through_default"),
    (
        "Device",
        "id revision name description endpoint_url security_mode security_policy certificate_id effective_certificate \
         user_identity server_certificate_policy server_host_name_check pinned_server_certificate trust_guide_product \
         scan_rate_seconds timeout_seconds enabled status created_at updated_at",
    ),
    ("EffectiveCertificate", "id name is_default statuses"),
    (
        "DeviceStatus",
        "state since last_scan_at next_attempt_at attempts error_code error_message error_detail \
         certificate_thumbprint_sha256 server_certificate_thumbprint_sha256",
    ),
    ("DeviceTransition", "at state error_code error_message"),
    ("DevicesExport", "version devices"),
    (
        "ExportedDevice",
        "name description endpoint_url security_mode security_policy certificate user_identity server_certificate_policy \
         server_host_name_check trust_guide_product scan_rate_seconds timeout_seconds enabled created_at updated_at",
    ),
    ("CertificateReference", "name thumbprint_sha256"),
    ("DevicesImported", "created errors dry_run"),
    ("DeviceServerCertificate", "pinned presented verdict"),
    ("SeenServerCertificate", "seen_at thumbprint_sha256 findings"),
    ("ServerCertificateVerdict", "accepted code message"),
    (
        "TestReport",
        "outcome code message detail failed_stage status_code reported_by causes remedy stages duration_ms endpoint server \
         client_certificate clock_offset_ms started_at",
    ),
    ("Cause", "code confidence explanation evidence"),
    ("Remedy", "text link"),
    ("Stage", "stage outcome duration_ms detail"),
    ("TestedEndpoint", "url security_mode security_policy"),
    ("TestedServer", "application_name application_uri product_uri build_info certificate"),
    ("TestedClientCertificate", "id name thumbprint_sha1 thumbprint_sha256"),
    ("Discovery", "server endpoints outcome duration_ms code message stages"),
    ("DiscoveredServer", "application_name application_uri product_uri"),
    (
        "DiscoveredEndpoint",
        "url security_mode security_policy security_level user_token_types server_certificate supported",
    ),
    (
        "TrustGuide",
        "product steps rejected_location rejected_file_name trusted_location import_format needs_restart notes sources \
         certificate_download",
    ),
    ("GuidedProduct", "id name vendor recognised_by confidence"),
    ("CertificateRequest", "pem der_base64 pending"),
    ("PendingRequest", "created_at new_key key public_key_sha256"),
    ("PastGeneration", "generation thumbprint_sha1 thumbprint_sha256 not_before not_after from until reason"),
    (
        "ServerCertificate",
        "subject issuer common_name application_uri dns_names ip_addresses not_before not_after self_signed chain_length \
         key signature_algorithm thumbprint_sha1 thumbprint_sha256 findings",
    ),
    ("TrustedServerCertificate", "thumbprint_sha256 list reason devices first_seen last_seen"),
    ("RevocationList", "issuer number this_update next_update revoked_count"),
    ("SeenEndpoint", "endpoint_url certificates devices"),
    ("ServerCertificateSighting", "thumbprint_sha256 first_seen last_seen"),
    ("AuditEntry", "sequence at actor address action resource before after hash"),
    (
        "System",
        "version system_hostname data_directory default_certificate_id counts started_at limits features",
    ),
    ("Problem", "type title status detail code request_id errors"),
    ("FieldError", "field code detail"),
    ("PageBody_Certificate", "items total next_cursor"),
];

/// The fields of a schema that are always there.
fn required<'a>(schemas: &'a Value, schema: &'a Value) -> BTreeSet<&'a str> {
    if let Some(name) = schema["$ref"].as_str() {
        return required(schemas, &schemas[name.rsplit('/').next().unwrap()]);
    }
    let own = schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
    let parts = schema["allOf"].as_array().into_iter().flatten();
    own.chain(parts.flat_map(|part| required(schemas, part))).collect()
}

#[test]
fn every_answer_always_has_the_fields_that_the_contract_names() {
    let document = committed();
    let schemas = &document["components"]["schemas"];
    for (name, fields) in FIELDS {
        assert!(schemas[name].is_object(), "{name}");
        let there = required(schemas, &schemas[name]);
        for field in fields.split_whitespace() {
            assert!(there.contains(field), "{name}.{field}");
        }
    }
}

#[test]
fn every_request_takes_the_fields_that_the_contract_names() {
    let document = committed();
    for (name, fields) in [
        ("CertificatePatchRequest", "name description"),
        (
            "GenerateRequest",
            "name description hostname organization validity_days key profile dns_names ip_addresses application_uri \
             common_name assign_to make_default",
        ),
        ("KeyRequest", "algorithm bits curve"),
        ("UploadForm", "name description certificate private_key passphrase make_default"),
        ("ReplaceForm", "description certificate private_key passphrase make_default allow_uri_change"),
        ("RegenerateRequest", "hostname validity_days key"),
        ("DefaultRequest", "id force"),
        ("AssignRequest", "assign unassign"),
        ("CsrRequest", "new_key key"),
        ("InstallForm", "certificate allow_uri_change"),
        ("PassphraseRequest", "passphrase"),
        (
            "DeviceInput",
            "name description endpoint_url security_mode security_policy certificate_id user_identity \
             server_certificate_policy server_host_name_check trust_guide_product scan_rate_seconds timeout_seconds enabled",
        ),
        ("UserIdentityInput", "type username password"),
        ("ApproveRequest", "thumbprint_sha256 all_devices_with_it"),
        ("DiscoveryRequest", "endpoint_url timeout_seconds"),
        ("TrustForm", "certificate list"),
        ("CrlForm", "crl"),
    ] {
        let properties = &document["components"]["schemas"][name]["properties"];
        for field in fields.split_whitespace() {
            assert!(properties[field].is_object(), "{name}.{field}");
        }
    }
}

/// Looks at each field of an answer.
fn each(value: &Value, look: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                look(name, value);
                each(value, look);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each(item, look)),
        _ => {}
    }
}

#[test]
fn ids_times_and_thumbprints_have_the_forms_of_the_contract() {
    let daemon = Setup::empty().start();
    let certificate = daemon.generate("A");
    let device = add(
        &daemon,
        &json!({ "name": "P", "endpoint_url": "opc.tcp://127.0.0.1:1", "security_mode": "sign" }),
    );
    let tested = daemon.post(&format!("{}/test", path_of(&device)), &json!({})).expect(200);
    let id = certificate["id"].as_str().unwrap();
    let csr = daemon.post(&format!("certificates/{id}/csr"), &json!({})).expect(200);
    let mut seen = BTreeSet::new();
    let mut look = |name: &str, value: &Value| {
        let Some(text) = value.as_str() else { return };
        match name {
            "id" => {
                assert_eq!((text.len(), &text[14..15]), (36, "7"), "{name}: {text}");
                assert_eq!(text, text.to_lowercase());
            }
            _ if name.ends_with("_at") || name.starts_with("not_") || name == "since" || name == "at" => {
                assert!(text.ends_with('Z') && &text[10..11] == "T", "{name}: {text}");
            }
            _ if name.contains("sha1") || name.contains("sha256") => {
                let digits = if name.ends_with("sha1") { 40 } else { 64 };
                let hex = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c);
                assert!(text.len() == digits && text.chars().all(hex), "{name}: {text}");
            }
            _ => return,
        }
        seen.insert(name.to_owned());
    };
    for path in ["certificates", "devices", "system", "audit"] {
        each(&daemon.get(path).expect(200), &mut look);
    }
    for answer in [&certificate, &device, &tested, &csr] {
        each(answer, &mut look);
    }
    for name in ["id", "at", "since", "created_at", "not_before", "thumbprint_sha1", "public_key_sha256"] {
        assert!(seen.contains(name), "{name}");
    }
    let der = csr["der_base64"].as_str().unwrap();
    assert!(der.starts_with("MII") && csr["pem"].as_str().unwrap().replace('\n', "").contains(der));
}

#[test]
fn every_route_asks_for_the_role_that_the_contract_names() {
    let setup = Setup::empty();
    setup.start().stop();
    setup.add_tokens();
    let daemon = setup.start();
    let hash = "A".repeat(64);
    for (template, operations) in committed()["paths"].as_object().unwrap() {
        let Some(route) = template.strip_prefix("/api/v1/").filter(|route| *route != "openapi.json") else {
            continue;
        };
        let path = template.replace("{id}", UNKNOWN).replace("{thumbprint_sha256}", &hash);
        let path = path.replace("{sha256}", &hash);
        for method in operations.as_object().unwrap().keys() {
            let reads = method == "get";
            let trust = route.starts_with("trust/")
                || route.ends_with("/approve")
                || route.ends_with("{id}/server-certificate");
            let needed = match route {
                _ if route.ends_with("private-key.pem") || route.ends_with("bundle.p12") => "a permission",
                _ if route.starts_with("tokens") || route.starts_with("audit") => "admin",
                _ if trust && !reads => "admin",
                _ if reads || route == "events/ticket" => "viewer",
                _ => "operator",
            };
            let roles = ["viewer", "operator", "admin", "a permission"];
            let rank = |role| roles.iter().position(|known| *known == role);
            for role in ["viewer", "operator", "admin"] {
                // Whoever may ask is told of the parameter.
                let expected = if rank(role) >= rank(needed) { 422 } else { 403 };
                let url = format!("{path}?no_such_parameter=1");
                let answer = daemon.call(&method.to_uppercase(), &url).token(role).send();
                assert_eq!(answer.status, expected, "{role}: {method} {template}: {}", answer.text());
            }
        }
    }
}

#[test]
fn every_list_has_pages_of_one_form_within_their_bounds() {
    let daemon = Setup::empty().start();
    let certificate = daemon.generate("A");
    let device = add(&daemon, &json!({ "name": "P", "endpoint_url": "opc.tcp://127.0.0.1:1" }));
    let mut lists = 0;
    for (template, operations) in committed()["paths"].as_object().unwrap() {
        let parameters = operations["get"]["parameters"].as_array().cloned().unwrap_or_default();
        if !parameters.iter().any(|parameter| parameter["name"] == "limit") {
            continue;
        }
        lists += 1;
        let owner = if template.contains("/devices/{id}") { &device } else { &certificate };
        let path = template.replace("{id}", owner["id"].as_str().unwrap());
        let page = daemon.get(&path).expect(200);
        let fields: BTreeSet<&str> = page.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, BTreeSet::from(["items", "next_cursor", "total"]), "{path}");
        for limit in ["1", "500"] {
            assert_eq!(
                daemon.get(&format!("{path}?limit={limit}")).expect(200)["total"],
                page["total"],
                "{path}"
            );
        }
        for wrong in ["limit=0", "limit=501", "limit=-1", "limit=1.0", "limit=", "cursor=", "cursor=%00"] {
            daemon.get(&format!("{path}?{wrong}")).expect_problem(422, "invalid_field");
        }
        if page["total"].as_u64() > Some(1) {
            let first = daemon.get(&format!("{path}?limit=1")).expect(200);
            assert_eq!(first["items"], json!([page["items"][0]]), "{path}");
            let cursor = first["next_cursor"].as_str().unwrap();
            let second = daemon.get(&format!("{path}?limit=1&cursor={cursor}")).expect(200);
            assert_eq!(second["items"], json!([page["items"][1]]), "{path}");
        }
    }
    assert!(lists >= 10, "{lists}");
}

/// Everything that a change could have changed.
fn state(daemon: &Daemon) -> [Value; 3] {
    ["certificates", "devices", "audit"].map(|path| daemon.get(path).expect(200))
}

#[test]
fn a_dry_run_has_the_shape_of_the_change_says_so_and_changes_nothing() {
    let daemon = Setup::empty().start();
    daemon.generate("Default");
    let certificate = daemon.generate("A");
    let device = add(
        &daemon,
        &json!({ "name": "P", "endpoint_url": "opc.tcp://p", "security_mode": "sign",
                 "certificate_id": certificate["id"] }),
    );
    let path = format!("certificates/{}", certificate["id"].as_str().unwrap());
    let pair = CertificateSpec::application("urn:plant:client").make();
    let form: &[(&str, &[u8])] = &[
        ("certificate", pair.der()),
        ("private_key", pair.key_pem().as_bytes()),
        ("allow_uri_change", b"true"),
    ];
    let devices = json!({ "version": 1, "devices": [{ "name": "Q", "endpoint_url": "opc.tcp://q" }] });
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    // The deletion comes last.
    let changes = [
        ("PUT", "certificates/default".to_owned(), json!({ "id": certificate["id"] })),
        ("PUT", format!("{path}/devices"), json!({ "unassign": [device["id"]] })),
        ("POST", format!("{path}/replace"), Value::Null),
        ("POST", format!("{path}/regenerate"), json!({})),
        ("POST", "devices/import".to_owned(), devices),
        (
            "PUT",
            "certificates/default".to_owned(),
            json!({ "id": daemon.get("certificates?q=Default").json()["items"][0]["id"] }),
        ),
        ("DELETE", path, Value::Null),
    ];
    for (method, path, body) in changes {
        let call = |query: &str| {
            let call = daemon.call(method, &format!("{path}{query}"));
            let call = match (&body, path.ends_with("/replace")) {
                (_, true) => call.form(form),
                (Value::Null, false) => call,
                (body, false) => call.json(body),
            };
            call.send()
        };
        let before = state(&daemon);
        let dry = call("?dry_run=true").expect(200);
        assert_eq!(state(&daemon), before, "{method} {path}");
        assert_eq!(dry["dry_run"], true, "{method} {path}");
        if let Some(shown) = dry["certificate"].as_object() {
            assert_eq!(
                &Value::from(shown.clone()),
                &daemon.get(&format!("certificates/{}", shown["id"].as_str().unwrap())).json()
            );
        }
        let done = call("?dry_run=false").expect(200);
        assert_eq!((fields(&done), &done["dry_run"]), (fields(&dry), &json!(false)), "{method} {path}");
        assert_ne!(state(&daemon), before, "{method} {path}");
        for same in ["affected_devices", "reassigned_devices", "previous_default", "previous", "now_using"] {
            assert_eq!(done[same], dry[same], "{method} {path}: {same}");
        }
    }
}
