//! The effective settings as a file that can be loaded again, and the reference of all settings.

use std::fmt::Write;

use toml::{Table, Value};

use super::{
    Origin, Settings, Sources,
    table::{Reload, SETTINGS, Setting},
};

/// The settings in TOML, each with where it comes from; a secret is named and not shown.
pub(crate) fn show(settings: &Settings, sources: &Sources) -> Result<String, toml::ser::Error> {
    let values = Table::try_from(settings)?;
    let mut text = format!("# The settings of koiosd {} here and now.\n", env!("CARGO_PKG_VERSION"));
    let mut table = "";
    for setting in SETTINGS {
        let (of, name) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
        if of != table {
            table = of;
            text.push_str(&format!("\n[{table}]\n"));
        }
        let line = match value(&values, setting.key) {
            Some(value) => {
                let origin = sources.origin(setting.key).unwrap_or(&Origin::Default);
                format!("{name} = {value} # {}\n", comment(&origin.to_string()))
            }
            None => format!("# {name} is not set\n"),
        };
        text.push_str(&line);
    }
    if let Some(key) = &settings.master_key {
        text.push_str(&format!("# The master key is given by {}; it is not shown.\n", comment(key.origin())));
    }
    Ok(text)
}

/// The table of `docs/CONFIGURATION.md`.
pub(crate) fn reference() -> String {
    let mut text =
        String::from("| key | type, unit | default | at SIGHUP | meaning |\n|---|---|---|---|---|\n");
    for setting in SETTINGS {
        let flag = setting.flag.map(|flag| format!(" (`{flag}`)")).unwrap_or_default();
        let reload = match setting.reload {
            Reload::AtOnce => "taken",
            Reload::Restart => "needs a restart",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{}`{flag} | {} | {} | {reload} | {} |",
            setting.key,
            setting.form,
            default_in_words(setting),
            setting.meaning
        );
    }
    text
}

fn default_in_words(setting: &Setting) -> String {
    match (setting.default_in_words, setting.default) {
        (Some(words), _) => words.to_owned(),
        (None, None | Some("[]")) => "none".to_owned(),
        (None, Some(value)) => format!("`{}`", value.trim_matches('"')),
    }
}

fn value<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((name, below)) => value(table.get(name)?.as_table()?, below),
    }
}

/// Names of files are anybody's, and one with a line break would leave the comment.
fn comment(text: &str) -> String {
    text.replace(char::is_control, "\u{FFFD}")
}
