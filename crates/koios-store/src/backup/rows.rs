//! The rows that say which files a data directory must have.

use std::collections::HashMap;

use koios_pki::CertificateChain;

use crate::certificate_files::Digests;
use crate::certificates::request::RequestRow;
use crate::certificates::row::CertificateRow;
use crate::database::{Database, DatabaseResult};
use crate::error::{StoreError, StoredFile};
use crate::file_digest::FileDigest;
use crate::id::{CertificateId, DeviceId};
use crate::master_key;

/// What a database says, as far as backups look at it.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) certificates: Vec<CertificateRows>,
    pub(crate) devices: Vec<DeviceRows>,
    /// Ids and names of the access tokens.
    pub(crate) tokens: Vec<(String, String)>,
    /// Whether a change of the trust lists was under way.
    pub(crate) trust_moving: bool,
    /// Whether the master key is kept outside of the data directory.
    pub(crate) external_master_key: bool,
}

/// A certificate, with the request that may wait for an answer.
#[derive(Debug)]
pub(crate) struct CertificateRows {
    pub(crate) id: CertificateId,
    pub(crate) revision: i64,
    pub(crate) name: String,
    pub(crate) is_default: bool,
    pub(crate) generation: u32,
    pub(crate) chain: CertificateChain,
    pub(crate) digests: Digests,
    pub(crate) staged: Option<Staged>,
}

/// A request for a new key.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) request: Vec<u8>,
    pub(crate) generation: u32,
    pub(crate) private_key: FileDigest,
}

/// A device, as far as it is compared.
#[derive(Debug)]
pub(crate) struct DeviceRows {
    pub(crate) id: DeviceId,
    pub(crate) revision: i64,
    pub(crate) updated_at: i64,
    pub(crate) name: String,
    pub(crate) password: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
struct FoundDevice {
    id: String,
    revision: i64,
    updated_at: i64,
    name: String,
    password: Option<Vec<u8>>,
}

impl FoundDevice {
    fn decode(self) -> Result<DeviceRows, StoreError> {
        let Self { id, revision, updated_at, name, password } = self;
        let id = id.parse().map_err(|source| StoreError::corrupt("devices.id", source))?;
        Ok(DeviceRows { id, revision, updated_at, name, password })
    }
}

impl Rows {
    pub(crate) async fn read(database: &Database) -> Result<Self, StoreError> {
        let mut connection = database.read().await?;
        let mut requests: HashMap<String, RequestRow> = RequestRow::all(&mut connection)
            .await?
            .into_iter()
            .map(|request| (request.certificate_id.clone(), request))
            .collect();
        let certificates = CertificateRow::all_uncounted(&mut connection)
            .await?
            .iter()
            .map(|row| CertificateRows::of(row, requests.remove(&row.id)))
            .collect::<Result<_, _>>()?;
        let devices: Vec<FoundDevice> =
            sqlx::query_as("SELECT id, revision, updated_at, name, password FROM devices ORDER BY id")
                .fetch_all(&mut *connection)
                .await
                .database()?;
        let tokens = sqlx::query_as("SELECT id, name FROM tokens ORDER BY id")
            .fetch_all(&mut *connection)
            .await
            .database()?;
        let moving: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM trust_file_moves")
            .fetch_one(&mut *connection)
            .await
            .database()?;
        let external_master_key = master_key::is_external(&mut connection).await?;
        Ok(Self {
            certificates,
            external_master_key,
            devices: devices.into_iter().map(FoundDevice::decode).collect::<Result<_, _>>()?,
            tokens,
            trust_moving: moving > 0,
        })
    }
}

impl CertificateRows {
    fn of(row: &CertificateRow, request: Option<RequestRow>) -> Result<Self, StoreError> {
        let staged = match request {
            None => None,
            Some(request) => request.staged()?.map(|(generation, private_key)| Staged {
                request: request.request,
                generation,
                private_key,
            }),
        };
        Ok(Self {
            id: row.id()?,
            revision: row.revision,
            name: row.name.clone(),
            is_default: row.is_default,
            generation: row.generation()?,
            chain: row.chain()?,
            digests: row.digests()?,
            staged,
        })
    }

    /// Every file that the rows name, by its path below the data directory.
    pub(crate) fn files(&self) -> Vec<(String, StoredFile, FileDigest)> {
        let path = |generation: u32, file: StoredFile| {
            format!("certificates/{}/{generation}/{}", self.id, file.file_name())
        };
        let mut files: Vec<(String, StoredFile, FileDigest)> = [
            (StoredFile::Certificate, self.digests.certificate),
            (StoredFile::Chain, self.digests.chain),
            (StoredFile::PrivateKey, self.digests.private_key),
        ]
        .into_iter()
        .map(|(file, digest)| (path(self.generation, file), file, digest))
        .collect();
        if let Some(staged) = &self.staged {
            let file = StoredFile::PrivateKey;
            files.push((path(staged.generation, file), file, staged.private_key));
        }
        files
    }
}
