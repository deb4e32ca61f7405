//! Reading devices.

use zeroize::Zeroizing;

use crate::database::DatabaseResult;
use crate::device::Device;
use crate::devices::row::DeviceRow;
use crate::error::StoreError;
use crate::id::DeviceId;
use crate::store::Store;

impl Store {
    /// One device.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`] and its like.
    pub async fn device(&self, id: DeviceId) -> Result<Device, StoreError> {
        self.reading(async { DeviceRow::find(&mut *self.inner.database.read().await?, id).await?.device() })
            .await
    }

    /// One device together with the password it logs in with, of the same revision: a password read by itself may
    /// already belong to another server than a device read before it.
    ///
    /// # Errors
    /// As [`Store::device_password`].
    pub async fn device_with_password(
        &self,
        id: DeviceId,
    ) -> Result<(Device, Option<Zeroizing<String>>), StoreError> {
        self.reading(async {
            let row = DeviceRow::find(&mut *self.inner.database.read().await?, id).await?;
            let device = row.device()?;
            let password =
                row.password.map(|sealed| self.inner.secrets.open_password(id, &sealed)).transpose()?;
            Ok((device, password))
        })
        .await
    }

    /// Every device, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn all_devices(&self) -> Result<Vec<Device>, StoreError> {
        self.reading(self.rows("SELECT * FROM devices ORDER BY created_at, id")).await
    }

    /// Every device that connects by itself, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn enabled_devices(&self) -> Result<Vec<Device>, StoreError> {
        self.reading(self.rows("SELECT * FROM devices WHERE enabled ORDER BY created_at, id")).await
    }

    async fn rows(&self, statement: &'static str) -> Result<Vec<Device>, StoreError> {
        let rows: Vec<DeviceRow> =
            sqlx::query_as(statement).fetch_all(&mut *self.inner.database.read().await?).await.database()?;
        rows.iter().map(DeviceRow::device).collect()
    }

    /// The password a device logs in with; `None` when none is stored.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::PasswordUnreadable`] when `secrets.key` is not the one it was
    /// sealed with; [`StoreError::Unavailable`] and its like.
    pub async fn device_password(&self, id: DeviceId) -> Result<Option<Zeroizing<String>>, StoreError> {
        self.reading(async {
            let row = DeviceRow::find(&mut *self.inner.database.read().await?, id).await?;
            row.password.map(|sealed| self.inner.secrets.open_password(id, &sealed)).transpose()
        })
        .await
    }
}
