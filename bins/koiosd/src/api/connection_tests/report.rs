//! The report of a Test on the wire.

use std::time::Duration;

use koios_opcua::{
    AttemptedEndpoint, BuildInfo, Cause, Remedy, RemedyLink, ReportedBy, ReportedClientCertificate,
    ReportedServer, Stage, StageReport,
};
use koios_store::DeviceId;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{
    api::{
        certificates::der_path, connection_code::ConnectionCode, security::SecurityMode,
        server_certificate::ServerCertificateBody, words,
    },
    config::Settings,
    service::connection_tests::TestedDevice,
};

/// What one connection attempt came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestReport)]
pub(crate) struct TestReportBody {
    #[schema(value_type = words::Outcome)]
    outcome: &'static str,
    code: ConnectionCode,
    /// What happened, in a sentence.
    message: String,
    /// What was observed.
    #[schema(required = true)]
    detail: Option<String>,
    /// The stage at which the attempt ended.
    #[schema(required = true, value_type = Option<words::StageName>)]
    failed_stage: Option<&'static str>,
    /// The OPC UA status code behind it, by name.
    #[schema(required = true)]
    status_code: Option<String>,
    /// Who said it.
    #[schema(required = true, value_type = Option<words::Reporter>)]
    reported_by: Option<&'static str>,
    /// What may be behind it, most probable first.
    causes: Vec<CauseBody>,
    /// What to do, in order.
    remedy: Vec<RemedyBody>,
    /// All stages in order.
    stages: Vec<StageBody>,
    duration_ms: f64,
    /// The endpoint chosen; `null` when it did not come to that.
    #[schema(required = true)]
    endpoint: Option<EndpointBody>,
    /// The server, as far as it was seen.
    #[schema(required = true)]
    server: Option<ServerBody>,
    /// The certificate that was, or was to be, presented; `null` in mode `none`.
    #[schema(required = true)]
    client_certificate: Option<ClientCertificateBody>,
    /// The server's clock minus ours.
    #[schema(required = true)]
    clock_offset_ms: Option<i64>,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
}

/// One stage of an attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stage)]
pub(crate) struct StageBody {
    #[schema(value_type = words::StageName)]
    stage: &'static str,
    #[schema(value_type = words::StageResult)]
    outcome: &'static str,
    duration_ms: f64,
    /// What was seen.
    #[schema(required = true)]
    detail: Option<String>,
}

/// Something that may be behind a failure.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cause)]
struct CauseBody {
    code: &'static str,
    #[schema(value_type = words::CauseConfidence)]
    confidence: &'static str,
    explanation: String,
    /// What was observed that points there.
    evidence: Vec<String>,
}

/// Something to do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Remedy)]
struct RemedyBody {
    text: String,
    /// Where in this API it can be done; with the setting `public_url` before the path.
    #[schema(required = true)]
    link: Option<String>,
}

/// The endpoint that an attempt chose.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestedEndpoint)]
struct EndpointBody {
    url: String,
    security_mode: SecurityMode,
    /// By the name in its URI.
    security_policy: &'static str,
}

/// The server of an attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestedServer)]
struct ServerBody {
    application_name: String,
    application_uri: String,
    product_uri: String,
    /// Read last, so after a success only.
    #[schema(required = true)]
    build_info: Option<BuildInfoBody>,
    /// Its certificate, accepted or not.
    #[schema(required = true)]
    certificate: Option<ServerCertificateBody>,
}

/// What a server is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BuildInfo)]
struct BuildInfoBody {
    product_name: String,
    product_uri: String,
    manufacturer_name: String,
    software_version: String,
    build_number: String,
}

/// The client certificate of an attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestedClientCertificate)]
struct ClientCertificateBody {
    #[schema(required = true)]
    id: Option<String>,
    #[schema(required = true)]
    name: Option<String>,
    #[schema(required = true)]
    thumbprint_sha1: Option<String>,
    #[schema(required = true)]
    thumbprint_sha256: Option<String>,
}

