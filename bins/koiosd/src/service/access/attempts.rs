//! How often an address may be wrong about tokens.
//!
//! Ten tokens in a minute may turn out wrong. From then on wrong ones are refused, and so is every other one that did not
//! work from that address within the last hour, *unseen*: a limit that still looks would slow nobody down. A token in use
//! goes on, so that who guesses behind the same address translation or proxy locks nobody out.
//!
//! A program that sends the same wrong token over and over is refused too, but guesses nothing: it does not use up what
//! others may try.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How many tokens from one address may turn out wrong within [`WINDOW`].
const WRONG_MAX: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);

/// How long a token that worked from an address is known there.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);

/// How often one address gets a line in the log.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How many addresses are remembered, at about a kilobyte each. Whoever has more has as many tries for each anyway.
const SOURCES_MAX: usize = 4096;
/// How many tokens are known to work from somewhere.
const KNOWN_MAX: usize = 4096;

/// SHA-256 of a token.
pub(super) type TokenHash = [u8; 32];

/// From where somebody asks, as far as it tells people apart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Source(Option<IpAddr>);

impl Source {
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            // One customer has at least a /64 (RFC 6177).
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }))
    }
}

/// Too many wrong tokens came from there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Refused {
    pub(super) retry_after: Duration,
}

/// A token turned out wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Wrong {
    pub(super) refused: Option<Refused>,
    /// How many there were since the log was last told; `None` when it is too early to tell it again.
    pub(super) tell: Option<u64>,
}

/// What came from where. Time is an argument.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sources: HashMap<Source, Failures>,
    /// When they worked last.
    known: HashMap<(Source, TokenHash), Instant>,
}

impl Attempts {
    /// Whether it may be looked whether a token is good.
    pub(super) fn may_look(&self, from: Source, token: &TokenHash, now: Instant) -> Result<(), Wrong> {
        let mut state = self.state();
        if state.knows(from, token, now) {
            return Ok(());
        }
        match state.spent(from, now) {
            None => Ok(()),
            Some(refused) => Err(Wrong { refused: Some(refused), tell: state.tell(from, now) }),
        }
    }

    /// The token is good; refused all the same when others were wrong while it was looked up: else many tries at once would
    /// count as one.
    pub(super) fn good(&self, from: Source, token: &TokenHash, now: Instant) -> Result<(), Wrong> {
        let mut state = self.state();
        if !state.knows(from, token, now)
            && let Some(refused) = state.spent(from, now)
        {
            return Err(Wrong { refused: Some(refused), tell: state.tell(from, now) });
        }
        state.know(from, token, now);
        Ok(())
    }

    /// There is no such token, or not any more.
    pub(super) fn wrong(&self, from: Source, token: &TokenHash, now: Instant) -> Wrong {
        let mut state = self.state();
        state.known.remove(&(from, *token));
        state.make_room(from, now);
        let failures = state.sources.entry(from).or_default();
        failures.forget_old(now);
        let refused = failures.add(token, now);
        Wrong { refused, tell: failures.tell(now) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn knows(&self, from: Source, token: &TokenHash, now: Instant) -> bool {
        self.known.get(&(from, *token)).is_some_and(|last| now.saturating_duration_since(*last) < KNOWN_FOR)
    }

    fn know(&mut self, from: Source, token: &TokenHash, now: Instant) {
        let key = (from, *token);
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&key) {
            self.known.retain(|_, last| now.saturating_duration_since(*last) < KNOWN_FOR);
            if self.known.len() >= KNOWN_MAX {
                forget_oldest(&mut self.known, |last| Some(*last));
            }
        }
        self.known.insert(key, now);
    }

    /// Whether no token may be looked up that is not known; with the time until one may.
    fn spent(&mut self, from: Source, now: Instant) -> Option<Refused> {
        let failures = self.sources.get_mut(&from)?;
        failures.forget_old(now);
        (failures.distinct() >= WRONG_MAX).then(|| failures.refusal(now))
    }

    fn tell(&mut self, from: Source, now: Instant) -> Option<u64> {
        self.sources.get_mut(&from).and_then(|failures| failures.tell(now))
    }

    fn make_room(&mut self, newcomer: Source, now: Instant) {
        if self.sources.len() < SOURCES_MAX || self.sources.contains_key(&newcomer) {
            return;
        }
        self.sources.retain(|_, failures| failures.newest_within_window(now));
        if self.sources.len() >= SOURCES_MAX {
            forget_oldest(&mut self.sources, Failures::newest);
        }
    }
}

/// Forgets an eighth at once, so that a newcomer seldom costs a look at all.
fn forget_oldest<K: Eq + Hash, V>(map: &mut HashMap<K, V>, age: impl Fn(&V) -> Option<Instant>) {
    let mut ages: Vec<_> = map.values().map(&age).collect();
    if ages.is_empty() {
        return;
    }
    let eighth = ages.len() / 8;
    let newest_to_forget = *ages.select_nth_unstable(eighth).1;
    map.retain(|_, value| age(value) > newest_to_forget);
}

/// What was wrong from one address: at most [`WRONG_MAX`], the oldest first.
#[derive(Debug, Default)]
struct Failures {
    wrong: VecDeque<(Instant, TokenHash)>,
    told_at: Option<Instant>,
    untold: u64,
}

impl Failures {
    fn forget_old(&mut self, now: Instant) {
        while self.wrong.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW) {
            self.wrong.pop_front();
        }
    }

