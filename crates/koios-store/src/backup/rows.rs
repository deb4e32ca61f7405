//! The rows that say which files a data directory must have.

use koios_pki::CertificateChain;

use crate::certificate_files::Digests;
use crate::certificates::row::parse_chain;
use crate::database::{Database, DatabaseResult};
use crate::error::{StoreError, StoredFile};
use crate::file_digest::FileDigest;
use crate::id::{CertificateId, DeviceId};

/// What a database says, as far as backups look at it.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) certificates: Vec<CertificateRows>,
    pub(crate) devices: Vec<DeviceRows>,
    /// Ids and names of the access tokens.
    pub(crate) tokens: Vec<(String, String)>,
    /// Whether a change of the trust lists was under way.
    pub(crate) trust_moving: bool,
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
struct Found {
    id: String,
    revision: i64,
    name: String,
    is_default: bool,
    generation: i64,
    chain: Vec<u8>,
    certificate_digest: Vec<u8>,
    chain_digest: Vec<u8>,
    private_key_digest: Vec<u8>,
    request: Option<Vec<u8>>,
    staged_generation: Option<i64>,
    staged_digest: Option<Vec<u8>>,
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
        let found: Vec<Found> = sqlx::query_as(
            "SELECT c.id, c.revision, c.name, c.is_default, c.generation, c.chain, c.certificate_digest, c.chain_digest, \
             c.private_key_digest, r.request, r.generation AS staged_generation, r.private_key_digest AS staged_digest \
             FROM certificates c LEFT JOIN certificate_requests r ON r.certificate_id = c.id ORDER BY c.id",
        )
        .fetch_all(&mut *connection)
        .await
        .database()?;
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
        Ok(Self {
            certificates: found.into_iter().map(Found::decode).collect::<Result<_, _>>()?,
            devices: devices.into_iter().map(FoundDevice::decode).collect::<Result<_, _>>()?,
            tokens,
            trust_moving: moving > 0,
        })
    }
}

impl Found {
    fn decode(self) -> Result<CertificateRows, StoreError> {
        let generation = |number: i64, column: &str| {
            u32::try_from(number).map_err(|source| StoreError::corrupt(column, source))
        };
        let staged = match (self.request, self.staged_generation, self.staged_digest) {
            (Some(request), Some(number), Some(digest)) => Some(Staged {
                request,
                generation: generation(number, "certificate_requests.generation")?,
                private_key: FileDigest::from_bytes(&digest, "certificate_requests.private_key_digest")?,
            }),
            _ => None,
        };
        Ok(CertificateRows {
            id: self.id.parse().map_err(|source| StoreError::corrupt("certificates.id", source))?,
            revision: self.revision,
            name: self.name,
            is_default: self.is_default,
            generation: generation(self.generation, "certificates.generation")?,
            chain: parse_chain(&self.chain, "certificates.chain")?,
            digests: Digests {
                certificate: FileDigest::from_bytes(
                    &self.certificate_digest,
                    "certificates.certificate_digest",
                )?,
                chain: FileDigest::from_bytes(&self.chain_digest, "certificates.chain_digest")?,
                private_key: FileDigest::from_bytes(
                    &self.private_key_digest,
                    "certificates.private_key_digest",
                )?,
            },
            staged,
        })
    }
}

impl CertificateRows {
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
