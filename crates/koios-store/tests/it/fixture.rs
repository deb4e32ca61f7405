//! A store in a temporary directory, and key pairs to put into it.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use koios_pki::{
    ApplicationUri, CertificateChain, KeySpec, PrivateKey, PrivateKeyPem, SecurityMode, SelfSignedParams,
    SerialNumber, Validity, self_signed,
};
use koios_store::{
    Apply, CertificateId, CertificateQuery, CertificateRecord, Device, DeviceSettings, EndReason, Name,
    NewCertificate, Origin, ReplacePair, Replaced, Store, StoreError, StoreOptions,
};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

/// Making a key takes long; certificates differ by their serial numbers.
static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(KeySpec::Rsa2048).unwrap());

static SERIAL: AtomicU64 = AtomicU64::new(1);

pub(crate) const EXPIRING_SOON: Duration = Duration::days(30);

/// A certificate of its own, valid for a year.
pub(crate) fn chain() -> CertificateChain {
    chain_with(
        "Koios@gw01.plant.example",
        "urn:koios:gw01.plant.example:plant-a",
        OffsetDateTime::now_utc(),
        365,
    )
}

pub(crate) fn chain_with(common_name: &str, uri: &str, from: OffsetDateTime, days: u32) -> CertificateChain {
    let mut serial = [0x11; 16];
    serial[8..].copy_from_slice(&SERIAL.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let mut params = SelfSignedParams::new(
        common_name,
        "Koios",
        ApplicationUri::parse(uri).unwrap(),
        Validity::starting_at(from, days),
        SerialNumber::from_random_bytes(serial),
    );
    params.dns_names = vec!["gw01.plant.example".to_owned()];
    self_signed(&params, &KEY).unwrap().into()
}

/// The private key of every [`chain`].
pub(crate) fn key() -> PrivateKeyPem {
    KEY.to_pem()
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn new_certificate(text: &str) -> NewCertificate {
    NewCertificate::new(name(text), Origin::Generated, chain(), key(), 365)
}

pub(crate) fn replacement() -> ReplacePair {
    ReplacePair::new(Origin::Generated, chain(), key(), 365, EndReason::Regenerated)
}

pub(crate) fn settings(text: &str, mode: SecurityMode) -> DeviceSettings {
    let mut settings = DeviceSettings::new(name(text), "opc.tcp://press4:4840/");
    settings.security_mode = mode;
    settings
}

pub(crate) fn settings_with(
    text: &str,
    mode: SecurityMode,
    certificate: Option<CertificateId>,
) -> DeviceSettings {
    let mut settings = settings(text, mode);
    settings.certificate_id = certificate;
    settings
}

/// A store, and the directory that goes with it.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(folder.path().join("data"))).await.unwrap();
        Self { store, folder }
    }

    /// Closes the store and opens its directory anew.
    pub(crate) async fn reopened(self) -> Self {
        let Self { store, folder } = self;
        store.close().await;
        let store = Store::open(StoreOptions::new(folder.path().join("data"))).await.unwrap();
        Self { store, folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.store.data_dir()
    }

    pub(crate) fn file(&self, id: CertificateId, generation: u32, file: &str) -> PathBuf {
        self.path().join(format!("certificates/{id}/{generation}/{file}"))
    }

    pub(crate) async fn certificate(&self, text: &str) -> CertificateRecord {
        self.store.create_certificate(new_certificate(text)).await.unwrap()
    }

    pub(crate) async fn device(
        &self,
        text: &str,
        mode: SecurityMode,
        certificate: Option<CertificateId>,
    ) -> Device {
        self.store.create_device(settings_with(text, mode, certificate), false).await.unwrap()
    }

    pub(crate) async fn regenerate(&self, id: CertificateId) -> Replaced {
        self.store.replace_key_pair(id, replacement(), Apply::Commit).await.unwrap()
    }

    pub(crate) async fn all(&self) -> Vec<CertificateRecord> {
        let mut query = CertificateQuery::default();
        query.page.limit = 500;
        self.store.certificates(query, OffsetDateTime::now_utc(), EXPIRING_SOON).await.unwrap().items
    }

    /// The names of the certificates that are the default.
    pub(crate) async fn defaults(&self) -> Vec<String> {
        self.all().await.into_iter().filter(|record| record.is_default).map(|record| record.name).collect()
    }
}

/// Every file below a folder, with its contents.
pub(crate) fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            match std::fs::read(&path) {
                Ok(contents) => files.push((path, contents)),
                // What SQLite lays beside its database goes when the last connection is closed, on a thread of its own.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
    files.sort();
    files
}

/// Whether an error is about an id that is not there.
pub(crate) fn is_not_found<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound { .. }))
}
