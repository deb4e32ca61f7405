//! Keeps a device connected, and says each change of its state:
//! `cargo run -p koios-opcua --example supervise -- FOLDER opc.tcp://press4:4840 <pair.pem`
//!
//! It ends when the device runs. Until the server trusts the certificate it is refused, and tries again by itself.

use std::error::Error;
use std::io::Read as _;
use std::time::Duration;

use koios_opcua::{SecurityMode, Supervisor, SupervisorSettings};
use koios_store::{DeviceSettings, DeviceState, Name, NewCertificate, Origin, Store, StoreOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, url] = arguments.as_slice() else {
        println!("usage: supervise FOLDER opc.tcp://HOST:PORT <pair.pem");
        return Ok(());
    };
    let mut pair = Vec::new();
    std::io::stdin().lock().read_to_end(&mut pair)?;
    let (chain, key) = koios_pki::read_pair(&pair, None, None)?;

    let store = Store::open(StoreOptions::new(folder)).await?;
    // The first certificate is the default, which devices use that name none.
    let new = NewCertificate::new(Name::parse("Default")?, Origin::Uploaded, chain, key.to_pem(), 1095);
    store.create_certificate(new).await?;

    // It follows the store: what is enabled later is connected at once, what is disabled is closed.
    let settings = SupervisorSettings::new("urn:koios:example:supervise");
    let supervisor = Supervisor::start(store.clone(), settings)?;
    let mut transitions = supervisor.transitions();
    let mut device = DeviceSettings::new(Name::parse("Press 4")?, url.as_str());
    device.security_mode = SecurityMode::SignAndEncrypt;
    store.create_device(device, true).await?;

    loop {
        let status = transitions.recv().await?.status;
        println!("{} {}", status.state.as_str(), status.error_message.unwrap_or_default());
        if status.state == DeviceState::Running {
            break;
        }
    }
    supervisor.shutdown(Duration::from_secs(5)).await;
    store.close().await;
    Ok(())
}
