//! What the server says it has executed for the store.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::sources::{Pattern, one_line};

/// The different statements, as the server got them.
pub(super) struct Executed(BTreeSet<String>);

impl Executed {
    /// Reads the server's log (<https://www.postgresql.org/docs/current/runtime-config-logging.html>): a statement is there
    /// when it ended well. Tests look at their databases too, under another name.
    pub(super) fn read(log: PathBuf) -> Result<Self> {
        let file = File::open(&log).with_context(|| format!("{} cannot be read", log.display()))?;
        let mut statements = BTreeSet::new();
        for line in BufReader::new(file).lines() {
            let line = line?;
            // Most lines tell of other steps, and to parse them takes its time.
            if !line.contains(" execute ") {
                continue;
            }
            let entry: Value = serde_json::from_str(&line).context("the server's log is no JSON")?;
            if entry["application_name"] == "koios-store" {
                statements.extend(entry["message"].as_str().and_then(statement).map(one_line));
            }
        }
        ensure!(!statements.is_empty(), "the server has executed nothing");
        Ok(Self(statements))
    }

    pub(super) fn holds(&self, pattern: &Pattern) -> bool {
        self.0.iter().any(|statement| pattern.is_in(statement))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// `duration: 0.016 ms  execute sqlx_s_1: SELECT …`
fn statement(message: &str) -> Option<&str> {
    let (_, execution) = message.strip_prefix("duration: ")?.split_once(" ms  ")?;
    let (_, statement) = execution.strip_prefix("execute ")?.split_once(": ")?;
    Some(statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_only_prepared_is_not_executed() {
        assert_eq!(statement("duration: 0.1 ms  execute sqlx_s_1: SELECT ': '"), Some("SELECT ': '"));
        assert_eq!(statement("duration: 0.1 ms  parse sqlx_s_1: SELECT 1"), None);
        assert_eq!(statement("syntax error at or near \"PRAGMA\""), None);
    }
}