    fn distinct(&self) -> usize {
        self.wrong.iter().map(|(_, token)| token).collect::<HashSet<_>>().len()
    }

    /// Counts a wrong token, and says whether there were too many before it.
    fn add(&mut self, token: &TokenHash, now: Instant) -> Option<Refused> {
        if self.wrong.len() < WRONG_MAX {
            self.wrong.push_back((now, *token));
            return None;
        }
        let refused = self.refusal(now);
        // One that was tried twice makes room for another try: only so are ten looked up at most.
        let is_new = self.wrong.iter().all(|(_, known)| known != token);
        let twice = (0..self.wrong.len()).find(|&place| {
            let (_, candidate) = self.wrong[place];
            self.wrong.iter().skip(place + 1).any(|(_, later)| *later == candidate)
        });
        if let (true, Some(place)) = (is_new, twice) {
            self.wrong.remove(place);
            self.wrong.push_back((now, *token));
        }
        Some(refused)
    }

    /// Until the oldest counts no more.
    fn refusal(&self, now: Instant) -> Refused {
        let oldest = self.wrong.front().map_or(now, |(at, _)| *at);
        Refused { retry_after: WINDOW.saturating_sub(now.saturating_duration_since(oldest)) }
    }

    fn newest(&self) -> Option<Instant> {
        self.wrong.back().map(|(at, _)| *at)
    }

    fn newest_within_window(&self, now: Instant) -> bool {
        self.newest().is_some_and(|at| now.saturating_duration_since(at) < WINDOW)
    }

    fn tell(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        let early = self.told_at.is_some_and(|told| now.saturating_duration_since(told) < TOLD_EVERY);
        if early {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(n: usize) -> TokenHash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&n.to_be_bytes());
        hash
    }

    fn from(text: &str) -> Source {
        Source::of(Some(text.parse().unwrap()))
    }

    /// Asks as the daemon does; answers whether the token was looked at, and whether it was refused.
    fn ask(
        attempts: &Attempts,
        from: Source,
        token: &TokenHash,
        is_good: bool,
        now: Instant,
    ) -> (bool, bool) {
        if attempts.may_look(from, token, now).is_err() {
            return (false, true);
        }
        let refused = match is_good {
            true => attempts.good(from, token, now).is_err(),
            false => attempts.wrong(from, token, now).refused.is_some(),
        };
        (true, refused)
    }

    fn guess(attempts: &Attempts, from: Source, times: usize, now: Instant) {
        for n in 0..times {
            ask(attempts, from, &token(n), false, now);
        }
    }

    const GOOD: TokenHash = [0xAA; 32];
    const LOOKED_AT: (bool, bool) = (true, false);
    const UNSEEN: (bool, bool) = (false, true);

