//! The one connect path: Test and supervisor both walk it, and nothing else connects.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use koios_channel::{
    ApplicationDescription, CertificateSending, ChannelError, CreatedSession, Deadline, Endpoint,
    EndpointUrl, Fault, Limits, Origin, Security, SecurityMode, SecurityPolicy, ServerStatus, Session,
    SessionRequest, Stage as Step, StatusCode, UserIdentity, UserTokenKind, connect,
};
use koios_pki::{CertificateChain, ValidityStatus};
use time::OffsetDateTime;

use crate::clock::ClockReading;
use crate::code::Code;
use crate::discovery::{FetchedEndpoints, fetch_endpoints};
use crate::preflight::{Preflight, preflight_of};
use crate::selection::{SelectedEndpoint, SelectionCriteria, select_endpoint};
use crate::server_certificate::{
    Presentation, PresentedServerCertificate, judge_server_certificate, read_server_certificate,
};
use crate::stage::{Stage, StageLog, StageReport, Watcher};
use crate::target::{ClientCertificate, Target};
use crate::verdict::{Cause, CauseCode, Confidence, Facts, Verdict, quoted, verdict_of};

/// How the session names this application to the server.
const APPLICATION_NAME: &str = "Koios";
const PRODUCT_URI: &str = "urn:koios:product";

/// What one attempt saw and came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// When it began, by the caller's clock.
    pub started_at: OffsetDateTime,
    /// How long it took.
    pub duration: Duration,
    /// All stages in order.
    pub stages: Vec<StageReport>,
    /// The endpoint chosen.
    pub endpoint: Option<AttemptedEndpoint>,
    /// How the server names itself: its word, not authenticated before the session stands.
    pub server: Option<ApplicationDescription>,
    /// The certificate of the endpoint chosen, whether it was accepted or not.
    pub server_certificate: Option<PresentedServerCertificate>,
    /// Whether the server has proven to hold that certificate's key: it answered OpenSecureChannel.
    pub proven: bool,
    /// The server's clock minus ours, in milliseconds; negative when the server is behind.
    pub clock_offset_ms: Option<i64>,
    /// A session that has answered one Read, or why there is none.
    pub result: Result<Connected, Box<Verdict>>,
}

/// The endpoint that an attempt chose.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AttemptedEndpoint {
    /// The URL dialled.
    pub url: EndpointUrl,
    /// Its mode.
    pub security_mode: SecurityMode,
    /// Its policy.
    pub security_policy: SecurityPolicy,
}

/// What a successful attempt hands over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connected {
    /// The session; the caller closes it.
    pub session: Session,
    /// The server's status as first read.
    pub status: ServerStatus,
}

/// Connects once, stage by stage, and reads `Server_ServerStatus`.
///
/// Everything together is bounded by the target's timeout. The future can be dropped at any point: the connection is
/// closed then, and a session that the server has already made is left to its timeout.
pub async fn attempt(target: &Target, clock: ClockReading) -> Attempt {
    attempt_watched(target, clock, None).await
}

pub(crate) async fn attempt_watched<'a>(
    target: &'a Target,
    clock: ClockReading,
    watcher: Option<Watcher<'a>>,
) -> Attempt {
    let mut run = Run {
        target,
        clock,
        log: StageLog::watched(watcher),
        begun: Instant::now(),
        deadline: Deadline::after(target.timeout),
        selected: None,
        server: None,
        server_certificate: None,
        proven: false,
        clock_offset: None,
        endpoints_confirmed: false,
    };
    let result = Box::pin(run.connect()).await;
    if let Err(verdict) = &result {
        run.log.fail(verdict.detail.clone());
    }
    Attempt {
        started_at: clock.now,
        duration: run.begun.elapsed(),
        stages: run.log.finish(&Stage::ALL),
        endpoint: run.selected.map(|selected| AttemptedEndpoint {
            url: selected.url,
            security_mode: target.security_mode,
            security_policy: selected.security_policy,
        }),
        server: run.server,
        server_certificate: run.server_certificate,
        proven: run.proven,
        clock_offset_ms: run.clock_offset.and_then(|offset| i64::try_from(offset.whole_milliseconds()).ok()),
        result,
    }
}

