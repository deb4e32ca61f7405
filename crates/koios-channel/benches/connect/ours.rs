//! Our client: a process that connects many times, and the protocol alone, whose allocations are counted.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use allocation_counter::AllocationInfo;
use koios_channel::{Conversation, Deadline, Event, Limits, SystemRandom, Timing, UserIdentity};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::Result;
use crate::scene::Scene;
use crate::spent::Stopwatch;
use crate::visitor::Visitor;

/// What the client process does.
#[tokio::main(worker_threads = 2)]
pub(crate) async fn visit_often(configuration: &Value) -> Result<()> {
    let count = |name: &str| configuration[name].as_u64().unwrap_or(0);
    let visitor = Visitor::from_json(configuration, Deadline::after(PATIENCE)).await?;
    let mut iterations = Vec::new();
    for run in 0..count("warmup") + count("iterations") {
        let watch = Stopwatch::start();
        visitor.visit().await?;
        if run >= count("warmup") {
            iterations.push(watch.spent().to_json());
        }
    }
    println!("{}", json!({ "client": "koios-channel", "iterations": iterations }));
    Ok(())
}

/// What the protocol allocates for one connect. The driver around it computes on several threads, which cannot be counted
/// together; so the conversation is held here, on a blocking socket.
pub(crate) fn allocations(scene: &Scene) -> Result<AllocationInfo> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let own = &scene.own;
    let (url, deadline) = (&scene.server.endpoint_url, Deadline::after(PATIENCE));
    let visitor = runtime.block_on(Visitor::new(url, &own.certificate, &own.private_key, deadline))?;
    // What is set up once in a process is not what each connect allocates.
    visitor.converse(&mut Wire::connect(&visitor.addresses)?)?;
    let mut wire = Wire::connect(&visitor.addresses)?;
    let mut outcome = Ok(());
    let allocated = allocation_counter::measure(|| outcome = visitor.converse(&mut wire));
    outcome.map(|()| allocated)
}

impl Visitor {
    async fn visit(&self) -> Result<()> {
        let deadline = Deadline::after(PATIENCE);
        Ok(self.open(deadline).await?.close(deadline).await?)
    }

    /// As [`visit`](Self::visit), without the driver.
    fn converse(&self, wire: &mut Wire) -> Result<()> {
        let mut conversation = Conversation::new(Limits::default(), SystemRandom);
        let hello = conversation.hello(&self.url)?;
        wire.exchange(&mut conversation, &hello)?;
        let open = conversation.open(self.security(), timing())?;
        wire.exchange(&mut conversation, &open)?;
        let create = conversation.create_session(self.request.clone(), timing())?;
        wire.exchange(&mut conversation, &create)?;
        let activate = conversation.activate_session(&UserIdentity::Anonymous, timing())?;
        wire.exchange(&mut conversation, &activate)?;
        let close = conversation.close_session(timing())?;
        wire.exchange(&mut conversation, &close)?;
        wire.stream.write_all(&conversation.close(timing())?)?;
        Ok(())
    }
}

/// A blocking connection that allocates nothing on its way.
struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    fn connect(addresses: &[SocketAddr]) -> Result<Self> {
        let stream = TcpStream::connect(addresses)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 8 * 1024] })
    }

    fn exchange(&mut self, conversation: &mut Conversation, request: &[u8]) -> Result<Event> {
        self.stream.write_all(request)?;
        loop {
            if let Some(event) = conversation.poll()? {
                return Ok(event);
            }
            let len = self.stream.read(&mut self.buffer)?;
            if len == 0 {
                return Err(conversation.closed().into());
            }
            conversation.receive(self.buffer.get(..len).unwrap_or_default());
        }
    }
}

fn timing() -> Timing {
    Timing { now: OffsetDateTime::now_utc(), timeout: PATIENCE }
}

const PATIENCE: Duration = Duration::from_secs(30);
