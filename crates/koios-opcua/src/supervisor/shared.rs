//! What all device tasks share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use koios_channel::{ApplicationDescription, BuildInfo, EndpointUrl, SecurityPolicy};
use koios_pki::CertificateChain;
use koios_store::{AttemptEvidence, DeviceId, Rejection, Store};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, broadcast};

use super::SupervisorSettings;
use super::connect_queue::ConnectQueue;
use super::error_chain::error_chain;
use super::history_log::HistoryLog;
use super::status::{DeviceStatus, DeviceTransition, StatusBoard};
use crate::clock::ClockReading;
use crate::code::Code;
use crate::earlier::EarlierOutcome;
use crate::identities::Identities;
use crate::plan::{DevicePlan, PlanError, evidence_key, target_sharing};
use crate::stage::Stage;
use crate::target::Target;
use crate::trust_guide::ServerIdentity;
use crate::verdict::Verdict;

/// How many transitions a listener may lag behind before it loses some.
const TRANSITIONS_KEPT: usize = 4096;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) settings: SupervisorSettings,
    pub(super) board: StatusBoard,
    pub(super) connects: Arc<ConnectQueue>,
    /// One permit for each session that may stand.
    pub(super) sessions: Semaphore,
    history: HistoryLog,
    identities: Identities,
    known_past: tokio::sync::Mutex<KnownPast>,
    transitions: broadcast::Sender<DeviceTransition>,
}

/// An instant that has certainly passed, and when it was last looked for.
#[derive(Debug)]
struct KnownPast {
    instant: OffsetDateTime,
    read_at: Option<Instant>,
}

impl Shared {
    pub(super) fn new(store: Store, settings: SupervisorSettings) -> Self {
        let known_past = KnownPast { instant: settings.known_past, read_at: None };
        let connects = Arc::new(ConnectQueue::new(settings.connect_concurrency, settings.retry_max));
        let sessions = Semaphore::new(settings.session_limit.min(Semaphore::MAX_PERMITS));
        Self {
            store,
            settings,
            board: StatusBoard::new(),
            connects,
            sessions,
            history: HistoryLog::default(),
            identities: Identities::default(),
            known_past: tokio::sync::Mutex::new(known_past),
            transitions: broadcast::Sender::new(TRANSITIONS_KEPT),
        }
    }

    /// Every transition from now on.
    pub(super) fn transitions(&self) -> broadcast::Receiver<DeviceTransition> {
        self.transitions.subscribe()
    }

    /// Tells who wants to know how an attempt ended.
    pub(super) fn observe(&self, code: Code, duration: Duration) {
        if let Some(observer) = &self.settings.observer {
            observer.attempted(code, duration);
        }
    }

    /// The values of an attempt, with what the settings say of all.
    pub(super) async fn target_of(&self, plan: &DevicePlan) -> Result<Target, PlanError> {
        let mut target =
            target_sharing(&self.store, plan, &self.settings.fallback_application_uri, &self.identities)
                .await?;
        target.deprecated_policies = self.settings.deprecated_policies;
        target.networks = self.settings.networks.clone();
        Ok(target)
    }

    /// Keeps what a server says it is, for the guide that a person may need; losing it makes nothing fail.
    pub(super) async fn note_identity(
        &self,
        endpoint_url: &EndpointUrl,
        description: &ApplicationDescription,
        build_info: Option<&BuildInfo>,
        at: OffsetDateTime,
    ) {
        let said = ServerIdentity::of(description, build_info).into();
        if let Err(error) = self.store.record_server_identity(endpoint_url.as_str(), said, at).await {
            tracing::warn!(error = %error_chain(&error), "what the server says it is was not recorded");
        }
    }

    /// Keeps what an attempt has shown, for the verdicts on later ones; losing it makes nothing fail.
    pub(super) async fn note_evidence(
        &self,
        target: &Target,
        failure: Option<&Verdict>,
        security_policy: Option<SecurityPolicy>,
        server: Option<&CertificateChain>,
        at: OffsetDateTime,
    ) {
        let outcome = match failure {
            None => Some(EarlierOutcome::Accepted),
            Some(verdict) => EarlierOutcome::of(verdict),
        };
        let (Some(outcome), Some(policy)) = (outcome, security_policy) else { return };
        let secured = target.security_mode.needs_certificate();
        let thumbprint = |chain: Option<&CertificateChain>| {
            chain.filter(|_| secured).map(|chain| chain.leaf().thumbprint_sha256())
        };
        let outcome = match outcome {
            EarlierOutcome::Accepted => AttemptEvidence::ACCEPTED,
            EarlierOutcome::Refused(code) => code.as_str(),
        };
        let (client, server) = (thumbprint(target.client.chain()), thumbprint(server));
        let evidence = AttemptEvidence::new(client, server, policy.name(), outcome, at);
        let key = evidence_key(&target.endpoint_url);
        if let Err(error) = self.store.record_attempt_evidence(&key, evidence).await {
            tracing::warn!(error = %error_chain(&error), "what an attempt has shown was not recorded");
        }
    }

    /// Keeps a server certificate that an attempt refused, for a person to decide about.
    pub(super) async fn note_rejected(
        &self,
        device: Option<DeviceId>,
        chain: &CertificateChain,
        verdict: &Verdict,
        at: OffsetDateTime,
    ) {
        if verdict.failed_stage != Some(Stage::ServerCertificate) {
            return;
        }
        let mut rejection =
            Rejection::new(chain.clone(), verdict.code.as_str(), verdict.message.as_str(), at);
        rejection.device = device;
        if let Err(error) = self.store.record_rejected(rejection).await {
            tracing::warn!(error = %error_chain(&error), "a rejected server certificate was not kept");
        }
    }

    /// The clock, judged by the newest thing that is known to have happened.
    pub(super) async fn clock(&self) -> ClockReading {
        ClockReading::system_after(self.known_past().await)
    }

    /// Looks into the audit trail, which grows for years, once a second at most and not for each attempt.
    async fn known_past(&self) -> OffsetDateTime {
        let mut known = self.known_past.lock().await;
        if known.read_at.is_none_or(|read_at| read_at.elapsed() >= Duration::from_secs(1)) {
            let newest_audit = self.store.newest_audit_at().await.ok().flatten();
            known.instant = newest_audit.map_or(known.instant, |newest| newest.max(known.instant));
            known.read_at = Some(Instant::now());
        }
        known.instant
    }

    /// Changes a device's status; tells and records what is a transition.
    pub(super) async fn update(&self, device: DeviceId, change: impl FnOnce(&mut DeviceStatus)) {
        let Some((status, transition)) = self.board.update(device, change) else { return };
        tracing::info!(
            device.id = %device,
            state = ?transition.state,
            code = transition.error_code.as_deref(),
            "device changed its state"
        );
        // An error means that nobody listens.
        let _ = self.transitions.send(DeviceTransition { device, at: transition.at, status });
        self.history.record(&self.store, device, transition).await;
    }
}
