//! `koiosd config`: what the settings are here and now, and what is wrong with them.

use std::io::{self, Write};

use crate::{
    command_line::{Arguments, ConfigAction},
    config::{ConfigErrors, Loaded, reference, show},
};

/// The settings cannot be used.
const EXIT_UNUSABLE: u8 = 2;

/// Why the settings are not shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigCommandError {
    /// They cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// They cannot be written out.
    #[error("the settings cannot be written out")]
    Output(#[source] io::Error),
}

impl ConfigCommandError {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => EXIT_UNUSABLE,
            Self::Output(_) => 1,
        }
    }
}

/// Carries the command out; answers the exit code.
///
/// # Errors
///
/// [`ConfigCommandError`] when nothing could be shown.
pub fn config(arguments: &Arguments, action: &ConfigAction) -> Result<u8, ConfigCommandError> {
    match action {
        ConfigAction::Check => check(arguments),
        ConfigAction::Show => {
            let Loaded { settings, sources, .. } = Loaded::here(arguments);
            let text = show(&settings?, &sources)
                .map_err(|error| ConfigCommandError::Output(io::Error::other(error)))?;
            print(&text)?;
            Ok(0)
        }
        ConfigAction::Reference => {
            print(&reference())?;
            Ok(0)
        }
    }
}

fn check(arguments: &Arguments) -> Result<u8, ConfigCommandError> {
    let loaded = Loaded::here(arguments);
    let mut lines: Vec<String> =
        loaded.unknown_variables.iter().map(|unknown| format!("WARNING {unknown}")).collect();
    let code = match &loaded.settings {
        Ok(_) => {
            lines.push("the configuration can be used".to_owned());
            0
        }
        Err(errors) => {
            lines.extend(errors.problems().iter().map(|problem| format!("ERROR   {problem}")));
            lines.push(format!("the configuration cannot be used: errors {}", errors.problems().len()));
            EXIT_UNUSABLE
        }
    };
    // The names of files are anybody's, and a terminal obeys.
    let lines = lines.iter().map(|line| line.replace(char::is_control, "\u{FFFD}") + "\n");
    print(&lines.collect::<String>())?;
    Ok(code)
}

fn print(text: &str) -> Result<(), ConfigCommandError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(ConfigCommandError::Output)
}
