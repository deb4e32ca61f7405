//! Rows of the table `certificates`, and the statements that several operations share.

use std::sync::Arc;

use koios_pki::CertificateChain;
use sqlx::FromRow;
use time::OffsetDateTime;

use crate::audit::AuditResource;
use crate::certificate::{CertificateName, CertificateRecord, FileStates, Origin};
use crate::certificate_files::{self, Digests, Look};
use crate::database::{Connection, DatabaseResult, rows_in_order};
use crate::error::{Resource, StoreError};
use crate::file_digest::FileDigest;
use crate::id::CertificateId;
use crate::instant;
use crate::name::Name;
use crate::store::{Store, count};

/// The query for whole rows, completed by a condition.
macro_rules! select_certificates {
    ($condition:literal) => {
        select_certificates!(certificate_counts!(), $condition)
    };
    ($counts:expr, $condition:literal) => {
        concat!(
            "SELECT c.id, c.revision, c.name, c.description, c.is_default, c.origin, c.generation, c.chain, ",
            "c.certificate_digest, c.chain_digest, c.private_key_digest, c.validity_days, c.created_at, c.updated_at, ",
            "c.installed_at, ",
            $counts,
            " FROM certificates c ",
            $condition
        )
    };
}

/// How many devices name `c`, and how many use it through the default. A device of mode `none` uses none.
macro_rules! certificate_counts {
    () => {
        "(SELECT COUNT(*) FROM devices d WHERE d.certificate_id = c.id AND d.security_mode <> 'none') AS assigned, \
         CASE WHEN c.is_default THEN (SELECT COUNT(*) FROM devices d WHERE d.certificate_id IS NULL \
         AND d.security_mode <> 'none') ELSE 0 END AS through_default"
    };
}

/// In the type of a count, which a literal does not have everywhere.
macro_rules! uncounted {
    () => {
        "CAST(0 AS BIGINT) AS assigned, CAST(0 AS BIGINT) AS through_default"
    };
}

/// A row, decoded as far as the database can.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub(crate) struct CertificateRow {
    pub(crate) id: String,
    pub(crate) revision: i64,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) is_default: bool,
    origin: String,
    generation: i64,
    pub(crate) chain: Vec<u8>,
    certificate_digest: Vec<u8>,
    chain_digest: Vec<u8>,
    private_key_digest: Vec<u8>,
    validity_days: i64,
    created_at: i64,
    updated_at: i64,
    pub(crate) installed_at: i64,
    assigned: i64,
    through_default: i64,
}

impl CertificateRow {
    pub(crate) fn audit_resource(&self) -> AuditResource {
        AuditResource::new("certificate", self.id.clone(), Some(self.name.clone()))
    }

    pub(crate) async fn find(connection: &mut Connection, id: CertificateId) -> Result<Self, StoreError> {
        sqlx::query_as(select_certificates!("WHERE c.id = $1"))
            .bind(id.to_string())
            .fetch_optional(connection)
            .await
            .database()?
            .ok_or_else(|| StoreError::not_found(Resource::Certificate, id))
    }

    /// Without counting its devices, which takes longer the more there are: for what is done once for each of them.
    pub(crate) async fn find_uncounted(
        connection: &mut Connection,
        id: CertificateId,
    ) -> Result<Self, StoreError> {
        sqlx::query_as(select_certificates!(uncounted!(), "WHERE c.id = $1"))
            .bind(id.to_string())
            .fetch_optional(connection)
            .await
            .database()?
            .ok_or_else(|| StoreError::not_found(Resource::Certificate, id))
    }

    /// Those with these ids, in their order.
    pub(crate) async fn find_all(
        connection: &mut Connection,
        ids: &[String],
    ) -> Result<Vec<Self>, StoreError> {
        rows_in_order(connection, select_certificates!("WHERE c.id IN"), ids, |row: &Self| &row.id).await
    }

    /// All of them in the order of their ids, without counting their devices.
    pub(crate) async fn all_uncounted(connection: &mut Connection) -> Result<Vec<Self>, StoreError> {
        sqlx::query_as(select_certificates!(uncounted!(), "ORDER BY c.id"))
            .fetch_all(connection)
            .await
            .database()
    }

    pub(crate) async fn find_default(connection: &mut Connection) -> Result<Option<Self>, StoreError> {
        sqlx::query_as(select_certificates!("WHERE c.is_default")).fetch_optional(connection).await.database()
    }

    pub(crate) fn id(&self) -> Result<CertificateId, StoreError> {
        self.id.parse().map_err(|source| StoreError::corrupt("certificates.id", source))
    }

    pub(crate) fn generation(&self) -> Result<u32, StoreError> {
        u32::try_from(self.generation)
            .map_err(|source| StoreError::corrupt("certificates.generation", source))
    }

    pub(crate) fn origin(&self) -> Result<Origin, StoreError> {
        Origin::from_name(&self.origin)
            .ok_or_else(|| StoreError::Corrupt { what: "certificates.origin".to_owned(), source: None })
    }

    pub(crate) fn chain(&self) -> Result<CertificateChain, StoreError> {
        parse_chain(&self.chain, "certificates.chain")
    }

    pub(crate) fn digests(&self) -> Result<Digests, StoreError> {
        Ok(Digests {
            certificate: FileDigest::from_bytes(&self.certificate_digest, "certificates.certificate_digest")?,
            chain: FileDigest::from_bytes(&self.chain_digest, "certificates.chain_digest")?,
            private_key: FileDigest::from_bytes(&self.private_key_digest, "certificates.private_key_digest")?,
        })
    }

