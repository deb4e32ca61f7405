//! How often a device has failed, and when it is tried again.

use std::time::Duration;

use crate::code::Code;
use crate::retry::RetryRule;

/// The failures of one device since it last ran or changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    max: Duration,
    failures: u32,
    refused_users: u32,
}

impl Schedule {
    pub(super) fn new(max: Duration) -> Self {
        Self { max, failures: 0, refused_users: 0 }
    }

    /// The longest wait from now on.
    pub(super) fn bound(&mut self, max: Duration) {
        self.max = max;
    }

    /// The device ran, or something about it changed.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.max);
    }

    /// Failed attempts in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure; answers the wait before the next attempt, `None` until something changes.
    ///
    /// `login_refused`: the server may have counted it against the user's account, whatever the code.
    pub(super) fn failed(&mut self, code: Code, login_refused: bool, jitter: f64) -> Option<Duration> {
        let rule = if login_refused { RetryRule::BackoffThenRare } else { RetryRule::of(code) };
        // Refusals of the user are counted apart, and over other failures in between: what locks an account is the
        // number of refusals, not what happened around them.
        let attempt = if rule == RetryRule::BackoffThenRare { self.refused_users } else { self.failures };
        self.failures = self.failures.saturating_add(1);
        if rule == RetryRule::BackoffThenRare {
            self.refused_users = self.refused_users.saturating_add(1);
        }
        rule.delay(attempt, self.max, jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(10);

    fn seconds(schedule: &mut Schedule, code: Code) -> Option<u64> {
        schedule.failed(code, false, 0.0).map(|delay| delay.as_secs())
    }

    #[test]
    fn a_new_bound_holds_from_the_next_failure_on() {
        let mut schedule = Schedule::new(MAX);
        for _ in 0..5 {
            seconds(&mut schedule, Code::ConnectionRefused);
        }
        schedule.bound(Duration::from_secs(3));
        assert_eq!(seconds(&mut schedule, Code::ConnectionRefused), Some(3));
    }

    #[test]
    fn failures_of_any_kind_lengthen_the_wait_and_a_reset_starts_over() {
        let mut schedule = Schedule::new(MAX);
        assert_eq!(seconds(&mut schedule, Code::ConnectionRefused), Some(1));
        assert_eq!(seconds(&mut schedule, Code::Timeout), Some(2));
        assert_eq!(seconds(&mut schedule, Code::CertificateRejectedByServer), Some(4));
        assert_eq!(schedule.failures(), 3);
        schedule.reset();
        assert_eq!(schedule.failures(), 0);
        assert_eq!(seconds(&mut schedule, Code::ConnectionRefused), Some(1));
    }

    #[test]
    fn a_user_is_refused_three_times_at_the_normal_pace_whatever_happens_in_between() {
        let mut schedule = Schedule::new(MAX);
        for _ in 0..5 {
            schedule.failed(Code::ConnectionRefused, false, 0.0);
        }
        assert_eq!(seconds(&mut schedule, Code::UserIdentityRejected), Some(1));
        assert_eq!(seconds(&mut schedule, Code::UserIdentityRejected), Some(2));
        assert_eq!(seconds(&mut schedule, Code::Timeout), Some(10));
        assert_eq!(seconds(&mut schedule, Code::UserIdentityRejected), Some(900));
        assert_eq!(seconds(&mut schedule, Code::UserIdentityRejected), Some(900));
        schedule.reset();
        assert_eq!(seconds(&mut schedule, Code::UserIdentityRejected), Some(1));
    }

    #[test]
    fn a_login_that_ends_in_any_other_way_counts_as_a_refusal_of_the_user() {
        let mut schedule = Schedule::new(MAX);
        assert_eq!(seconds(&mut schedule, Code::UserIdentityRejected), Some(1));
        let mut login = |code| schedule.failed(code, true, 0.0).map(|delay| delay.as_secs());
        assert_eq!(login(Code::ConnectionClosed), Some(2));
        assert_eq!(login(Code::ServerError), Some(900));
    }

    #[test]
    fn what_only_a_change_can_cure_is_not_tried_again() {
        let mut schedule = Schedule::new(MAX);
        assert_eq!(schedule.failed(Code::ServerCertificateChanged, false, 0.5), None);
        assert_eq!(schedule.failed(Code::CertificateExpired, false, 0.5), None);
        assert_eq!(schedule.failures(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn r15_whatever_fails_the_next_attempt_is_at_most_ten_seconds_away() {
        let mut schedule = Schedule::new(MAX);
        for failure in 0..50_u32 {
            let ended = tokio::time::Instant::now();
            let jitter = f64::from(failure % 10) / 10.0;
            let delay = schedule.failed(Code::CertificateRejectedByServer, false, jitter).unwrap();
            tokio::time::sleep(delay).await;
            assert!(ended.elapsed() <= Duration::from_millis(10_001), "attempt {failure}");
        }
    }
}
