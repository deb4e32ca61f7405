//! `koiosd import`: folders and key stores that other products have written.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use koios_pki::read_certificates;
use koios_testkit::{
    CertificateSpec, Server, ServerOptions, Stack, TestCertificate, foreign_pki, start_or_skip,
};
use serde_json::{Value, json};

use crate::daemon::{Daemon, Setup};

/// The report for programs, and the exit code.
#[track_caller]
fn import(setup: &Setup, arguments: &[&str]) -> (i32, Value) {
    let (code, said, error) = setup.ended(&[&["import", "--json"], arguments].concat());
    let report = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{error}"));
    (code.expect("an exit code"), report)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// What is said about the file whose path ends like this.
#[track_caller]
fn notes<'a>(report: &'a Value, path: &str) -> Vec<&'a str> {
    let files = report["files"].as_array().expect("files");
    let file = files.iter().find(|file| file["path"].as_str().unwrap().ends_with(path));
    let file = file.unwrap_or_else(|| panic!("{path}: {report:#}"));
    file["notes"].as_array().unwrap().iter().map(|note| note["code"].as_str().unwrap()).collect()
}

fn outcomes(report: &Value) -> Vec<&str> {
    let certificates = report["certificates"].as_array().expect("certificates");
    certificates.iter().map(|certificate| certificate["outcome"].as_str().unwrap()).collect()
}

/// What the daemon stores under the SHA-256 thumbprint of a certificate.
#[track_caller]
fn stored(daemon: &Daemon, der: &[u8]) -> Value {
    let leaf = read_certificates(der).expect("a certificate").leaf().clone();
    let list = daemon.get(&format!("certificates?q={}", leaf.thumbprint_sha256())).expect(200);
    assert_eq!(list["total"], 1, "{list}");
    let certificate = list["items"][0].clone();
    let id = certificate["id"].as_str().unwrap();
    let download = daemon.get(&format!("certificates/{id}/certificate.der"));
    assert_eq!(download.body, leaf.der(), "the very bytes of the other product");
    assert_eq!(certificate["origin"], "imported");
    certificate
}

/// A device that uses a certificate is tested against a server that nobody has told anything.
#[track_caller]
fn expect_connection(daemon: &Daemon, server: &Server, certificate: &Value) {
    let device = json!({ "name": "Press 4", "endpoint_url": server.endpoint_url, "enabled": false,
        "security_mode": "sign_and_encrypt", "security_policy": "Basic256Sha256", "certificate_id": certificate["id"] });
    let device = daemon.post("devices", &device).expect(201);
    let path = format!("devices/{}/test", device["id"].as_str().unwrap());
    let report = daemon.post(&path, &json!({})).expect(200);
    assert_eq!(report["code"], "connected", "{report:#}");
}