    pub(crate) fn certificate_name(&self) -> Result<CertificateName, StoreError> {
        Ok(CertificateName { id: self.id()?, name: self.name.clone() })
    }

    /// Devices whose effective certificate this is.
    pub(crate) fn device_count(&self) -> u64 {
        count(self.assigned.saturating_add(self.through_default))
    }

    pub(crate) fn require_revision(&self, expected: Option<i64>) -> Result<(), StoreError> {
        require_revision(self.revision, expected)
    }

    fn record(&self, files: FileStates) -> Result<CertificateRecord, StoreError> {
        Ok(CertificateRecord {
            id: self.id()?,
            revision: self.revision,
            name: self.name.clone(),
            description: self.description.clone(),
            is_default: self.is_default,
            origin: self.origin()?,
            generation: self.generation()?,
            chain: self.chain()?,
            files,
            device_count: self.device_count(),
            assigned_device_count: count(self.assigned),
            validity_days: u32::try_from(self.validity_days)
                .map_err(|source| StoreError::corrupt("certificates.validity_days", source))?,
            created_at: instant::from_micros(self.created_at, "certificates.created_at")?,
            updated_at: instant::from_micros(self.updated_at, "certificates.updated_at")?,
        })
    }
}

impl Store {
    /// The records of rows, with what the disk says about their files.
    ///
    /// The caller holds `files` for reading, or is the writer.
    pub(crate) async fn observed(
        &self,
        rows: Vec<CertificateRow>,
        look: Look,
    ) -> Result<Vec<CertificateRecord>, StoreError> {
        let hashed = Arc::clone(&self.inner.hashed);
        self.blocking(move |layout| {
            rows.iter()
                .map(|row| {
                    let place = (row.id()?, row.generation()?);
                    row.record(certificate_files::states(layout, &hashed, place, &row.digests()?, look))
                })
                .collect()
        })
        .await
    }

    /// The record of one row.
    pub(crate) async fn observed_one(&self, row: CertificateRow) -> Result<CertificateRecord, StoreError> {
        let id = row.id()?;
        let record = self.observed(vec![row], Look::All).await?.pop();
        record.ok_or_else(|| StoreError::not_found(Resource::Certificate, id))
    }
}

/// Reads a chain that the store wrote.
pub(crate) fn parse_chain(blob: &[u8], what: &str) -> Result<CertificateChain, StoreError> {
    CertificateChain::from_der_blob(blob, usize::MAX).map_err(|source| StoreError::corrupt(what, source))
}

pub(crate) fn require_revision(current: i64, expected: Option<i64>) -> Result<(), StoreError> {
    match expected {
        Some(expected) if expected != current => Err(StoreError::RevisionMismatch { expected, current }),
        _ => Ok(()),
    }
}

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 1024;

pub(crate) fn require_description(description: Option<&str>) -> Result<(), StoreError> {
    if description.is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
        return Err(StoreError::InvalidSetting { field: "description", reason: "at most 1,024 characters" });
    }
    if description.is_some_and(|text| text.contains('\0')) {
        return Err(StoreError::InvalidSetting { field: "description", reason: "no character U+0000" });
    }
    Ok(())
}

/// Refuses a name that another certificate than `own` has.
pub(crate) async fn require_free_name(
    connection: &mut Connection,
    name: &Name,
    own: Option<CertificateId>,
) -> Result<(), StoreError> {
    let holder: Option<String> = sqlx::query_scalar("SELECT id FROM certificates WHERE name_key = $1")
        .bind(name.folded())
        .fetch_optional(connection)
        .await
        .database()?;
    match holder {
        Some(id) if own.is_none_or(|own| own.to_string() != id) => {
            Err(StoreError::NameTaken { name: name.to_string() })
        }
        _ => Ok(()),
    }
}

/// Refuses a certificate that is current for another id than `own`.
pub(crate) async fn require_new_certificate(
    connection: &mut Connection,
    chain: &CertificateChain,
    own: Option<CertificateId>,
) -> Result<(), StoreError> {
    let holder: Option<(String, String)> =
        sqlx::query_as("SELECT id, name FROM certificates WHERE thumbprint_sha256 = $1")
            .bind(chain.leaf().thumbprint_sha256().to_string())
            .fetch_optional(connection)
            .await
            .database()?;
    let Some((id, name)) = holder else { return Ok(()) };
    let id = id.parse().map_err(|source| StoreError::corrupt("certificates.id", source))?;
    if own == Some(id) { Ok(()) } else { Err(StoreError::CertificateExists { id, name }) }
}

/// Makes `id` the one default.
pub(crate) async fn move_default(
    connection: &mut Connection,
    id: CertificateId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    // Two statements, in this order: the index allows one default at any moment.
    for statement in [
        "UPDATE certificates SET is_default = FALSE, revision = revision + 1, updated_at = $1 \
         WHERE is_default AND id <> $2",
        "UPDATE certificates SET is_default = TRUE, revision = revision + 1, updated_at = $1 \
         WHERE NOT is_default AND id = $2",
    ] {
        sqlx::query(statement)
            .bind(instant::to_micros(now))
            .bind(id.to_string())
            .execute(&mut *connection)
            .await
            .database()?;
    }
    Ok(())
}
