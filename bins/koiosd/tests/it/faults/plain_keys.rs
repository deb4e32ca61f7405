//! With encryption at rest no private key is written in plain form, not even for a moment: everything that is written is
//! looked through.

use std::fs;

use super::shim::Shim;
use crate::{
    changes::{
        client::{Change, Client},
        world::{self, FIRST},
    },
    daemon::{ADMIN, Setup},
};

/// How `PrivateKeyInfo` (RFC 5958) begins behind its length, of an RSA key and of one on a curve: version 0, algorithm.
const RSA: &[u8] = &[
    0x02, 0x01, 0x00, 0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05,
    0x00, 0x04,
];
const CURVE: &[u8] = &[0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

/// Whether anywhere stands a private key in plain form: as PEM of any kind, or as DER.
fn shows_a_key(written: &[u8]) -> bool {
    [b"BEGIN PRIVATE KEY".as_slice(), b"BEGIN RSA PRIVATE KEY", b"BEGIN EC PRIVATE KEY", RSA, CURVE]
        .iter()
        .any(|trace| holds(written, trace))
}

fn run(setup: &Setup, arguments: &[&str]) {
    let (code, _, error) = setup.ended(arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {error}");
}

#[test]
fn with_encryption_at_rest_no_private_key_is_written_in_plain_form_not_even_for_a_moment() {
    let Some((setup, shim)) = Shim::before(Setup::empty()) else { return };
    let plain = shim.copying(setup);
    let daemon = plain.start();
    daemon.generate(FIRST);
    let mut client = Client::new(0, 5);
    client.quiet = true;
    client.state = world::observe(&daemon, 1).remove(0);
    daemon.stop();
    assert!(shows_a_key(&shim.take_written()), "the search finds what is there");
    let backup = plain.folder().join("backup.tar");
    let backup = backup.to_str().expect("UTF-8");
    run(&plain, &["backup", backup]);

    let key = plain.folder().join("master.key");
    fs::write(&key, "11".repeat(32)).expect("a key");
    let key = key.to_str().expect("UTF-8");
    let encrypted = plain
        .with_environment("KOIOS_MASTER_KEY_FILE", key)
        .with_environment("KOIOS_ENCRYPTION_AT_REST", "true");
    let written = |what: &str| {
        let written = shim.take_written();
        assert!(!shows_a_key(&written), "{what} writes a private key in plain form");
        holds(&written, b"BEGIN ENCRYPTED PRIVATE KEY")
    };
    let daemon = encrypted.start();
    assert!(written("turning it on"), "keys are written");
    for change in Change::ALL {
        let planned = client.plan_whatever_it_needs(change, &daemon.url, ADMIN);
        let answer = client.carry_out(planned).expect("an answer");
        assert!(answer.status < 300, "{change:?}: {}", answer.text());
        assert!(written(&format!("{change:?}")) || !change.makes_key(), "{change:?} writes a key");
    }
    daemon.generate("RSA");
    assert!(written("generating"));
    daemon.stop();
    run(&encrypted, &["master-key", "rotate", "--to-data-directory"]);
    run(&encrypted, &["check"]);
    let kept = fs::read(backup).expect("a backup");
    assert!(shows_a_key(&kept), "the backup from before holds keys in plain form");
    run(&encrypted, &["restore", backup]);
    assert!(written("restoring what was backed up before"));
    let daemon = encrypted.start();
    assert_eq!(daemon.get("certificates").expect(200)["total"], 1);
    daemon.stop();
}
