//! The readers of koios-pki.

use std::sync::LazyLock;

use koios_pki::{
    ApplicationUri, Authority, AuthorityParams, Certificate, CertificateChain, CertificateRequest,
    EncryptionSeed, HostName, KeySpec, LintParams, LintRole, PeerRole, PrivateKey, PrivateKeyPem,
    RevocationList, SerialNumber, Suppression, Suppressions, TrustList, UnknownRevocation, ValidationParams,
    Validity, WrappingSecret, common_name_for, lint, read_certificates, read_pair, server_findings, slug,
    validate,
};
use time::OffsetDateTime;
use time::macros::datetime;

/// A certificate read is the bytes it was read from, and whatever is asked of it is answered.
pub fn certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(data) {
        assert_eq!(certificate.der(), data);
        ask_everything(&certificate.into());
    }
}

/// Chains in DER and PEM are written back as they were read.
pub fn chain(data: &[u8]) {
    if let Ok(chain) = CertificateChain::from_der_blob(data, MAX_CHAIN) {
        assert_eq!(chain.to_der_blob(), data);
        ask_everything(&chain);
    }
    if let Ok(chain) = read_certificates(data) {
        ask_everything(&chain);
    }
}

/// A revocation list read is the bytes it was read from, and what it is asked is answered.
pub fn crl(data: &[u8]) {
    if let Ok(list) = RevocationList::from_pem(data) {
        assert_eq!(RevocationList::from_der(list.der()).as_ref(), Ok(&list));
    }
    if let Ok(list) = RevocationList::from_der(data) {
        assert_eq!(list.der(), data);
        assert_eq!(RevocationList::from_pem(list.to_pem().as_bytes()).as_ref(), Ok(&list));
        let _ = (list.number(), list.next_update(), list.unusable(), list.sha256(), format!("{list:?}"));
        if let Ok(certificate) = Certificate::from_der(SOME_CERTIFICATE) {
            let _ = (list.revocation_of(&certificate), list.is_issued_by(&certificate));
        }
    }
}

/// Validation comes to a verdict; nothing suppressed is the strictest, and nothing trusted is a refusal.
///
/// The bytes are parts, each with a byte for its kind and two for its length: leaf and blob, trusted certificate,
/// issuer, revocation list.
pub fn trust(mut data: &[u8]) {
    let (mut blob, mut trust) = (None, TrustList::default());
    while let Some((&[kind, high, low], rest)) = data.split_first_chunk() {
        let (part, rest) = rest.split_at(usize::from(u16::from_be_bytes([high, low])).min(rest.len()));
        data = rest;
        match kind % 4 {
            0 => blob = CertificateChain::from_der_blob(part, MAX_CHAIN).ok().or(blob),
            1 => trust.trusted.extend(Certificate::from_der(part)),
            2 => trust.issuers.extend(Certificate::from_der(part)),
            _ => trust.revocation_lists.extend(RevocationList::from_der(part)),
        }
    }
    let Some(chain) = blob else { return };
    // When the leaf is likely to be valid, whatever its instants were changed to.
    let at = chain.leaf().validity().not_before.saturating_add(time::Duration::DAY);
    for role in [PeerRole::Client, PeerRole::Server, PeerRole::User] {
        let mut params = ValidationParams::new(at, role);
        params.host = Some("gw01.plant.example");
        let strict = validate(&chain, &trust, &params);
        match &strict {
            Ok(verified) => {
                assert!(verified.suppressed().is_empty());
                assert!(trust.trusted.contains(verified.trusted_by()));
                assert_eq!(verified.leaf(), chain.leaf());
            }
            Err(error) => {
                assert!((1..=11).contains(&error.step().number()) && !error.to_string().is_empty());
            }
        }
        params.suppressed = Suppression::ALL.into_iter().collect::<Suppressions>();
        params.unknown_revocation = UnknownRevocation::Allow;
        assert!(validate(&chain, &trust, &params).is_ok() || strict.is_err());
        assert!(validate(&chain, &TrustList::default(), &params).is_err());
    }
}

/// Host names, URIs and slugs are clean, and read as themselves.
pub fn hostname(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let slugged = slug(text);
    assert_eq!(slug(&slugged), slugged);
    if let Ok(uri) = ApplicationUri::parse(text) {
        assert_eq!(uri.as_str(), text);
    }
    if let Ok(host) = HostName::parse(text) {
        assert_eq!(HostName::parse(&host.to_string()).as_ref(), Ok(&host));
        assert!(common_name_for(&host).is_ok_and(|name| name.len() <= 64) || host.to_string().len() > 58);
        let uri = ApplicationUri::for_certificate(&host, &slugged);
        assert_eq!(ApplicationUri::parse(uri.as_str()), Ok(uri));
    }
}

