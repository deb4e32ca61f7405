//! What has reached the disk when an answer goes out.

use std::{collections::BTreeSet, path::Path};

use serde_json::json;

use super::shim::Shim;
use crate::{
    changes::{
        client::{Change, Client},
        world::{self, FIRST},
    },
    daemon::{ADMIN, Setup},
};

const LOG: &str = "koios.db-wal";

/// What is on its way to the disk.
#[derive(Debug, Default)]
struct Pending {
    /// Files with contents that are not synced.
    contents: BTreeSet<String>,
    /// Names that are new, or no more, in a folder that is not synced.
    names: BTreeSet<String>,
    /// Private keys that are no more, in a folder that is not synced.
    removed_keys: BTreeSet<String>,
    /// Certificate files and folders that were still on their way when the log was synced.
    late: BTreeSet<String>,
    synced: BTreeSet<String>,
}

impl Pending {
    fn take(&mut self, [call, path, second]: &[String; 3]) {
        match call.as_str() {
            "write" if !is_passing(path) => {
                self.contents.insert(path.clone());
            }
            "create" if !is_passing(path) => {
                self.names.insert(path.clone());
            }
            "rename" => {
                self.names.extend([path.clone(), second.clone()]);
                if self.contents.remove(path) {
                    self.contents.insert(second.clone());
                }
            }
            "unlink" => {
                let below = format!("{path}/");
                self.contents.retain(|file| file != path);
                self.names.retain(|name| name != path && !name.starts_with(&below));
                // A folder that comes back empty is swept at a start, a private key that comes back is one.
                if path.ends_with("private-key.pem") {
                    self.removed_keys.insert(path.clone());
                }
            }
            "sync" => {
                if path.ends_with(LOG) {
                    let certificates = |path: &&String| path.contains("/certificates/");
                    let written = self.contents.iter().chain(&self.names).filter(certificates);
                    self.late.extend(written.cloned());
                }
                self.synced.insert(path.clone());
                self.contents.remove(path);
                let elsewhere = |name: &String| Path::new(name).parent() != Some(Path::new(path));
                self.names.retain(elsewhere);
                self.removed_keys.retain(elsewhere);
            }
            _ => {}
        }
    }
}

/// What need not outlive a power cut: the index of the log, which is made anew, and the folder where files wait.
fn is_passing(path: &str) -> bool {
    path.ends_with("-shm")
        || path.ends_with("/.incoming")
        || path.ends_with("/.outgoing")
        || path.ends_with("/.write-probe")
}

#[test]
fn files_folders_and_the_databases_log_are_synced_before_the_answer_goes_out() {
    let Some((setup, shim)) = Shim::before(Setup::empty()) else { return };
    let setup = shim.traced(setup);
    let daemon = setup.start();
    let first = json!({ "name": FIRST, "key": { "algorithm": "ec", "curve": "p256" } });
    daemon.post("certificates/generate", &first).expect(201);
    let mut client = Client::new(0, 3);
    client.quiet = true;
    client.state = world::observe(&daemon, 1).remove(0);
    // An enabled device writes too, whenever it likes.
    let others = Change::ALL.into_iter().filter(|change| *change != Change::EnableDevice);
    for change in others.chain([Change::EnableDevice]) {
        let planned = client.plan_whatever_it_needs(change, &daemon.url, ADMIN);
        let before = shim.trace().len();
        let answer = client.carry_out(planned).expect("an answer");
        assert!(answer.status < 300, "{change:?}: {}", answer.text());
        let trace = shim.trace();
        let mut pending = Pending::default();
        let mut answered = false;
        for line in &trace[before..] {
            if line[0] == "send" && line[1].starts_with("socket:") && line[2] == "answer" {
                answered = true;
                break;
            }
            pending.take(line);
        }
        assert!(answered, "{change:?}: no answer in the trace");
        let data = setup.data_dir();
        assert!(pending.synced.contains(data.join(LOG).to_str().unwrap()), "{change:?} syncs the log");
        if change == Change::EnableDevice {
            // The device that is enabled now may be writing already.
            pending.contents.retain(|path| !path.ends_with(LOG));
        }
        let left: Vec<_> =
            pending.contents.iter().chain(&pending.names).chain(&pending.removed_keys).collect();
        assert!(
            left.is_empty(),
            "{change:?}: answered, and not on the disk: {left:?}\n{:#?}",
            &trace[before..]
        );
        if change.makes_key() {
            assert!(
                pending.late.is_empty(),
                "{change:?}: committed, and not on the disk: {:?}",
                pending.late
            );
            let keys = pending.synced.iter().filter(|path| path.ends_with("private-key.pem"));
            assert_eq!(keys.count(), 1, "{change:?}: {:?}", pending.synced);
        }
    }
}
