//! Many devices at once: all of them or none.

use crate::change::Change;
use crate::device::{DeviceRef, DeviceSettings};
use crate::devices::row::device_ref;
use crate::devices::settings::require_acceptable;
use crate::devices::write::new_row;
use crate::devices::{ImportCode, ImportError, ImportProblem};
use crate::error::StoreError;
use crate::instant;
use crate::store::{Apply, Store};
use serde_json::json;

impl Store {
    /// Adds devices, each with whether it is enabled; one that is not acceptable keeps all of them out.
    ///
    /// # Errors
    /// [`ImportError::Problems`] with every reason; [`ImportError::Store`] when the store fails.
    pub async fn import_devices(
        &self,
        devices: Vec<(DeviceSettings, bool)>,
        apply: Apply,
    ) -> Result<Vec<DeviceRef>, ImportError> {
        let store = self.clone();
        let (created, problems) = self.run(store.import(devices, apply)).await?;
        if problems.is_empty() { Ok(created) } else { Err(ImportError::Problems(problems)) }
    }

    async fn import(
        self,
        devices: Vec<(DeviceSettings, bool)>,
        apply: Apply,
    ) -> Result<(Vec<DeviceRef>, Vec<ImportProblem>), StoreError> {
        let mut write = self.begin().await?;
        let now = instant::now();
        let (mut created, mut problems) = (Vec::new(), Vec::new());
        for (index, (settings, enabled)) in devices.into_iter().enumerate() {
            if let Err(error) = require_acceptable(write.connection(), &settings, None).await {
                problems.push(problem(index, error)?);
                continue;
            }
            // Inserted at once, so that the devices behind it find its name taken.
            let row = new_row(settings, enabled, now, &self.inner.secrets)?;
            row.insert(write.connection()).await?;
            created.push(device_ref(write.connection(), row.id()?).await?);
            write.announce(Change::DeviceCreated(row.id()?));
        }
        let ids: Vec<_> = created.iter().map(|device: &DeviceRef| device.id.to_string()).collect();
        write.describe(None, None, Some(json!({ "devices": ids })));
        let apply = if problems.is_empty() { apply } else { Apply::DryRun };
        write.finish(apply).await?;
        Ok((created, problems))
    }
}

/// What is wrong with a device; an error that is not about the device stays one.
fn problem(index: usize, error: StoreError) -> Result<ImportProblem, StoreError> {
    let (field, code) = match &error {
        StoreError::NameTaken { .. } => ("name", ImportCode::NameTaken),
        StoreError::UnknownCertificate(_) => ("certificate", ImportCode::UnknownCertificate),
        StoreError::InvalidSetting { field, .. } => (*field, ImportCode::InvalidField),
        _ => return Err(error),
    };
    Ok(ImportProblem { index, field, code, detail: error.to_string() })
}
