//! Log lines, on standard error: standard output carries the ready line alone.

use std::{io, panic, sync::OnceLock};

use tracing_subscriber::{
    EnvFilter, Registry, fmt,
    layer::SubscriberExt,
    reload::{Error, Handle, Layer},
    util::SubscriberInitExt,
};

use crate::config::{LogFormat, LogLevel, Settings};

/// Changes the level later; logging is started once per process.
static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging, once per process, and turns panics into log lines.
pub fn start(settings: &Settings) {
    let (filter, handle) = Layer::new(filter(settings.log_level));
    let registry = tracing_subscriber::registry().with(filter);
    match settings.log_format {
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(io::stderr)).init(),
        LogFormat::Text => registry.with(fmt::layer().with_ansi(false).with_writer(io::stderr)).init(),
    }
    FILTER.get_or_init(|| handle);
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            panic.location = place,
            panic.message = panic.payload_as_str().unwrap_or("?"),
            "panic"
        );
    }));
}

/// From now on so much is logged.
pub(crate) fn set_level(level: LogLevel) -> Result<(), Error> {
    FILTER.get().map_or(Ok(()), |handle| handle.reload(filter(level)))
}

fn filter(level: LogLevel) -> EnvFilter {
    let filter = ["koiosd", "koios_store", "koios_opcua", "koios_channel", "koios_pki"]
        .iter()
        .fold(String::from("warn"), |filter, target| format!("{filter},{target}={level}"));
    EnvFilter::new(filter)
}
