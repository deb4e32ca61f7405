//! Encryption at rest and the master key, as an operator turns them; and that no secret is where it should not be.

use std::{fs, path::PathBuf};

use koios_testkit::{CertificateSpec, openssl};
use serde_json::{Value, json};

use crate::{
    daemon::{ADMIN, Daemon, Setup, contents_below},
    http::Answer,
};

const PASSWORD: &str = "hunter2-of-press-4";
const PASSPHRASE: &str = "correct horse battery staple";

/// A new key in a file of its own.
fn generated(setup: &Setup, name: &str) -> String {
    let path = setup.folder().join(name);
    let path = path.to_str().expect("UTF-8").to_owned();
    let (code, said, error) = setup.ended(&["master-key", "generate", &path]);
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains(&path), "{said}");
    path
}

fn encrypted(setup: &Setup, key: &str) -> Setup {
    setup
        .clone()
        .with_environment("KOIOS_MASTER_KEY_FILE", key)
        .with_environment("KOIOS_ENCRYPTION_AT_REST", "true")
}

fn device(daemon: &Daemon) -> Value {
    let device = json!({ "name": "Press 4", "endpoint_url": "opc.tcp://127.0.0.1:9", "enabled": false,
        "user_identity": { "type": "username", "username": "op", "password": PASSWORD } });
    daemon.post("devices", &device).expect(201)
}

fn private_key(daemon: &Daemon, certificate: &Value) -> Answer {
    daemon.get(&format!("certificates/{}/private-key.pem", certificate["id"].as_str().unwrap()))
}

