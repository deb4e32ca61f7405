//! `koiosd token`, beside the daemon and without it.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use serde_json::{Value, json};

use crate::{
    daemon::{ADMIN, Daemon, Setup},
    devices::{add, path_of},
};

/// Creates a token with the command; answers what it prints.
#[track_caller]
fn created(setup: &Setup, arguments: &[&str]) -> (String, String) {
    let (code, out, err) = setup.ended(&[&["token", "create"], arguments].concat());
    assert_eq!(code, Some(0), "{err}");
    (out, err)
}

fn status(daemon: &Daemon, token: &str) -> u16 {
    daemon.call("GET", "tokens").token(token).send().status
}

#[test]
fn the_running_daemon_takes_what_the_command_makes_and_refuses_what_it_revokes() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let (out, err) =
        created(&setup, &["--name", "way back", "--role", "admin", "--permission", "download_private_key"]);
    let token = out.strip_suffix('\n').expect("one line");
    assert!(token.starts_with("koios_") && !token.contains(char::is_whitespace), "{out}");
    assert!(err.contains("way back") && err.contains("does not expire") && !err.contains(token), "{err}");
    assert_eq!(status(&daemon, token), 200);

    let (out, _) =
        created(&setup, &["--name", "pipeline", "--role", "operator", "--expires-in-days", "30", "--json"]);
    let made: Value = serde_json::from_str(&out).expect("JSON alone");
    assert_eq!((&made["role"], &made["permissions"]), (&json!("operator"), &json!([])));
    assert_eq!(status(&daemon, made["token"].as_str().unwrap()), 403);
    let listed = daemon.get("tokens").expect(200);
    let (code, said, _) = setup.ended(&["token", "list", "--json"]);
    assert_eq!(code, Some(0));
    let said: Value = serde_json::from_str(&said).expect("JSON alone");
    let without_use = |list: &Value| {
        let mut list = list.clone();
        list["items"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(|token| token["last_used_at"] = Value::Null);
        list
    };
    assert_eq!(without_use(&said), without_use(&listed));
    let (code, table, _) = setup.ended(&["token", "list"]);
    assert_eq!((code, table.lines().count()), (Some(0), 4), "{table}");
    assert!(table.contains("way back  [download_private_key]") && !table.contains(token), "{table}");

    let id = listed["items"][1]["id"].as_str().unwrap();
    let (code, out, err) = setup.ended(&["token", "revoke", id]);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    assert_eq!(status(&daemon, token), 401);
    let trail = daemon.get("audit?actor=koiosd%20token").expect(200);
    let actions: Vec<_> =
        trail["items"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["token.revoked", "token.created", "token.created"]);
    assert_eq!(setup.ended(&["audit", "verify"]).0, Some(0));
}

#[test]
fn who_has_lost_the_last_admin_token_gets_another_from_the_data_directory() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let initial = daemon.get("tokens").expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    let (code, _, err) = setup.ended(&["token", "revoke", &initial]);
    assert_eq!(code, Some(1));
    assert!(err.contains("last admin token") && err.contains("--force"), "{err}");
    assert_eq!(status(&daemon, ADMIN), 200);
    assert_eq!(setup.ended(&["token", "revoke", &initial, "--force"]).0, Some(0));
    assert_eq!(status(&daemon, ADMIN), 401);
    assert!(!setup.data_dir().join("initial-admin-token").exists());
    let (out, _) =
        created(&setup, &["--name", "back", "--role", "admin", "--expires-at", "2999-01-01T00:00:00Z"]);
    assert_eq!(status(&daemon, out.trim()), 200);
    daemon.stop();
    // Without a daemon it is the same.
    let (out, _) = created(&setup, &["--name", "back again", "--role", "admin"]);
    assert_eq!(status(&setup.start(), out.trim()), 200);
}

