//! The protocol without a socket: bytes go out and come in by hand. The server's part is two recorded answers.
//! `cargo run -p koios-channel --example core_without_io`

use std::error::Error;
use std::time::Duration;

use koios_channel::{Conversation, EndpointUrl, Event, Limits, Security, SystemRandom, Timing};
use time::macros::datetime;

fn main() -> Result<(), Box<dyn Error>> {
    let url = EndpointUrl::parse("opc.tcp://press4:4840")?;
    let timing = Timing { now: datetime!(2026-11-23 12:00 UTC), timeout: Duration::from_secs(5) };
    let mut conversation = Conversation::new(Limits::default(), SystemRandom);

    let hello = conversation.hello(&url)?;
    println!("out {:>4} bytes  {}", hello.len(), String::from_utf8_lossy(&hello[..4]));
    // However the bytes are cut, an event comes when a frame is whole.
    conversation.receive(&ACKNOWLEDGE[..10]);
    assert_eq!(conversation.poll()?, None);
    conversation.receive(&ACKNOWLEDGE[10..]);
    assert_eq!(conversation.poll()?, Some(Event::Acknowledged));
    println!("in   {:>4} bytes  the server acknowledges", ACKNOWLEDGE.len());

    let open = conversation.open(Security::None, timing)?;
    println!("out {:>4} bytes  {}", open.len(), String::from_utf8_lossy(&open[..4]));
    conversation.receive(REFUSAL);
    match conversation.poll() {
        Err(error) => println!("in   {:>4} bytes  {:?} ends it: {error}", REFUSAL.len(), error.origin),
        Ok(event) => println!("in   {:>4} bytes  {event:?}", REFUSAL.len()),
    }
    Ok(())
}

const ACKNOWLEDGE: &[u8] = b"ACKF\x1c\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0";
const REFUSAL: &[u8] = b"ERRF\x1a\0\0\0\0\0\x55\x80\x0a\0\0\0not today.";