/// A pair read belongs together. The first two bytes are the length of the certificate's part.
pub fn pair(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk() else { return };
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (certificate, key) = rest.split_at(length);
    for key in [Some(key), None] {
        match read_pair(certificate, key, Some(PASSPHRASE)) {
            Ok((chain, key)) => {
                assert!(key.matches(chain.leaf()));
                ask_everything(&chain);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// What a PKCS#12 file gives belongs together. MACs are not in the way: files without one are read, too.
pub fn pkcs12(data: &[u8]) {
    for passphrase in [Some(PASSPHRASE), None] {
        if let Ok((chain, key)) = read_pair(data, None, passphrase) {
            assert!(key.matches(chain.leaf()));
            ask_everything(&chain);
        }
    }
}

/// What PKCS#7 gives is a chain in some order, each certificate once.
pub fn pkcs7(data: &[u8]) {
    if let Ok(chain) = read_certificates(data) {
        ask_everything(&chain);
    }
}

/// A request read is the bytes it was read from, and can be granted or is refused.
pub fn request(data: &[u8]) {
    for read in [CertificateRequest::from_der(data), CertificateRequest::from_pem(data)] {
        let Ok(request) = read else { continue };
        assert_eq!(CertificateRequest::from_der(request.der()).as_ref(), Ok(&request));
        assert_eq!(CertificateRequest::from_pem(request.to_pem().as_bytes()).as_ref(), Ok(&request));
        let _ = (request.subject(), request.common_name(), request.key_usage(), request.basic_constraints());
        if let Ok(certificate) = authority().issue(&request, VALIDITY, SERIAL) {
            assert!(certificate.is_issued_by(authority().certificate()));
            assert_eq!(certificate.public_key().as_ref(), Ok(request.public_key()));
        }
    }
}

fn authority() -> &'static Authority {
    static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
        let key = PrivateKey::generate(KeySpec::EcP384).expect("a key");
        Authority::root(&AuthorityParams::new("Fuzz", "Fuzz", VALIDITY, SERIAL), key).expect("an authority")
    });
    &AUTHORITY
}

/// A key read is written so that it is read again, as the same key.
pub fn private_key(data: &[u8]) {
    if let Ok(key) = PrivateKey::from_pem(&PrivateKeyPem::from_bytes(data.to_vec())) {
        let again = PrivateKey::from_pem(&key.to_pem());
        assert!(again.is_ok_and(|again| again.public_key() == key.public_key()));
    }
    // What lies on the disk when keys are encrypted there, and the master key.
    if let Ok(opened) = PrivateKeyPem::unwrap_from(data, &WRAPPING_SECRET) {
        let wrapped = opened.wrap(&WRAPPING_SECRET, &EncryptionSeed::from_random_bytes([1; 64]));
        let again = wrapped.and_then(|wrapped| PrivateKeyPem::unwrap_from(&wrapped, &WRAPPING_SECRET));
        assert!(again.is_ok_and(|again| again.secret_bytes() == opened.secret_bytes()));
    }
    let _ = koios_store::MasterKey::parse(data, "");
    // The other encodings stand in uploads only; a certificate of another key leads to them all the same.
    let _ = read_pair(SOME_CERTIFICATE, Some(data), Some(PASSPHRASE));
}

fn ask_everything(chain: &CertificateChain) {
    for certificate in chain.iter() {
        let _ = (certificate.is_self_signed(), certificate.public_key(), format!("{certificate:?}"));
        let inspection = certificate.inspect();
        let _ = format!("{inspection:?} {:?} {:?}", inspection.key(), inspection.extensions());
        let _ =
            (inspection.serial_number().to_string(), inspection.signature_algorithm(), inspection.validity());
        let _ = (inspection.subject().attributes(), inspection.issuer().attributes());
        let _ = inspection.time_encodings();
    }
    let _ = (
        lint(chain, &LintParams::new(NOW, LintRole::Either)),
        lint(chain, &LintParams::new(NOW, LintRole::Client)),
        lint(chain, &LintParams::new(NOW, LintRole::User)),
    );
    let _ = server_findings(chain, "gw01.plant.example", Some("urn:x"), NOW);
    assert_eq!(CertificateChain::from_der_blob(&chain.to_der_blob(), MAX_CHAIN).as_ref(), Ok(chain));
    assert_eq!(CertificateChain::from_pem(chain.to_pem().as_bytes()).as_ref(), Ok(chain));
}

/// Opens `wrapped.pem` of the corpus.
static WRAPPING_SECRET: LazyLock<WrappingSecret> =
    LazyLock::new(|| WrappingSecret::from_random_bytes(&[7; 32]));

const SOME_CERTIFICATE: &[u8] = include_bytes!("../corpus/certificate/self-signed.der");
/// That of the encrypted keys in the corpus.
const PASSPHRASE: &str = "secret";
const NOW: OffsetDateTime = datetime!(2026-11-23 10:00 UTC);
const MAX_CHAIN: usize = CertificateChain::MAX_LEN;
const VALIDITY: Validity =
    Validity { not_before: datetime!(2026-01-01 0:00 UTC), not_after: datetime!(2036-01-01 0:00 UTC) };
const SERIAL: SerialNumber = SerialNumber::from_random_bytes([0x5A; 16]);
