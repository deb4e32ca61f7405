//! `koiosd healthcheck`: whether the daemon of these settings is ready, for containers, which have no other program.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{self, CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::config::Settings;

/// For each step; whoever asks for the health of a service gives up after a few seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why the daemon is not known to be ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HealthcheckError {
    /// It cannot be reached, or does not answer.
    #[error("the daemon at {address} does not answer")]
    NoAnswer {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The port that it takes is not known here.
    #[error("the setting listen names port 0, so that nobody knows where the daemon listens; name a port")]
    NoPort,
    /// It answers, and is not ready.
    #[error("the daemon at {address} is not ready: {answer}")]
    NotReady {
        /// Where.
        address: SocketAddr,
        /// The first line of its answer.
        answer: String,
    },
}

impl HealthcheckError {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoPort => 2,
            Self::NoAnswer { .. } | Self::NotReady { .. } => 1,
        }
    }
}

/// Asks the daemon; answers the exit code.
///
/// # Errors
///
/// [`HealthcheckError`] when it is not ready.
pub fn healthcheck(settings: &Settings) -> Result<u8, HealthcheckError> {
    let address = reachable(settings.listen).ok_or(HealthcheckError::NoPort)?;
    let answer = if settings.tls.is_on() {
        ask_under_tls(address)
    } else {
        connect(address).and_then(|stream| ask(address, stream))
    };
    let line = answer.map_err(|source| HealthcheckError::NoAnswer { address, source })?;
    let line = line.trim_end();
    if line.split(' ').nth(1) == Some("200") {
        return Ok(0);
    }
    Err(HealthcheckError::NotReady { address, answer: line.replace(char::is_control, "\u{FFFD}") })
}

/// Who listens everywhere is reached at loopback.
fn reachable(listen: SocketAddr) -> Option<SocketAddr> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (listen.port() != 0).then(|| SocketAddr::new(ip, listen.port()))
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The status line is all that counts.
fn ask(address: SocketAddr, mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(
        format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut line = Vec::new();
    BufReader::new(stream.take(1024)).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn ask_under_tls(address: SocketAddr) -> io::Result<String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let connection =
        ClientConnection::new(Arc::new(config), ServerName::from(address.ip())).map_err(io::Error::other)?;
    ask(address, StreamOwned::new(connection, connect(address)?))
}

/// Believes whoever answers: it is this machine that is asked, nothing secret is said, and the certificate is made for the names
/// by which others come here.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if leaf.is_empty() {
            return Err(CertificateError::BadEncoding.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, leaf, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, leaf, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
