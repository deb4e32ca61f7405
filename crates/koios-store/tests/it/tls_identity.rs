//! The certificate of the listener: kept closed, encrypted with the others, and examined.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use koios_pki::{PrivateKeyPem, Severity};
use koios_store::{BackupOrder, CheckCode, DirectoryCheck, Store, StoreOptions, TlsIdentity, back_up};

use crate::fixture::{Fixture, chain, key};

fn identity() -> TlsIdentity {
    TlsIdentity { certificate: chain().to_pem().into_bytes(), private_key: key() }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

async fn kept(store: &Store) -> Option<PrivateKeyPem> {
    store.tls_identity().await.unwrap().map(|identity| identity.private_key)
}

#[tokio::test]
async fn it_is_kept_closed_and_read_back_after_a_restart() {
    let fixture = Fixture::new().await;
    assert!(fixture.store.tls_identity().await.unwrap().is_none());
    let written = identity();
    let certificate = written.certificate.clone();
    let path = fixture.store.write_tls_identity(written).await.unwrap();
    let folder = fixture.path().join("tls");
    assert_eq!(path, folder.join("certificate.pem"));
    assert_eq!((mode(&folder), mode(&folder.join("private-key.pem"))), (0o700, 0o600));
    let read = fixture.store.tls_identity().await.unwrap().unwrap();
    assert_eq!(read.certificate, certificate);
    assert_eq!(read.private_key.secret_bytes(), key().secret_bytes());
    assert!(!format!("{read:?}").contains("PRIVATE"));
}

#[tokio::test]
async fn encryption_at_rest_takes_it_along_and_a_lost_key_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let open = async |encrypted| {
        let mut options = StoreOptions::new(&data);
        options.encryption_at_rest = encrypted;
        Store::open(options).await.unwrap()
    };
    let store = open(false).await;
    store.write_tls_identity(identity()).await.unwrap();
    store.close().await;
    let file = data.join("tls/private-key.pem");
    assert!(std::fs::read_to_string(&file).unwrap().contains("BEGIN PRIVATE KEY"));

    let store = open(true).await;
    assert_eq!(kept(&store).await.unwrap().secret_bytes(), key().secret_bytes());
    assert!(std::fs::read_to_string(&file).unwrap().contains("BEGIN ENCRYPTED PRIVATE KEY"));
    assert_eq!(mode(&file), 0o600);
    store.write_tls_identity(identity()).await.unwrap();
    assert!(!std::fs::read_to_string(&file).unwrap().contains("BEGIN PRIVATE KEY"));
    store.close().await;

    let store = open(false).await;
    assert!(kept(&store).await.is_some());
    std::fs::write(
        &file,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    assert!(kept(&store).await.is_none());
    std::fs::remove_file(&file).unwrap();
    assert!(kept(&store).await.is_none());
    store.close().await;
}

#[tokio::test]
async fn a_check_knows_the_folder_and_a_backup_leaves_it_out() {
    let fixture = Fixture::new().await;
    fixture.certificate("Default").await;
    fixture.store.write_tls_identity(identity()).await.unwrap();
    let data = fixture.path().to_owned();
    fixture.store.clone().close().await;
    let findings = async || {
        let found = DirectoryCheck::to_read(StoreOptions::new(&data)).unwrap().examine(|_, _| {}).await;
        let tls = found.into_iter().filter(|finding| finding.subject.starts_with("tls"));
        tls.map(|finding| (finding.code, finding.severity(), finding.subject)).collect::<Vec<_>>()
    };
    assert_eq!(findings().await, []);
    std::fs::set_permissions(data.join("tls/private-key.pem"), PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(data.join("tls/private-key.new"), "x").unwrap();
    std::fs::write(data.join("tls/notes"), "x").unwrap();
    assert_eq!(
        findings().await,
        [
            (CheckCode::FileNotOurs, Severity::Info, "tls/notes".to_owned()),
            (CheckCode::LeftoverFile, Severity::Info, "tls/private-key.new".to_owned()),
            (CheckCode::OpenToOthers, Severity::Warning, "tls/private-key.pem".to_owned()),
        ]
    );

    let backup = tempfile::tempdir().unwrap();
    let file = backup.path().join("backup.tar");
    back_up(BackupOrder::new(&data, &file)).await.unwrap();
    let text = std::fs::read(&file).unwrap();
    assert!(!String::from_utf8_lossy(&text).contains("tls/"));
}
