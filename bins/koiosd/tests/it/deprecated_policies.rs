//! `Basic128Rsa15` and `Basic256`: off by default, twice.

#[cfg(not(feature = "deprecated-policies"))]
use crate::daemon::Setup;

const SETTING: &str = "KOIOS_ALLOW_DEPRECATED_POLICIES";

#[test]
#[cfg(not(feature = "deprecated-policies"))]
fn a_build_without_them_cannot_be_told_to_use_them() {
    let output = Setup::new().with_environment(SETTING, "true").run();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("--features deprecated-policies"), "{text}");
    let daemon = Setup::empty().with_environment(SETTING, "false").start();
    assert_eq!(daemon.get("system").expect(200)["features"], serde_json::json!([]));
}

#[cfg(feature = "deprecated-policies")]
mod built {
    use koios_testkit::{CertificateSpec, Policy, ServerOptions, Stack, start_or_skip};
    use serde_json::{Value, json};

    use super::SETTING;
    use crate::daemon::{Daemon, Setup};
    use crate::supervision::{state, wait_for};

    fn upload(daemon: &Daemon, name: &str, made: &koios_testkit::TestCertificate) -> crate::http::Answer {
        let fields: &[(&str, &[u8])] = &[
            ("name", name.as_bytes()),
            ("certificate", made.der()),
            ("private_key", made.key_pem().as_bytes()),
        ];
        daemon.call("POST", "certificates/upload").form(fields).send()
    }

    fn device(url: &str, policy: &str, certificate: &Value) -> Value {
        json!({ "name": "Old PLC", "endpoint_url": url, "security_mode": "sign_and_encrypt",
            "security_policy": policy, "certificate_id": certificate["id"] })
    }

    #[test]
    fn switched_off_they_and_their_keys_are_refused() {
        let daemon = Setup::new().start();
        assert_eq!(daemon.get("system").expect(200)["features"], json!(["deprecated-policies"]));
        let short = CertificateSpec::application("urn:plant:short").with_shared_key(1024, 0).make();
        let problem = upload(&daemon, "Short", &short).expect_problem(422, "unsupported_key");
        assert!(problem["detail"].as_str().unwrap().contains("allow_deprecated_policies"), "{problem}");
        for policy in ["Basic256", "Basic128Rsa15"] {
            let body = device("opc.tcp://plc", policy, &Value::Null);
            for path in ["devices", "devices/test"] {
                let problem = daemon.post(path, &body).expect_problem(422, "invalid_field");
                assert_eq!(problem["errors"][0]["field"], "security_policy", "{problem}");
            }
        }
    }

    #[test]
    fn switched_on_a_device_that_names_one_connects_and_warns_and_auto_does_not_take_it() {
        let setup = Setup::new();
        let on = setup.clone().with_environment(SETTING, "true");
        let daemon = on.start();
        let made = CertificateSpec::application("urn:plant:short").with_shared_key(1024, 0).make();
        let short = upload(&daemon, "Short", &made).expect(201);
        let codes: Vec<_> = short["findings"].as_array().unwrap().iter().map(|f| &f["code"]).collect();
        assert!(codes.contains(&&json!("key_too_short")), "{short}");

        let options = ServerOptions {
            policies: vec![Policy::Basic128Rsa15, Policy::Basic256],
            trusted: vec![made.der().to_vec()],
            ..ServerOptions::default()
        };
        let Some(server) = start_or_skip(Stack::NodeOpcua, options) else { return };
        let url = server.endpoint_url.as_str();
        for policy in ["Basic128Rsa15", "Basic256"] {
            let report = daemon.post("devices/test", &device(url, policy, &short)).expect(200);
            assert_eq!(report["code"], "connected", "{report}");
            assert_eq!(report["endpoint"]["security_policy"], policy);
            let warning = report["stages"][0]["detail"].as_str().unwrap();
            assert!(warning.contains("is deprecated"), "{warning}");
        }
        // Its key fits no current policy; one that does finds no endpoint.
        let report = daemon.post("devices/test", &device(url, "auto", &short)).expect(200);
        assert_eq!(report["code"], "certificate_key_size", "{report}");
        let report = daemon.post("devices/test", &device(url, "auto", &Value::Null)).expect(200);
        assert_eq!(report["code"], "no_matching_endpoint", "{report}");

        let found = daemon.post("discovery/endpoints", &json!({ "endpoint_url": url })).expect(200);
        let old = |endpoint: &&Value| endpoint["security_policy"] == "Basic256";
        let endpoint = found["endpoints"].as_array().unwrap().iter().find(old).unwrap();
        assert_eq!((&endpoint["deprecated"], &endpoint["supported"]), (&json!(true), &json!(true)));

        let mut with_user = device(url, "Basic256", &short);
        with_user["user_identity"] = json!({ "type": "username", "username": "op", "password": "secret" });
        let problem = daemon.post("devices", &with_user).expect_problem(422, "invalid_field");
        assert_eq!(problem["errors"][0]["field"], "user_identity", "{problem}");

        let mut enabled = device(url, "Basic256", &short);
        enabled["enabled"] = json!(true);
        let shown = daemon.post("devices", &enabled).expect(201);
        assert_eq!(shown["warnings"][0]["code"], "deprecated_security_policy", "{shown}");
        wait_for(&daemon, &shown, state("running"));
        daemon.stop();

        // What is stored stays readable when the setting is taken back, and does not connect.
        let daemon = setup.start();
        let failed = wait_for(&daemon, &shown, state("failed"));
        assert_eq!(failed["error_code"], "deprecated_policy_refused", "{failed}");
        assert_eq!(failed["next_attempt_at"], Value::Null, "{failed}");
        let id = shown["id"].as_str().unwrap();
        // A form may send back what it was shown.
        let change = json!({ "name": "Older PLC", "security_policy": "Basic256" });
        let renamed = daemon.call("PATCH", &format!("devices/{id}")).json(&change);
        assert_eq!(renamed.send().expect(200)["security_policy"], "Basic256");
        let report = daemon.post(&format!("devices/{id}/test"), &json!({ "security_policy": "Basic256" }));
        assert_eq!(report.expect(200)["code"], "deprecated_policy_refused");
        let csr = format!("certificates/{}/csr", short["id"].as_str().unwrap());
        daemon.post(&csr, &json!({})).expect_problem(422, "unsupported_key");
        let found = daemon.post("discovery/endpoints", &json!({ "endpoint_url": url })).expect(200);
        let endpoint = found["endpoints"].as_array().unwrap().iter().find(old).unwrap();
        assert_eq!((&endpoint["deprecated"], &endpoint["supported"]), (&json!(true), &json!(false)));
    }
}
