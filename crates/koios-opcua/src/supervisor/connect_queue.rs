//! Who connects next: a bounded number of attempts at the same time, and nobody behind a dead address.
//!
//! A place is held from the begin of an attempt to its end. Two things would make a device that could run wait for
//! thousands that cannot:
//!
//! - **Their number.** So there are two queues, each in the order of asking: devices of which nothing is known but good
//!   ([`Standing::Sound`]) come before those whose last attempt failed ([`Standing::Failing`]), save that every fourth
//!   place goes to a failing one while any waits, so that neither can starve.
//! - **Their silence.** An attempt at a dead address holds its place for the device's whole timeout, and whether it is
//!   dead is not known before. So one whose server is silent offers its place ([`Turn::offer`]); a sound device that
//!   would have to wait takes it, and the silent attempt goes on without one. How many may do so is bounded, and a
//!   failing device never gets a place like this: of those at most as many as there are places run at the same time.
//!
//! What remains for failing devices is shared by all of them alike: the retry bound stretches by the time that they wait
//! ([`ConnectLoad::retry_stretch`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// How many attempts of silent servers may go on without a place, for each place there is. They cost a socket each.
const LENT_PER_PLACE: usize = 32;

/// Of so many places given out while devices of both kinds wait, one goes to a failing one.
const FAILING_SHARE: u32 = 4;

/// What is known of a device that wants to connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It ran, is new, or something changed that may have cured it.
    Sound,
    /// Its last attempt failed.
    Failing,
}

/// How many attempts run and wait, and by how much the retry bound is stretched by it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConnectLoad {
    /// Attempts under way.
    pub running: usize,
    /// Those of them whose server is silent, and whose place another device has taken.
    pub lent: usize,
    /// Devices whose attempt is due and waits for a place.
    pub waiting: usize,
    /// By how much the time between two attempts of a failed device is longer than its rule says, because more are due
    /// than can be made: how long the last one waited, or the one at the head of the queue has. Zero when none waited
    /// within the last retry bound.
    pub retry_stretch: Duration,
}

/// Gives out the places.
#[derive(Debug)]
pub(super) struct ConnectQueue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    places: usize,
    /// For so long the last wait counts as the present one.
    retry_max: Duration,
    next_ticket: u64,
    sound: BTreeMap<u64, Waiter>,
    failing: BTreeMap<u64, Waiter>,
    /// The attempts under way.
    running: HashMap<u64, Running>,
    /// Those of them that would give up their place, oldest offer first as good as any.
    offered: BTreeSet<u64>,
    lent: usize,
    failing_running: usize,
    sound_in_a_row: u32,
    last_wait: Option<LastWait>,
}

#[derive(Debug)]
struct Waiter {
    since: Instant,
    place: oneshot::Sender<Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    standing: Standing,
    has_place: bool,
}

#[derive(Clone, Copy, Debug)]
struct LastWait {
    ended: Instant,
    length: Duration,
}

impl ConnectQueue {
    /// `places` attempts at the same time; at least one.
    pub(super) fn new(places: usize, retry_max: Duration) -> Self {
        Self { state: Mutex::new(State { places: places.max(1), retry_max, ..State::default() }) }
    }

    /// From now on so many places and that bound. Attempts under way go on, also where there are fewer places now.
    pub(super) fn set(self: &Arc<Self>, places: usize, retry_max: Duration) {
        let mut state = self.lock();
        state.places = places.max(1);
        state.retry_max = retry_max;
        self.give_out(&mut state);
    }

    /// The longest time between two attempts of a failed device.
    pub(super) fn retry_max(&self) -> Duration {
        self.lock().retry_max
    }

    /// Waits for a place. Dropped, it waits no more.
    pub(super) async fn turn(self: &Arc<Self>, standing: Standing) -> Option<Turn> {
        let (waiting, granted) = self.ask(standing);
        let turn = granted.await.ok();
        drop(waiting);
        turn
    }

    fn ask(self: &Arc<Self>, standing: Standing) -> (Waiting<'_>, oneshot::Receiver<Turn>) {
        let (place, granted) = oneshot::channel();
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket = state.next_ticket.wrapping_add(1);
        state.queue(standing).insert(ticket, Waiter { since: Instant::now(), place });
        self.give_out(&mut state);
        drop(state);
        (Waiting { queue: self, standing, ticket }, granted)
    }

    pub(super) fn load(&self) -> ConnectLoad {
        let now = Instant::now();
        let state = self.lock();
        let head = state.failing.first_key_value().map(|(_, waiter)| now.duration_since(waiter.since));
        let last = state.last_wait.filter(|last| now.duration_since(last.ended) <= state.retry_max);
        ConnectLoad {
            running: state.running.len(),
            lent: state.lent,
            waiting: state.sound.len() + state.failing.len(),
            retry_stretch: head.max(last.map(|last| last.length)).unwrap_or_default(),
        }
    }

