//! Certificates of any kind, good and bad.

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use crate::{TestKey, openssl};

/// What a certificate is to be; [`make`](Self::make) makes it.
///
/// ```
/// use koios_testkit::{CertificateSpec, KeyUsage};
///
/// let careless = CertificateSpec {
///     key_usage: vec![KeyUsage::DigitalSignature],
///     extended_key_usage: vec![],
///     ..CertificateSpec::application("urn:example:careless")
/// };
/// assert_eq!(careless.make().sha1().len(), 40);
/// ```
#[derive(Clone, Debug)]
pub struct CertificateSpec {
    /// CN; absent when `None`.
    pub common_name: Option<String>,
    /// O; absent when `None`.
    pub organization: Option<String>,
    /// OU; absent when `None`.
    pub organizational_unit: Option<String>,
    /// C; absent when `None`.
    pub country: Option<String>,
    /// The subject alternative names in this order; no extension when empty.
    pub san: Vec<San>,
    /// Begin of the validity. With [`SignatureHash::Sha1`] or keys under 2048 bits it is always now.
    pub not_before: OffsetDateTime,
    /// End of the validity.
    pub not_after: OffsetDateTime,
    /// Big-endian serial number; 16 random bytes, positive, when `None`.
    pub serial_number: Option<Vec<u8>>,
    /// No extension when empty.
    pub key_usage: Vec<KeyUsage>,
    /// No extension when empty.
    pub extended_key_usage: Vec<ExtendedKeyUsage>,
    /// No extension when `None`.
    pub basic_constraints: Option<BasicConstraints>,
    /// Whether to write an authority key identifier (its key id form).
    pub authority_key_identifier: bool,
    /// Self-signed when `None`.
    pub issuer: Option<TestCertificate>,
    /// The certificate's own key.
    pub key: TestKey,
    /// The hash of the signature.
    pub signature_hash: SignatureHash,
}

impl CertificateSpec {
    /// A self-signed OPC UA application instance certificate after OPC 10000-6 §6.2.2: URI first in the SAN, both
    /// extended usages, the four key usages and keyCertSign; valid from a day ago for a year; the shared key of
    /// 2048 bits in slot 0.
    pub fn application(application_uri: &str) -> Self {
        let now = OffsetDateTime::now_utc();
        Self {
            common_name: Some("Koios test".to_owned()),
            organization: Some("Koios tests".to_owned()),
            organizational_unit: None,
            country: None,
            san: vec![
                San::Uri(application_uri.to_owned()),
                San::Dns("localhost".to_owned()),
                San::Ip(IpAddr::from([127, 0, 0, 1])),
            ],
            not_before: now - Duration::DAY,
            not_after: now + Duration::days(365),
            serial_number: None,
            key_usage: vec![
                KeyUsage::DigitalSignature,
                KeyUsage::NonRepudiation,
                KeyUsage::KeyEncipherment,
                KeyUsage::DataEncipherment,
                KeyUsage::KeyCertSign,
            ],
            extended_key_usage: vec![ExtendedKeyUsage::ClientAuth, ExtendedKeyUsage::ServerAuth],
            basic_constraints: Some(BasicConstraints::EndEntity),
            authority_key_identifier: true,
            issuer: None,
            key: TestKey::shared(2048, 0),
            signature_hash: SignatureHash::Sha256,
        }
    }

    /// An application instance certificate issued by an authority: as [`application`](Self::application), without
    /// keyCertSign.
    pub fn issued_application(application_uri: &str, issuer: &TestCertificate) -> Self {
        let mut spec = Self::application(application_uri);
        spec.key_usage.retain(|usage| *usage != KeyUsage::KeyCertSign);
        spec.issuer = Some(issuer.clone());
        spec
    }

    /// A self-signed certificate authority with the shared 2048-bit key of slot 100.
    pub fn authority(common_name: &str) -> Self {
        Self {
            common_name: Some(common_name.to_owned()),
            san: vec![],
            key_usage: vec![KeyUsage::KeyCertSign, KeyUsage::CrlSign],
            extended_key_usage: vec![],
            basic_constraints: Some(BasicConstraints::Authority),
            key: TestKey::shared(2048, 100),
            ..Self::application("")
        }
    }

    /// The same with this shared key: see [`TestKey::shared`].
    #[must_use]
    pub fn with_shared_key(mut self, bits: u32, slot: u32) -> Self {
        self.key = TestKey::shared(bits, slot);
        self
    }

