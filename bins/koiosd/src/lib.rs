//! The Koios daemon: a thin JSON REST API over the certificate manager.
//!
//! It ties the library crates together and holds no rule of the domain: [`config`](Settings) reads the
//! settings, [`Application`] owns listener, store and supervisor, `api` speaks HTTP (extract, one service call,
//! map) and `service` holds the use cases, which know no HTTP.

mod api;
mod app;
mod audit_command;
mod backup_command;
mod check_command;
mod command_line;
mod command_line_documents;
mod command_runtime;
mod config;
mod config_command;
mod error_chain;
mod first_start;
mod healthcheck_command;
mod import_command;
mod listener;
mod logging;
mod master_key_command;
#[cfg(unix)]
mod open_files;
mod progress_line;
mod reload;
mod secret_file;
mod service;
mod service_manager;
mod signals;
mod system_host;
mod test_command;
mod tls;
mod token_command;

pub use api::openapi::document as openapi_document;
pub use app::{Application, StartError};
pub use audit_command::{AuditCommandError, audit};
pub use backup_command::{BackupCommandError, back_up, restore};
pub use check_command::{CheckCommandError, check};
pub use command_line::{
    Action, Arguments, AuditAction, BackupArguments, CheckArguments, ConfigAction, ImportArguments,
    MasterKeyAction, RestoreArguments, RotateArguments, TestArguments, TokenAction, TokenCreateArguments,
};
pub use command_line_documents::{print_completions, write_manual_pages};
pub use config::{
    ConfigError, ConfigErrors, DefaultKey, DefaultServerCertificatePolicy, LogFormat, LogLevel, Origin,
    Problem, Settings, TlsSettings, warn_of_misspelt_variables,
};
pub use config_command::{ConfigCommandError, config};
pub use error_chain::error_chain;
pub use healthcheck_command::{HealthcheckError, healthcheck};
pub use import_command::{ImportCommandError, import};
pub use logging::start as start_logging;
pub use master_key_command::{MasterKeyCommandError, decrypt_keys, generate_master_key, rotate_master_key};
pub use secret_file::PassphraseError;
pub use test_command::{TestCommandError, test};
pub use tls::TlsError;
pub use token_command::{TokenCommandError, token};
