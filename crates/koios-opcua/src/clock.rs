//! The caller's clock, as a value.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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

/// An instant for a person, in UTC to the second: `2026-11-23T10:00:00Z` (RFC 3339).
pub(crate) fn rfc3339(instant: OffsetDateTime) -> String {
    let second = instant.replace_nanosecond(0).unwrap_or(instant);
    let utc = second.checked_to_offset(time::UtcOffset::UTC).unwrap_or(second);
    // RFC 3339 has no years before 0 or after 9999; nor does a certificate.
    utc.format(&Rfc3339).unwrap_or_else(|_| utc.to_string())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn instants_are_said_in_utc_to_the_second() {
        assert_eq!(rfc3339(datetime!(2021-01-01 0:00:00 UTC)), "2021-01-01T00:00:00Z");
        assert_eq!(rfc3339(datetime!(2026-11-23 10:00:00.123456789 +02:00)), "2026-11-23T08:00:00Z");
    }

    #[test]
    fn a_clock_before_a_known_past_is_not_believed() {
        let past = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        assert_eq!(ClockTrust::judge(past, past), ClockTrust::Plausible);
        assert_eq!(ClockTrust::judge(past - time::Duration::SECOND, past), ClockTrust::Implausible);
    }
}
