//! What all device tasks share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use koios_channel::{ApplicationDescription, BuildInfo, EndpointUrl, SecurityPolicy};
use koios_pki::CertificateChain;
use koios_store::{AttemptEvidence, DeviceId, Rejection, Store, Transition};
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::SupervisorSettings;
use super::error_chain::error_chain;
use super::status::{DeviceStatus, StatusBoard};
use crate::clock::ClockReading;
use crate::earlier::EarlierOutcome;
use crate::plan::{DevicePlan, PlanError, evidence_key, target_of};
use crate::stage::Stage;
use crate::target::Target;
use crate::trust_guide::ServerIdentity;
use crate::verdict::Verdict;

/// By how much the retry bound stretches because more attempts are due than may run at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConnectLoad {
    /// Devices whose attempt is due and waits for its turn.
    pub waiting: usize,
    /// How long the last attempt waited.
    pub last_wait: Duration,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) settings: SupervisorSettings,
    pub(super) board: StatusBoard,
    connects: Arc<Semaphore>,
    waiting: AtomicUsize,
    last_wait_micros: AtomicU64,
}

impl Shared {
    pub(super) fn new(store: Store, settings: SupervisorSettings) -> Self {
        // A semaphore without permits would never connect anything.
        let connects = settings.connect_concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            store,
            settings,
            board: StatusBoard::new(),
            connects: Arc::new(Semaphore::new(connects)),
            waiting: AtomicUsize::new(0),
            last_wait_micros: AtomicU64::new(0),
        }
    }

    /// A turn to connect, in the order of asking.
    pub(super) async fn connect_turn(&self) -> Option<OwnedSemaphorePermit> {
        let begun = Instant::now();
        let _waiting = Waiting::new(&self.waiting);
        // Only a closed semaphore gives no permit, and nobody closes this one.
        let permit = Arc::clone(&self.connects).acquire_owned().await.ok();
        let waited = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last_wait_micros.store(waited, Ordering::Relaxed);
        permit
    }

    pub(super) fn connect_load(&self) -> ConnectLoad {
        ConnectLoad {
            waiting: self.waiting.load(Ordering::Relaxed),
            last_wait: Duration::from_micros(self.last_wait_micros.load(Ordering::Relaxed)),
        }
    }

    /// The values of an attempt, with what the settings say of all.
    pub(super) async fn target_of(&self, plan: &DevicePlan) -> Result<Target, PlanError> {
        let mut target = target_of(&self.store, plan, &self.settings.fallback_application_uri).await?;
        target.deprecated_policies = self.settings.deprecated_policies;
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
        let newest_audit = self.store.newest_audit_at().await.ok().flatten();
        let known_past =
            newest_audit.map_or(self.settings.known_past, |newest| newest.max(self.settings.known_past));
        ClockReading::system_after(known_past)
    }

    /// Changes a device's status and records what is a transition.
    pub(super) async fn update(&self, device: DeviceId, change: impl FnOnce(&mut DeviceStatus)) {
        if let Some(transition) = self.board.update(device, change) {
            self.record(device, transition).await;
        }
    }

    async fn record(&self, device: DeviceId, transition: Transition) {
        tracing::info!(
            device.id = %device,
            state = ?transition.state,
            code = transition.error_code.as_deref(),
            "device changed its state"
        );
        if let Err(error) = self.store.record_transition(device, transition).await {
            tracing::warn!(device.id = %device, error = %error_chain(&error), "history not recorded");
        }
    }
}

/// Counts a waiter for as long as it waits, also when the wait is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