impl From<TestedDevice> for TestReportBody {
    fn from(tested: TestedDevice) -> Self {
        let TestedDevice { device, report } = tested;
        let verdict = report.verdict;
        let links =
            Links { device, certificate: report.client_certificate.as_ref().and_then(certificate_id) };
        Self {
            outcome: if verdict.is_success() { "success" } else { "failure" },
            code: ConnectionCode(verdict.code),
            message: verdict.message,
            detail: verdict.detail,
            failed_stage: verdict.failed_stage.map(Stage::as_str),
            status_code: verdict.status_code.map(|code| code.name()),
            reported_by: verdict.reported_by.map(ReportedBy::as_str),
            causes: verdict.causes.into_iter().map(Into::into).collect(),
            remedy: verdict.remedy.into_iter().map(|remedy| links.remedy(remedy)).collect(),
            stages: stages(report.stages),
            duration_ms: milliseconds(report.duration),
            endpoint: report.endpoint.map(Into::into),
            server: report.server.map(Into::into),
            client_certificate: report.client_certificate.map(Into::into),
            clock_offset_ms: report.clock_offset_ms,
            started_at: report.started_at,
        }
    }
}

impl TestReportBody {
    /// As it is shown under the daemon's public address.
    pub(super) fn linked(mut self, settings: &Settings) -> Self {
        for remedy in &mut self.remedy {
            remedy.link = remedy.link.take().map(|path| settings.link(path));
        }
        self
    }
}

/// The stages of an attempt, in order.
pub(crate) fn stages(reports: Vec<StageReport>) -> Vec<StageBody> {
    let body = |report: StageReport| StageBody {
        stage: report.stage.as_str(),
        outcome: report.outcome.as_str(),
        duration_ms: milliseconds(report.duration),
        detail: report.detail,
    };
    reports.into_iter().map(body).collect()
}

/// With microseconds behind the point; more would be noise.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Where the places are that remedies point to.
struct Links {
    device: Option<DeviceId>,
    certificate: Option<String>,
}

impl Links {
    fn remedy(&self, remedy: Remedy) -> RemedyBody {
        let link = match remedy.link {
            Some(RemedyLink::CertificateDownload) => self.certificate.as_ref().map(der_path),
            Some(RemedyLink::TrustGuide) => Some(self.device.map_or_else(
                || "/api/v1/trust-guides".to_owned(),
                |id| format!("/api/v1/devices/{id}/trust-guide"),
            )),
            Some(RemedyLink::ServerCertificate) => {
                self.device.map(|id| format!("/api/v1/devices/{id}/server-certificate"))
            }
            Some(RemedyLink::TrustLists) => {
                Some("/api/v1/trust/server-certificates?list=rejected".to_owned())
            }
            _ => None,
        };
        RemedyBody { text: remedy.text, link }
    }
}

fn certificate_id(certificate: &ReportedClientCertificate) -> Option<String> {
    certificate.label.as_ref().map(|label| label.id.clone())
}

impl From<Cause> for CauseBody {
    fn from(cause: Cause) -> Self {
        Self {
            code: cause.code.as_str(),
            confidence: cause.confidence.as_str(),
            explanation: cause.explanation,
            evidence: cause.evidence,
        }
    }
}

impl From<AttemptedEndpoint> for EndpointBody {
    fn from(endpoint: AttemptedEndpoint) -> Self {
        Self {
            url: endpoint.url.to_string(),
            security_mode: endpoint.security_mode.into(),
            security_policy: endpoint.security_policy.name(),
        }
    }
}

impl From<ReportedServer> for ServerBody {
    fn from(server: ReportedServer) -> Self {
        Self {
            application_name: server.description.application_name,
            application_uri: server.description.application_uri,
            product_uri: server.description.product_uri,
            build_info: server.build_info.map(Into::into),
            certificate: server.certificate.map(Into::into),
        }
    }
}

impl From<BuildInfo> for BuildInfoBody {
    fn from(info: BuildInfo) -> Self {
        Self {
            product_name: info.product_name,
            product_uri: info.product_uri,
            manufacturer_name: info.manufacturer_name,
            software_version: info.software_version,
            build_number: info.build_number,
        }
    }
}

impl From<ReportedClientCertificate> for ClientCertificateBody {
    fn from(certificate: ReportedClientCertificate) -> Self {
        let (id, name) = certificate.label.map(|label| (label.id, label.name)).unzip();
        Self {
            id,
            name,
            thumbprint_sha1: certificate.thumbprint_sha1.map(|thumbprint| thumbprint.to_string()),
            thumbprint_sha256: certificate.thumbprint_sha256.map(|thumbprint| thumbprint.to_string()),
        }
    }
}
