//! Certificate requests: staged beside the pair in use, and installed in one commit.

use std::path::Path;

use koios_pki::{
    Certificate, CertificateRequest, KeySpec, PrivateKey, RequestParams, SelfSignedParams, SerialNumber,
    Validity, certificate_request, self_signed,
};
use koios_store::{
    Apply, CertificateId, CertificateRecord, EndReason, IdentityFilesError, InstallAnswer, Origin, StoreError,
};
use time::OffsetDateTime;

use crate::fixture::{Fixture, chain, is_not_found, key, snapshot};

pub(crate) fn new_key() -> PrivateKey {
    PrivateKey::generate(KeySpec::EcP256).unwrap()
}

pub(crate) fn request(record: &CertificateRecord, key: &PrivateKey) -> CertificateRequest {
    certificate_request(&RequestParams::from_certificate(record.chain.leaf()).unwrap(), key).unwrap()
}

/// What an authority might answer; the store does not judge who signed.
pub(crate) fn answer(key: &PrivateKey, serial: u8) -> Certificate {
    let params = SelfSignedParams::new(
        "Koios@gw01.plant.example",
        "Koios",
        "urn:koios:gw01.plant.example:plant-a".parse().unwrap(),
        Validity::starting_at(OffsetDateTime::now_utc(), 90),
        SerialNumber::from_random_bytes([serial; 16]),
    );
    self_signed(&params, key).unwrap()
}

fn generations(fixture: &Fixture, id: CertificateId) -> Vec<String> {
    let entries = std::fs::read_dir(fixture.path().join(format!("certificates/{id}"))).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}

#[tokio::test]
async fn a_new_key_is_staged_and_the_pair_in_use_stays_in_use_until_the_answer_is_installed() {
    let fixture = Fixture::new().await;
    let record = fixture.certificate("Default").await;
    let key = new_key();
    let request = request(&record, &key);
    let staged = fixture.store.stage_request(record.id, request.clone(), Some(key.to_pem())).await.unwrap();
    assert!(staged.new_key);
    assert_eq!(generations(&fixture, record.id), ["1", "2"]);
    let file = fixture.file(record.id, 2, "private-key.pem");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    let after = fixture.store.certificate(record.id).await.unwrap();
    assert_eq!((after.revision, after.generation, &after.chain), (1, 1, &record.chain));
    assert_eq!(fixture.store.load_identity(record.id).await.unwrap().chain, record.chain);

    // A restart keeps it.
    let fixture = fixture.reopened().await;
    let pending = fixture.store.pending_request(record.id).await.unwrap();
    assert_eq!((&pending.request, pending.new_key), (&request, true));
    assert_eq!(pending.created_at, staged.created_at);
    assert_eq!(generations(&fixture, record.id), ["1", "2"]);

    let issued = answer(&key, 7);
    let mut install = InstallAnswer::new(request, issued.clone().into(), 90);
    install.expected_revision = Some(1);
    let installed = fixture.store.install_certificate(record.id, install, Apply::Commit).await.unwrap();
    let now = installed.certificate;
    assert_eq!((now.revision, now.generation, now.origin), (2, 3, Origin::Issued));
    assert_eq!(installed.previous, record.chain);
    let identity = fixture.store.load_identity(record.id).await.unwrap();
    assert_eq!(identity.chain.leaf(), &issued);
    assert!(PrivateKey::from_pem(&identity.key).unwrap().matches(identity.chain.leaf()));
    assert_eq!(generations(&fixture, record.id), ["3"], "neither the old nor the staged key is left");
    let gone = fixture.store.pending_request(record.id).await;
    assert!(matches!(gone, Err(StoreError::NoPendingRequest { .. })));
    let history = fixture.store.certificate_history(record.id, Default::default()).await.unwrap();
    assert_eq!((history.items[0].generation, history.items[0].reason), (1, EndReason::Installed));
}

#[tokio::test]
async fn the_key_in_use_serves_a_request_without_a_new_one() {
    let fixture = Fixture::new().await;
    let record = fixture.certificate("Default").await;
    let own = PrivateKey::from_pem(&key()).unwrap();
    let request = request(&record, &own);
    let staged = fixture.store.stage_request(record.id, request.clone(), None).await.unwrap();
    assert!(!staged.new_key);
    assert_eq!(generations(&fixture, record.id), ["1"]);
    let issued = answer(&own, 8);
    let install = InstallAnswer::new(request, issued.clone().into(), 90);
    fixture.store.install_certificate(record.id, install, Apply::Commit).await.unwrap();
    let identity = fixture.store.load_identity(record.id).await.unwrap();
    assert_eq!((identity.generation, identity.chain.leaf()), (2, &issued));
    assert!(identity.key.secret_bytes() == key().secret_bytes());
}

