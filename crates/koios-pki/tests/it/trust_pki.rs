//! Small PKIs made with rcgen, and revocation lists made byte by byte so that any of their rules can be broken.

use std::sync::Arc;

use koios_pki::{
    Certificate, CertificateChain, PeerRole, RevocationList, TrustError, TrustList, TrustStatus,
    ValidationParams, VerifiedChain, validate,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SigningKey as _,
};
use time::{Duration, OffsetDateTime};

use crate::samples::NOW;

/// An authority: its name, key and certificate.
#[derive(Clone)]
pub(crate) struct Authority {
    params: CertificateParams,
    pub(crate) key: Arc<KeyPair>,
    pub(crate) certificate: Certificate,
}

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        Self::root_with(name, new_key(), |_| {})
    }

    pub(crate) fn root_with(
        name: &str,
        key: Arc<KeyPair>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = authority_params(name);
        change(&mut params);
        let certificate = read(params.self_signed(&*key).unwrap().der());
        Self { params, key, certificate }
    }

    /// An authority that this one issued.
    pub(crate) fn authority(&self, name: &str) -> Self {
        self.authority_with(name, new_key(), |_| {})
    }

    pub(crate) fn authority_with(
        &self,
        name: &str,
        key: Arc<KeyPair>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = authority_params(name);
        change(&mut params);
        let certificate = self.certify(&params, &key);
        Self { params, key, certificate }
    }

    /// Another authority's name and key, signed by this one.
    pub(crate) fn cross_sign(&self, other: &Self) -> Certificate {
        self.certify(&other.params, &other.key)
    }

    pub(crate) fn certify(&self, params: &CertificateParams, key: &KeyPair) -> Certificate {
        let mut params = params.clone();
        params.use_authority_key_identifier_extension = true;
        read(params.signed_by(key, &Issuer::from_params(&self.params, &*self.key)).unwrap().der())
    }

    /// As [`Authority::certify`], without an authorityKeyIdentifier.
    pub(crate) fn certify_bare(&self, params: &CertificateParams, key: &KeyPair) -> Certificate {
        read(params.signed_by(key, &Issuer::from_params(&self.params, &*self.key)).unwrap().der())
    }

    pub(crate) fn leaf(&self) -> Certificate {
        self.leaf_with(|_| {})
    }

    pub(crate) fn leaf_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut params = leaf_params();
        change(&mut params);
        self.certify(&params, &new_key())
    }

    /// A list without entries, current at [`NOW`].
    pub(crate) fn list(&self) -> RevocationList {
        self.list_with(|_| {})
    }

    pub(crate) fn list_with(&self, change: impl FnOnce(&mut List)) -> RevocationList {
        RevocationList::from_der(&self.list_der(change)).unwrap()
    }

    pub(crate) fn list_der(&self, change: impl FnOnce(&mut List)) -> Vec<u8> {
        let mut list = List {
            version: Some(1),
            issuer: subject_der(&self.certificate),
            this_update: NOW - Duration::DAY,
            next_update: Some(NOW + Duration::days(30)),
            entries: Vec::new(),
            extensions: vec![extension(20, false, &[0x02, 0x01, 0x07])],
        };
        change(&mut list);
        list.sign(&self.key)
    }
}

/// A self-signed application certificate.
pub(crate) fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let mut params = leaf_params();
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    change(&mut params);
    read(params.self_signed(&*new_key()).unwrap().der())
}

pub(crate) fn new_key() -> Arc<KeyPair> {
    Arc::new(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap())
}

