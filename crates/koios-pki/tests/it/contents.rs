//! Files of which nobody said what they hold.

use std::sync::LazyLock;

use koios_pki::{EncryptionSeed, InputKind, ReadError, Unreadable, read_contents};
use proptest::prelude::*;

use crate::samples::{CERTIFICATE, KEY_2048, KEY_P256, OTHER_KEY_2048, issued_certificate, pem_of};

fn seed() -> EncryptionSeed {
    EncryptionSeed::from_random_bytes([7; 64])
}

#[test]
fn certificates_and_keys_are_found_in_whatever_lies_in_one_file() {
    let (issued, _) = issued_certificate(&OTHER_KEY_2048, |_| {}, |_| {});
    let pem = [CERTIFICATE.to_pem(), issued.to_pem(), CERTIFICATE.to_pem()].concat();
    let everything = [pem.as_bytes(), &pem_of(&KEY_2048), &pem_of(&KEY_P256)].concat();
    let held = read_contents(&everything, &[]).unwrap();
    assert_eq!(held.certificates, [CERTIFICATE.clone(), issued.clone()], "each once, in their order");
    let keys: Vec<_> = held.private_keys.iter().map(|key| key.as_ref().unwrap().public_key()).collect();
    assert_eq!(keys, [KEY_2048.public_key(), KEY_P256.public_key()]);

    let blob = [CERTIFICATE.der(), issued.der()].concat();
    assert_eq!(read_contents(&blob, &[]).unwrap().certificates, [CERTIFICATE.clone(), issued]);
    let alone = read_contents(&pem_of(&OTHER_KEY_2048), &[]).unwrap();
    assert_eq!((alone.certificates.len(), alone.private_keys.len()), (0, 1));
}

#[test]
fn each_passphrase_is_tried_and_a_key_that_none_opens_does_not_hide_the_others() {
    let one = KEY_2048.to_encrypted_pem("one", &seed()).unwrap();
    let two = OTHER_KEY_2048.to_encrypted_pem("two", &seed()).unwrap();
    let both = [one.secret_bytes(), two.secret_bytes()].concat();
    let errors = |passphrases: &[&str]| -> Vec<_> {
        let held = read_contents(&both, passphrases).unwrap();
        held.private_keys.into_iter().map(Result::err).collect()
    };
    assert_eq!(errors(&[]), [Some(ReadError::PassphraseRequired), Some(ReadError::PassphraseRequired)]);
    assert_eq!(errors(&["two"]), [Some(ReadError::PassphraseWrong), None]);
    assert_eq!(errors(&["two", "one"]), [None, None]);

    let store = KEY_2048.to_pkcs12(&CERTIFICATE.clone().into(), "own", "one", &seed()).unwrap();
    assert_eq!(read_contents(&store, &[]).err(), Some(ReadError::PassphraseRequired));
    assert_eq!(read_contents(&store, &["two"]).err(), Some(ReadError::PassphraseWrong));
    let held = read_contents(&store, &["two", "one"]).unwrap();
    assert_eq!(
        (held.certificates.as_slice(), held.private_keys.len()),
        ([CERTIFICATE.clone()].as_slice(), 1)
    );
}

#[test]
fn what_holds_neither_is_called_what_it_is() {
    let looks_like = |bytes: &[u8]| match read_contents(bytes, &[]).err() {
        Some(ReadError::CertificateUnreadable { reason: Unreadable::LooksLike(kind) }) => kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(looks_like(b""), InputKind::Empty);
    assert_eq!(looks_like(b"HOME = .\n[req]\n"), InputKind::Text);
    assert_eq!(looks_like(b"\xFE\xED\xFE\xED\0\0\0\x02"), InputKind::JavaKeyStore);
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    assert_eq!(looks_like(request.as_bytes()), InputKind::CertificateRequest);
    let cut = read_contents(&CERTIFICATE.der()[..100], &[]).err().unwrap();
    assert!(cut.to_string().contains("cut off"), "{cut}");
    let long = read_contents(&vec![b'x'; 300_000], &[]).err().unwrap();
    assert!(matches!(long, ReadError::CertificateUnreadable { reason: Unreadable::TooLarge { .. } }));
}

static STORE: LazyLock<Vec<u8>> =
    LazyLock::new(|| KEY_2048.to_pkcs12(&CERTIFICATE.clone().into(), "own", "x", &seed()).unwrap());

proptest! {
    // What is damaged may still ask for the work of a passphrase.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_contents(&bytes, &["x"]);
    }

    #[test]
    fn no_damage_to_a_key_store_makes_it_panic(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut file = STORE.clone();
        let place = at.index(file.len());
        file[place] = value;
        let _ = read_contents(&file, &[]);
        let _ = read_contents(&file[..place], &[]);
    }
}
