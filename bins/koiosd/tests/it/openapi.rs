//! The OpenAPI document: committed, served, and true.

use std::{collections::BTreeSet, process::Command};

use serde_json::{Value, json};

use crate::daemon::Setup;

pub(crate) fn committed() -> Value {
    serde_json::from_str(include_str!("../../openapi.json")).expect("JSON")
}

fn words(schema: &Value) -> BTreeSet<&str> {
    schema["enum"].as_array().expect("an enumeration").iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn the_committed_document_is_the_one_that_the_program_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_koiosd")).arg("openapi").output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed == include_str!("../../openapi.json"),
        "openapi.json is out of date: cargo run -p koiosd -- openapi > bins/koiosd/openapi.json"
    );
}

#[test]
fn the_served_document_is_the_committed_one_in_openapi_3_1() {
    let daemon = Setup::empty().start();
    let served = daemon.call("GET", "openapi.json").without_token().send();
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert_eq!(served.json(), committed());
    assert!(committed()["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[test]
fn the_three_lists_of_codes_are_closed_enumerations() {
    let document = committed();
    let schemas = &document["components"]["schemas"];
    let rest = words(&schemas["ErrorCode"]);
    for code in [
        "malformed_request",
        "unauthenticated",
        "forbidden",
        "target_not_allowed",
        "not_found",
        "method_not_allowed",
        "files_missing",
        "name_taken",
        "certificate_exists",
        "default_certificate_required",
        "thumbprint_mismatch",
        "no_pending_request",
        "operation_in_progress",
        "revision_mismatch",
        "payload_too_large",
        "unsupported_media_type",
        "invalid_field",
        "key_mismatch",
        "certificate_unreadable",
        "private_key_unreadable",
        "passphrase_required",
        "passphrase_wrong",
        "unsupported_key",
        "hostname_invalid",
        "certificate_not_usable",
        "application_uri_changed",
        "unknown_certificate",
        "unknown_device",
        "password_required",
        "idempotency_key_reused",
        "last_admin_token",
        "rate_limited",
        "internal",
        "storage_full",
        "storage_unavailable",
        "starting",
        "stopping",
        "not_ready",
    ] {
        assert!(rest.contains(code), "{code}");
    }
    let findings: BTreeSet<_> = koios_pki::FindingCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words(&schemas["FindingCode"]), findings);
    let connection: BTreeSet<_> = koios_opcua::Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words(&schemas["ConnectionCode"]), connection);
}

#[test]
fn every_documented_path_answers_and_needs_a_token_unless_it_says_otherwise() {
    let daemon = Setup::empty().start();
    for (path, operations) in committed()["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "00000000-0000-7000-8000-000000000000");
        for (method, operation) in operations.as_object().unwrap() {
            let call = || daemon.call(&method.to_uppercase(), &path);
            let public = operation["security"]
                .as_array()
                .is_some_and(|schemes| schemes.iter().any(|scheme| scheme == &json!({})));
            assert_eq!(call().without_token().send().status == 401, !public, "{method} {path}");
            if operation["responses"]["200"]["content"]["text/event-stream"].is_object() {
                // With a token it does not end.
                continue;
            }
            let answer = call().send();
            if answer.status == 404 {
                // The id is unknown; a route that is not there would say so to any method.
                assert_eq!(daemon.call("BREW", &path).send().status, 405, "{method} {path}");
            }
            assert_ne!(answer.status, 405, "{method} {path}");
        }
    }
}

#[test]
fn every_operation_has_an_id_of_its_own_and_says_how_it_fails() {
    let document = committed();
    let mut ids = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} twice");
            if path.starts_with("/api/v1/") {
                let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
                assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{method} {path}");
            }
        }
    }
}