pub(crate) fn authority_params(name: &str) -> CertificateParams {
    let mut params = dated(name, 200);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(crate) fn leaf_params() -> CertificateParams {
    let mut params = dated("leaf", 100);
    params.subject_alt_names = vec![
        SanType::URI("urn:test:leaf".try_into().unwrap()),
        SanType::DnsName("gw01.plant.example".try_into().unwrap()),
        SanType::IpAddress("192.0.2.7".parse().unwrap()),
    ];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

fn dated(name: &str, days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = NOW - Duration::DAY;
    params.not_after = NOW + Duration::days(days);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Test");
    params
}

fn read(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

/// A revocation list to be.
pub(crate) struct List {
    pub(crate) version: Option<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) this_update: OffsetDateTime,
    pub(crate) next_update: Option<OffsetDateTime>,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl List {
    pub(crate) fn revoke(&mut self, certificate: &Certificate) {
        self.entries.push(entry(&serial_der(certificate), &[]));
    }

    fn sign(&self, key: &KeyPair) -> Vec<u8> {
        let algorithm = algorithm_of(key);
        let mut tbs: Vec<u8> = self.version.iter().flat_map(|version| vec![0x02, 0x01, *version]).collect();
        tbs.extend(algorithm);
        tbs.extend(&self.issuer);
        tbs.extend(utc_time(self.this_update));
        tbs.extend(self.next_update.iter().flat_map(|time| utc_time(*time)));
        if !self.entries.is_empty() {
            tbs.extend(der(0x30, &self.entries.concat()));
        }
        if !self.extensions.is_empty() {
            tbs.extend(der(0xA0, &der(0x30, &self.extensions.concat())));
        }
        let tbs = der(0x30, &tbs);
        let signature = [&[0], key.sign(&tbs).unwrap().as_slice()].concat();
        der(0x30, &[tbs, algorithm.to_vec(), der(0x03, &signature)].concat())
    }
}

/// An entry for a serial number in DER, revoked two days before [`NOW`].
pub(crate) fn entry(serial: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut content = [serial, &utc_time(NOW - Duration::days(2))].concat();
    if !extensions.is_empty() {
        content.extend(der(0x30, &extensions.concat()));
    }
    der(0x30, &content)
}

pub(crate) fn reason(code: u8) -> Vec<u8> {
    extension(21, false, &[0x0A, 0x01, code])
}

/// An extension under 2.5.29.
pub(crate) fn extension(number: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[0x01, 0x01, 0xFF] } else { &[] };
    der(0x30, &[&[0x06, 0x03, 0x55, 0x1D, number], critical, &der(0x04, value)].concat())
}

pub(crate) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len().to_be_bytes();
    let len: Vec<u8> = len.into_iter().skip_while(|byte| *byte == 0).collect();
    let header = match content.len() {
        0..=0x7F => vec![tag, u8::try_from(content.len()).unwrap()],
        _ => [&[tag, 0x80 | u8::try_from(len.len()).unwrap()], len.as_slice()].concat(),
    };
    [header.as_slice(), content].concat()
}

fn utc_time(time: OffsetDateTime) -> Vec<u8> {
    let format = time::macros::format_description!("[year repr:last_two][month][day][hour][minute][second]Z");
    der(0x17, time.format(format).unwrap().as_bytes())
}

/// The elements inside of a constructed one.
pub(crate) fn children(element: &[u8]) -> Vec<&[u8]> {
    let header = |bytes: &[u8]| match bytes[1] {
        len @ 0..=0x7F => (2, usize::from(len)),
        octets => {
            let octets = usize::from(octets & 0x7F);
            (2 + octets, bytes[2..2 + octets].iter().fold(0, |len, octet| len << 8 | usize::from(*octet)))
        }
    };
    let mut rest = &element[header(element).0..];
    let mut children = Vec::new();
    while !rest.is_empty() {
        let (start, len) = header(rest);
        let (child, after) = rest.split_at(start + len);
        children.push(child);
        rest = after;
    }
    children
}

/// Version (nothing in version 1), serial number, algorithm, issuer, validity, subject, …
fn tbs_fields(certificate: &Certificate) -> Vec<&[u8]> {
    let mut fields = children(children(certificate.der())[0]);
    if fields[0][0] != 0xA0 {
        fields.insert(0, &[]);
    }
    fields
}

pub(crate) fn serial_der(certificate: &Certificate) -> Vec<u8> {
    tbs_fields(certificate)[1].to_vec()
}

pub(crate) fn subject_der(certificate: &Certificate) -> Vec<u8> {
    tbs_fields(certificate)[5].to_vec()
}

/// The same certificate with a flipped bit in its signature.
pub(crate) fn with_wrong_signature(certificate: &Certificate) -> Certificate {
    let mut bytes = certificate.der().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    read(&bytes)
}

pub(crate) fn chain(leaf: &Certificate, issuers: &[&Certificate]) -> CertificateChain {
    CertificateChain::new(leaf.clone(), issuers.iter().copied().cloned().collect())
}

pub(crate) fn trust(
    trusted: &[&Certificate],
    issuers: &[&Certificate],
    lists: &[&RevocationList],
) -> TrustList {
    let cloned = |certificates: &[&Certificate]| certificates.iter().copied().cloned().collect();
    TrustList::new(cloned(trusted), cloned(issuers), lists.iter().copied().cloned().collect())
}

pub(crate) fn client() -> ValidationParams<'static> {
    ValidationParams::new(NOW, PeerRole::Client)
}

pub(crate) fn judge(leaf: &Certificate, trust: &TrustList) -> Result<VerifiedChain, TrustError> {
    validate(&leaf.clone().into(), trust, &client())
}

/// What is wrong: the status, and how far up.
pub(crate) fn refusal(result: Result<VerifiedChain, TrustError>) -> (TrustStatus, usize) {
    let error = result.expect_err("the certificate was to be refused");
    (error.status(), error.depth())
}

/// The signature algorithm that goes with the key.
fn algorithm_of(key: &KeyPair) -> &'static [u8] {
    let algorithm = key.algorithm();
    if *algorithm == rcgen::PKCS_RSA_SHA256 {
        &[0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B, 0x05, 0x00]
    } else if *algorithm == rcgen::PKCS_ECDSA_P384_SHA384 {
        &[0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x03]
    } else {
        &[0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02]
    }
}
