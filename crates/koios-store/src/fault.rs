//! Points between the steps of a change at which a test can stop it for ever, as a power cut would.
//!
//! Outside of this crate's own tests they do nothing.

/// A moment between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultPoint {
    /// The rows are written, no file is.
    BeforeFiles,
    /// The files are on the disk, nothing is committed.
    BeforeCommit,
    /// The new state is committed, the old files are still there.
    AfterCommit,
}

/// The fault a test asked for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    #[cfg(test)]
    armed: std::sync::Mutex<Option<(FaultPoint, std::sync::Arc<tokio::sync::Notify>)>>,
}

impl Faults {
    /// Goes on, unless a test wants the change to end here.
    #[cfg(not(test))]
    #[expect(clippy::unused_async, reason = "the same signature as in tests")]
    pub(crate) async fn pass(&self, _point: FaultPoint) {}

    /// Goes on, unless a test wants the change to end here.
    #[cfg(test)]
    pub(crate) async fn pass(&self, point: FaultPoint) {
        let armed = self.armed.lock().unwrap().clone();
        if let Some((at, reached)) = armed
            && at == point
        {
            reached.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Stops the next change at that point; the handle tells when it got there.
    #[cfg(test)]
    pub(crate) fn arm(&self, point: FaultPoint) -> std::sync::Arc<tokio::sync::Notify> {
        let reached = std::sync::Arc::<tokio::sync::Notify>::default();
        *self.armed.lock().unwrap() = Some((point, std::sync::Arc::clone(&reached)));
        reached
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::path::Path;
    use std::sync::LazyLock;
    use std::time::Duration;

    use koios_pki::{
        ApplicationUri, CertificateChain, CertificateRequest, KeySpec, PrivateKey, PrivateKeyPem,
        RequestParams, SelfSignedParams, SerialNumber, Validity, certificate_request, self_signed,
    };
    use time::OffsetDateTime;
    use tokio::runtime::Runtime;

    use super::FaultPoint;
    use crate::{
        Apply, AuditEntry, CertificateId, CertificateRecord, EndReason, InstallAnswer, Name, NewCertificate,
        Origin, PageRequest, ReplacePair, Store, StoreError, StoreOptions, TrustListName,
    };

    static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(KeySpec::Rsa2048).unwrap());

    fn pair(serial: u8) -> (CertificateChain, PrivateKeyPem) {
        pair_of_key(&KEY, serial)
    }

    fn pair_of_key(key: &PrivateKey, serial: u8) -> (CertificateChain, PrivateKeyPem) {
        let params = SelfSignedParams::new(
            "Koios@test",
            "Koios",
            ApplicationUri::parse("urn:koios:test:a").unwrap(),
            Validity::starting_at(OffsetDateTime::now_utc(), 10),
            SerialNumber::from_random_bytes([serial; 16]),
        );
        (self_signed(&params, key).unwrap().into(), key.to_pem())
    }

    async fn open(folder: &Path) -> Store {
        Store::open(StoreOptions::new(folder)).await.unwrap()
    }

    async fn create(store: &Store, name: &str, serial: u8) -> CertificateRecord {
        let (chain, key) = pair(serial);
        let new = NewCertificate::new(Name::parse(name).unwrap(), Origin::Generated, chain, key, 10);
        store.create_certificate(new).await.unwrap()
    }

    async fn regenerate(store: &Store, id: CertificateId) {
        let (chain, key) = pair(9);
        let pair = ReplacePair::new(Origin::Generated, chain, key, 10, EndReason::Regenerated);
        store.replace_key_pair(id, pair, Apply::Commit).await.unwrap();
    }

    static NEW_KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(KeySpec::EcP256).unwrap());

    fn request() -> CertificateRequest {
        let uri = ApplicationUri::parse("urn:koios:test:a").unwrap();
        certificate_request(&RequestParams::new("Koios@test", "Koios", uri).unwrap(), &NEW_KEY).unwrap()
    }

    async fn stage(store: &Store, id: CertificateId) {
        store.stage_request(id, request(), Some(NEW_KEY.to_pem())).await.unwrap();
    }

    async fn install(store: &Store, id: CertificateId) {
        let pending = store.pending_request(id).await.unwrap();
        let (chain, _) = pair_of_key(&NEW_KEY, 11);
        let answer = InstallAnswer::new(pending.request, chain, 10);
        store.install_certificate(id, answer, Apply::Commit).await.unwrap();
    }

    /// A store with a default and another certificate, whose runtime ends while `change` stands at `point`.
    fn cut_off<F: Future<Output = ()> + Send + 'static>(
        folder: &Path,
        point: FaultPoint,
        change: impl FnOnce(Store, CertificateId) -> F,
    ) -> CertificateId {
        let runtime = Runtime::new().unwrap();
        let id = runtime.block_on(async {
            let store = open(folder).await;
            create(&store, "Default", 1).await;
            let id = create(&store, "Other", 2).await.id;
            let reached = store.inner.faults.arm(point);
            tokio::spawn(change(store, id));
            tokio::time::timeout(Duration::from_secs(60), reached.notified())
                .await
                .expect("the point is never reached");
            id
        });
        drop(runtime);
        id
    }