#[test]
fn a_server_that_trusts_a_node_opcua_client_takes_koios_for_it() {
    let Some(server) = start_or_skip(Stack::NodeOpcua, ServerOptions::default()) else { return };
    let setup = Setup::new();
    let pki = setup.folder().join("line/PKI");
    fs::create_dir(pki.parent().unwrap()).unwrap();
    assert_eq!(foreign_pki::node_opcua_client(&pki, &server.endpoint_url, None), Some(false));
    let theirs = fs::read(pki.join("own/certs/client_certificate.pem")).unwrap();
    let leaf = read_certificates(&theirs).unwrap().leaf().clone();
    let sha1 = leaf.thumbprint_sha1().to_string();
    server.trust_rejected(&sha1);
    // The server watches its folder, and may need a moment.
    let mut attempts = (0..20).map(|_| foreign_pki::node_opcua_client(&pki, &server.endpoint_url, None));
    assert!(attempts.any(|connected| connected == Some(true)), "its own client connects");

    let (code, report) = import(&setup, &[text(&pki), "--dry-run"]);
    assert_eq!((code, outcomes(&report)), (0, vec!["would_be_imported"]));
    assert!(!setup.data_dir().exists(), "a dry run makes nothing");
    let (code, report) = import(&setup, &[text(&pki)]);
    assert_eq!((code, &report["sources"][0]["layout"]), (0, &json!("node_opcua")), "{report:#}");
    assert_eq!(outcomes(&report), ["imported"]);
    assert_eq!(report["certificates"][0]["thumbprint_sha1"], sha1);
    assert_eq!(notes(&report, "own/certs/client_certificate.pem"), ["certificate"]);
    assert_eq!(notes(&report, "own/private/private_key.pem"), ["private_key"]);
    assert_eq!(notes(&report, "own/openssl.cnf"), ["not_needed"]);

    let daemon = setup.start();
    let certificate = stored(&daemon, &theirs);
    assert_eq!(certificate["is_default"], true, "an empty store has no other");
    assert_eq!(certificate["name"], leaf.common_name().unwrap());
    assert_eq!(certificate["application_uri"], leaf.application_uri().unwrap());
    assert_eq!(daemon.get("certificates").expect(200)["total"], 1, "none was generated beside it");
    expect_connection(&daemon, &server, &certificate);

    let audit = daemon.get("audit?action=certificate.imported").expect(200);
    assert_eq!(
        (&audit["total"], &audit["items"][0]["actor"]),
        (&json!(1), &json!("koiosd import")),
        "{audit}"
    );
    let recorded = &audit["items"][0]["after"]["private_key_files"][0];
    assert_eq!(*recorded, text(&pki.join("own/private/private_key.pem")), "{audit}");
    let (code, _, error) = setup.ended(&["import", text(&pki)]);
    assert_eq!(code, Some(3));
    assert!(error.contains(&format!("process id {}", daemon.pid())), "{error}");
    let (code, report) = import(&setup, &[text(&pki), "--dry-run"]);
    assert_eq!((code, outcomes(&report)), (0, vec!["already_there"]), "a dry run goes beside it");
    daemon.stop();
    assert_eq!(setup.ended(&["check"]).0, Some(0));
    assert_eq!(setup.ended(&["audit", "verify"]).0, Some(0));
}

#[test]
fn an_encrypted_key_of_node_opcua_needs_its_passphrase() {
    let setup = Setup::empty();
    let pki = setup.folder().join("pki");
    let Some(connected) = foreign_pki::node_opcua_client(&pki, "opc.tcp://127.0.0.1:1/", Some("geheim"))
    else {
        return;
    };
    assert!(!connected);
    let (wrong, right) = (setup.folder().join("wrong"), setup.folder().join("right"));
    fs::write(&wrong, "guess\n").unwrap();
    fs::write(&right, "geheim\n").unwrap();
    let (code, report) = import(&setup, &[text(&pki)]);
    assert_eq!((code, &report["complete"]), (1, &json!(false)));
    assert_eq!(notes(&report, "private_key.pem"), ["passphrase_required"]);
    assert_eq!(notes(&report, "client_certificate.pem"), ["certificate_without_key"]);
    let (code, report) = import(&setup, &[text(&pki), "--passphrase-file", text(&wrong)]);
    assert_eq!((code, notes(&report, "private_key.pem")), (1, vec!["passphrase_wrong"]));
    assert!(!setup.data_dir().exists(), "nothing to import makes nothing");
    let both = ["--passphrase-file", text(&wrong), "--passphrase-file", text(&right)];
    let (code, report) = import(&setup, &[&[text(&pki)], &both[..]].concat());
    assert_eq!((code, outcomes(&report)), (0, vec!["imported"]), "{report:#}");
}

