//! The folders of the trust lists: what cannot be read, and what a change left behind.

use std::io;

use super::finding::{CheckCode, CheckFinding, CheckPart, RepairKind};
use crate::error::StoreError;
use crate::layout::Layout;
use crate::trust_lists::{INCOMING, Move, OUTGOING, unreadable_files};

const PART: CheckPart = CheckPart::TrustLists;

/// What the lists leave out.
pub(super) fn unreadable(layout: &Layout) -> Result<Vec<CheckFinding>, StoreError> {
    let files = unreadable_files(layout)?;
    let findings = files.into_iter().map(|(path, reason)| {
        CheckFinding::new(
            PART,
            CheckCode::TrustFileUnreadable,
            path.display().to_string(),
            format!("it is left out: {reason}"),
            "put a readable certificate or revocation list in its place, or take the file away",
        )
    });
    Ok(findings.collect())
}

/// A change that did not end; `moves` are those it had noted.
pub(super) fn unfinished_change(layout: &Layout, moves: &[Move]) -> Option<CheckFinding> {
    let first = moves.first()?;
    let finding = CheckFinding::new(
        PART,
        CheckCode::LeftoverFileMoves,
        "trust",
        format!(
            "a change of the trust lists did not come to its end: {} files were to be moved, from {} to {} first",
            moves.len(),
            first.source.display(),
            first.target.display()
        ),
        "the next start of the daemon puts the files back",
    );
    Some(finding.mended_by(RepairKind::TakeBackFileMoves, layout.trust()))
}

/// Files on their way, which no change that is noted accounts for.
pub(super) fn leftover_files(layout: &Layout) -> Vec<CheckFinding> {
    let mut findings = Vec::new();
    for name in [INCOMING, OUTGOING] {
        let folder = layout.root().join(name);
        match std::fs::read_dir(&folder).map(|mut entries| entries.next().is_some()) {
            Ok(true) => findings.push(
                CheckFinding::new(
                    PART,
                    CheckCode::LeftoverFile,
                    name,
                    "files of a change that has ended were left behind",
                    "the next start of the daemon removes them",
                )
                .mended_by(RepairKind::ClearLeftover, folder),
            ),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => findings.push(CheckFinding::not_examined(PART, name, &error)),
        }
    }
    findings
}