    /// The generation folders of a certificate.
    fn generations(folder: &Path, id: CertificateId) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(folder.join("certificates").join(id.to_string())) else {
            return Vec::new();
        };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn certificates(folder: &Path) -> usize {
        std::fs::read_dir(folder.join("certificates")).unwrap().count()
    }

    /// What was moved aside.
    fn orphaned(folder: &Path) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(folder.join("orphaned")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_regeneration_cut_off_before_its_commit_leaves_the_old_pair_whole() {
        for point in [FaultPoint::BeforeFiles, FaultPoint::BeforeCommit] {
            let folder = tempfile::tempdir().unwrap();
            let id = cut_off(folder.path(), point, |store, id| async move { regenerate(&store, id).await });
            let written = if point == FaultPoint::BeforeFiles { 1 } else { 2 };
            assert_eq!(generations(folder.path(), id).len(), written, "{point:?}");
            Runtime::new().unwrap().block_on(async {
                let store = open(folder.path()).await;
                let record = store.certificate(id).await.unwrap();
                assert_eq!((record.generation, record.revision), (1, 1));
                assert_eq!(store.load_identity(id).await.unwrap().chain, pair_of(&record));
                assert_eq!(generations(folder.path(), id), ["1"]);
                // Whole files may be newer than the database: nobody but the operator deletes their key.
                let kept: &[String] = if written == 2 { &[format!("{id}-2")] } else { &[] };
                assert_eq!(orphaned(folder.path()), kept);
                // The place of the leftover is free again.
                regenerate(&store, id).await;
                assert_eq!(store.load_identity(id).await.unwrap().generation, 2);
            });
        }
    }

    #[test]
    fn a_regeneration_cut_off_after_its_commit_is_done_and_the_old_key_goes_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let id = cut_off(folder.path(), FaultPoint::AfterCommit, |store, id| async move {
            regenerate(&store, id).await;
        });
        assert_eq!(generations(folder.path(), id).len(), 2);
        Runtime::new().unwrap().block_on(async {
            let store = open(folder.path()).await;
            assert_eq!(store.load_identity(id).await.unwrap().generation, 2);
            assert_eq!(generations(folder.path(), id), ["2"]);
            assert!(orphaned(folder.path()).is_empty());
        });
    }

    #[test]
    fn a_creation_cut_off_before_its_commit_leaves_no_certificate() {
        for point in [FaultPoint::BeforeFiles, FaultPoint::BeforeCommit] {
            let folder = tempfile::tempdir().unwrap();
            cut_off(folder.path(), point, |store, _| async move {
                create(&store, "Third", 3).await;
            });
            Runtime::new().unwrap().block_on(async {
                let store = open(folder.path()).await;
                assert_eq!(store.counts().await.unwrap().certificates, 2);
                assert_eq!(certificates(folder.path()), 2);
                let kept = usize::from(point == FaultPoint::BeforeCommit);
                assert_eq!(orphaned(folder.path()).len(), kept, "{point:?}");
                assert_eq!(create(&store, "Third", 3).await.revision, 1);
            });
        }
    }

