//! Where Tests are taken in: a bounded number, and those of one device one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use koios_channel::EndpointUrl;
use koios_pki::CertificateChain;
use koios_store::DeviceId;
use time::OffsetDateTime;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::error_chain::error_chain;
use super::shared::Shared;
use crate::connection_test::{TestReport, test};
use crate::discovery::{Discovery, discover_within};
use crate::plan::{DevicePlan, PlanError};
use crate::verdict::Verdict;

/// The contract's bound (rest-api §5): beyond 8 Tests at once the caller is told to come back.
const MAX_TESTS: usize = 8;

/// At most this many certificates of one discovery are kept: servers have one, or one per kind of key, and each that is
/// kept is a write.
const MAX_SEEN: usize = 16;

/// Why a Test was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// As many Tests as may run are running.
    #[error("{MAX_TESTS} tests are running; try again when one has ended")]
    Busy,
    /// No target could be made.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The supervisor is shutting down.
    #[error("the supervisor is shutting down")]
    Stopping,
}

#[derive(Debug)]
pub(super) struct TestDesk {
    shared: Arc<Shared>,
    handle: Handle,
    permits: Arc<Semaphore>,
    // Weak, so that the map holds no device that is not being tested.
    turns: Mutex<HashMap<DeviceId, Weak<tokio::sync::Mutex<()>>>>,
}

impl TestDesk {
    pub(super) fn new(shared: Arc<Shared>, handle: Handle) -> Self {
        Self { shared, handle, permits: Arc::new(Semaphore::new(MAX_TESTS)), turns: Mutex::default() }
    }

    pub(super) async fn test(&self, plan: DevicePlan) -> Result<TestReport, TestError> {
        let permit = self.permit()?;
        let turn = plan.device.map(|device| self.turn(device));
        let shared = Arc::clone(&self.shared);
        let started_at = OffsetDateTime::now_utc();
        // A task on the supervisor's threads, so that a panic stays inside; a set, because that ends its task when the
        // caller goes away.
        let mut work = JoinSet::new();
        let conversation = async move {
            let _permit = permit;
            let _turn = match &turn {
                Some(turn) => Some(turn.lock().await),
                None => None,
            };
            Box::pin(make(&shared, &plan)).await
        };
        work.spawn_on(conversation, &self.handle);
        match work.join_next().await {
            Some(Ok(answer)) => answer,
            Some(Err(error)) if error.is_panic() => {
                let verdict = Verdict::internal(None, "The Test was ended by an error of this program.");
                Ok(TestReport::internal(verdict, started_at))
            }
            Some(Err(_)) | None => Err(TestError::Stopping),
        }
    }

    pub(super) async fn discover(&self, url: EndpointUrl, timeout: Duration) -> Result<Discovery, TestError> {
        let permit = self.permit()?;
        let shared = Arc::clone(&self.shared);
        let mut work = JoinSet::new();
        let conversation = async move {
            let _permit = permit;
            let clock = shared.clock().await;
            let settings = &shared.settings;
            let discovery =
                discover_within(&url, timeout, clock, settings.deprecated_policies, &settings.networks);
            let discovery = Box::pin(discovery).await;
            if let Some(description) = &discovery.server {
                shared.note_identity(&url, description, None, clock.now).await;
            }
            let mut seen: Vec<CertificateChain> = Vec::new();
            for endpoint in &discovery.endpoints {
                if let Some(presented) = &endpoint.server_certificate
                    && seen.len() < MAX_SEEN
                    && !seen.contains(&presented.chain)
                {
                    seen.push(presented.chain.clone());
                }
            }
            for chain in seen {
                note(shared.store.record_seen(url.as_str(), chain, clock.now).await);
            }
            discovery
        };
        work.spawn_on(conversation, &self.handle);
        match work.join_next().await {
            Some(Ok(discovery)) => Ok(discovery),
            Some(Err(_)) | None => Err(TestError::Stopping),
        }
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, TestError> {
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| TestError::Busy)
    }

    fn turn(&self, device: DeviceId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(&device).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        turns.insert(device, Arc::downgrade(&turn));
        turn
    }
}

async fn make(shared: &Shared, plan: &DevicePlan) -> Result<TestReport, TestError> {
    let clock = shared.clock().await;
    let target = shared.target_of(plan).await?;
    let report = Box::pin(test(&target, clock)).await;
    if let Some(server) = &report.server {
        shared
            .note_identity(&plan.endpoint_url, &server.description, server.build_info.as_ref(), clock.now)
            .await;
    }
    let failure = (!report.verdict.is_success()).then_some(&report.verdict);
    let policy = report.endpoint.as_ref().map(|endpoint| endpoint.security_policy);
    let presented = report.server.as_ref().and_then(|server| server.certificate.as_ref());
    let server = presented.map(|presented| &presented.chain);
    shared.note_evidence(&target, failure, policy, server, clock.now).await;
    if let Some(certificate) = presented {
        let chain = certificate.chain.clone();
        // A device that was moved during its Test has shown nothing; the endpoint has.
        let still_there = plan.is_current_server(&shared.store).await.unwrap_or(false);
        let device = plan.device.filter(|_| still_there);
        shared.note_rejected(device, &chain, &report.verdict, clock.now).await;
        note(match device {
            Some(device) => shared.store.record_presented(device, chain, clock.now).await,
            None => shared.store.record_seen(plan.endpoint_url.as_str(), chain, clock.now).await,
        });
    }
    Ok(report)
}

// What was seen is evidence; losing it does not make the Test fail.
fn note(recorded: Result<(), koios_store::StoreError>) {
    if let Err(error) = recorded {
        tracing::warn!(error = %error_chain(&error), "server certificate not recorded");
    }
}