#[test]
fn a_server_that_trusts_an_open62541_client_takes_koios_for_it() {
    let setup = Setup::new();
    let folder = setup.folder().join("open62541");
    let Some(()) = foreign_pki::open62541(&folder, "urn:plant:open62541", "Line 1@gw01") else { return };
    let theirs = fs::read(folder.join("certs/client_cert.der")).unwrap();
    let options = ServerOptions { trusted: vec![theirs.clone()], ..ServerOptions::default() };
    let Some(server) = start_or_skip(Stack::Open62541, options) else { return };

    let (code, report) = import(&setup, &[text(&folder.join("pki"))]);
    assert_eq!((code, &report["sources"][0]["layout"]), (0, &json!("open62541")), "{report:#}");
    assert_eq!(outcomes(&report), ["imported"]);
    assert_eq!(notes(&report, ".key"), ["private_key"]);
    let (code, report) = import(&setup, &[text(&folder)]);
    assert_eq!((code, outcomes(&report)), (0, vec!["already_there"]));
    assert_eq!(report["certificates"][0]["private_key_files"].as_array().unwrap().len(), 2, "{report:#}");

    let daemon = setup.start();
    let certificate = stored(&daemon, &theirs);
    assert_eq!(certificate["name"], "Line 1@gw01");
    assert_eq!(certificate["application_uri"], "urn:plant:open62541");
    expect_connection(&daemon, &server, &certificate);
    daemon.stop();
}

