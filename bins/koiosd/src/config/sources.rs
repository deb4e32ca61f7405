//! Where values come from: flags over the environment over the file over the defaults, each with its place.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{
    Spanned, Table, Value,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::{
    ConfigError, Problem, Settings,
    defaults::user_data_dir,
    nearest::{nearest, nearest_variable},
    table::{SETTINGS, Setting, ValueKind},
};
use crate::command_line::Arguments;

/// Where a value was given.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// Nowhere.
    Default,
    /// In the environment.
    Environment {
        /// The variable.
        name: String,
    },
    /// In the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// On the command line.
    Flag {
        /// The flag.
        name: &'static str,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment { name } => write!(f, "environment variable {name}"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Flag { name } => write!(f, "flag {name}"),
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
struct Given {
    value: Value,
    origin: Origin,
}

/// The strongest value of every setting that has any.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    given: BTreeMap<&'static str, Given>,
}

/// What is not as it should be with the sources.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<UnknownVariable>,
}

/// A variable that looks like a setting, and is none.
#[derive(Clone, Debug)]
pub(crate) struct UnknownVariable {
    pub(crate) name: String,
    pub(crate) nearest: Option<String>,
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment variable {} is no setting", self.name)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean {nearest}?"),
            None => Ok(()),
        }
    }
}

/// The environment of this process.
pub(super) fn process_environment() -> Vec<(OsString, OsString)> {
    env::vars_os().collect()
}

impl Sources {
    pub(super) fn read(arguments: &Arguments, environment: &[(OsString, OsString)]) -> (Self, Findings) {
        let (mut sources, mut findings) = (Self::default(), Findings::default());
        for setting in SETTINGS {
            if let Some(value) = setting.default {
                sources.give(setting, literal(value), Origin::Default);
            }
        }
        if let Some(path) = &arguments.config {
            sources.read_file(path, &mut findings);
        }
        sources.read_environment(environment, &mut findings);
        let flags = [
            ("data_dir", arguments.data_dir.as_ref().map(|path| path.to_str().map(str::to_owned))),
            ("listen", arguments.listen.clone().map(Some)),
            ("log_format", arguments.log_format.map(|format| Some(format.to_string()))),
        ];
        for (key, value) in flags {
            let Some(setting) = Setting::find(key) else { continue };
            let origin = Origin::Flag { name: setting.flag.unwrap_or_default() };
            match value {
                None => {}
                Some(Some(text)) => sources.give(setting, Value::String(text), origin),
                Some(None) => {
                    findings.problems.push(Problem::new(Some(origin), ConfigError::NotUnicode { key }));
                }
            }
        }
        if arguments.console
            && let Some(setting) = Setting::find("console")
        {
            let origin = Origin::Flag { name: setting.flag.unwrap_or_default() };
            sources.give(setting, literal("true"), origin);
        }
        if let Some(setting) = Setting::find("data_dir").filter(|setting| !sources.has(setting)) {
            match user_data_dir().map(|path| path.into_os_string().into_string()) {
                Some(Ok(path)) => sources.give(setting, Value::String(path), Origin::Default),
                Some(Err(_)) => {
                    let error = ConfigError::NotUnicode { key: setting.key };
                    findings.problems.push(Problem::new(None, error));
                }
                None => findings.problems.push(Problem::new(None, ConfigError::NoDataDirectory)),
            }
        }
        (sources, findings)
    }

    /// Where the value of a setting comes from; `None` where no source and no default names one.
    pub(crate) fn origin(&self, key: &str) -> Option<&Origin> {
        self.given.get(key).map(|given| &given.origin)
    }

