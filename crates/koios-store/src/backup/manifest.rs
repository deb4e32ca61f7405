//! What a backup says of itself, before all else in it: which files it holds, and what is in each of them.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{BackupError, LeftOut};
use crate::error::StoredFile;
use crate::id::CertificateId;
use crate::layout::DATABASE;
use crate::{certificate_files, key_files, trust_lists};

/// The present format of backups.
const FORMAT: i64 = 1;

/// The name of the manifest among the members.
pub(super) const MANIFEST: &str = "manifest.json";

/// Longest manifest that is read: a plant of 100,000 certificates.
pub(super) const MAX_MANIFEST: u64 = 96 * 1024 * 1024;

/// The most that all files beside the database may hold.
const MAX_FILES_TOGETHER: u64 = 1024 * 1024 * 1024;

pub(crate) const SECRETS_KEY: &str = "secrets.key";
pub(crate) const INITIAL_ADMIN_TOKEN: &str = "initial-admin-token";

/// The first member.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: i64,
    pub(crate) koios_version: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    pub(crate) members: Vec<ManifestMember>,
    pub(crate) left_out: Vec<LeftOut>,
}

/// A file, by its place below the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestMember {
    pub(crate) path: String,
    pub(crate) size: u64,
    /// Lower-case hex.
    pub(crate) sha256: String,
}

/// Only the format, which decides whether the rest is understood.
#[derive(Deserialize)]
struct FormatOnly {
    format: i64,
}

impl Manifest {
    pub(super) fn new(
        created_at: OffsetDateTime,
        members: Vec<ManifestMember>,
        left_out: Vec<LeftOut>,
    ) -> Self {
        Self {
            format: FORMAT,
            koios_version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at,
            members,
            left_out,
        }
    }

    /// Reads a manifest; every member has a place that Koios knows, and a length that it reads.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BackupError> {
        let unreadable = || BackupError::damaged("its manifest cannot be read");
        let FormatOnly { format } = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
        if format != FORMAT {
            return Err(BackupError::Format { format });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
        let mut seen = BTreeMap::new();
        let mut together = 0_u64;
        for member in &manifest.members {
            let place = Place::parse(&member.path).ok_or_else(|| {
                BackupError::damaged(format!("it names {:?}, which is no file of Koios", member.path))
            })?;
            if place.longest().is_some_and(|longest| member.size > longest) {
                return Err(BackupError::damaged(format!("{} is longer than it can be", member.path)));
            }
            if place != Place::Database {
                together = together.saturating_add(member.size);
            }
            if seen.insert(member.path.as_str(), ()).is_some() {
                return Err(BackupError::damaged(format!("it names {} twice", member.path)));
            }
        }
        if together > MAX_FILES_TOGETHER {
            return Err(BackupError::damaged("its files are larger together than they can be"));
        }
        // Whether secrets.key must be there, the database says.
        if !seen.contains_key(DATABASE) {
            return Err(BackupError::damaged(format!("{DATABASE} is not in it")));
        }
        Ok(manifest)
    }
}

/// Where a member belongs. There are no other places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Database,
    SecretsKey,
    InitialAdminToken,
    Certificate(CertificateId, u32, StoredFile),
    Trust {
        /// The longest file of its folder.
        longest: u64,
    },
}

impl Place {
    pub(crate) fn parse(path: &str) -> Option<Self> {
        match path {
            DATABASE => return Some(Self::Database),
            SECRETS_KEY => return Some(Self::SecretsKey),
            INITIAL_ADMIN_TOKEN => return Some(Self::InitialAdminToken),
            _ => {}
        }
        let parts: Vec<&str> = path.split('/').collect();
        match *parts.as_slice() {
            ["certificates", id, generation, file] => {
                let id = id.parse::<CertificateId>().ok().filter(|parsed| parsed.to_string() == id)?;
                let generation =
                    generation.parse::<u32>().ok().filter(|parsed| parsed.to_string() == generation)?;
                let file = [StoredFile::Certificate, StoredFile::Chain, StoredFile::PrivateKey]
                    .into_iter()
                    .find(|known| known.file_name() == file)?;
                Some(Self::Certificate(id, generation, file))
            }
            ["trust", list, kind, name] => {
                let folder = Path::new("trust").join(list).join(kind);
                let (_, longest) = trust_lists::folders().find(|(known, _)| *known == folder)?;
                is_file_name(name).then_some(Self::Trust { longest })
            }
            _ => None,
        }
    }

