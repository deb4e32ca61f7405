//! `koiosd backup` and `koiosd restore`, beside a daemon and in its place.

use std::{
    fs,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use koios_store::{Store, StoreOptions};
use serde_json::json;

use crate::daemon::Setup;

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_backup_beside_a_daemon_under_load_starts_another_daemon() {
    let setup = Setup::new();
    let daemon = setup.start();
    let certificate = daemon.generate("Plant A");
    let device = json!({ "name": "Press 4", "endpoint_url": "opc.tcp://press4.example:4840", "enabled": false,
        "certificate_id": certificate["id"],
        "user_identity": { "type": "username", "username": "op", "password": "hunter2" } });
    daemon.post("devices", &device).expect(201);
    let path = format!("certificates/{}/regenerate", certificate["id"].as_str().unwrap());
    let done = AtomicBool::new(false);
    let passphrase = setup.folder().join("passphrase");
    fs::write(&passphrase, "correct horse battery staple\n").unwrap();
    let files: Vec<_> = (0..4).map(|n| setup.folder().join(format!("backup {n}.age"))).collect();
    let regenerated = thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut regenerated = 0;
            while !done.load(Ordering::Relaxed) {
                daemon.post(&path, &json!({})).expect(200);
                regenerated += 1;
            }
            regenerated
        });
        for file in &files {
            let (code, said, error) =
                setup.ended(&["backup", text(file), "--passphrase-file", text(&passphrase)]);
            assert_eq!(code, Some(0), "{error}");
            assert!(said.contains("certificates 2, devices 1") && said.contains(", encrypted"), "{said}");
            assert!(!said.contains("WARNING"), "{said}");
        }
        done.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    assert!(regenerated > 0);
    daemon.stop();
    for file in &files {
        let other = Setup::new();
        let (code, said, error) =
            other.ended(&["restore", text(file), "--passphrase-file", text(&passphrase)]);
        assert_eq!(code, Some(0), "{error}");
        assert!(said.contains("+ certificate \"Plant A\"") && said.contains("restored\n"), "{said}");
        assert_eq!(other.ended(&["audit", "verify"]).0, Some(0));
        // The admin token is the one of the plant.
        let daemon = other.start();
        let list = daemon.get("certificates").expect(200);
        for item in list["items"].as_array().unwrap() {
            assert_eq!(item["statuses"], json!(["valid"]), "{item}");
        }
        assert_eq!((&list["total"], &daemon.get("devices").expect(200)["total"]), (&json!(2), &json!(1)));
        daemon.stop();
    }
}

#[test]
fn only_a_dry_run_goes_beside_a_daemon() {
    let setup = Setup::empty();
    let daemon = setup.start();
    daemon.generate("Plant A");
    let file = setup.folder().join("backup.tar");
    assert_eq!(setup.ended(&["backup", text(&file)]).0, Some(0));
    let (code, _, error) = setup.ended(&["backup", text(&file)]);
    assert_eq!(code, Some(1));
    assert!(error.contains("--force"), "{error}");
    assert_eq!(setup.ended(&["backup", text(&file), "--force"]).0, Some(0));
    daemon.generate("Plant B");

    let (code, said, error) = setup.ended(&["restore", text(&file), "--dry-run"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains("- certificate \"Plant B\"") && !said.contains("Plant A"), "{said}");
    assert!(said.contains("dry run: nothing was changed"), "{said}");
    assert_eq!(daemon.get("certificates").expect(200)["total"], 2);

    let (code, _, error) = setup.ended(&["restore", text(&file)]);
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains(&format!("process id {}", daemon.pid())), "{error}");
    daemon.stop();

    let wrong = setup.folder().join("passphrase");
    fs::write(&wrong, "\n").unwrap();
    let (code, _, error) = setup.ended(&["restore", text(&file), "--passphrase-file", text(&wrong)]);
    assert_eq!(code, Some(2), "{error}");
    fs::write(&wrong, "guess\n").unwrap();
    let (code, _, error) = setup.ended(&["restore", text(&file), "--passphrase-file", text(&wrong)]);
    assert_eq!((code, error.contains("not encrypted")), (Some(1), true), "{error}");
    assert_eq!(setup.ended(&["restore"]).0, Some(2));
    let nowhere = setup.folder().join("nowhere");
    assert_eq!(setup.ended(&["backup", "x.tar", "--data-dir", text(&nowhere)]).0, Some(3));

    let (code, said, error) = setup.ended(&["restore", text(&file)]);
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains("before-restore-"), "{said}");
    let daemon = setup.start();
    assert_eq!(daemon.get("certificates").expect(200)["items"][0]["name"], "Plant A");
    daemon.stop();
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_directory_or_the_new_one() {
    let setup = Setup::empty();
    let daemon = setup.start();
    daemon.generate("Old");
    let old = setup.folder().join("old.tar");
    assert_eq!(setup.ended(&["backup", text(&old)]).0, Some(0));
    daemon.generate("New");
    let new = setup.folder().join("new.tar");
    assert_eq!(setup.ended(&["backup", text(&new)]).0, Some(0));
    daemon.stop();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for round in 0..14 {
        assert_eq!(setup.ended(&["restore", text(&old)]).0, Some(0));
        let mut child = setup
            .command()
            .args(["restore", text(&new)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        // Not a wait for something: the moment of the kill is what differs between the rounds.
        thread::sleep(Duration::from_millis(12 * round));
        let _ = child.kill();
        child.wait().expect("it ends");
        runtime.block_on(async {
            let store = Store::open(StoreOptions::new(setup.data_dir())).await.expect("it opens");
            let mut query = koios_store::CertificateQuery::default();
            query.page.limit = 10;
            let now = time::OffsetDateTime::now_utc();
            let items = store.certificates(query, now, time::Duration::ZERO).await.expect("a page").items;
            let names: Vec<&str> = items.iter().map(|record| record.name.as_str()).collect();
            assert!([vec!["Old"], vec!["New", "Old"]].contains(&names), "{names:?}");
            for record in &items {
                assert_eq!(store.load_identity(record.id).await.expect("its files").chain, record.chain);
            }
            assert_eq!(store.verify_audit(&[]).await.expect("a trail").faults, []);
            store.close().await;
        });
        for left in [".restoring", "restore-under-way"] {
            assert!(!setup.data_dir().join(left).exists(), "{left}");
        }
    }
}

#[test]
fn a_backup_that_is_killed_leaves_no_file_or_a_whole_one() {
    let setup = Setup::empty();
    let daemon = setup.start();
    daemon.generate("Plant A");
    let file = setup.folder().join("backup.tar");
    for round in 0..10 {
        let mut child = setup
            .command()
            .args(["backup", text(&file)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        // Not a wait for something: the moment of the kill is what differs between the rounds.
        thread::sleep(Duration::from_millis(6 * round));
        let _ = child.kill();
        child.wait().expect("it ends");
        if file.exists() {
            let (code, _, error) = setup.ended(&["restore", text(&file), "--dry-run"]);
            assert_eq!(code, Some(0), "{error}");
            fs::remove_file(&file).unwrap();
        }
    }
    let (code, _, error) = setup.ended(&["backup", text(&file)]);
    assert_eq!(code, Some(0), "{error}");
    assert!(!setup.folder().join(".backup.tar.partial").exists(), "leftovers are taken away");
    daemon.generate("Plant B");
    daemon.stop();
}
