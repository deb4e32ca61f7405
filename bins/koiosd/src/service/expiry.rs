//! Warns of certificates that end soon, as they do.

use std::time::Duration;

use koios_store::{Change, ExpiryWarning, Store, StoreError};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::broadcast::error::RecvError;

use super::metrics::ExpiryMetrics;
use crate::{config::LiveSettings, error_chain::error_chain};

/// How late a warning may be; certificates that come are looked at when they come.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Gives the warnings that are due, again and again, until the store is closed.
pub(crate) async fn watch(store: Store, settings: LiveSettings, metrics: ExpiryMetrics) {
    let mut changes = store.changes();
    loop {
        match store.warn_of_expiry(&settings.now().expiry_warning_days, OffsetDateTime::now_utc()).await {
            Ok(warnings) => {
                for warning in &warnings {
                    metrics.count(warning);
                    log(warning);
                }
            }
            Err(StoreError::Interrupted) => return,
            Err(error) => tracing::warn!(
                error = error_chain(&error),
                "certificates that end soon cannot be told; they are at the next look"
            ),
        }
        let news = async {
            loop {
                match changes.recv().await {
                    Ok(Change::CertificateCreated(_) | Change::CertificateRegenerated(_))
                    | Err(RecvError::Lagged(_)) => return true,
                    Ok(_) => {}
                    Err(RecvError::Closed) => return false,
                }
            }
        };
        if let Ok(false) = tokio::time::timeout(LOOK_EVERY, news).await {
            return;
        }
    }
}

fn log(warning: &ExpiryWarning) {
    let not_after = warning.not_after.format(&Rfc3339).unwrap_or_default();
    let certificate = &warning.certificate;
    match warning.threshold_days {
        Some(_) => tracing::warn!(
            certificate.id = %certificate.id,
            certificate.name = certificate.name,
            not_after,
            expires_in_days = warning.expires_in_days,
            devices = warning.device_count,
            "a certificate expires soon; regenerate or replace it"
        ),
        None => tracing::warn!(
            certificate.id = %certificate.id,
            certificate.name = certificate.name,
            not_after,
            devices = warning.device_count,
            "a certificate has expired; regenerate or replace it"
        ),
    }
}
