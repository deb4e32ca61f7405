//! One connection of a device, from its attempt to its end.
//!
//! A device of the policy `pin` without a pin remembers the first server that has proven to hold its certificate's key
//! by answering OpenSecureChannel. In mode `None` with a password nothing proves that; there the certificate is pinned
//! once the server has accepted the password that was encrypted to it. That is weak, since a server that accepts
//! anything passes too, but the next password goes to the same key or to nobody.

use std::sync::Arc;
use std::time::Duration;

use koios_channel::{
    ChannelError, Deadline, EndpointUrl, Fault, SecurityMode, SecurityPolicy, Session, UserIdentity,
};
use koios_pki::CertificateChain;
use koios_store::{AuditEntry, DeviceId, PinOutcome, StoreError};
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::connect_queue::{Standing, Turn};
use super::device_task::Orders;
use super::error_chain::error_chain;
use super::registry::Used;
use super::shared::Shared;
use crate::attempt::{Attempt, Connected, attempt_watched};
use crate::clock::{ClockReading, ClockTrust};
use crate::code::Code;
use crate::plan::{DevicePlan, PlanError, server_trust};
use crate::plan_key::{KeyPairs, PlanKey};
use crate::server_certificate::{Presentation, ServerTrust, ServerValidation, judge_server_certificate};
use crate::stage::{Stage, StageReport};
use crate::target::Target;
use crate::verdict::{Facts, ReportedBy, Verdict};

/// A stage that takes longer than this waits for the server, or for nobody.
const SILENCE: Duration = Duration::from_millis(500);

/// How long a server may take to confirm the close of a session.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a Read under way may still take when the device is to stop.
const READ_GRACE: Duration = Duration::from_millis(500);

/// At the latest after this time the server hears from us, whatever the scan rate: a loss is noticed, and the session
/// (asked to live a minute) does not run out.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The device is to stop; its session is closed.
    Stopped,
    /// What the connection was made of has changed; its session is closed.
    Changed,
    /// The attempt failed, or the session was lost.
    Failed {
        verdict: Box<Verdict>,
        /// Whether the session had stood.
        ran: bool,
        /// Whether the server may have counted it as a failed login of the device's user.
        login_refused: bool,
    },
}

pub(super) async fn live(
    shared: Arc<Shared>,
    device: DeviceId,
    used: Arc<Used>,
    mut orders: watch::Receiver<Orders>,
    standing: Standing,
) -> End {
    let begun = *orders.borrow_and_update();
    let trying = async {
        // Closed by nobody. It is kept to the end of the session.
        let session = shared.sessions.acquire().await.ok();
        (attempt_once(&shared, device, &used, standing).await, session)
    };
    let (tried, _session) = tokio::select! {
        biased;
        tried = Box::pin(trying) => tried,
        end = interrupted(orders.clone(), begun) => return end,
    };
    // From here on a session may stand, and whatever the orders are, it is closed and not dropped.
    let settled = match tried {
        // The turn ends with what is kept of the attempt: if the disk is slower than the servers, no heap of sessions
        // waits for it, each growing old unread.
        Ok((tried, _turn)) => Box::pin(settle(&shared, device, tried)).await,
        Err(end) => Err(end),
    };
    match settled {
        Ok(connection) => Box::pin(connection.scan(&shared, orders, begun)).await,
        Err(end) => end,
    }
}

/// Ends when the device is told to stop or to connect anew.
async fn interrupted(mut orders: watch::Receiver<Orders>, begun: Orders) -> End {
    let told = orders.wait_for(|now| now.stop || now.reconnect != begun.reconnect).await;
    match told {
        Ok(now) if !now.stop => End::Changed,
        // The sender is gone when the supervisor is.
        _ => End::Stopped,
    }
}

/// An attempt and what it was made of.
struct Tried {
    plan: DevicePlan,
    target: Target,
    clock: ClockReading,
    attempt: Attempt,
}

