//! Keeps a certificate with its key in a data directory, gives it to a device, and lists what is there:
//! `cargo run -p koios-store --example keep_a_certificate -- FOLDER <pair.pem`
//!
//! A pair comes from `cargo run -p koios-pki --example generate`. Run again, it says that the certificate is there already.

use std::error::Error;
use std::io::Read as _;

use koios_pki::{SecurityMode, read_pair};
use koios_store::{
    CertificateQuery, DeviceSettings, Name, NewCertificate, Origin, Store, StoreError, StoreOptions,
};
use time::{Duration, OffsetDateTime};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: keep_a_certificate FOLDER <pair.pem")?;
    let mut pair = Vec::new();
    std::io::stdin().lock().read_to_end(&mut pair)?;
    let (chain, key) = read_pair(&pair, None, None)?;

    // One process for each folder; another one is told who holds it.
    let store = Store::open(StoreOptions::new(folder)).await?;
    let name = Name::parse("Plant A Certificate")?;
    let new = NewCertificate::new(name, Origin::Uploaded, chain, key.to_pem(), 1095);
    match store.create_certificate(new).await {
        // Files and row are on the disk now, or nothing is.
        Ok(stored) => {
            let mut settings = DeviceSettings::new(Name::parse("Press 4")?, "opc.tcp://press4:4840/");
            settings.security_mode = SecurityMode::SignAndEncrypt;
            settings.certificate_id = Some(stored.id);
            let device = store.create_device(settings, false).await?;
            println!("stored, and assigned to {}", device.name);
        }
        Err(StoreError::CertificateExists { name, .. }) => println!("there already, as {name}"),
        Err(error) => return Err(error.into()),
    }

    let (now, soon) = (OffsetDateTime::now_utc(), Duration::days(30));
    for certificate in store.certificates(CertificateQuery::default(), now, soon).await?.items {
        println!(
            "{} {}, {} devices, {:?}",
            if certificate.is_default { "*" } else { " " },
            certificate.name,
            certificate.device_count,
            certificate.statuses(now, soon)
        );
    }
    // The key leaves the store as PEM that is wiped from memory when it is dropped.
    if let Some(default) = store.default_certificate().await? {
        let identity = store.load_identity(default.id).await?;
        println!("the default shows {}", identity.chain.leaf().subject());
    }
    store.close().await;
    Ok(())
}