    /// The same with another common name.
    #[must_use]
    pub fn named(mut self, common_name: &str) -> Self {
        self.common_name = Some(common_name.to_owned());
        self
    }

    /// The same, expired: valid from 30 days ago to yesterday.
    #[must_use]
    pub fn expired(mut self) -> Self {
        let now = OffsetDateTime::now_utc();
        self.not_before = now - Duration::days(30);
        self.not_after = now - Duration::DAY;
        self
    }

    /// The same, not yet valid: from tomorrow on.
    #[must_use]
    pub fn not_yet_valid(mut self) -> Self {
        let now = OffsetDateTime::now_utc();
        self.not_before = now + Duration::DAY;
        self.not_after = now + Duration::days(365);
        self
    }

    /// Makes and signs the certificate.
    ///
    /// # Panics
    ///
    /// When the specification cannot be made: text that its ASN.1 type does not hold, SHA-1 or a key under 2048 bits
    /// together with an issuer, or no `openssl` program for those two.
    pub fn make(&self) -> TestCertificate {
        let params = self.params();
        let der = match (self.key.pair(), self.signature_hash) {
            (Some(pair), SignatureHash::Sha256) => match &self.issuer {
                None => params.self_signed(pair).expect("rcgen signs").der().to_vec(),
                Some(issuer) => {
                    let issuer_key = issuer.0.key.pair().expect("an issuer with 2048 bits or more");
                    let issuer = Issuer::from_params(&issuer.0.params, issuer_key);
                    params.signed_by(pair, &issuer).expect("rcgen signs").der().to_vec()
                }
            },
            _ => self.make_with_openssl(),
        };
        let issuers = self.issuer.as_ref().map_or_else(Vec::new, |issuer| issuer.chain());
        TestCertificate(Arc::new(Made { der, key: self.key.clone(), issuers, params }))
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (part, value) in [
            (DnType::CountryName, &self.country),
            (DnType::OrganizationName, &self.organization),
            (DnType::OrganizationalUnitName, &self.organizational_unit),
            (DnType::CommonName, &self.common_name),
        ] {
            if let Some(value) = value {
                params.distinguished_name.push(part, value.as_str());
            }
        }
        params.subject_alt_names = self.san.iter().map(San::to_rcgen).collect();
        params.not_before = self.not_before;
        params.not_after = self.not_after;
        let serial_number = self.serial_number.clone().unwrap_or_else(random_serial_number);
        params.serial_number = Some(SerialNumber::from(serial_number));
        params.key_usages = self.key_usage.iter().map(|usage| usage.to_rcgen()).collect();
        params.extended_key_usages = self.extended_key_usage.iter().map(|usage| usage.to_rcgen()).collect();
        params.is_ca = match self.basic_constraints {
            None => IsCa::NoCa,
            Some(BasicConstraints::EndEntity) => IsCa::ExplicitNoCa,
            Some(BasicConstraints::Authority) => IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
        };
        params.use_authority_key_identifier_extension = self.authority_key_identifier;
        params
    }

    fn make_with_openssl(&self) -> Vec<u8> {
        assert!(self.issuer.is_none(), "certificates made with openssl are self-signed");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let configuration = folder.path().join("request.cnf");
        let key = folder.path().join("key.pem");
        fs::write(&configuration, self.openssl_configuration()).expect("a writable file");
        fs::write(&key, self.key.pem()).expect("a writable file");
        let days = (self.not_after - OffsetDateTime::now_utc()).whole_days().to_string();
        let serial = self.serial_number.clone().unwrap_or_else(random_serial_number);
        let serial = format!("0x{}", hex(&serial));
        let hash = match self.signature_hash {
            SignatureHash::Sha1 => "-sha1",
            SignatureHash::Sha256 => "-sha256",
        };
        let (configuration, key) = (path_text(&configuration), path_text(&key));
        openssl::run(
            &[
                "req",
                "-x509",
                "-new",
                "-utf8",
                "-outform",
                "DER",
                hash,
                "-config",
                &configuration,
                "-key",
                &key,
                "-days",
                &days,
                "-set_serial",
                &serial,
            ],
            b"",
        )
    }

