//! Adding, changing and deleting devices.

use time::OffsetDateTime;

use crate::certificates::row::require_revision;
use crate::change::Change;
use crate::database::DatabaseResult;
use crate::device::{Device, DeviceSettings};
use crate::devices::endpoint_address::is_same_server;
use crate::devices::row::DeviceRow;
use crate::devices::settings::{applied, require_acceptable};
use crate::error::StoreError;
use crate::event::{DeviceName, StoreEvent};
use crate::id::DeviceId;
use crate::instant;
use crate::secrets::SecretsKey;
use crate::server_certificates::forget_presented;
use crate::store::{Apply, Store};
use crate::write::Write;

impl Store {
    /// Adds a device.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], [`StoreError::UnknownCertificate`], [`StoreError::InvalidSetting`];
    /// [`StoreError::StorageFull`] and its like.
    pub async fn create_device(&self, settings: DeviceSettings, enabled: bool) -> Result<Device, StoreError> {
        let store = self.clone();
        self.run(async move {
            let mut write = store.begin().await?;
            require_acceptable(write.connection(), &settings, None).await?;
            let row = new_row(settings, enabled, instant::now(), &store.inner.secrets)?;
            row.insert(write.connection()).await?;
            write.announce(Change::DeviceCreated(row.id()?));
            write.describe(Some(row.audit_resource()), None, Some(row.audit_values().into()));
            write.finish(Apply::Commit).await?;
            row.device()
        })
        .await
    }

    /// Gives a device other settings, all of them; whether it is enabled stays.
    ///
    /// Another host or port of the endpoint is another server: the pin, and what was presented last, go. They
    /// stay when only the path changes.
    ///
    /// Settings made from a device that was read before (a merge patch) want that device's revision as
    /// `expected_revision`, or they undo what came in between. Equal settings change nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::RevisionMismatch`]; otherwise as [`Store::create_device`].
    pub async fn update_device(
        &self,
        id: DeviceId,
        settings: DeviceSettings,
        expected_revision: Option<i64>,
    ) -> Result<Device, StoreError> {
        let store = self.clone();
        self.run(async move {
            let mut write = store.begin().await?;
            let before = DeviceRow::find(write.connection(), id).await?;
            require_revision(before.revision, expected_revision)?;
            require_acceptable(write.connection(), &settings, Some(id)).await?;
            let mut after = applied(settings, &before, id, &store.inner.secrets)?;
            if !is_same_server(&before.endpoint_url, &after.endpoint_url) {
                after.pinned_chain = None;
                forget_presented(write.connection(), id).await?;
            }
            if after.update(write.connection(), &before, instant::now()).await? {
                write.announce(Change::DeviceUpdated(id));
                describe(&mut write, &before, &after);
            } else {
                write.changes_nothing();
            }
            write.finish(Apply::Commit).await?;
            after.device()
        })
        .await
    }

    /// Deletes a device, with its history and what its server presented.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::RevisionMismatch`]; [`StoreError::Unavailable`] and its like.
    pub async fn delete_device(
        &self,
        id: DeviceId,
        expected_revision: Option<i64>,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.run(async move {
            let mut write = store.begin().await?;
            let row = DeviceRow::find(write.connection(), id).await?;
            require_revision(row.revision, expected_revision)?;
            sqlx::query("DELETE FROM devices WHERE id = $1")
                .bind(id.to_string())
                .execute(write.connection())
                .await
                .database()?;
            write.announce(Change::DeviceDeleted(id));
            write.tell(StoreEvent::DeviceDeleted(DeviceName::of(&row)?));
            write.describe(Some(row.audit_resource()), Some(row.audit_values().into()), None);
            write.finish(Apply::Commit).await
        })
        .await
    }

    /// Lets a device connect by itself, or not; what it is already changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::RevisionMismatch`] ([`Store::expecting`]); [`StoreError::Unavailable`] and
    /// its like.
    pub async fn set_enabled(&self, id: DeviceId, enabled: bool) -> Result<Device, StoreError> {
        let store = self.clone();
        self.run(async move {
            let mut write = store.begin().await?;
            let before = DeviceRow::find(write.connection(), id).await?;
            require_revision(before.revision, store.expected_revision)?;
            let mut after = DeviceRow { enabled, ..before.clone() };
            if after.update(write.connection(), &before, instant::now()).await? {
                write.announce(Change::DeviceUpdated(id));
                describe(&mut write, &before, &after);
            } else {
                write.changes_nothing();
            }
            write.finish(Apply::Commit).await?;
            after.device()
        })
        .await
    }
}

/// Records what differs.
fn describe(write: &mut Write, before: &DeviceRow, after: &DeviceRow) {
    let (mut old, mut new) = (before.audit_values(), after.audit_values());
    // The seal of a password tells that it changed, and nothing else.
    if before.password != after.password && after.password.is_some() {
        new.insert("password".to_owned(), "changed".into());
    }
    let same: Vec<String> =
        new.iter().filter(|(key, value)| old.get(*key) == Some(*value)).map(|(key, _)| key.clone()).collect();
    for key in same {
        old.remove(&key);
        new.remove(&key);
    }
    write.describe(Some(after.audit_resource()), Some(old.into()), Some(new.into()));
}

/// The row of a new device.
pub(super) fn new_row(
    settings: DeviceSettings,
    enabled: bool,
    now: OffsetDateTime,
    secrets: &SecretsKey,
) -> Result<DeviceRow, StoreError> {
    let id = DeviceId::generate();
    let blank = DeviceRow {
        id: id.to_string(),
        revision: 1,
        name: String::new(),
        name_key: String::new(),
        description: None,
        endpoint_url: String::new(),
        security_mode: String::new(),
        security_policy: None,
        certificate_id: None,
        username: None,
        password: None,
        server_certificate_policy: String::new(),
        server_host_name_check: true,
        pinned_chain: None,
        trust_guide_product: None,
        scan_rate_seconds: 0.0,
        timeout_seconds: 0,
        enabled,
        created_at: instant::to_micros(now),
        updated_at: instant::to_micros(now),
    };
    applied(settings, &blank, id, secrets)
}
