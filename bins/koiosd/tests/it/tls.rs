//! TLS of the listener, judged by real handshakes.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use koios_testkit::{ServerOptions, Stack, openssl};
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
};
use rustls::version::{TLS12, TLS13};
use serde_json::json;

use crate::{
    daemon::{ADMIN, Setup},
    http::raw,
    tls_client::TlsClient,
};

/// Generous: a wait that long is a hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn self_signed() -> Setup {
    Setup::empty().with_environment("KOIOS_TLS__SELF_SIGNED", "true")
}

fn bearer() -> String {
    format!("Authorization: Bearer {ADMIN}\r\n")
}

/// The files of a new pair for `localhost`.
fn pair(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let files = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    fs::write(&files.0, certificate.pem()).unwrap();
    fs::write(&files.1, key.serialize_pem()).unwrap();
    files
}

fn with_files(certificate: &Path, private_key: &Path) -> Setup {
    Setup::empty()
        .with_environment("KOIOS_TLS__CERTIFICATE", certificate.to_str().unwrap())
        .with_environment("KOIOS_TLS__PRIVATE_KEY", private_key.to_str().unwrap())
}

fn shown(address: SocketAddr, trusted: &Path) -> Option<Vec<u8>> {
    let client = TlsClient::connect(address, "localhost", trusted, &[&TLS13]);
    client.ok().map(|client| client.certificate())
}

#[test]
fn a_certificate_of_our_own_is_made_once_and_clients_that_know_it_are_served() {
    let setup = self_signed();
    let daemon = setup.start();
    assert!(daemon.url.starts_with("https://127.0.0.1:"), "{}", daemon.url);
    let folder = daemon.data_dir().join("tls");
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("private-key.pem"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&key)), (0o700, 0o600));

    let mut first = Vec::new();
    for (name, version) in [("localhost", &TLS13), ("127.0.0.1", &TLS12)] {
        let mut client = TlsClient::connect(daemon.address(), name, &certificate, &[version]).unwrap();
        assert_eq!(client.protocol(), Some(&b"http/1.1"[..]));
        let answer = client.ask("/api/v1/certificates", &bearer()).unwrap();
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        assert!(answer.contains("strict-transport-security: max-age=31536000\r\n"), "{answer}");
        assert!(client.ask("/healthz", "").unwrap().starts_with("http/1.1 200"));
        first = client.certificate();
    }
    let thumbprint = koios_store_thumbprint(&first);
    assert!(daemon.log().contains(&thumbprint), "{}", daemon.log());
    let other_name = TlsClient::connect(daemon.address(), "other.example", &certificate, &[&TLS13]);
    assert!(other_name.is_err());
    // Whoever speaks plain HTTP gets nothing, and the others go on.
    let plain = raw(daemon.address(), b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
    assert_eq!(shown(daemon.address(), &certificate).unwrap(), first);
    daemon.stop();

    let (code, said, _) = setup.ended(&["check"]);
    assert_eq!(code, Some(0), "{said}");
    let again = setup.start();
    assert_eq!(shown(again.address(), &certificate).unwrap(), first);
    again.stop();
    let plain = setup.without_environment("KOIOS_TLS__SELF_SIGNED").start();
    assert!(plain.url.starts_with("http://"));
    let answer = plain.get("certificates");
    assert_eq!(answer.header("strict-transport-security"), None);
}

fn koios_store_thumbprint(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

#[test]
fn openssl_accepts_the_certificate_of_our_own_by_its_strict_rules() {
    if !openssl::available_or_skip() {
        return;
    }
    let daemon = self_signed().start();
    let file = daemon.data_dir().join("tls/certificate.pem");
    let judge = |name: &str| {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &daemon.address().to_string(), "-CAfile", file.to_str().unwrap()])
            .args(["-x509_strict", "-verify_return_error", "-verify_hostname", name])
            .stdin(Stdio::null())
            .output();
        output.expect("openssl runs").status.success()
    };
    assert_eq!((judge("localhost"), judge("other.example")), (true, false));
}