    fn openssl_configuration(&self) -> String {
        let mut text =
            "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = extensions\n[name]\n"
                .to_owned();
        for (part, value) in [
            ("C", &self.country),
            ("O", &self.organization),
            ("OU", &self.organizational_unit),
            ("CN", &self.common_name),
        ] {
            if let Some(value) = value {
                writeln!(text, "{part} = {value}").expect("a string grows");
            }
        }
        text.push_str("[extensions]\nsubjectKeyIdentifier = hash\n");
        if self.authority_key_identifier {
            text.push_str("authorityKeyIdentifier = keyid:always\n");
        }
        match self.basic_constraints {
            None => {}
            Some(BasicConstraints::EndEntity) => text.push_str("basicConstraints = critical, CA:FALSE\n"),
            Some(BasicConstraints::Authority) => text.push_str("basicConstraints = critical, CA:TRUE\n"),
        }
        let usages: Vec<_> = self.key_usage.iter().map(|usage| usage.openssl_name()).collect();
        if !usages.is_empty() {
            writeln!(text, "keyUsage = critical, {}", usages.join(", ")).expect("a string grows");
        }
        let usages: Vec<_> = self.extended_key_usage.iter().map(|usage| usage.openssl_name()).collect();
        if !usages.is_empty() {
            writeln!(text, "extendedKeyUsage = {}", usages.join(", ")).expect("a string grows");
        }
        if !self.san.is_empty() {
            text.push_str("subjectAltName = @alternative_names\n[alternative_names]\n");
            for (index, name) in self.san.iter().enumerate() {
                let (kind, value) = name.openssl_pair();
                writeln!(text, "{kind}.{index} = {value}").expect("a string grows");
            }
        }
        text
    }
}

/// A certificate with its private key and its issuers; cheap to clone.
#[derive(Clone, Debug)]
pub struct TestCertificate(Arc<Made>);

#[derive(Debug)]
struct Made {
    der: Vec<u8>,
    key: TestKey,
    issuers: Vec<Vec<u8>>,
    params: CertificateParams,
}

impl TestCertificate {
    /// A certificate made elsewhere, with its key in PKCS#8 PEM. It can be presented; it can issue none.
    ///
    /// # Panics
    ///
    /// When the key is none of RSA with 2048 bits or more.
    pub fn from_parts(der: &[u8], key_pem: &str) -> Self {
        Self(Arc::new(Made {
            der: der.to_vec(),
            key: TestKey::from_pem(key_pem),
            issuers: vec![],
            params: CertificateParams::default(),
        }))
    }

    /// The certificate alone.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The certificate alone, as PEM.
    pub fn pem(&self) -> String {
        pem(&self.0.der)
    }

    /// Its private key.
    pub fn key(&self) -> &TestKey {
        &self.0.key
    }

    /// Its private key as PKCS#8 PEM.
    pub fn key_pem(&self) -> &str {
        self.0.key.pem()
    }

    /// The certificate and its issuers up to the root, each as DER.
    pub fn chain(&self) -> Vec<Vec<u8>> {
        let mut chain = vec![self.0.der.clone()];
        chain.extend(self.0.issuers.iter().cloned());
        chain
    }

    /// The chain as OPC UA sends it: DER after DER, leaf first.
    pub fn chain_der(&self) -> Vec<u8> {
        self.chain().concat()
    }

    /// The chain as PEM, leaf first.
    pub fn chain_pem(&self) -> String {
        self.chain().iter().map(|der| pem(der)).collect()
    }

    /// SHA-1 thumbprint in upper-case hexadecimal.
    pub fn sha1(&self) -> String {
        sha1(&self.0.der)
    }

    /// SHA-256 thumbprint in upper-case hexadecimal.
    pub fn sha256(&self) -> String {
        hex(digest::digest(&digest::SHA256, &self.0.der).as_ref())
    }

    /// The common name it was made with.
    pub fn common_name(&self) -> Option<&str> {
        match self.0.params.distinguished_name.get(&DnType::CommonName)? {
            rcgen::DnValue::Utf8String(name) => Some(name),
            _ => None,
        }
    }
}

/// A revocation list of this authority, DER, valid from a day ago for thirty days, that revokes these certificates.
///
/// # Panics
///
/// When the authority's key has fewer than 2048 bits.
pub fn revocation_list(authority: &TestCertificate, revoked: &[&TestCertificate]) -> Vec<u8> {
    let now = OffsetDateTime::now_utc();
    let issuer_key = authority.0.key.pair().expect("an authority with 2048 bits or more");
    let issuer = Issuer::from_params(&authority.0.params, issuer_key);
    let revoked_certs = revoked
        .iter()
        .map(|certificate| RevokedCertParams {
            serial_number: certificate.0.params.serial_number.clone().expect("always set by us"),
            revocation_time: now - Duration::DAY,
            reason_code: None,
            invalidity_date: None,
        })
        .collect();
    let params = CertificateRevocationListParams {
        this_update: now - Duration::DAY,
        next_update: now + Duration::days(30),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&issuer).expect("rcgen signs").der().to_vec()
}

