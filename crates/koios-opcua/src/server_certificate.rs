//! The server's certificate, judged by the device's policy.

use koios_channel::SecurityPolicy;
use koios_pki::{CertificateChain, Finding, KeyAlgorithm, server_findings};
use time::OffsetDateTime;

use crate::code::Code;
use crate::preflight::{fits, key_name};
use crate::stage::Stage;
use crate::verdict::{Cause, CauseCode, Confidence, ReportedBy, Verdict};

/// Longest chain read from a server. Plant hierarchies have three or four levels.
const MAX_CHAIN: usize = 10;

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
    /// Any. **Insecure**: whoever answers at that address is taken for the server.
    AcceptAny,
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
    /// Collects the findings on a certificate of the server at `host`; pure.
    #[must_use]
    pub fn new(
        chain: CertificateChain,
        host: &str,
        application_uri: Option<&str>,
        now: OffsetDateTime,
    ) -> Self {
        let findings = server_findings(&chain, host, application_uri, now);
        Self { chain, findings }
    }
}

/// Reads the certificate of an endpoint description: one or several DER certificates, leaf first.
///
/// # Errors
/// [`Code::ServerCertificateInvalid`] when there is none or it cannot be parsed.
pub fn read_server_certificate(presented: Option<&[u8]>) -> Result<CertificateChain, Box<Verdict>> {
    let Some(blob) = presented.filter(|blob| !blob.is_empty()) else {
        return Err(refuse(
            Code::ServerCertificateInvalid,
            "The endpoint has no server certificate.".to_owned(),
        ));
    };
    CertificateChain::from_der_blob(blob, MAX_CHAIN).map_err(|error| {
        let detail = format!("The server's certificate cannot be read: {error}.");
        refuse(Code::ServerCertificateInvalid, detail)
    })
}

/// Judges a server certificate; pure. `policy` is the one it is to be used with, `None` when that is not known.
///
/// # Errors
/// [`Code::ServerCertificateChanged`] when another one is known, [`Code::ServerCertificateInvalid`] when its key does
/// not fit or its own signature does not hold.
pub fn judge_server_certificate(
    trust: &ServerTrust,
    chain: &CertificateChain,
    policy: Option<SecurityPolicy>,
) -> Result<(), Box<Verdict>> {
    if let ServerTrust::Pin { expected: Some(expected) } = trust
        && expected.leaf() != chain.leaf()
    {
        return Err(changed(expected, chain));
    }
    let leaf = chain.leaf();
    match leaf.key_algorithm() {
        KeyAlgorithm::Rsa { bits } if fits(*bits, policy) => {}
        other => {
            return Err(refuse(
                Code::ServerCertificateInvalid,
                format!(
                    "The key of the server's certificate is {}; 2048 to 4096 bits of RSA are needed.",
                    key_name(other)
                ),
            ));
        }
    }
    if leaf.issuer() == leaf.subject() && !leaf.is_self_signed() {
        let detail = "The server's certificate claims to be self-signed, and its signature does not hold.";
        return Err(refuse(Code::ServerCertificateInvalid, detail.to_owned()));
    }
    Ok(())
}

fn changed(expected: &CertificateChain, presented: &CertificateChain) -> Box<Verdict> {
    let known = format!("Known is {}.", expected.leaf().thumbprint_sha256());
    let shown = format!("Presented is {}.", presented.leaf().thumbprint_sha256());
    let mut verdict = refuse(
        Code::ServerCertificateChanged,
        format!(
            "The server presents another certificate than before; nothing was sent to it. {known} {shown} (SHA-256)"
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
    verdict
}

fn refuse(code: Code, detail: String) -> Box<Verdict> {
    Box::new(Verdict::failure(code, Stage::ServerCertificate, ReportedBy::Koios, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_identity::identity;
    use koios_pki::{
        ApplicationUri, KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity, self_signed,
    };

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
        assert_eq!(judge_server_certificate(&first, &known, None), Ok(()));
        let pinned = ServerTrust::Pin { expected: Some(known.clone()) };
        assert_eq!(judge_server_certificate(&pinned, &known, Some(SecurityPolicy::Basic256Sha256)), Ok(()));

        let verdict = judge_server_certificate(&pinned, &other, None).unwrap_err();
        assert_eq!(verdict.code, Code::ServerCertificateChanged);
        assert_eq!(verdict.failed_stage, Some(Stage::ServerCertificate));
        let detail = verdict.detail.unwrap();
        for chain in [&known, &other] {
            assert!(detail.contains(&chain.leaf().thumbprint_sha256().to_string()));
        }
        assert_eq!(judge_server_certificate(&ServerTrust::AcceptAny, &other, None), Ok(()));
    }

    #[test]
    fn issuers_that_come_and_go_change_nothing_since_leaf_is_compared_with_leaf() {
        let (known, other) = (chain(), another());
        let with_issuer = CertificateChain::new(known.leaf().clone(), vec![other.leaf().clone()]);
        let pinned = ServerTrust::Pin { expected: Some(with_issuer) };
        assert_eq!(judge_server_certificate(&pinned, &known, None), Ok(()));
    }

    #[test]
    fn a_certificate_whose_own_signature_does_not_hold_is_refused_under_every_policy() {
        let mut der = chain().leaf().der().to_vec();
        // The signature is the last field of a certificate (RFC 5280 §4.1).
        *der.last_mut().unwrap() ^= 1;
        let broken = read_server_certificate(Some(&der)).unwrap();
        for trust in [ServerTrust::AcceptAny, ServerTrust::Pin { expected: None }] {
            let verdict = judge_server_certificate(&trust, &broken, None).unwrap_err();
            assert_eq!(verdict.code, Code::ServerCertificateInvalid);
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
        let presented =
            PresentedServerCertificate::new(chain.clone(), "elsewhere.example", Some("urn:else"), late);
        assert!(!presented.findings.is_empty());
        assert_eq!(judge_server_certificate(&ServerTrust::Pin { expected: None }, &chain, None), Ok(()));
    }
}
