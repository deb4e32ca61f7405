//! Tables of verdicts: lines of a case, a policy and mode, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use koios_opcua::Verdict;
use koios_testkit::{Mode, Policy};

/// A case, and the policy and mode in which it was tried; none where that is of no matter.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) case: &'static str,
    pub(crate) security: Option<String>,
}

impl Key {
    pub(crate) fn of(case: &'static str) -> Self {
        Self { case, security: None }
    }

    pub(crate) fn with(case: &'static str, policy: Policy, mode: Mode) -> Self {
        Self { case, security: Some(format!("{}/{}", policy.name(), mode.name())) }
    }
}

/// What is compared of a verdict.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Observation {
    pub(crate) code: String,
    pub(crate) stage: String,
    pub(crate) status: String,
    pub(crate) cause: String,
}

impl Observation {
    pub(crate) fn of(verdict: &Verdict) -> Self {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        Self {
            code: verdict.code.to_string(),
            stage: or_none(verdict.failed_stage.map(|stage| stage.to_string())),
            status: or_none(verdict.status_code.map(|status| status.name())),
            cause: or_none(
                verdict.causes.first().map(|cause| format!("{}:{}", cause.code, cause.confidence.as_str())),
            ),
        }
    }
}

/// What was seen, in the order of the cases.
pub(crate) type Verdicts = Vec<(Key, Observation)>;

/// What is expected.
pub(crate) struct Table {
    /// By case and column; the column [`ANY`] is for all that are not named.
    rows: BTreeMap<(String, String), Observation>,
}

impl Table {
    /// The table of this name.
    pub(crate) fn of(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/interop/expected/{name}.txt"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut rows = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            let columns: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            let [case, security, code, stage, status, cause] = columns.as_slice() else {
                panic!("{}: a line needs six columns: {line}", path.display());
            };
            let observation = Observation {
                code: code.clone(),
                stage: stage.clone(),
                status: status.clone(),
                cause: cause.clone(),
            };
            let twice = rows.insert((case.clone(), security.clone()), observation);
            assert!(twice.is_none(), "{}: twice: {line}", path.display());
        }
        Self { rows }
    }

    /// What is expected.
    pub(crate) fn observation(&self, key: &Key) -> Option<&Observation> {
        self.row(key).map(|(_, row)| row)
    }

    /// Whether nobody is expected to answer.
    pub(crate) fn is_silence(&self, key: &Key) -> bool {
        self.observation(key).is_some_and(|row| row.code == "server_silent" || row.code == "timeout")
    }

    /// Every line that differs, those that nothing belongs to included.
    pub(crate) fn differences(&self, name: &str, seen: &Verdicts) -> Vec<String> {
        let mut differences = Vec::new();
        let mut used = BTreeSet::new();
        for (case, rows) in by_case(seen) {
            let mut differing: BTreeMap<_, Vec<_>> = BTreeMap::new();
            let asked = rows.len();
            for (key, observation) in rows {
                let row = self.row(key);
                used.extend(row.map(|(at, _)| at));
                let expected = row.map(|(_, row)| row);
                if expected != Some(observation) {
                    let security = key.security.as_deref().unwrap_or(ANY);
                    differing.entry((expected, observation)).or_default().push(security);
                }
            }
            for ((expected, observation), securities) in differing {
                let securities =
                    if securities.len() == asked { ANY.to_owned() } else { securities.join(", ") };
                differences.push(format!("{name}: {case} {securities}"));
                differences
                    .push(format!("    expected {}", expected.map_or_else(|| "nothing".to_owned(), line)));
                differences.push(format!("    seen     {}", line(observation)));
            }
        }
        for (case, security) in self.rows.keys().filter(|at| !used.contains(at)) {
            differences.push(format!("{name}: {case} {security} is in the table and was not asked"));
        }
        differences
    }

    fn row(&self, key: &Key) -> Option<(&(String, String), &Observation)> {
        let column = |security: &str| self.rows.get_key_value(&(key.case.to_owned(), security.to_owned()));
        key.security.as_deref().and_then(column).or_else(|| column(ANY))
    }
}

/// What was seen in the form of a table: what most policies and modes have in common is said once.
pub(crate) fn render(seen: &Verdicts) -> String {
    let mut text = String::new();
    for (case, rows) in by_case(seen) {
        let common = common(&rows);
        writeln!(text, "{case:<28}{ANY:<38}{}", line(common)).expect("a string grows");
        for (key, observation) in rows.iter().filter(|(_, observation)| *observation != common) {
            let security = key.security.as_deref().unwrap_or(ANY);
            writeln!(text, "{case:<28}{security:<38}{}", line(observation)).expect("a string grows");
        }
    }
    text
}

/// What was seen of each case, in their order.
pub(crate) fn by_case(seen: &Verdicts) -> Vec<(&'static str, Vec<(&Key, &Observation)>)> {
    let mut cases: Vec<(&str, Vec<_>)> = Vec::new();
    for (key, observation) in seen {
        match cases.iter_mut().find(|(case, _)| *case == key.case) {
            Some((_, rows)) => rows.push((key, observation)),
            None => cases.push((key.case, vec![(key, observation)])),
        }
    }
    cases
}

/// What most rows say; of equally many the first.
pub(crate) fn common<'a>(rows: &[(&Key, &'a Observation)]) -> &'a Observation {
    let count = |wanted| rows.iter().filter(|(_, observation)| *observation == wanted).count();
    let most = rows.iter().map(|(_, observation)| count(*observation)).max();
    let found = rows.iter().find(|(_, observation)| Some(count(*observation)) == most);
    found.expect("a case has a row").1
}

fn line(observation: &Observation) -> String {
    let Observation { code, stage, status, cause } = observation;
    format!("{code:<36}{stage:<20}{status:<34}{cause}")
}

/// In place of a policy and mode: whatever they are.
const ANY: &str = "*";

/// In place of what a verdict does not have.
const NONE: &str = "-";