    pub(crate) fn is_private_key(self) -> bool {
        matches!(self, Self::Certificate(_, _, StoredFile::PrivateKey))
    }

    /// The longest file that is read there; the database may grow as it likes.
    pub(crate) fn longest(self) -> Option<u64> {
        match self {
            Self::Database => None,
            Self::SecretsKey | Self::InitialAdminToken => Some(4096),
            Self::Certificate(_, _, StoredFile::PrivateKey) => Some(key_files::MAX_BYTES),
            Self::Certificate(..) => Some(certificate_files::MAX_BYTES),
            Self::Trust { longest } => Some(longest),
        }
    }
}

/// A name, and neither a path nor one of the hidden names of files that are on their way.
fn is_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let one = matches!((components.next(), components.next()), (Some(Component::Normal(part)), None) if part == name);
    one && !name.starts_with('.') && !name.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_of_koios_are_places() {
        let id = "01a20942-dc09-754a-894b-05d34bef4f4e";
        for path in [
            "koios.db".to_owned(),
            "secrets.key".to_owned(),
            "initial-admin-token".to_owned(),
            format!("certificates/{id}/12/private-key.pem"),
            "trust/issuer/crl/Plant CA [0A].crl".to_owned(),
        ] {
            assert!(Place::parse(&path).is_some(), "{path}");
        }
        for path in [
            "",
            "/etc/passwd",
            "../koios.db",
            "koios.lock",
            "koios.db-wal",
            "certificates/../../x/1/private-key.pem",
            "certificates/01a20942-dc09-754a-894b-05d34bef4f4e/1/../private-key.pem",
            "certificates/01A20942-DC09-754A-894B-05D34BEF4F4E/1/private-key.pem",
            "certificates/01a20942-dc09-754a-894b-05d34bef4f4e/01/private-key.pem",
            "certificates/01a20942-dc09-754a-894b-05d34bef4f4e/1/other",
            "trust/trusted/certs/..",
            "trust/trusted/certs/.hidden",
            "trust/trusted/certs/",
            "trust/trusted/certs/a/b",
            "trust/trusted/certs/a\0b",
            "trust/rejected/crl/a",
            "trust/.incoming/certs/a",
            "trust//certs/a",
        ] {
            assert!(Place::parse(path).is_none(), "{path}");
        }
    }

    fn manifest(members: &[(&str, u64)]) -> Vec<u8> {
        let members = members
            .iter()
            .map(|(path, size)| ManifestMember {
                path: (*path).to_owned(),
                size: *size,
                sha256: crate::file_digest::hex(&[0; 32]),
            })
            .collect();
        serde_json::to_vec(&Manifest::new(OffsetDateTime::UNIX_EPOCH, members, Vec::new())).unwrap()
    }

    #[test]
    fn a_manifest_is_bounded_and_names_each_file_once() {
        let whole = [("koios.db", u64::MAX), ("secrets.key", 32)];
        assert!(Manifest::parse(&manifest(&whole)).is_ok());
        let crl = MAX_FILES_TOGETHER / (24 * 1024 * 1024);
        let many: Vec<String> = (0..=crl).map(|n| format!("trust/issuer/crl/{n}.crl")).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|path| (path.as_str(), 24 * 1024 * 1024)).collect();
        for members in [
            vec![("secrets.key", 32)],
            [&whole[..], &[("secrets.key", 32)]].concat(),
            [&whole[..], &[("initial-admin-token", 1_000_000)]].concat(),
            [&whole[..], &[("../x", 1)]].concat(),
            [&whole[..], &many].concat(),
        ] {
            assert!(
                matches!(Manifest::parse(&manifest(&members)), Err(BackupError::Damaged { .. })),
                "{members:?}"
            );
        }
    }

    #[test]
    fn a_later_format_is_said() {
        let later = br#"{"format": 2, "whatever": true}"#;
        assert!(matches!(Manifest::parse(later), Err(BackupError::Format { format: 2 })));
    }
}
