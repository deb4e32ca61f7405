//! How many files and connections the process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What the daemon needs beside its clients: database, logs, and a connection for each device of a large plant.
const BESIDE_CLIENTS: u64 = 4096;

/// Takes what the system grants: login shells and systemd start programs with 1024, for the sake of programs that use `select`.
pub(crate) fn raise_limit(max_connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let mut raised = limit;
    raised.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
        raised = limit;
    }
    let needed = BESIDE_CLIENTS.saturating_add(max_connections.try_into().unwrap_or(u64::MAX));
    if let Some(granted) = raised.current.filter(|granted| *granted < needed) {
        tracing::warn!(
            granted,
            needed,
            "the system grants few open files; with many devices or clients, connections may fail. Raise LimitNOFILE or ulimit -n"
        );
    }
}
