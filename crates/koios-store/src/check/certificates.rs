//! Certificates: each row beside its files, its key beside its certificate, and what waits for an authority.

use std::io;
use std::sync::Arc;

use koios_pki::{Certificate, CertificateChain, KeyError, PrivateKey, PublicKey};
use sqlx::FromRow;

use super::blocking;
use super::directory::below;
use super::finding::{CheckCode, CheckFinding, CheckPart};
use crate::certificate_files::{Digests, MAX_BYTES};
use crate::certificates::request::RequestRow;
use crate::certificates::row::CertificateRow;
use crate::data_key;
use crate::database::{Connection, Database, DatabaseResult, storable};
use crate::encryption_at_rest::Encryption;
use crate::error::{StoreError, StoredFile, with_causes};
use crate::file_digest::FileDigest;
use crate::id::CertificateId;
use crate::instant;
use crate::key_files::{self, KeyFile, KeyFiles};
use crate::layout::Layout;
use crate::progress::Progress;
use crate::secrets::SecretsKey;

const PART: CheckPart = CheckPart::Certificates;

const RESTORE_ROW: &str = "restore koios.db from a backup";
const RESTORE_FILE: &str = "put the file back from a backup, or regenerate or replace the certificate, which its servers must then trust anew";
const DROP_REQUEST: &str = "drop the request and make a new one";

/// Every certificate, one after the other.
pub(super) async fn examine(
    database: &Database,
    layout: &Layout,
    secrets: Option<&SecretsKey>,
    progress: &Progress,
) -> Result<Vec<CheckFinding>, StoreError> {
    let keys = Arc::new(Keys::read(database, secrets).await?);
    let all: Vec<(String, String)> =
        sqlx::query_as("SELECT id, name FROM certificates ORDER BY name_key, id")
            .fetch_all(&mut *database.read().await?)
            .await
            .database()?;
    let mut findings = Vec::new();
    for (id, name) in progress.over(PART.under_way(), all) {
        match id.parse() {
            Ok(id) => findings.extend(certificate(database, layout, &keys, id, &name).await?),
            Err(_) => findings.push(unreadable_row(&name, format!("{id:?} is no id of a certificate"))),
        }
    }
    findings.extend(defaults(&mut *database.read().await?).await?);
    Ok(findings)
}

/// A daemon may replace or delete the certificate meanwhile: what is wrong counts only when the rows are the same
/// afterwards. It removes files after the commit that makes them obsolete, so files that are missing with the same rows
/// before and after are missing indeed.
async fn certificate(
    database: &Database,
    layout: &Layout,
    keys: &Arc<Keys>,
    id: CertificateId,
    name: &str,
) -> Result<Vec<CheckFinding>, StoreError> {
    loop {
        let before = match rows(database, id).await {
            Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Ok(vec![unreadable_row(name, with_causes(&error))]),
            Ok(rows) => rows,
        };
        let (layout, keys, looked_at) = (layout.clone(), Arc::clone(keys), before.clone());
        let findings =
            blocking(move || looked_at.0.parts().map(|parts| look(&layout, &keys, &looked_at, &parts)))
                .await?;
        let findings = match findings {
            Ok(findings) => findings,
            Err(error) => vec![unreadable_row(name, with_causes(&error))],
        };
        if findings.is_empty() || rows(database, id).await.is_ok_and(|after| after == before) {
            return Ok(findings);
        }
    }
}

type Rows = (CertificateRow, Option<RequestRow>, Copies);

/// What a row repeats of its certificate, for searching and sorting.
#[derive(Clone, Debug, PartialEq, FromRow)]
struct Copies {
    common_name: Option<String>,
    application_uri: Option<String>,
    not_before: i64,
    not_after: i64,
    thumbprint_sha1: String,
    thumbprint_sha256: String,
}

impl Copies {
    fn of(leaf: &Certificate) -> Self {
        Self {
            common_name: leaf.common_name().map(storable),
            application_uri: leaf.application_uri().map(storable),
            not_before: instant::to_micros(leaf.validity().not_before),
            not_after: instant::to_micros(leaf.validity().not_after),
            thumbprint_sha1: leaf.thumbprint_sha1().to_string(),
            thumbprint_sha256: leaf.thumbprint_sha256().to_string(),
        }
    }
}

async fn rows(database: &Database, id: CertificateId) -> Result<Rows, StoreError> {
    let connection: &mut Connection = &mut *database.read().await?;
    let row = CertificateRow::find_uncounted(&mut *connection, id).await?;
    let request = RequestRow::find(&mut *connection, id).await?;
    let copies = sqlx::query_as(
        "SELECT common_name, application_uri, not_before, not_after, thumbprint_sha1, thumbprint_sha256 \
         FROM certificates WHERE id = $1",
    )
    .bind(id.to_string())
    .fetch_one(connection)
    .await
    .database()?;
    Ok((row, request, copies))
}

