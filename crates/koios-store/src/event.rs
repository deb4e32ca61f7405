//! What changed, told with what there is to say of it: enough to show it, without asking the store again.

use std::collections::HashMap;
use std::sync::Arc;

use koios_pki::{Certificate, CertificateChain, Sha256Thumbprint};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::sync::broadcast;

use crate::certificate::{CertificateName, CertificateRecord};
use crate::certificates::EndReason;
use crate::change::Change;
use crate::database::{Connection, rows_by_id};
use crate::device::{Device, DeviceRef};
use crate::devices::row::DeviceRow;
use crate::error::StoreError;
use crate::expiry::ExpiryWarning;
use crate::facts;
use crate::id::DeviceId;
use crate::store::{Apply, Store};

/// How many commits a listener may lag behind before it loses some.
const COMMITS_KEPT: usize = 1024;

/// How many changes a listener may lag behind before it loses some.
const CHANGES_KEPT: usize = 1024;

/// What one commit did; sent in the order of the commits ([`crate::Store::events`]).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Committed {
    /// When.
    pub at: OffsetDateTime,
    /// Never empty.
    pub events: Vec<StoreEvent>,
}

/// Something that a commit did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StoreEvent {
    /// A certificate was added.
    CertificateCreated(Box<CertificateRecord>),
    /// A certificate is no more.
    CertificateDeleted {
        /// What it was.
        certificate: CertificateName,
        /// Its leaf.
        thumbprint_sha256: Sha256Thumbprint,
        /// The devices that named it, and now name none.
        reassigned_devices: Vec<DeviceRef>,
        /// The default, which those devices use from now on.
        now_using: CertificateName,
    },
    /// The validity of a certificate has ended.
    CertificateExpired(ExpiryWarning),
    /// The validity of a certificate ends soon.
    CertificateExpiring(ExpiryWarning),
    /// A certificate has another key pair.
    CertificateRegenerated {
        /// The certificate as it is now.
        certificate: Box<CertificateRecord>,
        /// The chain that was current, leaf first.
        previous: CertificateChain,
        /// Why.
        reason: EndReason,
        /// Devices whose server must trust the new certificate.
        affected_devices: Vec<DeviceRef>,
    },
    /// Name or description of a certificate changed.
    CertificateUpdated(Box<CertificateRecord>),
    /// Devices that name no certificate use another one than before.
    DefaultChanged {
        /// The default from now on.
        certificate: Box<CertificateRecord>,
        /// The one before; `None` for the first certificate of all.
        previous: Option<CertificateName>,
    },
    /// A device was added.
    DeviceCreated(Box<Device>),
    /// A device is no more.
    DeviceDeleted(DeviceName),
    /// Any setting of a device changed, its certificate, its pin and whether it is enabled included.
    DeviceUpdated(Box<Device>),
    /// The server of a device presents another certificate than it did before.
    ServerCertificateChanged {
        /// The device.
        device: DeviceName,
        /// Its endpoint.
        endpoint_url: String,
        /// What is presented now.
        certificate: Box<Certificate>,
        /// What was presented before.
        previous_thumbprint_sha256: Sha256Thumbprint,
        /// The certificate that the device knows its server by.
        pinned_thumbprint_sha256: Option<Sha256Thumbprint>,
    },
    /// A server certificate was refused, for another reason than before if it was refused before.
    ServerCertificateRejected {
        /// The certificate.
        certificate: Box<Certificate>,
        /// Whose connection it was; `None` for a Test of settings that are not stored, and when a person rejected it.
        device: Option<DeviceName>,
        /// The connection code; `None` when a person rejected it.
        code: Option<String>,
        /// Why, for a person.
        reason: String,
    },
    /// A server certificate was seen at an endpoint for the first time, or after having been forgotten.
    ServerCertificateSeen {
        /// The endpoint.
        endpoint_url: String,
        /// The certificate.
        certificate: Box<Certificate>,
        /// Whose connection it was; `None` for a discovery or a Test of settings that are not stored.
        device: Option<DeviceName>,
    },
}

/// A device's name and id, where more would be too much.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceName {
    /// Its id.
    pub id: DeviceId,
    /// Its name.
    pub name: String,
}

impl DeviceName {
    pub(crate) fn of(row: &DeviceRow) -> Result<Self, StoreError> {
        Ok(Self { id: row.id()?, name: row.name.clone() })
    }

