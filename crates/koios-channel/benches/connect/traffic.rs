//! Bytes on the wire, for all clients, and allocations, for ours.
//!
//! The bytes are counted by a proxy between client and server, in runs of their own. A client fetches the endpoints before
//! it connects, so a run of one connect is taken off a longer one. A client that went to the URL which the server names
//! would bypass the proxy, and is reported as not counted.

use koios_testkit::Stack;

use crate::Result;
use crate::client::Client;
use crate::ours;
use crate::proxy::{self, Traffic};
use crate::scene::Scene;
use crate::visits::Visits;

pub(crate) fn print() -> Result<()> {
    println!("Per connect, session, close at {SERVER}: Basic256Sha256, SignAndEncrypt");
    println!();
    println!(
        "| key bits | client | connections | bytes sent | bytes received | allocations | bytes allocated |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for bits in [2048, 3072, 4096] {
        let scene = match Scene::set(SERVER, bits) {
            Ok(scene) => scene,
            Err(unavailable) => {
                println!("| {bits} | {unavailable} | | | | | |");
                continue;
            }
        };
        for client in Client::ALL {
            let name = client.name();
            let wire = match wire(client, &scene)? {
                None => "not installed | |".to_owned(),
                Some(Traffic { connections: 0, .. }) => "not counted | |".to_owned(),
                Some(Traffic { connections, sent, received }) => {
                    format!("{} | {} | {}", each(connections), each(sent), each(received))
                }
            };
            let memory = match client {
                Client::Ours => {
                    let allocated = ours::allocations(&scene)?;
                    format!("{} | {}", allocated.count_total, allocated.bytes_total)
                }
                _ => "|".to_owned(),
            };
            println!("| {bits} | {name} | {wire} | {memory} |");
        }
    }
    Ok(())
}

/// What [`MORE`] connects cost; `None` when the client is not installed.
fn wire(client: Client, scene: &Scene) -> Result<Option<Traffic>> {
    let mut is_installed = false;
    let mut run = |iterations| {
        proxy::count(scene.server.port(), |url| {
            let visits = Visits { url, own: &scene.own, warmup: 0, iterations };
            is_installed = visits.of(client)?.is_some();
            Ok(())
        })
    };
    let (one, more) = (run(1)?, run(1 + MORE)?);
    Ok(is_installed.then(|| Traffic {
        connections: more.connections.saturating_sub(one.connections),
        sent: more.sent.saturating_sub(one.sent),
        received: more.received.saturating_sub(one.received),
    }))
}

/// The mean of [`MORE`], to the nearest whole number.
fn each(total: u64) -> u64 {
    let more = u64::try_from(MORE).unwrap_or(1);
    (total + more / 2) / more
}

/// The one that is always there; what others send differs by the size of their certificates and endpoints.
const SERVER: Stack = Stack::AsyncOpcua;
/// Connects of the longer run beyond the first.
const MORE: usize = 10;
