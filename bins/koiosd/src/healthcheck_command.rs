//! `koiosd healthcheck`: whether the daemon of these settings is ready, for containers, which have no other program.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
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
    let answer = ask(address).map_err(|source| HealthcheckError::NoAnswer { address, source })?;
    let line = answer.lines().next().unwrap_or_default();
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

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(
        format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = Vec::new();
    // The status line is all that counts.
    stream.take(1024).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
