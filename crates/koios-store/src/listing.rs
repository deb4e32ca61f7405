//! What lists need of every certificate and device, in memory: searched, filtered and put in order here, the rows of a page
//! are then read by their ids.
//!
//! Every commit notes the rows that it changes under a number that grows ([`row_changes`]). A list asks for that number
//! first and reads the rows noted since its last look anew, so it knows all that was committed before it was asked for,
//! whichever process did. A row that changes between the two may be read newer than the number says, and is read again with
//! the next.

mod certificate;
mod device;
mod text;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use uuid::Uuid;

use crate::blocking::store_blocking;
use crate::database::{Connection, Database, DatabaseResult, rows_by_id};
use crate::error::StoreError;
use crate::page::Ordered;
use crate::row_changes::{self, Kind};
use crate::store::Store;

pub(crate) use certificate::{CertificateOrder, ListedCertificate};
pub(crate) use device::{DeviceOrder, ListedDevice};
pub(crate) use text::Search;

use certificate::CertificateRow;
use device::DeviceRow;

/// No commit has this number.
const UNKNOWN: i64 = -1;

/// More changed rows than this are read with all others.
const MOST_BY_ID: usize = 5_000;

/// What is kept, and how far it is up to date.
#[derive(Debug)]
pub(crate) struct Listing {
    /// `None` until a list is asked for. Only where it may block: to put thousands of new entries in order takes a while.
    lists: RwLock<Option<Lists>>,
    /// The number of the commit that is known, or [`UNKNOWN`].
    revision: AtomicI64,
    /// Held by whoever brings them up to date.
    turn: tokio::sync::Mutex<()>,
}

/// Everything as of one commit, or newer.
#[derive(Debug)]
pub(crate) struct Lists {
    pub(crate) certificates: Ordered<ListedCertificate>,
    pub(crate) devices: Ordered<ListedDevice>,
    pub(crate) default: Option<Uuid>,
    /// How many devices that need a certificate name this one, or none.
    users: HashMap<Option<Uuid>, i64>,
}

/// Rows as they were read.
struct Found {
    revision: i64,
    certificates: Vec<CertificateRow>,
    devices: Vec<DeviceRow>,
    default: Option<String>,
    /// The rows that were asked for; `None` when all were.
    asked: Option<row_changes::Rows>,
}

impl Store {
    /// Reads what lists need into memory, so that the first search is as fast as the others; else that one does it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn prepare_lists(&self) -> Result<(), StoreError> {
        self.reading(self.listed(|_| Ok(()))).await
    }

    /// Asks the lists as they are after every commit until now.
    pub(crate) async fn listed<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Lists) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let listing = Arc::clone(&self.inner.listing);
        listing.bring_up_to_date(&self.inner.database).await?;
        let ask = move || match &*listing.lists.read().unwrap_or_else(PoisonError::into_inner) {
            Some(lists) => ask(lists),
            None => Err(StoreError::Interrupted),
        };
        store_blocking(ask).await
    }
}

impl Default for Listing {
    fn default() -> Self {
        Self { lists: RwLock::default(), revision: UNKNOWN.into(), turn: tokio::sync::Mutex::default() }
    }
}

