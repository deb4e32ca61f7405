//! PKCS#12, PKCS#7 and encrypted keys: as OpenSSL and Java write them, and written so that these read them.

use std::process::Command;

use koios_pki::{
    CertificateChain, EncryptionSeed, KeyError, PrivateKey, ReadError, Unreadable, read_certificates,
    read_pair, self_signed,
};
use proptest::prelude::*;

use crate::openssl::OpenSsl;
use crate::samples::{CERTIFICATE, KEY_2048, KEY_P256, KEY_P384, OTHER_KEY_2048, params, pem_of};

fn seed() -> EncryptionSeed {
    let mut bytes = [0; 64];
    bytes.iter_mut().zip(1..).for_each(|(byte, value)| *byte = value);
    EncryptionSeed::from_random_bytes(bytes)
}

/// A leaf of [`KEY_2048`], its issuer and the root, made by OpenSSL.
fn issued(openssl: &OpenSsl) -> CertificateChain {
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.run("req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 100 -subj /CN=Root");
    openssl.run("req -new -newkey rsa:2048 -nodes -keyout ca.key -out ca.csr -subj /CN=CA");
    openssl.run("x509 -req -in ca.csr -CA root.pem -CAkey root.key -days 90 -out ca.pem");
    openssl.run("req -new -key key.pem -out leaf.csr -subj /CN=leaf");
    openssl.run("x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -days 80 -out leaf.pem");
    let chain = ["leaf.pem", "ca.pem", "root.pem"].map(|name| openssl.read(name)).concat();
    openssl.write("chain.pem", &chain);
    CertificateChain::from_pem(&chain).unwrap()
}

#[test]
fn pkcs12_of_openssl_opens_in_every_encryption_with_its_passphrase_only() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let chain = issued(&openssl);
    openssl.write("issuers.pem", [openssl.read("root.pem"), openssl.read("ca.pem")].concat());
    for options in [
        "",
        "-legacy",
        "-legacy -descert",
        "-legacy -keypbe PBE-SHA1-RC2-128 -certpbe PBE-SHA1-RC2-40",
        "-keypbe AES-128-CBC -certpbe AES-192-CBC -macalg sha512",
        "-certpbe NONE",
        "-keypbe NONE",
        "-macalg sha384 -iter 5000",
        "-nomac",
        "-name pässword",
    ] {
        openssl.run(&format!(
            "pkcs12 -export -inkey key.pem -in leaf.pem -certfile issuers.pem {options} -passout pass:sécret \
             -out file.p12"
        ));
        let file = openssl.read("file.p12");
        let (read, key) =
            read_pair(&file, None, Some("sécret")).unwrap_or_else(|error| panic!("{options}: {error}"));
        assert_eq!(read, chain, "{options}: leaf first, each followed by its issuer");
        assert_eq!(key.public_key(), KEY_2048.public_key());
        let wrong = read_pair(&file, None, Some("other")).err().unwrap();
        assert_eq!(wrong, ReadError::PassphraseWrong, "{options}");
        let none = read_pair(&file, None, None).err().unwrap();
        assert_eq!(none, ReadError::PassphraseRequired, "{options}");
        assert_eq!(read_pair(&file, None, Some("")).err().unwrap(), ReadError::PassphraseRequired);
    }
}

#[test]
fn pkcs12_with_an_empty_passphrase_needs_none() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_P256));
    openssl.write("certificate.pem", self_signed(&params(), &KEY_P256).unwrap().to_pem());
    for options in ["", "-legacy"] {
        openssl.run(&format!(
            "pkcs12 -export -inkey key.pem -in certificate.pem {options} -passout pass: -out file.p12"
        ));
        for passphrase in [None, Some("")] {
            let (_, key) = read_pair(&openssl.read("file.p12"), None, passphrase).unwrap();
            assert_eq!(key.public_key(), KEY_P256.public_key(), "{options}");
        }
    }
}

