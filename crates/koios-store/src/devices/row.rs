//! Rows of the table `devices`, and the statements that several operations share.

use koios_pki::{SecurityMode, SecurityPolicy, Sha256Thumbprint};
use serde_json::{Map, Value, json};
use sqlx::FromRow;
use time::OffsetDateTime;

use crate::audit::AuditResource;
use crate::certificates::row::parse_chain;
use crate::database::{Connection, DatabaseResult, rows_in_order};
use crate::device::{Device, DeviceRef, DeviceUser, ServerCertificatePolicy};
use crate::error::{Resource, StoreError};
use crate::id::{CertificateId, DeviceId};
use crate::instant;

/// A row, decoded as far as the database can.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub(crate) struct DeviceRow {
    pub(crate) id: String,
    pub(crate) revision: i64,
    pub(crate) name: String,
    pub(crate) name_key: String,
    pub(crate) description: Option<String>,
    pub(crate) endpoint_url: String,
    pub(crate) security_mode: String,
    pub(crate) security_policy: Option<String>,
    pub(crate) certificate_id: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) server_certificate_policy: String,
    pub(crate) server_host_name_check: bool,
    pub(crate) pinned_chain: Option<Vec<u8>>,
    pub(crate) trust_guide_product: Option<String>,
    pub(crate) scan_rate_seconds: f64,
    pub(crate) timeout_seconds: i64,
    pub(crate) enabled: bool,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl DeviceRow {
    pub(crate) fn audit_resource(&self) -> AuditResource {
        AuditResource::new("device", self.id.clone(), Some(self.name.clone()))
    }

    /// What an audit entry may say of the settings: whether there is a password, never which.
    pub(crate) fn audit_values(&self) -> Map<String, Value> {
        let values = json!({
            "name": self.name, "description": self.description, "endpoint_url": self.endpoint_url,
            "security_mode": self.security_mode, "security_policy": self.security_policy,
            "certificate_id": self.certificate_id, "username": self.username,
            "password": self.password.as_ref().map(|_| "set"),
            "server_certificate_policy": self.server_certificate_policy,
            "server_host_name_check": self.server_host_name_check,
            "trust_guide_product": self.trust_guide_product,
            "scan_rate_seconds": self.scan_rate_seconds, "timeout_seconds": self.timeout_seconds,
            "enabled": self.enabled,
        });
        match values {
            Value::Object(values) => values,
            _ => Map::new(),
        }
    }

    pub(crate) async fn find(connection: &mut Connection, id: DeviceId) -> Result<Self, StoreError> {
        sqlx::query_as("SELECT * FROM devices WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(connection)
            .await
            .database()?
            .ok_or_else(|| StoreError::not_found(Resource::Device, id))
    }

    pub(crate) async fn insert(&self, connection: &mut Connection) -> Result<(), StoreError> {
        self.bind(
            "INSERT INTO devices (id, revision, name, name_key, description, endpoint_url, security_mode, \
             security_policy, certificate_id, username, password, server_certificate_policy, server_host_name_check, \
             pinned_chain, trust_guide_product, scan_rate_seconds, timeout_seconds, enabled, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
            connection,
        )
        .await
    }

    /// Writes the row if it differs from what it was, with the next revision; says whether it did.
    pub(crate) async fn update(
        &mut self,
        connection: &mut Connection,
        before: &Self,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        if self == before {
            return Ok(false);
        }
        self.revision = before.revision.saturating_add(1);
        self.updated_at = instant::to_micros(now);
        self.bind(
            "UPDATE devices SET revision = $2, name = $3, name_key = $4, description = $5, endpoint_url = $6, \
             security_mode = $7, security_policy = $8, certificate_id = $9, username = $10, password = $11, \
             server_certificate_policy = $12, server_host_name_check = $13, pinned_chain = $14, \
             trust_guide_product = $15, scan_rate_seconds = $16, timeout_seconds = $17, enabled = $18, \
             created_at = $19, updated_at = $20 WHERE id = $1",
            connection,
        )
        .await?;
        Ok(true)
    }

    async fn bind(&self, statement: &'static str, connection: &mut Connection) -> Result<(), StoreError> {
        // No "..": a new column must be thought of here.
        let Self {
            id,
            revision,
            name,
            name_key,
            description,
            endpoint_url,
            security_mode,
            security_policy,
            certificate_id,
            username,
            password,
            server_certificate_policy,
            server_host_name_check,
            pinned_chain,
            trust_guide_product,
            scan_rate_seconds,
            timeout_seconds,
            enabled,
            created_at,
            updated_at,
        } = self;
        sqlx::query(statement)
            .bind(id)
            .bind(revision)
            .bind(name)
            .bind(name_key)
            .bind(description)
            .bind(endpoint_url)
            .bind(security_mode)
            .bind(security_policy)
            .bind(certificate_id)
            .bind(username)
            .bind(password)
            .bind(server_certificate_policy)
            .bind(server_host_name_check)
            .bind(pinned_chain)
            .bind(trust_guide_product)
            .bind(scan_rate_seconds)
            .bind(timeout_seconds)
            .bind(enabled)
            .bind(created_at)
            .bind(updated_at)
            .execute(connection)
            .await
            .database()?;
        Ok(())
    }

    pub(crate) fn id(&self) -> Result<DeviceId, StoreError> {
        self.id.parse().map_err(|source| StoreError::corrupt("devices.id", source))
    }

    pub(crate) fn mode(&self) -> Result<SecurityMode, StoreError> {
        mode_from_text(&self.security_mode)
    }

    pub(crate) fn device(&self) -> Result<Device, StoreError> {
        let security_policy = match &self.security_policy {
            None => None,
            Some(name) => {
                Some(SecurityPolicy::from_name(name).ok_or_else(|| unknown("devices.security_policy"))?)
            }
        };
        let certificate_id = match &self.certificate_id {
            None => None,
            Some(id) => {
                Some(id.parse().map_err(|source| StoreError::corrupt("devices.certificate_id", source))?)
            }
        };
        let user_identity = match &self.username {
            None => DeviceUser::Anonymous,
            Some(username) => {
                DeviceUser::UserName { username: username.clone(), password_set: self.password.is_some() }
            }
        };
        let pinned_server_certificate = match &self.pinned_chain {
            None => None,
            Some(chain) => Some(parse_chain(chain, "devices.pinned_chain")?),
        };
        Ok(Device {
            id: self.id()?,
            revision: self.revision,
            name: self.name.clone(),
            description: self.description.clone(),
            endpoint_url: self.endpoint_url.clone(),
            security_mode: self.mode()?,
            security_policy,
            certificate_id,
            user_identity,
            server_certificate_policy: ServerCertificatePolicy::from_name(&self.server_certificate_policy)
                .ok_or_else(|| unknown("devices.server_certificate_policy"))?,
            server_host_name_check: self.server_host_name_check,
            pinned_server_certificate,
            trust_guide_product: self.trust_guide_product.clone(),
            scan_rate_seconds: self.scan_rate_seconds,
            timeout_seconds: u32::try_from(self.timeout_seconds)
                .map_err(|source| StoreError::corrupt("devices.timeout_seconds", source))?,
            enabled: self.enabled,
            created_at: instant::from_micros(self.created_at, "devices.created_at")?,
            updated_at: instant::from_micros(self.updated_at, "devices.updated_at")?,
        })
    }
}

fn unknown(what: &str) -> StoreError {
    StoreError::Corrupt { what: what.to_owned(), source: None }
}

/// The name of a mode in the database.
pub(crate) fn mode_text(mode: SecurityMode) -> &'static str {
    match mode {
        SecurityMode::None => "none",
        SecurityMode::Sign => "sign",
        SecurityMode::SignAndEncrypt => "sign_and_encrypt",
    }
}

