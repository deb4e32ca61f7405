//! What each device is doing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use koios_pki::Sha256Thumbprint;
use koios_store::{DeviceId, DeviceState, Transition};
use time::OffsetDateTime;

use crate::code::Code;
use crate::verdict::Verdict;

/// The status of a device.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DeviceStatus {
    /// What it is doing.
    pub state: DeviceState,
    /// Since when.
    pub since: OffsetDateTime,
    /// When it was last read by its scan.
    pub last_scan_at: Option<OffsetDateTime>,
    /// When the next attempt is due; `None` during an attempt, and when only a change brings one.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// Why it failed: the Test's code for the same cause.
    pub error_code: Option<Code>,
    /// The Test's message for the same cause.
    pub error_message: Option<String>,
    /// The Test's detail for the same cause.
    pub error_detail: Option<String>,
    /// The client certificate of the running session, or of the last attempt.
    pub certificate_thumbprint_sha256: Option<Sha256Thumbprint>,
    /// The server certificate of the running session, or of the last attempt.
    pub server_certificate_thumbprint_sha256: Option<Sha256Thumbprint>,
}

impl DeviceStatus {
    fn stopped(since: OffsetDateTime) -> Self {
        Self {
            state: DeviceState::Stopped,
            since,
            last_scan_at: None,
            next_attempt_at: None,
            attempts: 0,
            error_code: None,
            error_message: None,
            error_detail: None,
            certificate_thumbprint_sha256: None,
            server_certificate_thumbprint_sha256: None,
        }
    }

    /// The device connects, or connects anew after a change.
    pub(super) fn set_starting(&mut self) {
        self.state = DeviceState::Starting;
        self.attempts = 0;
        self.next_attempt_at = None;
        self.clear_error();
    }

    /// The session stands and has been read.
    pub(super) fn set_running(&mut self, at: OffsetDateTime) {
        self.state = DeviceState::Running;
        self.attempts = 0;
        self.next_attempt_at = None;
        self.last_scan_at = Some(at);
        self.clear_error();
    }

    /// The attempt, or the session, ended with this verdict.
    pub(super) fn set_failed(
        &mut self,
        verdict: &Verdict,
        attempts: u32,
        next_attempt_at: Option<OffsetDateTime>,
    ) {
        self.state = DeviceState::Failed;
        self.attempts = attempts;
        self.next_attempt_at = next_attempt_at;
        self.error_code = Some(verdict.code);
        self.error_message = Some(verdict.message.clone());
        self.error_detail.clone_from(&verdict.detail);
    }

    /// The device was disabled.
    pub(super) fn set_stopped(&mut self) {
        *self = Self { last_scan_at: self.last_scan_at, ..Self::stopped(self.since) };
    }

    fn clear_error(&mut self) {
        self.error_code = None;
        self.error_message = None;
        self.error_detail = None;
    }

    fn transition(&self, at: OffsetDateTime) -> Transition {
        let mut transition = Transition::new(at, self.state);
        transition.error_code = self.error_code.map(|code| code.as_str().to_owned());
        transition.error_message.clone_from(&self.error_message);
        transition
    }
}

/// A device that has changed its state, or the reason of a failure.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DeviceTransition {
    /// Which device.
    pub device: DeviceId,
    /// When.
    pub at: OffsetDateTime,
    /// What it is now.
    pub status: DeviceStatus,
}

/// The statuses of all devices.
#[derive(Debug)]
pub(super) struct StatusBoard {
    statuses: Mutex<HashMap<DeviceId, DeviceStatus>>,
    started_at: OffsetDateTime,
}

impl StatusBoard {
    pub(super) fn new() -> Self {
        Self { statuses: Mutex::default(), started_at: whole_micros(OffsetDateTime::now_utc()) }
    }

    pub(super) fn status(&self, device: DeviceId) -> DeviceStatus {
        self.lock().get(&device).cloned().unwrap_or_else(|| DeviceStatus::stopped(self.started_at))
    }

    pub(super) fn statuses(&self) -> HashMap<DeviceId, DeviceStatus> {
        self.lock().clone()
    }

    pub(super) fn states(&self) -> HashMap<DeviceId, DeviceState> {
        self.lock().iter().map(|(device, status)| (*device, status.state)).collect()
    }

