//! The caller's clock, as a value.

use time::OffsetDateTime;

/// What the caller's clock says, and whether that can be true.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ClockReading {
    /// The time at the begin of the attempt.
    pub now: OffsetDateTime,
    /// Whether a certificate may be refused by this clock.
    pub trust: ClockTrust,
}

impl ClockReading {
    /// The time `now`, from a clock of that trust.
    #[must_use]
    pub fn new(now: OffsetDateTime, trust: ClockTrust) -> Self {
        Self { now, trust }
    }

    /// The system's clock, believed.
    #[must_use]
    pub fn system() -> Self {
        Self::new(OffsetDateTime::now_utc(), ClockTrust::Plausible)
    }

    /// The system's clock, believed unless it lies before `known_past`, an instant that has certainly passed.
    ///
    /// The build of the program and the newest audit entry are such instants.
    #[must_use]
    pub fn system_after(known_past: OffsetDateTime) -> Self {
        let now = OffsetDateTime::now_utc();
        Self::new(now, ClockTrust::judge(now, known_past))
    }
}

/// Whether a clock can be right.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a clock is believed or it is not")]
pub enum ClockTrust {
    /// Nothing speaks against it.
    Plausible,
    /// It lies before something that has already happened: validity is warned about, not refused.
    Implausible,
}

impl ClockTrust {
    /// Judges a clock by an instant that has certainly passed.
    #[must_use]
    pub fn judge(now: OffsetDateTime, known_past: OffsetDateTime) -> Self {
        if now < known_past { Self::Implausible } else { Self::Plausible }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_a_known_past_is_not_believed() {
        let past = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        assert_eq!(ClockTrust::judge(past, past), ClockTrust::Plausible);
        assert_eq!(ClockTrust::judge(past - time::Duration::SECOND, past), ClockTrust::Implausible);
    }
}
