//! The daemon killed at moments nobody chose, while several clients change everything there is to change.
//!
//! `KOIOS_KILLS` says how often (`cargo xtask kills 1000`), `KOIOS_KILLS_SEED` repeats the choices of an earlier run; the
//! moments themselves depend on the machine.

use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    changes::{
        client::Client,
        random::Random,
        world::{self, FIRST},
    },
    daemon::{ADMIN, Daemon, Setup},
};

const CLIENTS: usize = 4;

/// Enough for a change of every kind in each run of the tests.
const KILLS: u64 = 25;

/// What a run has seen.
#[derive(Debug, Default)]
struct Seen {
    kills: u64,
    kills_while_starting: u64,
    acknowledged: u64,
    unanswered: u64,
    carried_out: u64,
    orphaned_keys: u64,
}

#[test]
fn a_daemon_killed_at_any_moment_has_lost_nothing_and_left_nothing_half() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let kills = number("KOIOS_KILLS").unwrap_or(KILLS);
    let seed = number("KOIOS_KILLS_SEED").unwrap_or_else(|| {
        let now = time::OffsetDateTime::now_utc();
        u64::try_from(now.unix_timestamp_nanos() & i128::from(u32::MAX)).expect("32 bits")
    });
    println!("KOIOS_KILLS_SEED={seed}");
    let started = Instant::now();
    let seen = Run::new(seed).until(kills);
    println!("{seen:?} in {:.0?}, seed {seed}", started.elapsed());
    assert!(seen.acknowledged > seen.kills, "hardly anything was changed: {seen:?}");
}

#[test]
fn a_first_start_killed_at_any_moment_is_finished_by_the_next_one() {
    let mut random = Random::new(7);
    // How long a first start takes here.
    let started = Instant::now();
    drop(Setup::new().start());
    let whole = started.elapsed();
    for _ in 0..4 {
        let setup = Setup::new();
        for _ in 0..=random.below(2) {
            kill_a_start(&setup, &mut random, whole);
        }
        let daemon = setup.start();
        let found = daemon.get("certificates").expect(200);
        assert_eq!((&found["total"], &found["items"][0]["is_default"]), (&json!(1), &json!(true)));
        assert_eq!(found["items"][0]["files"]["downloadable"], true);
        take_orphaned(&daemon);
        require_content(&setup);
    }
}

/// One data directory over all kills, so that whatever one of them left lies there for the next.
struct Run {
    setup: Setup,
    random: Random,
    clients: Vec<Client>,
    seen: Seen,
    start: Duration,
    audit_entries: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let clients = (0..CLIENTS).map(|number| {
            Client::new(number, seed.wrapping_add(u64::try_from(number).expect("a number") << 32))
        });
        Self {
            setup: Setup::empty(),
            random: Random::new(!seed),
            clients: clients.collect(),
            seen: Seen::default(),
            start: Duration::from_millis(100),
            audit_entries: 0,
        }
    }

    fn until(mut self, kills: u64) -> Seen {
        let mut daemon = self.setup.start();
        let first = json!({ "name": FIRST, "key": { "algorithm": "ec", "curve": "p256" } });
        daemon.post("certificates/generate", &first).expect(201);
        for (client, state) in self.clients.iter_mut().zip(world::observe(&daemon, CLIENTS)) {
            client.state = state;
        }
        while self.seen.kills - self.seen.kills_while_starting < kills {
            self.kill_under_load(daemon);
            if self.random.below(10) == 0 {
                // It takes no start's work away.
                let ended = self.setup.ended(&["check", "--repair"]);
                assert!(matches!(ended.0, Some(0 | 3)), "{ended:?}");
            }
            if self.random.below(5) == 0 {
                for _ in 0..=self.random.below(3) {
                    kill_a_start(&self.setup, &mut self.random, self.start);
                    self.seen.kills += 1;
                    self.seen.kills_while_starting += 1;
                }
            }
            let started = Instant::now();
            daemon = self.setup.start();
            self.start = started.elapsed();
            self.judge(&daemon);
            if self.seen.kills.is_multiple_of(100) {
                println!("{:?}", self.seen);
            }
        }
        let verified = self.setup.ended(&["audit", "verify"]);
        assert_eq!(verified.0, Some(0), "{verified:?}");
        daemon.stop();
        self.seen
    }

    fn kill_under_load(&mut self, daemon: Daemon) {
        let moment = Duration::from_micros(self.random.below(400_000));
        let before: u64 = self.clients.iter().map(|client| client.acknowledged).sum();
        thread::scope(|scope| {
            for client in &mut self.clients {
                let url = &daemon.url;
                scope.spawn(move || client.run(url, ADMIN));
            }
            // Not a wait for something: the moment of the kill is what differs between the rounds.
            thread::sleep(moment);
            daemon.signal("KILL");
        });
        daemon.wait();
        self.seen.kills += 1;
        let after: u64 = self.clients.iter().map(|client| client.acknowledged).sum();
        self.seen.acknowledged = after;
        // Each of them stands in the trail; see `judge`.
        self.audit_entries += after - before;
    }

    fn judge(&mut self, daemon: &Daemon) {
        let found = world::observe(daemon, CLIENTS);
        let mut cut_off = 0;
        for (client, found) in self.clients.iter_mut().zip(found) {
            let makes_key = client.unanswered.as_ref().is_some_and(|asked| asked.change.makes_key());
            let carried_out = client.judge(&found);
            self.seen.unanswered += u64::from(carried_out.is_some());
            self.seen.carried_out += u64::from(carried_out == Some(true));
            cut_off += u64::from(makes_key && carried_out == Some(false));
            client.touched.sort();
            client.touched.dedup();
            for key in std::mem::take(&mut client.touched) {
                if let Some(entry) = client.state.get(&key) {
                    world::require_pair(daemon, entry);
                }
            }
        }
        let orphaned = take_orphaned(daemon);
        assert!(orphaned <= cut_off, "{orphaned} keys without a row, {cut_off} changes were cut off");
        self.seen.orphaned_keys += orphaned;
        let trail = daemon.get("audit?limit=1").expect(200)["total"].as_u64().expect("a count");
        assert!(trail >= self.audit_entries, "{trail} audit entries, {} were due", self.audit_entries);
        self.audit_entries = trail;
        require_content(&self.setup);
    }
}

/// Starts the daemon and kills it before, or soon after, it is ready.
fn kill_a_start(setup: &Setup, random: &mut Random, whole: Duration) {
    let longest = u64::try_from(whole.as_micros()).expect("a short time").max(1);
    let moment = Duration::from_micros(random.below(longest));
    let mut child = setup.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    thread::sleep(moment);
    child.kill().expect("it was running, or is not reaped yet");
    child.wait().expect("a child");
}

/// Key pairs that a start moved aside, because no row names them: counts them and deletes them, as an operator does.
fn take_orphaned(daemon: &Daemon) -> u64 {
    let Ok(entries) = fs::read_dir(daemon.data_dir().join("orphaned")) else { return 0 };
    let mut count = 0;
    for entry in entries {
        fs::remove_dir_all(entry.expect("an entry").path()).expect("it can be deleted");
        count += 1;
    }
    count
}

#[track_caller]
fn require_content(setup: &Setup) {
    let (code, said, _) = setup.ended(&["check", "--json"]);
    assert_eq!(code, Some(0), "{said}");
}