/// What tells a key from all others: a line of its PEM text, and the bytes it stands for.
fn traces(pem: &str) -> Vec<Vec<u8>> {
    let lines: Vec<&str> = pem.lines().collect();
    let line = lines[lines.len() / 2];
    let bytes = openssl::run(&["base64", "-d", "-A"], line.as_bytes());
    assert!(bytes.len() > 40, "{line}");
    vec![line.as_bytes().to_vec(), bytes]
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

#[test]
fn no_secret_is_in_logs_answers_or_files() {
    if !openssl::available_or_skip() {
        return;
    }
    let plain = Setup::new().with_environment("KOIOS_LOG_LEVEL", "trace");
    let key_file = generated(&plain, "master.key");
    let master = fs::read_to_string(&key_file).unwrap().trim().to_owned();
    let setup = encrypted(&plain, &key_file);
    let daemon = setup.start();
    let mut answers: Vec<Answer> = Vec::new();

    // What is secret: every private key, passwords, passphrases, tokens, the master key.
    let made = daemon.generate("Plant A");
    let uploaded = CertificateSpec::application("urn:plant:uploaded").make();
    let pem = setup.folder().join("in.pem");
    fs::write(&pem, format!("{}{}", uploaded.key_pem(), uploaded.pem())).unwrap();
    let container = openssl::run(
        &["pkcs12", "-export", "-in", pem.to_str().unwrap(), "-passout", &format!("pass:{PASSPHRASE}")],
        b"",
    );
    fs::remove_file(&pem).unwrap();
    let form = |passphrase: &'static str| {
        [
            ("name", b"Uploaded".to_vec()),
            ("certificate", container.clone()),
            ("passphrase", passphrase.as_bytes().to_vec()),
        ]
    };
    for passphrase in ["wrong, and secret too", PASSPHRASE] {
        let fields = form(passphrase);
        let fields: Vec<(&str, &[u8])> =
            fields.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        answers.push(daemon.call("POST", "certificates/upload").form(&fields).send());
    }
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [422, 201]);
    let press = device(&daemon);
    let press_path = format!("devices/{}", press["id"].as_str().unwrap());
    let id = made["id"].as_str().unwrap();
    let mut keys = vec![private_key(&daemon, &made).text()];

    // Everything that may show them.
    let with = |method: &str, path: &str, body: Value| daemon.call(method, path).json(&body).send();
    answers.push(with("POST", &format!("certificates/{id}/regenerate"), json!({})));
    answers.push(with("POST", &format!("certificates/{id}/csr"), json!({ "new_key": true })));
    keys.push(private_key(&daemon, &made).text());
    keys.push(uploaded.key_pem().to_owned());
    answers.push(with("POST", &format!("{press_path}/test"), json!({})));
    let typed_wrong =
        json!({ "user_identity": { "type": "username", "username": "op", "password": [PASSWORD] } });
    answers.push(
        daemon
            .call("PATCH", &press_path)
            .bytes("application/merge-patch+json", typed_wrong.to_string())
            .send(),
    );
    answers.push(daemon.call("GET", "certificates").token("a token that somebody guessed wrong").send());
    answers.push(with("POST", &format!("certificates/{id}/bundle.p12"), json!({ "passphrase": "" })));
    answers.push(with("POST", &format!("certificates/{id}/bundle.p12"), json!({ "passphrase": PASSPHRASE })));
    for path in [
        "certificates",
        "devices",
        "devices/export",
        "audit",
        "system",
        &press_path,
        &format!("certificates/{id}"),
        &format!("certificates/{id}/history"),
        "/metrics",
        "/readyz",
        "/healthz",
        "/api/v1/openapi.json",
    ] {
        answers.push(daemon.get(path));
    }
    let log = daemon.log();
    let in_use = contents_below(&setup.data_dir());
    daemon.stop();
    let (_, exported, _) = setup.ended(&["audit", "export"]);
    let (_, checked, complained) = setup.ended(&["check"]);
    let backup = setup.folder().join("backup.tar");
    let (code, said, _) = setup.ended(&["backup", backup.to_str().unwrap()]);
    assert_eq!(code, Some(0));

    let mut secrets: Vec<Vec<u8>> = keys.iter().flat_map(|pem| traces(pem)).collect();
    let raw: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&master[2 * at..2 * at + 2], 16).unwrap()).collect();
    for text in
        [PASSWORD, PASSPHRASE, "wrong, and secret too", "a token that somebody guessed wrong", &master]
    {
        secrets.push(text.as_bytes().to_vec());
    }
    secrets.push(raw);
    secrets.push(b"BEGIN PRIVATE KEY".to_vec());
    let at_rest = contents_below(&setup.data_dir());
    let outputs = [
        ("log", log),
        ("audit export", exported),
        ("check", checked),
        ("check", complained),
        ("backup", said),
    ];
    let everything = outputs
        .into_iter()
        .map(|(name, text)| (PathBuf::from(name), text.into_bytes()))
        .chain(answers.into_iter().map(|answer| (PathBuf::from("an answer"), answer.body)))
        .chain(in_use)
        .chain(at_rest)
        .chain([(backup.clone(), fs::read(&backup).unwrap())]);
    let mut searched = 0;
    for (name, contents) in everything {
        for secret in &secrets {
            assert!(
                !holds(&contents, secret),
                "{} holds {:?}",
                name.display(),
                String::from_utf8_lossy(secret)
            );
        }
        // The token lies in its own file until it is revoked, and nowhere else.
        if !name.ends_with("initial-admin-token") && name != backup {
            assert!(!holds(&contents, ADMIN.as_bytes()), "{} holds the token", name.display());
        }
        searched += 1;
    }
    assert!(searched > 40, "{searched}");
    assert!(holds(keys[0].as_bytes(), &traces(&keys[0])[0]), "the search finds what is there");
}

