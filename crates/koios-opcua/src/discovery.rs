//! What a server offers, asked without security.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use koios_channel::{
    ApplicationDescription, ChannelError, Connection, Deadline, Endpoint, EndpointUrl, Limits, Security,
    SecurityMode,
};
use koios_channel::{connect, resolve_allowed};
use koios_pki::SecurityPolicy;
use time::OffsetDateTime;

use crate::clock::ClockReading;
use crate::deprecated_policies::DeprecatedPolicies;
use crate::selection::is_supported;
use crate::server_certificate::{PresentedServerCertificate, read_server_certificate};
use crate::stage::{Stage, StageLog, StageReport};
use crate::target_networks::TargetNetworks;
use crate::verdict::{Facts, Verdict, is_refused_for_its_path, verdict_of};

/// The stages that discovery goes through.
const STAGES: [Stage; 4] = [Stage::Resolve, Stage::Connect, Stage::Hello, Stage::Endpoints];

/// Politeness to the server is not worth more of the attempt's time.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// What [`discover`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Discovery {
    /// Success, or why not: as a Test would say it.
    pub verdict: Verdict,
    /// How the server names itself.
    pub server: Option<ApplicationDescription>,
    /// Its endpoints, in its own order; empty on failure.
    pub endpoints: Vec<DiscoveredEndpoint>,
    /// The stages `resolve` to `endpoints`.
    pub stages: Vec<StageReport>,
    /// How long it took.
    pub duration: Duration,
}

/// An endpoint with its certificate read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiscoveredEndpoint {
    /// As the server describes it.
    pub endpoint: Endpoint,
    /// Its certificate, where there is one that can be read.
    pub server_certificate: Option<PresentedServerCertificate>,
    /// Whether the endpoint can be used here.
    pub supported: bool,
}

/// Asks a server for its endpoints, within `timeout` over all.
///
/// A refusal of the URL's path is followed by a second question at `<url>/discovery`.
pub async fn discover(
    url: &EndpointUrl,
    timeout: Duration,
    clock: ClockReading,
    deprecated: DeprecatedPolicies,
) -> Discovery {
    discover_within(url, timeout, clock, deprecated, &TargetNetworks::default()).await
}

/// As [`discover`]; only addresses in `networks` are connected to.
pub async fn discover_within(
    url: &EndpointUrl,
    timeout: Duration,
    clock: ClockReading,
    deprecated: DeprecatedPolicies,
    networks: &TargetNetworks,
) -> Discovery {
    let begun = Instant::now();
    let mut log = StageLog::new();
    let fetched = fetch_endpoints(url, networks, Deadline::after(timeout), &mut log).await;
    let (verdict, endpoints) = match fetched {
        Ok(fetched) => (Verdict::connected(), fetched.endpoints),
        Err(error) => {
            let facts = Facts {
                endpoint_url: url,
                security_mode: SecurityMode::None,
                security_policy: None,
                certificate: None,
                application_uri: "",
                now: clock.now,
                clock_trust: clock.trust,
                clock_offset: None,
                timeout,
                earlier: &[],
                endpoints_confirmed: false,
                server_certificate: None,
            };
            let verdict = verdict_of(&(&error).into(), log.current(), &facts);
            log.fail(verdict.detail.clone());
            (verdict, Vec::new())
        }
    };
    Discovery {
        verdict,
        server: endpoints.first().map(|endpoint| endpoint.server.clone()),
        endpoints: endpoints
            .into_iter()
            .map(|endpoint| DiscoveredEndpoint {
                supported: is_supported(&endpoint, deprecated),
                server_certificate: presented(&endpoint, url, clock.now),
                endpoint,
            })
            .collect(),
        stages: log.finish(&STAGES),
        duration: begun.elapsed(),
    }
}

fn presented(
    endpoint: &Endpoint,
    url: &EndpointUrl,
    now: OffsetDateTime,
) -> Option<PresentedServerCertificate> {
    let chain = read_server_certificate(endpoint.server_certificate.as_deref()).ok()?;
    let policy = endpoint.security_policy.unwrap_or(SecurityPolicy::None);
    let uri = Some(endpoint.server.application_uri.as_str());
    Some(PresentedServerCertificate::new(chain, url.host(), uri, policy, now))
}

/// What an attempt needs of discovery.
#[derive(Debug)]
pub(crate) struct FetchedEndpoints {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) server_time: Option<OffsetDateTime>,
}

/// Runs the stages `resolve` to `endpoints`; on an error the failing stage is still running in `log`.
pub(crate) async fn fetch_endpoints(
    url: &EndpointUrl,
    networks: &TargetNetworks,
    deadline: Deadline,
    log: &mut StageLog<'_>,
) -> Result<FetchedEndpoints, ChannelError> {
    log.begin(Stage::Resolve);
    let addresses = resolve_allowed(url, deadline, |address| networks.allow(address)).await?;
    log.pass(addresses.first().map(|address| address.ip().to_string()));

    log.begin(Stage::Connect);
    let connection = connect(&addresses, deadline).await?;
    log.pass(connection.peer_addr().map(|address| address.to_string()));

    let error = match ask(connection, url, deadline, Some(&mut *log)).await {
        Ok((endpoints, server_time)) => {
            log.pass(Some(offers(&endpoints)));
            return Ok(FetchedEndpoints { addresses, endpoints, server_time });
        }
        Err(error) => error,
    };
    // OPC 10000-6 §7.1.2.3, OPC 10000-12 §4: servers that serve several applications under paths keep discovery at one
    // of its own. If that does not answer either, the first refusal is the one to report.
    let Some(discovery_url) =
        url.with_path_suffix("/discovery").ok().filter(|_| is_refused_for_its_path(error.status))
    else {
        return Err(error);
    };
    let Ok(connection) = connect(&addresses, deadline).await else { return Err(error) };
    let Ok((endpoints, server_time)) = ask(connection, &discovery_url, deadline, None).await else {
        return Err(error);
    };
    let detail = format!("refused at {url}, asked at {discovery_url}");
    if log.current() == Stage::Hello {
        log.pass(Some(detail));
        log.begin(Stage::Endpoints);
        log.pass(Some(offers(&endpoints)));
    } else {
        log.pass(Some(format!("{}; {detail}", offers(&endpoints))));
    }
    Ok(FetchedEndpoints { addresses, endpoints, server_time })
}

/// HELLO, a channel without security, GetEndpoints.
async fn ask(
    connection: Connection,
    url: &EndpointUrl,
    deadline: Deadline,
    mut log: Option<&mut StageLog<'_>>,
) -> Result<(Vec<Endpoint>, Option<OffsetDateTime>), ChannelError> {
    if let Some(log) = log.as_deref_mut() {
        log.begin(Stage::Hello);
    }
    let transport = connection.hello(url, Limits::default(), deadline).await?;
    if let Some(log) = log {
        log.pass(None);
        log.begin(Stage::Endpoints);
    }
    let mut channel = transport.open(Security::None, deadline).await?;
    let endpoints = channel.get_endpoints(url, deadline).await?;
    let server_time = channel.server_time();
    channel.close(deadline.min(Deadline::after(CLOSE_TIMEOUT))).await;
    Ok((endpoints, server_time))
}

fn offers(endpoints: &[Endpoint]) -> String {
    match endpoints.len() {
        1 => "1 endpoint".to_owned(),
        count => format!("{count} endpoints"),
    }
}