/// An entry of the subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// uniformResourceIdentifier: the ApplicationUri.
    Uri(String),
    /// dNSName.
    Dns(String),
    /// iPAddress.
    Ip(IpAddr),
    /// rfc822Name.
    Email(String),
}

impl San {
    fn to_rcgen(&self) -> SanType {
        let ascii = |text: &String| text.as_str().try_into().expect("ASCII text");
        match self {
            Self::Uri(uri) => SanType::URI(ascii(uri)),
            Self::Dns(name) => SanType::DnsName(ascii(name)),
            Self::Ip(address) => SanType::IpAddress(*address),
            Self::Email(address) => SanType::Rfc822Name(ascii(address)),
        }
    }

    fn openssl_pair(&self) -> (&'static str, String) {
        match self {
            Self::Uri(uri) => ("URI", uri.clone()),
            Self::Dns(name) => ("DNS", name.clone()),
            Self::Ip(address) => ("IP", address.to_string()),
            Self::Email(address) => ("email", address.clone()),
        }
    }
}

/// A bit of the key usage extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "RFC 5280 §4.2.1.3 names them")]
pub enum KeyUsage {
    DigitalSignature,
    NonRepudiation,
    KeyEncipherment,
    DataEncipherment,
    KeyAgreement,
    KeyCertSign,
    CrlSign,
}

impl KeyUsage {
    fn to_rcgen(self) -> KeyUsagePurpose {
        match self {
            Self::DigitalSignature => KeyUsagePurpose::DigitalSignature,
            Self::NonRepudiation => KeyUsagePurpose::ContentCommitment,
            Self::KeyEncipherment => KeyUsagePurpose::KeyEncipherment,
            Self::DataEncipherment => KeyUsagePurpose::DataEncipherment,
            Self::KeyAgreement => KeyUsagePurpose::KeyAgreement,
            Self::KeyCertSign => KeyUsagePurpose::KeyCertSign,
            Self::CrlSign => KeyUsagePurpose::CrlSign,
        }
    }

    fn openssl_name(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digitalSignature",
            Self::NonRepudiation => "nonRepudiation",
            Self::KeyEncipherment => "keyEncipherment",
            Self::DataEncipherment => "dataEncipherment",
            Self::KeyAgreement => "keyAgreement",
            Self::KeyCertSign => "keyCertSign",
            Self::CrlSign => "cRLSign",
        }
    }
}

/// A purpose of the extended key usage extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "RFC 5280 §4.2.1.12 names them")]
pub enum ExtendedKeyUsage {
    ClientAuth,
    CodeSigning,
    ServerAuth,
}

impl ExtendedKeyUsage {
    fn to_rcgen(self) -> ExtendedKeyUsagePurpose {
        match self {
            Self::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
            Self::CodeSigning => ExtendedKeyUsagePurpose::CodeSigning,
            Self::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
        }
    }

    fn openssl_name(self) -> &'static str {
        match self {
            Self::ClientAuth => "clientAuth",
            Self::CodeSigning => "codeSigning",
            Self::ServerAuth => "serverAuth",
        }
    }
}

/// The basic constraints extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasicConstraints {
    /// `CA:TRUE`, no path length.
    Authority,
    /// `CA:FALSE`.
    EndEntity,
}

/// The hash of a certificate's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureHash {
    /// Made with the `openssl` program.
    Sha1,
    /// As OPC UA wants it.
    Sha256,
}

/// SHA-1 in upper-case hexadecimal.
pub(crate) fn sha1(der: &[u8]) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der).as_ref())
}

fn pem(der: &[u8]) -> String {
    let body = BASE64_STANDARD.encode(der);
    // 64 characters a line: RFC 7468 §2.
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02X}").expect("a string grows");
        text
    })
}

fn random_serial_number() -> Vec<u8> {
    let mut bytes = vec![0; 16];
    rand::fill(&mut bytes).expect("the system has randomness");
    // Positive (RFC 5280 §4.1.2.2), never shorter.
    bytes[0] = bytes[0] & 0x3F | 0x40;
    bytes
}

fn path_text(path: &std::path::Path) -> String {
    path.to_str().expect("a temporary path in UTF-8").to_owned()
}
