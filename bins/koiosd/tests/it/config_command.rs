//! `koiosd config`, and what is made of the command line.

use std::fs;

use crate::daemon::Setup;

#[test]
fn check_names_all_that_is_wrong_with_its_place_and_ends_with_2() {
    let setup = Setup::new().with_environment("KOIOS_EXPIRING_SOON_DAYS", "many");
    let file = setup.folder().join("koios.toml");
    fs::write(&file, "listen_adress = \"127.0.0.1:1\"\ndefault_validity_days = 0\n").unwrap();
    let path = file.to_str().unwrap();
    let (code, out, err) = setup.ended(&["config", "check", "--config", path]);
    assert_eq!((code, &*err), (Some(2), ""), "{out}");
    let expected = [
        &format!("ERROR   {path}, line 1: unknown setting `listen_adress`; did you mean `listen`?"),
        &format!(
            "ERROR   {path}, line 2: the setting default_validity_days is 0, but it must be 1 to 9125 days"
        ),
        "ERROR   environment variable KOIOS_EXPIRING_SOON_DAYS: the setting expiring_soon_days cannot be read: invalid type: \
         string \"many\", expected u32; it must be: 0 to 9125 days",
        "the configuration cannot be used: errors 3",
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);
    // A start says the same, at once.
    let (code, _, err) = setup.ended(&["--config", path]);
    assert_eq!(code, Some(2));
    assert!(err.contains("line 1: unknown setting `listen_adress`; did you mean `listen`?"), "{err}");
    assert!(err.contains("line 2: the setting default_validity_days is 0"), "{err}");
    assert!(!setup.data_dir().exists(), "nothing was begun");
}

#[test]
fn check_warns_of_variables_that_are_no_settings_and_is_content() {
    let setup = Setup::new()
        .with_environment("KOIOS_LOG_LEVL", "debug")
        .with_environment("KOIOS_MASTER_KEY", &"5a".repeat(32));
    let (code, out, _) = setup.ended(&["config", "check"]);
    assert_eq!(code, Some(0), "{out}");
    let expected = [
        "WARNING the environment variable KOIOS_LOG_LEVL is no setting; did you mean KOIOS_LOG_LEVEL?",
        "the configuration can be used",
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);
    // A start says it too.
    let daemon = setup.start();
    daemon
        .wait_for_log("the environment variable KOIOS_LOG_LEVL is no setting; did you mean KOIOS_LOG_LEVEL?");
}

#[test]
fn what_show_prints_loads_to_the_same_settings_and_holds_no_secret() {
    let secret = "5a".repeat(32);
    let setup = Setup::new()
        .with_environment("KOIOS_MASTER_KEY", &secret)
        .with_environment("KOIOS_ORGANIZATION", "Plant \"A\" # 1")
        .with_environment("KOIOS_CORS_ALLOWED_ORIGINS", "https://a.example,http://b.example:3000")
        .with_environment("KOIOS_RETRY_MAX_SECONDS", "2.5");
    let file = setup.folder().join("koios.toml");
    fs::write(&file, "# A comment\nexpiring_soon_days = 60\nlisten = \"127.0.0.1:1\"\n").unwrap();
    let path = file.to_str().unwrap();
    let (code, shown, err) = setup.ended(&["config", "show", "--config", path, "--log-format", "json"]);
    assert_eq!(code, Some(0), "{err}");
    for line in [
        &format!("expiring_soon_days = 60 # {path}, line 2"),
        "listen = \"127.0.0.1:0\" # environment variable KOIOS_LISTEN",
        "log_format = \"json\" # flag --log-format",
        "default_validity_days = 1095 # default",
        "# master_key_file is not set",
        "# The master key is given by KOIOS_MASTER_KEY; it is not shown.",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line:?} is not in:\n{shown}");
    }
    for hidden in [&*secret, crate::daemon::ADMIN] {
        assert!(!shown.contains(hidden), "{shown}");
    }

    let saved = setup.folder().join("saved.toml");
    fs::write(&saved, &shown).unwrap();
    let bare = Setup::empty()
        .without_environment("KOIOS_CREATE_DEFAULT_CERTIFICATE")
        .with_environment("KOIOS_MASTER_KEY", &secret);
    let output = bare
        .command()
        .env_remove("KOIOS_LISTEN")
        .env_remove("KOIOS_DATA_DIR")
        .args(["config", "show", "--config", saved.to_str().unwrap()])
        .output()
        .unwrap();
    let again = String::from_utf8(output.stdout).unwrap();
    let values = |text: &str| text.parse::<toml::Table>().unwrap();
    assert_eq!(values(&again), values(&shown));
    assert_eq!(values(&shown)["organization"].as_str(), Some("Plant \"A\" # 1"));
}

#[test]
fn the_health_check_knows_a_daemon_that_is_ready_from_none() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let listen = daemon.address().to_string();
    let (code, out, err) = setup.ended(&["healthcheck", "--listen", &listen]);
    assert_eq!((code, &*out, &*err), (Some(0), "", ""));
    daemon.stop();
    let (code, _, err) = setup.ended(&["healthcheck", "--listen", &listen]);
    assert_eq!(code, Some(1));
    assert!(err.contains("does not answer"), "{err}");
    let (code, _, err) = setup.ended(&["healthcheck"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("port 0"), "{err}");

    let setup = Setup::empty().with_environment("KOIOS_TLS__SELF_SIGNED", "true");
    let daemon = setup.start();
    let listen = daemon.address().to_string();
    let (code, out, err) = setup.ended(&["healthcheck", "--listen", &listen]);
    assert_eq!((code, &*out, &*err), (Some(0), "", ""));
}

#[test]
fn completions_name_every_command() {
    let (_, help, _) = Setup::new().ended(&["--help"]);
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let commands: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"config") && commands.contains(&"serve"), "{commands:?}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script, err) = Setup::new().ended(&["completions", shell]);
        assert_eq!(code, Some(0), "{err}");
        for command in &commands {
            assert!(script.contains(command), "{shell} does not know {command}");
        }
    }
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let setup = Setup::new();
    let folder = setup.folder().join("man");
    let (code, out, err) = setup.ended(&["man", folder.to_str().unwrap()]);
    assert_eq!((code, &*out), (Some(0), ""), "{err}");
    let page =
        |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let main = page("koiosd.1");
    for name in ["backup", "check", "config", "import", "restore", "serve", "test"] {
        assert!(main.contains(&format!("koiosd\\-{name}(1)")), "{main}");
        assert!(page(&format!("koiosd-{name}.1")).contains(".SH SYNOPSIS"));
    }
    assert!(page("koiosd-config-check.1").contains("exit code"));
    assert!(page("koiosd-backup.1").contains("passphrase\\-file"));
}
