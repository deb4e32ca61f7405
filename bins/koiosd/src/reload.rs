//! SIGHUP: the settings are read again, and what a running daemon can take is taken.

use std::{error::Error, fmt};

use actix_web::rt;

use crate::{
    command_line::Arguments,
    config::{LiveSettings, Settings},
    error_chain::error_chain,
    logging,
    service_manager::{Notice, notify},
};

/// Passes new settings on to a part of the daemon that keeps something of its own.
type Part = Box<dyn Fn(&Settings) -> Result<(), Box<dyn Error + Send + Sync>>>;

/// Reads the settings again.
pub(crate) struct Reload {
    arguments: Arguments,
    settings: LiveSettings,
    parts: Vec<(&'static str, Part)>,
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("arguments", &self.arguments).finish_non_exhaustive()
    }
}

impl Reload {
    pub(crate) fn new(arguments: Arguments, settings: LiveSettings) -> Self {
        Self { arguments, settings, parts: Vec::new() }
    }

    /// Adds a part. It hears of every reload, also when no setting has changed: a file that one names may have.
    pub(crate) fn tell(
        &mut self,
        name: &'static str,
        part: impl Fn(&Settings) -> Result<(), Box<dyn Error + Send + Sync>> + 'static,
    ) {
        self.parts.push((name, Box::new(part)));
    }

    /// Takes what can be taken, and logs what cannot. Settings that cannot be used change nothing.
    pub(crate) async fn carry_out(&self, status: &str) {
        notify(Notice::Reloading);
        let arguments = self.arguments.clone();
        match rt::task::spawn_blocking(move || Settings::load(&arguments)).await {
            Ok(Ok(new)) => self.take(&new),
            Ok(Err(errors)) => {
                for problem in errors.problems() {
                    tracing::error!(%problem, "the configuration cannot be used");
                }
                tracing::error!("everything stays as it was; mend the configuration and send SIGHUP again");
            }
            Err(error) => tracing::error!(%error, "the settings were not read again"),
        }
        notify(Notice::Ready(status));
    }

    fn take(&self, new: &Settings) {
        let (settings, changes) = match self.settings.now().taking(new) {
            Ok(taken) => taken,
            Err(error) => {
                tracing::error!(%error, "the settings cannot be taken");
                return;
            }
        };
        let level_before = self.settings.now().log_level;
        self.settings.replace(settings);
        let settings = self.settings.now();
        // Whichever of the two levels says more tells what was done.
        if settings.log_level > level_before {
            set_level(&settings);
        }
        for (name, part) in &self.parts {
            if let Err(error) = part(&settings) {
                tracing::error!(
                    part = name,
                    error = error_chain(&*error),
                    "this part of the daemon goes on as it was"
                );
            }
        }
        for key in &changes.need_a_restart {
            tracing::warn!(setting = key, "a changed setting needs a restart; until then it stays as it was");
        }
        tracing::info!(changed = changes.taken.join(", "), "read the settings again");
        set_level(&settings);
    }
}

fn set_level(settings: &Settings) {
    if let Err(error) = logging::set_level(settings.log_level) {
        tracing::error!(%error, "the log level stays as it was");
    }
}
