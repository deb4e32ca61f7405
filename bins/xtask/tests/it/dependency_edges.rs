//! The dependency edges of `docs/ARCHITECTURE.md`, read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Normal and build dependencies of each workspace member, by package name.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let names = dependencies
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| text(&dependency["name"]))
                .collect();
            (text(&package["name"]), names)
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

#[test]
fn our_crates_depend_on_each_other_one_way_only() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("koios-pki", &[][..]),
        ("koios-channel", &["koios-pki"]),
        ("koios-store", &["koios-pki"]),
        ("koios-opcua", &["koios-channel", "koios-pki", "koios-store"]),
        ("koios-testkit", &[]),
        ("koiosd", &["koios-channel", "koios-opcua", "koios-pki", "koios-store"]),
        ("xtask", &[]),
    ]);
    for (package, dependencies) in dependencies() {
        let allowed = allowed
            .get(package.as_str())
            .unwrap_or_else(|| panic!("{package} has no place in the house yet"));
        let ours: Vec<_> = dependencies.iter().filter(|name| name.starts_with("koios")).collect();
        for name in ours {
            assert!(allowed.contains(&name.as_str()), "{package} must not depend on {name}");
        }
    }
}

#[test]
fn the_web_framework_and_anyhow_stay_under_bins() {
    let only_in_binaries = [
        "actix-web",
        "actix-cors",
        "actix-multipart",
        "anyhow",
        "clap",
        "figment",
        "utoipa",
        "utoipa-swagger-ui",
    ];
    for (package, dependencies) in dependencies() {
        if matches!(package.as_str(), "koiosd" | "xtask" | "koios-testkit") {
            continue;
        }
        for name in only_in_binaries {
            assert!(!dependencies.contains(name), "{package} must not depend on {name}");
        }
    }
}

#[test]
fn each_foreign_subject_has_one_home() {
    let homes: [(&str, &[&str]); 7] = [
        ("sqlx", &["koios-store"]),
        ("async-opcua-types", &["koios-channel"]),
        ("async-opcua", &["koios-testkit"]),
        ("x509-cert", &["koios-pki"]),
        ("pkcs8", &["koios-pki"]),
        ("rcgen", &["koios-pki", "koios-testkit"]),
        ("rsa", &["koios-pki"]),
    ];
    for (package, dependencies) in dependencies() {
        for (name, homes) in homes {
            assert!(
                !dependencies.contains(name) || homes.contains(&package.as_str()),
                "{package} must not depend on {name}"
            );
        }
    }
}

#[test]
fn koios_pki_does_no_io() {
    let pki = &dependencies()["koios-pki"];
    for name in ["tokio", "sqlx", "async-std", "hostname", "rand", "tracing"] {
        assert!(!pki.contains(name), "koios-pki must not depend on {name}");
    }
}
