//! Certificates that end soon: each is told once per threshold that its end comes within, and once when it has ended.

use koios_pki::Sha256Thumbprint;
use sqlx::FromRow;
use time::{Duration, OffsetDateTime};

use crate::certificate::CertificateName;
use crate::certificates::row::CertificateRow;
use crate::database::{Connection, DatabaseResult};
use crate::error::StoreError;
use crate::event::StoreEvent;
use crate::id::CertificateId;
use crate::instant;
use crate::store::{Apply, Store};

/// The threshold of the end itself.
const END: u32 = 0;

/// A warning that lies further than this in the future was given by a clock that was wrong.
const CLOCK_TOLERANCE: Duration = Duration::DAY;

/// A certificate ends soon, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpiryWarning {
    /// The certificate.
    pub certificate: CertificateName,
    /// Its revision.
    pub revision: i64,
    /// Its leaf.
    pub thumbprint_sha256: Sha256Thumbprint,
    /// When it ends.
    pub not_after: OffsetDateTime,
    /// Whole days left, rounded down; negative after the end.
    pub expires_in_days: i64,
    /// The smallest threshold that the end came within; `None` when it has come.
    pub threshold_days: Option<u32>,
    /// Devices whose effective certificate it is.
    pub device_count: u64,
    /// Whether it is the default.
    pub is_default: bool,
}

/// What is known of a certificate's end and of the warnings of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ending {
    id: CertificateId,
    generation: u32,
    not_after: OffsetDateTime,
    warned: Option<Warned>,
}

/// The last warning of a certificate's end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Warned {
    generation: u32,
    threshold_days: u32,
    at: OffsetDateTime,
}

/// A warning that has to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Due {
    id: CertificateId,
    generation: u32,
    threshold_days: u32,
}

/// Which warnings have to be given now: of each certificate the one of the smallest threshold that its end lies within,
/// unless that one or a smaller one was given for the same key pair.
fn due_warnings(certificates: &[Ending], thresholds_days: &[u32], now: OffsetDateTime) -> Vec<Due> {
    let due = |certificate: &Ending| {
        let left = certificate.not_after - now;
        let threshold_days = if left.is_negative() {
            END
        } else {
            let within = |days: &&u32| **days != END && left <= Duration::days(i64::from(**days));
            *thresholds_days.iter().filter(within).min()?
        };
        let given = certificate.warned.as_ref().is_some_and(|warned| {
            warned.generation == certificate.generation
                && warned.threshold_days <= threshold_days
                && warned.at - now <= CLOCK_TOLERANCE
        });
        (!given).then_some(Due { id: certificate.id, generation: certificate.generation, threshold_days })
    };
    certificates.iter().filter_map(due).collect()
}

impl Store {
    /// Gives the warnings that are due at the instant `now`, as part of one commit, and answers them.
    ///
    /// A certificate is warned of once for each of the thresholds (in days before its end) and once when it has ended; of
    /// several thresholds passed since the last call, only the smallest is told. What was given is kept, so that no
    /// restart repeats it. Another key pair is warned of anew, and so is whatever a clock has warned of that was more
    /// than a day fast.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like; the warnings stay due then.
    pub async fn warn_of_expiry(
        &self,
        thresholds_days: &[u32],
        now: OffsetDateTime,
    ) -> Result<Vec<ExpiryWarning>, StoreError> {
        let thresholds = thresholds_days.to_vec();
        let look = async { ending(&mut *self.inner.database.read().await?, &thresholds, now).await };
        if due_warnings(&self.reading(look).await?, &thresholds, now).is_empty() {
            return Ok(Vec::new());
        }
        let store = self.clone();
        self.run(async move {
            let mut write = store.begin().await?;
            let certificates = ending(write.connection(), &thresholds, now).await?;
            let mut warnings = Vec::new();
            for due in due_warnings(&certificates, &thresholds, now) {
                let row = CertificateRow::find(write.connection(), due.id).await?;
                keep(write.connection(), &due, now).await?;
                let warning = warning(&row, due.threshold_days, now)?;
                warnings.push(warning.clone());
                write.tell(match warning.threshold_days {
                    Some(_) => StoreEvent::CertificateExpiring(warning),
                    None => StoreEvent::CertificateExpired(warning),
                });
            }
            write.finish(Apply::Commit).await?;
            Ok(warnings)
        })
        .await
    }
}

fn warning(
    row: &CertificateRow,
    threshold_days: u32,
    now: OffsetDateTime,
) -> Result<ExpiryWarning, StoreError> {
    let chain = row.chain()?;
    let not_after = chain.leaf().validity().not_after;
    Ok(ExpiryWarning {
        certificate: row.certificate_name()?,
        revision: row.revision,
        thumbprint_sha256: chain.leaf().thumbprint_sha256(),
        not_after,
        expires_in_days: (not_after - now).whole_seconds().div_euclid(Duration::DAY.whole_seconds()),
        threshold_days: (threshold_days != END).then_some(threshold_days),
        device_count: row.device_count(),
        is_default: row.is_default,
    })
}

#[derive(Debug, FromRow)]
struct EndingRow {
    id: String,
    generation: i64,
    not_after: i64,
    warned_generation: Option<i64>,
    threshold_days: Option<i64>,
    warned_at: Option<i64>,
}

