//! `koiosd audit`: the trail verified and exported, without the daemon or beside it.

use std::io::{self, Write};

use koios_store::{AuditHead, OpenError, Store, StoreError};

use crate::{
    api::audit::{EntryBody, hex},
    command_line::AuditAction,
    command_runtime::command_runtime,
    config::Settings,
};

/// Entries read at a time.
const BATCH: usize = 1_000;

/// The trail is not as it was written.
const EXIT_NOT_CONTENT: u8 = 3;

/// Why nothing could be said about the trail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditCommandError {
    /// A head is not one.
    #[error("{0:?} is no head; it looks like 42:0A1B…, as the daemon logs it")]
    Head(String),
    /// The data directory cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The trail cannot be written out.
    #[error("the trail cannot be written out")]
    Output(#[source] io::Error),
    /// The trail cannot be read.
    #[error("the audit trail cannot be read")]
    Store(#[from] StoreError),
}

impl AuditCommandError {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Head(_) | Self::Open(OpenError::MasterKey { .. }) => 2,
            Self::Open(_) => 3,
            Self::Output(_) | Self::Store(_) => 1,
        }
    }
}

/// Carries the command out; answers the exit code.
///
/// # Errors
///
/// [`AuditCommandError`] when nothing could be said.
pub fn audit(settings: &Settings, action: &AuditAction) -> Result<u8, AuditCommandError> {
    let runtime = command_runtime().map_err(AuditCommandError::Output)?;
    runtime.block_on(async {
        let store = Store::open_for_reading(settings.store_options()).await?;
        let answer = match action {
            AuditAction::Verify { head } => verify(&store, head).await,
            AuditAction::Export => export(&store).await,
        };
        store.close().await;
        answer
    })
}

async fn verify(store: &Store, heads: &[String]) -> Result<u8, AuditCommandError> {
    let heads = heads.iter().map(|text| parse_head(text)).collect::<Result<Vec<_>, _>>()?;
    let found = store.verify_audit(&heads).await?;
    let mut out = io::stdout().lock();
    let written = (|| {
        writeln!(out, "{} entries", found.entries)?;
        if let Some(head) = &found.head {
            writeln!(out, "head {}", head_text(head))?;
        }
        if found.unkeyed > 0 {
            writeln!(
                out,
                "{} entries are from before the trail had a key; the first keyed entry after them covers them",
                found.unkeyed
            )?;
        }
        for fault in &found.faults {
            writeln!(out, "FAULT: {fault}")?;
        }
        if found.faults.is_empty() {
            writeln!(out, "as it was written")?;
            if heads.is_empty() {
                writeln!(
                    out,
                    "(that newer entries were cut off would show only against a head from the log: --head)"
                )?;
            }
        }
        out.flush()
    })();
    written.map_err(AuditCommandError::Output)?;
    Ok(if found.faults.is_empty() { 0 } else { EXIT_NOT_CONTENT })
}

async fn export(store: &Store) -> Result<u8, AuditCommandError> {
    let mut out = io::stdout().lock();
    let mut after = 0;
    loop {
        let entries = store.audit_after(after, BATCH).await?;
        let Some(last) = entries.last() else { break };
        after = last.sequence;
        for entry in entries {
            let line = serde_json::to_string(&EntryBody::from(entry))
                .map_err(|error| AuditCommandError::Output(error.into()))?;
            writeln!(out, "{line}").map_err(AuditCommandError::Output)?;
        }
    }
    out.flush().map_err(AuditCommandError::Output)?;
    Ok(0)
}

/// A head as the log has it.
pub(crate) fn head_text(head: &AuditHead) -> String {
    format!("{}:{}", head.sequence, hex(&head.hash))
}

fn parse_head(text: &str) -> Result<AuditHead, AuditCommandError> {
    let wrong = || AuditCommandError::Head(text.to_owned());
    let (sequence, hash) = text.split_once(':').ok_or_else(wrong)?;
    let sequence = sequence.parse().map_err(|_| wrong())?;
    let digits = hash.as_bytes();
    if digits.len() != 64 || !digits.is_ascii() {
        return Err(wrong());
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let hash = digits.chunks(2).map(byte).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    Ok(AuditHead::new(sequence, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_written() {
        let head = AuditHead::new(42, (0..32).collect());
        assert_eq!(parse_head(&head_text(&head)).unwrap(), head);
        for text in ["", "42", "x:00", "42:zz", "42:00", ":"] {
            assert!(parse_head(text).is_err(), "{text}");
        }
    }
}