#[test]
fn pkcs12_without_a_key_with_two_keys_or_beside_another_key_is_refused_with_its_reason() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.write("certificate.pem", CERTIFICATE.to_pem());
    openssl.run("pkcs12 -export -nokeys -in certificate.pem -passout pass:x -out no-key.p12");
    let refused = read_pair(&openssl.read("no-key.p12"), None, Some("x")).err().unwrap();
    assert!(matches!(refused, ReadError::PrivateKeyUnreadable { reason: Unreadable::NoPrivateKey }));
    openssl.run("pkcs12 -export -inkey key.pem -in certificate.pem -passout pass:x -out file.p12");
    let file = openssl.read("file.p12");
    let refused = read_pair(&file, Some(&pem_of(&OTHER_KEY_2048)), Some("x")).err().unwrap();
    assert!(matches!(
        refused,
        ReadError::PrivateKeyUnreadable { reason: Unreadable::SeveralPrivateKeys { count: 2 } }
    ));
    let refused = read_pair(CERTIFICATE.der(), Some(&file), Some("x")).err().unwrap();
    assert!(refused.to_string().contains("upload it as the certificate"), "{refused}");
    let refused = read_certificates(&file).err().unwrap();
    assert!(refused.to_string().contains("a PKCS#12 file"), "{refused}");
    let cut = read_pair(&file[..file.len() / 2], None, Some("x")).err().unwrap();
    assert!(matches!(cut, ReadError::CertificateUnreadable { .. }), "{cut}");
}

#[test]
fn pkcs12_of_java_is_read_and_java_reads_ours() {
    let keytool = |directory: &std::path::Path, arguments: &str| {
        let output = Command::new("keytool").args(arguments.split(' ')).current_dir(directory).output();
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "keytool {arguments}\n{text}");
        text
    };
    if Command::new("keytool").arg("-help").output().is_err() {
        eprintln!("skipped: java key stores: there is no keytool");
        return;
    }
    let directory = tempfile::TempDir::new().unwrap();
    let folder = directory.path();
    for algorithm in ["-keyalg RSA -keysize 2048", "-keyalg EC -groupname secp384r1"] {
        keytool(
            folder,
            &format!(
                "-genkeypair -alias koios {algorithm} -dname CN=Java,O=Plant -storetype PKCS12 -storepass changeit \
                 -keystore theirs.p12"
            ),
        );
        let file = std::fs::read(folder.join("theirs.p12")).unwrap();
        let (chain, key) = read_pair(&file, None, Some("changeit")).unwrap();
        assert_eq!(chain.leaf().subject(), "O=Plant, CN=Java");
        assert!(key.matches(chain.leaf()));
        assert_eq!(read_pair(&file, None, Some("changed!")).err().unwrap(), ReadError::PassphraseWrong);
        std::fs::remove_file(folder.join("theirs.p12")).unwrap();
    }
    let ours = KEY_2048.to_pkcs12(&CERTIFICATE.clone().into(), "Line 1", "changeit", &seed()).unwrap();
    std::fs::write(folder.join("ours.p12"), ours).unwrap();
    let listed = keytool(folder, "-list -v -keystore ours.p12 -storetype PKCS12 -storepass changeit");
    assert!(listed.contains("PrivateKeyEntry"), "{listed}");
    let thumbprint = CERTIFICATE.thumbprint_sha256().to_string();
    assert!(listed.replace(':', "").contains(&thumbprint), "{listed}");
    assert!(listed.to_lowercase().contains("line 1"), "{listed}");
}

/// Files of Bouncy Castle (BER throughout, also inside of what is encrypted), NSS and `GnuTLS`; `data/pkcs12/README.md` says
/// how they were made.
#[test]
fn pkcs12_of_bouncy_castle_nss_and_gnutls_opens_with_its_passphrase_or_with_none() {
    for (file, passphrase) in FOREIGN_PKCS12 {
        let bytes = foreign(file);
        let (chain, key) =
            read_pair(&bytes, None, passphrase).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(chain.leaf().subject(), "O=Koios tests, CN=Foreign store", "{file}");
        assert_eq!(chain.len(), 2, "{file}");
        assert!(key.matches(chain.leaf()), "{file}");
        assert_eq!(
            read_pair(&bytes, None, Some("wrong")).err().unwrap(),
            ReadError::PassphraseWrong,
            "{file}"
        );
        if passphrase.is_some() {
            assert_eq!(read_pair(&bytes, None, None).err().unwrap(), ReadError::PassphraseRequired, "{file}");
        }
    }
}

