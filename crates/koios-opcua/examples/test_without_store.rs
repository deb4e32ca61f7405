//! Tests a server without store and daemon: `cargo run --example test_without_store --no-default-features -- opc.tcp://press4:4840`
//!
//! With a certificate and its private key (PEM or DER), the connection is signed and encrypted:
//! `… -- opc.tcp://press4:4840 client.der client-key.pem`

use std::error::Error;
use std::fs;
use std::sync::Arc;

use koios_opcua::{ClientIdentity, ClockReading, EndpointUrl, SecurityMode, Target, test};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (url, pair) = match arguments.as_slice() {
        [] => {
            println!("usage: test_without_store opc.tcp://HOST:PORT [CERTIFICATE PRIVATE-KEY]");
            return Ok(());
        }
        [url] => (url, None),
        [url, certificate, key] => (url, Some((fs::read(certificate)?, fs::read(key)?))),
        _ => return Err("one URL, and certificate and private key or neither".into()),
    };
    let mut target = Target::new(EndpointUrl::parse(url)?, "urn:koios:example:test-without-store");
    if let Some((certificate, key)) = pair {
        let (chain, key) = koios_pki::read_pair(&certificate, Some(&key), None)?;
        let identity = Arc::new(ClientIdentity::new(chain, key)?);
        target = target.secured(SecurityMode::SignAndEncrypt, identity);
    }

    let report = test(&target, ClockReading::system()).await;
    for stage in &report.stages {
        let detail = stage.detail.as_deref().unwrap_or_default();
        println!(
            "{:18} {:8} {:7.1} ms  {detail}",
            stage.stage,
            stage.outcome.as_str(),
            stage.duration.as_secs_f64() * 1e3
        );
    }
    println!("{}", report.verdict.message);
    for cause in &report.verdict.causes {
        println!("  {}: {}", cause.confidence.as_str(), cause.explanation);
    }
    for remedy in &report.verdict.remedy {
        println!("  - {}", remedy.text);
    }
    Ok(())
}