/// An attempt, and the turn that it was made in; `None` only when nobody gives turns any more.
async fn attempt_once(
    shared: &Shared,
    device: DeviceId,
    used: &Used,
    standing: Standing,
) -> Result<(Tried, Option<Turn>), End> {
    let turn = shared.connects.turn(standing).await;
    let begun = Instant::now();
    let (plan, target) = match load(shared, device, used).await {
        Ok(loaded) => loaded,
        Err(error) => {
            let verdict = verdict_on(&error);
            shared.observe(verdict.code, begun.elapsed());
            return Err(failed(verdict));
        }
    };
    let clock = shared.clock().await;
    let attempt = Box::pin(unless_silent(&target, clock, turn.as_ref())).await;
    shared.observe(
        attempt.result.as_ref().map_or_else(|verdict| verdict.code, |_| Code::Connected),
        attempt.duration,
    );
    Ok((Tried { plan, target, clock, attempt }, turn))
}

/// An attempt that offers its place while the server is silent.
async fn unless_silent(target: &Target, clock: ClockReading, turn: Option<&Turn>) -> Attempt {
    let progress = Notify::new();
    let mut watcher = |_: &StageReport| progress.notify_one();
    let mut attempt = Box::pin(attempt_watched(target, clock, Some(&mut watcher)));
    let Some(turn) = turn else { return attempt.await };
    loop {
        tokio::select! {
            biased;
            attempt = &mut attempt => return attempt,
            () = progress.notified() => turn.withdraw(),
            () = tokio::time::sleep(SILENCE) => turn.offer(),
        }
    }
}

fn failed(verdict: Box<Verdict>) -> End {
    End::Failed { verdict, ran: false, login_refused: false }
}

/// Draws the conclusions: what is shown, what is pinned, and whether the session may be used.
async fn settle(shared: &Shared, device: DeviceId, tried: Tried) -> Result<Connection, End> {
    let Tried { plan, target, clock, attempt } = tried;
    let Attempt { server_certificate, proven, result, endpoint, server: description, .. } = attempt;
    if let Some(description) = &description {
        let build_info = result.as_ref().ok().map(|connected| &connected.status.build_info);
        shared.note_identity(&target.endpoint_url, description, build_info, clock.now).await;
    }
    let has_proven = proven || has_taken_password(&target, &result);
    let client = target.client.chain().cloned();
    let server = server_certificate.map(|presented| presented.chain);
    let thumbprints = (
        client.as_ref().map(|chain| chain.leaf().thumbprint_sha256()),
        server.as_ref().map(|chain| chain.leaf().thumbprint_sha256()),
    );
    shared
        .update(device, |status| {
            (status.certificate_thumbprint_sha256, status.server_certificate_thumbprint_sha256) = thumbprints;
        })
        .await;
    let security_policy = endpoint.as_ref().map(|endpoint| endpoint.security_policy);
    let failure = result.as_ref().err().map(AsRef::as_ref);
    shared.note_evidence(&target, failure, security_policy, server.as_ref(), clock.now).await;
    let met = server.map(|chain| MetServer {
        chain,
        security_policy,
        host: target.endpoint_url.host().to_owned(),
        application_uri: description.map(|description| description.application_uri),
    });
    let unpinned = matches!(target.server_trust, ServerTrust::Pin { expected: None });
    let kept = match &met {
        Some(met) => keep(shared, &plan, met, &target.server_validation, clock, has_proven && unpinned).await,
        None => Ok(()),
    };
    if let (Some(met), Err(verdict), Ok(())) = (&met, &result, &kept) {
        shared.note_rejected(plan.device, &met.chain, verdict, clock.now).await;
    }
    let Connected { session, .. } = match result {
        Ok(connected) => connected,
        Err(verdict) => {
            if matches!(kept, Err(End::Changed)) {
                return Err(End::Changed);
            }
            let login_refused = is_login_refused(&target.user, &verdict);
            return Err(End::Failed { verdict, ran: false, login_refused });
        }
    };
    let connection = Connection {
        device,
        session,
        scan_rate: plan.scan_rate,
        url: endpoint.map_or_else(|| target.endpoint_url.clone(), |endpoint| endpoint.url),
        security_mode: target.security_mode,
        security_policy: target.security_policy,
        application_uri: target.application_uri.clone(),
        timeout: target.timeout,
        client,
        server: met,
    };
    // The target goes, and with it our hold on the key; the session keeps its own for renewals.
    drop(target);
    if let Err(end) = kept {
        connection.close().await;
        return Err(end);
    }
    shared.update(device, |status| status.set_running(OffsetDateTime::now_utc())).await;
    Ok(connection)
}

