//! The alerts and the dashboard in `docs/monitoring` ask for what the daemon tells.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use serde_json::Value;

use super::text_format::Family;

const ALERTS: &str = include_str!("../../../../../docs/monitoring/koios-alerts.yml");
const DASHBOARD: &str = include_str!("../../../../../docs/monitoring/koios-dashboard.json");

/// The names of ours in an expression.
fn names(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("koios_")).map(str::to_owned).collect()
}

/// The values that an expression selects a label by; patterns are left out.
fn selected(expression: &str) -> Vec<(&str, &str)> {
    let parts = expression.split(['{', ',', '}']);
    parts.filter_map(|part| part.trim().strip_suffix('"')?.split_once("=\"")).collect()
}

fn dashboard_expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "panels have ids of their own");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    targets.map(|target| target["expr"].as_str().expect("an expression").to_owned()).collect()
}

fn alert_expressions() -> Vec<String> {
    let lines = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    lines.map(str::to_owned).collect()
}

/// Every name that is asked for is among those told, and every label value is one that can be told.
pub(super) fn ask_for_what_is_told(families: &BTreeMap<String, Family>) {
    let samples = families.values().flat_map(|family| &family.samples);
    let told: BTreeSet<&str> = samples.clone().map(|(name, ..)| name.as_str()).collect();
    let labels: BTreeSet<&str> =
        samples.flat_map(|(_, labels, _)| labels.keys().map(String::as_str)).collect();
    let expressions: Vec<_> = alert_expressions().into_iter().chain(dashboard_expressions()).collect();
    assert!(expressions.len() > 30, "{expressions:?}");
    let mut asked = BTreeSet::new();
    for expression in &expressions {
        for name in names(expression) {
            assert!(told.contains(name.as_str()), "{name} of {expression:?}: {told:?}");
            asked.insert(name);
        }
        for (label, value) in selected(expression) {
            let known: Vec<&str> = match label {
                "state" => koios_store::DeviceState::ALL.iter().map(|state| state.as_str()).collect(),
                "status" if expression.contains("koios_certificates") => {
                    koios_store::CertificateStatus::ALL.iter().map(|status| status.as_str()).collect()
                }
                "status" => vec!["401"],
                "job" => vec!["koios"],
                _ => panic!("{label} in {expression}"),
            };
            assert!(known.contains(&value), "{expression}");
            assert!(label == "job" || labels.contains(label), "{expression}");
        }
    }
    // What nobody is shown need not be told.
    let histograms = |name: &str| ["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}"));
    for (name, family) in families {
        let shown = match family.kind.as_str() {
            "histogram" => histograms(name).iter().any(|name| asked.contains(name)),
            _ => asked.contains(name),
        };
        assert!(shown, "{name} is in no alert and on no panel");
    }
}

/// Prometheus' own tool, where it is there, reads the rules and tries them on series; and it reads what the daemon tells.
#[test]
fn prometheus_takes_the_alerts_and_they_fire_when_they_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring");
    let run = |arguments: &[&str]| Command::new("promtool").args(arguments).current_dir(&folder).output();
    let Ok(checked) = run(&["check", "rules", "koios-alerts.yml"]) else {
        koios_testkit::skip("promtool", "it is not installed (Debian's package prometheus)");
        return;
    };
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let tried = run(&["test", "rules", "koios-alerts.test.yml"]).expect("it runs");
    assert!(
        tried.status.success(),
        "{}{}",
        String::from_utf8_lossy(&tried.stdout),
        String::from_utf8_lossy(&tried.stderr)
    );
    // The panels' expressions, with Grafana's variables filled in.
    let rules = tempfile::Builder::new().suffix(".yml").tempfile().expect("a file");
    let mut text = "groups:\n- name: panels\n  rules:\n".to_owned();
    for (number, expression) in dashboard_expressions().iter().enumerate() {
        let expression = expression.replace("$instance", ".*").replace("$__rate_interval", "5m");
        let expression = Value::String(expression);
        text.push_str(&format!("  - record: panel:{number}\n    expr: {expression}\n"));
    }
    std::fs::write(rules.path(), text).expect("a file");
    let checked = run(&["check", "rules", rules.path().to_str().expect("a path")]).expect("it runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
