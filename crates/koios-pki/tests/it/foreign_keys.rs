//! Private keys that OpenSSL writes, in every form people have them in.

use koios_pki::{PrivateKey, ReadError, Unreadable, read_pair, self_signed};

use crate::openssl::OpenSsl;
use crate::samples::{CERTIFICATE, KEY_2048, KEY_P256, KEY_P384, TOO_SHORT, params, pem_of};

fn pair(key: &[u8], passphrase: Option<&str>) -> Result<PrivateKey, ReadError> {
    read_pair(CERTIFICATE.der(), Some(key), passphrase).map(|(chain, key)| {
        assert_eq!(chain.leaf(), &*CERTIFICATE);
        key
    })
}

fn error(key: &[u8], passphrase: Option<&str>) -> ReadError {
    pair(key, passphrase).err().unwrap()
}

/// What the message of a refusal says, in one line.
fn unsupported(key: &[u8], passphrase: Option<&str>) -> String {
    match error(key, passphrase) {
        error @ ReadError::UnsupportedKey { .. } => error.to_string(),
        other => panic!("{other}"),
    }
}

#[test]
fn r6_unencrypted_keys_are_read_in_every_encoding() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.run("rsa -in key.pem -traditional -out pkcs1.pem");
    openssl.run("rsa -in key.pem -traditional -outform DER -out pkcs1.der");
    openssl.run("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out pkcs8.der");
    assert!(openssl.read("pkcs1.pem").starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
    for name in ["key.pem", "pkcs1.pem", "pkcs1.der", "pkcs8.der"] {
        let key = pair(&openssl.read(name), None).unwrap();
        assert_eq!(key.public_key(), KEY_2048.public_key(), "{name}");
        assert!(key.to_pem().secret_bytes() == KEY_2048.to_pem().secret_bytes(), "kept as PKCS#8: {name}");
        // A passphrase nobody needs does no harm.
        assert!(pair(&openssl.read(name), Some("unused")).is_ok());
    }
}

#[test]
fn encrypted_pkcs8_opens_with_its_passphrase_only() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    for (options, form) in [
        ("-v2 aes-256-cbc", "PEM"),
        ("-v2 aes-256-cbc", "DER"),
        ("-v2 aes-128-cbc -v2prf hmacWithSHA1", "PEM"),
        ("-v2 aes-256-cbc -v2prf hmacWithSHA224", "PEM"),
        ("-v2 aes-192-cbc -v2prf hmacWithSHA512", "PEM"),
        ("-v2 des3", "PEM"),
        ("-v2 aes-256-cbc -iter 100000", "PEM"),
        ("-scrypt", "PEM"),
    ] {
        openssl.run(&format!(
            "pkcs8 -topk8 -in key.pem -outform {form} {options} -passout pass:päss -out encrypted"
        ));
        let encrypted = openssl.read("encrypted");
        let key = pair(&encrypted, Some("päss")).unwrap_or_else(|error| panic!("{options}: {error}"));
        assert_eq!(key.public_key(), KEY_2048.public_key());
        assert_eq!(error(&encrypted, None), ReadError::PassphraseRequired, "{options}");
        assert_eq!(error(&encrypted, Some("")), ReadError::PassphraseRequired, "{options}");
        assert_eq!(error(&encrypted, Some("wrong")), ReadError::PassphraseWrong, "{options}");
    }
}

#[test]
fn a_wrong_passphrase_is_called_wrong_also_when_its_padding_looks_right() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.run("pkcs8 -topk8 -in key.pem -v2 aes-128-cbc -iter 1 -passout pass:right -out encrypted");
    let encrypted = openssl.read("encrypted");
    // One in 256 has padding that looks right: of 2000, none escapes with a probability of 1 - 255/256^2000.
    for attempt in 0..2000 {
        assert_eq!(error(&encrypted, Some(&format!("wrong {attempt}"))), ReadError::PassphraseWrong);
    }
}

