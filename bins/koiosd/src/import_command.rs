//! `koiosd import`: identities of other products, from their folders and key stores.

mod report;

use std::io::{self, Write};

use koios_opcua::DeprecatedPolicies;
use koios_store::{
    Apply, ForeignPki, ImportOptions, ImportOrder, ImportRefused, ImportReport, Name, NameError, OpenError,
    PairRules, ServerTrust, Store, look_for_identities,
};

use crate::{
    command_line::ImportArguments,
    command_runtime::command_runtime,
    config::Settings,
    progress_line::ProgressLine,
    secret_file::{self, PassphraseError},
    service::certificates::{judge_length, length_in_days},
};

/// Who it was, in the audit trail.
const ACTOR: &str = "koiosd import";

/// Not everything could be taken over.
const EXIT_INCOMPLETE: u8 = 1;

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportCommandError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What was done cannot be said.
    #[error("it is done, but that cannot be written out")]
    Output(#[source] io::Error),
    /// A file with a passphrase is of no use.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// It cannot be read, or not be stored.
    #[error(transparent)]
    Refused(#[from] ImportRefused),
    /// The command cannot run.
    #[error("the command cannot be started")]
    Runtime(#[source] io::Error),
}

impl ImportCommandError {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Open(OpenError::MasterKey { .. }) => 2,
            Self::Open(_) => 3,
            Self::Name(_)
            | Self::Passphrase(_)
            | Self::Refused(ImportRefused::NameForSeveral { .. } | ImportRefused::Source { .. }) => 2,
            Self::Output(_) | Self::Refused(_) | Self::Runtime(_) => 1,
        }
    }
}

/// Carries the command out; answers the exit code.
///
/// # Errors
///
/// [`ImportCommandError`] when nothing was imported.
pub fn import(settings: &Settings, arguments: &ImportArguments) -> Result<u8, ImportCommandError> {
    let mut order = ImportOrder::new(arguments.sources.clone());
    for path in &arguments.passphrase_file {
        order.passphrases.push(secret_file::passphrase(path)?);
    }
    order.rules = rules(settings.deprecated_policies());
    let mut options = ImportOptions::new(ACTOR);
    options.name = arguments.name.as_deref().map(Name::parse).transpose()?;
    if arguments.trust {
        options.server_trust = ServerTrust::Import;
    }
    let progress = ProgressLine::on_stderr(arguments.json);
    (order.progress, options.progress) = (progress.progress(), progress.progress());
    let runtime = command_runtime().map_err(ImportCommandError::Runtime)?;
    let report = runtime.block_on(async {
        let found = look_for_identities(order).await?;
        carry_out(settings, found, &options, arguments.dry_run).await
    });
    drop(progress);
    let report = report?;
    let text = if arguments.json {
        report::json(&report, arguments.dry_run).map_err(|error| ImportCommandError::Output(error.into()))?
    } else {
        report::text(&report, &settings.data_dir, arguments.dry_run)
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(ImportCommandError::Output)?;
    Ok(if report.is_complete() { 0 } else { EXIT_INCOMPLETE })
}

/// What an upload would get.
fn rules(deprecated: DeprecatedPolicies) -> PairRules {
    let mut rules = PairRules::default();
    if deprecated == DeprecatedPolicies::Refused {
        rules.judge_key = judge_length;
    }
    rules.validity_days = length_in_days;
    rules
}

async fn carry_out(
    settings: &Settings,
    found: ForeignPki,
    options: &ImportOptions,
    dry_run: bool,
) -> Result<ImportReport, ImportCommandError> {
    let nothing = found.identity_count() == 0
        && (options.server_trust == ServerTrust::Leave || found.trust_count() == 0);
    // A mistake in a path makes no data directory.
    if nothing || (dry_run && !settings.data_dir.join("koios.db").exists()) {
        return Ok(found.preview(options)?);
    }
    let store_options = settings.store_options();
    let (store, apply) = match dry_run {
        true => (Store::open_for_reading(store_options).await?, Apply::DryRun),
        false => (Store::open(store_options).await?, Apply::Commit),
    };
    let imported = store.import_identities(found, options, apply).await;
    store.close().await;
    Ok(imported?)
}
