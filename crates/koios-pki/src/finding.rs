//! What peers may dislike about a certificate, each with what to do and the clause that asks for it.

mod chain;
mod encoding;
mod issuer;
mod key;
mod leaf;
mod names;
mod params;
mod peer;
mod server;

use time::OffsetDateTime;

pub use self::params::{LintParams, LintRole};
pub use self::peer::PeerStack;
use crate::CertificateChain;

/// Everything about a chain that peers may dislike; errors first, each code once.
///
/// Judges the certificates alone: whether a peer trusts them, only the peer knows, and whether to trust a peer's is
/// decided elsewhere (OPC 10000-4 §6.1.3).
///
/// ```
/// # use koios_pki::{Certificate, LintParams, LintRole, SecurityPolicy, lint};
/// # fn show(certificate: Certificate, now: time::OffsetDateTime) {
/// let params = LintParams::new(now, LintRole::Client).for_policy(SecurityPolicy::Basic256Sha256);
/// for finding in lint(&certificate.into(), &params) {
///     println!("{}: {} [{}] {:?}", finding.code, finding.message, finding.reference, finding.peers);
/// }
/// # }
/// ```
pub fn lint(chain: &CertificateChain, params: &LintParams<'_>) -> Vec<Finding> {
    let mut found = Collected { own: params.role.is_own(), findings: Vec::new() };
    let leaf = chain.leaf();
    leaf::check_validity(leaf, params, &mut found);
    encoding::check(leaf, &mut found);
    key::check(leaf, params.certificate_type, &mut found);
    if params.role.is_own_application() {
        leaf::check_application_uri(leaf, &mut found);
    }
    leaf::check_key_usage(leaf, params.role, &mut found);
    match params.role {
        LintRole::User => {}
        LintRole::Client => leaf::check_client_usage(leaf, &mut found),
        LintRole::Either => leaf::check_both_usages(leaf, &mut found),
        LintRole::Server { host, application_uri } => {
            server::check_usage(leaf, &mut found);
            if let Some(host) = host {
                server::check_host(leaf, host, &mut found);
            }
            server::check_application_uri(leaf, application_uri, &mut found);
        }
    }
    leaf::check_basic_constraints(leaf, &mut found);
    names::check_subject(leaf, params.role, &mut found);
    names::check_alternative_names(leaf, params.role, &mut found);
    leaf::check_identifiers(leaf, &mut found);
    chain::check(chain, params, &mut found);
    found.into_sorted()
}

/// What servers may dislike about our own chain, used as a client at `now`: [`lint`] for [`LintRole::Client`].
pub fn findings(chain: &CertificateChain, now: OffsetDateTime) -> Vec<Finding> {
    lint(chain, &LintParams::new(now, LintRole::Client))
}

/// What is wrong with a server's chain for a client that connects to `endpoint_host` at `now`: [`lint`] for
/// [`LintRole::Server`].
///
/// `endpoint_host` is the host of the URL connected to, `application_uri` the one of the server's description when it
/// is known. Whether these findings refuse the server is the caller's decision (OPC 10000-4 §6.1.3).
pub fn server_findings(
    chain: &CertificateChain,
    endpoint_host: &str,
    application_uri: Option<&str>,
    now: OffsetDateTime,
) -> Vec<Finding> {
    lint(chain, &LintParams::new(now, LintRole::Server { host: Some(endpoint_host), application_uri }))
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
    /// The stacks known to refuse for it; empty when it is the specification that does, or none is known.
    pub peers: &'static [PeerStack],
}

