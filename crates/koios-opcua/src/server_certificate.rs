//! The server's certificate, judged by the device's policy.

mod validation;

use std::sync::Arc;

use koios_channel::SecurityPolicy;
use koios_pki::{
    Certificate, CertificateChain, CertificateError, CertificateType, Finding, FindingCode, LintParams,
    LintRole, TrustError, TrustErrorKind, TrustList, lint,
};
use time::OffsetDateTime;

use crate::clock::rfc3339;
use crate::code::Code;
use crate::preflight::{fits, key_name};
use crate::stage::Stage;
use crate::verdict::{Cause, CauseCode, Confidence, ReportedBy, Verdict, quoted};

/// Longest chain read from a server. Plant hierarchies have three or four levels.
const MAX_CHAIN: usize = 10;

/// The algorithms under which a signature by an RSA key that does not verify is broken. Under any other, such as MD5,
/// it cannot be verified here, which says nothing about it.
const VERIFIABLE: [&str; 4] = [
    "sha1WithRSAEncryption",
    "sha256WithRSAEncryption",
    "sha384WithRSAEncryption",
    "sha512WithRSAEncryption",
];

/// Which server certificates are accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ServerTrust {
    /// Exactly this one; `None`: the first one seen, whatever it is.
    ///
    /// Validity, host name and URI that do not fit are findings, not refusals: PLCs with wrong clocks and names and
    /// with expired factory certificates are everyday, and the exact certificate is what the server is known by.
    Pin {
        /// The certificate known, leaf first; leaf is compared with leaf.
        expected: Option<CertificateChain>,
    },
    /// One that passes the full validation (OPC 10000-4 §6.1.3) against the trust list.
    TrustList,
    /// Any. **Insecure**: whoever answers at that address is taken for the server.
    AcceptAny,
}

/// What certificates are validated against.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerValidation {
    /// Trusted certificates, authorities and revocation lists.
    pub trust_list: Arc<TrustList>,
    /// Whether the certificate must name the host of the endpoint URL: off for servers behind NAT and aliases.
    pub host_name_check: bool,
}

impl ServerValidation {
    /// Against these lists.
    #[must_use]
    pub fn new(trust_list: Arc<TrustList>, host_name_check: bool) -> Self {
        Self { trust_list, host_name_check }
    }
}

impl Default for ServerValidation {
    /// Nothing is trusted.
    fn default() -> Self {
        Self::new(Arc::default(), true)
    }
}

/// Where, when and for what a server presents its certificate.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Presentation<'a> {
    /// The policy with which it is to be used; `None` when that is not known.
    pub policy: Option<SecurityPolicy>,
    /// The host of the endpoint URL.
    pub host: &'a str,
    /// The ApplicationUri that the server gives as its own; `None` when that is not known.
    pub application_uri: Option<&'a str>,
    /// The instant.
    pub at: OffsetDateTime,
}

impl<'a> Presentation<'a> {
    /// At this host and instant, the rest unknown.
    #[must_use]
    pub fn new(host: &'a str, at: OffsetDateTime) -> Self {
        Self { policy: None, host, application_uri: None, at }
    }
}

/// Why a server certificate is accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Acceptance {
    /// It is the one known.
    Pinned,
    /// None is known yet.
    First,
    /// It passed the validation.
    Validated,
    /// Any is.
    Any,
}

/// A server certificate and what is remarkable about it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PresentedServerCertificate {
    /// Leaf first, as far as the server sent it.
    pub chain: CertificateChain,
    /// What does not fit: shown, not refused.
    pub findings: Vec<Finding>,
}

impl PresentedServerCertificate {
    /// Collects the findings on a certificate that the server at `host` uses under `policy`; under
    /// [`SecurityPolicy::None`] those for any policy. Pure.
    #[must_use]
    pub fn new(
        chain: CertificateChain,
        host: &str,
        application_uri: Option<&str>,
        policy: SecurityPolicy,
        now: OffsetDateTime,
    ) -> Self {
        let role = LintRole::Server { host: Some(host), application_uri };
        let findings = lint(&chain, &LintParams::new(now, role).for_policy(policy));
        Self { chain, findings }
    }

    /// Collects the findings on a certificate of which nothing else is known, as in a trust list. Those on what an
    /// application's certificate needs are not about an authority. Pure.
    #[must_use]
    pub fn anywhere(chain: CertificateChain, now: OffsetDateTime) -> Self {
        let role = LintRole::Server { host: None, application_uri: None };
        let mut findings = lint(&chain, &LintParams::new(now, role));
        if chain.leaf().basic_constraints().is_some_and(|constraints| constraints.ca) {
            findings
                .retain(|finding| matches!(finding.code, FindingCode::Expired | FindingCode::NotYetValid));
        }
        Self { chain, findings }
    }
}

