//! Who is let in: the first thing that a secured client sends carries its certificate in clear (OPC 10000-6 §6.7.2).

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::Folders;
use crate::certificate::sha1;

/// Passes connections on to the server behind it, once their certificate is trusted.
#[derive(Clone)]
pub(super) struct Gate {
    folders: Folders,
    server: SocketAddr,
}

impl Gate {
    pub(super) fn new(folders: Folders, server: SocketAddr) -> Self {
        Self { folders, server }
    }

    pub(super) async fn run(self, listener: std::net::TcpListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (client, _) = listener.accept().await?;
            let gate = self.clone();
            // A connection that breaks concerns only its two ends, and both see it.
            tokio::spawn(async move { gate.pass(client).await.ok() });
        }
    }

    async fn pass(&self, mut client: TcpStream) -> io::Result<()> {
        let mut server = TcpStream::connect(self.server).await?;
        server.write_all(&message(&mut client).await?).await?;
        // ACK, or the server's own ERR, after which it closes.
        client.write_all(&message(&mut server).await?).await?;
        let open = message(&mut client).await?;
        if let Some(certificate) = sender_certificate(&open)
            && !self.folders.trust(leaf(certificate))?
        {
            client.write_all(&refusal()).await?;
            return client.shutdown().await;
        }
        server.write_all(&open).await?;
        copy_bidirectional(&mut client, &mut server).await?;
        Ok(())
    }
}

impl Folders {
    /// Files a stranger among the rejected.
    fn trust(&self, certificate: &[u8]) -> io::Result<bool> {
        if holds(&self.rejected, certificate)? {
            return Ok(false);
        }
        if holds(&self.trusted, certificate)? {
            return Ok(true);
        }
        fs::write(self.rejected.join(format!("{}.der", sha1(certificate))), certificate)?;
        Ok(false)
    }
}

/// By content: an operator may name the file as he likes.
fn holds(folder: &Path, certificate: &[u8]) -> io::Result<bool> {
    let files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    Ok(files.iter().any(|file| fs::read(file).is_ok_and(|content| content == certificate)))
}

/// One message, header included (OPC 10000-6 §7.1.2.2).
async fn message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 8];
    from.read_exact(&mut message).await?;
    let size = number(&message[4..]).unwrap_or_default();
    if !(8..=MAX_SIZE).contains(&size) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no OPC UA message"));
    }
    message.resize(size, 0);
    from.read_exact(&mut message[8..]).await?;
    Ok(message)
}

/// What a secured OpenSecureChannel request says who its sender is: after header and channel id follow the policy's URI and
/// the certificate, each behind its length.
fn sender_certificate(message: &[u8]) -> Option<&[u8]> {
    let rest = message.strip_prefix(b"OPN")?.get(9..)?;
    let policy = number(rest)?;
    let rest = rest.get(4 + policy..)?;
    let certificate = number(rest)?;
    rest.get(4..4 + certificate)
}

/// The first of a chain: the outermost DER length ends it.
fn leaf(chain: &[u8]) -> &[u8] {
    match chain {
        [0x30, 0x82, high, low, ..] => {
            let end = 4 + usize::from(*high) * 256 + usize::from(*low);
            chain.get(..end).unwrap_or(chain)
        }
        _ => chain,
    }
}

/// A length; `None` for the length of nothing, -1.
fn number(bytes: &[u8]) -> Option<usize> {
    let number = i32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    usize::try_from(number).ok()
}

fn refusal() -> Vec<u8> {
    let reason = b"An error occurred verifying security.";
    let length = |length: usize| u32::try_from(length).expect("short").to_le_bytes();
    let mut message = b"ERRF".to_vec();
    message.extend(length(16 + reason.len()));
    message.extend(BAD_SECURITY_CHECKS_FAILED.to_le_bytes());
    message.extend(length(reason.len()));
    message.extend(reason);
    message
}

/// OPC 10000-6 Annex A.
const BAD_SECURITY_CHECKS_FAILED: u32 = 0x8013_0000;

/// Far more than any handshake message has.
const MAX_SIZE: usize = 1 << 20;
