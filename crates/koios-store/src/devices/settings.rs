//! What of a device's settings is acceptable, and how it becomes a row.

use crate::certificates::row::require_description;
use crate::database::{Connection, DatabaseResult};
use crate::device::{DeviceSettings, PasswordChange, UserSettings};
use crate::devices::row::{DeviceRow, mode_text};
use crate::error::StoreError;
use crate::id::DeviceId;
use crate::secrets::SecretsKey;

/// Longest endpoint URL, in bytes (OPC 10000-6 §7.1.2.3).
const MAX_ENDPOINT_URL: usize = 4096;

/// Longest user name and longest password, in bytes: beyond what any server takes, within any message.
const MAX_CREDENTIAL: usize = 4096;

/// Longest name of a trust guide's product, in bytes.
const MAX_PRODUCT: usize = 128;

/// It is in no text of PostgreSQL's.
const NO_NUL: &str = "no character U+0000";

/// Refuses settings that break a rule which does not depend on anything else.
fn require_sound(settings: &DeviceSettings) -> Result<(), StoreError> {
    let refuse = |field, reason| Err(StoreError::InvalidSetting { field, reason });
    require_description(settings.description.as_deref())?;
    if settings.endpoint_url.is_empty() || settings.endpoint_url.len() > MAX_ENDPOINT_URL {
        return refuse("endpoint_url", "1 to 4,096 bytes");
    }
    if settings.endpoint_url.contains('\0') {
        return refuse("endpoint_url", NO_NUL);
    }
    if !(0.1..=3600.0).contains(&settings.scan_rate_seconds) {
        return refuse("scan_rate_seconds", "0.1 to 3600");
    }
    if !(1..=300).contains(&settings.timeout_seconds) {
        return refuse("timeout_seconds", "1 to 300");
    }
    if settings.trust_guide_product.as_ref().is_some_and(|product| product.len() > MAX_PRODUCT) {
        return refuse("trust_guide_product", "at most 128 bytes");
    }
    if settings.trust_guide_product.as_ref().is_some_and(|product| product.contains('\0')) {
        return refuse("trust_guide_product", NO_NUL);
    }
    if let UserSettings::UserName { username, password } = &settings.user_identity {
        if username.is_empty() || username.len() > MAX_CREDENTIAL {
            return refuse("username", "1 to 4,096 bytes");
        }
        if username.contains('\0') {
            return refuse("username", NO_NUL);
        }
        if matches!(password, PasswordChange::Set(password) if password.len() > MAX_CREDENTIAL) {
            return refuse("password", "at most 4,096 bytes");
        }
    }
    Ok(())
}

/// Refuses settings that do not fit what is stored.
pub(super) async fn require_acceptable(
    connection: &mut Connection,
    settings: &DeviceSettings,
    own: Option<DeviceId>,
) -> Result<(), StoreError> {
    require_sound(settings)?;
    let holder: Option<String> = sqlx::query_scalar("SELECT id FROM devices WHERE name_key = $1")
        .bind(settings.name.folded())
        .fetch_optional(&mut *connection)
        .await
        .database()?;
    if holder.is_some_and(|id| own.is_none_or(|own| own.to_string() != id)) {
        return Err(StoreError::NameTaken { name: settings.name.to_string() });
    }
    if let Some(certificate) = settings.certificate_id {
        let known: Option<String> = sqlx::query_scalar("SELECT id FROM certificates WHERE id = $1")
            .bind(certificate.to_string())
            .fetch_optional(connection)
            .await
            .database()?;
        known.ok_or(StoreError::UnknownCertificate(certificate))?;
    }
    Ok(())
}

/// A device's row with these settings; pin, enabled and revision are still those of `row`.
pub(super) fn applied(
    settings: DeviceSettings,
    row: &DeviceRow,
    id: DeviceId,
    secrets: &SecretsKey,
) -> Result<DeviceRow, StoreError> {
    // No "..": a new setting must be thought of here.
    let DeviceSettings {
        name,
        description,
        endpoint_url,
        security_mode,
        security_policy,
        certificate_id,
        user_identity,
        server_certificate_policy,
        server_host_name_check,
        trust_guide_product,
        scan_rate_seconds,
        timeout_seconds,
    } = settings;
    let (username, password) = match user_identity {
        UserSettings::Anonymous => (None, None),
        UserSettings::UserName { username, password } => {
            let password = match password {
                PasswordChange::Keep => row.password.clone(),
                PasswordChange::Clear => None,
                PasswordChange::Set(password) => Some(secrets.seal(id, &password)?),
            };
            (Some(username), password)
        }
    };
    Ok(DeviceRow {
        name_key: name.folded(),
        name: name.to_string(),
        description,
        endpoint_url,
        security_mode: mode_text(security_mode).to_owned(),
        security_policy: security_policy.map(|policy| policy.name().to_owned()),
        certificate_id: certificate_id.map(|id| id.to_string()),
        username,
        password,
        server_certificate_policy: server_certificate_policy.as_str().to_owned(),
        server_host_name_check,
        trust_guide_product,
        scan_rate_seconds,
        timeout_seconds: i64::from(timeout_seconds),
        ..row.clone()
    })
}
