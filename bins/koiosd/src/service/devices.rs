//! Devices: what can be asked of them and done with them.

mod change;
mod import;
mod safeguard;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use koios_opcua::{DeviceStatus, Supervisor, effective_certificate};
use koios_store::{
    CertificateId, CertificateRecord, Device, DeviceFilter, DeviceId, DeviceQuery, DeviceState, Page,
    PageRequest, Store, StoreError, Transition,
};

use super::{access::Caller, error::ServiceError};
use crate::config::LiveSettings;

pub(crate) use change::{DeviceChange, DeviceRules, TIMEOUT_RANGE, UserChange, UserKind, whole_seconds};
pub(crate) use import::{CertificateReference, ExportedDevice, ImportedDevice, Problem, ProblemKind};
pub(crate) use safeguard::{expect_password, expect_right_to_weaken};

/// Keeps devices, and knows how they fare.
#[derive(Debug)]
pub(crate) struct Devices {
    store: Store,
    settings: LiveSettings,
    supervisor: Arc<Supervisor>,
}

/// A device with what it uses and how it fares.
#[derive(Debug)]
pub(crate) struct DeviceView {
    pub(crate) device: Device,
    /// `None` in mode `none`, and where there is no certificate at all.
    pub(crate) effective_certificate: Option<CertificateRecord>,
    pub(crate) status: DeviceStatus,
}

/// How often a merge patch is tried when others change the device at the same time.
const PATCH_ATTEMPTS: usize = 8;

impl Devices {
    pub(crate) fn new(store: Store, settings: LiveSettings, supervisor: Arc<Supervisor>) -> Self {
        Self { store, settings, supervisor }
    }

    /// How long before its end a certificate is `expiring_soon`.
    pub(crate) fn expiring_soon(&self) -> time::Duration {
        self.settings.now().expiring_soon()
    }

    /// A page of devices, of those in one of `states` when any is given.
    pub(crate) async fn list(
        &self,
        mut query: DeviceQuery,
        states: &[DeviceState],
    ) -> Result<Page<DeviceView>, ServiceError> {
        if !states.is_empty() {
            let (seen, wanted) = (self.supervisor.states(), states.to_vec());
            query.filter = Some(DeviceFilter::new(move |device, enabled| {
                let seen = seen.get(&device).copied().unwrap_or(DeviceState::Stopped);
                wanted.contains(&shown_state(seen, enabled))
            }));
        }
        let page = self.store.devices(query).await?;
        let certificates = self.certificates_of(&page.items).await?;
        Ok(page.map(|device| self.view(device, &certificates)))
    }

    pub(crate) async fn detail(&self, id: DeviceId) -> Result<DeviceView, ServiceError> {
        let device = self.store.device(id).await?;
        self.view_alone(device).await
    }

    pub(crate) async fn create(
        &self,
        caller: &Caller,
        change: DeviceChange,
        enabled: bool,
    ) -> Result<DeviceView, ServiceError> {
        let rules = self.settings.now().device_rules();
        let settings = change.into_settings(rules)?;
        expect_right_to_weaken(caller, None, &settings, rules)?;
        let device =
            self.store.recording(caller.entry("device.created")).create_device(settings, enabled).await?;
        self.view_alone(device).await
    }

