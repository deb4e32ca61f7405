//! The readers of koios-pki.

use koios_pki::{
    ApplicationUri, Certificate, CertificateChain, HostName, PrivateKey, PrivateKeyPem, common_name_for,
    findings, read_certificates, read_pair, server_findings, slug,
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

/// A key read is written so that it is read again, as the same key.
pub fn private_key(data: &[u8]) {
    if let Ok(key) = PrivateKey::from_pem(&PrivateKeyPem::from_bytes(data.to_vec())) {
        let again = PrivateKey::from_pem(&key.to_pem());
        assert!(again.is_ok_and(|again| again.public_key() == key.public_key()));
    }
    // The other encodings stand in uploads only; a certificate of another key leads to them all the same.
    let _ = read_pair(SOME_CERTIFICATE, Some(data), Some(PASSPHRASE));
}

fn ask_everything(chain: &CertificateChain) {
    for certificate in chain.iter() {
        let _ = (certificate.is_self_signed(), certificate.public_key(), format!("{certificate:?}"));
    }
    let _ = (findings(chain, NOW), server_findings(chain, "gw01.plant.example", Some("urn:x"), NOW));
    assert_eq!(CertificateChain::from_der_blob(&chain.to_der_blob(), MAX_CHAIN).as_ref(), Ok(chain));
    assert_eq!(CertificateChain::from_pem(chain.to_pem().as_bytes()).as_ref(), Ok(chain));
}

const SOME_CERTIFICATE: &[u8] = include_bytes!("../corpus/certificate/self-signed.der");
/// That of the encrypted keys in the corpus.
const PASSPHRASE: &str = "secret";
const NOW: OffsetDateTime = datetime!(2026-11-23 10:00 UTC);
const MAX_CHAIN: usize = CertificateChain::MAX_LEN;