async fn load(shared: &Shared, device: DeviceId, used: &Used) -> Result<(DevicePlan, Target), PlanError> {
    let store = &shared.store;
    loop {
        let read = store.device(device).await?;
        let key = PlanKey::of(&mut KeyPairs::new(store), &read).await?;
        used.set(key.clone());
        let plan = DevicePlan::of(store, &read).await?;
        let target = shared.target_of(&plan).await?;
        // A change before the key was set went unnoticed by whoever compares with it. One after this is told to us.
        let now = store.device(device).await?;
        if PlanKey::of(&mut KeyPairs::new(store), &now).await? == key {
            return Ok((plan, target));
        }
    }
}

/// Whether the server took a password without a secure channel: one that was encrypted to its certificate, since none
/// is sent in clear.
fn has_taken_password(target: &Target, result: &Result<Connected, Box<Verdict>>) -> bool {
    target.security_mode == SecurityMode::None
        && matches!(target.user, UserIdentity::UserName { .. })
        && match result {
            Ok(_) => true,
            Err(verdict) => verdict.failed_stage > Some(Stage::UserIdentity),
        }
}

/// Whether the server may have counted the attempt against its user's account, whatever it answered. One that names
/// our certificate has not come to the password.
fn is_login_refused(user: &UserIdentity, verdict: &Verdict) -> bool {
    matches!(user, UserIdentity::UserName { .. })
        && verdict.failed_stage == Some(Stage::UserIdentity)
        && !verdict.code.is_certificate_refusal()
        && (verdict.reported_by == Some(ReportedBy::Server) || verdict.code == Code::ConnectionClosed)
}

/// A server's certificate, and what else its judgement needs.
#[derive(Clone, Debug)]
struct MetServer {
    chain: CertificateChain,
    security_policy: Option<SecurityPolicy>,
    host: String,
    application_uri: Option<String>,
}

impl MetServer {
    fn judge(
        &self,
        trust: &ServerTrust,
        validation: &ServerValidation,
        at: OffsetDateTime,
    ) -> Result<(), Box<Verdict>> {
        let presentation = Presentation {
            policy: self.security_policy.filter(|policy| *policy != SecurityPolicy::None),
            host: &self.host,
            application_uri: self.application_uri.as_deref(),
            at,
        };
        judge_server_certificate(trust, validation, &self.chain, &presentation).map(drop)
    }
}

/// Keeps what the server presented, and pins it if it is to be pinned; neither for a device that has moved meanwhile.
async fn keep(
    shared: &Shared,
    plan: &DevicePlan,
    met: &MetServer,
    validation: &ServerValidation,
    clock: ClockReading,
    to_pin: bool,
) -> Result<(), End> {
    let still_there = plan.is_current_server(&shared.store).await;
    if !still_there.map_err(|error| failed(verdict_on(&error)))? {
        return Err(End::Changed);
    }
    let Some(device) = plan.device else { return Ok(()) };
    note(device, shared.store.record_presented(device, met.chain.clone(), clock.now).await);
    if to_pin { pin(shared, device, met, validation, clock).await.map_err(failed) } else { Ok(()) }
}

