//! Reads a stream of events as WHATWG HTML §9.2.6 says, over a connection of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use crate::daemon::{ADMIN, Daemon};

/// Generous: a wait that long is a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// An event as a page gets it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) data: Value,
}

impl Event {
    /// The name of what it happened to.
    pub(super) fn resource(&self) -> &str {
        self.data["resource"]["name"].as_str().unwrap_or_default()
    }
}

#[derive(Debug)]
pub(super) struct Stream {
    connection: BufReader<TcpStream>,
    pub(super) head: String,
    /// What came in chunks and is no whole line yet.
    text: Vec<u8>,
    ended: bool,
    pub(super) last_id: Option<u64>,
    pub(super) retry: Option<u64>,
    pub(super) comments: usize,
}

/// Opens a stream as admin.
pub(super) fn listen(daemon: &Daemon) -> Stream {
    open(daemon, "", &[("Authorization", &format!("Bearer {ADMIN}"))])
}

/// Opens a stream as admin, after an event.
pub(super) fn listen_after(daemon: &Daemon, last_event_id: &str) -> Stream {
    open(daemon, "", &[("Authorization", &format!("Bearer {ADMIN}")), ("Last-Event-ID", last_event_id)])
}

/// Asks for a stream and reads the head of the answer.
pub(super) fn open(daemon: &Daemon, query: &str, headers: &[(&str, &str)]) -> Stream {
    let mut connection = TcpStream::connect(daemon.address()).expect("a connection");
    connection.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut request =
        format!("GET /api/v1/events{query} HTTP/1.1\r\nHost: koios\r\nAccept: text/event-stream\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    connection.write_all(format!("{request}\r\n").as_bytes()).expect("a request");
    let mut connection = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(connection.read_line(&mut head).expect("a head"), 0, "cut off: {head}");
    }
    Stream { connection, head, text: Vec::new(), ended: false, last_id: None, retry: None, comments: 0 }
}

impl Stream {
    pub(super) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }

    /// The next event; `None` at the end of the stream. An answer that was cut off is no end.
    #[track_caller]
    pub(super) fn next(&mut self) -> Option<Event> {
        let (mut id, mut name, mut data) = (None, String::new(), Vec::new());
        loop {
            let line = self.line()?;
            if line.is_empty() {
                self.last_id = id.or(self.last_id);
                if data.is_empty() {
                    (id, name) = (None, String::new());
                    continue;
                }
                let text = data.join("\n");
                let data: Value =
                    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
                let event = Event { id: id.expect("every event has an id"), name, data };
                assert_eq!(
                    (&event.data["id"], &event.data["type"]),
                    (&event.id.into(), &event.name.clone().into())
                );
                return Some(event);
            }
            match line.split_once(':') {
                Some(("", _)) => self.comments += 1,
                Some(("id", value)) => id = Some(value.trim().parse().expect("a number")),
                Some(("event", value)) => name = value.trim().to_owned(),
                Some(("data", value)) => data.push(value.strip_prefix(' ').unwrap_or(value).to_owned()),
                Some(("retry", value)) => self.retry = value.trim().parse().ok(),
                _ => panic!("no field of ours: {line}"),
            }
        }
    }

    /// The next event of a type, whatever comes before it.
    #[track_caller]
    pub(super) fn next_of(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().unwrap_or_else(|| panic!("the stream ended before {name}"));
            if event.name == name {
                return event;
            }
        }
    }

    /// The next events, as many as these types, and exactly these.
    #[track_caller]
    pub(super) fn expect(&mut self, names: &[&str]) -> Vec<Event> {
        let events: Vec<_> = names.iter().map(|_| self.next().expect("an event")).collect();
        assert_eq!(events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), names);
        events
    }

    #[track_caller]
    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                return Some(String::from_utf8(line).expect("UTF-8").trim_end_matches('\n').to_owned());
            }
            if self.ended {
                return None;
            }
            let mut size = String::new();
            assert_ne!(self.connection.read_line(&mut size).expect("a chunk"), 0, "cut off");
            let size = usize::from_str_radix(size.trim(), 16).expect("a size");
            let mut chunk = vec![0; size + 2];
            self.connection.read_exact(&mut chunk).expect("a whole chunk");
            self.ended = size == 0;
            self.text.extend_from_slice(&chunk[..size]);
        }
    }
}
