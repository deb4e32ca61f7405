//! Every file and database call of the daemon fails, once or from then on, in each way in which a disk can fail; and what it
//! does to the disk before it answers is written down.
//!
//! `KOIOS_FAULTS=all` tries every call of every change and of a start (`cargo xtask faults`), a number so many of each.

mod full;
mod plain_keys;
mod shim;
mod start;
mod sweep;
mod trace;

use self::{
    shim::{Errno, Lasting},
    sweep::Sweep,
};
use crate::changes::{client::Change, random::Random};

/// Calls of each change that are tried for each error that lasts so long, when not all are.
const TRIED: u64 = 1;

/// So many of the calls from 1 to `calls`, in order; as many as `KOIOS_FAULTS` says.
fn some_of(random: &mut Random, calls: u64, tried: u64) -> Vec<u64> {
    let tried = match std::env::var("KOIOS_FAULTS") {
        Ok(all) if all == "all" => calls,
        Ok(number) => number.parse().expect("KOIOS_FAULTS is \"all\" or a number"),
        Err(_) => tried,
    };
    if calls <= tried {
        return (1..=calls).collect();
    }
    let mut chosen = std::collections::BTreeSet::new();
    while u64::try_from(chosen.len()).expect("a count") < tried {
        chosen.insert(1 + random.below(calls));
    }
    chosen.into_iter().collect()
}

#[test]
fn whatever_call_fails_a_change_is_made_whole_or_refused_with_the_reason_and_the_next_one_works() {
    let Some(mut sweep) = Sweep::new() else { return };
    let mut random = Random::new(11);
    for change in Change::ALL {
        for errno in Errno::ALL {
            for lasting in Lasting::ALL {
                let calls = sweep.count(change, errno, lasting);
                assert!(calls > 0, "{change:?} writes");
                for nth in some_of(&mut random, calls, TRIED) {
                    sweep.inject(change, errno, lasting, nth);
                }
            }
        }
        sweep.restart();
        println!("{change:?}: {} calls failed so far", sweep.seen.injections);
    }
    println!("{:#?}", sweep.seen);
    assert!(sweep.seen.wrong.is_empty(), "{} things went wrong", sweep.seen.wrong.len());
}

#[test]
fn a_change_whose_commit_could_not_be_synced_is_refused_and_does_not_come_back_after_a_kill() {
    let Some(mut sweep) = Sweep::new() else { return };
    sweep.shim.count_only(sweep::SYNC_OF_THE_LOG);
    for change in Change::ALL {
        // The moves of a change of the trust lists are a commit of their own, before the change's.
        let mut nth = 1;
        while sweep.inject(change, Errno::Broken, Lasting::Once, nth) {
            nth += 1;
        }
        assert!(nth > 1, "{change:?} syncs the log");
    }
    println!("{:#?}", sweep.seen);
    assert_eq!(sweep.seen.wrong, Vec::<String>::new());
}

#[test]
fn what_was_opened_while_the_disk_was_read_only_is_not_used_once_it_is_not() {
    let Some(mut sweep) = Sweep::new() else { return };
    for nth in 1..=sweep.count(Change::Describe, Errno::ReadOnly, Lasting::FromThenOn) {
        sweep.inject(Change::Describe, Errno::ReadOnly, Lasting::FromThenOn, nth);
    }
    assert_eq!(sweep.seen.wrong, Vec::<String>::new());
}