pub(crate) fn mode_from_text(text: &str) -> Result<SecurityMode, StoreError> {
    [SecurityMode::None, SecurityMode::Sign, SecurityMode::SignAndEncrypt]
        .into_iter()
        .find(|mode| mode_text(*mode) == text)
        .ok_or_else(|| unknown("devices.security_mode"))
}

/// Makes a device name a certificate, or none; says whether that is new.
///
/// # Errors
/// [`StoreError::UnknownDevice`]; the caller has made sure that the certificate exists.
pub(crate) async fn assign_certificate(
    connection: &mut Connection,
    device: DeviceId,
    certificate: Option<CertificateId>,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let before = find_named(connection, device).await?;
    let mut after = before.clone();
    after.certificate_id = certificate.map(|id| id.to_string());
    after.update(connection, &before, now).await
}

/// The certificate a device names.
pub(crate) async fn named_certificate(
    connection: &mut Connection,
    device: DeviceId,
) -> Result<Option<CertificateId>, StoreError> {
    find_named(connection, device).await?.device().map(|device| device.certificate_id)
}

/// A device that the caller named beside something else.
async fn find_named(connection: &mut Connection, device: DeviceId) -> Result<DeviceRow, StoreError> {
    DeviceRow::find(connection, device).await.map_err(|error| match error {
        StoreError::NotFound { .. } => StoreError::UnknownDevice(device),
        other => other,
    })
}

/// Which devices [`device_refs`] lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Users {
    /// Those whose effective certificate it is.
    Of(CertificateId),
    /// Those that name it, of mode `none` too.
    Naming(CertificateId),
    /// Those that use the default because they name none.
    ThroughDefault,
}