impl Listing {
    async fn bring_up_to_date(self: &Arc<Self>, database: &Database) -> Result<(), StoreError> {
        let newest = row_changes::revision(&mut *database.read().await?).await?;
        let known = || self.revision.load(Ordering::Acquire);
        if known() >= newest {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let known = known();
        // Whoever had the turn before may have done it.
        if known >= newest {
            return Ok(());
        }
        let known = Some(known).filter(|known| *known != UNKNOWN);
        let found = Found::read(&mut *database.read().await?, known).await?;
        let listing = Arc::clone(self);
        store_blocking(move || listing.take_in(found)).await
    }

    fn take_in(&self, found: Found) -> Result<(), StoreError> {
        let Found { revision, certificates, devices, default, asked } = found;
        let certificates = decoded(certificates, ListedCertificate::of)?;
        let devices = decoded(devices, ListedDevice::of)?;
        let default = default
            .map(|id| Uuid::parse_str(&id))
            .transpose()
            .map_err(|source| StoreError::corrupt("certificates.id", source))?;
        let Some(asked) = asked else {
            let lists = Lists::new(certificates, devices, default);
            self.keep(revision, |kept| *kept = Some(lists));
            return Ok(());
        };
        let mut certificates: HashMap<Uuid, _> =
            certificates.into_iter().map(|entry| (entry.id, entry)).collect();
        let mut devices: HashMap<Uuid, _> = devices.into_iter().map(|entry| (entry.id, entry)).collect();
        // What was asked for and is not there was deleted.
        let of = |kind| asked.iter().filter(move |row| row.0 == kind).map(|(_, id)| *id);
        let certificates = of(Kind::Certificate).map(|id| (id, certificates.remove(&id))).collect();
        let devices: Vec<_> = of(Kind::Device).map(|id| (id, devices.remove(&id))).collect();
        self.keep(revision, |kept| {
            if let Some(lists) = kept {
                lists.certificates.replace(certificates);
                of(Kind::Device).for_each(|id| lists.count_users(id, -1));
                lists.devices.replace(devices);
                of(Kind::Device).for_each(|id| lists.count_users(id, 1));
                lists.default = default;
            }
        });
        Ok(())
    }

    fn keep(&self, revision: i64, change: impl FnOnce(&mut Option<Lists>)) {
        let mut kept = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        // If the change panics, everything is read anew.
        self.revision.store(UNKNOWN, Ordering::Release);
        change(&mut kept);
        self.revision.store(revision, Ordering::Release);
    }
}

impl Found {
    /// Reads all rows, or those that changed since they were `known`.
    ///
    /// The number comes first: a row that changes after it is read again with the next.
    async fn read(connection: &mut Connection, known: Option<i64>) -> Result<Self, StoreError> {
        let changed = match known {
            Some(known) => row_changes::since(connection, known).await?,
            None => None,
        };
        let (revision, asked) = match changed {
            Some((revision, rows)) if rows.len() <= MOST_BY_ID => (revision, Some(rows)),
            Some((revision, _)) => (revision, None),
            None => (row_changes::revision(connection).await?, None),
        };
        let (certificates, devices) = match &asked {
            None => (
                sqlx::query_as(CertificateRow::ALL).fetch_all(&mut *connection).await.database()?,
                sqlx::query_as(DeviceRow::ALL).fetch_all(&mut *connection).await.database()?,
            ),
            Some(rows) => {
                let ids = |kind| {
                    let rows = rows.iter().filter(move |row| row.0 == kind);
                    rows.map(|(_, id)| id.to_string()).collect::<Vec<_>>()
                };
                (
                    rows_by_id(connection, CertificateRow::BY_ID, &ids(Kind::Certificate)).await?,
                    rows_by_id(connection, DeviceRow::BY_ID, &ids(Kind::Device)).await?,
                )
            }
        };
        let default = sqlx::query_scalar("SELECT id FROM certificates WHERE is_default")
            .fetch_optional(connection)
            .await
            .database()?;
        Ok(Self { revision, certificates, devices, default, asked })
    }
}

fn decoded<R, E>(rows: Vec<R>, decode: fn(R) -> Result<E, StoreError>) -> Result<Vec<E>, StoreError> {
    rows.into_iter().map(decode).collect()
}

impl Lists {
    fn new(certificates: Vec<ListedCertificate>, devices: Vec<ListedDevice>, default: Option<Uuid>) -> Self {
        let mut users = HashMap::new();
        for named in devices.iter().filter_map(ListedDevice::needs) {
            let count: &mut i64 = users.entry(named).or_default();
            *count = count.saturating_add(1);
        }
        Self { certificates: Ordered::new(certificates), devices: Ordered::new(devices), default, users }
    }

    /// How many devices use a certificate, as [`crate::CertificateRecord::device_count`] says.
    pub(crate) fn device_count(&self, certificate: Uuid) -> i64 {
        let naming = |named: Option<Uuid>| self.users.get(&named).copied().unwrap_or(0);
        let through_default = if self.default == Some(certificate) { naming(None) } else { 0 };
        naming(Some(certificate)).saturating_add(through_default)
    }

    fn count_users(&mut self, id: Uuid, by: i64) {
        if let Some(named) = self.devices.get(id).and_then(ListedDevice::needs) {
            let count = self.users.entry(named).or_default();
            *count = count.saturating_add(by);
        }
    }
}
