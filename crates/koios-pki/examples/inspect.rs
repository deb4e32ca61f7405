//! Reads a certificate or chain, DER or PEM, from standard input and says what servers may dislike about it.
//!
//! `cargo run -p koios-pki --example inspect < certificate.der`

use std::error::Error;
use std::io::Read as _;

use koios_pki::{findings, read_certificates};

fn main() -> Result<(), Box<dyn Error>> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    let chain = read_certificates(&bytes)?;
    let leaf = chain.leaf();

    println!("subject          {}", leaf.subject());
    println!(
        "issuer           {}{}",
        leaf.issuer(),
        if leaf.is_self_signed() { " (self-signed)" } else { "" }
    );
    println!("application URI  {}", leaf.application_uri().unwrap_or("none"));
    println!("DNS names        {}", leaf.dns_names().join(", "));
    println!("IP addresses     {:?}", leaf.ip_addresses());
    println!("valid            {} to {}", leaf.validity().not_before, leaf.validity().not_after);
    println!("key              {}, signed with {}", leaf.key_algorithm(), leaf.signature_algorithm());
    println!("serial number    {}", leaf.serial_number());
    println!("SHA-1            {}", leaf.thumbprint_sha1());
    println!("SHA-256          {}", leaf.thumbprint_sha256());
    println!("chain length     {}", chain.len());

    #[expect(
        clippy::disallowed_methods,
        reason = "an example has a clock; the library takes time as an argument"
    )]
    let now = time::OffsetDateTime::now_utc();
    for finding in findings(&chain, now) {
        println!(
            "{:<8} {}: {} [{}]",
            finding.severity.as_str(),
            finding.code,
            finding.message,
            finding.reference
        );
    }
    Ok(())
}
