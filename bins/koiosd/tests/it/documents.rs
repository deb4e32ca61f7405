//! What the pages under `docs` tell people to type does what they say: their `sh` blocks are run, and what the `json` and
//! `text` blocks after them show is compared with what came.

mod page;
mod shell;
mod shown;

use std::{
    fs,
    path::{Path, PathBuf},
};

use koios_testkit::{CertificateSpec, Server, ServerOptions, Stack, TestCertificate, openssl, skip};

use crate::daemon::{ADMIN, Setup};
use page::{Step, steps};
use shell::{Shell, missing};

#[test]
fn the_commands_of_the_guide_do_what_its_pages_say() {
    let Some(server) = server(&["bash", "curl", "jq", "openssl"]) else { return };
    let before = steps(&docs().join("guide/README.md"));
    let pages = pages_of_the_guide();
    let daemon = Setup::new().start();
    let folder = tempfile::tempdir().expect("a folder");
    put_files_of_the_reader(folder.path());
    let shell = Shell::in_folder(folder.path())
        .with("KOIOS", &daemon.url)
        .with("TOKEN", ADMIN)
        .with("ENDPOINT", &server.endpoint_url)
        .with("PKI", server.pki.root.display().to_string());
    for page in &pages {
        let steps = steps(&docs().join("guide").join(page));
        assert!(!steps.is_empty(), "{page} has nothing to type");
        shell.follow(&before, &steps);
    }
    daemon.stop();
}

#[test]
fn every_page_of_the_guide_warns_and_says_what_can_go_wrong() {
    for page in pages_of_the_guide() {
        let text = fs::read_to_string(docs().join("guide").join(&page)).expect("a page");
        assert!(text.contains("> **"), "{page} has no warning");
        assert!(text.contains("\n## What can go wrong\n"), "{page} does not say what can go wrong");
    }
}

#[test]
fn the_first_page_of_the_guide_defines_what_all_pages_use() {
    let before: String =
        steps(&docs().join("guide/README.md")).into_iter().map(|Step { commands, .. }| commands).collect();
    assert!(before.contains("koios()") && before.contains("API="), "{before}");
}

/// The walk of the README, with the addresses and folders of this test in the place of its own.
#[test]
fn the_walk_of_the_readme_ends_with_a_running_device() {
    let Some(server) = server(&["bash", "curl"]) else { return };
    // Where the walk looks for the token.
    let setup = Setup::new().without_environment("KOIOS_BOOTSTRAP_TOKEN");
    let home = setup.folder().display().to_string();
    let setup = setup.without_environment("KOIOS_DATA_DIR");
    let setup = setup.with_environment("KOIOS_DATA_DIR", &format!("{home}/koios"));
    let daemon = setup.start();
    let mut walk = steps(&docs().join("../README.md"));
    for step in &mut walk {
        step.commands = step
            .commands
            .replace("http://127.0.0.1:8470", &daemon.url)
            .replace("opc.tcp://127.0.0.1:4840/", &server.endpoint_url)
            .replace("/tmp/demo-server", &server.pki.root.display().to_string());
    }
    assert!(walk.len() > 3, "the README has no walk");
    Shell::in_folder(setup.folder()).with("XDG_DATA_HOME", &home).follow(&[], &walk);
    daemon.stop();
}

#[test]
fn the_commands_of_the_page_on_operations_do_what_it_says() {
    if let Some(reason) = missing(&["bash", "curl", "jq"]) {
        return skip("bash, curl and jq", &reason);
    }
    let folder = tempfile::tempdir().expect("a folder");
    Shell::in_folder(folder.path())
        .with("KOIOS_LISTEN", "127.0.0.1:0")
        .with("KOIOS_DATA_DIR", folder.path().join("data").display().to_string())
        .follow(&[], &steps(&docs().join("OPERATIONS.md")));
}

#[test]
fn the_pipeline_of_the_page_on_ci_passes() {
    let Some(server) = server(&["bash", "curl", "jq"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    Shell::in_folder(folder.path())
        .with("ENDPOINT", &server.endpoint_url)
        .with("PKI", server.pki.root.display().to_string())
        .follow(&[], &steps(&docs().join("CI.md")));
}

/// The one that is always there, when the programs are.
fn server(programs: &[&str]) -> Option<Server> {
    if let Some(reason) = missing(programs) {
        skip("bash, curl, jq and openssl", &reason);
        return None;
    }
    Some(koios_testkit::start(Stack::AsyncOpcua, ServerOptions::default()).expect("always there"))
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The pages in the order in which the guide's first page lists them; all that there are.
fn pages_of_the_guide() -> Vec<String> {
    let first = fs::read_to_string(docs().join("guide/README.md")).expect("the guide's first page");
    let mut pages: Vec<String> = Vec::new();
    for link in first.split("](").skip(1) {
        let target = link.split(')').next().unwrap_or_default();
        if target.ends_with(".md") && !target.contains('/') && !pages.iter().any(|page| page == target) {
            pages.push(target.to_owned());
        }
    }
    for entry in fs::read_dir(docs().join("guide")).expect("the guide") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        assert!(name == "README.md" || pages.contains(&name), "the guide does not list {name}");
    }
    pages
}

/// What the pages say that the reader has: pairs of a plant's authority, and that authority.
fn put_files_of_the_reader(folder: &Path) {
    let write = |name: &str, content: &str| fs::write(folder.join(name), content).expect("a writable folder");
    let authority = CertificateSpec::authority("Plant authority").make();
    let pair = |name: &str, made: &TestCertificate| {
        write(&format!("{name}.crt"), &made.pem());
        write(&format!("{name}.key"), made.key_pem());
    };
    pair("plant-ca", &authority);
    let line2 = CertificateSpec::issued_application("urn:plant:line2", &authority).named("Line 2");
    pair("line2", &line2.clone().with_shared_key(2048, 1).make());
    pair("line2-new", &line2.with_shared_key(2048, 2).make());
    let line3 = CertificateSpec::application("urn:plant:line3").named("Line 3").with_shared_key(2048, 3);
    pair("line3-old", &line3.clone().expired().make());
    pair("line3-new", &line3.with_shared_key(2048, 4).make());
    let line4 =
        CertificateSpec::application("urn:plant:line4").named("Line 4").with_shared_key(2048, 5).make();
    pair("line4", &line4);
    let file = |name: &str| folder.join(name).display().to_string();
    let (certificate, key, store) = (file("line4.crt"), file("line4.key"), file("line4.pfx"));
    let passphrase = "pass:correct horse battery staple";
    let export =
        ["pkcs12", "-export", "-in", &certificate, "-inkey", &key, "-out", &store, "-passout", passphrase];
    openssl::run(&export, b"");
    let list = koios_testkit::revocation_list(&authority, &[]);
    fs::write(folder.join("plant-ca.crl"), list).expect("a writable folder");
}