    #[test]
    fn a_first_start_cut_off_before_its_commit_is_a_first_start_again() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let store = open(folder.path()).await;
            let reached = store.inner.faults.arm(FaultPoint::BeforeCommit);
            tokio::spawn(async move { create(&store, "Default", 1).await });
            tokio::time::timeout(Duration::from_secs(60), reached.notified())
                .await
                .expect("the point is never reached");
        });
        drop(runtime);
        Runtime::new().unwrap().block_on(async {
            let store = open(folder.path()).await;
            assert!(store.is_first_start());
            assert_eq!((certificates(folder.path()), orphaned(folder.path()).len()), (0, 1));
            create(&store, "Default", 1).await;
        });
    }

    #[test]
    fn a_deletion_cut_off_after_its_commit_is_done_and_the_key_goes_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let id = cut_off(folder.path(), FaultPoint::AfterCommit, |store, id| async move {
            store.delete_certificate(id, Apply::Commit, None).await.unwrap();
        });
        assert_eq!(generations(folder.path(), id), ["1"]);
        Runtime::new().unwrap().block_on(async {
            let store = open(folder.path()).await;
            assert!(store.certificate(id).await.is_err());
            assert_eq!(certificates(folder.path()), 1);
            assert!(orphaned(folder.path()).is_empty());
        });
    }

    #[test]
    fn a_request_cut_off_before_its_commit_is_not_pending_and_its_key_is_kept_aside() {
        for point in [FaultPoint::BeforeFiles, FaultPoint::BeforeCommit] {
            let folder = tempfile::tempdir().unwrap();
            let id = cut_off(folder.path(), point, |store, id| async move { stage(&store, id).await });
            Runtime::new().unwrap().block_on(async {
                let store = open(folder.path()).await;
                assert!(matches!(store.pending_request(id).await, Err(StoreError::NoPendingRequest { .. })));
                assert_eq!(generations(folder.path(), id), ["1"]);
                let kept: &[String] =
                    if point == FaultPoint::BeforeCommit { &[format!("{id}-2")] } else { &[] };
                assert_eq!(orphaned(folder.path()), kept);
                stage(&store, id).await;
            });
        }
    }

    #[test]
    fn a_request_cut_off_after_its_commit_is_pending_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let id = cut_off(folder.path(), FaultPoint::AfterCommit, |store, id| async move {
            stage(&store, id).await;
        });
        Runtime::new().unwrap().block_on(async {
            let store = open(folder.path()).await;
            assert!(store.pending_request(id).await.unwrap().new_key);
            assert!(folder.path().join(format!("certificates/{id}/2/private-key.pem")).exists());
            assert!(orphaned(folder.path()).is_empty());
        });
    }

    #[test]
    fn a_drop_cut_off_after_its_commit_is_done_and_the_key_goes_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let key = |id: CertificateId| folder.join(format!("certificates/{id}/2/private-key.pem"));
        let id = cut_off(folder, FaultPoint::AfterCommit, |store, id| async move {
            stage(&store, id).await;
        });
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let store = open(folder).await;
            let reached = store.inner.faults.arm(FaultPoint::AfterCommit);
            tokio::spawn(async move { store.drop_request(id).await });
            tokio::time::timeout(Duration::from_secs(60), reached.notified())
                .await
                .expect("the point is never reached");
        });
        drop(runtime);
        assert!(key(id).exists());
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let store = open(folder).await;
            assert!(matches!(store.pending_request(id).await, Err(StoreError::NoPendingRequest { .. })));
            assert_eq!(generations(folder, id), ["1"]);
            assert!(orphaned(folder).is_empty(), "a key that was dropped is not kept");
            // Another key in the same place is another key, also when its own start is cut off.
            let another = PrivateKey::generate(KeySpec::EcP256).unwrap();
            store.stage_request(id, request(), Some(another.to_pem())).await.unwrap();
            store.close().await;
            let store = open(folder).await;
            assert!(key(id).exists() && store.pending_request(id).await.unwrap().new_key);
            store.drop_request(id).await.unwrap();
            assert!(!key(id).exists());
            store.close().await;
            open(folder).await.close().await;
        });
    }

    #[test]
    fn a_change_of_trust_that_is_cut_off_is_whole_or_was_never_made() {
        for point in [FaultPoint::BeforeFiles, FaultPoint::BeforeCommit, FaultPoint::AfterCommit] {
            let folder = tempfile::tempdir().unwrap();
            let certificate = pair(7).0.leaf().clone();
            let thumbprint = certificate.thumbprint_sha256();
            let runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                let store = open(folder.path()).await;
                store.add_to_trust_list(TrustListName::Trusted, certificate).await.unwrap();
                let reached = store.inner.faults.arm(point);
                tokio::spawn(async move { store.reject_server_certificate(thumbprint).await });
                tokio::time::timeout(Duration::from_secs(60), reached.notified())
                    .await
                    .expect("the point is never reached");
            });
            drop(runtime);
            Runtime::new().unwrap().block_on(async {
                let store = open(folder.path()).await;
                let page = store.trust_entries(None, PageRequest::default()).await.unwrap();
                let [entry] = page.items.as_slice() else { panic!("{point:?}: {page:?}") };
                let done = point == FaultPoint::AfterCommit;
                let list = if done { TrustListName::Rejected } else { TrustListName::Trusted };
                assert_eq!((entry.list, entry.reason.is_some()), (list, done), "{point:?}");
                let inside = std::fs::read_dir(folder.path().join("trust")).unwrap();
                assert_eq!(inside.count(), 3, "{point:?}: what was on its way is cleared away");
                store.reject_server_certificate(thumbprint).await.unwrap();
            });
        }
    }

    /// The key of a dropped request lies where the next one's is going to.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_request_made_while_another_is_dropped_keeps_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        create(&store, "Default", 1).await;
        let id = create(&store, "Other", 2).await.id;
        for _ in 0..100 {
            stage(&store, id).await;
            let staging = async {
                loop {
                    match store.stage_request(id, request(), Some(NEW_KEY.to_pem())).await {
                        Err(StoreError::RequestPending { .. }) => tokio::task::yield_now().await,
                        staged => break staged.unwrap(),
                    }
                }
            };
            let (dropped, _) = tokio::join!(store.drop_request(id), staging);
            dropped.unwrap();
            let key = folder.path().join(format!("certificates/{id}/2/private-key.pem"));
            assert!(key.exists(), "the key of the pending request is gone");
            store.drop_request(id).await.unwrap();
            assert!(!key.exists());
        }
    }

    /// What cannot be read may be the key that must go: it is neither kept as somebody's nor forgotten.
    #[test]
    fn a_dropped_key_that_cannot_be_read_at_a_start_goes_at_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let runtime = Runtime::new().unwrap();
        let id = runtime.block_on(async {
            let store = open(folder).await;
            let id = create(&store, "Default", 1).await.id;
            stage(&store, id).await;
            let reached = store.inner.faults.arm(FaultPoint::AfterCommit);
            tokio::spawn(async move { store.drop_request(id).await });
            reached.notified().await;
            id
        });
        drop(runtime);
        let key = folder.join(format!("certificates/{id}/2/private-key.pem"));
        let content = std::fs::read(&key).unwrap();
        std::fs::remove_file(&key).unwrap();
        // A link to itself: every attempt to read it fails, for root too.
        std::os::unix::fs::symlink(&key, &key).unwrap();
        Runtime::new().unwrap().block_on(async { open(folder).await.close().await });
        assert!(key.symlink_metadata().is_ok() && !folder.join("orphaned").exists());
        std::fs::remove_file(&key).unwrap();
        std::fs::write(&key, content).unwrap();
        Runtime::new().unwrap().block_on(async { open(folder).await.close().await });
        assert!(!key.exists() && !folder.join("orphaned").exists());
    }

    /// Until its folder is gone a generation's number is nobody else's.
    #[tokio::test(flavor = "multi_thread")]
    async fn changes_of_generations_wait_for_each_other() {
        for point in [FaultPoint::BeforeFiles, FaultPoint::BeforeCommit, FaultPoint::AfterCommit] {
            let folder = tempfile::tempdir().unwrap();
            let store = open(folder.path()).await;
            create(&store, "Default", 1).await;
            let id = create(&store, "Other", 2).await.id;
            let reached = store.inner.faults.arm(point);
            let changing = store.clone();
            tokio::spawn(async move { regenerate(&changing, id).await });
            reached.notified().await;
            assert!(store.inner.generations.try_lock().is_err(), "{point:?}");
        }
    }

    #[test]
    fn an_audit_entry_is_there_exactly_when_the_change_it_tells_of_is() {
        for (point, entries) in [(FaultPoint::BeforeCommit, 0), (FaultPoint::AfterCommit, 1)] {
            let folder = tempfile::tempdir().unwrap();
            let id = cut_off(folder.path(), point, |store, id| async move {
                let entry =
                    AuditEntry::new(OffsetDateTime::now_utc(), "admin", "certificate.request_created");
                stage(&store.recording(entry), id).await;
            });
            Runtime::new().unwrap().block_on(async {
                let store = open(folder.path()).await;
                assert_eq!(store.pending_request(id).await.is_ok(), entries == 1);
                let entry = AuditEntry::new(OffsetDateTime::now_utc(), "test", "next");
                assert_eq!(store.append_audit(entry).await.unwrap(), entries + 1);
            });
        }
    }

    #[test]
    fn an_installation_cut_off_is_not_begun_or_done() {
        for (point, generation) in
            [(FaultPoint::BeforeFiles, 1), (FaultPoint::BeforeCommit, 1), (FaultPoint::AfterCommit, 3)]
        {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let id = Runtime::new().unwrap().block_on(async {
                let store = open(folder).await;
                let id = create(&store, "Default", 1).await.id;
                stage(&store, id).await;
                store.close().await;
                id
            });
            let runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                let store = open(folder).await;
                let reached = store.inner.faults.arm(point);
                tokio::spawn(async move { install(&store, id).await });
                tokio::time::timeout(Duration::from_secs(60), reached.notified())
                    .await
                    .expect("the point is never reached");
            });
            drop(runtime);
            Runtime::new().unwrap().block_on(async {
                let store = open(folder).await;
                let identity = store.load_identity(id).await.unwrap();
                assert_eq!(identity.generation, generation, "{point:?}");
                assert!(PrivateKey::from_pem(&identity.key).unwrap().matches(identity.chain.leaf()));
                let pending = store.pending_request(id).await;
                assert_eq!(pending.is_ok(), generation == 1);
                if generation == 1 {
                    install(&store, id).await;
                }
                assert_eq!(generations(folder, id).len(), 1);
            });
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_caller_who_stops_waiting_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        let mut changes = store.changes();
        let (chain, key) = pair(1);
        let new = NewCertificate::new(Name::parse("Default").unwrap(), Origin::Generated, chain, key, 10);
        let polled_once = tokio::time::timeout(Duration::ZERO, store.create_certificate(new)).await;
        assert!(polled_once.is_err());
        tokio::time::timeout(Duration::from_secs(60), changes.recv())
            .await
            .expect("the change goes on")
            .unwrap();
        assert_eq!(store.counts().await.unwrap().certificates, 1);
    }

    fn pair_of(record: &CertificateRecord) -> CertificateChain {
        record.chain.clone()
    }
}