#[test]
fn encryption_is_turned_on_rotated_and_turned_off_as_the_documentation_says() {
    let setup = Setup::new();
    let daemon = setup.start();
    let made = daemon.generate("Plant A");
    device(&daemon);
    let key = private_key(&daemon, &made).text();
    let file = daemon.files_of(&made).join("private-key.pem");
    daemon.stop();
    assert_eq!(fs::read_to_string(&file).unwrap(), key);

    let first = generated(&setup, "first.key");
    let on = encrypted(&setup, &first);
    let daemon = on.start();
    assert!(fs::read_to_string(&file).unwrap().starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert!(!on.data_dir().join("secrets.key").exists());
    assert_eq!(private_key(&daemon, &made).text(), key);
    // Beside the daemon, with the same configuration and without.
    assert_eq!(on.ended(&["check"]).0, Some(0));
    assert_eq!(on.ended(&["audit", "verify"]).0, Some(0));
    let (code, said, _) = setup.ended(&["check"]);
    assert_eq!(code, Some(3));
    assert!(said.contains("name it with the setting master_key_file"), "{said}");
    let (code, _, error) = on.ended(&["master-key", "rotate", "--to-data-directory"]);
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains(&format!("process id {}", daemon.pid())), "{error}");
    daemon.stop();

    // Neither none nor another one is taken for the right one, and nothing is made anew.
    let second = generated(&setup, "second.key");
    for (wrong, said) in [(setup.clone(), "none is given"), (encrypted(&setup, &second), "second.key")] {
        let ended = wrong.run();
        let error = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{error}");
        assert!(error.contains(said), "{error}");
    }

    let (code, _, error) = on.ended(&["master-key", "rotate"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("--to FILE"), "{error}");
    let (code, said, error) = on.ended(&["master-key", "rotate", "--to", &second]);
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains("second.key"), "{said}");
    assert_eq!(on.run().status.code(), Some(2), "the old key is out of force");
    let on = encrypted(&setup, &second);
    let daemon = on.start();
    assert_eq!(private_key(&daemon, &made).text(), key);
    daemon.stop();
    assert_eq!(on.ended(&["check"]).0, Some(0));

    let (code, _, error) = on.ended(&["decrypt-keys"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("encryption_at_rest is on"), "{error}");
    let off = setup.clone().with_environment("KOIOS_MASTER_KEY_FILE", &second);
    let daemon = off.start();
    daemon.wait_for_log("private keys are encrypted and stay so");
    daemon.stop();
    let (code, said, error) = off.ended(&["decrypt-keys"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains("plain form: 2"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), key);
    let (code, said, error) = off.ended(&["master-key", "rotate", "--to-data-directory"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains("secrets.key") && said.contains("out of the configuration"), "{said}");
    let daemon = setup.start();
    assert_eq!(private_key(&daemon, &made).text(), key);
    daemon.stop();
    assert_eq!(setup.ended(&["check"]).0, Some(0));
}

#[test]
fn the_master_key_comes_from_a_file_the_environment_or_a_systemd_credential_and_from_one_of_them() {
    let setup = Setup::empty();
    let file = generated(&setup, "koios-master-key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    let folder = setup.folder().to_str().unwrap();
    let by_file = setup.clone().with_environment("KOIOS_MASTER_KEY_FILE", &file);
    let by_text = setup.clone().with_environment("KOIOS_MASTER_KEY", &text);
    let by_credential = setup.clone().with_environment("CREDENTIALS_DIRECTORY", folder);
    for same in [&by_file, &by_text, &by_credential, &by_file] {
        let daemon = same.start();
        daemon.stop();
        assert!(!setup.data_dir().join("secrets.key").exists());
    }
    let twice = by_file.with_environment("KOIOS_MASTER_KEY", &text);
    let refused = |setup: &Setup| {
        let ended = setup.run();
        assert_eq!(ended.status.code(), Some(2));
        String::from_utf8_lossy(&ended.stderr).into_owned()
    };
    let error = refused(&twice);
    assert!(error.contains("give one of them"), "{error}");
    for (wrong, said) in [
        (setup.clone().with_environment("KOIOS_MASTER_KEY", "secret-that-is-none"), "64 hexadecimal digits"),
        (setup.clone().with_environment("KOIOS_MASTER_KEY_FILE", "/nowhere"), "/nowhere"),
        (setup.clone().with_environment("KOIOS_MASTER_KEY_FILE", "/dev/zero"), "no file of a key's length"),
    ] {
        let error = refused(&wrong);
        assert!(error.contains(said) && !error.contains("secret-that-is-none"), "{error}");
    }
    let (code, _, error) = setup.ended(&["master-key", "generate", &file]);
    assert_eq!(code, Some(1), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "a key that is there is never replaced");
}
