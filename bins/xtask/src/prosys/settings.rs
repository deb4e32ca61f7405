//! What the harness is told, on the command line and by the environment.

use std::path::PathBuf;
use std::time::Duration;

use super::folders::Folders;

/// Everything that can be chosen.
#[derive(Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) server: Server,
    /// Leave certificates in the server's folders, and the temporary files.
    pub(super) keep: bool,
    /// A daemon that is there already, instead of the one of this checkout.
    pub(super) koiosd: Option<PathBuf>,
    /// How long the endpoint may take to answer at first.
    pub(super) wait: Duration,
    /// How long the server may take to file a certificate, and to notice a moved one.
    pub(super) patience: Duration,
}

/// Against what.
#[derive(Debug, PartialEq)]
pub(super) enum Server {
    Given { endpoint: String, folders: Folders },
    StandIn,
}

impl Settings {
    pub(super) fn read(
        arguments: &[&str],
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let mut stand_in = false;
        let mut settings = Self {
            server: Server::StandIn,
            keep: false,
            koiosd: None,
            wait: Duration::ZERO,
            patience: Duration::from_secs(30),
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"));
            match *argument {
                "--stand-in" => stand_in = true,
                "--keep" => settings.keep = true,
                "--koiosd" => settings.koiosd = Some(PathBuf::from(value()?)),
                "--wait" => settings.wait = seconds(argument, value()?)?,
                "--patience" => settings.patience = seconds(argument, value()?)?,
                "--help" => return Err(USAGE.to_owned()),
                _ => return Err(format!("{argument} means nothing here\n{USAGE}")),
            }
        }
        // Pipelines define variables that are empty where there is nothing to say.
        let given = |name: &str| environment(name).filter(|value| !value.is_empty());
        settings.server = match (stand_in, VARIABLES.iter().find(|name| given(name).is_some())) {
            (true, Some(name)) => {
                return Err(format!(
                    "--stand-in is a server of its own: unset {name}, or leave --stand-in out"
                ));
            }
            (true, None) => Server::StandIn,
            (false, _) => given_server(given)?,
        };
        Ok(settings)
    }
}

fn given_server(given: impl Fn(&str) -> Option<String>) -> Result<Server, String> {
    let missing = |names: &str, what: &str| {
        format!(
            "{names} is not set: {what}\nWithout such a server, `cargo xtask prosys --stand-in` runs the same against a \
             stand-in.\n{USAGE}"
        )
    };
    let endpoint = given(ENDPOINT).ok_or_else(|| {
        missing(ENDPOINT, "the server shows it as its Connection Address (UA TCP), opc.tcp://…:53530/OPCUA/SimulationServer")
    })?;
    if !endpoint.starts_with("opc.tcp://") {
        return Err(format!("{ENDPOINT} is {endpoint:?}, but begins with opc.tcp://\n{USAGE}"));
    }
    let of_pki = given(PKI).map(|pki| Folders::of_pki(pki.as_ref()));
    let folder = |name: &str| given(name).map(PathBuf::from);
    let trusted = folder(TRUSTED).or_else(|| of_pki.as_ref().map(|folders| folders.trusted.clone()));
    let rejected = folder(REJECTED).or_else(|| of_pki.as_ref().map(|folders| folders.rejected.clone()));
    let (Some(trusted), Some(rejected)) = (trusted, rejected) else {
        return Err(missing(
            &format!("{PKI} (or both {TRUSTED} and {REJECTED})"),
            "the server's PKI folder, by default ~/.prosysopc/prosys-opc-ua-simulation-server/PKI",
        ));
    };
    Ok(Server::Given { endpoint, folders: Folders { trusted, rejected } })
}

fn seconds(argument: &str, value: &str) -> Result<Duration, String> {
    value
        .parse()
        .map(Duration::from_secs)
        .map_err(|_| format!("{argument} takes whole seconds, not {value:?}\n{USAGE}"))
}

pub(super) const ENDPOINT: &str = "KOIOS_PROSYS_ENDPOINT";
pub(super) const PKI: &str = "KOIOS_PROSYS_PKI";
pub(super) const TRUSTED: &str = "KOIOS_PROSYS_TRUSTED";
pub(super) const REJECTED: &str = "KOIOS_PROSYS_REJECTED";
const VARIABLES: [&str; 4] = [ENDPOINT, PKI, TRUSTED, REJECTED];