/// What a row says, decoded.
struct Parts {
    id: CertificateId,
    generation: u32,
    chain: CertificateChain,
    digests: Digests,
}

impl CertificateRow {
    fn parts(&self) -> Result<Parts, StoreError> {
        self.origin()?;
        Ok(Parts {
            id: self.id()?,
            generation: self.generation()?,
            chain: self.chain()?,
            digests: self.digests()?,
        })
    }
}

fn look(layout: &Layout, keys: &Keys, (row, request, copies): &Rows, parts: &Parts) -> Vec<CheckFinding> {
    let mut look = Look { layout, keys, name: &row.name, findings: Vec::new() };
    if FileDigest::of(parts.chain.leaf().der()) != parts.digests.certificate {
        look.findings
            .push(unreadable_row(&row.name, "its certificate is not the one that was stored".to_owned()));
    }
    if *copies != Copies::of(parts.chain.leaf()) {
        let problem =
            "what its row repeats of the certificate does not fit it: searches and sorting go wrong"
                .to_owned();
        look.findings.push(unreadable_row(&row.name, problem));
    }
    let Parts { id, generation, digests, .. } = *parts;
    look.public_file(id, generation, StoredFile::Certificate, digests.certificate);
    look.public_file(id, generation, StoredFile::Chain, digests.chain);
    let leaf_key = parts.chain.leaf().public_key();
    look.private_key(id, generation, digests.private_key, leaf_key.as_ref(), RESTORE_FILE);
    if let Some(request) = request {
        look.request(id, request, leaf_key.as_ref());
    }
    look.findings
}

/// What files of private keys are to be like.
struct Keys {
    encryption: Encryption,
    files: KeyFiles,
}

impl Keys {
    async fn read(database: &Database, secrets: Option<&SecretsKey>) -> Result<Self, StoreError> {
        let mut connection = database.read().await?;
        let encryption = Encryption::read(&mut connection).await?;
        let data_key = match secrets {
            Some(secrets) => data_key::newest(&mut connection, secrets).await?,
            None => None,
        };
        Ok(Self { encryption, files: KeyFiles::new(data_key, encryption.form(false)) })
    }

    /// Whether the key in the file is the private half of that one; `None` when only the master key, whose want is told
    /// elsewhere, could tell.
    fn belongs(
        &self,
        file: KeyFile,
        public_key: Result<&PublicKey, &KeyError>,
    ) -> Result<Option<bool>, KeyError> {
        if file.is_encrypted() && !self.files.opens_encrypted() {
            return Ok(None);
        }
        let key = PrivateKey::from_pem(&self.files.key_of(file)?)?;
        Ok(Some(public_key.map_err(Clone::clone)? == key.public_key()))
    }
}

struct Look<'a> {
    layout: &'a Layout,
    keys: &'a Keys,
    name: &'a str,
    findings: Vec<CheckFinding>,
}

