//! Says whether a server's certificate is trusted, and if not, which step fails on what.
//!
//! `cargo run -p koios-pki --example validate -- opc.tcp-host chain.der [trusted=ca.pem] [issuer=sub.der] [crl=ca.crl]…`
//!
//! Without arguments it makes a certificate and validates it before and after it is trusted.

use std::error::Error;

use koios_pki::{
    Certificate, CertificateChain, KeySpec, PeerRole, PrivateKey, RevocationList, SelfSignedParams,
    SerialNumber, TrustList, ValidationParams, Validity, read_certificates, self_signed, validate,
};

fn main() -> Result<(), Box<dyn Error>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "an example has a clock; the library takes time as an argument"
    )]
    let now = time::OffsetDateTime::now_utc();
    let mut arguments = std::env::args().skip(1);
    let (Some(host), Some(chain)) = (arguments.next(), arguments.next()) else {
        let certificate = some_certificate(now)?;
        let mut trust = TrustList::default();
        report(&certificate.clone().into(), &trust, "gw01", now);
        trust.trusted.push(certificate.clone());
        report(&certificate.into(), &trust, "gw01", now);
        return Ok(());
    };
    let chain = read_certificates(&read(&chain)?)?;
    let mut trust = TrustList::default();
    for argument in arguments {
        let (list, file) = argument.split_once('=').ok_or("give trusted=FILE, issuer=FILE or crl=FILE")?;
        let bytes = read(file)?;
        match list {
            "trusted" => trust.trusted.extend(read_certificates(&bytes)?.iter().cloned()),
            "issuer" => trust.issuers.extend(read_certificates(&bytes)?.iter().cloned()),
            _ => {
                trust.revocation_lists.push(RevocationList::from_bytes(&bytes)?);
            }
        }
    }
    report(&chain, &trust, &host, now);
    Ok(())
}

fn report(chain: &CertificateChain, trust: &TrustList, host: &str, at: time::OffsetDateTime) {
    let mut params = ValidationParams::new(at, PeerRole::Server);
    params.host = Some(host);
    match validate(chain, trust, &params) {
        Ok(verified) => {
            for (depth, certificate) in verified.certificates().iter().enumerate() {
                println!("{depth}  {}", certificate.subject());
            }
            println!("trusted because of {}", verified.trusted_by().subject());
        }
        Err(error) => println!("refused in step {}: {error}", error.step().number()),
    }
}

fn some_certificate(now: time::OffsetDateTime) -> Result<Certificate, Box<dyn Error>> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random)?;
    let serial = SerialNumber::from_random_bytes(random);
    let validity = Validity::starting_at(now, 365);
    let mut params = SelfSignedParams::new("server", "Plant", "urn:gw01:server".parse()?, validity, serial);
    params.dns_names.push("gw01".to_owned());
    Ok(self_signed(&params, &PrivateKey::generate(KeySpec::Rsa2048)?)?)
}

#[expect(clippy::disallowed_methods, reason = "an example has files; the library takes bytes")]
fn read(file: &str) -> std::io::Result<Vec<u8>> {
    std::fs::read(file)
}