fn verdict_on(error: &PlanError) -> Box<Verdict> {
    Box::new(match error {
        PlanError::UnknownPolicy { .. } => Verdict::failure(
            Code::ServerCertificateUntrusted,
            Stage::ServerCertificate,
            ReportedBy::Koios,
            format!("{error}."),
        ),
        // The person can cure this one, so they are told.
        PlanError::Store(error @ StoreError::PasswordUnreadable { .. }) => {
            Verdict::internal(Some(Stage::Certificate), format!("{error}."))
        }
        error => {
            tracing::error!(error = %error_chain(error), "an attempt could not be prepared");
            Verdict::internal(
                Some(Stage::Certificate),
                "The attempt could not be prepared; the log has the reason.",
            )
        }
    })
}

/// Pins the certificate; fails when another one was pinned meanwhile, or when it cannot be kept: a device that cannot
/// remember its server would take any server the next time.
async fn pin(
    shared: &Shared,
    device: DeviceId,
    met: &MetServer,
    validation: &ServerValidation,
    clock: ClockReading,
) -> Result<(), Box<Verdict>> {
    let entry = AuditEntry::new(clock.now, "koios", "server_certificate.pinned");
    match shared.store.recording(entry).pin_server_certificate(device, met.chain.clone()).await {
        Ok(PinOutcome::Pinned) => Ok(()),
        Ok(PinOutcome::AlreadyPinned(known)) => {
            met.judge(&ServerTrust::Pin { expected: Some(known) }, validation, clock.now)
        }
        Err(error) => {
            tracing::error!(device.id = %device, error = %error_chain(&error), "pin not stored");
            let detail = "The server's certificate could not be remembered; the log has the reason.";
            Err(Box::new(Verdict::internal(Some(Stage::ServerCertificate), detail)))
        }
    }
}

fn note(device: DeviceId, recorded: Result<(), StoreError>) {
    if let Err(error) = recorded {
        tracing::warn!(
            device.id = %device,
            error = %error_chain(&error),
            "server certificate not recorded"
        );
    }
}

/// A session that stands, and what a verdict on its loss needs.
#[derive(Debug)]
struct Connection {
    device: DeviceId,
    session: Session,
    scan_rate: Duration,
    url: EndpointUrl,
    security_mode: SecurityMode,
    security_policy: Option<SecurityPolicy>,
    application_uri: String,
    timeout: Duration,
    client: Option<CertificateChain>,
    server: Option<MetServer>,
}

impl Connection {
    async fn scan(mut self, shared: &Shared, mut orders: watch::Receiver<Orders>, begun: Orders) -> End {
        let mut looked_at = (begun.recheck, begun.trust_lists);
        // Until a look has come to a result, it is made again at each scan.
        let mut look_is_due = false;
        let keep_alive = KEEP_ALIVE.min(self.session.timeout() / 3).max(Duration::from_secs(1));
        let mut next_scan = Instant::now() + self.scan_rate;
        let mut next_word = Instant::now() + keep_alive;
        loop {
            let wake = next_scan.min(next_word).min(self.session.needs_renewal_at());
            let mut woken = true;
            tokio::select! {
                () = tokio::time::sleep_until(wake) => {}
                told = orders.changed() => {
                    let now = *orders.borrow_and_update();
                    if told.is_err() || now.stop {
                        self.close().await;
                        return End::Stopped;
                    }
                    let told = (now.recheck, now.trust_lists);
                    if told != looked_at {
                        looked_at = told;
                        look_is_due = true;
                    }
                    if now.reconnect != begun.reconnect {
                        self.close().await;
                        return End::Changed;
                    }
                    woken = false;
                }
            }
            if look_is_due {
                let look = look_at_trust(shared, self.device, self.server.clone()).await;
                look_is_due = look == Look::Unknown;
                if look == Look::Distrusted {
                    self.close().await;
                    return End::Changed;
                }
            }
            if !woken {
                continue;
            }
            let now = Instant::now();
            let scan_is_due = now >= next_scan;
            let spoken = tokio::select! {
                spoken = self.speak() => spoken,
                end = after_grace(orders.clone(), begun) => {
                    self.close().await;
                    return end;
                }
            };
            if let Err(error) = spoken {
                let verdict = Box::new(self.verdict_on_loss(&error));
                if matches!(error.fault, Fault::ServiceFault | Fault::ServiceResult) {
                    // The conversation goes on, so the server can be told.
                    self.close().await;
                }
                return End::Failed { verdict, ran: true, login_refused: false };
            }
            next_word = Instant::now() + keep_alive;
            if scan_is_due {
                shared
                    .update(self.device, |status| status.last_scan_at = Some(OffsetDateTime::now_utc()))
                    .await;
                // Scans that were missed are not made up for.
                next_scan = (next_scan + self.scan_rate).max(Instant::now());
            }
        }
    }