    /// The name of a device that may have been deleted meanwhile.
    pub(crate) async fn find(connection: &mut Connection, id: DeviceId) -> Result<Option<Self>, StoreError> {
        match DeviceRow::find(connection, id).await {
            Ok(row) => Self::of(&row).map(Some),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Store {
    /// The names of devices; those that are gone are left out.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn device_names(&self, ids: &[DeviceId]) -> Result<HashMap<DeviceId, String>, StoreError> {
        self.reading(async {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let mut connection = self.inner.database.read().await?;
            let rows: Vec<(String, String)> =
                rows_by_id(&mut connection, "SELECT id, name FROM devices WHERE id IN", &ids).await?;
            let named = rows.into_iter().map(|(id, name)| {
                let id = id.parse().map_err(|source| StoreError::corrupt("devices.id", source))?;
                Ok((id, name))
            });
            named.collect()
        })
        .await
    }

    /// A number for the first event of a process that gives events numbers of its own: greater than what any process has
    /// reached that asked before on this data directory, even with a million events a second.
    ///
    /// It follows the clock, so that a restored backup does not bring back old numbers, and what is kept, so that a clock
    /// that was set back does not either. Below 2⁵³ for the next two centuries: such numbers are exact in JSON.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like.
    pub async fn first_event_number(&self, now: OffsetDateTime) -> Result<u64, StoreError> {
        let store = self.clone();
        self.run(async move {
            let mut write = store.begin().await?;
            let before = facts::read(write.connection(), FIRST_EVENT_NUMBER).await?;
            let before = before.map(|text| text.parse::<u64>()).transpose();
            let before = before.map_err(|source| StoreError::corrupt("facts.value", source))?;
            let first = next_first(before, now);
            facts::write(write.connection(), FIRST_EVENT_NUMBER, &first.to_string()).await?;
            write.finish(Apply::Commit).await?;
            Ok(first)
        })
        .await
    }
}

/// Where the first number of the process before is kept.
const FIRST_EVENT_NUMBER: &str = "first event number";

/// More than a process gives when the clock says that no time has passed since the one before began.
const NUMBERS_WITHOUT_CLOCK: u64 = 1 << 32;

fn next_first(before: Option<u64>, now: OffsetDateTime) -> u64 {
    let seconds = (now - datetime!(2020-01-01 0:00 UTC)).whole_seconds();
    let by_clock = u64::try_from(seconds).unwrap_or(0) << 20;
    let after = before.map_or(0, |before| before.saturating_add(NUMBERS_WITHOUT_CLOCK));
    match before {
        Some(before) if by_clock <= before => after,
        _ => by_clock.max(1),
    }
}

/// What a change under way will tell, if it is committed.
#[derive(Debug)]
pub(crate) enum Told {
    /// A device was added; it is told as it is at the end of the change.
    DeviceCreated(DeviceId),
    /// As before, of a device that was changed.
    DeviceUpdated(DeviceId),
    /// This.
    Event(StoreEvent),
}

impl Told {
    /// What a change tells by itself; of others, whoever makes them says more.
    pub(crate) fn of(change: Change) -> Option<Self> {
        match change {
            Change::DeviceCreated(id) => Some(Self::DeviceCreated(id)),
            Change::DeviceUpdated(id)
            | Change::PinForgotten(id)
            | Change::ServerCertificateApproved(id)
            | Change::ServerCertificatePinned(id) => Some(Self::DeviceUpdated(id)),
            Change::CertificateCreated(_)
            | Change::CertificateDeleted(_)
            | Change::CertificateRegenerated(_)
            | Change::CertificateUpdated(_)
            | Change::DefaultChanged(_)
            | Change::DeviceDeleted(_)
            | Change::TrustListsChanged => None,
        }
    }

    fn device(&self) -> Option<DeviceId> {
        match self {
            Self::DeviceCreated(id) | Self::DeviceUpdated(id) => Some(*id),
            Self::Event(_) => None,
        }
    }
}

/// Completes what is to be told with the devices as they are within the transaction.
pub(crate) async fn complete(
    connection: &mut Connection,
    told: Vec<Told>,
) -> Result<Vec<StoreEvent>, StoreError> {
    let ids: Vec<String> = told.iter().filter_map(Told::device).map(|id| id.to_string()).collect();
    let mut devices = HashMap::new();
    if !ids.is_empty() {
        let rows: Vec<DeviceRow> = rows_by_id(connection, "SELECT * FROM devices WHERE id IN", &ids).await?;
        for row in rows {
            devices.insert(row.id()?, row.device()?);
        }
    }
    let events = told.into_iter().filter_map(|told| match told {
        Told::DeviceCreated(id) => devices.get(&id).cloned().map(Box::new).map(StoreEvent::DeviceCreated),
        Told::DeviceUpdated(id) => devices.get(&id).cloned().map(Box::new).map(StoreEvent::DeviceUpdated),
        Told::Event(event) => Some(event),
    });
    Ok(events.collect())
}

/// Who hears of changes.
#[derive(Clone, Debug)]
pub(crate) struct Listeners {
    changes: broadcast::Sender<Change>,
    events: broadcast::Sender<Arc<Committed>>,
}

impl Default for Listeners {
    fn default() -> Self {
        Self { changes: broadcast::Sender::new(CHANGES_KEPT), events: broadcast::Sender::new(COMMITS_KEPT) }
    }
}

impl Listeners {
    pub(crate) fn to_changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    pub(crate) fn to_events(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.events.subscribe()
    }

    /// Whether somebody hears events: else they need not be made.
    pub(crate) fn want_events(&self) -> bool {
        self.events.receiver_count() > 0
    }

    // An error of sending means that nobody listens.

    pub(crate) fn tell(&self, change: Change) {
        let _ = self.changes.send(change);
    }

    pub(crate) fn tell_events(&self, committed: Committed) {
        let _ = self.events.send(Arc::new(committed));
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn numbers_grow_over_restarts_whatever_the_clock_says() {
        let now = datetime!(2026-11-29 12:00 UTC);
        let first = next_first(None, now);
        let soon = next_first(Some(first), now + Duration::SECOND);
        assert!(soon >= first + 1_000_000);
        assert!(next_first(Some(first), now) > first + 1_000_000, "two starts within a second");
        assert!(next_first(Some(first), now - Duration::days(400)) > first + 1_000_000, "a clock set back");
        assert!(next_first(None, datetime!(1970-01-01 0:00 UTC)) > 0);
        let late = next_first(Some(first), datetime!(2226-01-01 0:00 UTC));
        assert!(late < 1 << 53, "exact in JSON");
    }

    #[test]
    fn a_restored_backup_does_not_bring_back_numbers() {
        let now = datetime!(2026-11-29 12:00 UTC);
        let at_the_backup = next_first(None, now - Duration::days(30));
        let lost = next_first(Some(at_the_backup), now);
        assert!(next_first(Some(at_the_backup), now + Duration::HOUR) > lost + 1_000_000);
    }
}
