//! The database: whether it can be opened, is whole, and its rows find each other.

use futures_util::TryStreamExt;

use super::finding::{CheckCode, CheckFinding, CheckPart};
use crate::certificates::row::parse_chain;
use crate::database::{Database, DatabaseResult};
use crate::error::{OpenError, StoreError, with_causes};
use crate::layout::{DATABASE, Layout};
use crate::leftovers;

const PART: CheckPart = CheckPart::Database;

const RESTORE: &str = "restore koios.db from a backup; the folder \"certificates\" may be whole, so keep it";

/// Whether there is none, or an empty file in its place.
pub(super) fn is_missing(layout: &Layout) -> bool {
    std::fs::metadata(layout.database()).map_or(true, |metadata| metadata.len() == 0)
}

/// Opens the database to read it, or says why that cannot be.
pub(super) async fn open(layout: &Layout) -> Result<Database, CheckFinding> {
    if is_missing(layout) {
        let remedy = if leftovers::any(layout) {
            RESTORE
        } else {
            "name the right folder with --data-dir; the daemon makes a new database at its first start"
        };
        return Err(finding(CheckCode::DatabaseMissing, "it is missing or empty", remedy));
    }
    Database::open_for_reading(&layout.database()).await.map_err(|error| match &error {
        OpenError::Damaged { problem, .. } => finding(CheckCode::DatabaseDamaged, problem, RESTORE),
        OpenError::NewerFormat { .. } => finding(
            CheckCode::DatabaseFormat,
            "a newer version wrote it",
            "check it with that version, or restore a backup from before",
        ),
        OpenError::OlderFormat { .. } => finding(
            CheckCode::DatabaseFormat,
            "an older version wrote it",
            "start the daemon once, which brings it to the present format, and check again",
        ),
        _ => finding(CheckCode::DatabaseDamaged, with_causes(&error), RESTORE),
    })
}

/// Reads every page.
pub(super) async fn examine(database: &Database) -> Vec<CheckFinding> {
    let mut findings = Vec::new();
    match database.damage().await {
        Ok(damage) => findings.extend(
            damage.into_iter().map(|sentence| finding(CheckCode::DatabaseDamaged, sentence, RESTORE)),
        ),
        Err(error) => findings.push(finding(CheckCode::DatabaseDamaged, with_causes(&error), RESTORE)),
    }
    match database.broken_references().await {
        Ok(broken) => {
            // Devices are told one by one.
            let broken = broken.into_iter().filter(|broken| {
                (broken.table.as_str(), broken.parent.as_str()) != ("devices", "certificates")
            });
            findings.extend(
                broken.map(|broken| finding(CheckCode::ReferenceBroken, broken.to_string(), RESTORE)),
            );
        }
        Err(error) => findings.push(CheckFinding::not_examined(PART, DATABASE, &error)),
    }
    for (table, statement) in CHAINS {
        match unreadable_chains(database, table, statement).await {
            Ok(0) => {}
            Ok(count) => findings.push(finding(
                CheckCode::RowsUnreadable,
                format!("{count} rows of {table} hold no certificate that can be read"),
                RESTORE,
            )),
            Err(error) => findings.push(CheckFinding::not_examined(PART, table, &error)),
        }
    }
    findings
}

/// One after the other: pages that are counted off from the beginning each time would read most rows many times.
async fn unreadable_chains(
    database: &Database,
    table: &str,
    statement: &'static str,
) -> Result<usize, StoreError> {
    let mut connection = database.read().await?;
    let mut chains = sqlx::query_scalar(statement).fetch(&mut *connection);
    let mut unreadable = 0_usize;
    while let Some(chain) = chains.try_next().await.database()? {
        let chain: Vec<u8> = chain;
        if parse_chain(&chain, table).is_err() {
            unreadable = unreadable.saturating_add(1);
        }
    }
    Ok(unreadable)
}

/// The chains of other tables: those of the certificates and devices themselves are examined with them.
const CHAINS: [(&str, &str); 4] = [
    ("certificate_history", "SELECT chain FROM certificate_history"),
    ("presented_certificates", "SELECT chain FROM presented_certificates"),
    ("seen_certificates", "SELECT chain FROM seen_certificates"),
    ("rejected_certificates", "SELECT chain FROM rejected_certificates"),
];

fn finding(code: CheckCode, problem: impl Into<String>, remedy: &str) -> CheckFinding {
    CheckFinding::new(PART, code, DATABASE, problem, remedy)
}
