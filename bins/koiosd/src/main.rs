//! `koiosd`: reads the settings, runs the daemon, says with its exit code how that went.

use std::{
    env::{self, VarError},
    error::Error,
    io,
    process::ExitCode,
};

use clap::Parser;
use koiosd::{Action, Application, Arguments, ConfigError, MasterKeyAction, Settings, StartError};
use zeroize::Zeroizing;

/// Wrong usage or configuration.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.action.clone().unwrap_or_default() {
        Action::Audit(action) => with_settings(&arguments, |settings| {
            koiosd::audit(&settings, &action).map_err(|error| fail(&error, error.exit_code()))
        }),
        Action::Backup(backup) => with_settings(&arguments, |settings| {
            koiosd::back_up(&settings, &backup).map_err(|error| fail(&error, error.exit_code()))
        }),
        Action::Check(check) => with_settings(&arguments, |settings| {
            koiosd::check(&settings, &check).map_err(|error| fail(&error, error.exit_code()))
        }),
        Action::Completions { shell } => told(koiosd::print_completions(shell)),
        Action::Config(action) => match koiosd::config(&arguments, &action) {
            Ok(code) => ExitCode::from(code),
            Err(error) => fail(&error, error.exit_code()),
        },
        Action::DecryptKeys => with_settings(&arguments, |settings| {
            koiosd::decrypt_keys(&settings).map_err(|error| fail(&error, error.exit_code()))
        }),
        Action::Healthcheck => with_settings(&arguments, |settings| {
            koiosd::healthcheck(&settings).map_err(|error| fail(&error, error.exit_code()))
        }),
        Action::Man { folder } => told(koiosd::write_manual_pages(&folder)),
        // It is made before any configuration can name it.
        Action::MasterKey(MasterKeyAction::Generate { file }) => match koiosd::generate_master_key(&file) {
            Ok(code) => ExitCode::from(code),
            Err(error) => fail(&error, error.exit_code()),
        },
        Action::MasterKey(MasterKeyAction::Rotate(rotate)) => with_settings(&arguments, |settings| {
            koiosd::rotate_master_key(&settings, &rotate).map_err(|error| fail(&error, error.exit_code()))
        }),
        Action::Import(import) => with_settings(&arguments, |settings| {
            koiosd::import(&settings, &import).map_err(|error| fail(&error, error.exit_code()))
        }),
        Action::Openapi => print_openapi(),
        Action::Restore(backup) => with_settings(&arguments, |settings| {
            koiosd::restore(&settings, &backup).map_err(|error| fail(&error, error.exit_code()))
        }),
        Action::Test(arguments) => match koiosd::test(&arguments) {
            Ok(code) => ExitCode::from(code),
            Err(error) => fail(&error, EXIT_USAGE),
        },
        Action::Token(action) => with_settings(&arguments, |settings| {
            koiosd::token(&settings, &action).map_err(|error| fail(&error, error.exit_code()))
        }),
        Action::Serve => with_settings(&arguments, |settings| serve(&arguments, settings)),
    }
}

/// Runs a command that needs the settings; its error, if any, is said already.
fn with_settings(arguments: &Arguments, command: impl FnOnce(Settings) -> Result<u8, ExitCode>) -> ExitCode {
    match Settings::load(arguments) {
        Ok(settings) => command(settings).map_or_else(|failed| failed, ExitCode::from),
        Err(error) => fail(&error, EXIT_USAGE),
    }
}

fn told(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn print_openapi() -> ExitCode {
    println!("{:#}", koiosd::openapi_document());
    ExitCode::SUCCESS
}

fn serve(arguments: &Arguments, settings: Settings) -> Result<u8, ExitCode> {
    let bootstrap_token = match env::var("KOIOS_BOOTSTRAP_TOKEN") {
        Ok(token) => Some(Zeroizing::new(token)),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => {
            let name = "KOIOS_BOOTSTRAP_TOKEN".to_owned();
            return Err(fail(&ConfigError::EnvironmentNotUnicode { name }, EXIT_USAGE));
        }
    };
    koiosd::start_logging(&settings);
    koiosd::warn_of_misspelt_variables();
    let ran = actix_web::rt::System::new().block_on(run(arguments.clone(), settings, bootstrap_token));
    ran.map(|()| 0).map_err(|error| fail(&error, error.exit_code()))
}

async fn run(
    arguments: Arguments,
    settings: Settings,
    bootstrap_token: Option<Zeroizing<String>>,
) -> Result<(), StartError> {
    match Application::build(arguments, settings, bootstrap_token).await? {
        Some(application) => application.run().await,
        None => Ok(()),
    }
}

/// Says on standard error what is wrong, with its causes.
fn fail(error: &(dyn Error + 'static), code: u8) -> ExitCode {
    eprintln!("koiosd: {}", koiosd::error_chain(error));
    ExitCode::from(code)
}
