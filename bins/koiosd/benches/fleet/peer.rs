//! The peer: open62541's client with many sessions in one process.

use std::fs;

use koios_testkit::{CertificateSpec, Server, Stack, bench_client};
use serde_json::Value;

use crate::{Result, count, row};

const APPLICATION_URI: &str = "urn:koios:bench:peer";

/// Has it open so many sessions at a server, one after the other.
pub(crate) fn measure(server: &Server, sessions: usize) -> Result<()> {
    let Some(mut command) = bench_client(Stack::Open62541) else { return Ok(()) };
    let certificate = CertificateSpec::application(APPLICATION_URI).with_shared_key(2048, 0).make();
    let folder = tempfile::tempdir()?;
    let (own, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    fs::write(&own, certificate.pem())?;
    fs::write(&key, certificate.key_pem())?;
    command.arg(&server.endpoint_url).args([&own, &key]).arg(APPLICATION_URI);
    command.args(["sessions", &sessions.to_string(), "reads", "10"]);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rfind(|line| line.starts_with('{')).ok_or("open62541's client tells nothing")?;
    let told: Value = serde_json::from_str(line)?;
    let number = |part: &str, field: &str| told[part][field].as_f64().ok_or("an odd result");
    let each = count(sessions);
    row(
        &format!("peer, open62541's client, {sessions} sessions opened: s · CPU ms each · KiB each"),
        format!(
            "{:.1} · {:.2} · {:.1}",
            number("opened", "wall_ms")? / 1e3,
            number("opened", "cpu_ms")? / each,
            number("opened", "rss_kib")? / each
        ),
    );
    row("peer: CPU µs per read", format!("{:.0}", number("read", "cpu_ms")? * 1e3 / each / 10.0));
    Ok(())
}