#[test]
fn every_field_of_an_answer_is_documented_as_required() {
    let document = committed();
    for name in [
        "Certificate",
        "DeviceRef",
        "Problem",
        "Finding",
        "Key",
        "CertificateFiles",
        "RegeneratedBody",
        "AssignedBody",
        "DeviceSettings",
        "DeviceStatus",
        "DeviceTransition",
        "EffectiveCertificate",
        "DevicesExport",
        "DevicesImported",
        "ServerCertificate",
        "DeviceServerCertificate",
        "ServerCertificateVerdict",
        "TestReport",
        "Stage",
        "Cause",
        "Remedy",
        "TestedEndpoint",
        "TestedServer",
        "TestedClientCertificate",
        "BuildInfo",
        "Discovery",
        "DiscoveredEndpoint",
        "DiscoveredServer",
        "System",
        "Counts",
        "Limits",
        "Token",
    ] {
        let schema = &document["components"]["schemas"][name];
        let required = schema["required"].as_array().unwrap_or_else(|| panic!("{name}"));
        for property in schema["properties"].as_object().unwrap().keys() {
            assert!(required.iter().any(|field| field == property), "{name}.{property}");
        }
    }
}

#[test]
fn the_documentation_pages_are_served() {
    let daemon = Setup::empty().start();
    let redirect = daemon.call("GET", "/docs").without_token().send();
    assert_eq!((redirect.status, redirect.header("location")), (308, Some("/docs/")));
    let page = daemon.call("GET", "/docs/").without_token().send();
    assert!(page.text().contains("swagger-ui"), "{}", page.text());
    let script = daemon.call("GET", "/docs/swagger-initializer.js").without_token().send();
    assert!(script.text().contains("/api/v1/openapi.json"), "{}", script.text());
}

#[test]
fn every_answer_has_a_description() {
    for (path, operations) in committed()["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let description = response["description"].as_str();
                assert!(description.is_some_and(|text| !text.is_empty()), "{method} {path} {status}");
            }
        }
    }
}

#[test]
fn closed_sets_of_words_are_enumerations_where_they_are_used() {
    let document = committed();
    let schemas = &document["components"]["schemas"];
    for (body, field, set) in [
        ("Certificate", "origin", "CertificateOrigin"),
        ("Certificate", "statuses", "CertificateStatus"),
        ("EffectiveCertificate", "statuses", "CertificateStatus"),
        ("Key", "algorithm", "KeyAlgorithm"),
        ("Key", "curve", "EllipticCurve"),
        ("Finding", "severity", "FindingSeverity"),
        ("DeviceStatus", "state", "DeviceState"),
        ("DeviceTransition", "state", "DeviceState"),
        ("TestReport", "outcome", "Outcome"),
        ("TestReport", "failed_stage", "StageName"),
        ("TestReport", "reported_by", "Reporter"),
        ("Stage", "stage", "StageName"),
        ("Stage", "outcome", "StageResult"),
        ("Cause", "confidence", "CauseConfidence"),
        ("Discovery", "failed_stage", "StageName"),
        ("DiscoveredEndpoint", "user_token_types", "UserTokenType"),
        ("Token", "role", "TokenRole"),
        ("Token", "permissions", "TokenPermission"),
        ("TokenRequest", "role", "TokenRole"),
    ] {
        let property = schemas[body]["properties"][field].to_string();
        assert!(property.contains(&format!("\"#/components/schemas/{set}\"")), "{body}.{field}: {property}");
        assert!(schemas[set].to_string().contains("\"enum\":["), "{set}");
    }
    for (path, parameter, word) in [
        ("/api/v1/certificates", "status", "missing_files"),
        ("/api/v1/certificates", "sort", "-not_after"),
        ("/api/v1/devices", "state", "running"),
        ("/api/v1/devices", "sort", "-endpoint_url"),
        ("/api/v1/tokens", "sort", "-created_at"),
    ] {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        let schema = &parameters.iter().find(|known| known["name"] == parameter).unwrap()["schema"];
        let item = if schema["items"].is_object() { &schema["items"] } else { schema };
        let name = item["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
        let schema = name.map_or(item, |name| &schemas[name]);
        assert!(words(schema).contains(word), "{path} {parameter}: {schema}");
    }
}

#[test]
fn the_document_takes_no_parameters() {
    let daemon = Setup::empty().start();
    daemon.get("openapi.json?version=3").expect_problem(422, "invalid_field");
    assert!(committed()["paths"]["/api/v1/openapi.json"]["get"].is_object());
}