pub(super) const USAGE: &str =
    "usage: cargo xtask prosys [--stand-in] [--keep] [--koiosd FILE] [--wait SECONDS] [--patience SECONDS]
  KOIOS_PROSYS_ENDPOINT   the server, such as opc.tcp://localhost:53530/OPCUA/SimulationServer
  KOIOS_PROSYS_PKI        its PKI folder; in it CA/certs is trusted and CA/rejected is not
  KOIOS_PROSYS_TRUSTED, KOIOS_PROSYS_REJECTED
                          these two folders one by one, where they lie elsewhere
  --stand-in              start a stand-in for the server, and use that
  --keep                  leave what was put into the server's folders, and the temporary files
  --koiosd FILE           the daemon to prove; by default that of this checkout, built first
  --wait SECONDS          how long the server may take to come up; default 0
  --patience SECONDS      how long it may take to file a certificate or to notice a moved one; default 30
docs/CI-PROSYS.md tells the rest, exit codes too.";

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
        let environment: HashMap<_, _> = environment.iter().copied().collect();
        Settings::read(arguments, |name| environment.get(name).map(ToString::to_string))
    }

    fn folders(settings: &Settings) -> &Folders {
        match &settings.server {
            Server::Given { folders, .. } => folders,
            Server::StandIn => panic!("the stand-in"),
        }
    }

    #[test]
    fn a_server_is_given_by_its_endpoint_and_its_pki_folder() {
        let settings = read(&[], &[(ENDPOINT, "opc.tcp://press:53530"), (PKI, "/prosys/PKI")]).unwrap();
        assert_eq!(
            settings.server,
            Server::Given {
                endpoint: "opc.tcp://press:53530".to_owned(),
                folders: Folders {
                    trusted: PathBuf::from("/prosys/PKI/CA/certs"),
                    rejected: PathBuf::from("/prosys/PKI/CA/rejected"),
                },
            }
        );
        assert_eq!((settings.keep, settings.koiosd, settings.wait), (false, None, Duration::ZERO));
    }

    #[test]
    fn folders_can_be_named_one_by_one_and_an_empty_variable_is_none() {
        let endpoint = (ENDPOINT, "opc.tcp://press:53530");
        let both = read(&[], &[endpoint, (PKI, ""), (TRUSTED, "/t"), (REJECTED, "/r")]).unwrap();
        assert_eq!(folders(&both), &Folders { trusted: "/t".into(), rejected: "/r".into() });
        let one = read(&[], &[endpoint, (PKI, "/PKI"), (TRUSTED, ""), (REJECTED, "/r")]).unwrap();
        assert_eq!(folders(&one), &Folders { trusted: "/PKI/CA/certs".into(), rejected: "/r".into() });
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(read(&[], &[]).unwrap_err().starts_with("KOIOS_PROSYS_ENDPOINT is not set"));
        for folders in [&[][..], &[(TRUSTED, "/t")], &[(REJECTED, "/r")]] {
            let environment = [&[(ENDPOINT, "opc.tcp://press:53530")], folders].concat();
            let message = read(&[], &environment).unwrap_err();
            assert!(message.starts_with("KOIOS_PROSYS_PKI (or both"), "{message}");
        }
        let message = read(&[], &[(ENDPOINT, "press:53530"), (PKI, "/PKI")]).unwrap_err();
        assert!(message.contains("begins with opc.tcp://"), "{message}");
    }

    #[test]
    fn the_stand_in_needs_no_environment_and_takes_none() {
        let settings = read(
            &["--stand-in", "--keep", "--koiosd", "/bin/koiosd", "--wait", "60", "--patience", "5"],
            &[],
        )
        .unwrap();
        assert_eq!(
            settings,
            Settings {
                server: Server::StandIn,
                keep: true,
                koiosd: Some("/bin/koiosd".into()),
                wait: Duration::from_secs(60),
                patience: Duration::from_secs(5),
            }
        );
        assert!(read(&["--stand-in"], &[(TRUSTED, "")]).is_ok());
        let message = read(&["--stand-in"], &[(REJECTED, "/r")]).unwrap_err();
        assert!(message.contains("unset KOIOS_PROSYS_REJECTED"), "{message}");
    }

    #[test]
    fn arguments_that_cannot_be_read_are_answered_with_the_usage() {
        for arguments in [&["--standin"][..], &["--wait"], &["--wait", "long"], &["--help"]] {
            assert!(read(arguments, &[]).unwrap_err().contains("usage: cargo xtask prosys"), "{arguments:?}");
        }
    }
}
