//! Keys and certificates that many tests share, since keys take long to make.

use std::sync::LazyLock;

use koios_pki::{
    Certificate, CertificateChain, KeySpec, PrivateKey, RsaPrivateKey, SelfSignedParams, SerialNumber,
    Validity, self_signed,
};
use time::OffsetDateTime;
use time::macros::datetime;

pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-23 10:00:00 UTC);

/// The bits of an RSA key that is refused for its length; those of one that some PLC has, where none is taken.
pub(crate) const TOO_SHORT: u32 = if cfg!(feature = "deprecated-policies") { 1023 } else { 1024 };

pub(crate) static KEY_2048: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate(KeySpec::Rsa2048).unwrap());
pub(crate) static OTHER_KEY_2048: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate(KeySpec::Rsa2048).unwrap());
pub(crate) static KEY_3072: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate(KeySpec::Rsa3072).unwrap());
pub(crate) static KEY_4096: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate(KeySpec::Rsa4096).unwrap());

pub(crate) static KEY_P256: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate(KeySpec::EcP256).unwrap());
pub(crate) static KEY_P384: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate(KeySpec::EcP384).unwrap());

pub(crate) fn rsa_keys() -> [&'static PrivateKey; 3] {
    [&KEY_2048, &KEY_3072, &KEY_4096]
}

/// One of every kind, in the order of [`KeySpec::ALL`].
pub(crate) fn all_keys() -> [&'static PrivateKey; 5] {
    [&KEY_2048, &KEY_3072, &KEY_4096, &KEY_P256, &KEY_P384]
}

pub(crate) fn rsa(key: &PrivateKey) -> &RsaPrivateKey {
    key.as_rsa().expect("an RSA key")
}

/// The certificate of [`KEY_2048`].
pub(crate) static CERTIFICATE: LazyLock<Certificate> =
    LazyLock::new(|| self_signed(&params(), &KEY_2048).unwrap());

pub(crate) fn params() -> SelfSignedParams {
    let mut params = SelfSignedParams::new(
        "Koios@gw01.plant.example",
        "Koios",
        "urn:koios:gw01.plant.example:plant-a".parse().unwrap(),
        Validity::starting_at(NOW, 1095),
        SerialNumber::from_random_bytes(*b"\x1f 15 random byte"),
    );
    params.dns_names = vec!["gw01.plant.example".to_owned(), "gw01".to_owned()];
    params.ip_addresses = vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
    params
}

pub(crate) fn pem_of(key: &PrivateKey) -> Vec<u8> {
    key.to_pem().secret_bytes().to_vec()
}

/// A certificate as rcgen makes it from parameters that [`koios_pki::self_signed`] would never use, for [`KEY_2048`].
pub(crate) fn odd_certificate(change: impl FnOnce(&mut rcgen::CertificateParams)) -> CertificateChain {
    let mut params = rcgen::CertificateParams::default();
    params.not_before = NOW - time::Duration::DAY;
    params.not_after = NOW + time::Duration::days(100);
    params.serial_number = Some(vec![1, 2, 3].into());
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "odd");
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "Test");
    params.subject_alt_names = vec![rcgen::SanType::URI("urn:test:odd".try_into().unwrap())];
    params.key_usages = vec![
        rcgen::KeyUsagePurpose::DigitalSignature,
        rcgen::KeyUsagePurpose::ContentCommitment,
        rcgen::KeyUsagePurpose::KeyEncipherment,
        rcgen::KeyUsagePurpose::DataEncipherment,
        rcgen::KeyUsagePurpose::KeyCertSign,
    ];
    params.extended_key_usages =
        vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth, rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    let der = params.self_signed(&rcgen_key(&KEY_2048)).unwrap().der().to_vec();
    Certificate::from_der(&der).unwrap().into()
}

/// A certificate for [`KEY_2048`] with everything as it should be, issued by an authority with `issuer_key`.
pub(crate) fn issued_certificate(
    issuer_key: &PrivateKey,
    change_leaf: impl FnOnce(&mut rcgen::CertificateParams),
    change_issuer: impl FnOnce(&mut rcgen::CertificateParams),
) -> (Certificate, Certificate) {
    issued_certificate_for(&KEY_2048, issuer_key, change_leaf, change_issuer)
}

/// The same for another key; the authority's certificate is the second.
pub(crate) fn issued_certificate_for(
    leaf_key: &PrivateKey,
    issuer_key: &PrivateKey,
    change_leaf: impl FnOnce(&mut rcgen::CertificateParams),
    change_issuer: impl FnOnce(&mut rcgen::CertificateParams),
) -> (Certificate, Certificate) {
    let mut authority = rcgen::CertificateParams::default();
    authority.not_before = NOW - time::Duration::DAY;
    authority.not_after = NOW + time::Duration::days(200);
    authority.distinguished_name = rcgen::DistinguishedName::new();
    authority.distinguished_name.push(rcgen::DnType::CommonName, "Test CA");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    authority.use_authority_key_identifier_extension = true;
    change_issuer(&mut authority);
    let authority_der = authority.self_signed(&rcgen_key(issuer_key)).unwrap().der().to_vec();

    let mut leaf = rcgen::CertificateParams::default();
    leaf.not_before = NOW - time::Duration::DAY;
    leaf.not_after = NOW + time::Duration::days(100);
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "leaf");
    leaf.distinguished_name.push(rcgen::DnType::OrganizationName, "Test");
    leaf.subject_alt_names = vec![rcgen::SanType::URI("urn:test:leaf".try_into().unwrap())];
    leaf.key_usages = vec![
        rcgen::KeyUsagePurpose::DigitalSignature,
        rcgen::KeyUsagePurpose::ContentCommitment,
        rcgen::KeyUsagePurpose::KeyEncipherment,
        rcgen::KeyUsagePurpose::DataEncipherment,
    ];
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    leaf.is_ca = rcgen::IsCa::ExplicitNoCa;
    leaf.use_authority_key_identifier_extension = true;
    change_leaf(&mut leaf);
    let issuer = rcgen::Issuer::new(authority, rcgen_key(issuer_key));
    let leaf_der = leaf.signed_by(&rcgen_key(leaf_key), &issuer).unwrap().der().to_vec();
    (Certificate::from_der(&leaf_der).unwrap(), Certificate::from_der(&authority_der).unwrap())
}

fn rcgen_key(key: &PrivateKey) -> rcgen::KeyPair {
    let pem = String::from_utf8(pem_of(key)).unwrap();
    rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA256).unwrap()
}
