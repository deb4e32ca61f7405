//! `koiosd master-key` and `koiosd decrypt-keys`: what is done about the keys of the data directory while no daemon uses it.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use koios_store::{AuditEntry, MasterKey, MasterKeyError, NewMasterKey, OpenError, Store, StoreError};
use time::OffsetDateTime;

use crate::{
    command_line::RotateArguments,
    command_runtime::command_runtime,
    config::{Settings, master_key},
};

/// Not every key could be written in plain form.
const EXIT_NOT_CONTENT: u8 = 3;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyCommandError {
    /// The next start would encrypt the keys again.
    #[error(
        "encryption_at_rest is on, so the next start would encrypt the private keys again; turn it off first"
    )]
    EncryptionWanted,
    /// The file of a key cannot be read or written.
    #[error("{} cannot be used", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no key, or not a new one.
    #[error("there is no new master key in {}", .path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: MasterKeyError,
    },
    /// The data directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What was done cannot be said.
    #[error("it is done, but that cannot be written out")]
    Output(#[source] io::Error),
    /// The command cannot run.
    #[error("the command cannot be started")]
    Runtime(#[source] io::Error),
    /// The data directory cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not said where the new key is.
    #[error(
        "the master key is kept outside of the data directory; say with --to FILE which file holds the new one, or --to-data-directory"
    )]
    WhereTo,
}

impl MasterKeyCommandError {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::EncryptionWanted | Self::NoKey { .. } | Self::WhereTo => 2,
            Self::Open(OpenError::MasterKey { .. }) => 2,
            Self::Open(_) | Self::Store(StoreError::Corrupt { .. }) => 3,
            Self::File { .. } | Self::Output(_) | Self::Runtime(_) | Self::Store(_) => 1,
        }
    }
}

/// Writes a new master key into a new file of mode 0600; answers the exit code.
///
/// # Errors
///
/// [`MasterKeyCommandError`] when there is no such key.
pub fn generate_master_key(path: &Path) -> Result<u8, MasterKeyCommandError> {
    let failed = |source| MasterKeyCommandError::File { path: path.to_owned(), source };
    let key = MasterKey::generate("").map_err(|error| failed(io::Error::other(error)))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(key.to_text().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    written.map_err(failed)?;
    say(&format!(
        "{}: a new master key. Keep a copy of it where no copy of the data directory is: without it, passwords and \
         encrypted private keys are lost.",
        path.display()
    ))?;
    Ok(0)
}

/// Puts another master key in the place of the present one; answers the exit code.
///
/// # Errors
///
/// [`MasterKeyCommandError`] when the master key is the one it was.
pub fn rotate_master_key(
    settings: &Settings,
    arguments: &RotateArguments,
) -> Result<u8, MasterKeyCommandError> {
    let (new, next) = match &arguments.to {
        Some(path) => {
            let failed = |source| MasterKeyCommandError::File { path: path.clone(), source };
            let contents = master_key::read(path).map_err(failed)?;
            let key = MasterKey::parse(&contents, path.display().to_string())
                .map_err(|source| MasterKeyCommandError::NoKey { path: path.clone(), source })?;
            let next = format!(
                "Give the key in {} from now on (master_key_file, KOIOS_MASTER_KEY or the systemd credential); the next start \
                 refuses the old one.",
                path.display()
            );
            (NewMasterKey::External(key), next)
        }
        None if arguments.to_data_directory || settings.master_key.is_none() => {
            let next = match settings.master_key {
                None => String::new(),
                Some(_) => " Take master_key_file (KOIOS_MASTER_KEY, the systemd credential) out of the configuration: the next \
                            start would put it in force again."
                    .to_owned(),
            };
            (NewMasterKey::InDataDirectory, format!("It is in secrets.key.{next}"))
        }
        None => return Err(MasterKeyCommandError::WhereTo),
    };
    run(async {
        let store = Store::open(settings.store_options()).await?;
        store.replace_master_key(new, entry("koiosd master-key", "master_key.replaced")).await?;
        Ok(())
    })?;
    say(&format!(
        "Everything is sealed under the new master key. {next} Keep the old one as long as there are backups from before."
    ))?;
    Ok(0)
}

/// Writes the private keys in plain form; answers the exit code.
///
/// # Errors
///
/// [`MasterKeyCommandError`] when that was not done, or not wholly.
pub fn decrypt_keys(settings: &Settings) -> Result<u8, MasterKeyCommandError> {
    if settings.encryption_at_rest {
        return Err(MasterKeyCommandError::EncryptionWanted);
    }
    let done = run(async {
        let store = Store::open(settings.store_options()).await?;
        Ok(store.decrypt_private_keys(entry("koiosd decrypt-keys", "encryption_at_rest.off")).await?)
    })?;
    say(&format!("private keys written in plain form: {}", done.files))?;
    for path in &done.left {
        say(&format!(
            "WARNING: {} is encrypted still: it is not the file that was stored, or cannot be read",
            path.display()
        ))?;
    }
    Ok(if done.left.is_empty() { 0 } else { EXIT_NOT_CONTENT })
}

fn entry(command: &str, action: &str) -> AuditEntry {
    AuditEntry::new(OffsetDateTime::now_utc(), command, action)
}

fn run<T>(work: impl Future<Output = Result<T, MasterKeyCommandError>>) -> Result<T, MasterKeyCommandError> {
    let runtime = command_runtime().map_err(MasterKeyCommandError::Runtime)?;
    runtime.block_on(work)
}

fn say(line: &str) -> Result<(), MasterKeyCommandError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(MasterKeyCommandError::Output)
}