/// Reads the certificate of an endpoint description: one or several DER certificates, leaf first.
///
/// The leaf is what a server is known by. Of what follows it up to nine certificates are read, and the rest is left
/// out: from the first bytes on that are no DER, and each certificate that cannot be parsed.
///
/// # Errors
/// [`Code::ServerCertificateInvalid`] when there is none or the leaf cannot be parsed.
pub fn read_server_certificate(presented: Option<&[u8]>) -> Result<CertificateChain, Box<Verdict>> {
    let Some(blob) = presented.filter(|blob| !blob.is_empty()) else {
        return Err(refuse(
            Code::ServerCertificateInvalid,
            "The endpoint has no server certificate.".to_owned(),
        ));
    };
    let (leaf, mut rest) = split_first(blob);
    let leaf = leaf.map_err(|error| {
        let detail = format!("The server's certificate cannot be read: {error}.");
        refuse(Code::ServerCertificateInvalid, detail)
    })?;
    let mut issuers = Vec::new();
    for _ in 1..MAX_CHAIN {
        let (issuer, after) = split_first(rest);
        issuers.extend(issuer);
        rest = after;
    }
    Ok(CertificateChain::new(leaf, issuers))
}

/// The first certificate and what follows it; nothing follows bytes whose end cannot be found.
fn split_first(blob: &[u8]) -> (Result<Certificate, CertificateError>, &[u8]) {
    // No certificate is longer, and what follows it does not make it so.
    let window = blob.get(..Certificate::MAX_LEN).unwrap_or(blob);
    match Certificate::from_der(window) {
        Err(CertificateError::TrailingBytes { count }) => {
            let (first, _) = window.split_at(window.len().saturating_sub(count));
            (Certificate::from_der(first), blob.get(first.len()..).unwrap_or_default())
        }
        read => (read, &[]),
    }
}

/// Judges a server certificate; pure. One that the trust list validates is accepted under [`ServerTrust::Pin`] too.
///
/// # Errors
/// [`Code::ServerCertificateChanged`] when another one is known, [`Code::ServerCertificateInvalid`] when its key does
/// not fit or its own signature, where it can be verified, does not hold; for [`ServerTrust::TrustList`] the code of the
/// check that failed.
pub fn judge_server_certificate(
    trust: &ServerTrust,
    validation: &ServerValidation,
    chain: &CertificateChain,
    presentation: &Presentation<'_>,
) -> Result<Acceptance, Box<Verdict>> {
    let validated = || validation::validated(validation, chain, presentation);
    let acceptance = match trust {
        ServerTrust::TrustList => {
            return match validated() {
                Ok(_) => Ok(Acceptance::Validated),
                Err(error) => Err(validation::refusal(&error)),
            };
        }
        ServerTrust::Pin { expected: Some(expected) } if expected.leaf() == chain.leaf() => {
            Acceptance::Pinned
        }
        ServerTrust::Pin { expected: Some(expected) } => {
            return match validated() {
                Ok(_) => Ok(Acceptance::Validated),
                Err(error) => Err(changed(expected, chain, &error)),
            };
        }
        ServerTrust::Pin { expected: None } => Acceptance::First,
        ServerTrust::AcceptAny => Acceptance::Any,
    };
    check_soundness(chain, presentation.policy)?;
    Ok(acceptance)
}

/// What no policy overlooks: a key that does not fit, and a certificate that is broken.
fn check_soundness(chain: &CertificateChain, policy: Option<SecurityPolicy>) -> Result<(), Box<Verdict>> {
    let leaf = chain.leaf();
    let key = leaf.key_algorithm();
    if !fits(key, policy) {
        let needed = match policy.and_then(SecurityPolicy::certificate_type) {
            Some(CertificateType::EccNistP256) => "a key on P-256 or P-384 is needed for ECC_nistP256",
            Some(CertificateType::EccNistP384) => "a key on P-384 is needed for ECC_nistP384",
            Some(CertificateType::RsaMin) => "1024 to 2048 bits of RSA are needed",
            Some(_) => "2048 to 4096 bits of RSA are needed",
            None => "2048 to 4096 bits of RSA, or a key on P-256 or P-384, are needed",
        };
        let detail = format!("The key of the server's certificate is {}; {needed}.", key_name(key));
        return Err(refuse(Code::ServerCertificateInvalid, detail));
    }
    let verifiable = VERIFIABLE.contains(&leaf.signature_algorithm());
    if leaf.is_self_issued() && verifiable && !leaf.is_self_signed() {
        let detail = "The server's certificate claims to be self-signed, and its signature does not hold.";
        return Err(refuse(Code::ServerCertificateInvalid, detail.to_owned()));
    }
    Ok(())
}