/// What became of OpenSecureChannel and CreateSession.
enum Opened {
    Session(CreatedSession),
    /// The handshake failed for a reason that is no trust decision.
    Handshake(ChannelError),
}

/// An attempt under way: what it has seen so far.
struct Run<'a> {
    target: &'a Target,
    clock: ClockReading,
    log: StageLog<'a>,
    begun: Instant,
    deadline: Deadline,
    selected: Option<SelectedEndpoint>,
    server: Option<ApplicationDescription>,
    server_certificate: Option<PresentedServerCertificate>,
    proven: bool,
    clock_offset: Option<time::Duration>,
    /// Whether a failed handshake was followed by another look at the endpoints, which showed the same certificate.
    endpoints_confirmed: bool,
}

impl Run<'_> {
    async fn connect(&mut self) -> Result<Connected, Box<Verdict>> {
        self.check_certificate()?;

        let Target { endpoint_url, networks, .. } = self.target;
        let fetched = fetch_endpoints(endpoint_url, networks, self.deadline, &mut self.log).await;
        let fetched = fetched.map_err(|error| self.judge(&error))?;
        self.note_server_time(fetched.server_time);

        let selected = self.select(&fetched.endpoints)?;
        let server_chain = self.judge_server(&selected)?;
        let created = match self.open_session(&selected, server_chain, &fetched).await? {
            Opened::Session(created) => created,
            Opened::Handshake(error) => self.open_with_fresh_endpoints(&selected, error).await?,
        };
        self.note_server_time(created.server_time());

        self.log.begin(Stage::UserIdentity);
        let session = created.activate(&self.target.user, self.deadline).await;
        let session = session.map_err(|error| self.judge(&error))?;
        self.log.pass(Some(user_detail(&self.target.user)));

        self.read(session).await
    }

    fn check_certificate(&mut self) -> Result<(), Box<Verdict>> {
        self.log.begin(Stage::Certificate);
        match preflight_of(self.target, self.clock)? {
            Preflight::NotNeeded => {
                self.log.skip(Stage::Certificate, "security mode None needs no certificate");
            }
            Preflight::Passed { warning } => self.log.pass(warning),
        }
        Ok(())
    }

    fn select_of(&self, endpoints: &[Endpoint]) -> Result<SelectedEndpoint, Box<Verdict>> {
        let criteria = SelectionCriteria {
            security_mode: self.target.security_mode,
            security_policy: self.target.security_policy,
            key: self.target.client.chain().map(|chain| chain.leaf().key_algorithm().clone()),
            user: match self.target.user {
                UserIdentity::UserName { .. } => UserTokenKind::UserName,
                UserIdentity::Certificate(_) => UserTokenKind::Certificate,
                _ => UserTokenKind::Anonymous,
            },
        };
        select_endpoint(endpoints, &criteria, &self.target.endpoint_url)
    }

    fn select(&mut self, endpoints: &[Endpoint]) -> Result<SelectedEndpoint, Box<Verdict>> {
        self.log.begin(Stage::EndpointSelection);
        self.server = endpoints.first().map(|endpoint| endpoint.server.clone());
        let selected = self.select_of(endpoints)?;
        self.log.pass(Some(format!(
            "{}, {} at {}",
            self.target.security_mode, selected.security_policy, selected.url
        )));
        self.server = Some(selected.endpoint.server.clone());
        self.selected = Some(selected.clone());
        Ok(selected)
    }

    /// The certificate that the server must prove to hold; `None` where nothing is encrypted or checked with it.
    fn judge_server(
        &mut self,
        selected: &SelectedEndpoint,
    ) -> Result<Option<CertificateChain>, Box<Verdict>> {
        self.log.begin(Stage::ServerCertificate);
        let blob = selected.endpoint.server_certificate.as_deref();
        let secure = self.target.security_mode.needs_certificate();
        // In mode None the certificate matters only for a password, which is encrypted to its key, and for a user's
        // certificate, whose key signs it.
        let has_user = !matches!(self.target.user, UserIdentity::Anonymous);
        if !secure && (!has_user || blob.is_none_or(<[u8]>::is_empty)) {
            self.log.skip(Stage::ServerCertificate, "security mode None uses no server certificate");
            return Ok(None);
        }
        let chain = read_server_certificate(blob)?;
        let presented = PresentedServerCertificate::new(
            chain.clone(),
            self.target.endpoint_url.host(),
            Some(&selected.endpoint.server.application_uri),
            selected.security_policy,
            self.clock.now,
        );
        let detail =
            presented.findings.iter().map(|finding| finding.code.as_str()).collect::<Vec<_>>().join(", ");
        self.server_certificate = Some(presented);
        let policy = secure.then_some(selected.security_policy);
        let presentation = Presentation {
            policy,
            host: self.target.endpoint_url.host(),
            application_uri: Some(&selected.endpoint.server.application_uri),
            at: self.clock.now,
        };
        let Target { server_trust, server_validation, .. } = self.target;
        judge_server_certificate(server_trust, server_validation, &chain, &presentation)
            .map_err(|verdict| self.with_clock_skew(verdict, &chain))?;
        self.log.pass((!detail.is_empty()).then(|| format!("accepted with findings: {detail}")));
        Ok(secure.then_some(chain))
    }

    /// Names the clocks where the server's certificate is valid by the server's own.
    fn with_clock_skew(&self, mut verdict: Box<Verdict>, chain: &CertificateChain) -> Box<Verdict> {
        if verdict.code == Code::ServerCertificateExpired
            && let Some(offset) = self.clock_offset
            && let Some(theirs) = self.clock.now.checked_add(offset)
            && chain.iter().all(|each| each.validity().status_at(theirs) == ValidityStatus::Valid)
        {
            let cause = Cause::new(
                CauseCode::ClockSkew,
                // The server's clock is the server's word.
                Confidence::Likely,
                "The certificate is valid by the clock that the server states: one of the two clocks is wrong.",
            );
            let evidence = format!("The server's clock is {} s off ours.", offset.whole_seconds());
            verdict.causes.insert(0, cause.because(evidence));
            verdict.causes.sort_by_key(|cause| cause.confidence);
        }
        verdict
    }

    /// OpenSecureChannel and CreateSession on a connection of their own, with as much of our chain as the server takes.
    async fn open_session(
        &mut self,
        selected: &SelectedEndpoint,
        server_chain: Option<CertificateChain>,
        fetched: &FetchedEndpoints,
    ) -> Result<Opened, Box<Verdict>> {
        let addresses = self.addresses_of(selected, &fetched.addresses);
        let request = self.session_request(selected, &fetched.endpoints);
        let mut sending = CertificateSending::Chain;
        self.log.begin(Stage::SecureChannel);
        loop {
            let security = self.security(selected, server_chain.as_ref(), sending);
            let error = match self.open_once(&addresses, selected, security, request.clone()).await {
                Ok(created) => {
                    self.log.pass(None);
                    return Ok(Opened::Session(created));
                }
                Err(error) => error,
            };
            let issuers = self.target.client.chain().is_some_and(|chain| !chain.issuers().is_empty());
            match next_sending(sending, &error).filter(|_| issuers) {
                Some(next) => sending = next,
                None if self.log.current() == Stage::SecureChannel
                    && self.judge(&error).code == Code::HandshakeFailed =>
                {
                    return Ok(Opened::Handshake(error));
                }
                None => return Err(self.judge(&error)),
            }
        }
    }

    /// After a failed handshake: the server may have changed its certificate since its endpoints were read. They are read
    /// again, once; with another certificate the handshake is made again, if that one is accepted.
    async fn open_with_fresh_endpoints(
        &mut self,
        selected: &SelectedEndpoint,
        error: ChannelError,
    ) -> Result<CreatedSession, Box<Verdict>> {
        let used = selected.endpoint.server_certificate.as_deref();
        let log = &mut StageLog::new();
        let Target { endpoint_url, networks, .. } = self.target;
        let again = fetch_endpoints(endpoint_url, networks, self.deadline, log).await;
        let Ok(fresh) = again else { return Err(self.judge(&error)) };
        let Ok(fresh_selected) = self.select_of(&fresh.endpoints) else { return Err(self.judge(&error)) };
        if fresh_selected.endpoint.server_certificate.as_deref() == used {
            self.endpoints_confirmed = true;
            return Err(self.judge(&error));
        }
        self.log.rewind(Stage::ServerCertificate);
        self.selected = Some(fresh_selected.clone());
        let server_chain = self.judge_server(&fresh_selected)?;
        match self.open_session(&fresh_selected, server_chain, &fresh).await? {
            Opened::Session(created) => Ok(created),
            Opened::Handshake(error) => Err(self.judge(&error)),
        }
    }

    async fn open_once(
        &mut self,
        addresses: &[SocketAddr],
        selected: &SelectedEndpoint,
        security: Security,
        request: SessionRequest,
    ) -> Result<CreatedSession, ChannelError> {
        let secure = security.mode().needs_certificate();
        let connection = connect(addresses, self.deadline).await?;
        let transport = connection.hello(&selected.url, Limits::default(), self.deadline).await?;
        let channel = transport.open(security, self.deadline).await?;
        self.proven |= secure;
        self.note_server_time(channel.server_time());
        self.keep_longer_chain(channel.server_chain());
        // When the chain had to be cut, the session stage is already running.
        if self.log.current() == Stage::SecureChannel {
            self.log.pass(None);
            self.log.begin(Stage::Session);
        }
        channel.create_session(request, self.deadline).await
    }

    async fn read(&mut self, mut session: Session) -> Result<Connected, Box<Verdict>> {
        self.log.begin(Stage::Read);
        match session.read_server_status(self.deadline).await {
            Ok(status) => {
                self.note_server_time(session.server_time());
                let product = &status.build_info.product_name;
                self.log.pass((!product.is_empty()).then(|| quoted(product)));
                Ok(Connected { session, status })
            }
            Err(error) => {
                let verdict = self.judge(&error);
                if error.origin == Origin::Peer {
                    // The conversation goes on, so the server can be told; what it answers changes nothing any more.
                    session.close(self.deadline).await.ok();
                }
                Err(verdict)
            }
        }
    }

    fn security(
        &self,
        selected: &SelectedEndpoint,
        server_chain: Option<&CertificateChain>,
        sending: CertificateSending,
    ) -> Security {
        match (&self.target.client, server_chain) {
            (ClientCertificate::Ready { identity, .. }, Some(server_certificate)) => Security::Secure {
                policy: selected.security_policy,
                mode: self.target.security_mode,
                identity: Arc::clone(identity),
                server_certificate: server_certificate.clone(),
                sending,
            },
            _ => Security::None,
        }
    }

    fn session_request(&self, selected: &SelectedEndpoint, endpoints: &[Endpoint]) -> SessionRequest {
        let mut endpoint = selected.endpoint.clone();
        if let Some(presented) = &self.server_certificate {
            // Without security a password is encrypted to the certificate that was judged, whatever came behind it.
            endpoint.server_certificate = Some(presented.chain.leaf().der().to_vec());
        }
        let mut request =
            SessionRequest::new(selected.url.clone(), endpoint, self.target.application_uri.as_str());
        request.expected_endpoints = endpoints.to_vec();
        APPLICATION_NAME.clone_into(&mut request.application_name);
        PRODUCT_URI.clone_into(&mut request.product_uri);
        request.session_timeout = self.target.session_timeout;
        request
    }

    // The host is the typed one, so its addresses are known; only the port may be another.
    fn addresses_of(&self, selected: &SelectedEndpoint, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| SocketAddr::new(address.ip(), selected.url.port())).collect()
    }

    // A server may give its leaf in the endpoint and its whole chain in the OpenSecureChannel answer.
    fn keep_longer_chain(&mut self, chain: Option<&CertificateChain>) {
        if let (Some(presented), Some(chain)) = (&mut self.server_certificate, chain)
            && chain.leaf() == presented.chain.leaf()
            && chain.len() > presented.chain.len()
        {
            presented.chain = chain.clone();
        }
    }

    fn note_server_time(&mut self, server_time: Option<OffsetDateTime>) {
        let Some(server_time) = server_time else { return };
        if let Ok(elapsed) = time::Duration::try_from(self.begun.elapsed())
            && let Some(now) = self.clock.now.checked_add(elapsed)
        {
            self.clock_offset = Some(server_time - now);
        }
    }

    fn judge(&self, error: &ChannelError) -> Box<Verdict> {
        let facts = Facts {
            endpoint_url: self.selected.as_ref().map_or(&self.target.endpoint_url, |selected| &selected.url),
            security_mode: self.target.security_mode,
            security_policy: self.selected.as_ref().map(|selected| selected.security_policy),
            certificate: self.target.client.chain(),
            server_certificate: self
                .server_certificate
                .as_ref()
                .map(|presented| presented.chain.leaf().thumbprint_sha256()),
            application_uri: &self.target.application_uri,
            now: self.clock.now,
            clock_trust: self.clock.trust,
            clock_offset: self.clock_offset,
            timeout: self.target.timeout,
            earlier: &self.target.earlier,
            endpoints_confirmed: self.endpoints_confirmed,
        };
        Box::new(verdict_of(&error.into(), self.log.current(), &facts))
    }
}

