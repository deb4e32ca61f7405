//! The OpenAPI document: committed, served, and true.

use std::{collections::BTreeSet, process::Command};

use serde_json::{Value, json};

use crate::{daemon::Setup, described};

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
        let path = path.replace("{id}", UNKNOWN);
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
fn every_operation_has_an_id_of_its_own_and_says_what_it_needs_and_how_it_fails() {
    let mut ids = BTreeSet::new();
    for_each_operation(|place, operation| {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id} twice");
        assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte)), "{id}");
        assert!(described(&operation["summary"]) && described(&operation["description"]), "{place}");
        if operation["security"] != json!([{}]) {
            let scheme = &operation["security"][0]["bearer_token"][0];
            let known = ["viewer", "operator", "admin", "download_private_key"];
            assert!(scheme.as_str().is_some_and(|role| known.contains(&role)), "{place}: {scheme}");
            for status in ["401", "422", "429", "500", "503"] {
                let problem = &operation["responses"][status]["content"]["application/problem+json"];
                assert!(problem["schema"].is_object() && problem["examples"].is_object(), "{place} {status}");
            }
        }
        assert!(operation["responses"]["default"].is_null(), "{place} does not say all that it answers");
    });
}

#[test]
fn the_document_says_where_it_is_from_and_what_its_parts_are() {
    let document = committed();
    for text in [&document["info"]["title"], &document["info"]["version"], &document["info"]["description"]] {
        assert!(described(text));
    }
    assert_eq!(document["servers"][0]["url"], "/");
    let scheme = &document["components"]["securitySchemes"]["bearer_token"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&json!("http"), &json!("bearer")));
    let tags: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    assert!(document["tags"].as_array().unwrap().iter().all(|tag| described(&tag["description"])));
    for_each_operation(|place, operation| {
        assert!(tags.contains(&&operation["tags"][0]), "{place} has a tag that is not described");
    });
}

#[test]
fn every_field_and_parameter_has_a_description() {
    let document = committed();
    let mut missing = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if !described(&schema["description"]) {
            missing.push(name.clone());
        }
        let parts =
            ["allOf", "oneOf", "anyOf"].into_iter().flat_map(|part| schema[part].as_array()).flatten();
        for part in std::iter::once(schema).chain(parts) {
            for (field, property) in part["properties"].as_object().into_iter().flatten() {
                if !described(&property["description"]) {
                    missing.push(format!("{name}.{field}"));
                }
            }
        }
    }
    for_each_operation(|place, operation| {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if !described(&parameter["description"]) {
                missing.push(format!("{place} {}", parameter["name"]));
            }
        }
    });
    assert!(missing.is_empty(), "say it at the type, or in src/api/openapi/vocabulary.json: {missing:#?}");
}

#[test]
fn the_vocabulary_says_nothing_that_nobody_hears() {
    let vocabulary: Value =
        serde_json::from_str(include_str!("../../src/api/openapi/vocabulary.json")).unwrap();
    let mut fields = BTreeSet::new();
    for (name, schema) in committed()["components"]["schemas"].as_object().unwrap() {
        let parts =
            ["allOf", "oneOf", "anyOf"].into_iter().flat_map(|part| schema[part].as_array()).flatten();
        for part in std::iter::once(schema).chain(parts) {
            for field in part["properties"].as_object().into_iter().flat_map(|properties| properties.keys()) {
                fields.extend([field.clone(), format!("{name}.{field}")]);
            }
        }
    }
    for key in vocabulary["fields"].as_object().unwrap().keys() {
        assert!(fields.contains(key), "there is no field {key}");
    }
}

/// A 204 has no body; the bytes of a file are not shown as JSON.
#[test]
fn every_operation_has_an_example_of_its_request_and_its_answer() {
    let mut missing = Vec::new();
    for_each_operation(|place, operation| {
        for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            if content["example"].is_null() {
                missing.push(format!("{place} request {media_type}"));
            }
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                let shown = !content["example"].is_null() || !content["examples"].is_null();
                if !shown && !NOT_SHOWN.contains(&media_type.as_str()) {
                    missing.push(format!("{place} {status} {media_type}"));
                }
            }
        }
    });
    assert!(missing.is_empty(), "add them in src/api/openapi/examples: {missing:#?}");
}

const NOT_SHOWN: &[&str] = &["application/pkix-cert", "application/x-pkcs12"];

