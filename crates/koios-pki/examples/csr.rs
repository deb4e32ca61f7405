//! Reads a certificate and its key from standard input and prints a request for a certificate that says the same.
//!
//! `cargo run -p koios-pki --example generate | cargo run -p koios-pki --example csr | openssl req -verify -text`

use std::error::Error;
use std::io::Read as _;

use koios_pki::{RequestParams, certificate_request, read_pair};

fn main() -> Result<(), Box<dyn Error>> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    let (chain, key) = read_pair(&bytes, None, None)?;

    let params = RequestParams::from_certificate(chain.leaf())?;
    let request = certificate_request(&params, &key)?;
    print!("{}", request.to_pem());
    Ok(())
}