#[test]
fn keys_in_each_of_their_forms_and_a_chain_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    if !openssl::available_or_skip() {
        return;
    }
    let make = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(folder.path()).output();
        let output = output.expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let (certificate, key) = (folder.path().join("pem"), folder.path().join("key"));
    for (algorithm, form, mark) in [
        (&PKCS_RSA_SHA256, &["rsa", "-traditional"][..], "BEGIN RSA PRIVATE KEY"),
        (&PKCS_ECDSA_P256_SHA256, &["ec"], "BEGIN EC PRIVATE KEY"),
        (&PKCS_ECDSA_P384_SHA384, &["pkey"], "BEGIN PRIVATE KEY"),
        // As it is: the openssl of today reads no PKCS#8 with a public key in it (RFC 5958).
        (&PKCS_ED25519, &[], "BEGIN PRIVATE KEY"),
    ] {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        let made = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&pair).unwrap();
        fs::write(&certificate, made.pem()).unwrap();
        fs::write(folder.path().join("pkcs8"), pair.serialize_pem()).unwrap();
        match form {
            [] => drop(fs::copy(folder.path().join("pkcs8"), &key).unwrap()),
            _ => make(&[form, &["-in", "pkcs8", "-out", "key"]].concat()),
        }
        assert!(fs::read_to_string(&key).unwrap().contains(mark), "{mark}");
        let daemon = with_files(&certificate, &key).start();
        assert!(shown(daemon.address(), &certificate).is_some(), "{mark}");
    }

    // An authority above: what the client trusts comes after the leaf.
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&leaf_key, &rcgen::Issuer::new(params, authority_key))
        .unwrap();
    let trusted = folder.path().join("authority.pem");
    fs::write(&trusted, authority.pem()).unwrap();
    fs::write(&certificate, leaf.pem() + &authority.pem()).unwrap();
    fs::write(&key, leaf_key.serialize_pem()).unwrap();
    let daemon = with_files(&certificate, &key).start();
    assert!(shown(daemon.address(), &trusted).is_some());
}