fn changed(expected: &CertificateChain, presented: &CertificateChain, error: &TrustError) -> Box<Verdict> {
    let known = format!("Known is {}", described(expected.leaf()));
    let shown = format!("Presented is {}", described(presented.leaf()));
    let mut verdict = refuse(
        Code::ServerCertificateChanged,
        format!(
            "The server presents another certificate than before; nothing was sent to it. {known} {shown}"
        ),
    );
    verdict.causes = vec![
        Cause::new(
            CauseCode::ServerCertificateRenewed,
            Confidence::Likely,
            "The server's certificate was renewed.",
        )
        .because(known)
        .because(shown),
        Cause::new(CauseCode::Impostor, Confidence::Possible, "Somebody else answers in the server's place."),
    ];
    // Where the lists say nothing of it, there is nothing to tell.
    let unheard_of =
        matches!(error.kind(), TrustErrorKind::NotTrusted { .. } | TrustErrorKind::IssuerMissing { .. });
    if let Some(first) = verdict.causes.first_mut().filter(|_| !unheard_of) {
        first.evidence.push(format!("The trust lists do not accept it either: {error}."));
    }
    verdict
}

/// What a person compares before an approval.
fn described(certificate: &Certificate) -> String {
    let validity = certificate.validity();
    format!(
        "{} (SHA-256), of {}, issued by {}, valid from {} to {}.",
        certificate.thumbprint_sha256(),
        quoted(certificate.subject()),
        if certificate.is_self_signed() { "itself".to_owned() } else { quoted(certificate.issuer()) },
        rfc3339(validity.not_before),
        rfc3339(validity.not_after),
    )
}