impl EndingRow {
    fn ending(self) -> Result<Ending, StoreError> {
        let number =
            |number: i64, what| u32::try_from(number).map_err(|source| StoreError::corrupt(what, source));
        let warned = match (self.warned_generation, self.threshold_days, self.warned_at) {
            (Some(generation), Some(threshold_days), Some(at)) => Some(Warned {
                generation: number(generation, "expiry_warnings.generation")?,
                threshold_days: number(threshold_days, "expiry_warnings.threshold_days")?,
                at: instant::from_micros(at, "expiry_warnings.warned_at")?,
            }),
            _ => None,
        };
        Ok(Ending {
            id: self.id.parse().map_err(|source| StoreError::corrupt("certificates.id", source))?,
            generation: number(self.generation, "certificates.generation")?,
            not_after: instant::from_micros(self.not_after, "certificates.not_after")?,
            warned,
        })
    }
}

/// The certificates whose end lies within the greatest threshold, or has come.
async fn ending(
    connection: &mut Connection,
    thresholds_days: &[u32],
    now: OffsetDateTime,
) -> Result<Vec<Ending>, StoreError> {
    let greatest = thresholds_days.iter().copied().max().unwrap_or(END);
    let until = now.saturating_add(Duration::days(i64::from(greatest)));
    let rows: Vec<EndingRow> = sqlx::query_as(
        "SELECT c.id, c.generation, c.not_after, w.generation AS warned_generation, w.threshold_days, w.warned_at \
         FROM certificates c LEFT JOIN expiry_warnings w ON w.certificate_id = c.id \
         WHERE c.not_after <= $1 ORDER BY c.not_after, c.id",
    )
    .bind(instant::to_micros(until))
    .fetch_all(connection)
    .await
    .database()?;
    rows.into_iter().map(EndingRow::ending).collect()
}

async fn keep(connection: &mut Connection, due: &Due, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO expiry_warnings (certificate_id, generation, threshold_days, warned_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (certificate_id) DO UPDATE SET generation = excluded.generation, \
         threshold_days = excluded.threshold_days, warned_at = excluded.warned_at",
    )
    .bind(due.id.to_string())
    .bind(i64::from(due.generation))
    .bind(i64::from(due.threshold_days))
    .bind(instant::to_micros(now))
    .execute(connection)
    .await
    .database()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);
    const THRESHOLDS: [u32; 5] = [60, 30, 14, 7, 1];

    fn ending(left: Duration, warned: Option<Warned>) -> Ending {
        let id = "01936d00-0000-7000-8000-000000000002".parse().unwrap();
        Ending { id, generation: 2, not_after: NOW + left, warned }
    }

    fn warned(threshold_days: u32) -> Option<Warned> {
        Some(Warned { generation: 2, threshold_days, at: NOW })
    }

    /// The threshold of the warning that is due.
    fn due(left: Duration, warned: Option<Warned>) -> Option<u32> {
        due_warnings(&[ending(left, warned)], &THRESHOLDS, NOW).first().map(|due| due.threshold_days)
    }

    #[test]
    fn the_smallest_threshold_that_was_passed_is_told() {
        assert_eq!(due(Duration::days(61), None), None);
        assert_eq!(due(Duration::days(60), None), Some(60));
        assert_eq!(due(Duration::days(10), None), Some(14), "60 and 30 were passed while nobody looked");
        assert_eq!(due(Duration::seconds(1), None), Some(1));
        assert_eq!(
            due(Duration::ZERO, None),
            Some(1),
            "the last instant is within the validity (RFC 5280 §4.1.2.5)"
        );
        assert_eq!(due(Duration::seconds(-1), None), Some(END));
    }

    #[test]
    fn each_threshold_is_told_once() {
        assert_eq!(due(Duration::days(10), warned(14)), None);
        assert_eq!(due(Duration::days(10), warned(7)), None, "the clock was set back");
        assert_eq!(due(Duration::days(10), warned(30)), Some(14));
        assert_eq!(due(Duration::days(-1), warned(1)), Some(END));
        assert_eq!(due(Duration::days(-100), warned(END)), None);
    }

    #[test]
    fn another_key_pair_is_warned_of_anew() {
        let of_the_first = Some(Warned { generation: 1, threshold_days: END, at: NOW });
        assert_eq!(due(Duration::days(10), of_the_first), Some(14));
    }

    #[test]
    fn what_a_fast_clock_has_warned_of_does_not_count() {
        let from_tomorrow =
            |hours| Some(Warned { generation: 2, threshold_days: END, at: NOW + Duration::hours(hours) });
        assert_eq!(due(Duration::days(10), from_tomorrow(25)), Some(14));
        assert_eq!(due(Duration::days(10), from_tomorrow(23)), None, "clocks are corrected by small steps");
    }

    proptest! {
        /// A certificate that is looked at now and then, in any rhythm, is told of in falling order, never twice, and
        /// always as soon as it is looked at.
        #[test]
        fn no_warning_is_forgotten_or_repeated(
            thresholds in proptest::collection::vec(0_u32..400, 0..6),
            steps in proptest::collection::vec(1_i64..30 * 24, 1..40),
        ) {
            let mut certificate = ending(Duration::days(200), None);
            let mut now = NOW;
            let mut told = Vec::new();
            for hours in steps {
                now += Duration::hours(hours);
                let due = due_warnings(std::slice::from_ref(&certificate), &thresholds, now);
                let left = certificate.not_after - now;
                let passed = thresholds.iter().filter(|days| **days != END && left <= Duration::days((**days).into()));
                let expected = if left.is_negative() { Some(END) } else { passed.min().copied() };
                let expected = expected.filter(|expected| told.last().is_none_or(|last| expected < last));
                prop_assert_eq!(due.first().map(|due| due.threshold_days), expected);
                if let Some(due) = due.first() {
                    told.push(due.threshold_days);
                    let Due { generation, threshold_days, .. } = *due;
                    certificate.warned = Some(Warned { generation, threshold_days, at: now });
                }
            }
            prop_assert!(told.is_sorted_by(|one, next| one > next), "{:?}", told);
        }
    }
}
