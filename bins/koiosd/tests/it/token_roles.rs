//! What each role may call: every operation of the OpenAPI document, so that none is forgotten.

use serde_json::{Value, json};

use crate::{daemon::Setup, openapi::committed, tokens::made};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Needs {
    Nothing,
    Viewer,
    Operator,
    Admin,
    DownloadPrivateKey,
}

/// What needs something else than the rule of the contract (rest-api §2): `GET` needs viewer, all else operator.
const EXCEPTIONS: [(&str, Needs); 18] = [
    ("POST /api/v1/events/ticket", Needs::Viewer),
    ("GET /api/v1/audit", Needs::Admin),
    ("GET /api/v1/tokens", Needs::Admin),
    ("POST /api/v1/tokens", Needs::Admin),
    ("GET /api/v1/tokens/{id}", Needs::Admin),
    ("DELETE /api/v1/tokens/{id}", Needs::Admin),
    ("POST /api/v1/devices/{id}/server-certificate/approve", Needs::Admin),
    ("DELETE /api/v1/devices/{id}/server-certificate", Needs::Admin),
    ("POST /api/v1/trust/server-certificates", Needs::Admin),
    ("POST /api/v1/trust/server-certificates/{thumbprint_sha256}/trust", Needs::Admin),
    ("POST /api/v1/trust/server-certificates/{thumbprint_sha256}/reject", Needs::Admin),
    ("DELETE /api/v1/trust/server-certificates/{thumbprint_sha256}", Needs::Admin),
    ("POST /api/v1/trust/crls", Needs::Admin),
    ("DELETE /api/v1/trust/crls/{sha256}", Needs::Admin),
    ("GET /api/v1/certificates/{id}/private-key.pem", Needs::DownloadPrivateKey),
    ("POST /api/v1/certificates/{id}/private-key.pem", Needs::DownloadPrivateKey),
    ("POST /api/v1/certificates/{id}/bundle.p12", Needs::DownloadPrivateKey),
    ("GET /api/v1/openapi.json", Needs::Nothing),
];

/// Answers without a token, as the document must say of each.
const PUBLIC: [&str; 3] = ["GET /healthz", "GET /readyz", "GET /api/v1/openapi.json"];

fn needs(operation: &str) -> Needs {
    let exception = EXCEPTIONS.iter().find(|(known, _)| *known == operation);
    match exception {
        Some((_, needs)) => *needs,
        None if PUBLIC.contains(&operation) => Needs::Nothing,
        None if operation.starts_with("GET ") => Needs::Viewer,
        None => Needs::Operator,
    }
}

#[test]
fn every_operation_is_for_the_role_that_the_contract_says_and_those_above_it() {
    let daemon = Setup::empty().start();
    let keys = json!({ "name": "keys", "role": "viewer", "permissions": ["download_private_key"] });
    let keys = daemon.post("tokens", &keys).expect(201)["token"].as_str().unwrap().to_owned();
    let [viewer, operator, admin] = ["viewer", "operator", "admin"].map(|role| made(&daemon, role).0);
    let before = daemon.get("certificates").expect(200);
    let document = committed();
    let mut unmet: Vec<&str> = EXCEPTIONS.iter().map(|(operation, _)| *operation).collect();
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, described) in methods.as_object().unwrap() {
            let operation = format!("{} {path}", method.to_uppercase());
            let needs = needs(&operation);
            unmet.retain(|exception| *exception != operation);
            let is_public = described["security"]
                .as_array()
                .is_some_and(|schemes| schemes.iter().any(|scheme| scheme == &json!({})));
            assert_eq!(is_public, needs == Needs::Nothing, "{operation}");
            let path = path
                .replace("{id}", "00000000-0000-7000-8000-000000000000")
                .replace("{thumbprint_sha256}", &"0".repeat(64))
                .replace("{sha256}", &"0".repeat(64));
            // A parameter that is none: who gets past the role changes nothing.
            let call = || daemon.call(&method.to_uppercase(), &format!("{path}?nonsense=1")).json(&json!({}));
            if needs != Needs::Nothing {
                call().without_token().send().expect_problem(401, "unauthenticated");
            }
            for (token, holds) in [
                (&viewer, [Needs::Viewer].as_slice()),
                (&operator, &[Needs::Viewer, Needs::Operator]),
                (&admin, &[Needs::Viewer, Needs::Operator, Needs::Admin]),
                (&keys, &[Needs::Viewer, Needs::DownloadPrivateKey]),
            ] {
                let answer = call().token(token).send();
                let may = needs == Needs::Nothing || holds.contains(&needs);
                let code = serde_json::from_slice(&answer.body).unwrap_or(Value::Null)["code"].clone();
                assert_eq!(code != "forbidden", may, "{operation} with {holds:?}: {}", answer.text());
                assert_eq!(answer.status == 403, !may, "{operation} with {holds:?}: {}", answer.text());
                assert_ne!(answer.status, 401, "{operation}");
                tried += 1;
            }
        }
    }
    assert!(tried > 150, "{tried}");
    assert_eq!(unmet, Vec::<&str>::new(), "are in no document");
    assert_eq!(daemon.get("certificates").expect(200), before);
    assert_eq!(daemon.get("tokens").expect(200)["total"], 5);
}