#[test]
fn files_that_cannot_be_used_end_the_start_with_a_sentence_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = pair(folder.path(), "a");
    let (_, other_key) = pair(folder.path(), "b");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let missing = folder.path().join("missing.pem");
    let garbage = file("garbage", "no PEM");
    let torn = file("torn", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    let encrypted = file(
        "encrypted",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let broken_key = file("broken", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let no_x509 = file("no-x509", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let folder_path = folder.path().to_owned();
    for (certificate, key, said) in [
        (&missing, &key, "cannot read tls.certificate"),
        (&certificate, &missing, "cannot read tls.private_key"),
        (&folder_path, &key, "cannot read tls.certificate"),
        (&garbage, &key, "holds no certificate"),
        (&torn, &key, "a PEM block in it cannot be read"),
        (&no_x509, &key, "cannot be used for TLS"),
        (&certificate, &garbage, "holds no private key"),
        (&certificate, &encrypted, "is encrypted"),
        (&certificate, &broken_key, "holds a key that TLS cannot use"),
        (&certificate, &other_key, "is not the key of the first certificate"),
    ] {
        let output = with_files(certificate, key).run();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}: {text}");
        assert!(text.contains(said), "{said}: {text}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn another_certificate_is_shown_without_a_restart_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = pair(folder.path(), "shown");
    let daemon = with_files(&certificate, &key).start();
    let address = daemon.address();
    let mut standing = TlsClient::connect(address, "localhost", &certificate, &[&TLS13]).unwrap();
    let first = standing.certificate();

    // One file after the other, as tools do.
    let (new_certificate, new_key) = pair(folder.path(), "new");
    fs::copy(&new_key, &key).unwrap();
    fs::rename(&new_certificate, &certificate).unwrap();
    let started = Instant::now();
    let second = loop {
        // It is used all the time, so that it is not closed as idle; it stands in spite of the change.
        assert!(standing.ask("/healthz", "").unwrap().starts_with("http/1.1 200"));
        // Only the new one is trusted here.
        if let Some(shown) = shown(address, &certificate) {
            break shown;
        }
        assert!(started.elapsed() < PATIENCE, "{}", daemon.log());
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_ne!(first, second);
    assert!(standing.ask("/healthz", "").unwrap().starts_with("http/1.1 200"));
    daemon.wait_for_log("another certificate for TLS is shown from now on");

    let kept = folder.path().join("kept.pem");
    fs::copy(&certificate, &kept).unwrap();
    fs::write(&certificate, "no PEM").unwrap();
    daemon.wait_for_log("another certificate for TLS cannot be used; the one before goes on being shown");
    assert_eq!(shown(address, &kept).unwrap(), second);
    fs::remove_file(&certificate).unwrap();
    daemon.wait_for_log("cannot read tls.certificate");
    assert_eq!(shown(address, &kept).unwrap(), second);
    fs::copy(&kept, &certificate).unwrap();
    assert_eq!(shown(address, &kept).unwrap(), second);
}

#[test]
fn beyond_loopback_it_takes_tls_or_a_word_that_is_repeated_at_each_start() {
    let everywhere = ["--listen", "0.0.0.0:0"];
    let refused = Setup::empty().with_arguments(&everywhere).run();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    for remedy in ["tls.self_signed", "tls.certificate", "tls.private_key", "insecure_allow_plain_http"] {
        assert!(text.contains(remedy), "{text}");
    }

    let daemon = self_signed().with_arguments(&everywhere).start();
    assert!(daemon.url.starts_with("https://0.0.0.0:"), "{}", daemon.url);
    let trusted = daemon.data_dir().join("tls/certificate.pem");
    assert!(shown(SocketAddr::from(([127, 0, 0, 1], daemon.address().port())), &trusted).is_some());
    assert!(!daemon.log().contains("INSECURE"));
    daemon.stop();

    let setup = Setup::empty()
        .with_arguments(&everywhere)
        .with_environment("KOIOS_INSECURE_ALLOW_PLAIN_HTTP", "true");
    for warnings in 1..=2 {
        let daemon = setup.start();
        assert!(TcpStream::connect(("127.0.0.1", daemon.address().port())).is_ok());
        assert_eq!(daemon.log().matches("INSECURE").count(), warnings);
        daemon.stop();
    }
}

#[test]
fn links_begin_with_the_public_url() {
    let daemon =
        Setup::empty().with_environment("KOIOS_PUBLIC_URL", "https://gw01.plant.example/koios/").start();
    let base = "https://gw01.plant.example/koios/api/v1";
    let generate =
        daemon.post("certificates/generate", &json!({ "name": "A", "hostname": "gw01.plant.example" }));
    let location = generate.header("location").unwrap().to_owned();
    let id = generate.expect(201)["id"].as_str().unwrap().to_owned();
    assert_eq!(location, format!("{base}/certificates/{id}"));
    let device = daemon
        .post(
            "devices",
            &json!({ "name": "D", "endpoint_url": "opc.tcp://127.0.0.1:1", "security_mode": "sign" }),
        )
        .expect(201);
    let guide = daemon.get(&format!("devices/{}/trust-guide", device["id"].as_str().unwrap())).expect(200);
    assert_eq!(guide["certificate_download"], format!("{base}/certificates/{id}/certificate.der"));

    let server = koios_testkit::start(Stack::AsyncOpcua, ServerOptions::default()).expect("always there");
    let report = daemon
        .post(
            "devices/test",
            &json!({ "endpoint_url": server.endpoint_url, "security_mode": "sign", "timeout_seconds": 30 }),
        )
        .expect(200);
    let links: Vec<_> =
        report["remedy"].as_array().unwrap().iter().filter_map(|step| step["link"].as_str()).collect();
    assert!(!links.is_empty() && links.iter().all(|link| link.starts_with(base)), "{report}");
}
