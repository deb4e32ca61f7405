//! Which devices use a certificate.

use serde_json::json;
use std::collections::BTreeSet;

use crate::certificates::Assigned;
use crate::certificates::row::CertificateRow;
use crate::change::Change;
use crate::device::DeviceRef;
use crate::devices::DeviceSortKey;
use crate::devices::row::{assign_certificate, device_ref, device_refs_by_id, named_certificate};
use crate::error::StoreError;
use crate::id::{CertificateId, DeviceId};
use crate::instant;
use crate::listing::{DeviceOrder, Lists};
use crate::page::{Direction, Page, PageRequest};
use crate::store::{Apply, Store};

impl Store {
    /// Makes devices name a certificate, and others, that name it, name none: all of them or nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the certificate, [`StoreError::UnknownDevice`],
    /// [`StoreError::InvalidSetting`] for a device in both lists, [`StoreError::RevisionMismatch`] ([`Store::expecting`]); [`StoreError::Unavailable`] and its like.
    pub async fn assign_devices(
        &self,
        id: CertificateId,
        assign: &[DeviceId],
        unassign: &[DeviceId],
        apply: Apply,
    ) -> Result<Assigned, StoreError> {
        let store = self.clone();
        let assign: BTreeSet<DeviceId> = assign.iter().copied().collect();
        let unassign: BTreeSet<DeviceId> = unassign.iter().copied().collect();
        self.run(store.assign(id, assign, unassign, apply)).await
    }

    async fn assign(
        self,
        id: CertificateId,
        assign: BTreeSet<DeviceId>,
        unassign: BTreeSet<DeviceId>,
        apply: Apply,
    ) -> Result<Assigned, StoreError> {
        if !assign.is_disjoint(&unassign) {
            return Err(StoreError::InvalidSetting {
                field: "unassign",
                reason: "a device cannot be assigned and unassigned at once",
            });
        }
        let mut write = self.begin().await?;
        let before = CertificateRow::find(write.connection(), id).await?;
        before.require_revision(self.expected_revision)?;
        let now = instant::now();
        let (mut assigned, mut unassigned) = (Vec::new(), Vec::new());
        for device in assign {
            if assign_certificate(write.connection(), device, Some(id), now).await? {
                write.announce(Change::DeviceUpdated(device));
            }
            assigned.push(device_ref(write.connection(), device).await?);
        }
        for device in unassign {
            if named_certificate(write.connection(), device).await? != Some(id) {
                continue;
            }
            assign_certificate(write.connection(), device, None, now).await?;
            write.announce(Change::DeviceUpdated(device));
            unassigned.push(device_ref(write.connection(), device).await?);
        }
        let ids =
            |devices: &[DeviceRef]| devices.iter().map(|device| device.id.to_string()).collect::<Vec<_>>();
        let after = json!({ "assigned": ids(&assigned), "unassigned": ids(&unassigned) });
        write.describe(Some(before.audit_resource()), None, Some(after));
        let row = match apply {
            Apply::DryRun => before,
            Apply::Commit => CertificateRow::find(write.connection(), id).await?,
        };
        let certificate = self.observed_one(row).await?;
        write.finish(apply).await?;
        Ok(Assigned { certificate, assigned, unassigned })
    }

    /// The devices whose effective certificate this is, by name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::InvalidCursor`]; [`StoreError::Unavailable`] and its like.
    pub async fn devices_of(
        &self,
        id: CertificateId,
        page: PageRequest,
    ) -> Result<Page<DeviceRef>, StoreError> {
        self.reading(async {
            CertificateRow::find_uncounted(&mut *self.inner.database.read().await?, id).await?;
            let order = (DeviceOrder::Name, DeviceSortKey::Name.as_str(), Direction::Ascending);
            let id = id.as_uuid();
            let users = move |lists: &Lists| {
                lists.devices.page(order, &page, |device| device.uses(lists.default) == Some(id))
            };
            let users = self.listed(users).await?.map(|id| id.to_string());
            let devices = device_refs_by_id(&mut *self.inner.database.read().await?, &users.items).await?;
            Ok(users.with_items(devices))
        })
        .await
    }
}