#[test]
fn encryption_that_is_not_opened_is_named_with_the_way_out() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    // The older scheme of PKCS#12 opens, that of PKCS#5 with DES does not.
    openssl.run("pkcs8 -topk8 -in key.pem -v1 PBE-SHA1-3DES -passout pass:secret -out pbe.pem");
    assert!(pair(&openssl.read("pbe.pem"), Some("secret")).is_ok());
    assert_eq!(error(&openssl.read("pbe.pem"), Some("other")), ReadError::PassphraseWrong);
    assert_eq!(error(&openssl.read("pbe.pem"), None), ReadError::PassphraseRequired);
    openssl.run(
        "pkcs8 -topk8 -in key.pem -v1 PBE-MD5-DES -provider legacy -provider default -passout pass:secret -out des.pem",
    );
    for passphrase in [None, Some("secret")] {
        let message = unsupported(&openssl.read("des.pem"), passphrase);
        assert!(message.contains("1.2.840.113549.1.5.3") && message.contains("-v2 aes-256-cbc"), "{message}");
        // What it says to do works.
        let command = &message[message.find("pkcs8 -topk8").unwrap()..message.find(" (without").unwrap()];
        let command = command.replace("FILE", "des.pem").replace("NEW", "converted.pem");
        openssl.run(&format!("{command} -passin pass:secret -passout pass:other"));
        assert!(pair(&openssl.read("converted.pem"), Some("other")).is_ok());
    }
}

#[test]
fn a_cut_or_damaged_encryption_is_called_damaged_before_a_passphrase_is_asked_for() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    let damaged = ReadError::PrivateKeyUnreadable { reason: Unreadable::KeyMalformed };
    openssl.run("pkcs8 -topk8 -in key.pem -v2 des3 -outform DER -passout pass:secret -out encrypted");
    let mut encrypted = openssl.read("encrypted");
    // The vector of 3DES, OCTET STRING of eight bytes, becomes one of seven in an algorithm that is a byte shorter.
    let des = b"\x2A\x86\x48\x86\xF7\x0D\x03\x07\x04\x08";
    let at = encrypted.windows(des.len()).position(|window| window == des).unwrap();
    encrypted[at + des.len() - 1] = 7;
    for passphrase in [None, Some("secret")] {
        assert_eq!(error(&encrypted, passphrase), damaged, "{passphrase:?}");
    }
    openssl.run("rsa -in key.pem -traditional -aes128 -passout pass:secret -out legacy.pem");
    let legacy = String::from_utf8(openssl.read("legacy.pem")).unwrap();
    let last_line = legacy.trim_end().lines().rev().nth(1).unwrap();
    let cut = legacy.replace(last_line, &last_line[..last_line.len() - 4]);
    let vector = legacy.lines().find(|line| line.starts_with("DEK-Info")).unwrap();
    let short_vector = legacy.replace(vector, &vector[..vector.len() - 16]);
    for text in [cut, short_vector, legacy.replace(vector, "DEK-Info: <b>,00")] {
        assert_eq!(error(text.as_bytes(), None), damaged, "{text}");
    }
}

#[test]
fn encryption_that_asks_for_hours_of_work_is_refused_at_once() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.run("pkcs8 -topk8 -in key.pem -v2 aes-128-cbc -iter 2000 -outform DER -passout pass:secret -out encrypted");
    assert!(
        pair(&openssl.read("encrypted"), Some("secret")).is_ok(),
        "what is refused below is the count alone"
    );
    openssl.run(
        "pkcs8 -topk8 -in key.pem -v2 aes-128-cbc -iter 8000001 -outform DER -passout pass:secret -out encrypted",
    );
    let message = unsupported(&openssl.read("encrypted"), Some("secret"));
    assert!(message.contains("more work"), "{message}");
    openssl.run(
        "pkcs8 -topk8 -in key.pem -scrypt -scrypt_N 1024 -scrypt_r 8 -scrypt_p 129 -passout pass:secret -out encrypted",
    );
    assert!(unsupported(&openssl.read("encrypted"), Some("secret")).contains("more work"));
}