    /// Merges changes into a device as it is when they are stored.
    pub(crate) async fn patch(
        &self,
        caller: &Caller,
        id: DeviceId,
        change: DeviceChange,
        expected_revision: Option<i64>,
    ) -> Result<DeviceView, ServiceError> {
        let rules = self.settings.now().device_rules();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let before = self.store.device(id).await?;
            expect_revision(&before, expected_revision)?;
            let settings = change.clone().merged_into(&before, rules.deprecated)?;
            expect_right_to_weaken(caller, Some(&before), &settings, rules)?;
            expect_password(&before, &settings)?;
            let store = self.store.recording(caller.entry("device.updated"));
            match store.update_device(id, settings, Some(before.revision)).await {
                Ok(device) => return self.view_alone(device).await,
                Err(StoreError::RevisionMismatch { .. })
                    if expected_revision.is_none() && attempt < PATCH_ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Closes the device's session, then deletes it.
    pub(crate) async fn delete(
        &self,
        caller: &Caller,
        id: DeviceId,
        expected_revision: Option<i64>,
    ) -> Result<(), ServiceError> {
        expect_revision(&self.store.device(id).await?, expected_revision)?;
        // If the deletion fails, the device goes on when this is dropped.
        let stopped = self.supervisor.stop_device(id).await;
        let deleted =
            self.store.recording(caller.entry("device.deleted")).delete_device(id, expected_revision).await;
        drop(stopped);
        Ok(deleted?)
    }

    pub(crate) async fn enable(
        &self,
        caller: &Caller,
        id: DeviceId,
        expected_revision: Option<i64>,
    ) -> Result<DeviceView, ServiceError> {
        expect_revision(&self.store.device(id).await?, expected_revision)?;
        let store = self.store.recording(caller.entry("device.enabled")).expecting(expected_revision);
        let device = store.set_enabled(id, true).await?;
        self.view_alone(device).await
    }

    /// Closes the device's session; it connects no more.
    pub(crate) async fn disable(
        &self,
        caller: &Caller,
        id: DeviceId,
        expected_revision: Option<i64>,
    ) -> Result<DeviceView, ServiceError> {
        expect_revision(&self.store.device(id).await?, expected_revision)?;
        let stopped = self.supervisor.stop_device(id).await;
        let store = self.store.recording(caller.entry("device.disabled")).expecting(expected_revision);
        let disabled = store.set_enabled(id, false).await;
        drop(stopped);
        self.view_alone(disabled?).await
    }

    pub(crate) async fn status(&self, id: DeviceId) -> Result<DeviceStatus, ServiceError> {
        let device = self.store.device(id).await?;
        Ok(self.status_of(&device))
    }

    pub(crate) async fn history(
        &self,
        id: DeviceId,
        page: PageRequest,
    ) -> Result<Page<Transition>, ServiceError> {
        Ok(self.store.history(id, page).await?)
    }

    fn status_of(&self, device: &Device) -> DeviceStatus {
        let mut status = self.supervisor.status(device.id);
        // A device that never ran is stopped since the start of the supervisor, which may lie before its creation.
        status.since = status.since.max(device.created_at);
        let shown = shown_state(status.state, device.enabled);
        if shown != status.state {
            status.state = shown;
            status.since = status.since.max(device.updated_at);
        }
        status
    }

    async fn view_alone(&self, device: Device) -> Result<DeviceView, ServiceError> {
        let certificates = self.certificates_of(std::slice::from_ref(&device)).await?;
        Ok(self.view(device, &certificates))
    }

    fn view(&self, device: Device, certificates: &Certificates) -> DeviceView {
        let effective =
            effective_certificate(device.security_mode, device.certificate_id, certificates.default);
        let effective_certificate = effective.id().and_then(|id| certificates.records.get(&id)).cloned();
        DeviceView { effective_certificate, status: self.status_of(&device), device }
    }

    /// The certificates that these devices use, each read once.
    async fn certificates_of(&self, devices: &[Device]) -> Result<Certificates, StoreError> {
        let default = self.store.default_certificate().await?;
        let named: BTreeSet<CertificateId> =
            devices.iter().filter_map(|device| device.certificate_id).collect();
        let named: Vec<CertificateId> = named.into_iter().collect();
        // One that was deleted since the devices were read is left out.
        let records = self.store.certificates_by_id(&named).await?;
        let default_id = default.as_ref().map(|record| record.id);
        let records = records.into_iter().chain(default).map(|record| (record.id, record)).collect();
        Ok(Certificates { default: default_id, records })
    }
}

/// Between the change and the supervisor's hearing of it, an enabled device is about to start.
fn shown_state(seen: DeviceState, enabled: bool) -> DeviceState {
    if enabled && seen == DeviceState::Stopped { DeviceState::Starting } else { seen }
}

struct Certificates {
    default: Option<CertificateId>,
    records: HashMap<CertificateId, CertificateRecord>,
}

/// A check before what is done for a change; the store makes it once more, within the change.
pub(crate) fn expect_revision(device: &Device, expected: Option<i64>) -> Result<(), StoreError> {
    match expected {
        Some(expected) if expected != device.revision => {
            Err(StoreError::RevisionMismatch { expected, current: device.revision })
        }
        _ => Ok(()),
    }
}
