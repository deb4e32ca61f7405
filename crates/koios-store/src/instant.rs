//! Instants as the database keeps them: whole microseconds since 1970 in UTC.

use time::OffsetDateTime;

use crate::error::StoreError;

/// The present, as precise as the database keeps it, so that what a write answers equals what a read answers.
pub(crate) fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(now.microsecond() * 1_000).unwrap_or(now)
}

/// The instant as a number; one beyond the calendar of `time` cannot come in.
pub(crate) fn to_micros(instant: OffsetDateTime) -> i64 {
    i64::try_from(instant.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

/// The instant of a number from the column `what`.
pub(crate) fn from_micros(micros: i64, what: &str) -> Result<OffsetDateTime, StoreError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .map_err(|source| StoreError::corrupt(what, source))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_instant_survives_the_database_to_the_microsecond() {
        for instant in
            [datetime!(2026-11-23 10:00:00.123456 UTC), datetime!(1950-01-01 0:00:00.000001 UTC), now()]
        {
            assert_eq!(from_micros(to_micros(instant), "test").unwrap(), instant);
        }
    }
}
