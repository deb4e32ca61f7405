//! Somebody who guesses tokens, against the real daemon.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    daemon::{ADMIN, Daemon, Setup},
    http::Answer,
    tokens::made,
};

/// Less than the minute after which the daemon lets an address try again.
const WITHIN: Duration = Duration::from_secs(50);

fn guess(daemon: &Daemon, n: usize) -> Answer {
    daemon.call("GET", "certificates").token(&format!("koios_guess_{n:036}")).send()
}

/// How many lines tell of refused tokens.
fn told(daemon: &Daemon) -> usize {
    daemon.log().lines().filter(|line| line.contains("tokens were refused")).count()
}

#[test]
fn after_ten_wrong_tokens_none_is_looked_at_and_those_in_use_go_on() {
    let daemon = Setup::empty().start();
    let (unused, _) = made(&daemon, "viewer");
    let begun = Instant::now();
    let mut refused = 0;
    for n in 1..=500 {
        let answer = guess(&daemon, n);
        // On a machine that is this slow, the minute may be over.
        if begun.elapsed() > WITHIN {
            break;
        }
        if n <= 10 {
            answer.expect_problem(401, "unauthenticated");
            continue;
        }
        let problem = answer.expect_problem(429, "rate_limited");
        assert!(problem["detail"].as_str().unwrap().contains("go on working"), "{problem}");
        let seconds: u64 = answer.header("retry-after").expect("when to try again").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{n}: {seconds}");
        refused += 1;
        if n % 50 == 0 {
            assert_eq!(daemon.get("certificates").status, 200, "the admin token is in use");
        }
    }
    println!("{refused} of {} guesses were refused unseen, in {:?}", refused + 10, begun.elapsed());
    assert!(refused > 0);
    let unused = daemon.call("GET", "certificates").token(&unused).send();
    if begun.elapsed() < WITHIN {
        unused.expect_problem(429, "rate_limited");
    }
    // Nothing was guessed there.
    daemon.call("GET", "certificates").without_token().send().expect_problem(401, "unauthenticated");
    assert_eq!(daemon.call("GET", "/healthz").without_token().send().status, 200);

    let metrics = daemon.get("/metrics").text();
    let counted = metrics.lines().find_map(|line| line.strip_prefix("koios_authentication_failures_total "));
    let counted: usize = counted.expect("a counter").parse().unwrap();
    assert!(counted >= refused + 10, "{counted}");
    let minutes = usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
    assert!((1..=1 + minutes).contains(&told(&daemon)), "{}", daemon.log());
    let log = daemon.log();
    assert!(log.contains("127.0.0.1") && !log.contains("koios_guess_") && !log.contains(ADMIN), "{log}");
}

#[test]
fn guesses_at_once_are_no_more_than_guesses_one_by_one() {
    let daemon = Setup::empty().start();
    let begun = Instant::now();
    let looked_at: usize = thread::scope(|scope| {
        let guessers: Vec<_> = (0..8)
            .map(|guesser| {
                let daemon = &daemon;
                scope.spawn(move || {
                    let answers = (0..25).map(|n| guess(daemon, guesser * 100 + n).status);
                    answers.filter(|status| *status == 401).count()
                })
            })
            .collect();
        guessers.into_iter().map(|guesser| guesser.join().expect("answers")).sum()
    });
    if begun.elapsed() < WITHIN {
        assert_eq!(looked_at, 10);
    }
    // The admin token did not work from here before, so that it is not told apart from the guesses.
    let answer = daemon.get("certificates");
    if begun.elapsed() < WITHIN {
        answer.expect_problem(429, "rate_limited");
    }
}

#[test]
fn a_program_with_a_revoked_token_does_not_lock_its_neighbours_out() {
    let daemon = Setup::empty().start();
    let (revoked, id) = made(&daemon, "viewer");
    assert_eq!(daemon.delete(&format!("tokens/{id}")).status, 204);
    let begun = Instant::now();
    let statuses: Vec<u16> =
        (0..30).map(|_| daemon.call("GET", "certificates").token(&revoked).send().status).collect();
    if begun.elapsed() < WITHIN {
        assert_eq!(statuses, [[401; 10], [429; 10], [429; 10]].concat());
    }
    let (fresh, _) = made(&daemon, "operator");
    assert_eq!(daemon.call("GET", "certificates").token(&fresh).send().status, 200);
    assert_eq!(daemon.post("devices/test", &json!({})).status, 422);
}