impl Look<'_> {
    fn public_file(&mut self, id: CertificateId, generation: u32, file: StoredFile, digest: FileDigest) {
        let (code, problem) =
            match key_files::read_bounded(&self.layout.file(id, generation, file), MAX_BYTES) {
                Ok(contents) if FileDigest::of(&contents) == digest => return,
                Ok(_) => changed(),
                Err(error) => unreadable(&error),
            };
        self.file(id, generation, file, code, problem, RESTORE_FILE);
    }

    /// The key must be the one that was stored, and that of the certificate (or request) that it stands beside.
    fn private_key(
        &mut self,
        id: CertificateId,
        generation: u32,
        digest: FileDigest,
        public_key: Result<&PublicKey, &KeyError>,
        remedy: &str,
    ) {
        let (code, problem) = match key_files::read(self.layout, id, generation) {
            Err(error) => unreadable(&error),
            Ok(file) => {
                let (stored, encrypted) = (file.digest() == digest, file.is_encrypted());
                match (stored, self.keys.belongs(file, public_key)) {
                    (true, Ok(Some(true))) if self.keys.encryption != Encryption::Off && !encrypted => {
                        let path =
                            below(self.layout, &self.layout.file(id, generation, StoredFile::PrivateKey));
                        self.findings.push(CheckFinding::new(
                            PART,
                            CheckCode::KeyNotEncrypted,
                            format!("{}, {path}", subject(self.name)),
                            "it is in plain form, though private keys are to be encrypted",
                            "start the daemon, which encrypts it; regenerate the certificate if somebody may have read it",
                        ));
                        return;
                    }
                    (true, Ok(Some(true) | None)) => return,
                    (true, Ok(Some(false))) => (
                        CheckCode::KeyOfAnotherCertificate,
                        "it is the key that was stored, but it does not belong to the certificate".to_owned(),
                    ),
                    (true, Err(error)) => {
                        (CheckCode::KeyUnreadable, format!("it holds no key that can be used: {error}"))
                    }
                    (false, Ok(Some(true))) => (
                        CheckCode::FileChanged,
                        "it is not the file that was stored; its key does belong to the certificate"
                            .to_owned(),
                    ),
                    (false, Ok(None)) => {
                        (CheckCode::FileChanged, "it is not the file that was stored".to_owned())
                    }
                    (false, Ok(Some(false))) => (
                        CheckCode::KeyOfAnotherCertificate,
                        "it is not the file that was stored, and its key does not belong to the certificate"
                            .to_owned(),
                    ),
                    (false, Err(error)) => (
                        CheckCode::FileChanged,
                        format!(
                            "it is not the file that was stored, and holds no key that can be used: {error}"
                        ),
                    ),
                }
            }
        };
        self.file(id, generation, StoredFile::PrivateKey, code, problem, remedy);
    }

    fn request(&mut self, id: CertificateId, request: &RequestRow, leaf_key: Result<&PublicKey, &KeyError>) {
        let (pending, staged) = match (request.pending(), request.staged()) {
            (Ok(pending), Ok(staged)) => (pending, staged),
            (Err(error), _) | (_, Err(error)) => {
                let problem = format!("its request to an authority cannot be read: {}", with_causes(&error));
                return self.about(CheckCode::RequestUnusable, problem, DROP_REQUEST);
            }
        };
        let requested = pending.request.public_key();
        match staged {
            Some((generation, digest)) => {
                let before = self.findings.len();
                self.private_key(id, generation, digest, Ok(requested), DROP_REQUEST);
                for finding in self.findings.iter_mut().skip(before) {
                    finding.code = CheckCode::RequestUnusable;
                    finding.problem = format!("the key of a request to an authority: {}", finding.problem);
                }
            }
            None if leaf_key == Ok(requested) => {}
            None => self.about(
                CheckCode::RequestUnusable,
                "its request to an authority is for another key than the one in use".to_owned(),
                DROP_REQUEST,
            ),
        }
    }

    fn about(&mut self, code: CheckCode, problem: String, remedy: &str) {
        self.findings.push(CheckFinding::new(PART, code, subject(self.name), problem, remedy));
    }

    fn file(
        &mut self,
        id: CertificateId,
        generation: u32,
        file: StoredFile,
        code: CheckCode,
        problem: String,
        remedy: &str,
    ) {
        let path = below(self.layout, &self.layout.file(id, generation, file));
        let subject = format!("{}, {path}", subject(self.name));
        self.findings.push(CheckFinding::new(PART, code, subject, problem, remedy));
    }
}

fn changed() -> (CheckCode, String) {
    (CheckCode::FileChanged, "it is not the file that was stored".to_owned())
}

fn unreadable(error: &io::Error) -> (CheckCode, String) {
    match error.kind() {
        io::ErrorKind::NotFound => (CheckCode::FileMissing, "it is missing".to_owned()),
        // Too long, or not a plain file: something else lies there.
        io::ErrorKind::InvalidData => changed(),
        _ => (CheckCode::FileUnreadable, format!("it cannot be read: {error}")),
    }
}

/// There is one default as long as there is a certificate.
async fn defaults(connection: &mut Connection) -> Result<Vec<CheckFinding>, StoreError> {
    let (all, defaults): (i64, i64) = sqlx::query_as(
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN is_default THEN 1 ELSE 0 END), 0) FROM certificates",
    )
    .fetch_one(connection)
    .await
    .database()?;
    let finding =
        |code, problem: String, remedy| CheckFinding::new(PART, code, "the default", problem, remedy);
    Ok(match defaults {
        0 if all > 0 => vec![finding(
            CheckCode::DefaultMissing,
            format!("none of the {all} certificates is the default: devices that name none have none"),
            "restore koios.db from a backup; without one, generate a certificate, which becomes the default, and make the \
             right one the default then",
        )],
        0 | 1 => Vec::new(),
        _ => vec![finding(
            CheckCode::SeveralDefaults,
            format!("{defaults} certificates are the default"),
            "restore koios.db from a backup; without one, make each of them the default in turn, the right one last",
        )],
    })
}

fn unreadable_row(name: &str, problem: String) -> CheckFinding {
    CheckFinding::new(PART, CheckCode::CertificateRowUnreadable, subject(name), problem, RESTORE_ROW)
}

fn subject(name: &str) -> String {
    format!("certificate {name:?}")
}