#[test]
fn what_cannot_be_is_told_with_an_exit_code_and_changes_nothing() {
    let setup = Setup::empty();
    let create = ["token", "create", "--role", "viewer"];
    let refused = |arguments: &[&str], expected: i32, says: &str| {
        let (code, out, err) = setup.ended(arguments);
        assert_eq!((code, out.as_str()), (Some(expected), ""), "{arguments:?}: {err}");
        assert!(err.contains(says), "{arguments:?}: {err}");
    };
    let with = |more: &[&'static str]| [&create[..], more].concat();
    refused(&with(&["--name", "a"]), 3, "cannot be used");
    assert!(!setup.data_dir().exists());
    setup.start().stop();
    refused(&with(&[]), 2, "--name");
    refused(&with(&["--name", " "]), 2, "at least one character");
    refused(&with(&["--name", "a\nb"]), 2, "control characters");
    refused(&with(&["--name", "koiosd token"]), 2, "audit trail");
    refused(&with(&["--name", "a", "--permission", "everything"]), 2, "download_private_key");
    refused(&with(&["--name", "a", "--expires-in-days", "0"]), 2, "--expires-in-days");
    refused(&with(&["--name", "a", "--expires-at", "2020-01-01T00:00:00Z"]), 2, "in the future");
    refused(&with(&["--name", "a", "--expires-at", "tomorrow"]), 2, "is no instant");
    refused(
        &with(&["--name", "a", "--expires-at", "2999-01-01T00:00:00Z", "--expires-in-days", "1"]),
        2,
        "--expires",
    );
    refused(&["token", "create", "--name", "a", "--role", "root"], 2, "viewer");
    refused(&["token", "revoke", "initial"], 2, "is no id");
    refused(&["token", "revoke", "00000000-0000-7000-8000-000000000000"], 1, "there is no token");
    let daemon = setup.start();
    assert_eq!(daemon.get("tokens").expect(200)["total"], 1);
    assert_eq!(daemon.get("audit").expect(200)["total"], 1);
}

#[test]
fn beside_a_busy_daemon_the_command_has_its_turn_and_the_trail_stays_whole() {
    const COMMANDS: u64 = 12;
    let setup = Setup::empty();
    let daemon = setup.start();
    let device = |n: usize| json!({ "name": format!("Press {n}"), "endpoint_url": "opc.tcp://127.0.0.1:9" });
    let paths: Vec<String> = (0..4).map(|n| path_of(&add(&daemon, &device(n)))).collect();
    let before = daemon.get("audit?limit=1").expect(200)["total"].as_u64().unwrap();
    let (done, changes) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for path in &paths {
            let (daemon, done, changes) = (&daemon, &done, &changes);
            scope.spawn(move || {
                let mut timeout = 1;
                while !done.load(Ordering::Relaxed) {
                    timeout = timeout % 300 + 1;
                    let body = json!({ "timeout_seconds": timeout }).to_string();
                    let answer =
                        daemon.call("PATCH", path).bytes("application/merge-patch+json", body).send();
                    answer.expect(200);
                    changes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Whatever fails, the clients must hear of the end.
        let commands = scope.spawn(|| {
            for n in 0..COMMANDS / 2 {
                let (out, _) =
                    created(&setup, &["--name", &format!("token {n}"), "--role", "admin", "--json"]);
                let made: Value = serde_json::from_str(&out).unwrap();
                let token = made["token"].as_str().unwrap();
                assert_eq!(status(&daemon, token), 200);
                let (code, _, err) = setup.ended(&["token", "revoke", made["id"].as_str().unwrap()]);
                assert_eq!(code, Some(0), "{err}");
                assert_eq!(status(&daemon, token), 401);
            }
        });
        let ended = commands.join();
        done.store(true, Ordering::Relaxed);
        ended.expect("the commands did their work");
    });
    let changes = changes.into_inner();
    println!("{COMMANDS} commands beside {changes} changes");
    assert!(changes > 0);
    let (code, said, _) = setup.ended(&["audit", "verify"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with(&format!("{} entries\n", before + changes + COMMANDS)), "{said}");
}
