//! Certificates and revocation lists that both sides are given; made by rcgen, which is neither.

use koios_pki::{Certificate, CertificateChain};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, RevocationReason, RevokedCertParams, RsaKeySize, SanType, SerialNumber,
};
use time::OffsetDateTime;
use time::macros::datetime;

pub const NOW: OffsetDateTime = datetime!(2026-11-23 10:00 UTC);

pub struct Material {
    /// An application certificate that signed itself.
    pub self_signed: Certificate,
    /// Leaf, intermediate and root.
    pub rsa: CertificateChain,
    pub ec: CertificateChain,
    /// Of root and intermediate of `rsa`, by the number of entries in that of the intermediate.
    pub revocation_lists: Vec<(usize, [Vec<u8>; 2])>,
}

impl Material {
    pub fn make(entries: &[usize]) -> Self {
        let rsa_key = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
        let ec_key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let (rsa, root, intermediate) = chain(rsa_key);
        let (ec, ..) = chain(ec_key);
        let mut own = application("self-signed");
        own.key_usages.push(KeyUsagePurpose::KeyCertSign);
        let self_signed = own.self_signed(&rsa_key()).expect("a certificate");
        let revocation_lists = entries
            .iter()
            .map(|&entries| (entries, [revocation_list(&root, 0), revocation_list(&intermediate, entries)]))
            .collect();
        Self {
            self_signed: Certificate::from_der(self_signed.der()).expect("a certificate"),
            rsa,
            ec,
            revocation_lists,
        }
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn chain(key: impl Fn() -> KeyPair) -> (CertificateChain, Authority, Authority) {
    let root = CertifiedIssuer::self_signed(authority("Bench root"), key()).expect("a root");
    let intermediate =
        CertifiedIssuer::signed_by(authority("Bench intermediate"), key(), &root).expect("an issuer");
    let leaf = application("issued").signed_by(&key(), &intermediate).expect("a leaf");
    let read = |der: &[u8]| Certificate::from_der(der).expect("a certificate");
    (
        CertificateChain::new(read(leaf.der()), vec![read(intermediate.der()), read(root.der())]),
        root,
        intermediate,
    )
}

fn application(name: &str) -> CertificateParams {
    let mut params = named(&format!("Koios@{name}.plant.example"));
    params.subject_alt_names = vec![
        SanType::URI(format!("urn:koios:{name}.plant.example:line-1").try_into().expect("ASCII")),
        SanType::DnsName(format!("{name}.plant.example").try_into().expect("ASCII")),
        SanType::IpAddress([192, 0, 2, 7].into()),
    ];
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::ContentCommitment,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::DataEncipherment,
    ];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.distinguished_name.push(DnType::OrganizationName, "Plant");
    params.not_before = datetime!(2026-01-01 0:00 UTC);
    params.not_after = datetime!(2029-01-01 0:00 UTC);
    params.use_authority_key_identifier_extension = true;
    params
}

fn revocation_list(issuer: &Authority, entries: usize) -> Vec<u8> {
    let revoked_certs = (0..entries)
        .map(|entry| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&serial(entry)),
            revocation_time: datetime!(2026-06-01 0:00 UTC),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        })
        .collect();
    let list = CertificateRevocationListParams {
        this_update: datetime!(2026-11-01 0:00 UTC),
        next_update: datetime!(2027-11-01 0:00 UTC),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(issuer).expect("a list").der().to_vec()
}

/// 16 octets in no order, never negative, as random serial numbers are.
fn serial(entry: usize) -> [u8; 16] {
    let mut state = (entry as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut bytes = [0; 16];
    for chunk in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_be_bytes());
    }
    bytes[0] = bytes[0] & 0x3F | 0x40;
    bytes
}
