//! Connects with a new self-signed certificate, reads the server's status, and says which step fails:
//! `cargo run -p koios-channel --example connect_and_read -- opc.tcp://localhost:4840`
//!
//! A server that does not know the certificate refuses it; move it to the server's trusted folder and nothing changes
//! here, since the next run makes another one. Real clients keep theirs.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use koios_channel::{
    CertificateSending, ClientIdentity, Deadline, Endpoint, EndpointUrl, Limits, Security, SecurityMode,
    SecurityPolicy, SessionRequest, Transport, UserIdentity, connect, resolve,
};
use koios_pki::{
    ApplicationUri, CertificateChain, KeySpec, PrivateKey, SelfSignedParams, SerialNumber, Validity,
    self_signed,
};
use time::OffsetDateTime;

const APPLICATION_URI: &str = "urn:koios:example:connect-and-read";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "opc.tcp://localhost:4840".to_owned());
    let url = EndpointUrl::parse(&url)?;
    let deadline = Deadline::after(Duration::from_secs(10));

    let mut discovery = hello(&url, deadline).await?.open(Security::None, deadline).await?;
    let endpoints = discovery.get_endpoints(&url, deadline).await?;
    discovery.close(deadline).await;
    let endpoint =
        endpoints.iter().filter(|endpoint| fits(endpoint)).max_by_key(|endpoint| endpoint.security_level);
    let endpoint = endpoint.ok_or("no endpoint with Basic256Sha256, sign and encrypt")?.clone();

    // Judging this certificate is the caller's part: here the first one seen is believed.
    let presented = endpoint.server_certificate.as_deref().ok_or("the endpoint has no certificate")?;
    let server_certificate = CertificateChain::from_der_blob(presented, Limits::default().max_chain)?;
    println!("{} presents {}", endpoint.server.application_name, server_certificate.leaf().subject());

    let security = Security::Secure {
        policy: SecurityPolicy::Basic256Sha256,
        mode: SecurityMode::SignAndEncrypt,
        identity: Arc::new(identity()?),
        server_certificate,
        sending: CertificateSending::default(),
    };
    let channel = hello(&url, deadline).await?.open(security, deadline).await?;
    let mut request = SessionRequest::new(url, endpoint, APPLICATION_URI);
    request.expected_endpoints = endpoints;
    let created = channel.create_session(request, deadline).await?;
    let mut session = created.activate(&UserIdentity::Anonymous, deadline).await?;
    let status = session.read_server_status(deadline).await?;
    println!("{:?} since {}, {}", status.state, status.start_time, status.build_info.product_name);
    session.close(deadline).await?;
    Ok(())
}

async fn hello(url: &EndpointUrl, deadline: Deadline) -> Result<Transport, Box<dyn Error>> {
    let addresses = resolve(url, deadline).await?;
    Ok(connect(&addresses, deadline).await?.hello(url, Limits::default(), deadline).await?)
}

fn fits(endpoint: &Endpoint) -> bool {
    endpoint.is_opc_tcp()
        && endpoint.security_policy == Some(SecurityPolicy::Basic256Sha256)
        && endpoint.security_mode == Some(SecurityMode::SignAndEncrypt)
}

fn identity() -> Result<ClientIdentity, Box<dyn Error>> {
    let key = PrivateKey::generate(KeySpec::Rsa2048)?;
    let params = SelfSignedParams::new(
        "Koios example".to_owned(),
        "Koios".to_owned(),
        ApplicationUri::parse(APPLICATION_URI)?,
        Validity::starting_at(OffsetDateTime::now_utc(), 30),
        SerialNumber::from_random_bytes(*b"an example's own"),
    );
    let certificate = self_signed(&params, &key)?;
    Ok(ClientIdentity::new(certificate.into(), key)?)
}