/// Each with its passphrase.
const FOREIGN_PKCS12: [(&str, Option<&str>); 10] = [
    ("bouncy-castle-ber.p12", Some("secret")),
    ("bouncy-castle-ber-aes.p12", Some("secret")),
    ("bouncy-castle-ber-no-password.p12", None),
    ("nss.p12", Some("secret")),
    ("nss-3des.p12", Some("secret")),
    ("nss-no-password.p12", None),
    ("gnutls.p12", Some("secret")),
    ("gnutls-null-password.p12", None),
    ("gnutls-null-password-3des.p12", None),
    ("gnutls-empty-password-3des.p12", None),
];

fn foreign(file: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pkcs12");
    std::fs::read(folder.join(file)).unwrap()
}

#[test]
fn openssl_reads_our_pkcs12_and_finds_key_chain_and_name() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let chain = issued(&openssl);
    openssl.write("ours.p12", KEY_2048.to_pkcs12(&chain, "Wärme 1", "sécret", &seed()).unwrap());
    let text = openssl.stdout("pkcs12 -in ours.p12 -passin pass:sécret -info -nodes");
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 3);
    assert_eq!(text.matches("BEGIN PRIVATE KEY").count(), 1);
    assert!(text.contains("friendlyName: W"), "{text}");
    let info = openssl.run("pkcs12 -in ours.p12 -passin pass:sécret -info -noout");
    let info = String::from_utf8_lossy(&info.stderr).into_owned();
    for part in ["MAC: sha256", "PBES2, PBKDF2, AES-256-CBC", "PRF hmacWithSHA256"] {
        assert!(info.contains(part), "{part} in\n{info}");
    }
    openssl.run("pkcs12 -in ours.p12 -passin pass:sécret -nocerts -nodes -out key-again.pem");
    let again = read_pair(CERTIFICATE.der(), Some(&openssl.read("key-again.pem")), None).unwrap().1;
    assert_eq!(again.public_key(), KEY_2048.public_key());
    assert!(!openssl.try_run("pkcs12 -in ours.p12 -passin pass:wrong -noout").status.success());
}

#[test]
fn what_is_written_as_pkcs12_is_read_back_for_every_kind_of_key() {
    for key in [&*KEY_2048, &KEY_P256, &KEY_P384] {
        let chain = CertificateChain::from(self_signed(&params(), key).unwrap());
        let file = key.to_pkcs12(&chain, "", "p", &seed()).unwrap();
        let (read, again) = read_pair(&file, None, Some("p")).unwrap();
        assert_eq!(read, chain);
        assert!(again.to_pem().secret_bytes() == key.to_pem().secret_bytes());
    }
    let chain = CertificateChain::from(CERTIFICATE.clone());
    assert_eq!(KEY_2048.to_pkcs12(&chain, "x", "", &seed()), Err(KeyError::PassphraseMissing));
    assert_eq!(KEY_P256.to_pkcs12(&chain, "x", "p", &seed()), Err(KeyError::Mismatch));
}

#[test]
fn openssl_opens_our_encrypted_keys_and_we_do() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for key in [&*KEY_2048, &KEY_P384] {
        let encrypted = key.to_encrypted_pem("sécret", &seed()).unwrap();
        assert!(encrypted.secret_bytes().starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        openssl.write("key.pem", encrypted.secret_bytes());
        let public = openssl.stdout("pkey -in key.pem -passin pass:sécret -pubout");
        openssl.write("plain.pem", pem_of(key));
        assert_eq!(public, openssl.stdout("pkey -in plain.pem -pubout"));
        let structure = openssl.stdout("asn1parse -in key.pem");
        assert!(structure.contains(":scrypt") && structure.contains(":aes-256-cbc"), "{structure}");
        let certificate = self_signed(&params(), key).unwrap();
        let (_, again) =
            read_pair(certificate.der(), Some(encrypted.secret_bytes()), Some("sécret")).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        let wrong =
            read_pair(certificate.der(), Some(encrypted.secret_bytes()), Some("secret")).err().unwrap();
        assert_eq!(wrong, ReadError::PassphraseWrong);
    }
    assert_eq!(KEY_2048.to_encrypted_pem("", &seed()).err(), Some(KeyError::PassphraseMissing));
}

