//! Events: what happens to certificates, devices and server certificates, numbered, kept for a while, and told to whoever
//! listens.

mod feed;
mod log;
mod tickets;

use std::sync::Arc;

use koios_opcua::{DeviceStatus, Supervisor};
use koios_store::{DeviceId, Store, StoreEvent};
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{access::Caller, error::ServiceError};
use crate::config::LiveSettings;

use feed::Feed;
use log::{EventLog, Reading};
use tickets::Tickets;
pub(crate) use tickets::{IssuedTicket, TICKET_LIFE};

/// How many may listen at the same time.
pub(crate) const STREAMS_MAX: usize = 64;

/// Something that happened, with its number.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) id: u64,
    pub(crate) at: OffsetDateTime,
    pub(crate) kind: EventKind<'a>,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum EventKind<'a> {
    /// The listener missed some: everything is to be read anew.
    Reset,
    /// A device fares otherwise than before.
    StatusChanged { device: DeviceId, name: &'a str, status: &'a DeviceStatus },
    /// A commit did it.
    Stored(&'a StoreEvent),
}

/// Writes down an event: its type and its data; `None` for what this program does not know to tell.
pub(crate) type Render = fn(&Event<'_>, time::Duration) -> Option<(&'static str, String)>;

/// Everybody who listens, what is kept for them, and who may come.
#[derive(Debug)]
pub(crate) struct Events {
    log: Arc<EventLog>,
    streams: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
    tickets: Tickets,
}

impl Events {
    /// Without anything to tell until it is [fed](Self::feed); `first` is the number of the first event.
    pub(crate) fn new(first: u64, render: Render, settings: LiveSettings) -> Self {
        Self {
            log: Arc::new(EventLog::new(first, render, settings)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            stopping: watch::Sender::new(false),
            tickets: Tickets::default(),
        }
    }

    /// What feeds it, from now on: to be run until the store is closed.
    pub(crate) fn feed(
        &self,
        store: Store,
        supervisor: &Arc<Supervisor>,
    ) -> impl Future<Output = ()> + use<> {
        let feed = Feed::new(Arc::clone(&self.log), store, Arc::clone(supervisor));
        // Nobody waits for what will never be told.
        let stopping = StopWhenDropped(self.stopping.clone());
        async move {
            let _stopping = stopping;
            feed.run().await;
        }
    }

    /// Begins to listen, after the event of this number; without one, from now on.
    pub(crate) fn listen(&self, after: Option<LastEvent>) -> Result<Listener, ServiceError> {
        if *self.stopping.borrow() {
            return Err(ServiceError::Stopping);
        }
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let permit = permit.map_err(|_| ServiceError::TooManyStreams)?;
        let newest = self.log.newest();
        let position = match after {
            None => Some(*newest.borrow()),
            Some(LastEvent::Number(number)) => Some(number),
            Some(LastEvent::Unknown) => None,
        };
        Ok(Listener {
            log: Arc::clone(&self.log),
            newest,
            position,
            stopping: self.stopping.subscribe(),
            _permit: permit,
        })
    }

    /// How many listen.
    pub(crate) fn listeners(&self) -> usize {
        STREAMS_MAX.saturating_sub(self.streams.available_permits())
    }

    /// How many events of each type there were.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        self.log.counts()
    }

    /// Lets go of everybody who listens; nobody may come any more.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Gives a caller a ticket that opens one stream in place of its token.
    pub(crate) fn issue_ticket(&self, caller: &Caller) -> Result<IssuedTicket, ServiceError> {
        self.tickets.issue(caller, std::time::Instant::now())
    }

    /// Whose ticket it is, once.
    pub(crate) fn redeem_ticket(&self, text: &str) -> Option<Caller> {
        self.tickets.redeem(text, std::time::Instant::now())
    }
}

struct StopWhenDropped(watch::Sender<bool>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Which event a client has had last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LastEvent {
    Number(u64),
    /// It says something that is no number of ours.
    Unknown,
}

impl LastEvent {
    pub(crate) fn parse(text: &str) -> Self {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map_or(Self::Unknown, Self::Number)
    }
}

/// One who listens.
#[derive(Debug)]
pub(crate) struct Listener {
    log: Arc<EventLog>,
    newest: watch::Receiver<u64>,
    /// The event that was told last; `None` when that is not known.
    position: Option<u64>,
    stopping: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// The number that the first event to be told follows, where it is known.
    pub(crate) fn position(&self) -> Option<u64> {
        self.position
    }

    /// Waits for events and writes them down as a stream has them; `None` when there will be no more.
    ///
    /// Whoever comes back too late for what was kept is told to reload. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            self.newest.borrow_and_update();
            if *self.stopping.borrow_and_update() {
                return None;
            }
            match self.log.after(self.position) {
                Reading::Events(text, last) => {
                    self.position = Some(last);
                    return Some(text);
                }
                Reading::Nothing => {}
            }
            tokio::select! {
                changed = self.newest.changed() => changed.ok()?,
                changed = self.stopping.changed() => changed.ok()?,
            }
        }
    }

    /// Ends when there will be no more events.
    pub(crate) async fn stopped(&mut self) {
        // An error means that nobody will tell any more.
        self.stopping.wait_for(|stopping| *stopping).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_none_of_ours_is_unknown() {
        assert_eq!(LastEvent::parse("42"), LastEvent::Number(42));
        for text in ["", "+1", "-1", "1.0", "abc", "99999999999999999999999"] {
            assert_eq!(LastEvent::parse(text), LastEvent::Unknown, "{text}");
        }
    }
}
