//! Our client: a process that holds many sessions.

use std::fs;
use std::time::Duration;

use koios_channel::{ChannelError, Deadline};
use serde_json::{Value, json};

use crate::Result;
use crate::spent::Stopwatch;
use crate::visitor::Visitor;

/// What the client process does.
#[tokio::main(worker_threads = 2)]
pub(crate) async fn hold(configuration: &Value) -> Result<()> {
    let count = |name: &str| configuration[name].as_u64().unwrap_or(1);
    let deadline = Deadline::after(PATIENCE);
    let visitor = Visitor::from_json(configuration, deadline).await?;

    let (memory, watch) = (resident_kib()?, Stopwatch::start());
    let mut open = Vec::new();
    for _ in 0..count("sessions") {
        open.push(visitor.open(deadline).await?);
    }
    let mut opened = watch.spent().to_json();
    opened["rss_kib"] = (resident_kib()? - memory).into();

    let watch = Stopwatch::start();
    let mut readers = tokio::task::JoinSet::new();
    let reads = count("reads");
    for mut session in open {
        readers.spawn(async move {
            for _ in 0..reads {
                session.read_server_status(deadline).await?;
            }
            Ok::<_, ChannelError>(session)
        });
    }
    let mut open = Vec::new();
    while let Some(reader) = readers.join_next().await {
        open.push(reader??);
    }
    let read = watch.spent().to_json();
    println!("{}", json!({ "client": "koios-channel", "opened": opened, "read": read }));
    Ok(())
}

fn resident_kib() -> Result<i64> {
    let statistics = fs::read_to_string("/proc/self/statm")?;
    let pages: i64 = statistics.split(' ').nth(1).ok_or("no resident pages")?.parse()?;
    Ok(pages * 4)
}

/// For all of it.
const PATIENCE: Duration = Duration::from_secs(600);
