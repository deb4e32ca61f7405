//! The client side of a test: an identity, a target, and an attempt that must end.

use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use koios_opcua::{
    ClientIdentity, ClockReading, ClockTrust, EndpointUrl, SecurityMode, StageOutcome, Target, TestReport,
    test,
};
use koios_testkit::{CertificateSpec, Server, ServerOptions, Stack, TestCertificate, start_or_skip};
use time::OffsetDateTime;
use tokio::runtime::Runtime;

pub(crate) const URI: &str = "urn:koios:test:client";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// Runs a future to its end, outside of which the servers of the testkit are started and stopped.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// The client certificate of most tests.
pub(crate) fn certificate() -> TestCertificate {
    CertificateSpec::application(URI).make()
}

pub(crate) fn identity(certificate: &TestCertificate) -> Arc<ClientIdentity> {
    let pem = certificate.chain_pem();
    let (chain, key) = koios_pki::read_pair(pem.as_bytes(), Some(certificate.key_pem().as_bytes()), None)
        .expect("a pair that belongs together");
    Arc::new(ClientIdentity::new(chain, key).expect("a pair that belongs together"))
}

/// What is trusted of a certificate.
#[cfg(feature = "store")]
pub(crate) fn leaf(certificate: &TestCertificate) -> koios_pki::Certificate {
    koios_pki::Certificate::from_der(certificate.der()).expect("a certificate")
}

pub(crate) fn url(text: &str) -> EndpointUrl {
    EndpointUrl::parse(text).expect("an endpoint URL")
}

/// Sign and encrypt, the best policy, anonymous, no pin.
pub(crate) fn secured(server: &Server, certificate: &TestCertificate) -> Target {
    Target::new(url(&server.endpoint_url), "urn:unused")
        .secured(SecurityMode::SignAndEncrypt, identity(certificate))
}

/// A clock that is not believed: what preflight would refuse goes to the server.
pub(crate) fn disbelieved_clock() -> ClockReading {
    ClockReading::new(OffsetDateTime::now_utc(), ClockTrust::Implausible)
}

/// Makes a Test and holds it to the bound that every attempt has: it never hangs.
pub(crate) fn report(target: &Target) -> TestReport {
    report_at(target, ClockReading::system())
}

pub(crate) fn report_at(target: &Target, clock: ClockReading) -> TestReport {
    let report = run(async { tokio::time::timeout(target.timeout * 3, test(target, clock)).await })
        .expect("an attempt ends within its timeout");
    assert_is_whole(&report);
    report
}

/// What holds for every report, whatever came of it.
pub(crate) fn assert_is_whole(report: &TestReport) {
    assert_eq!(report.stages.len(), 11, "{:?}", report.stages);
    let failed: Vec<_> = report.stages.iter().filter(|stage| stage.outcome == StageOutcome::Failed).collect();
    let expected: Vec<_> = report.verdict.failed_stage.into_iter().collect();
    assert_eq!(failed.iter().map(|stage| stage.stage).collect::<Vec<_>>(), expected);
    if let Some(failed_stage) = report.verdict.failed_stage {
        let after = report.stages.iter().filter(|stage| stage.stage > failed_stage);
        assert!(after.clone().all(|stage| stage.outcome == StageOutcome::Skipped), "{:?}", report.stages);
        assert!(report.verdict.reported_by.is_some() && report.verdict.detail.is_some());
        assert!(!report.verdict.remedy.is_empty());
    }
    assert_eq!(report.verdict.is_success(), report.verdict.failed_stage.is_none());
}

/// The same server from every stack that is there; what is not is reported as skipped.
pub(crate) fn servers(options: &ServerOptions) -> impl Iterator<Item = Server> {
    Stack::COMMON.into_iter().filter_map(move |stack| start_or_skip(stack, options.clone()))
}

/// Asks until it is so. The bound is generous: it is only reached when the test fails.
#[cfg(feature = "store")]
#[track_caller]
pub(crate) fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    wait_with(|| what.to_owned(), || {}, is_so);
}

/// Waits for what follows from the operator's having moved the certificate to the trusted ones.
///
/// node-opcua's watchers start in the background; a file that is moved before they do goes unseen, as it would for an
/// operator, who would then do it again.
#[track_caller]
pub(crate) fn wait_for_trust(server: &Server, certificate: &TestCertificate, is_so: impl FnMut() -> bool) {
    let what = || {
        let (rejected, trusted) = (server.pki.rejected_files(), server.pki.trusted_files());
        format!(
            "{} trusts it; rejected: {rejected:?}, trusted: {trusted:?}, log: {}",
            server.stack(),
            server.log()
        )
    };
    wait_with(what, || drop(server.trust_der(certificate.der())), is_so);
}

#[track_caller]
fn wait_with(what: impl Fn() -> String, again: impl Fn(), mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    let mut repeated = 0;
    while !is_so() {
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(90), "never came: {}", what());
        if waited > Duration::from_secs(20) * (repeated + 1) {
            repeated += 1;
            again();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
