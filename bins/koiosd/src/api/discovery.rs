//! What a server offers.

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig},
};
use koios_opcua::{
    ApplicationDescription, DiscoveredEndpoint, Discovery, SecurityPolicy, Stage, UserTokenKind,
};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::{
    auth::{Operator, Require},
    body::{Json, present},
    client::ClientGone,
    connection_code::ConnectionCode,
    connection_tests::{StageBody, milliseconds, stages},
    error::{ApiResult, Problem},
    query::{NoParameters, Query},
    routes,
    security::SecurityMode,
    server_certificate::ServerCertificateBody,
    words,
};
use crate::service::Services;

#[derive(OpenApi)]
#[openapi(paths(endpoints), tags((name = "discovery", description = "What servers offer")))]
pub(crate) struct DiscoveryDocument;

pub(crate) fn configure(config: &mut ServiceConfig) {
    routes::at("/discovery/endpoints").post(endpoints).register(config);
}

/// Which server to ask.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DiscoveryRequest {
    #[schema(example = "opc.tcp://press4:4840/")]
    endpoint_url: String,
    /// Whole seconds.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 300, default = 10, nullable = false)]
    timeout_seconds: Option<f64>,
}

/// What a server offers, or why it could not be asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Discovery)]
struct DiscoveryBody {
    /// How the server names itself: its word, not authenticated.
    #[schema(required = true)]
    server: Option<DiscoveredServer>,
    /// In the server's own order; empty on failure.
    endpoints: Vec<EndpointBody>,
    #[schema(value_type = words::Outcome)]
    outcome: &'static str,
    code: ConnectionCode,
    message: String,
    #[schema(required = true)]
    detail: Option<String>,
    #[schema(required = true, value_type = Option<words::StageName>)]
    failed_stage: Option<&'static str>,
    #[schema(required = true)]
    status_code: Option<String>,
    /// `resolve`, `connect`, `hello` and `endpoints`.
    stages: Vec<StageBody>,
    duration_ms: f64,
}

/// How a server names itself.
#[derive(Debug, Serialize, ToSchema)]
struct DiscoveredServer {
    application_name: String,
    application_uri: String,
    product_uri: String,
}

/// An endpoint as the server describes it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DiscoveredEndpoint)]
struct EndpointBody {
    /// As advertised; often with a host name that only the server knows.
    url: String,
    /// `null` for a value that OPC UA does not define.
    #[schema(required = true)]
    security_mode: Option<SecurityMode>,
    /// By the name in its URI, `None` included; a URI of somebody else's as it stands.
    security_policy: String,
    /// Whether OPC UA deprecates the policy, for its SHA-1: `auto` never takes it.
    deprecated: bool,
    security_level: u8,
    #[schema(value_type = Vec<words::UserTokenType>)]
    user_token_types: Vec<&'static str>,
    /// `null` where there is none that can be read.
    #[schema(required = true)]
    server_certificate: Option<ServerCertificateBody>,
    /// Whether this build can use the endpoint.
    supported: bool,
}

/// Asks a server for its endpoints. The answer is 200 also when that fails.
#[utoipa::path(
    post, path = "/api/v1/discovery/endpoints", tag = "discovery", request_body = DiscoveryRequest,
    responses((status = 200, body = DiscoveryBody), (status = "default", body = Problem))
)]
async fn endpoints(
    caller: Require<Operator>,
    _: Query<NoParameters>,
    gone: ClientGone,
    body: Json<DiscoveryRequest>,
    services: Data<Services>,
) -> ApiResult {
    let DiscoveryRequest { endpoint_url, timeout_seconds } = body.value;
    let tests = &services.connection_tests;
    let discovery = tests.discover(&caller.0, &endpoint_url, timeout_seconds, gone.wait()).await?;
    Ok(HttpResponse::Ok().json(DiscoveryBody::from(discovery)))
}

impl From<Discovery> for DiscoveryBody {
    fn from(discovery: Discovery) -> Self {
        let verdict = discovery.verdict;
        Self {
            server: discovery.server.map(Into::into),
            endpoints: discovery.endpoints.into_iter().map(Into::into).collect(),
            outcome: if verdict.is_success() { "success" } else { "failure" },
            code: ConnectionCode(verdict.code),
            message: verdict.message,
            detail: verdict.detail,
            failed_stage: verdict.failed_stage.map(Stage::as_str),
            status_code: verdict.status_code.map(|code| code.name()),
            stages: stages(discovery.stages),
            duration_ms: milliseconds(discovery.duration),
        }
    }
}

impl From<ApplicationDescription> for DiscoveredServer {
    fn from(server: ApplicationDescription) -> Self {
        Self {
            application_name: server.application_name,
            application_uri: server.application_uri,
            product_uri: server.product_uri,
        }
    }
}

impl From<DiscoveredEndpoint> for EndpointBody {
    fn from(discovered: DiscoveredEndpoint) -> Self {
        let endpoint = discovered.endpoint;
        let mut user_token_types = Vec::new();
        for name in endpoint.user_tokens.iter().filter_map(|token| token_name(token.kind)) {
            if !user_token_types.contains(&name) {
                user_token_types.push(name);
            }
        }
        Self {
            security_mode: endpoint.security_mode.map(Into::into),
            deprecated: SecurityPolicy::from_uri(&endpoint.security_policy_uri)
                .is_some_and(SecurityPolicy::is_deprecated),
            security_policy: policy_name(&endpoint.security_policy_uri),
            security_level: endpoint.security_level,
            user_token_types,
            server_certificate: discovered.server_certificate.map(Into::into),
            supported: discovered.supported,
            url: endpoint.url,
        }
    }
}

fn token_name(kind: UserTokenKind) -> Option<&'static str> {
    match kind {
        UserTokenKind::Anonymous => Some("anonymous"),
        UserTokenKind::UserName => Some("username"),
        UserTokenKind::Certificate => Some("certificate"),
        UserTokenKind::IssuedToken => Some("issued_token"),
        _ => None,
    }
}

/// The last part of the OPC Foundation's URIs (OPC 10000-7 §6); any other URI as it is.
fn policy_name(uri: &str) -> String {
    uri.strip_prefix("http://opcfoundation.org/UA/SecurityPolicy#").unwrap_or(uri).to_owned()
}
