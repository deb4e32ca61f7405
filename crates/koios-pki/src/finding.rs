//! What peers may dislike about a certificate, each with what to do and the clause that asks for it.

mod chain;
mod leaf;
mod server;

use time::OffsetDateTime;

use crate::CertificateChain;

/// What servers may dislike about our own chain, used as a client at `now`; errors first.
///
/// Judges the certificate alone: whether a server trusts it, only the server knows.
pub fn findings(chain: &CertificateChain, now: OffsetDateTime) -> Vec<Finding> {
    let mut found = Collected::default();
    leaf::check_validity(chain.leaf(), now, &mut found, "regenerate or replace it");
    leaf::check_encoding(chain.leaf(), &mut found);
    leaf::check_key_and_signature(chain.leaf(), &mut found);
    leaf::check_application_uri(chain.leaf(), &mut found);
    leaf::check_key_usage(chain.leaf(), &mut found);
    leaf::check_client_usage(chain.leaf(), &mut found);
    leaf::check_basic_constraints(chain.leaf(), &mut found);
    leaf::check_names_and_identifiers(chain.leaf(), &mut found);
    chain::check(chain, now, &mut found);
    found.into_sorted()
}

/// What is wrong with a server's chain for a client that connects to `endpoint_host` at `now`; errors first.
///
/// `endpoint_host` is the host of the URL connected to, `application_uri` the one of the server's description when it
/// is known. Whether these findings refuse the server is the caller's decision (OPC 10000-4 §6.1.3).
pub fn server_findings(
    chain: &CertificateChain,
    endpoint_host: &str,
    application_uri: Option<&str>,
    now: OffsetDateTime,
) -> Vec<Finding> {
    let mut found = Collected::default();
    leaf::check_validity(chain.leaf(), now, &mut found, "the server's operator must renew it");
    leaf::check_encoding(chain.leaf(), &mut found);
    leaf::check_key_and_signature(chain.leaf(), &mut found);
    leaf::check_key_usage(chain.leaf(), &mut found);
    leaf::check_basic_constraints(chain.leaf(), &mut found);
    server::check_usage(chain.leaf(), &mut found);
    server::check_host(chain.leaf(), endpoint_host, &mut found);
    server::check_application_uri(chain.leaf(), application_uri, &mut found);
    chain::check(chain, now, &mut found);
    found.into_sorted()
}

/// Something about a certificate that a peer may dislike.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is, for machines.
    pub code: FindingCode,
    /// How much it matters.
    pub severity: Severity,
    /// One or two sentences for a person: what is found and what to do about it.
    pub message: String,
    /// The clause that asks for it, for example `OPC 10000-6 §6.2.2`.
    pub reference: &'static str,
}

impl Finding {
    /// A finding of another layer, such as changed files.
    pub fn new(
        code: FindingCode,
        severity: Severity,
        message: impl Into<String>,
        reference: &'static str,
    ) -> Self {
        Self { code, severity, message: message.into(), reference }
    }
}

/// How much a finding matters, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "the contract of rest-api.md §3 names exactly these")]
pub enum Severity {
    /// Good to know; no peer is known to refuse for it.
    Info,
    /// Some peers refuse.
    Warning,
    /// Peers that follow the specification refuse.
    Error,
}

