//! Folders of key pairs that no row names as current.

use super::directory::below;
use super::finding::{CheckCode, CheckFinding, CheckPart, RepairKind};
use crate::database::Database;
use crate::error::{OpenError, StoreError, with_causes};
use crate::layout::{DATABASE, Layout};
use crate::leftovers::{self, Kind, Known, Leftover};
use crate::store::Found;

const PART: CheckPart = CheckPart::Certificates;

/// What the database says now, and the folders that it does not name.
pub(super) async fn survey(
    database: &Database,
    layout: &Layout,
) -> Result<(Known, Vec<Leftover>), StoreError> {
    let known = Found::read(database).await?.known;
    let layout = layout.clone();
    super::blocking(move || {
        let leftovers = leftovers::survey(&layout, &known)
            .map_err(|error| StoreError::Unavailable { path: layout.certificates(), source: error.into() })?;
        Ok((known, leftovers))
    })
    .await?
}

/// What they mean.
pub(super) fn findings(layout: &Layout, known: &Known, leftovers: &[Leftover]) -> Vec<CheckFinding> {
    let foreign = leftovers::refuse_foreign_database(layout, known, leftovers).err();
    let mut findings: Vec<_> =
        leftovers.iter().map(|leftover| finding(layout, leftover, foreign.is_none())).collect();
    if let Some(error) = foreign {
        let (problem, remedy) = match &error {
            OpenError::Damaged { problem, remedy, .. } => (problem.clone(), *remedy),
            _ => (with_causes(&error), ""),
        };
        findings.push(CheckFinding::new(PART, CheckCode::DatabaseForeign, DATABASE, problem, remedy));
    }
    findings
}

fn finding(layout: &Layout, leftover: &Leftover, may_move: bool) -> CheckFinding {
    let (code, problem, remedy) = match leftover.kind {
        Kind::Obsolete => (
            CheckCode::LeftoverGeneration,
            "a key pair that is no longer in use was left behind",
            "the next start of the daemon removes it",
        ),
        Kind::Unreadable => (
            CheckCode::LeftoverGeneration,
            "a private key that was given up can neither be read nor removed",
            "make it readable for the daemon, whose next start removes it",
        ),
        Kind::Unfinished => (
            CheckCode::UnknownGeneration,
            "no row names it, and it holds no private key: a change was cut off",
            "the next start of the daemon removes it",
        ),
        Kind::Unknown => (
            CheckCode::UnknownGeneration,
            "no row names this key pair: it was never in use, or the database is older than it",
            "restore a newer koios.db, or move the folder aside and upload its certificate and key, or delete it",
        ),
    };
    let finding = CheckFinding::new(PART, code, below(layout, &leftover.folder), problem, remedy);
    match leftover.kind {
        Kind::Unknown | Kind::Unfinished if may_move => {
            finding.mended_by(RepairKind::MoveAside, &leftover.folder)
        }
        _ => finding,
    }
}