#[test]
fn key_stores_of_a_java_program_are_opened_with_every_entry() {
    let setup = Setup::empty();
    let folder = setup.folder().join("stores");
    let Some(()) = foreign_pki::java_key_stores(&folder) else { return };
    let passphrase = setup.folder().join("passphrase");
    fs::write(&passphrase, "password\n").unwrap();
    let opened = ["--passphrase-file", text(&passphrase)];
    let jks = folder.join("client.jks");
    let (code, report) = import(&setup, &[&[text(&jks)], &opened[..]].concat());
    assert_eq!((code, notes(&report, "client.jks")), (1, vec!["java_key_store"]));

    // What it says to do works.
    let said = report["files"][0]["notes"][0]["detail"].as_str().unwrap();
    let (_, keytool) = said.split_once("new file: ").unwrap();
    let passwords = " -srcstorepass password -deststorepass password";
    let output = Command::new("sh").args(["-c", &format!("{keytool}{passwords}")]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::remove_file(&jks).unwrap();

    let (code, report) = import(&setup, &[text(&folder)]);
    assert_eq!((code, notes(&report, "client.pfx")), (1, vec!["passphrase_required"]));
    let (code, report) = import(&setup, &[&[text(&folder)], &opened[..]].concat());
    assert_eq!((code, outcomes(&report)), (0, vec!["imported", "imported"]), "{report:#}");
    let uris: Vec<_> =
        report["certificates"].as_array().unwrap().iter().map(|one| &one["application_uri"]).collect();
    assert!(
        uris.contains(&&json!("urn:plant:java:client")) && uris.contains(&&json!("urn:plant:java:second"))
    );
    assert_eq!(notes(&report, "client.p12"), ["certificate", "private_key"]);
    let several = notes(&report, "several.p12");
    assert_eq!(several.iter().filter(|note| **note == "certificate_without_key").count(), 1, "{several:?}");

    let daemon = setup.start();
    assert_eq!(daemon.get("certificates?q=urn:plant:java").expect(200)["total"], 2);
    daemon.stop();
}

#[test]
fn folders_laid_out_as_those_of_dotnet_bring_chain_and_trust() {
    let setup = Setup::empty();
    let (open, protected) = (setup.folder().join("open"), setup.folder().join("protected"));
    let Some(()) = foreign_pki::dotnet_layout(&open, None) else { return };
    let Some(()) = foreign_pki::dotnet_layout(&protected, Some("geheim")) else { return };
    let (code, report) = import(&setup, &[text(&open)]);
    assert_eq!((code, &report["sources"][0]["layout"]), (0, &json!("dotnet")), "{report:#}");
    assert_eq!(outcomes(&report), ["imported", "imported"]);
    let first = &report["certificates"][0];
    assert_eq!(
        (&first["name"], &first["issuers"][0]),
        (&json!("OPC Publisher"), &json!("CN=Plant CA, O=Plant"))
    );
    assert_eq!(report["certificates"][1]["name"], "OPC Publisher 2", "the one on a curve");
    let trust: Vec<_> =
        report["trust"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(trust, ["left"; 3]);

    let passphrase = setup.folder().join("passphrase");
    fs::write(&passphrase, "geheim\n").unwrap();
    let arguments = [text(&protected), text(&open), "--trust", "--passphrase-file", text(&passphrase)];
    let (code, report) = import(&setup, &arguments);
    assert_eq!(code, 0, "{report:#}");
    let mut found = outcomes(&report);
    found.sort_unstable();
    assert_eq!(found, ["already_there", "already_there", "imported", "imported"]);
    assert!(report["trust"].as_array().unwrap().iter().all(|one| one["outcome"] == "imported"), "{report:#}");

    let daemon = setup.start();
    let certificates = daemon.get("certificates?sort=created_at").expect(200);
    let first = &certificates["items"][0];
    assert_eq!((&first["name"], &first["is_default"]), (&json!("OPC Publisher"), &json!(true)));
    let detail = daemon.get(&format!("certificates/{}", first["id"].as_str().unwrap())).expect(200);
    assert_eq!(detail["chain_length"], 2, "{detail:#}");
    for (list, count) in [("trusted", 2), ("issuer", 2), ("rejected", 0)] {
        let path = format!("trust/server-certificates?list={list}");
        assert_eq!(daemon.get(&path).expect(200)["total"], count, "{list}");
    }
    let revoked = daemon.get("trust/crls").expect(200);
    assert_eq!(
        (&revoked["total"], &revoked["items"][0]["list"]),
        (&json!(2), &json!("issuer")),
        "{revoked:#}"
    );
    daemon.stop();
    let (code, report) = import(&setup, &arguments);
    assert_eq!((code, outcomes(&report)), (0, vec!["already_there"; 4]));
    assert!(report["trust"].as_array().unwrap().iter().all(|one| one["outcome"] == "already_there"));
}

/// A folder with one file.
fn folder_with(setup: &Setup, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let folder = setup.folder().join(name);
    for (file, contents) in files {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    folder
}

fn application(uri: &str, slot: usize) -> TestCertificate {
    CertificateSpec::application(uri).named("Line").with_shared_key(2048, slot.try_into().unwrap()).make()
}

#[test]
fn every_file_is_told_of_and_nothing_is_followed_out_of_the_folder() {
    let (own, other, lost) = (application("urn:a", 1), application("urn:b", 2), application("urn:c", 3));
    let authority = CertificateSpec::authority("Plant CA").with_shared_key(2048, 4).make();
    let setup = Setup::empty();
    let folder = folder_with(
        &setup,
        "pki",
        &[
            ("own/certs/named like another.der", own.der()),
            ("own/private/own.pem", own.key_pem().as_bytes()),
            ("own/certs/lost.der", lost.der()),
            ("own/private/other.key", other.key_pem().as_bytes()),
            ("own/private/ca.pem", format!("{}{}", authority.pem(), authority.key_pem()).as_bytes()),
            ("own/damaged.der", &own.der()[..200]),
            ("own/long.log", &vec![b'x'; 300_000]),
            ("rejected/certs/x.der", lost.der()),
        ],
    );
    let outside =
        folder_with(&setup, "outside", &[("secret.pem", application("urn:d", 5).key_pem().as_bytes())]);
    symlink(outside.join("secret.pem"), folder.join("own/private/link.pem")).unwrap();
    symlink(&outside, folder.join("own/linked")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("own/pipe")).status().unwrap().success());

    let (code, report) = import(&setup, &[text(&folder)]);
    assert_eq!(code, 1);
    assert_eq!(notes(&report, "named like another.der"), ["certificate"]);
    assert_eq!(notes(&report, "private/own.pem"), ["private_key"]);
    assert_eq!(notes(&report, "certs/lost.der"), ["certificate_without_key"]);
    assert_eq!(notes(&report, "other.key"), ["key_without_certificate"]);
    assert_eq!(notes(&report, "damaged.der"), ["unreadable"]);
    assert_eq!(notes(&report, "long.log"), ["not_needed"]);
    assert_eq!(notes(&report, "own/pipe"), ["not_needed"]);
    assert_eq!(notes(&report, "link.pem"), ["link"]);
    assert_eq!(notes(&report, "own/linked"), ["link"]);
    assert_eq!(notes(&report, "rejected/certs/x.der"), ["not_needed"]);
    let mut found = outcomes(&report);
    found.sort_unstable();
    assert_eq!(found, ["imported", "refused"], "an authority is no application");
    assert!(!report.to_string().contains("PRIVATE KEY"));
    let (_, said, _) = setup.ended(&["import", text(&folder), "--dry-run"]);
    assert!(said.contains("ALREADY THERE as \"Line\"") && said.contains("not taken over:"), "{said}");
    assert!(said.contains("dry run: nothing was changed"), "{said}");
}

#[test]
fn the_name_is_the_common_name_or_the_given_one() {
    let setup = Setup::empty();
    let pair = |slot| application(&format!("urn:{slot}"), slot);
    let pem = |slot| format!("{}{}", pair(slot).pem(), pair(slot).key_pem());
    let two = folder_with(&setup, "two", &[("1.pem", pem(1).as_bytes()), ("2.pem", pem(2).as_bytes())]);
    let (code, _, error) = setup.ended(&["import", text(&two), "--name", "Gateway"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("2 certificates"), "{error}");
    let (code, report) = import(&setup, &[text(&two.join("1.pem")), "--name", "LINE"]);
    assert_eq!((code, &report["certificates"][0]["name"]), (0, &json!("LINE")));
    let (code, report) = import(&setup, &[text(&two), "--name", "Gateway 2"]);
    assert_eq!(code, 0, "one of them is new: {report:#}");
    let three = folder_with(&setup, "three", &[("3.pem", pem(3).as_bytes())]);
    let (code, _, error) = setup.ended(&["import", text(&three), "--name", "gateway 2"]);
    assert_eq!((code, error.contains("is taken")), (Some(1), true), "{error}");
    let (_, report) = import(&setup, &[text(&three)]);
    assert_eq!(report["certificates"][0]["name"], "Line 2", "whatever the case");

    for (arguments, code, said) in [
        (&["import"][..], 2, "PATH"),
        (&["import", "/nowhere"], 2, "/nowhere"),
        (&["import", text(&three), "--passphrase-file", "/nowhere"], 2, "/nowhere"),
        (&["import", text(&three), "--name", " "], 2, "at least one character"),
    ] {
        let (ended, _, error) = setup.ended(arguments);
        assert_eq!((ended, error.contains(said)), (Some(code), true), "{arguments:?}: {error}");
    }
    let empty = folder_with(&setup, "empty", &[("readme.txt", b"nothing")]);
    let (code, said, _) = setup.ended(&["import", text(&empty)]);
    assert_eq!((code, said.contains("no private key was found")), (Some(1), true), "{said}");
    let authority = CertificateSpec::authority("Plant CA").with_shared_key(2048, 4).make();
    let pem = format!("{}{}", authority.pem(), authority.key_pem());
    let (code, report) = import(&setup, &[text(&folder_with(&setup, "ca", &[("ca.pem", pem.as_bytes())]))]);
    assert_eq!((code, outcomes(&report)), (1, vec!["refused"]), "nothing that an application could use");
}

#[test]
fn an_imported_key_is_the_owners_alone_and_belongs_to_whom_the_directory_belongs() {
    let setup = Setup::empty();
    let made = application("urn:a", 1);
    let pem = format!("{}{}", made.pem(), made.key_pem());
    let file = folder_with(&setup, "pki", &[("own.pem", pem.as_bytes())]);
    fs::create_dir(setup.data_dir()).unwrap();
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if root {
        // The daemon's user, when root imports what only root may read.
        std::os::unix::fs::chown(setup.data_dir(), Some(12_345), Some(12_345)).unwrap();
    }
    let (code, report) = import(&setup, &[text(&file)]);
    assert_eq!((code, &report["warnings"]), (0, &json!([])), "{report:#}");
    let id = report["certificates"][0]["id"].as_str().unwrap();
    let generation = setup.data_dir().join("certificates").join(id).join("1");
    let key = fs::metadata(generation.join("private-key.pem")).unwrap();
    assert_eq!(key.permissions().mode() & 0o7777, 0o600);
    let owner = fs::metadata(setup.data_dir()).unwrap().uid();
    for path in ["", "koios.db", "koios.lock", "secrets.key", "certificates", "trust/trusted/certs"] {
        assert_eq!(fs::metadata(setup.data_dir().join(path)).unwrap().uid(), owner, "{path}");
    }
    assert_eq!((key.uid(), fs::metadata(generation).unwrap().uid()), (owner, owner));
}

#[test]
fn an_import_that_is_killed_leaves_whole_certificates_and_goes_on_when_it_is_repeated() {
    const PAIRS: usize = 8;
    let files: Vec<_> = (0..PAIRS)
        .map(|slot| {
            let uri = format!("urn:line:{slot}");
            let made =
                CertificateSpec::application(&uri).with_shared_key(256, slot.try_into().unwrap()).make();
            (format!("{slot}.pem"), format!("{}{}", made.pem(), made.key_pem()))
        })
        .collect();
    let files: Vec<_> = files.iter().map(|(name, pem)| (name.as_str(), pem.as_bytes())).collect();
    for round in 0..8 {
        let setup = Setup::empty();
        let folder = folder_with(&setup, "pki", &files);
        let mut child = setup
            .command()
            .args(["import", text(&folder)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        // Not a wait for something: the moment of the kill is what differs between the rounds.
        thread::sleep(Duration::from_millis(25 * round));
        let _ = child.kill();
        child.wait().expect("it ends");
        let (code, report) = import(&setup, &[text(&folder)]);
        assert_eq!((code, outcomes(&report).len()), (0, PAIRS), "{report:#}");
        let (code, said, _) = setup.ended(&["check"]);
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn what_an_upload_would_refuse_is_left_with_the_same_words() {
    let short = CertificateSpec::application("urn:plant:short").with_shared_key(1024, 0).make();
    let setup = Setup::empty();
    let pem = format!("{}{}", short.pem(), short.key_pem());
    let folder = folder_with(&setup, "pki", &[("own/short.pem", pem.as_bytes())]);
    let (code, report) = import(&setup, &[text(&folder)]);
    assert_eq!(code, 1);
    if cfg!(feature = "deprecated-policies") {
        assert_eq!(outcomes(&report), ["refused"]);
        assert!(report["certificates"][0]["reason"].as_str().unwrap().contains("allow_deprecated_policies"));
        let allowed = setup.with_environment("KOIOS_ALLOW_DEPRECATED_POLICIES", "true");
        let (code, report) = import(&allowed, &[text(&folder)]);
        assert_eq!((code, outcomes(&report)), (0, vec!["imported"]));
    } else {
        assert_eq!(notes(&report, "short.pem"), ["key_unusable", "certificate_without_key"]);
        assert!(
            report["files"][0]["notes"][0]["detail"].as_str().unwrap().contains("1024 bits"),
            "{report:#}"
        );
    }
}
