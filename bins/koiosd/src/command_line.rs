//! The command line of `koiosd`. Its flags are the strongest source of settings; the rest is in `config`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::LogFormat;

/// Central manager of OPC UA client certificates.
#[derive(Debug, Parser)]
#[command(name = "koiosd", version, args_conflicts_with_subcommands = false)]
pub struct Arguments {
    /// What to do; without a command the daemon is started.
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Read settings from this TOML file.
    #[arg(long, value_name = "FILE", env = "KOIOS_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// The folder that holds everything Koios keeps.
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// Where to listen for HTTP; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT", global = true)]
    pub listen: Option<String>,
    /// How log lines are written to standard error.
    #[arg(long, value_name = "FORMAT", value_enum, global = true)]
    pub log_format: Option<LogFormat>,
}

/// The commands of the daemon's binary.
#[derive(Clone, Copy, Debug, Default, Subcommand)]
pub enum Action {
    /// Print the OpenAPI document of the REST API.
    Openapi,
    /// Start the daemon (the default).
    #[default]
    Serve,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_before_and_after_the_command() {
        let before = Arguments::parse_from(["koiosd", "--listen", "127.0.0.1:0", "serve"]);
        let after = Arguments::parse_from(["koiosd", "serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(before.listen, after.listen);
        assert_eq!(before.listen.as_deref(), Some("127.0.0.1:0"));
    }
}