#[test]
fn every_example_is_what_its_schema_says_and_no_more() {
    let mut wrong = Vec::new();
    let mut check = |pointer: String, content: &Value| {
        let named = content["examples"].as_object().into_iter().flat_map(|examples| examples.values());
        let examples: Vec<Value> = named.map(|example| resolved(example)["value"].clone()).collect();
        for example in examples.iter().chain(content.get("example")) {
            if let Some(faults) = described::faults(&format!("{pointer}/schema"), example) {
                wrong.push(format!("{pointer}: {faults}"));
            }
        }
    };
    for (path, operations) in committed()["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let place = format!("/paths/{}/{method}", described::escaped(path));
            for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten()
            {
                check(format!("{place}/requestBody/content/{}", described::escaped(media_type)), content);
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                    let media_type = described::escaped(media_type);
                    check(format!("{place}/responses/{status}/content/{media_type}"), content);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_of_a_failure_has_an_example_with_its_status() {
    let document = committed();
    let examples = document["components"]["examples"].as_object().unwrap();
    for code in words(&document["components"]["schemas"]["ErrorCode"]) {
        let example = &examples[code]["value"];
        assert_eq!(example["code"], code);
        assert_eq!(example["type"], format!("urn:koios:problem:{code}"));
        assert_eq!(described::faults("/components/schemas/Problem", example), None, "{code}");
    }
    for_each_operation(|place, operation| {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let shown = &response["content"]["application/problem+json"]["examples"];
            for (code, reference) in shown.as_object().into_iter().flatten() {
                let example = &resolved(reference)["value"];
                assert_eq!(
                    (&example["code"], example["status"].to_string()),
                    (&json!(code), status.clone()),
                    "{place}"
                );
            }
        }
    });
}

#[test]
fn every_operation_needs_the_role_that_it_names() {
    let setup = Setup::empty();
    setup.start().stop();
    setup.add_tokens();
    let daemon = setup.start();
    for_each_operation(|place, operation| {
        let (method, path) = place.split_once(' ').unwrap();
        let Some(role) = operation["security"][0]["bearer_token"][0].as_str() else { return };
        // Its answer never ends.
        if !operation["responses"]["200"]["content"]["text/event-stream"].is_null() {
            assert_eq!(role, "viewer");
            return;
        }
        let path = path
            .replace("{id}", UNKNOWN)
            .replace("{thumbprint_sha256}", &"0".repeat(64))
            .replace("{sha256}", &"0".repeat(64));
        let status = |token: &str| daemon.call(&method.to_uppercase(), &path).token(token).send().status;
        // Tokens of all roles, none of which may take private keys out.
        let roles = ["viewer", "operator", "admin"];
        let least = roles.iter().position(|known| *known == role).unwrap_or(roles.len());
        for (rank, token) in roles.into_iter().enumerate() {
            assert_eq!(status(token) == 403, rank < least, "{place} as {token}");
        }
    });
}

#[test]
fn bodies_of_requests_are_closed_and_never_null() {
    let document = committed();
    for_each_operation(|place, operation| {
        for content in
            operation["requestBody"]["content"].as_object().into_iter().flat_map(|all| all.values())
        {
            let name = content["schema"]["$ref"].as_str().unwrap_or_else(|| panic!("{place}: {content}"));
            let schema = document.pointer(&name[1..]).unwrap();
            assert_eq!(schema["additionalProperties"], false, "{place} {name}");
        }
    });
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

const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

fn described(text: &Value) -> bool {
    text.as_str().is_some_and(|text| !text.trim().is_empty())
}

fn for_each_operation(mut visit: impl FnMut(&str, &Value)) {
    for (path, operations) in described::DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            visit(&format!("{method} {path}"), operation);
        }
    }
}

fn resolved(value: &Value) -> &Value {
    let target = value["$ref"].as_str().and_then(|reference| described::DOCUMENT.pointer(&reference[1..]));
    target.unwrap_or(value)
}

#[test]
fn swagger_ui_is_served_whole_without_a_token_and_loads_nothing_from_elsewhere() {
    let daemon = Setup::empty().start();
    let get = |path: &str| daemon.call("GET", path).without_token().send();
    let redirect = get("/docs");
    assert_eq!((redirect.status, redirect.header("location")), (308, Some("/docs/")));

    let page = get("/docs/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html")));
    assert_eq!(get("/docs/index.html").body, page.body);
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("http") && !policy.contains('*'), "{policy}");

    let text = page.text();
    let mut assets = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        for rest in text.split(attribute).skip(1) {
            assets.push(rest.split('"').next().unwrap().to_owned());
        }
    }
    assert!(assets.len() >= 6, "{assets:?}");
    for asset in &assets {
        assert!(!asset.contains("//"), "{asset} lies elsewhere");
        let answer = get(&format!("/docs/{}", asset.trim_start_matches("./")));
        assert_eq!(answer.status, 200, "{asset}");
        assert!(!answer.body.is_empty(), "{asset}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{asset}");
        assert_eq!(answer.header("content-security-policy"), Some(&*policy), "{asset}");
        if asset.ends_with(".css") {
            let sheet = answer.text();
            let foreign = sheet
                .split("url(")
                .skip(1)
                .find(|url| url.trim_start_matches(['"', '\'']).starts_with("http"));
            assert!(foreign.is_none() && !sheet.contains("@import"), "{asset}: {foreign:?}");
        }
    }
    // The policy allows no script in the page itself.
    assert!(text.split("<script").skip(1).all(|script| script.contains("src=\"")), "{text}");

    let script = get("/docs/swagger-initializer.js");
    assert_eq!(script.header("content-type"), Some("text/javascript"));
    let script = script.text();
    assert!(
        script.contains("\"/api/v1/openapi.json\"") && script.contains("\"validatorUrl\": \"none\""),
        "{script}"
    );
    assert!(!script.contains("http://") && !script.contains("https://"), "{script}");
}

#[test]
fn the_documentation_has_no_other_files_and_takes_no_other_methods() {
    let daemon = Setup::empty().start();
    for path in [
        "/docs/nothing.js",
        "/docs/../koios.db",
        "/docs/%2e%2e/koios.db",
        "/docs/oauth2-redirect.html",
        "/docsx",
    ] {
        daemon.call("GET", path).without_token().send().expect_problem(404, "not_found");
    }
    daemon.call("POST", "/docs/").without_token().send().expect_problem(405, "method_not_allowed");
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
