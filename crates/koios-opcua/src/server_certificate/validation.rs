//! The full validation of OPC 10000-4 §6.1.3 against the trust lists, and its failure in words.

use koios_channel::SecurityPolicy;
use koios_pki::{
    CertificateChain, PeerRole, TrustError, TrustErrorKind, TrustStatus, ValidationParams, VerifiedChain,
    validate,
};

use super::{Presentation, ServerValidation, refuse};
use crate::code::Code;
use crate::verdict::{Cause, CauseCode, Confidence, Verdict};

/// Validates what a server presented.
pub(super) fn validated(
    validation: &ServerValidation,
    chain: &CertificateChain,
    presentation: &Presentation<'_>,
) -> Result<VerifiedChain, TrustError> {
    let mut params = ValidationParams::new(presentation.at, PeerRole::Server);
    params.host = validation.host_name_check.then_some(presentation.host);
    params.application_uri = presentation.application_uri;
    params.certificate_type = presentation.policy.and_then(SecurityPolicy::certificate_type);
    validate(chain, &validation.trust_list, &params)
}

/// What a failed validation means for the connection.
pub(super) fn refusal(error: &TrustError) -> Box<Verdict> {
    let (code, cause, explanation) = meaning(error.status());
    let detail = format!("The server's certificate is not accepted, and nothing was sent to it: {error}.");
    let mut verdict = refuse(code, detail);
    let cause = Cause::new(cause, Confidence::Certain, explanation)
        .because(format!("Step {} of the validation (OPC 10000-4 §6.1.3) failed.", error.step().number()))
        .because(format!("{}: {}.", error.certificate().subject(), error.kind()));
    verdict.causes.push(cause);
    if matches!(error.kind(), TrustErrorKind::NotTrusted { .. } | TrustErrorKind::IssuerMissing { .. }) {
        verdict.causes.push(Cause::new(
            CauseCode::Impostor,
            Confidence::Possible,
            "Somebody else answers in the server's place.",
        ));
    }
    verdict
}