#[test]
fn keys_of_other_kinds_are_named_with_the_way_out() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.run("ecparam -name secp521r1 -genkey -out sec1.pem");
    openssl.run("pkcs8 -topk8 -nocrypt -in sec1.pem -out ec.pem");
    openssl.run("genpkey -algorithm ED25519 -out ed25519.pem");
    openssl.run("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out pss.pem");
    openssl.run(&format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{TOO_SHORT} -out short.pem"));
    openssl.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:5120 -out long.pem");
    assert!(openssl.read("sec1.pem").starts_with(b"-----BEGIN EC PARAMETERS-----"));
    for (name, what) in [
        ("sec1.pem", "a key on the curve P-521"),
        ("ec.pem", "a key on the curve P-521"),
        ("ed25519.pem", "an Edwards-curve key"),
        ("pss.pem", "an RSA key that may be used for PSS only"),
        ("short.pem", &format!("an RSA key of {TOO_SHORT} bits")),
        ("long.pem", "an RSA key of 5120 bits"),
    ] {
        let message = unsupported(&openssl.read(name), None);
        assert!(message.contains(what) && message.contains("2048 to 4096 bits"), "{name}: {message}");
    }
    let openssh =
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE=\n-----END OPENSSH PRIVATE KEY-----\n";
    assert!(unsupported(openssh.as_bytes(), None).contains("ssh-keygen"));
}

#[test]
fn keys_on_curves_are_read_in_every_encoding() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    for key in [&*KEY_P256, &KEY_P384] {
        let certificate = self_signed(&params(), key).unwrap();
        openssl.write("key.pem", pem_of(key));
        openssl.run("ec -in key.pem -out sec1.pem");
        openssl.run("ec -in key.pem -outform DER -out sec1.der");
        openssl.run("pkey -in key.pem -outform DER -out pkcs8.der");
        openssl.run("pkcs8 -topk8 -in key.pem -passout pass:x -out encrypted.pem");
        openssl.run("ec -in key.pem -no_public -out bare.pem");
        assert!(openssl.read("sec1.pem").starts_with(b"-----BEGIN EC PRIVATE KEY-----"));
        for name in ["key.pem", "sec1.pem", "sec1.der", "pkcs8.der", "encrypted.pem", "bare.pem"] {
            let (chain, read) = read_pair(certificate.der(), Some(&openssl.read(name)), Some("x")).unwrap();
            assert_eq!(chain.leaf(), &certificate, "{name}");
            // The one without its public half is written without it, too.
            let same = read.to_pem().secret_bytes() == key.to_pem().secret_bytes();
            assert!(same || name == "bare.pem", "kept as PKCS#8: {name}");
            assert_eq!(read.public_key(), key.public_key(), "{name}");
        }
        openssl.run("ec -in key.pem -param_enc explicit -out explicit.pem");
        let refused = read_pair(certificate.der(), Some(&openssl.read("explicit.pem")), None).err().unwrap();
        assert!(matches!(refused, ReadError::UnsupportedKey { .. }), "{refused}");
        assert!(refused.to_string().contains("does not name its elliptic curve"), "{refused}");
    }
}

#[test]
fn damaged_keys_are_unreadable_and_never_a_mismatch() {
    let Some(openssl) = OpenSsl::or_skip() else { return };
    openssl.write("key.pem", pem_of(&KEY_2048));
    openssl.run("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
    let der = openssl.read("key.der");
    let unreadable = |bytes: &[u8]| match error(bytes, None) {
        ReadError::PrivateKeyUnreadable { reason } => reason,
        other => panic!("{other}"),
    };
    // A prime that no longer divides the modulus.
    let mut inconsistent = der.clone();
    let middle = der.len() * 2 / 3;
    inconsistent[middle] ^= 1;
    assert_eq!(unreadable(&inconsistent), Unreadable::KeyMalformed);
    assert_eq!(unreadable(&[der.as_slice(), b"\0"].concat()), Unreadable::KeyMalformed);
    assert!(matches!(unreadable(&der[..der.len() / 2]), Unreadable::LooksLike(_)));
}
