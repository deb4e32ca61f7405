//! When a failed device is tried again: pure functions of code, count and a random number.

use std::time::Duration;

use crate::Code;

/// The first delay; each failed attempt doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// At most this share of a delay is cut by chance, so that a plant's devices do not return in step.
const JITTER: f64 = 0.2;

/// How many times a refused user is tried at the normal pace. Accounts are commonly locked after three to five failures.
const IDENTITY_ATTEMPTS: u32 = 3;

/// The pace at which a refused user is tried after that.
const IDENTITY_DELAY: Duration = Duration::from_secs(15 * 60);

/// How a failure with a given code is retried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RetryRule {
    /// Jittered exponential backoff up to the maximum.
    Backoff,
    /// Backoff for the first three refusals, then one attempt every 15 minutes, so that no account gets locked.
    BackoffThenRare,
    /// No attempt until the device, its certificate or its trust changes: the same attempt would fail the same way.
    UntilChange,
}

impl RetryRule {
    /// The rule for a code.
    #[must_use]
    pub fn of(code: Code) -> Self {
        match code {
            Code::UserIdentityRejected => Self::BackoffThenRare,
            Code::ServerCertificateChanged => Self::UntilChange,
            code if code.is_preflight() => Self::UntilChange,
            _ => Self::Backoff,
        }
    }

    /// How long to wait after failed attempt number `attempt` (from 0), counted from its end; `None` waits for a change.
    ///
    /// For [`RetryRule::BackoffThenRare`] `attempt` counts the refusals of the user in a row. `jitter` is in 0..1.
    #[must_use]
    pub fn delay(self, attempt: u32, max: Duration, jitter: f64) -> Option<Duration> {
        match self {
            Self::UntilChange => None,
            Self::BackoffThenRare if attempt.saturating_add(1) >= IDENTITY_ATTEMPTS => Some(IDENTITY_DELAY),
            Self::Backoff | Self::BackoffThenRare => Some(retry_delay(attempt, max, jitter)),
        }
    }
}

/// min(1 s · 2ⁿ, `max`), shortened by `jitter` (0..1, values outside are clamped) of at most 20 %.
#[must_use]
pub fn retry_delay(attempt: u32, max: Duration, jitter: f64) -> Duration {
    let factor = 1_u32.checked_shl(attempt.min(31)).unwrap_or(u32::MAX);
    let delay = FIRST_DELAY.saturating_mul(factor).min(max);
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
    delay.mul_f64(1.0 - JITTER * jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(10);

    #[test]
    fn delays_double_from_one_second_up_to_the_maximum() {
        let seconds: Vec<_> = (0..7).map(|attempt| retry_delay(attempt, MAX, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 10, 10, 10]);
        assert_eq!(retry_delay(u32::MAX, MAX, 0.0), MAX);
    }

    #[test]
    fn r15_no_delay_is_over_the_maximum_and_chance_only_shortens_it_by_a_fifth() {
        for attempt in 0..40 {
            for step in 0..=10 {
                let delay = retry_delay(attempt, MAX, f64::from(step) / 10.0);
                assert!(delay <= MAX);
                assert!(delay >= retry_delay(attempt, MAX, 0.0).mul_f64(0.799));
            }
        }
        assert_eq!(retry_delay(9, MAX, 1.0), Duration::from_secs(8));
    }

    #[test]
    fn a_broken_random_number_changes_nothing() {
        for jitter in [f64::NAN, f64::INFINITY, -3.0] {
            assert_eq!(retry_delay(0, MAX, jitter), Duration::from_secs(1));
        }
        assert_eq!(retry_delay(0, MAX, 7.0), Duration::from_millis(800));
    }

    #[test]
    fn a_maximum_under_a_second_bounds_the_first_delay_too() {
        assert_eq!(retry_delay(0, Duration::from_millis(50), 0.0), Duration::from_millis(50));
    }

    #[test]
    fn a_refused_user_is_tried_three_times_and_then_every_quarter_of_an_hour() {
        let rule = RetryRule::of(Code::UserIdentityRejected);
        let delays: Vec<_> = (0..5).map(|refusal| rule.delay(refusal, MAX, 0.0).unwrap().as_secs()).collect();
        assert_eq!(delays, [1, 2, 900, 900, 900]);
    }

    #[test]
    fn preflight_and_a_changed_server_certificate_wait_for_a_change_and_nothing_else_does() {
        for code in Code::ALL {
            let waits = RetryRule::of(code).delay(0, MAX, 0.0).is_none();
            assert_eq!(waits, code.is_preflight() || code == Code::ServerCertificateChanged, "{code}");
        }
    }

    #[test]
    fn r15_a_rejected_certificate_is_tried_again_within_ten_seconds() {
        for attempt in 0..100 {
            let delay = RetryRule::of(Code::CertificateRejectedByServer).delay(attempt, MAX, 0.0).unwrap();
            assert!(delay <= Duration::from_secs(10));
        }
    }
}