fn meaning(status: TrustStatus) -> (Code, CauseCode, &'static str) {
    match status {
        TrustStatus::Untrusted => (
            Code::ServerCertificateUntrusted,
            CauseCode::ServerNotTrusted,
            "The trust list holds neither the server's certificate nor an authority above it.",
        ),
        TrustStatus::ChainIncomplete => (
            Code::ServerCertificateChainIncomplete,
            CauseCode::ServerIssuerMissing,
            "The authority that issued the server's certificate is in neither list, and the server does not send it.",
        ),
        TrustStatus::TimeInvalid | TrustStatus::IssuerTimeInvalid => (
            Code::ServerCertificateExpired,
            CauseCode::ServerCertificateTime,
            "The server's certificate, or one above it, is outside its validity period by this machine's clock.",
        ),
        TrustStatus::HostNameInvalid => (
            Code::ServerCertificateHostMismatch,
            CauseCode::ServerHostName,
            "The server's certificate is made for other host names than the one in the endpoint URL.",
        ),
        TrustStatus::UriInvalid => (
            Code::ServerCertificateUriMismatch,
            CauseCode::ServerApplicationUri,
            "The server's certificate does not hold the application URI that the server gives as its own.",
        ),
        TrustStatus::RevocationUnknown | TrustStatus::IssuerRevocationUnknown => (
            Code::ServerCertificateRevocationUnknown,
            CauseCode::ServerRevocationListMissing,
            "No current revocation list of an authority says whether the certificate is revoked.",
        ),
        TrustStatus::Revoked | TrustStatus::IssuerRevoked => (
            Code::ServerCertificateRevoked,
            CauseCode::ServerRevoked,
            "The server's certificate, or one above it, is on the revocation list of its authority.",
        ),
        _ => (
            Code::ServerCertificateInvalid,
            CauseCode::ServerCertificateProfile,
            "The server's certificate is not what OPC UA and the security policy demand.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use koios_pki::{
        ApplicationUri, Authority, AuthorityParams, Certificate, KeySpec, PrivateKey, RequestParams,
        RevocationListParams, RevocationReason, SelfSignedParams, SerialNumber, TrustList, Validity,
        certificate_request, self_signed,
    };
    use time::{Duration, OffsetDateTime};

    use super::super::{Acceptance, ServerTrust, judge_server_certificate};
    use super::*;

    const URI: &str = "urn:plant:server";

    fn serial(number: u8) -> SerialNumber {
        SerialNumber::from_random_bytes([number; 16])
    }

    fn at<'a>(host: &'a str, now: OffsetDateTime) -> Presentation<'a> {
        Presentation { policy: None, host, application_uri: Some(URI), at: now }
    }

    fn server(now: OffsetDateTime) -> Certificate {
        let validity = Validity::starting_at(now, 30);
        let mut params = SelfSignedParams::new(
            "Server",
            "Plant",
            ApplicationUri::parse(URI).unwrap(),
            validity,
            serial(9),
        );
        params.dns_names.push("press4".to_owned());
        self_signed(&params, &PrivateKey::generate(KeySpec::Rsa2048).unwrap()).unwrap()
    }

    fn trusting(list: TrustList) -> ServerValidation {
        ServerValidation { trust_list: Arc::new(list), host_name_check: true }
    }

    fn code(validation: &ServerValidation, chain: &CertificateChain, at: &Presentation<'_>) -> Option<Code> {
        judge_server_certificate(&ServerTrust::TrustList, validation, chain, at).err().map(|verdict| {
            assert!(!verdict.causes.is_empty() && !verdict.remedy.is_empty(), "{verdict:?}");
            verdict.code
        })
    }

    #[test]
    fn r16_each_failed_check_of_a_self_signed_certificate_is_named() {
        let now = OffsetDateTime::now_utc();
        let certificate = server(now);
        let chain = CertificateChain::from(certificate.clone());
        let list = TrustList::new(vec![certificate], Vec::new(), Vec::new());
        let mut validation = trusting(list);
        assert_eq!(code(&validation, &chain, &at("press4", now)), None);
        assert_eq!(
            code(&ServerValidation::default(), &chain, &at("press4", now)),
            Some(Code::ServerCertificateUntrusted)
        );
        for late in [now + Duration::days(60), now - Duration::days(60)] {
            assert_eq!(code(&validation, &chain, &at("press4", late)), Some(Code::ServerCertificateExpired));
        }
        let mut another_uri = at("press4", now);
        another_uri.application_uri = Some("urn:plant:another");
        assert_eq!(code(&validation, &chain, &another_uri), Some(Code::ServerCertificateUriMismatch));
        let elsewhere = at("10.1.2.3", now);
        assert_eq!(code(&validation, &chain, &elsewhere), Some(Code::ServerCertificateHostMismatch));
        validation.host_name_check = false;
        assert_eq!(code(&validation, &chain, &elsewhere), None, "the one check that can be switched off");
    }

    #[test]
    fn r16_an_authority_needs_its_revocation_list_and_what_it_revokes_is_refused() {
        let now = OffsetDateTime::now_utc();
        let params = AuthorityParams::new("CA", "Plant", Validity::starting_at(now, 300), serial(1));
        let authority = Authority::root(&params, PrivateKey::generate(KeySpec::EcP256).unwrap()).unwrap();
        let mut request = RequestParams::new("Server", "Plant", ApplicationUri::parse(URI).unwrap()).unwrap();
        request.dns_names.push("press4".to_owned());
        let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
        let request = certificate_request(&request, &key).unwrap();
        let leaf = authority.issue(&request, Validity::starting_at(now, 30), serial(2)).unwrap();
        let chain = CertificateChain::from(leaf.clone());
        let here = at("press4", now + Duration::MINUTE);

        let missing = code(&ServerValidation::default(), &chain, &here);
        assert_eq!(missing, Some(Code::ServerCertificateChainIncomplete));
        let root = authority.certificate().clone();
        let mut list = TrustList::new(vec![root], Vec::new(), Vec::new());
        let unknown = code(&trusting(list.clone()), &chain, &here);
        assert_eq!(unknown, Some(Code::ServerCertificateRevocationUnknown));
        let lists = RevocationListParams::new(serial(3), now, now + Duration::days(30));
        list.revocation_lists = vec![authority.revocation_list(&lists).unwrap()];
        assert_eq!(code(&trusting(list.clone()), &chain, &here), None);

        // A certificate that the list validates is accepted where another one is pinned, too.
        let pinned = ServerTrust::Pin { expected: Some(CertificateChain::from(server(now))) };
        let judged = judge_server_certificate(&pinned, &trusting(list.clone()), &chain, &here);
        assert_eq!(judged.unwrap(), Acceptance::Validated);

        let revoking = lists.revoke(&leaf, now, RevocationReason::KeyCompromise);
        list.revocation_lists = vec![authority.revocation_list(&revoking).unwrap()];
        assert_eq!(code(&trusting(list.clone()), &chain, &here), Some(Code::ServerCertificateRevoked));
        let judged = judge_server_certificate(&pinned, &trusting(list), &chain, &here);
        assert_eq!(judged.unwrap_err().code, Code::ServerCertificateChanged);
    }
}