    /// Gives places to those who wait, as long as there are any.
    fn give_out(self: &Arc<Self>, state: &mut State) {
        while let Some((ticket, standing, waiter)) = self.take_next(state) {
            let now = Instant::now();
            let turn = Turn { queue: Some(Arc::clone(self)), ticket };
            if let Err(unwanted) = waiter.place.send(turn) {
                // Whoever asked has gone. The lock is held here, so the turn must not give itself back.
                unwanted.forget();
                continue;
            }
            state.running.insert(ticket, Running { standing, has_place: true });
            match standing {
                Standing::Sound => state.sound_in_a_row = state.sound_in_a_row.saturating_add(1),
                Standing::Failing => {
                    state.sound_in_a_row = 0;
                    state.failing_running += 1;
                    let length = now.duration_since(waiter.since);
                    state.last_wait = Some(LastWait { ended: now, length });
                }
            }
        }
    }

    /// Who gets a place now, and nobody when there is none.
    fn take_next(&self, state: &mut State) -> Option<(u64, Standing, Waiter)> {
        let is_free = state.running.len() - state.lent < state.places;
        let failing_may = is_free && state.failing_running < state.places && !state.failing.is_empty();
        let is_failings_turn = state.sound_in_a_row + 1 >= FAILING_SHARE;
        if failing_may && (state.sound.is_empty() || is_failings_turn) {
            let (ticket, waiter) = state.failing.pop_first()?;
            return Some((ticket, Standing::Failing, waiter));
        }
        if state.sound.is_empty() || !(is_free || self.take_offer(state)) {
            return None;
        }
        let (ticket, waiter) = state.sound.pop_first()?;
        Some((ticket, Standing::Sound, waiter))
    }

    /// Frees the place of a silent attempt.
    fn take_offer(&self, state: &mut State) -> bool {
        if state.lent >= state.places.saturating_mul(LENT_PER_PLACE) {
            return false;
        }
        let Some(ticket) = state.offered.pop_first() else { return false };
        let Some(running) = state.running.get_mut(&ticket) else { return false };
        running.has_place = false;
        state.lent += 1;
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn queue(&mut self, standing: Standing) -> &mut BTreeMap<u64, Waiter> {
        match standing {
            Standing::Sound => &mut self.sound,
            Standing::Failing => &mut self.failing,
        }
    }
}

/// Takes whoever waits out of the queue, also when the wait is dropped.
struct Waiting<'a> {
    queue: &'a ConnectQueue,
    standing: Standing,
    ticket: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.lock().queue(self.standing).remove(&self.ticket);
    }
}

/// The right to connect; given back when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    queue: Option<Arc<ConnectQueue>>,
    ticket: u64,
}

impl Turn {
    /// The server is silent: whoever is sound and waits may have the place.
    pub(super) fn offer(&self) {
        let Some(queue) = &self.queue else { return };
        let mut state = queue.lock();
        if state.running.get(&self.ticket).is_some_and(|running| running.has_place) {
            state.offered.insert(self.ticket);
            queue.give_out(&mut state);
        }
    }

    /// The server has spoken: the place is needed, unless it is taken already.
    pub(super) fn withdraw(&self) {
        if let Some(queue) = &self.queue {
            queue.lock().offered.remove(&self.ticket);
        }
    }

