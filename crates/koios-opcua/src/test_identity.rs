//! One identity for this crate's unit tests: making RSA keys is slow.

use std::sync::{Arc, LazyLock};

use koios_channel::ClientIdentity;
use koios_pki::{
    ApplicationUri, CertificateChain, KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity,
    self_signed,
};
use time::OffsetDateTime;

use crate::target::CertificateLabel;

static IDENTITY: LazyLock<Arc<ClientIdentity>> = LazyLock::new(|| Arc::new(another_identity()));

/// One of its own, for whoever must see it go.
pub(crate) fn another_identity() -> ClientIdentity {
    let key = PrivateKey::generate(KeySpec::Rsa2048).unwrap();
    let params = SelfSignedParams::new(
        "Koios@test".to_owned(),
        "Koios".to_owned(),
        ApplicationUri::parse("urn:koios:test:unit").unwrap(),
        Validity::starting_at(OffsetDateTime::now_utc(), 30),
        SerialNumber::from_random_bytes([7; 16]),
    );
    let certificate = self_signed(&params, &key).unwrap();
    ClientIdentity::new(CertificateChain::new(certificate, Vec::new()), key).unwrap()
}

pub(crate) fn identity() -> Arc<ClientIdentity> {
    Arc::clone(&IDENTITY)
}

pub(crate) fn label() -> CertificateLabel {
    CertificateLabel::new("1", "Test")
}