/// What a [`DeviceRef`] needs of a row.
#[derive(Debug, FromRow)]
struct RefRow {
    id: String,
    name: String,
    endpoint_url: String,
    security_mode: String,
    enabled: bool,
    names_none: bool,
}

impl RefRow {
    fn device_ref(self) -> Result<DeviceRef, StoreError> {
        let security_mode = mode_from_text(&self.security_mode)?;
        Ok(DeviceRef {
            id: self.id.parse().map_err(|source| StoreError::corrupt("devices.id", source))?,
            name: self.name,
            endpoint_url: self.endpoint_url,
            security_mode,
            enabled: self.enabled,
            through_default: self.names_none && security_mode.needs_certificate(),
        })
    }
}

macro_rules! select_device_refs {
    () => {
        "SELECT d.id, d.name, d.endpoint_url, d.security_mode, d.enabled, d.certificate_id IS NULL AS names_none \
         FROM devices d"
    };
    ($condition:literal) => {
        concat!(select_device_refs!(), " WHERE ", $condition, " ORDER BY d.name_key, d.id")
    };
}

/// Devices in their short form, in the order of these ids; those that are gone are left out.
pub(crate) async fn device_refs_by_id(
    connection: &mut Connection,
    ids: &[String],
) -> Result<Vec<DeviceRef>, StoreError> {
    let select = concat!(select_device_refs!(), " WHERE d.id IN");
    let rows = rows_in_order(connection, select, ids, |row: &RefRow| &row.id).await?;
    rows.into_iter().map(RefRow::device_ref).collect()
}

/// Devices in their short form, by name.
pub(crate) async fn device_refs(
    connection: &mut Connection,
    users: Users,
) -> Result<Vec<DeviceRef>, StoreError> {
    let (statement, id) = match users {
        Users::Of(id) => (
            select_device_refs!(
                "d.security_mode <> 'none' AND (d.certificate_id = $1 OR (d.certificate_id IS NULL AND EXISTS \
                 (SELECT 1 FROM certificates c WHERE c.id = $1 AND c.is_default)))"
            ),
            Some(id),
        ),
        Users::Naming(id) => (select_device_refs!("d.certificate_id = $1"), Some(id)),
        Users::ThroughDefault => {
            (select_device_refs!("d.security_mode <> 'none' AND d.certificate_id IS NULL"), None)
        }
    };
    let mut query = sqlx::query_as(statement);
    if let Some(id) = id {
        query = query.bind(id.to_string());
    }
    let rows: Vec<RefRow> = query.fetch_all(connection).await.database()?;
    rows.into_iter().map(RefRow::device_ref).collect()
}

/// The devices whose server presented this certificate last, by name.
pub(crate) async fn devices_shown(
    connection: &mut Connection,
    thumbprint: Sha256Thumbprint,
) -> Result<Vec<DeviceRef>, StoreError> {
    let statement = select_device_refs!(
        "d.id IN (SELECT device_id FROM presented_certificates WHERE thumbprint_sha256 = $1)"
    );
    refs_by(connection, statement, &thumbprint.to_string()).await
}

/// The devices whose connections rejected this certificate, by name.
pub(crate) async fn devices_rejecting(
    connection: &mut Connection,
    thumbprint: Sha256Thumbprint,
) -> Result<Vec<DeviceRef>, StoreError> {
    let statement =
        select_device_refs!("d.id IN (SELECT device_id FROM rejected_by WHERE thumbprint_sha256 = $1)");
    refs_by(connection, statement, &thumbprint.to_string()).await
}

/// The devices of exactly this endpoint URL, by name.
pub(crate) async fn devices_at(
    connection: &mut Connection,
    endpoint_url: &str,
) -> Result<Vec<DeviceRef>, StoreError> {
    refs_by(connection, select_device_refs!("d.endpoint_url = $1"), endpoint_url).await
}

async fn refs_by(
    connection: &mut Connection,
    statement: &'static str,
    value: &str,
) -> Result<Vec<DeviceRef>, StoreError> {
    let rows: Vec<RefRow> =
        sqlx::query_as(statement).bind(value.to_owned()).fetch_all(connection).await.database()?;
    rows.into_iter().map(RefRow::device_ref).collect()
}

/// One device in its short form.
pub(crate) async fn device_ref(connection: &mut Connection, id: DeviceId) -> Result<DeviceRef, StoreError> {
    let row: Option<RefRow> = sqlx::query_as(select_device_refs!("d.id = $1"))
        .bind(id.to_string())
        .fetch_optional(connection)
        .await
        .database()?;
    row.ok_or_else(|| StoreError::not_found(Resource::Device, id))?.device_ref()
}