    /// Renews the channel when that is due, and reads.
    async fn speak(&mut self) -> Result<(), ChannelError> {
        let deadline = Deadline::after(self.timeout);
        if Instant::now() >= self.session.needs_renewal_at() {
            self.session.renew(deadline).await?;
        }
        self.session.read_server_status(deadline).await.map(drop)
    }

    fn verdict_on_loss(&self, error: &ChannelError) -> Verdict {
        let facts = Facts {
            endpoint_url: &self.url,
            security_mode: self.security_mode,
            security_policy: self.security_policy,
            certificate: self.client.as_ref(),
            server_certificate: self.server.as_ref().map(|met| met.chain.leaf().thumbprint_sha256()),
            application_uri: &self.application_uri,
            now: OffsetDateTime::now_utc(),
            clock_trust: ClockTrust::Plausible,
            clock_offset: None,
            timeout: self.timeout,
            earlier: &[],
            endpoints_confirmed: false,
        };
        Verdict::of_lost_session(error, &facts)
    }

    async fn close(self) {
        // A server that does not confirm loses the session by its timeout.
        self.session.close(Deadline::after(CLOSE_TIMEOUT.min(self.timeout))).await.ok();
    }
}

async fn after_grace(orders: watch::Receiver<Orders>, begun: Orders) -> End {
    let end = interrupted(orders, begun).await;
    tokio::time::sleep(READ_GRACE).await;
    end
}

/// Whether a server may still be connected to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Look {
    Trusted,
    Distrusted,
    /// What decides cannot be read now.
    Unknown,
}

// Not a method: a session can be sent between threads but not shared, and a borrow over an await would share it.
async fn look_at_trust(shared: &Shared, device: DeviceId, server: Option<MetServer>) -> Look {
    // Without a server certificate there is nothing to judge.
    let Some(server) = server else { return Look::Trusted };
    let device = match shared.store.device(device).await {
        Ok(device) => device,
        // The task hears of it by itself.
        Err(StoreError::NotFound { .. }) => return Look::Trusted,
        Err(error) => return unknown(device, &error),
    };
    let Ok(trust) = server_trust(device.server_certificate_policy, device.pinned_server_certificate) else {
        return Look::Distrusted;
    };
    match &trust {
        // Without a pin the next connection makes one.
        ServerTrust::Pin { expected: None } | ServerTrust::AcceptAny => return Look::Trusted,
        ServerTrust::Pin { expected: Some(pinned) } if pinned.leaf() == server.chain.leaf() => {
            return Look::Trusted;
        }
        _ => {}
    }
    let lists = match shared.store.trust_lists().await {
        Ok(lists) => lists,
        Err(error) => return unknown(device.id, &error),
    };
    let validation = ServerValidation::new(Arc::clone(lists.validation()), device.server_host_name_check);
    match server.judge(&trust, &validation, OffsetDateTime::now_utc()) {
        Ok(()) => Look::Trusted,
        Err(_) => Look::Distrusted,
    }
}

fn unknown(device: DeviceId, error: &StoreError) -> Look {
    tracing::warn!(device.id = %device, error = %error_chain(error), "trust cannot be looked at now");
    Look::Unknown
}