impl Finding {
    /// A finding of another layer, such as changed files.
    pub fn new(
        code: FindingCode,
        severity: Severity,
        message: impl Into<String>,
        reference: &'static str,
    ) -> Self {
        Self { code, severity, message: message.into(), reference, peers: peer::refusing(code) }
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
    /// The URI stands among the host names.
    ApplicationUriInDnsName = "application_uri_in_dns_name",
    /// The URI is none by RFC 3986 or RFC 8141.
    ApplicationUriInvalid = "application_uri_invalid",
    /// The server describes itself by another URI than its certificate.
    ApplicationUriMismatch = "application_uri_mismatch",
    /// Another entry stands before the URI.
    ApplicationUriNotFirst = "application_uri_not_first",
    /// The scheme or the domain of the URI has upper-case letters.
    ApplicationUriNotLowerCase = "application_uri_not_lower_case",
    /// The authorityKeyIdentifier is not that of the issuer.
    AuthorityKeyIdentifierMismatch = "authority_key_identifier_mismatch",
    /// There is no authorityKeyIdentifier.
    AuthorityKeyIdentifierMissing = "authority_key_identifier_missing",
    /// There are no basicConstraints.
    BasicConstraintsMissing = "basic_constraints_missing",
    /// Valid from an earlier instant on than its issuer.
    BeginsBeforeIssuer = "begins_before_issuer",
    /// The certificate says it is an authority.
    CaCertificate = "ca_certificate",
    /// The certificate says it is an authority, and may sign revocation lists.
    CaCertificateSignsRevocationLists = "ca_certificate_signs_revocation_lists",
    /// Under 256 bytes, in a chain.
    CertificateTooSmall = "certificate_too_small",
    /// The issuer's certificate is not among those given.
    ChainIncomplete = "chain_incomplete",
    /// A certificate is not followed by its issuer.
    ChainOutOfOrder = "chain_out_of_order",
    /// A certificate that issued none of the others.
    ChainSurplus = "chain_surplus",
    /// The chain has more bytes than some peers take.
    ChainTooLarge = "chain_too_large",
    /// The subject has no Common Name.
    CommonNameMissing = "common_name_missing",
    /// The Common Name has more than 64 characters.
    CommonNameTooLong = "common_name_too_long",
    /// An attribute of the subject is encoded in a way RFC 5280 does not want.
    DistinguishedNameEncoding = "distinguished_name_encoding",
    /// An IP address stands among the host names.
    DnsNameIsAddress = "dns_name_is_address",
    /// A host name with a wildcard.
    DnsNameWildcard = "dns_name_wildcard",
    /// The validity period is over.
    Expired = "expired",
    /// The usage clientAuth (for a server serverAuth) is not there.
    ExtendedKeyUsageIncomplete = "extended_key_usage_incomplete",
    /// An extension that cannot be read.
    ExtensionMalformed = "extension_malformed",
    /// An extension is marked critical that must not be.
    ExtensionMustNotBeCritical = "extension_must_not_be_critical",
    /// The files on disk are not those that were stored; found by the store.
    FilesChanged = "files_changed",
    /// The host connected to is not in the certificate.
    HostNameMismatch = "host_name_mismatch",
    /// A server's certificate without host name or address.
    HostNameMissing = "host_name_missing",
    /// An issuer's basicConstraints are not critical.
    IssuerBasicConstraintsNotCritical = "issuer_basic_constraints_not_critical",
    /// An issuer's certificate is outside of its validity period.
    IssuerExpired = "issuer_expired",
    /// An issuer without subjectKeyIdentifier or authorityKeyIdentifier.
    IssuerIdentifiersMissing = "issuer_identifiers_missing",
    /// An issuer's certificate breaks the structure of X.509, or limits what it may do in a way peers do not apply.
    IssuerInvalid = "issuer_invalid",
    /// An issuer's key is shorter than that of the certificate it issued.
    IssuerKeyTooShort = "issuer_key_too_short",
    /// An issuer's key is none the security policy takes.
    IssuerKeyUnsupported = "issuer_key_unsupported",
    /// An issuer's key usage lacks keyCertSign or cRLSign.
    IssuerKeyUsageIncomplete = "issuer_key_usage_incomplete",
    /// The certificate does not name its issuer.
    IssuerNameEmpty = "issuer_name_empty",
    /// The issuer's name is the same text as the authority's subject in other bytes.
    IssuerNameReencoded = "issuer_name_reencoded",
    /// An issuer's certificate is not one of an authority.
    IssuerNotCa = "issuer_not_ca",
    /// An issuer's certificate is signed with an algorithm that the security policies do not name.
    IssuerUnusualSignature = "issuer_unusual_signature",
    /// An issuer's certificate is signed with a broken hash.
    IssuerWeakSignature = "issuer_weak_signature",
    /// A key of a kind that the security policy, or every one, does not take.
    KeyKindUnsupported = "key_kind_unsupported",
    /// More bits than the security policy takes; 4096 where none is wanted.
    KeyTooLong = "key_too_long",
    /// Fewer bits than the security policy takes; 2048 where none is wanted.
    KeyTooShort = "key_too_short",
    /// One of the four usages of RSA, or the one of curves and users, is not there.
    KeyUsageIncomplete = "key_usage_incomplete",
    /// keyUsage is not critical.
    KeyUsageNotCritical = "key_usage_not_critical",
    /// A key on a curve has usages beyond those of OPC UA.
    KeyUsageSurplus = "key_usage_surplus",
    /// Self-signed with cA TRUE and pathLen 0, as older applications made them.
    LegacyCaCertificate = "legacy_ca_certificate",
    /// There is no application URI.
    NoApplicationUri = "no_application_uri",
    /// Something is written as BER lets it be and DER does not.
    NotDer = "not_der",
    /// An older X.509 version, without extensions.
    NotVersion3 = "not_version_3",
    /// The validity period has not begun.
    NotYetValid = "not_yet_valid",
    /// The subject has no Organization.
    OrganizationMissing = "organization_missing",
    /// Valid for longer than its issuer.
    OutlivesIssuer = "outlives_issuer",
    /// basicConstraints with a pathLen and without cA.
    PathLengthWithoutCa = "path_length_without_ca",
    /// Self-signed, and the usage keyCertSign is not there.
    SelfSignedWithoutKeyCertSign = "self_signed_without_key_cert_sign",
    /// A serial number of zero or below.
    SerialNumberNotPositive = "serial_number_not_positive",
    /// A serial number of one byte, such as 1 or 42.
    SerialNumberPredictable = "serial_number_predictable",
    /// A serial number over 20 octets.
    SerialNumberTooLong = "serial_number_too_long",
    /// More than one URI.
    SeveralApplicationUris = "several_application_uris",
    /// The signed part names another signature algorithm than stands beside the signature.
    SignatureAlgorithmsDiffer = "signature_algorithms_differ",
    /// A signature that does not verify.
    SignatureInvalid = "signature_invalid",
    /// The subject has no attribute.
    SubjectEmpty = "subject_empty",
    /// There is no subjectKeyIdentifier.
    SubjectKeyIdentifierMissing = "subject_key_identifier_missing",
    /// A subjectKeyIdentifier that is no usual hash of the key.
    SubjectKeyIdentifierUnusual = "subject_key_identifier_unusual",
    /// A time before 2050 that is no `UTCTime`.
    TimeEncodingUnusual = "time_encoding_unusual",
    /// A critical extension that peers do not know.
    UnknownCriticalExtension = "unknown_critical_extension",
    /// A signature algorithm that the security policies do not name.
    UnusualSignature = "unusual_signature",
    /// Valid since a few minutes only.
    ValidityBeganJustNow = "validity_began_just_now",
    /// The validity period ends before it begins.
    ValidityReversed = "validity_reversed",
    /// Valid for more than 20 years.
    ValidityVeryLong = "validity_very_long",
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
struct Collected {
    /// Whether the certificate is ours, so that the remedy is ours as well.
    own: bool,
    findings: Vec<Finding>,
}

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

    /// What is to be done: `own` for our certificate, else what only the server's operator can do.
    fn remedy(&self, own: &'static str) -> &'static str {
        if self.own { own } else { "Its operator should have it issued anew." }
    }

    /// As [`Self::warning`], with the peers known to refuse for this form of it.
    fn warning_of(
        &mut self,
        code: FindingCode,
        reference: &'static str,
        peers: &'static [PeerStack],
        message: String,
    ) {
        self.push(Finding { peers, ..Finding::new(code, Severity::Warning, message, reference) });
    }

    fn push(&mut self, finding: Finding) {
        if self.findings.iter().all(|known| known.code != finding.code) {
            self.findings.push(finding);
        }
    }

    fn into_sorted(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self.findings
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
        assert!(texts.is_sorted(), "in alphabetical order");
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