#[test]
fn keys_in_the_traditional_encryption_of_openssl_open_with_their_passphrase_only() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("rsa.pem", pem_of(&KEY_2048));
    openssl.write("ec.pem", pem_of(&KEY_P256));
    let ec = self_signed(&params(), &KEY_P256).unwrap();
    for cipher in ["-des3", "-aes128", "-aes192", "-aes256"] {
        openssl
            .run(&format!("rsa -in rsa.pem -traditional {cipher} -passout pass:secret -out locked-rsa.pem"));
        openssl.run(&format!("ec -in ec.pem {cipher} -passout pass:secret -out locked-ec.pem"));
        for (name, certificate, key) in
            [("locked-rsa.pem", CERTIFICATE.der(), &*KEY_2048), ("locked-ec.pem", ec.der(), &*KEY_P256)]
        {
            let locked = openssl.read(name);
            assert!(String::from_utf8_lossy(&locked).contains("Proc-Type: 4,ENCRYPTED"), "{name}");
            let (_, opened) = read_pair(certificate, Some(&locked), Some("secret")).unwrap();
            assert_eq!(opened.public_key(), key.public_key(), "{name} {cipher}");
            let refused =
                |passphrase: Option<&str>| read_pair(certificate, Some(&locked), passphrase).err().unwrap();
            assert_eq!(refused(None), ReadError::PassphraseRequired);
            assert_eq!(refused(Some("")), ReadError::PassphraseRequired);
            for wrong in 0..300 {
                let error = refused(Some(&format!("wrong {wrong}")));
                // One wrong passphrase in 256 leaves padding that looks right.
                let named =
                    matches!(error, ReadError::PassphraseWrong | ReadError::PrivateKeyUnreadable { .. });
                assert!(named, "{error}");
            }
        }
    }
    let camellia =
        String::from_utf8(openssl.read("locked-rsa.pem")).unwrap().replace("AES-256", "CAMELLIA-256");
    let refused = read_pair(CERTIFICATE.der(), Some(camellia.as_bytes()), Some("secret")).err().unwrap();
    assert!(refused.to_string().contains("CAMELLIA-256-CBC"), "{refused}");
}

#[test]
fn pkcs7_in_der_and_pem_gives_its_certificates_in_the_order_of_issue() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    let chain = issued(&openssl);
    for files in [
        "-certfile leaf.pem -certfile ca.pem -certfile root.pem",
        "-certfile root.pem -certfile leaf.pem -certfile ca.pem",
        "-certfile chain.pem",
    ] {
        for form in ["DER", "PEM"] {
            openssl.run(&format!("crl2pkcs7 -nocrl {files} -outform {form} -out chain.p7b"));
            let file = openssl.read("chain.p7b");
            assert_eq!(read_certificates(&file).unwrap(), chain, "{files} {form}");
            let (read, _) = read_pair(&file, Some(&pem_of(&KEY_2048)), None).unwrap();
            assert_eq!(read, chain);
        }
    }
    let cms = openssl.stdout("crl2pkcs7 -nocrl -certfile chain.pem").replace("PKCS7", "CMS");
    assert_eq!(read_certificates(cms.as_bytes()).unwrap(), chain);
    // With content, signers and in BER with indefinite lengths.
    openssl.write("message", b"a message");
    for options in ["-nodetach", "-nodetach -stream", ""] {
        openssl.run(&format!(
            "smime -sign -binary {options} -in message -signer leaf.pem -inkey key.pem -certfile chain.pem -outform DER \
             -out signed.p7"
        ));
        assert_eq!(read_certificates(&openssl.read("signed.p7")).unwrap(), chain, "{options}");
    }
    openssl.run("crl2pkcs7 -nocrl -outform DER -out empty.p7b -certfile message");
}

