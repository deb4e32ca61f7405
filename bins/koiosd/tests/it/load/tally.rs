//! What clients have seen.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

#[derive(Debug, Default)]
pub(super) struct Tally {
    /// In milliseconds, by operation.
    taken: BTreeMap<&'static str, Vec<f64>>,
    statuses: BTreeMap<u16, u64>,
    /// Whatever must not happen.
    pub(super) wrong: Vec<String>,
}

impl Tally {
    pub(super) fn count(&mut self, operation: &'static str, status: u16, taken: Duration) {
        self.taken.entry(operation).or_default().push(taken.as_secs_f64() * 1e3);
        *self.statuses.entry(status).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        for (operation, taken) in other.taken {
            self.taken.entry(operation).or_default().extend(taken);
        }
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.wrong.extend(other.wrong);
    }

    pub(super) fn operations(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.taken.keys().copied()
    }

    pub(super) fn first_wrong(&self) -> &[String] {
        self.wrong.get(..20).unwrap_or(&self.wrong)
    }

    /// By operation: calls, median, 99th percentile and longest, in milliseconds; then all reads and all changes together.
    pub(super) fn table(&self, took: Duration) -> String {
        let mut table = String::from(
            "| operation | calls | p50 ms | p99 ms | max ms |\n| --- | --- | --- | --- | --- |\n",
        );
        let (mut reads, mut changes) = (Vec::new(), Vec::new());
        for (operation, taken) in &self.taken {
            row(&mut table, operation, taken.clone());
            match operation.starts_with("GET ") {
                true => reads.extend(taken),
                false => changes.extend(taken),
            }
        }
        let calls = reads.len() + changes.len();
        row(&mut table, "all reads", reads);
        row(&mut table, "all others", changes);
        let statuses: Vec<String> =
            self.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        let each_second = f64::from(u32::try_from(calls).unwrap_or(u32::MAX)) / took.as_secs_f64();
        write!(table, "{calls} calls, {each_second:.0} per second; statuses {}", statuses.join(", "))
            .expect("text");
        table
    }
}

fn row(table: &mut String, what: &str, mut taken: Vec<f64>) {
    taken.sort_by(f64::total_cmp);
    let at = |percent: usize| taken.get((taken.len() * percent / 100).min(taken.len().saturating_sub(1)));
    if let (Some(median), Some(high), Some(most)) = (at(50), at(99), taken.last()) {
        writeln!(table, "| {what} | {} | {median:.1} | {high:.1} | {most:.1} |", taken.len()).expect("text");
    }
}