    /// The settings; a value that cannot be read gives way to the default, and is told.
    pub(super) fn settings(&self, findings: &mut Findings) -> Option<Settings> {
        let mut given = self.given.clone();
        loop {
            let error = match serde_path_to_error::deserialize(Value::Table(tree(&given))) {
                Ok(settings) => return Some(settings),
                Err(error) => error,
            };
            let path = error.path().to_string();
            let of_path = |key: &str| {
                path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || !rest.starts_with(word))
            };
            let setting = SETTINGS.iter().find(|setting| of_path(setting.key));
            let removed = setting.and_then(|setting| Some((setting, given.remove(setting.key)?)));
            let Some((setting, Given { origin, .. })) = removed else {
                // Nothing that was given; a setting that must have a value has none, and that was told.
                if findings.problems.is_empty() {
                    let problem = error.inner().message().to_owned();
                    findings.problems.push(Problem::new(None, ConfigError::Unusable { problem }));
                }
                return None;
            };
            let error = ConfigError::Value {
                key: setting.key,
                problem: error.inner().message().to_owned(),
                expected: setting.form.replace('`', ""),
            };
            findings.problems.push(Problem::new(Some(origin), error));
            if let Some(value) = setting.default {
                given.insert(setting.key, Given { value: literal(value), origin: Origin::Default });
            }
        }
    }

    fn has(&self, setting: &Setting) -> bool {
        self.given.contains_key(setting.key)
    }

    fn give(&mut self, setting: &'static Setting, value: Value, origin: Origin) {
        self.given.insert(setting.key, Given { value, origin });
    }

    fn read_file(&mut self, path: &Path, findings: &mut Findings) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(source) => {
                let error = ConfigError::File { path: path.to_owned(), source };
                findings.problems.push(Problem::new(None, error));
                return;
            }
        };
        let file = File { path, text: &text };
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let origin = file.origin(error.span().map_or(0, |span| span.start));
            let problem = error.message().to_owned();
            findings.problems.push(Problem::new(Some(origin), ConfigError::Syntax { problem }));
        }
        // What was made of a file with mistakes in its form may not be what was meant.
        if findings.problems.is_empty() {
            self.read_table(&file, "", table.into_inner(), findings);
        }
    }

    fn read_table(&mut self, file: &File<'_>, before: &str, table: DeTable<'_>, findings: &mut Findings) {
        for (name, value) in table {
            let origin = file.origin(name.span().start);
            let key = format!("{before}{}", name.get_ref());
            let below = format!("{key}.");
            match (Setting::find(&key), value) {
                (Some(setting), value) => match plain(value) {
                    Ok(value) => self.give(setting, value, origin),
                    Err(problem) => {
                        findings.problems.push(Problem::new(Some(origin), ConfigError::Syntax { problem }));
                    }
                },
                (None, value)
                    if value.get_ref().is_table()
                        && SETTINGS.iter().any(|setting| setting.key.starts_with(&below)) =>
                {
                    if let DeValue::Table(table) = value.into_inner() {
                        self.read_table(file, &below, table, findings);
                    }
                }
                (None, _) => {
                    let nearest = nearest(&key);
                    let error = ConfigError::UnknownSetting { key, nearest };
                    findings.problems.push(Problem::new(Some(origin), error));
                }
            }
        }
    }

    fn read_environment(&mut self, environment: &[(OsString, OsString)], findings: &mut Findings) {
        for setting in SETTINGS {
            let name = setting.variable();
            let Some((_, value)) = environment.iter().find(|(given, _)| given.to_str() == Some(&*name))
            else {
                continue;
            };
            let Some(text) = value.to_str() else {
                findings.problems.push(Problem::new(None, ConfigError::EnvironmentNotUnicode { name }));
                continue;
            };
            let value = match setting.kind {
                ValueKind::Text => Value::String(text.to_owned()),
                ValueKind::Literal => literal(text),
            };
            self.give(setting, value, Origin::Environment { name });
        }
        let names = environment.iter().filter_map(|(name, _)| name.to_str());
        let mut unknown: Vec<_> = names
            .filter(|name| name.starts_with("KOIOS_") && !is_known_variable(name))
            .map(|name| UnknownVariable { name: name.to_owned(), nearest: nearest_variable(name) })
            .collect();
        unknown.sort_by(|one, other| one.name.cmp(&other.name));
        findings.warnings.extend(unknown);
    }
}

/// Variables that are no settings of the daemon, and mean something all the same.
const OTHER_VARIABLES: [&str; 3] = ["KOIOS_BOOTSTRAP_TOKEN", "KOIOS_CONFIG", "KOIOS_MASTER_KEY"];

/// Beginnings of what our pipelines use; and Kubernetes tells every container about a service named `koios`.
const OTHER_BEGINNINGS: [&str; 5] =
    ["KOIOS_PORT", "KOIOS_PROSYS_", "KOIOS_REQUIRE_", "KOIOS_SERVICE_", "KOIOS_TEST_"];

fn is_known_variable(name: &str) -> bool {
    OTHER_VARIABLES.contains(&name)
        || OTHER_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || SETTINGS.iter().any(|setting| setting.variable() == name)
}

/// Warns of variables that are likely to be meant for the daemon. Of others it says nothing: what other programs call
/// theirs is theirs.
pub fn warn_of_misspelt_variables() {
    let mut findings = Findings::default();
    Sources::default().read_environment(&process_environment(), &mut findings);
    for unknown in findings.warnings.iter().filter(|unknown| unknown.nearest.is_some()) {
        tracing::warn!("{unknown}");
    }
}

/// The names of variables that mean something to the daemon.
pub(super) fn variables() -> impl Iterator<Item = String> {
    SETTINGS.iter().map(Setting::variable).chain(OTHER_VARIABLES.map(str::to_owned))
}

/// Characters of keys, so that `listen` is no beginning of `listening`.
fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn origin(&self, position: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(position);
        Origin::File { path: self.path.to_owned(), line: 1 + before.filter(|byte| **byte == b'\n').count() }
    }
}

fn plain(value: Spanned<DeValue<'_>>) -> Result<Value, String> {
    Value::deserialize(ValueDeserializer::from(value)).map_err(|error| error.message().to_owned())
}

/// A TOML value, or else the text as it stands.
fn literal(text: &str) -> Value {
    DeValue::parse(text)
        .ok()
        .and_then(|value| plain(value).ok())
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Values by their keys, those with a dot in tables.
fn tree(given: &BTreeMap<&'static str, Given>) -> Table {
    let mut tree = Table::new();
    for (key, Given { value, .. }) in given {
        insert(&mut tree, key, value.clone());
    }
    tree
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((name, below)) => {
            let inner = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, below, value);
            }
        }
    }
}
