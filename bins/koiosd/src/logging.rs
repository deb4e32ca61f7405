//! Log lines, on standard error: standard output carries the ready line alone.

use std::{io, panic};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogFormat, Settings};

/// Starts logging, once per process, and turns panics into log lines.
pub fn start(settings: &Settings) {
    let level = settings.log_level;
    let filter = ["koiosd", "koios_store", "koios_opcua", "koios_channel", "koios_pki"]
        .iter()
        .fold(String::from("warn"), |filter, target| format!("{filter},{target}={level}"));
    let registry = tracing_subscriber::registry().with(EnvFilter::new(filter));
    match settings.log_format {
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(io::stderr)).init(),
        LogFormat::Text => registry.with(fmt::layer().with_ansi(false).with_writer(io::stderr)).init(),
    }
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            panic.location = place,
            panic.message = panic.payload_as_str().unwrap_or("?"),
            "panic"
        );
    }));
}