fn refuse(code: Code, detail: String) -> Box<Verdict> {
    Box::new(Verdict::failure(code, Stage::ServerCertificate, ReportedBy::Koios, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_identity::identity;
    use koios_pki::{
        ApplicationUri, KeyAlgorithm, KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity,
        self_signed,
    };

    fn judge(
        trust: &ServerTrust,
        chain: &CertificateChain,
        policy: Option<SecurityPolicy>,
    ) -> Result<Acceptance, Box<Verdict>> {
        let mut presentation = Presentation::new("press4", OffsetDateTime::now_utc());
        presentation.policy = policy;
        judge_server_certificate(trust, &ServerValidation::default(), chain, &presentation)
    }

    fn chain() -> CertificateChain {
        identity().chain().clone()
    }

    fn another() -> CertificateChain {
        let key = PrivateKey::generate(KeySpec::Rsa2048).unwrap();
        let params = SelfSignedParams::new(
            "Server".to_owned(),
            "Plant".to_owned(),
            ApplicationUri::parse("urn:plant:server").unwrap(),
            Validity::starting_at(OffsetDateTime::now_utc(), 30),
            SerialNumber::from_random_bytes([9; 16]),
        );
        CertificateChain::new(self_signed(&params, &key).unwrap(), Vec::new())
    }

    #[test]
    fn r16_the_first_certificate_seen_is_accepted_and_then_only_that_one() {
        let (known, other) = (chain(), another());
        let first = ServerTrust::Pin { expected: None };
        assert_eq!(judge(&first, &known, None), Ok(Acceptance::First));
        let pinned = ServerTrust::Pin { expected: Some(known.clone()) };
        assert_eq!(judge(&pinned, &known, Some(SecurityPolicy::Basic256Sha256)), Ok(Acceptance::Pinned));

        let verdict = judge(&pinned, &other, None).unwrap_err();
        assert_eq!(verdict.code, Code::ServerCertificateChanged);
        assert_eq!(verdict.failed_stage, Some(Stage::ServerCertificate));
        let detail = verdict.detail.unwrap();
        for chain in [&known, &other] {
            assert!(detail.contains(&chain.leaf().thumbprint_sha256().to_string()));
        }
        assert_eq!(judge(&ServerTrust::AcceptAny, &other, None), Ok(Acceptance::Any));
    }

    #[test]
    fn issuers_that_come_and_go_change_nothing_since_leaf_is_compared_with_leaf() {
        let (known, other) = (chain(), another());
        let with_issuer = CertificateChain::new(known.leaf().clone(), vec![other.leaf().clone()]);
        let pinned = ServerTrust::Pin { expected: Some(with_issuer) };
        assert_eq!(judge(&pinned, &known, None), Ok(Acceptance::Pinned));
    }

    #[test]
    fn a_certificate_whose_own_signature_does_not_hold_is_refused_under_every_policy() {
        let mut der = chain().leaf().der().to_vec();
        // The signature is the last field of a certificate (RFC 5280 §4.1).
        *der.last_mut().unwrap() ^= 1;
        let broken = read_server_certificate(Some(&der)).unwrap();
        for trust in [ServerTrust::AcceptAny, ServerTrust::Pin { expected: None }] {
            let verdict = judge(&trust, &broken, None).unwrap_err();
            assert_eq!(verdict.code, Code::ServerCertificateInvalid);
        }
    }

    #[test]
    fn a_key_that_is_too_short_or_of_another_kind_is_refused_under_every_policy() {
        let current = Some(SecurityPolicy::Basic256Sha256);
        for (bits, fitting) in [(1024, false), (2047, false), (2048, true), (4096, true), (4097, false)] {
            for policy in [None, current] {
                assert_eq!(fits(&KeyAlgorithm::Rsa { bits }, policy), fitting, "{bits} {policy:?}");
            }
        }
        let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
        let params = SelfSignedParams::new(
            "Server".to_owned(),
            "Plant".to_owned(),
            ApplicationUri::parse("urn:plant:server").unwrap(),
            Validity::starting_at(OffsetDateTime::now_utc(), 30),
            SerialNumber::from_random_bytes([9; 16]),
        );
        let curve = CertificateChain::new(self_signed(&params, &key).unwrap(), Vec::new());
        let pinned = ServerTrust::Pin { expected: Some(curve.clone()) };
        for trust in [ServerTrust::AcceptAny, ServerTrust::Pin { expected: None }, pinned] {
            let verdict = judge(&trust, &curve, current).unwrap_err();
            assert_eq!(verdict.code, Code::ServerCertificateInvalid);
            judge(&trust, &curve, Some(SecurityPolicy::EccNistP256)).unwrap();
        }
    }

    #[test]
    fn a_signature_that_cannot_be_verified_is_not_called_broken() {
        // RFC 8017 A.2.4: the algorithms differ in the last byte of their identifier.
        let (sha256, md5) = (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", 4);
        let mut der = chain().leaf().der().to_vec();
        let places: Vec<_> = (0..der.len())
            .filter(|at| der[*at..].starts_with(sha256))
            .map(|at| at + sha256.len() - 1)
            .collect();
        for place in places {
            der[place] = md5;
        }
        let weak = read_server_certificate(Some(&der)).unwrap();
        assert_eq!(weak.leaf().signature_algorithm(), "md5WithRSAEncryption");
        assert_eq!(judge(&ServerTrust::Pin { expected: None }, &weak, None), Ok(Acceptance::First));
    }

    #[test]
    fn whatever_follows_a_leaf_does_not_refuse_it() {
        let (known, other) = (chain(), another());
        let (leaf, issuer) = (known.leaf().der(), other.leaf().der());
        let unreadable = &[0x30, 0x00][..];
        for (issuers, readable) in [
            (vec![&b"\0\0\0"[..]], 0),
            (vec![&b"garbage"[..]], 0),
            (vec![&issuer[..issuer.len() - 1]], 0),
            (vec![unreadable, issuer], 1),
            (vec![issuer, b"\x30"], 1),
            (vec![issuer; 200], MAX_CHAIN - 1),
        ] {
            let blob = [leaf, &issuers.concat()].concat();
            let read = read_server_certificate(Some(&blob)).unwrap();
            assert_eq!((read.leaf(), read.issuers().len()), (known.leaf(), readable));
        }
    }

    #[test]
    fn no_certificate_and_garbage_are_refused() {
        for presented in [None, Some(&b""[..]), Some(b"\x30\x82garbage"), Some(&[0x30, 0x00])] {
            let verdict = read_server_certificate(presented).unwrap_err();
            assert_eq!(verdict.code, Code::ServerCertificateInvalid);
            assert_eq!(verdict.failed_stage, Some(Stage::ServerCertificate));
        }
    }

    #[test]
    fn what_does_not_fit_is_a_finding_and_no_refusal() {
        let chain = chain();
        let late = chain.leaf().validity().not_after + time::Duration::DAY;
        let presented = PresentedServerCertificate::new(
            chain.clone(),
            "elsewhere.example",
            Some("urn:else"),
            SecurityPolicy::None,
            late,
        );
        assert!(!presented.findings.is_empty());
        let codes = |policy| {
            let now = chain.leaf().validity().not_after;
            let presented = PresentedServerCertificate::new(chain.clone(), "host", None, policy, now);
            presented.findings.iter().map(|finding| finding.code).collect::<Vec<_>>()
        };
        let unsupported = FindingCode::KeyKindUnsupported;
        assert!(!codes(SecurityPolicy::None).contains(&unsupported), "some policy takes an RSA key");
        assert!(!codes(SecurityPolicy::Aes256Sha256RsaPss).contains(&unsupported));
        assert!(codes(SecurityPolicy::EccNistP256).contains(&unsupported), "that one does not");
        assert_eq!(judge(&ServerTrust::Pin { expected: None }, &chain, None), Ok(Acceptance::First));
    }
}
