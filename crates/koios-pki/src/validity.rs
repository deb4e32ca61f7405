use time::{Duration, OffsetDateTime};

/// How far before its creation a certificate's validity begins, so that a peer whose clock is behind accepts it.
///
/// One day, as the .NET stack does (`opcua-certificates.md` §6, trap 25).
pub const VALIDITY_BACKDATE: Duration = Duration::DAY;

/// A certificate's validity period; both ends belong to it (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a validity is its two instants, by RFC 5280 §4.1.2.5")]
pub struct Validity {
    /// The first valid instant.
    pub not_before: OffsetDateTime,
    /// The last valid instant.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// The validity of a certificate made at `now` that is to last `days` days from then.
    ///
    /// It begins [`VALIDITY_BACKDATE`] before `now`; fractions of seconds are cut, since certificates have none;
    /// what lies beyond the year 9999 is cut to it.
    pub fn starting_at(now: OffsetDateTime, days: u32) -> Self {
        let now = now.to_offset(time::UtcOffset::UTC).truncate_to_second();
        Self {
            not_before: now.saturating_sub(VALIDITY_BACKDATE),
            not_after: now.saturating_add(Duration::days(i64::from(days))),
        }
    }

    /// Where `now` stands relative to the period.
    pub fn status_at(&self, now: OffsetDateTime) -> ValidityStatus {
        if now < self.not_before {
            ValidityStatus::NotYetValid
        } else if now > self.not_after {
            ValidityStatus::Expired
        } else {
            ValidityStatus::Valid
        }
    }

    /// Whole days from `now` to the end of the period, rounded down: 0 on the last day, negative after expiry.
    pub fn whole_days_left(&self, now: OffsetDateTime) -> i64 {
        let left = (self.not_after - now).whole_nanoseconds().div_euclid(Duration::DAY.whole_nanoseconds());
        // The years 0 to 9999 are under four million days, far inside of an i64.
        i64::try_from(left).unwrap_or(if left < 0 { i64::MIN } else { i64::MAX })
    }
}

/// Where an instant stands relative to a [`Validity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "before, inside and after are all there is")]
pub enum ValidityStatus {
    /// Before the period.
    NotYetValid,
    /// Inside of it.
    Valid,
    /// After it.
    Expired,
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-23 10:00:00 UTC);

    #[test]
    fn a_validity_starts_a_day_early_and_lasts_the_days_asked_for() {
        let validity = Validity::starting_at(datetime!(2026-11-23 12:00:00.987 +2), 1095);
        assert_eq!(validity.not_before, datetime!(2026-11-22 10:00:00 UTC));
        assert_eq!(validity.not_after, datetime!(2029-11-22 10:00:00 UTC));
        assert_eq!(validity.whole_days_left(NOW), 1095);
    }

    #[test]
    fn both_ends_belong_to_the_period() {
        let validity = Validity::starting_at(NOW, 10);
        let status = |at| validity.status_at(at);
        assert_eq!(status(validity.not_before - Duration::SECOND), ValidityStatus::NotYetValid);
        assert_eq!(status(validity.not_before), ValidityStatus::Valid);
        assert_eq!(status(validity.not_after), ValidityStatus::Valid);
        assert_eq!(status(validity.not_after + Duration::NANOSECOND), ValidityStatus::Expired);
    }

    #[test]
    fn days_left_are_rounded_down_and_negative_after_expiry() {
        let validity = Validity::starting_at(NOW, 2);
        let days = |after: Duration| validity.whole_days_left(NOW + after);
        assert_eq!(days(Duration::ZERO), 2);
        assert_eq!(days(Duration::NANOSECOND), 1);
        assert_eq!(days(Duration::hours(47)), 0);
        assert_eq!(days(Duration::hours(48)), 0);
        assert_eq!(days(Duration::hours(48) + Duration::NANOSECOND), -1);
        assert_eq!(days(Duration::hours(73)), -2);
    }

    #[test]
    fn a_validity_beyond_the_calendar_is_cut_to_it() {
        assert_eq!(Validity::starting_at(NOW, u32::MAX).not_after.year(), 9999);
    }
}
