//! The Test: one attempt with a verdict, after which nothing is left open.

use std::time::Duration;

use koios_channel::{ApplicationDescription, BuildInfo, Deadline};
use koios_pki::{Sha1Thumbprint, Sha256Thumbprint};
use time::OffsetDateTime;

use crate::attempt::{Attempt, AttemptedEndpoint, Connected, attempt, attempt_watched};
use crate::clock::ClockReading;
use crate::server_certificate::PresentedServerCertificate;
use crate::stage::StageReport;
use crate::target::{CertificateLabel, ClientCertificate, Target};
use crate::verdict::Verdict;

/// How long a Test waits for the server to close the session; the verdict stands before.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a Test came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TestReport {
    /// Success, or why not.
    pub verdict: Verdict,
    /// All stages in order.
    pub stages: Vec<StageReport>,
    /// How long the attempt took.
    pub duration: Duration,
    /// The endpoint chosen.
    pub endpoint: Option<AttemptedEndpoint>,
    /// The server, as far as it was seen.
    pub server: Option<ReportedServer>,
    /// The certificate presented to it, or that was to be presented.
    pub client_certificate: Option<ReportedClientCertificate>,
    /// Whether the server has proven to hold its certificate's key.
    pub server_proven: bool,
    /// The server's clock minus ours, in milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// When the attempt began.
    pub started_at: OffsetDateTime,
}

/// The server in a report.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReportedServer {
    /// How it names itself.
    pub description: ApplicationDescription,
    /// What it is; read last, so on success only.
    pub build_info: Option<BuildInfo>,
    /// Its certificate, accepted or not.
    pub certificate: Option<PresentedServerCertificate>,
}

/// The client certificate in a report.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReportedClientCertificate {
    /// By what name the caller knows it.
    pub label: Option<CertificateLabel>,
    /// SHA-1 of the certificate, as OPC UA servers show it.
    pub thumbprint_sha1: Option<Sha1Thumbprint>,
    /// SHA-256 of the certificate.
    pub thumbprint_sha256: Option<Sha256Thumbprint>,
}

impl ReportedClientCertificate {
    pub(crate) fn of(client: &ClientCertificate) -> Option<Self> {
        if matches!(client, ClientCertificate::NotNeeded | ClientCertificate::None) {
            return None;
        }
        let leaf = client.chain().map(koios_pki::CertificateChain::leaf);
        Some(Self {
            label: client.label().cloned(),
            thumbprint_sha1: leaf.map(koios_pki::Certificate::thumbprint_sha1),
            thumbprint_sha256: leaf.map(koios_pki::Certificate::thumbprint_sha256),
        })
    }
}

impl TestReport {
    /// The report of a Test that an error of ours ended.
    #[cfg(feature = "store")]
    pub(crate) fn internal(verdict: Verdict, started_at: OffsetDateTime) -> Self {
        Self {
            verdict,
            stages: crate::stage::StageLog::new().finish(&crate::stage::Stage::ALL),
            duration: Duration::ZERO,
            endpoint: None,
            server: None,
            client_certificate: None,
            server_proven: false,
            clock_offset_ms: None,
            started_at,
        }
    }
}

/// Makes one attempt and closes what it opened. Changes nothing.
///
/// ```no_run
/// use koios_opcua::{ClockReading, EndpointUrl, Target, test};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let target = Target::new(EndpointUrl::parse("opc.tcp://press4:4840")?, "urn:koios:gw01:embedded");
/// let report = test(&target, ClockReading::system()).await;
/// println!("{}", report.verdict.message);
/// # Ok(())
/// # }
/// ```
pub async fn test(target: &Target, clock: ClockReading) -> TestReport {
    report_of(target, attempt(target, clock)).await
}

/// As [`test()`], and tells `watcher` of each stage as it ends.
pub async fn test_watched(
    target: &Target,
    clock: ClockReading,
    watcher: &mut (dyn FnMut(&StageReport) + Send),
) -> TestReport {
    report_of(target, attempt_watched(target, clock, Some(watcher))).await
}

async fn report_of(target: &Target, attempt: impl Future<Output = Attempt>) -> TestReport {
    let Attempt {
        started_at,
        duration,
        stages,
        endpoint,
        server,
        server_certificate,
        proven,
        clock_offset_ms,
        result,
    } = Box::pin(attempt).await;
    let (verdict, build_info) = match result {
        Ok(Connected { session, status }) => {
            // The verdict stands; a server that does not confirm the close loses the session by its timeout.
            session.close(Deadline::after(CLOSE_TIMEOUT.min(target.timeout))).await.ok();
            (Verdict::connected(), Some(status.build_info))
        }
        Err(verdict) => (*verdict, None),
    };
    TestReport {
        verdict,
        stages,
        duration,
        endpoint,
        server: server.map(|description| ReportedServer {
            description,
            build_info,
            certificate: server_certificate,
        }),
        client_certificate: ReportedClientCertificate::of(&target.client),
        server_proven: proven,
        clock_offset_ms,
        started_at,
    }
}