    /// How many devices are in each state, of those that were seen.
    pub(super) fn count(&self, state: DeviceState) -> usize {
        self.lock().values().filter(|status| status.state == state).count()
    }

    /// Changes a status; answers it and the transition to record when state or error code are others than before.
    pub(super) fn update(
        &self,
        device: DeviceId,
        change: impl FnOnce(&mut DeviceStatus),
    ) -> Option<(DeviceStatus, Transition)> {
        let mut statuses = self.lock();
        let status = statuses.entry(device).or_insert_with(|| DeviceStatus::stopped(self.started_at));
        let before = (status.state, status.error_code);
        change(status);
        let changed = before != (status.state, status.error_code);
        let now = whole_micros(OffsetDateTime::now_utc());
        if before.0 != status.state {
            status.since = now;
        }
        status.last_scan_at = status.last_scan_at.map(whole_micros);
        status.next_attempt_at = status.next_attempt_at.map(whole_micros);
        changed.then(|| (status.clone(), status.transition(now)))
    }

    pub(super) fn forget(&self, device: DeviceId) {
        self.lock().remove(&device);
    }

    // A panic while the lock is held leaves at worst one status half changed, which the next change mends.
    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, DeviceStatus>> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As precise as the store's instants, which stand beside these.
fn whole_micros(instant: OffsetDateTime) -> OffsetDateTime {
    instant.truncate_to_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;
    use crate::verdict::ReportedBy;

    fn device() -> DeviceId {
        "01936d00-0000-7000-8000-000000000001".parse().unwrap()
    }

    fn failure(code: Code) -> Verdict {
        Verdict::failure(code, Stage::Connect, ReportedBy::Network, "why")
    }

    #[test]
    fn a_device_never_seen_is_stopped() {
        let board = StatusBoard::new();
        assert_eq!(board.status(device()).state, DeviceState::Stopped);
        assert!(board.statuses().is_empty());
    }

    #[test]
    fn a_failure_that_repeats_itself_is_one_transition() {
        let board = StatusBoard::new();
        let mut recorded = Vec::new();
        let mut update = |change: &dyn Fn(&mut DeviceStatus)| {
            recorded.extend(board.update(device(), change).map(|(_, transition)| transition));
        };
        update(&DeviceStatus::set_starting);
        for attempts in 1..4 {
            update(&|status| status.set_failed(&failure(Code::ConnectionRefused), attempts, None));
        }
        update(&|status| status.set_failed(&failure(Code::Timeout), 4, None));
        update(&|status| status.set_running(OffsetDateTime::now_utc()));
        update(&|status| status.last_scan_at = Some(OffsetDateTime::now_utc()));
        let seen: Vec<_> = recorded.iter().map(|transition| transition.error_code.as_deref()).collect();
        assert_eq!(seen, [None, Some("connection_refused"), Some("timeout"), None]);
    }

    #[test]
    fn the_time_of_a_state_is_that_of_its_begin() {
        let board = StatusBoard::new();
        board.update(device(), |status| status.set_failed(&failure(Code::Timeout), 1, None));
        let since = board.status(device()).since;
        board.update(device(), |status| status.set_failed(&failure(Code::ServerSilent), 2, None));
        assert_eq!(board.status(device()).since, since);
    }

    #[test]
    fn times_are_as_precise_as_the_stores() {
        let board = StatusBoard::new();
        let precise = OffsetDateTime::UNIX_EPOCH + time::Duration::nanoseconds(1_999);
        board.update(device(), |status| {
            status.set_running(precise);
            status.next_attempt_at = Some(precise);
        });
        let whole = Some(OffsetDateTime::UNIX_EPOCH + time::Duration::MICROSECOND);
        let status = board.status(device());
        assert_eq!((status.last_scan_at, status.next_attempt_at), (whole, whole));
        assert_eq!((status.since.nanosecond() % 1_000, board.started_at.nanosecond() % 1_000), (0, 0));
    }

    #[test]
    fn the_status_of_a_running_device_shows_no_old_error() {
        let board = StatusBoard::new();
        board.update(device(), |status| status.set_failed(&failure(Code::Timeout), 7, None));
        board.update(device(), |status| status.set_running(OffsetDateTime::now_utc()));
        let status = board.status(device());
        assert_eq!((status.attempts, status.error_code, status.error_message), (0, None, None));
    }
}