    /// Drops it without giving anything back.
    fn forget(mut self) {
        self.queue = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(queue) = self.queue.take() else { return };
        let mut state = queue.lock();
        state.offered.remove(&self.ticket);
        if let Some(Running { standing, has_place }) = state.running.remove(&self.ticket) {
            state.lent -= usize::from(!has_place);
            state.failing_running -= usize::from(standing == Standing::Failing);
        }
        queue.give_out(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    fn queue(places: usize) -> Arc<ConnectQueue> {
        Arc::new(ConnectQueue::new(places, BOUND))
    }

    /// Asks in the order given; answers who has a place when nobody gives one back, in order of the names.
    struct Asked(Vec<(&'static str, oneshot::Receiver<Turn>)>);

    impl Asked {
        fn all(queue: &Arc<ConnectQueue>, who: &[(&'static str, Standing)]) -> Self {
            let asked = who.iter().map(|(name, standing)| {
                let (waiting, granted) = queue.ask(*standing);
                // Only whoever drops the receiver gives up in these tests.
                std::mem::forget(waiting);
                (*name, granted)
            });
            Self(asked.collect())
        }

        fn granted(&mut self) -> Vec<(&'static str, Turn)> {
            let mut turns = Vec::new();
            self.0.retain_mut(|(name, granted)| match granted.try_recv() {
                Ok(turn) => {
                    turns.push((*name, turn));
                    false
                }
                Err(_) => true,
            });
            turns
        }
    }

    fn names(turns: &[(&'static str, Turn)]) -> Vec<&'static str> {
        turns.iter().map(|(name, _)| *name).collect()
    }

    #[tokio::test]
    async fn a_sound_device_passes_all_failing_ones_that_wait() {
        let queue = queue(1);
        let held = queue.turn(Standing::Failing).await;
        let who = [("f1", Standing::Failing), ("f2", Standing::Failing), ("s", Standing::Sound)];
        let mut asked = Asked::all(&queue, &who);
        assert_eq!(queue.load().waiting, 3);
        drop(held);
        assert_eq!(names(&asked.granted()), ["s"]);
    }

    #[tokio::test]
    async fn more_places_are_given_out_at_once_and_fewer_hold_from_the_next_one_on() {
        let queue = queue(1);
        let held = queue.turn(Standing::Sound).await;
        let sound = [("1", Standing::Sound), ("2", Standing::Sound), ("3", Standing::Sound)];
        let mut asked = Asked::all(&queue, &sound);
        queue.set(3, Duration::from_secs(2));
        let given = asked.granted();
        assert_eq!(names(&given), ["1", "2"]);
        assert_eq!(queue.retry_max(), Duration::from_secs(2));
        queue.set(1, BOUND);
        drop((held, given));
        assert_eq!(names(&asked.granted()), ["3"]);
        assert_eq!(queue.load().running, 0);
    }

    #[tokio::test]
    async fn every_fourth_place_is_a_failing_devices() {
        let queue = queue(1);
        let held = queue.turn(Standing::Failing).await;
        let sound = (0..9).map(|_| ("s", Standing::Sound));
        let failing = (0..9).map(|_| ("f", Standing::Failing));
        let mut asked = Asked::all(&queue, &sound.chain(failing).collect::<Vec<_>>());
        drop(held);
        let mut order = Vec::new();
        while let Some((name, turn)) = asked.granted().pop() {
            order.push(name);
            drop(turn);
        }
        assert_eq!(order.join(""), "sssfsssfsssfffffff");
    }

    #[tokio::test]
    async fn a_silent_attempt_lends_its_place_to_sound_devices_only() {
        let queue = queue(2);
        let silent = [queue.turn(Standing::Failing).await, queue.turn(Standing::Sound).await];
        for turn in silent.iter().flatten() {
            turn.offer();
        }
        let mut asked = Asked::all(&queue, &[("f", Standing::Failing), ("s", Standing::Sound)]);
        let granted = asked.granted();
        assert_eq!(names(&granted), ["s"]);
        let load = queue.load();
        assert_eq!((load.running, load.lent, load.waiting), (3, 1, 1));
        // The end of the one that has lent its place frees none.
        drop(granted);
        let granted = asked.granted();
        assert_eq!(names(&granted), ["f"]);
        drop((silent, granted));
        assert_eq!(queue.load().running, 0);
    }

    #[tokio::test]
    async fn who_speaks_again_keeps_the_place() {
        let queue = queue(1);
        let held = queue.turn(Standing::Sound).await.unwrap();
        held.offer();
        held.withdraw();
        let mut asked = Asked::all(&queue, &[("s", Standing::Sound)]);
        assert!(asked.granted().is_empty());
        held.offer();
        assert_eq!(names(&asked.granted()), ["s"]);
    }

    #[tokio::test]
    async fn the_number_of_attempts_is_bounded_also_when_every_server_is_silent() {
        let queue = queue(2);
        let mut asked = Asked::all(&queue, &vec![("s", Standing::Sound); 100]);
        let mut turns = Vec::new();
        loop {
            let granted = asked.granted();
            if granted.is_empty() {
                break;
            }
            for (_, turn) in &granted {
                turn.offer();
            }
            turns.extend(granted);
        }
        assert_eq!(turns.len(), 2 + 2 * LENT_PER_PLACE);
        let mut failing = Asked::all(&queue, &vec![("f", Standing::Failing); 100]);
        drop((turns, asked));
        let turns = failing.granted();
        for (_, turn) in &turns {
            turn.offer();
        }
        assert_eq!((turns.len(), failing.granted().len()), (2, 0));
    }

    #[tokio::test]
    async fn whoever_goes_away_takes_no_place_and_holds_none() {
        let queue = queue(1);
        let held = queue.turn(Standing::Sound).await;
        let mut gone = Box::pin(queue.turn(Standing::Sound));
        assert!(futures_now(&mut gone).is_none());
        assert_eq!(queue.load().waiting, 1);
        drop(gone);
        assert_eq!(queue.load().waiting, 0);
        // Granted, and gone before it was noticed.
        let (waiting, granted) = queue.ask(Standing::Sound);
        drop(held);
        drop((granted, waiting));
        assert_eq!(queue.load(), ConnectLoad::default());
        assert!(queue.turn(Standing::Failing).await.is_some());
    }

    fn futures_now<T>(future: &mut std::pin::Pin<Box<impl Future<Output = T>>>) -> Option<T> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_retry_bound_stretches_by_what_failing_devices_wait_and_comes_back() {
        let queue = queue(1);
        assert_eq!(queue.load().retry_stretch, Duration::ZERO);
        let held = queue.turn(Standing::Failing).await;
        let mut asked = Asked::all(&queue, &[("f", Standing::Failing)]);
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(queue.load().retry_stretch, Duration::from_secs(7), "while it waits");
        drop(held);
        drop(asked.granted());
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(queue.load().retry_stretch, Duration::from_secs(7), "as the last one");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(queue.load().retry_stretch, Duration::ZERO, "nobody has waited since");
        drop(queue.turn(Standing::Failing).await);
        assert_eq!(queue.load().retry_stretch, Duration::ZERO);
    }
}