#[tokio::test]
async fn one_request_at_a_time_is_pending_and_it_can_be_dropped() {
    let fixture = Fixture::new().await;
    let record = fixture.certificate("Default").await;
    let key = new_key();
    let first = request(&record, &key);
    assert!(matches!(fixture.store.drop_request(record.id).await, Err(StoreError::NoPendingRequest { .. })));
    fixture.store.stage_request(record.id, first.clone(), Some(key.to_pem())).await.unwrap();
    let second = fixture.store.stage_request(record.id, first.clone(), Some(new_key().to_pem())).await;
    assert!(matches!(second, Err(StoreError::RequestPending { .. })));
    assert_eq!(fixture.store.drop_request(record.id).await.unwrap().request, first);
    assert_eq!(generations(&fixture, record.id), ["1"], "the new key is gone");
    assert!(matches!(
        fixture.store.pending_request(record.id).await,
        Err(StoreError::NoPendingRequest { .. })
    ));
    let unknown: CertificateId = "0193d0d2-5b1c-7000-8000-000000000000".parse().unwrap();
    assert!(is_not_found(fixture.store.pending_request(unknown).await));
    assert!(is_not_found(fixture.store.stage_request(unknown, first, None).await));
}

#[tokio::test]
async fn a_request_for_the_key_in_use_ends_with_that_key_and_one_for_a_new_key_survives() {
    let fixture = Fixture::new().await;
    let record = fixture.certificate("Default").await;
    let own = request(&record, &PrivateKey::from_pem(&key()).unwrap());
    fixture.store.stage_request(record.id, own, None).await.unwrap();
    assert!(fixture.store.preview_replacement(record.id, None).await.unwrap().request_dropped);
    assert!(fixture.regenerate(record.id).await.request_dropped);
    assert!(matches!(
        fixture.store.pending_request(record.id).await,
        Err(StoreError::NoPendingRequest { .. })
    ));

    let key = new_key();
    let new = request(&record, &key);
    fixture.store.stage_request(record.id, new.clone(), Some(key.to_pem())).await.unwrap();
    assert_eq!(generations(&fixture, record.id), ["2", "3"]);
    let replaced = fixture.regenerate(record.id).await;
    assert!(!replaced.request_dropped);
    assert_eq!(replaced.certificate.generation, 4, "past the staged one");
    let fixture = fixture.reopened().await;
    assert_eq!(generations(&fixture, record.id), ["3", "4"]);
    let install = InstallAnswer::new(new, answer(&key, 9).into(), 90);
    let installed = fixture.store.install_certificate(record.id, install, Apply::Commit).await.unwrap();
    assert_eq!(installed.certificate.generation, 5);
    assert_eq!(generations(&fixture, record.id), ["5"]);
}

#[tokio::test]
async fn a_deleted_certificate_takes_its_request_and_the_new_key_along() {
    let fixture = Fixture::new().await;
    fixture.certificate("Default").await;
    let record = fixture.certificate("Other").await;
    let key = new_key();
    fixture.store.stage_request(record.id, request(&record, &key), Some(key.to_pem())).await.unwrap();
    fixture.store.delete_certificate(record.id, Apply::Commit, None).await.unwrap();
    assert!(!fixture.path().join(format!("certificates/{}", record.id)).exists());
    assert!(is_not_found(fixture.store.pending_request(record.id).await));
}

#[tokio::test]
async fn an_answer_to_another_request_and_a_changed_key_are_refused_and_nothing_changes() {
    let fixture = Fixture::new().await;
    let record = fixture.certificate("Default").await;
    let key = new_key();
    let pending = request(&record, &key);
    fixture.store.stage_request(record.id, pending.clone(), Some(key.to_pem())).await.unwrap();
    let before = snapshot(&fixture.path().join("certificates"));
    let install = |request, apply| {
        let answer = InstallAnswer::new(request, answer(&key, 7).into(), 90);
        fixture.store.install_certificate(record.id, answer, apply)
    };
    let other = request(&record, &new_key());
    let refused = install(other, Apply::Commit).await;
    assert!(matches!(refused, Err(IdentityFilesError::Store(StoreError::NoPendingRequest { .. }))));

    let mut elsewhere = InstallAnswer::new(pending.clone(), chain(), 90);
    elsewhere.chain =
        crate::fixture::chain_with("Koios@b", "urn:koios:b:other", OffsetDateTime::now_utc(), 9);
    let refused = fixture.store.install_certificate(record.id, elsewhere, Apply::Commit).await;
    assert!(matches!(refused, Err(IdentityFilesError::Store(StoreError::ApplicationUriChanged { .. }))));

    let preview = install(pending.clone(), Apply::DryRun).await.unwrap();
    assert_eq!(preview.certificate.chain, record.chain, "as it is now");
    assert_eq!(snapshot(&fixture.path().join("certificates")), before);

    let file = fixture.file(record.id, 2, "private-key.pem");
    std::fs::write(&file, "garbage").unwrap();
    assert!(matches!(install(pending.clone(), Apply::Commit).await, Err(IdentityFilesError::Changed { .. })));
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(install(pending, Apply::Commit).await, Err(IdentityFilesError::Missing { .. })));
    assert_eq!(fixture.store.load_identity(record.id).await.unwrap().chain, record.chain);
}
