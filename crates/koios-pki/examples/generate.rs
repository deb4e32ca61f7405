//! Makes a key and a self-signed client certificate and prints both as PEM.
//!
//! `cargo run -p koios-pki --example generate -- gw01.plant.example "Plant A Certificate"`

use std::error::Error;
use std::io::Write as _;

use koios_pki::{
    ApplicationUri, HostName, KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity, common_name_for,
    self_signed, slug,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let host = HostName::parse(&arguments.next().unwrap_or_else(|| "localhost".to_owned()))?;
    let name = arguments.next().unwrap_or_else(|| "Default".to_owned());

    // Time and randomness are the caller's.
    #[expect(
        clippy::disallowed_methods,
        reason = "an example has a clock; the library takes time as an argument"
    )]
    let now = time::OffsetDateTime::now_utc();
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random)?;

    let mut params = SelfSignedParams::new(
        common_name_for(&host)?,
        "Koios",
        ApplicationUri::for_certificate(&host, &slug(&name)),
        Validity::starting_at(now, 1095),
        SerialNumber::from_random_bytes(random),
    );
    match host {
        HostName::Dns { name, valid_in_san: true } => params.dns_names.push(name),
        HostName::Dns { valid_in_san: false, .. } => {}
        HostName::Ip(address) => params.ip_addresses.push(address),
    }

    let key = PrivateKey::generate(KeySpec::Rsa2048)?;
    let certificate = self_signed(&params, &key)?;
    let mut out = std::io::stdout().lock();
    out.write_all(certificate.to_pem().as_bytes())?;
    out.write_all(key.to_pem().secret_bytes())?;
    Ok(())
}
