//! Which suites ran, which were skipped, and why: read from the tests' own report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What the tests have reported, line by line: `<suite>\t<reason>\t<test>`, with an empty reason when it ran.
#[derive(Debug, Default)]
pub(crate) struct Suites(BTreeMap<String, Suite>);

#[derive(Debug, Default)]
struct Suite {
    ran: BTreeSet<String>,
    skipped: BTreeSet<String>,
    reasons: BTreeSet<String>,
}

impl Suites {
    pub(crate) fn read(report: &str) -> Self {
        let mut suites = Self::default();
        for (number, line) in report.lines().enumerate() {
            let mut fields = line.split('\t');
            let (Some(name), reason) = (fields.next(), fields.next().unwrap_or_default()) else { continue };
            // A line without a test counts for itself.
            let test = fields.next().map_or_else(|| number.to_string(), str::to_owned);
            let suite = suites.0.entry(name.to_owned()).or_default();
            if reason.is_empty() {
                suite.ran.insert(test);
            } else {
                suite.skipped.insert(test);
                suite.reasons.insert(reason.to_owned());
            }
        }
        suites
    }

    pub(crate) fn any_skipped(&self) -> bool {
        self.0.values().any(|suite| !suite.skipped.is_empty())
    }

    /// One line per suite, below `all`, what Cargo counted for all of them.
    pub(crate) fn table(&self, all: &Counts) -> String {
        let mut rows = vec![[
            format!("all tests ({} binaries)", all.binaries),
            all.passed.to_string(),
            all.failed.to_string(),
            all.ignored.to_string(),
            String::new(),
        ]];
        rows.extend(self.0.iter().map(|(name, suite)| {
            [
                name.clone(),
                suite.ran.len().to_string(),
                String::new(),
                suite.skipped.len().to_string(),
                suite.reasons.iter().map(String::as_str).collect::<Vec<_>>().join("; "),
            ]
        }));
        let width =
            rows.iter().map(|row| row[0].chars().count()).max().unwrap_or_default().max("suite".len());
        let mut table = String::new();
        let heading = ["suite", "ran", "failed", "skipped", "why"].map(str::to_owned);
        for row in std::iter::once(&heading).chain(&rows) {
            let [name, ran, failed, skipped, why] = row;
            let line = format!("{name:<width$}  {ran:>5}  {failed:>6}  {skipped:>7}  {why}");
            writeln!(table, "{}", line.trim_end()).expect("a string grows");
        }
        table
    }
}

/// The sum of Cargo's `test result:` lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    binaries: u32,
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Counts {
    /// Adds this line when it is a result line.
    pub(crate) fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        self.binaries += 1;
        // `ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s`
        let words: Vec<&str> = result.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let &[count, what] = pair else { continue };
            let Ok(count) = count.parse::<u32>() else { continue };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_counts_once_however_many_servers_it_started() {
        let suites = Suites::read(
            "a with node-opcua\t\tfirst\na with node-opcua\t\tfirst\na with node-opcua\t\tsecond\n\
             b with asyncua\tPython was not found\tthird\nb with openssl\tnot found\n",
        );
        let mut all = Counts::default();
        all.add("test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.5s");
        assert!(suites.any_skipped());
        assert_eq!(
            suites.table(&all),
            "suite                     ran  failed  skipped  why\n\
             all tests (1 binaries)     12       1        2\n\
             a with node-opcua           2                0\n\
             b with asyncua              0                1  Python was not found\n\
             b with openssl              0                1  not found\n"
        );
    }

    #[test]
    fn other_lines_are_no_results() {
        let mut all = Counts::default();
        all.add("running 3 tests");
        all.add("test tests::it ... ok");
        assert_eq!(all, Counts::default());
    }
}