#[test]
fn other_things_are_named_with_the_way_out() {
    for (bytes, words) in [
        (&b"\xFE\xED\xFE\xED\0\0\0\x02"[..], "keytool -importkeystore"),
        (b"PK\x03\x04rest of an archive", "ZIP archive"),
        (b"{\"certificate\": \"MIIC\"}", "JSON"),
    ] {
        let refused = read_pair(bytes, None, None).err().unwrap().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn passphrases_with_hours_of_work_behind_them_are_refused_at_once() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.write("certificate.pem", CERTIFICATE.to_pem());
    openssl.run("pkcs12 -export -inkey key.pem -in certificate.pem -passout pass:x -iter 2047 -out file.p12");
    let mut file = openssl.read("file.p12");
    // Every iteration count of 2047 (02 02 07 FF) becomes 32767; hundreds would be needed to exceed the bound, so the MAC's
    // count is set to the most that four bytes hold.
    let counts: Vec<_> =
        file.windows(4).enumerate().filter(|(_, bytes)| bytes == b"\x02\x02\x07\xFF").collect();
    assert!(!counts.is_empty());
    let last = counts.last().unwrap().0;
    file.splice(last..last + 4, *b"\x02\x04\x7F\xFF\xFF\xFF");
    // The lengths around it, each two bytes longer: the MAC's own and the file's.
    let mac_data =
        (0..last).rev().find(|at| file[*at] == 0x30 && usize::from(file[*at + 1]) == last + 4 - at - 2);
    let at = mac_data.unwrap();
    file[at + 1] += 2;
    let len = u16::from_be_bytes([file[2], file[3]]) + 2;
    file[2..4].copy_from_slice(&len.to_be_bytes());
    let refused = read_pair(&file, None, Some("x")).err().unwrap();
    assert!(refused.to_string().contains("more work than is done"), "{refused}");
}

#[test]
fn an_encryption_that_is_not_opened_is_named_with_what_converts_the_file() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.write("certificate.pem", CERTIFICATE.to_pem());
    openssl.run(
        "pkcs12 -export -legacy -inkey key.pem -in certificate.pem -keypbe PBE-SHA1-RC4-128 -passout pass:x -out rc4.p12",
    );
    let refused = read_pair(&openssl.read("rc4.p12"), None, Some("x")).err().unwrap().to_string();
    assert!(refused.contains("1.2.840.113549.1.12.1.1"), "{refused}");
    assert!(refused.contains("openssl pkcs12 -in FILE -out NEW.pem"), "{refused}");
    // What the message says works.
    openssl.run("pkcs12 -legacy -in rc4.p12 -out new.pem -passin pass:x -passout pass:y");
    let (chain, key) = read_pair(&openssl.read("new.pem"), None, Some("y")).unwrap();
    assert_eq!((chain.leaf(), key.public_key()), (&*CERTIFICATE, KEY_2048.public_key()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_behind_the_first_ones_of_a_container_make_the_readers_panic(
        start in prop::sample::select(vec![
            &b"\x30\x80"[..], b"\x30\x82\x01\x00\x02\x01\x03\x30\x80", b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let bytes = [start, &rest].concat();
        let _ = read_pair(&bytes, None, Some("x"));
        let _ = read_certificates(&bytes);
    }

    #[test]
    fn no_flipped_bit_of_a_pkcs12_file_opens_as_another_key(position in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut file = SAMPLE.clone();
        let at = position.index(file.len());
        file[at] ^= 1 << bit;
        if let Ok((_, key)) = read_pair(&file, None, Some("p")) {
            prop_assert_eq!(key.public_key(), KEY_P256.public_key());
        }
    }
}

static SAMPLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
    let chain = CertificateChain::from(self_signed(&params(), &KEY_P256).unwrap());
    KEY_P256.to_pkcs12(&chain, "sample", "p", &seed()).unwrap()
});

#[test]
fn a_private_key_leaves_encrypted_only_for_whoever_gives_a_passphrase() {
    let sealed = KEY_P256.to_encrypted_pem("p", &seed()).unwrap();
    assert_eq!(PrivateKey::from_pem(&sealed).err(), Some(KeyError::Malformed), "it is no plain key");
}
