//! Reads a certificate or chain, in any form, from standard input and shows everything its first certificate says.
//!
//! `cargo run -p koios-pki --example inspect < certificate.der`

use std::error::Error;
use std::io::Read as _;

use koios_pki::read_certificates;

fn main() -> Result<(), Box<dyn Error>> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    let chain = read_certificates(&bytes)?;
    let inspection = chain.leaf().inspect();

    println!("version          {}", inspection.version());
    println!("serial number    {}", inspection.serial_number());
    println!("subject          {}", inspection.subject());
    for attribute in inspection.subject().attributes() {
        println!("  {:<14} {:?} ({:?})", attribute.kind.to_string(), attribute.value, attribute.encoding);
    }
    println!("issuer           {}", inspection.issuer());
    println!("valid            {} to {}", inspection.validity().not_before, inspection.validity().not_after);
    println!("signed with      {}", inspection.signature_algorithm());
    println!("self-signed      {}", inspection.is_self_signed());
    let key = inspection.key();
    println!("key              {}", key.algorithm);
    println!("  SPKI SHA-256   {}", key.spki_sha256);
    for extension in inspection.extensions() {
        let critical = if extension.critical { ", critical" } else { "" };
        println!(
            "extension        {}{critical}",
            extension.name.map_or_else(|| extension.oid.to_string(), str::to_owned)
        );
        println!("  {:?}", extension.value);
    }
    println!("SHA-1            {}", inspection.thumbprint_sha1());
    println!("SHA-256          {}", inspection.thumbprint_sha256());
    println!("DER length       {}", inspection.der_len());
    println!("chain length     {}", chain.len());
    Ok(())
}
