//! `koiosd backup` and `koiosd restore`.

use std::{
    future::Future,
    io::{self, Write},
};

use koios_store::{
    Apply, BackupError, BackupOrder, Difference, DifferenceKind, OpenError, RestoreOrder, Restored,
    StoreError,
};
use time::format_description::well_known::Rfc3339;

use crate::{
    command_line::{BackupArguments, RestoreArguments},
    command_runtime::command_runtime,
    config::Settings,
    progress_line::ProgressLine,
    secret_file::{self, PassphraseError},
};

/// Why nothing was backed up or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupCommandError {
    /// It was not made, or not restored.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// What was done cannot be said.
    #[error("it is done, but that cannot be written out")]
    Output(#[source] io::Error),
    /// The file with the passphrase is of no use.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The command cannot run.
    #[error("the command cannot be started")]
    Runtime(#[source] io::Error),
}

impl BackupCommandError {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Backup(BackupError::Open(OpenError::MasterKey { .. })) => 2,
            Self::Backup(
                BackupError::Open(_)
                | BackupError::Store(StoreError::Corrupt { .. } | StoreError::Damaged { .. }),
            ) => 3,
            Self::Passphrase(_) | Self::Backup(BackupError::MasterKey { .. }) => 2,
            Self::Backup(_) | Self::Output(_) | Self::Runtime(_) => 1,
        }
    }
}

/// Backs the data directory up; answers the exit code.
///
/// # Errors
///
/// [`BackupCommandError`] when there is no backup.
pub fn back_up(settings: &Settings, arguments: &BackupArguments) -> Result<u8, BackupCommandError> {
    let mut order = BackupOrder::new(&settings.data_dir, &arguments.file);
    order.passphrase = arguments.passphrase_file.as_deref().map(secret_file::passphrase).transpose()?;
    order.replace = arguments.force;
    let encrypted = order.passphrase.is_some();
    let progress = ProgressLine::on_stderr(false);
    order.progress = progress.progress();
    let done = run(koios_store::back_up(order));
    drop(progress);
    let done = done?;
    let mut out = io::stdout().lock();
    let written = (|| {
        writeln!(
            out,
            "{}: certificates {}, devices {}, {} bytes{}",
            arguments.file.display(),
            done.certificates,
            done.devices,
            done.bytes,
            if encrypted { ", encrypted" } else { "" }
        )?;
        for left in &done.left_out {
            writeln!(out, "WARNING: {} is not in it: {}", left.path, left.why)?;
        }
        if !encrypted {
            writeln!(
                out,
                "It holds private keys and is not encrypted: whoever reads it can pass for Koios."
            )?;
        }
        out.flush()
    })();
    written.map_err(BackupCommandError::Output)?;
    Ok(0)
}

/// Restores a backup, or says what that would change; answers the exit code.
///
/// # Errors
///
/// [`BackupCommandError`] when nothing was restored.
pub fn restore(settings: &Settings, arguments: &RestoreArguments) -> Result<u8, BackupCommandError> {
    let mut order = RestoreOrder::new(&settings.data_dir, &arguments.file);
    order.passphrase = arguments.passphrase_file.as_deref().map(secret_file::passphrase).transpose()?;
    order.master_key.clone_from(&settings.master_key);
    order.encryption_at_rest = settings.encryption_at_rest;
    order.apply = if arguments.dry_run { Apply::DryRun } else { Apply::Commit };
    let progress = ProgressLine::on_stderr(false);
    order.progress = progress.progress();
    let restored = run(koios_store::restore(order));
    drop(progress);
    let restored = restored?;
    print(&restored, arguments.dry_run).map_err(BackupCommandError::Output)?;
    Ok(0)
}

fn run<T>(work: impl Future<Output = Result<T, BackupError>>) -> Result<T, BackupCommandError> {
    let runtime = command_runtime().map_err(BackupCommandError::Runtime)?;
    Ok(runtime.block_on(work)?)
}

fn print(restored: &Restored, dry_run: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "backup of {} by koiosd {}: certificates {}, devices {}; whole, and its parts belong together",
        restored.created_at.format(&Rfc3339).unwrap_or_default(),
        restored.koios_version,
        restored.certificates,
        restored.devices
    )?;
    for warning in &restored.warnings {
        writeln!(out, "WARNING: {warning}")?;
    }
    for difference in &restored.differences {
        writeln!(out, "{}", line(difference))?;
    }
    if restored.differences.is_empty() {
        writeln!(
            out,
            "as the database has it, no certificate, device or token is different, and no file of the trust lists"
        )?;
    }
    match (&restored.kept, dry_run) {
        (_, true) => writeln!(out, "dry run: nothing was changed")?,
        (None, false) => writeln!(out, "restored")?,
        (Some(kept), false) => writeln!(
            out,
            "restored; what was there before is in {}: delete it when you are content, it holds private keys",
            kept.display()
        )?,
    }
    out.flush()
}

fn line(difference: &Difference) -> String {
    let sign = |kind: DifferenceKind| match kind {
        DifferenceKind::Added => '+',
        DifferenceKind::Removed => '-',
        _ => '~',
    };
    match difference {
        Difference::Certificate { kind, name, present, restored } => {
            let thumbprints = match (present, restored) {
                (Some(present), Some(restored)) if present != restored => format!("{present} -> {restored}"),
                (Some(one), _) | (None, Some(one)) => one.to_string(),
                (None, None) => String::new(),
            };
            format!("{} certificate {name:?} {thumbprints}", sign(*kind))
        }
        Difference::Device { kind, name } => format!("{} device {name:?}", sign(*kind)),
        Difference::Token { kind, name } => format!("{} token {name:?}", sign(*kind)),
        Difference::TrustListFile { kind, path } => format!("{} {path:?}", sign(*kind)),
        other => format!("{other:?}"),
    }
}
