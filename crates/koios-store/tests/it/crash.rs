//! A process that is killed at a moment nobody chose.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use koios_pki::SecurityMode;
use koios_store::{
    Apply, CheckCode, CheckFinding, DirectoryCheck, InstallAnswer, Store, StoreError, StoreOptions,
};

use crate::fixture::{new_certificate, replacement, settings};
use crate::requests::{answer, new_key, request};

const FOLDER: &str = "KOIOS_STORE_CRASH_TEST_FOLDER";

/// Not a test of its own: the process that the test below kills.
#[tokio::test]
#[ignore = "runs as the child of `a_killed_process_leaves_a_store_that_opens_whole`"]
async fn child_that_changes_things_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = Store::open(StoreOptions::new(folder)).await.unwrap();
    let default = match store.default_certificate().await.unwrap() {
        Some(default) => default.id,
        None => store.create_certificate(new_certificate("Default")).await.unwrap().id,
    };
    eprintln!("changing");
    for round in 0.. {
        let name = format!("{} {round}", std::process::id());
        let id = store.create_certificate(new_certificate(&name)).await.unwrap().id;
        let mut device = settings(&name, SecurityMode::Sign);
        device.certificate_id = Some(id);
        store.create_device(device, true).await.unwrap();
        store.replace_key_pair(id, replacement(), Apply::Commit).await.unwrap();
        let record = store.certificate(id).await.unwrap();
        let key = new_key();
        let request = request(&record, &key);
        store.stage_request(id, request.clone(), Some(key.to_pem())).await.unwrap();
        store.drop_request(id).await.unwrap();
        store.stage_request(id, request.clone(), Some(key.to_pem())).await.unwrap();
        let mut install = InstallAnswer::new(request, answer(&key, 7).into(), 90);
        install.allow_uri_change = true;
        store.install_certificate(id, install, Apply::Commit).await.unwrap();
        store.set_default(id, Apply::Commit).await.unwrap();
        store.replace_key_pair(default, replacement(), Apply::Commit).await.unwrap();
        store.set_default(default, Apply::Commit).await.unwrap();
        store.delete_certificate(id, Apply::Commit, None).await.unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_leaves_a_store_that_opens_whole() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("data");
    for round in 0u64..12 {
        kill_while_changing(&folder, std::time::Duration::from_millis(7 * round));
        examined_after_a_kill(&folder, round % 3 == 2).await;
        let store = Store::open(StoreOptions::new(&folder)).await.expect("the next start");
        let mut query = koios_store::CertificateQuery::default();
        query.page.limit = 500;
        let now = time::OffsetDateTime::now_utc();
        let records = store.certificates(query, now, time::Duration::ZERO).await.unwrap().items;
        assert_eq!(records.iter().filter(|record| record.is_default).count(), 1);
        for record in &records {
            assert_eq!(store.load_identity(record.id).await.unwrap().chain, record.chain);
            let staged = match store.pending_request(record.id).await {
                Ok(pending) => usize::from(pending.new_key),
                Err(StoreError::NoPendingRequest { .. }) => 0,
                Err(error) => panic!("{error}"),
            };
            let generations = std::fs::read_dir(folder.join(format!("certificates/{}", record.id))).unwrap();
            assert_eq!(generations.count(), 1 + staged, "no old key is left, and none that waits is lost");
        }
        let folders = std::fs::read_dir(folder.join("certificates")).unwrap().count();
        assert_eq!(folders, records.len());
        store.close().await;
        let found = examine(&DirectoryCheck::to_read(StoreOptions::new(&folder)).unwrap()).await;
        assert!(found.iter().all(|finding| finding.code == CheckCode::OrphanedKeyPair), "{found:#?}");
    }
}

async fn examine(check: &DirectoryCheck) -> Vec<CheckFinding> {
    check.examine(|_, _| {}).await
}

/// Before the next start there may be leftovers, and nothing worse; a repair takes no start's work away.
async fn examined_after_a_kill(folder: &Path, repair: bool) {
    let leftovers = [
        CheckCode::LeftoverFile,
        CheckCode::LeftoverGeneration,
        CheckCode::OrphanedKeyPair,
        CheckCode::UnknownGeneration,
    ];
    let check = DirectoryCheck::to_repair(StoreOptions::new(folder)).unwrap();
    let found = examine(&check).await;
    assert!(found.iter().all(|finding| leftovers.contains(&finding.code)), "{found:#?}");
    if !repair {
        return;
    }
    for repair in found.iter().filter_map(|finding| finding.repair.as_ref()) {
        check.repair(repair).await.unwrap();
    }
    let found = examine(&check).await;
    assert!(found.iter().all(|finding| finding.repair.is_none()), "{found:#?}");
}

/// Starts the child, waits until it is at work and then as long as told, and kills it.
fn kill_while_changing(folder: &Path, after: std::time::Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "crash::child_that_changes_things_until_it_is_killed"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = lines.any(|line| line.is_ok_and(|line| line.contains("changing")));
    assert!(ready, "the child never came to work");
    // Not a wait for something: the moment of the kill is what differs between the rounds.
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}
