//! The newest events, written down once for everybody who reads them.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;
use tokio::sync::watch;

use super::{Event, EventKind, Render};
use crate::config::LiveSettings;

/// How many events are kept for those who come back.
const EVENTS_KEPT: usize = 1024;

/// How many bytes of them are kept.
const BYTES_KEPT: usize = 4 * 1024 * 1024;

/// How much is handed out at once: a reader that is slow has no more than that of its own.
const PIECE: usize = 64 * 1024;

/// What is kept, whoever reads it: readers have a position in it, and no queue of their own.
pub(super) struct EventLog {
    kept: Mutex<Kept>,
    newest: watch::Sender<u64>,
    render: Render,
    settings: LiveSettings,
}

#[derive(Debug)]
struct Kept {
    /// The last one has the number `newest`, and there are no gaps.
    events: VecDeque<String>,
    bytes: usize,
    newest: u64,
    counts: BTreeMap<&'static str, u64>,
}

/// What a reader finds.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Reading {
    /// Events as a stream has them, and the number of the last.
    Events(String, u64),
    Nothing,
}

impl EventLog {
    pub(super) fn new(first: u64, render: Render, settings: LiveSettings) -> Self {
        let newest = first.saturating_sub(1);
        let kept = Kept { events: VecDeque::new(), bytes: 0, newest, counts: BTreeMap::new() };
        Self { kept: Mutex::new(kept), newest: watch::Sender::new(newest), render, settings }
    }

    /// Tells what happened.
    pub(super) fn push(&self, at: OffsetDateTime, kind: EventKind<'_>) {
        self.add(|id| self.written(&Event { id, at, kind }));
    }

    fn add(&self, write: impl FnOnce(u64) -> Option<(&'static str, String)>) {
        let newest = {
            let mut kept = self.lock();
            let id = kept.newest.saturating_add(1);
            let Some((name, text)) = write(id) else { return };
            let count = kept.counts.entry(name).or_default();
            *count = count.saturating_add(1);
            kept.newest = id;
            kept.bytes = kept.bytes.saturating_add(text.len());
            kept.events.push_back(text);
            while kept.events.len() > EVENTS_KEPT || kept.bytes > BYTES_KEPT {
                let Some(oldest) = kept.events.pop_front() else { break };
                kept.bytes = kept.bytes.saturating_sub(oldest.len());
            }
            id
        };
        self.newest.send_replace(newest);
    }

    /// Some events were lost before they came here: everybody is to reload.
    pub(super) fn lose(&self) {
        let newest = {
            let mut kept = self.lock();
            kept.events.clear();
            kept.bytes = 0;
            kept.newest = kept.newest.saturating_add(1);
            kept.newest
        };
        self.newest.send_replace(newest);
    }

    /// Tells the number of the newest event, and whenever there is a newer one.
    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
        self.lock().counts.iter().map(|(name, count)| (*name, *count)).collect()
    }

    /// What a reader has to be told that has had this event last; `None`: nobody knows what it has had.
    pub(super) fn after(&self, position: Option<u64>) -> Reading {
        let kept = self.lock();
        let newest = kept.newest;
        let unread = position.and_then(|position| newest.checked_sub(position));
        let unread = unread.and_then(|unread| usize::try_from(unread).ok());
        let Some(unread) = unread.filter(|unread| *unread <= kept.events.len()) else {
            drop(kept);
            let reset = Event { id: newest, at: OffsetDateTime::now_utc(), kind: EventKind::Reset };
            return self.written(&reset).map_or(Reading::Nothing, |(_, text)| Reading::Events(text, newest));
        };
        let (mut text, mut told) = (String::new(), 0);
        for event in kept.events.iter().skip(kept.events.len() - unread) {
            if told > 0 && text.len().saturating_add(event.len()) > PIECE {
                break;
            }
            text.push_str(event);
            told += 1;
        }
        match u64::try_from(unread - told) {
            Ok(left) if told > 0 => Reading::Events(text, newest.saturating_sub(left)),
            _ => Reading::Nothing,
        }
    }

