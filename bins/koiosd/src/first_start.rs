//! What the first start of a data directory does: the default certificate and the admin token.

use std::io::{self, IsTerminal, Write};

use koios_store::{AuditEntry, NewToken, Permission, Role, Store};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{
    app::StartError,
    config::{LogFormat, Settings},
    error_chain::error_chain,
    service::{
        access::PlainToken,
        certificates::{Certificates, GenerateOrder},
        tokens::first_token_entry,
    },
};

/// Sets the admin token at the first start.
pub(crate) const BOOTSTRAP_TOKEN: &str = "KOIOS_BOOTSTRAP_TOKEN";

/// Finishes setting up a new data directory; one that was set up before is left alone.
///
/// The token comes last: the store calls a start the first one until it has a token, so a start that was cut off
/// goes on where it stopped.
pub(crate) async fn prepare(
    store: &Store,
    settings: &Settings,
    certificates: &Certificates,
    bootstrap_token: Option<Zeroizing<String>>,
) -> Result<(), StartError> {
    if !store.is_first_start() {
        if bootstrap_token.is_some() {
            tracing::warn!("{BOOTSTRAP_TOKEN} is ignored: the data directory has its tokens already");
        }
        match store.forget_revoked_initial_admin_token().await {
            Ok(false) => {}
            Ok(true) => tracing::info!("initial-admin-token is removed: that token is no more"),
            Err(error) => {
                tracing::warn!(error = error_chain(&error), "initial-admin-token cannot be looked at");
            }
        }
        return Ok(());
    }
    let chosen = match &bootstrap_token {
        Some(text) => Some(PlainToken::chosen(text).ok_or(StartError::BootstrapToken)?),
        None => None,
    };
    if settings.create_default_certificate
        && store.default_certificate().await.map_err(StartError::setup)?.is_none()
    {
        let order =
            GenerateOrder { name: "Default".to_owned(), make_default: true, ..GenerateOrder::default() };
        let entry = AuditEntry::new(OffsetDateTime::now_utc(), "koios", "certificate.generated");
        let record = certificates.generate(order, entry).await.map_err(StartError::setup)?;
        tracing::info!(certificate.id = %record.id, "generated the default certificate");
    }
    create_admin_token(store, settings.log_format, chosen).await
}

async fn create_admin_token(
    store: &Store,
    log_format: LogFormat,
    chosen: Option<PlainToken>,
) -> Result<(), StartError> {
    let was_chosen = chosen.is_some();
    let token = match chosen {
        Some(token) => token,
        None => PlainToken::generate().map_err(StartError::setup)?,
    };
    let path = store.write_initial_admin_token(token.secret()).await.map_err(StartError::setup)?;
    let mut new = NewToken::new("initial admin", Role::Admin, token.hash());
    new.permissions = vec![Permission::DownloadPrivateKey];
    store.recording(first_token_entry()).create_token(new).await.map_err(StartError::setup)?;
    if was_chosen {
        tracing::info!("the admin token is the one of {BOOTSTRAP_TOKEN}");
        return Ok(());
    }
    // A token does not belong in a journal: it is shown to a person, else only its place is.
    if log_format == LogFormat::Json && !io::stderr().is_terminal() {
        tracing::info!(path = %path.display(), "koiosd admin token written");
        return Ok(());
    }
    let mut stderr = io::stderr().lock();
    let told = if stderr.is_terminal() {
        writeln!(
            stderr,
            "koiosd admin token (shown this once, kept in {}): {}",
            path.display(),
            token.secret()
        )
    } else {
        writeln!(stderr, "koiosd admin token written to {}", path.display())
    };
    // Nobody may be listening on standard error; the file is there all the same.
    drop(told);
    Ok(())
}
