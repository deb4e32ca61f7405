//! `koiosd check`: beside the daemon, and mending where it is stopped.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::{Value, json};

use crate::daemon::Setup;

struct Ended {
    code: Option<i32>,
    said: String,
    complained: String,
}

fn check(setup: &Setup, arguments: &[&str]) -> Ended {
    let (code, said, complained) = setup.ended(&[&["check"], arguments].concat());
    Ended { code, said, complained }
}

fn check_json(setup: &Setup, arguments: &[&str]) -> (Option<i32>, Value) {
    let ended = check(setup, &[&["--json"], arguments].concat());
    (ended.code, serde_json::from_str(&ended.said).unwrap_or_else(|error| panic!("{error}: {}", ended.said)))
}

/// The codes, with what mends them.
fn found(report: &Value) -> Vec<(String, Value)> {
    let findings = report["findings"].as_array().expect("findings").iter();
    findings
        .map(|finding| (finding["code"].as_str().unwrap().to_owned(), finding["repair"].clone()))
        .collect()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

const PARTS: [&str; 7] =
    ["directory", "database", "secrets", "certificates", "devices", "trust lists", "audit"];

#[test]
fn a_directory_is_examined_beside_the_daemon_and_repaired_only_when_that_is_stopped() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let certificate = daemon.generate("A");
    let ended = check(&setup, &[]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.said, ended.complained);
    let lines: Vec<_> = ended.said.lines().collect();
    assert_eq!(lines.len(), PARTS.len() + 1, "{}", ended.said);
    for (line, part) in lines.iter().zip(PARTS) {
        assert!(line.starts_with(part) && line.ends_with(" ok"), "{line}");
    }
    assert_eq!(lines.last(), Some(&"content"));
    let nothing = json!({ "content": true, "findings": [], "repairs": [] });
    assert_eq!(check_json(&setup, &[]), (Some(0), nothing.clone()));

    let key: PathBuf = daemon.files_of(&certificate).join("private-key.pem");
    set_mode(&key, 0o644);
    let (code, report) = check_json(&setup, &[]);
    assert_eq!((code, &report["content"]), (Some(3), &json!(false)));
    assert_eq!(found(&report), [("open_to_others".to_owned(), json!("tighten_mode"))]);
    let finding = &report["findings"][0];
    assert_eq!((&finding["part"], &finding["severity"]), (&json!("directory"), &json!("warning")));
    let ended = check(&setup, &[]);
    assert_eq!(ended.code, Some(3));
    assert!(ended.said.contains("WARNING") && ended.said.contains("check --repair"), "{}", ended.said);
    assert!(ended.said.ends_with("not content: errors 0, warnings 1\n"), "{}", ended.said);

    let refused = check(&setup, &["--repair"]);
    assert_eq!((refused.code, refused.said.as_str()), (Some(3), ""));
    assert!(refused.complained.contains(&daemon.pid().to_string()), "{}", refused.complained);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o644);
    daemon.stop();

    let mended = check(&setup, &["--repair"]);
    assert_eq!(mended.code, Some(0), "{}{}", mended.said, mended.complained);
    assert!(mended.said.contains("MENDED: closed to everybody but its owner"), "{}", mended.said);
    assert!(mended.said.ends_with("content\n"), "{}", mended.said);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(check_json(&setup, &["--repair"]), (Some(0), nothing));
    setup.start().stop();
}

#[test]
fn what_a_daemon_does_meanwhile_is_no_damage_nor_is_its_sudden_end() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let certificate = daemon.generate("A");
    let path = format!("certificates/{}", certificate["id"].as_str().unwrap());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                daemon.post(&format!("{path}/regenerate"), &json!({})).expect(200);
                let short = daemon.generate("Short-lived");
                daemon.delete(&format!("certificates/{}", short["id"].as_str().unwrap())).expect(200);
            }
        });
        let ends: Vec<_> = (0..8).map(|_| check(&setup, &[])).collect();
        done.store(true, Ordering::Relaxed);
        for ended in ends {
            assert_eq!(ended.code, Some(0), "{}{}", ended.said, ended.complained);
        }
    });
    daemon.signal("KILL");
    daemon.wait();
    let (code, report) = check_json(&setup, &[]);
    assert_eq!(code, Some(0), "{report:#}");
}

#[test]
fn what_only_a_person_can_mend_stays_and_the_rest_is_mended() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let certificate = daemon.generate("A");
    let files = daemon.files_of(&certificate);
    daemon.stop();
    // A key pair that no row names, a file that is gone, and one of somebody else.
    let stray = files.with_file_name("7");
    fs::create_dir(&stray).unwrap();
    set_mode(&stray, 0o700);
    fs::copy(files.join("private-key.pem"), stray.join("private-key.pem")).unwrap();
    let key = fs::read_to_string(files.join("private-key.pem")).unwrap();
    fs::remove_file(files.join("chain.pem")).unwrap();
    fs::write(setup.data_dir().join("notes\u{1B}[31m.txt"), "x").unwrap();

    let (code, report) = check_json(&setup, &["--repair"]);
    assert_eq!(code, Some(3), "{report:#}");
    let none = Value::Null;
    let left =
        ["file_not_ours", "orphaned_key_pair", "file_missing"].map(|code| (code.to_owned(), none.clone()));
    assert_eq!(found(&report), left, "{report:#}");
    let repairs = report["repairs"].as_array().unwrap();
    assert_eq!((repairs.len(), &repairs[0]["kind"], &repairs[0]["error"]), (1, &json!("move_aside"), &none));
    let id = certificate["id"].as_str().unwrap();
    assert_eq!(
        fs::read_to_string(setup.data_dir().join(format!("orphaned/{id}-7/private-key.pem"))).unwrap(),
        key
    );

    let secret = key.lines().nth(1).unwrap();
    for ended in [check(&setup, &[]), check(&setup, &["--json"])] {
        assert!(!ended.said.contains(secret) && !ended.complained.contains(secret), "no key is shown");
    }
    let ended = check(&setup, &[]);
    assert!(!ended.said.contains('\u{1B}'), "a file's name must not rule the terminal");
    assert!(
        ended.said.contains("ERROR") && ended.said.contains("chain.pem: it is missing"),
        "{}",
        ended.said
    );
}

#[test]
fn a_directory_that_no_daemon_would_start_with_is_examined_too() {
    let setup = Setup::empty();
    let daemon = setup.start();
    daemon.generate("A");
    daemon.stop();
    let database = setup.data_dir().join("koios.db");
    let mut bytes = fs::read(&database).unwrap();
    bytes[4096..8192].fill(0xA5);
    fs::write(&database, bytes).unwrap();
    assert_eq!(setup.run().status.code(), Some(3));
    let (code, report) = check_json(&setup, &["--repair"]);
    assert_eq!(code, Some(3));
    assert_eq!(found(&report)[0], ("database_damaged".to_owned(), Value::Null), "{report:#}");

    let nowhere = setup.folder().join("nowhere");
    for arguments in [
        &["--data-dir", nowhere.to_str().unwrap()][..],
        &["--repair", "--data-dir", nowhere.to_str().unwrap()],
    ] {
        let ended = check(&setup, arguments);
        assert_eq!((ended.code, ended.said.as_str()), (Some(3), ""));
        assert!(ended.complained.contains("nowhere"), "{}", ended.complained);
    }
    assert!(!nowhere.exists());
    assert_eq!(check(&setup, &["--mend"]).code, Some(2));
}