    /// As it stands in the stream (WHATWG HTML §9.2.6); its data is one line of JSON.
    fn written(&self, event: &Event<'_>) -> Option<(&'static str, String)> {
        let (name, data) = (self.render)(event, self.settings.now().expiring_soon())?;
        Some((name, frame(event.id, name, &data)))
    }

    // Nothing that panics is done while the lock is held, but for writing an event down, which then is not told.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn frame(id: u64, name: &str, data: &str) -> String {
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").field("newest", &*self.newest.borrow()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u64 = 1_000;

    fn render(event: &Event<'_>, _: time::Duration) -> Option<(&'static str, String)> {
        Some(("reset", event.id.to_string()))
    }

    fn log() -> EventLog {
        EventLog::new(FIRST, render, LiveSettings::new(crate::config::Settings::defaults_for_tests()))
    }

    fn push(log: &EventLog, data: &str) {
        log.add(|id| Some(("status", frame(id, "status", data))));
    }

    fn reset(id: u64) -> Reading {
        Reading::Events(format!("id: {id}\nevent: reset\ndata: {id}\n\n"), id)
    }

    #[test]
    fn whoever_comes_back_is_told_what_it_missed() {
        let log = log();
        assert_eq!(log.after(Some(FIRST - 1)), Reading::Nothing);
        for name in ["a", "b", "c"] {
            push(&log, name);
        }
        let expected = "id: 1001\nevent: status\ndata: b\n\nid: 1002\nevent: status\ndata: c\n\n";
        assert_eq!(log.after(Some(FIRST)), Reading::Events(expected.to_owned(), FIRST + 2));
        assert_eq!(log.after(Some(FIRST + 2)), Reading::Nothing);
        assert_eq!(*log.newest().borrow(), FIRST + 2);
        assert_eq!(log.counts(), [("status", 3)]);
    }

    #[test]
    fn whoever_knows_nothing_of_ours_reloads() {
        let log = log();
        push(&log, "a");
        for position in [None, Some(0), Some(FIRST - 2), Some(FIRST + 1), Some(u64::MAX)] {
            assert_eq!(log.after(position), reset(FIRST), "{position:?}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_bytes() {
        let log = log();
        for _ in 0..=EVENTS_KEPT {
            push(&log, "a");
        }
        assert_eq!(log.after(Some(FIRST - 1)), reset(FIRST + 1024));
        assert!(matches!(log.after(Some(FIRST)), Reading::Events(..)));
        let large = "x".repeat(BYTES_KEPT / 4);
        for _ in 0..4 {
            push(&log, &large);
        }
        assert_eq!(log.after(Some(FIRST + 1024)), reset(FIRST + 1028), "three of them are kept");
        assert!(matches!(log.after(Some(FIRST + 1025)), Reading::Events(..)));
        push(&log, &"x".repeat(BYTES_KEPT));
        assert_eq!(log.after(Some(FIRST + 1028)), reset(FIRST + 1029), "not even that one");
    }

    #[test]
    fn a_reader_is_handed_a_bounded_piece_at_a_time_and_all_in_the_end() {
        let log = log();
        let name = "x".repeat(PIECE / 3);
        for _ in 0..10 {
            push(&log, &name);
        }
        let (mut position, mut pieces) = (FIRST - 1, 0);
        while let Reading::Events(text, last) = log.after(Some(position)) {
            assert!(text.len() <= PIECE && last > position);
            (position, pieces) = (last, pieces + 1);
        }
        assert_eq!((position, pieces), (FIRST + 9, 5));
        push(&log, &"x".repeat(2 * PIECE));
        assert!(matches!(log.after(Some(position)), Reading::Events(..)), "one that is larger comes whole");
    }

    #[test]
    fn when_events_are_lost_everybody_reloads() {
        let log = log();
        push(&log, "a");
        log.lose();
        assert_eq!(log.after(Some(FIRST)), reset(FIRST + 1));
        assert_eq!(log.after(Some(FIRST + 1)), Reading::Nothing);
        push(&log, "b");
        assert_eq!(log.after(Some(FIRST)), reset(FIRST + 2));
        assert!(matches!(log.after(Some(FIRST + 1)), Reading::Events(_, last) if last == FIRST + 2));
    }
}