    #[test]
    fn ten_tokens_in_a_minute_may_be_wrong_and_no_other_is_looked_at_until_the_first_is_a_minute_old() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let guesser = from("10.0.0.1");
        for n in 0..WRONG_MAX {
            let now = start + Duration::from_secs(n as u64);
            assert_eq!(ask(&attempts, guesser, &token(n), false, now), LOOKED_AT, "{n}");
        }
        let now = start + Duration::from_secs(10);
        for n in 10..1_000 {
            assert_eq!(ask(&attempts, guesser, &token(n), false, now), UNSEEN);
        }
        // Not even a good one, else the refusal would tell that the others were wrong.
        let refused = attempts.may_look(guesser, &GOOD, now).unwrap_err().refused.unwrap();
        assert_eq!(refused.retry_after, Duration::from_secs(50));
        assert_eq!(ask(&attempts, from("10.0.0.2"), &GOOD, true, now), LOOKED_AT);
        // What is refused does not prolong the refusal.
        assert_eq!(ask(&attempts, guesser, &GOOD, true, start + WINDOW), LOOKED_AT);
    }

    #[test]
    fn a_token_in_use_goes_on_for_an_hour_after_its_last_use() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let proxy = from("10.0.0.1");
        assert_eq!(ask(&attempts, proxy, &GOOD, true, start), LOOKED_AT);
        guess(&attempts, proxy, 100, start);
        assert_eq!(ask(&attempts, proxy, &GOOD, true, start), LOOKED_AT);
        assert_eq!(
            ask(&attempts, proxy, &[0xBB; 32], true, start),
            UNSEEN,
            "another good one, not yet used there"
        );
        let later = start + KNOWN_FOR - Duration::from_secs(1);
        guess(&attempts, proxy, 100, later);
        assert_eq!(ask(&attempts, proxy, &GOOD, true, later), LOOKED_AT);
        let much_later = later + KNOWN_FOR;
        guess(&attempts, proxy, 100, much_later);
        assert_eq!(ask(&attempts, proxy, &GOOD, true, much_later), UNSEEN);
    }

    #[test]
    fn a_revoked_token_is_known_no_more() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let proxy = from("10.0.0.1");
        ask(&attempts, proxy, &GOOD, true, now);
        guess(&attempts, proxy, 10, now);
        assert_eq!(ask(&attempts, proxy, &GOOD, false, now), (true, true));
        assert_eq!(ask(&attempts, proxy, &GOOD, true, now), UNSEEN);
    }

    #[test]
    fn one_wrong_token_over_and_over_is_refused_and_uses_up_nothing_for_others() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let proxy = from("10.0.0.1");
        for n in 0..10_000 {
            let (_, refused) = ask(&attempts, proxy, &token(0), false, now);
            assert_eq!(refused, n >= WRONG_MAX, "{n}");
        }
        assert_eq!(ask(&attempts, proxy, &GOOD, true, now), LOOKED_AT);
        // Nor does it open a way to guess more.
        let looked_at = (1..1_000).filter(|n| ask(&attempts, proxy, &token(*n), false, now).0).count();
        assert_eq!(looked_at, WRONG_MAX - 1);
    }

    #[test]
    fn tries_at_once_count_one_by_one() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let guesser = from("10.0.0.1");
        // All of them were let through before the first came back.
        for n in 0..100 {
            attempts.may_look(guesser, &token(n), now).unwrap();
        }
        let refused = (0..100).filter(|n| attempts.wrong(guesser, &token(*n), now).refused.is_some()).count();
        assert_eq!(refused, 90);
        assert!(attempts.good(guesser, &GOOD, now).is_err(), "the good one among them is not told apart");
    }

    #[test]
    fn addresses_are_told_apart_as_far_as_they_tell_people_apart() {
        assert_eq!(from("2001:db8:1:2::1"), from("2001:db8:1:2:ffff::9"));
        assert_ne!(from("2001:db8:1:2::1"), from("2001:db8:1:3::1"));
        assert_eq!(from("::ffff:10.0.0.1"), from("10.0.0.1"));
        assert_ne!(from("10.0.0.1"), from("10.0.0.2"));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest_stays() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        for n in 0..2 * SOURCES_MAX {
            let source = Source::of(Some(IpAddr::V4((n as u32).into())));
            attempts.wrong(source, &token(n), start + Duration::from_nanos(n as u64));
            attempts.good(source, &token(n), start + Duration::from_nanos(n as u64)).unwrap();
        }
        let state = attempts.state();
        for (remembered, most) in [(state.sources.len(), SOURCES_MAX), (state.known.len(), KNOWN_MAX)] {
            assert!((most / 4 * 3..=most).contains(&remembered), "{remembered}");
        }
        let last = Source::of(Some(IpAddr::V4((2 * SOURCES_MAX as u32 - 1).into())));
        assert!(
            state.sources.contains_key(&last)
                && state.known.contains_key(&(last, token(2 * SOURCES_MAX - 1)))
        );
    }

    #[test]
    fn the_log_is_told_at_once_and_then_once_a_minute_with_the_count() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let guesser = from("10.0.0.1");
        assert_eq!(attempts.wrong(guesser, &token(0), start).tell, Some(1));
        for n in 1..10 {
            assert_eq!(attempts.wrong(guesser, &token(n), start).tell, None);
        }
        for n in 10..20 {
            assert_eq!(attempts.may_look(guesser, &token(n), start).unwrap_err().tell, None);
        }
        assert_eq!(attempts.wrong(guesser, &token(20), start + TOLD_EVERY).tell, Some(20));
    }
}