/// With how much of our chain to try again, for the servers that trip over issuers (see [`CertificateSending`]).
fn next_sending(sent: CertificateSending, error: &ChannelError) -> Option<CertificateSending> {
    next_after(sent, error.stage, error.status).filter(|_| !matches!(error.fault, Fault::TimedOut))
}

fn next_after(
    sent: CertificateSending,
    step: Step,
    status: Option<StatusCode>,
) -> Option<CertificateSending> {
    let said = |expected: StatusCode| status.is_some_and(|status| status.is_same_as(expected));
    match (sent, step) {
        (CertificateSending::Chain, Step::CreateSession) if said(StatusCode::BAD_INTERNAL_ERROR) => {
            Some(CertificateSending::LeafInSession)
        }
        (CertificateSending::Chain | CertificateSending::LeafInSession, Step::OpenSecureChannel)
            if said(StatusCode::BAD_CERTIFICATE_INVALID) =>
        {
            Some(CertificateSending::LeafOnly)
        }
        _ => None,
    }
}

fn user_detail(user: &UserIdentity) -> String {
    match user {
        UserIdentity::UserName { user_name, .. } => format!("user {}", quoted(user_name)),
        UserIdentity::Certificate(identity) => format!("user {}", quoted(identity.leaf().subject())),
        _ => "anonymous".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_cut_step_by_step_and_only_for_the_known_answers() {
        use CertificateSending::{Chain, LeafInSession, LeafOnly};
        let (internal, invalid) = (StatusCode::BAD_INTERNAL_ERROR, StatusCode::BAD_CERTIFICATE_INVALID);
        for (sent, step, status, expected) in [
            (Chain, Step::CreateSession, internal, Some(LeafInSession)),
            (Chain, Step::OpenSecureChannel, invalid, Some(LeafOnly)),
            (LeafInSession, Step::OpenSecureChannel, invalid, Some(LeafOnly)),
            (LeafInSession, Step::CreateSession, internal, None),
            (LeafOnly, Step::OpenSecureChannel, invalid, None),
            (Chain, Step::CreateSession, invalid, None),
            (Chain, Step::OpenSecureChannel, StatusCode::BAD_SECURITY_CHECKS_FAILED, None),
        ] {
            assert_eq!(next_after(sent, step, Some(status)), expected, "{sent:?} {step:?} {status}");
        }
        assert_eq!(next_after(Chain, Step::OpenSecureChannel, None), None);
    }
}
