//! Devices: what they name must be there, and their passwords must open.

use super::finding::{CheckCode, CheckFinding, CheckPart};
use crate::database::{Connection, Database, DatabaseResult};
use crate::devices::row::DeviceRow;
use crate::error::{StoreError, with_causes};
use crate::secrets::SecretsKey;

const PART: CheckPart = CheckPart::Devices;

/// Rows read at a time.
const BATCH: usize = 1_000;

/// So many unreadable passwords are told one by one; more of them have one cause.
const TOLD_ONE_BY_ONE: usize = 20;

/// Without the key, which is told elsewhere, nothing is said of passwords.
pub(super) async fn examine(
    database: &Database,
    secrets: Option<&SecretsKey>,
) -> Result<Vec<CheckFinding>, StoreError> {
    let mut findings = without_certificate(&mut *database.read().await?).await?;
    let mut locked = Vec::new();
    let mut after = String::new();
    loop {
        let rows: Vec<DeviceRow> = sqlx::query_as("SELECT * FROM devices WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(&after)
            .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
            .fetch_all(&mut *database.read().await?)
            .await
            .database()?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.id);
        for row in &rows {
            if let Err(error) = row.device() {
                findings.push(CheckFinding::new(
                    PART,
                    CheckCode::DeviceRowUnreadable,
                    subject(&row.name),
                    with_causes(&error),
                    "restore koios.db from a backup, or delete the device and add it again",
                ));
                continue;
            }
            if let (Some(secrets), Some(sealed)) = (secrets, &row.password)
                && secrets.open_password(row.id()?, sealed).is_err()
            {
                locked.push(row.name.clone());
            }
        }
    }
    findings.extend(passwords(&locked));
    Ok(findings)
}

fn passwords(locked: &[String]) -> Vec<CheckFinding> {
    let finding = |subject: String, problem: String, remedy| {
        CheckFinding::new(PART, CheckCode::PasswordUnreadable, subject, problem, remedy)
    };
    if locked.len() > TOLD_ONE_BY_ONE {
        return vec![finding(
            format!("{} devices", locked.len()),
            format!(
                "their passwords cannot be decrypted with the present secrets.key: {}, …",
                locked
                    .iter()
                    .take(TOLD_ONE_BY_ONE)
                    .map(|name| format!("{name:?}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            "put back the secrets.key that belongs to this koios.db, or enter the passwords again",
        )];
    }
    locked
        .iter()
        .map(|name| {
            finding(
                subject(name),
                "its password cannot be decrypted with the present secrets.key".to_owned(),
                "enter the password again",
            )
        })
        .collect()
}

async fn without_certificate(connection: &mut Connection) -> Result<Vec<CheckFinding>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT d.name, d.certificate_id FROM devices d LEFT JOIN certificates c ON c.id = d.certificate_id \
         WHERE d.certificate_id IS NOT NULL AND c.id IS NULL ORDER BY d.name_key, d.id",
    )
    .fetch_all(connection)
    .await
    .database()?;
    let findings = rows.into_iter().map(|(name, certificate)| {
        CheckFinding::new(
            PART,
            CheckCode::DeviceCertificateMissing,
            subject(&name),
            format!("it names certificate {certificate}, which does not exist"),
            "assign another certificate to it",
        )
    });
    Ok(findings.collect())
}

fn subject(name: &str) -> String {
    format!("device {name:?}")
}
