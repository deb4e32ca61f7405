//! Reads a certificate or chain, in any form, from standard input and says what peers may dislike about it.
//!
//! `cargo run -p koios-pki --example lint [-- POLICY] < certificate.der`, for example with `Basic256Sha256`.

use std::error::Error;
use std::io::Read as _;

use koios_pki::{LintParams, LintRole, PeerStack, SecurityPolicy, lint, read_certificates};

fn main() -> Result<(), Box<dyn Error>> {
    let policy = match std::env::args().nth(1) {
        Some(name) => SecurityPolicy::from_name(&name).ok_or("no such security policy")?,
        None => SecurityPolicy::None,
    };
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    let chain = read_certificates(&bytes)?;

    #[expect(
        clippy::disallowed_methods,
        reason = "an example has a clock; the library takes time as an argument"
    )]
    let now = time::OffsetDateTime::now_utc();
    let params = LintParams::new(now, LintRole::Client).for_policy(policy);
    for finding in lint(&chain, &params) {
        let severity = finding.severity.as_str();
        println!("{severity:<8} {}: {} [{}]", finding.code, finding.message, finding.reference);
        if !finding.peers.is_empty() {
            let peers: Vec<_> = finding.peers.iter().copied().map(PeerStack::name).collect();
            println!("         refused by {}", peers.join(", "));
        }
    }
    Ok(())
}