impl Severity {
    /// `info`, `warning` or `error`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Declares the codes once: variant, text and meaning, so that `ALL` and `as_str` cannot fall behind.
macro_rules! finding_codes {
    ($($(#[$meaning:meta])* $variant:ident = $text:literal,)+) => {
        /// The closed list of findings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum FindingCode {
            $($(#[$meaning])* $variant,)+
        }

        impl FindingCode {
            /// Every code, in alphabetical order.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as the REST contract spells it, in snake case.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

finding_codes! {
    /// The URI is none by RFC 3986 or RFC 8141.
    ApplicationUriInvalid = "application_uri_invalid",
    /// The server describes itself by another URI than its certificate.
    ApplicationUriMismatch = "application_uri_mismatch",
    /// Another entry stands before the URI.
    ApplicationUriNotFirst = "application_uri_not_first",
    /// There is no authorityKeyIdentifier.
    AuthorityKeyIdentifierMissing = "authority_key_identifier_missing",
    /// There are no basicConstraints.
    BasicConstraintsMissing = "basic_constraints_missing",
    /// The certificate says it is an authority.
    CaCertificate = "ca_certificate",
    /// The issuer's certificate is not among those given.
    ChainIncomplete = "chain_incomplete",
    /// A certificate is not followed by its issuer.
    ChainOutOfOrder = "chain_out_of_order",
    /// The subject has no Common Name.
    CommonNameMissing = "common_name_missing",
    /// The validity period is over.
    Expired = "expired",
    /// The usage clientAuth (for a server serverAuth) is not there.
    ExtendedKeyUsageIncomplete = "extended_key_usage_incomplete",
    /// An extension that cannot be read.
    ExtensionMalformed = "extension_malformed",
    /// The files on disk are not those that were stored; found by the store.
    FilesChanged = "files_changed",
    /// The host connected to is not in the certificate.
    HostNameMismatch = "host_name_mismatch",
    /// An issuer's certificate is outside of its validity period.
    IssuerExpired = "issuer_expired",
    /// An issuer's key is shorter than that of the certificate it issued.
    IssuerKeyTooShort = "issuer_key_too_short",
    /// An issuer's certificate is not one of an authority.
    IssuerNotCa = "issuer_not_ca",
    /// Not an RSA key.
    KeyKindUnsupported = "key_kind_unsupported",
    /// Over 4096 bits.
    KeyTooLong = "key_too_long",
    /// Under 2048 bits.
    KeyTooShort = "key_too_short",
    /// One of the four usages of RSA is not there.
    KeyUsageIncomplete = "key_usage_incomplete",
    /// There is no application URI.
    NoApplicationUri = "no_application_uri",
    /// The validity period has not begun.
    NotYetValid = "not_yet_valid",
    /// An older X.509 version, without extensions.
    NotVersion3 = "not_version_3",
    /// The subject has no Organization.
    OrganizationMissing = "organization_missing",
    /// Valid for longer than its issuer.
    OutlivesIssuer = "outlives_issuer",
    /// Self-signed, and the usage keyCertSign is not there.
    SelfSignedWithoutKeyCertSign = "self_signed_without_key_cert_sign",
    /// A serial number of zero or below.
    SerialNumberNotPositive = "serial_number_not_positive",
    /// A serial number over 20 octets.
    SerialNumberTooLong = "serial_number_too_long",
    /// More than one URI.
    SeveralApplicationUris = "several_application_uris",
    /// A signature that does not verify.
    SignatureInvalid = "signature_invalid",
    /// There is no subjectKeyIdentifier.
    SubjectKeyIdentifierMissing = "subject_key_identifier_missing",
    /// A signature algorithm that the security policies do not name.
    UnusualSignature = "unusual_signature",
    /// A broken hash.
    WeakSignature = "weak_signature",
}

impl std::fmt::Display for FindingCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Findings as they come up, each code once.
#[derive(Default)]
struct Collected(Vec<Finding>);

impl Collected {
    fn error(&mut self, code: FindingCode, reference: &'static str, message: impl Into<String>) {
        self.push(Finding::new(code, Severity::Error, message, reference));
    }

    fn warning(&mut self, code: FindingCode, reference: &'static str, message: impl Into<String>) {
        self.push(Finding::new(code, Severity::Warning, message, reference));
    }

    fn info(&mut self, code: FindingCode, reference: &'static str, message: impl Into<String>) {
        self.push(Finding::new(code, Severity::Info, message, reference));
    }

    fn push(&mut self, finding: Finding) {
        if self.0.iter().all(|known| known.code != finding.code) {
            self.0.push(finding);
        }
    }

    fn into_sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self.0
    }
}

const APPLICATION_CERTIFICATE: &str = "OPC 10000-6 §6.2.2";
const VALIDATION: &str = "OPC 10000-4 §6.1.3";
const POLICIES: &str = "OPC 10000-7, SecurityPolicy";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_snake_case_unique_and_each_listed_once() {
        let mut texts: Vec<_> = FindingCode::ALL.iter().map(|code| code.as_str()).collect();
        assert!(texts.iter().all(|text| {
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        }));
        let count = texts.len();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), count);
    }

    #[test]
    fn errors_come_first_and_each_code_once() {
        let mut found = Collected::default();
        found.info(FindingCode::SubjectKeyIdentifierMissing, "", "a");
        found.error(FindingCode::Expired, "", "b");
        found.error(FindingCode::Expired, "", "c");
        found.warning(FindingCode::OrganizationMissing, "", "d");
        let messages: Vec<_> = found.into_sorted().into_iter().map(|finding| finding.message).collect();
        assert_eq!(messages, ["b", "d", "a"]);
    }
}
