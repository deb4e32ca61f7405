//! Starting, stopping, exit codes.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use koios_testkit::{OddKind, OddPeer};
use serde_json::{Value, json};

use crate::daemon::{ADMIN, Setup};

/// Generous: a wait that long is a hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_first_start_generates_one_default_certificate_and_the_second_changes_nothing() {
    let setup = Setup::new();
    let daemon = setup.start();
    let first = daemon.get("certificates").expect(200);
    assert_eq!(first["total"], 1);
    assert_eq!(first["items"][0]["name"], "Default");
    assert_eq!(first["items"][0]["is_default"], true);
    assert_eq!(first["items"][0]["statuses"], json!(["valid"]));
    daemon.stop();
    let daemon = setup.start();
    assert_eq!(daemon.get("certificates").expect(200)["items"][0]["id"], first["items"][0]["id"]);
    assert_eq!(daemon.get("certificates").expect(200)["total"], 1);
    assert!(daemon.log().contains("KOIOS_BOOTSTRAP_TOKEN is ignored"), "{}", daemon.log());
}

#[test]
fn without_a_default_certificate_the_first_one_made_becomes_it() {
    let setup = Setup::empty();
    let daemon = setup.start();
    assert_eq!(daemon.get("certificates").expect(200)["total"], 0);
    assert_eq!(daemon.generate("A")["is_default"], true);
    assert_eq!(daemon.generate("B")["is_default"], false);
}

#[test]
fn the_ready_line_is_the_only_one_on_standard_output_and_sigterm_ends_with_exit_code_0() {
    let daemon = Setup::empty().start();
    daemon.get("certificates").expect(200);
    daemon.signal("TERM");
    let (status, rest) = daemon.wait();
    assert_eq!(status.code(), Some(0));
    assert_eq!(rest, "");
}

#[test]
fn sigint_stops_the_daemon_as_well_and_requests_in_flight_are_finished() {
    let daemon = Setup::empty().start();
    let body = "{\"name\": \"In flight\"}";
    let head = format!(
        "POST /api/v1/certificates/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    // Whoever says this waits for the body: the request is in flight.
    let mut interim = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut interim).unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100 "));
    daemon.signal("INT");
    daemon.wait_for_log("stopping");
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(daemon.wait().0.code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let daemon = Setup::empty().start();
    let head = format!(
        "POST /api/v1/certificates/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\n\
         Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    );
    // A request that never ends would hold up an orderly stop.
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    daemon.signal("TERM");
    daemon.wait_for_log("stopping");
    daemon.signal("TERM");
    assert_eq!(daemon.wait().0.code(), Some(1));
}

#[test]
fn a_second_process_on_the_same_data_directory_is_refused_and_names_the_first() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let second = setup.run();
    assert_eq!(second.status.code(), Some(3));
    assert!(stderr(&second).contains(&daemon.pid().to_string()), "{}", stderr(&second));
    assert_eq!(second.stdout, b"");
    daemon.get("certificates").expect(200);
}

#[test]
fn a_damaged_data_directory_ends_with_exit_code_3() {
    let setup = Setup::empty();
    setup.start().stop();
    fs::write(setup.data_dir().join("koios.db"), b"this is no database, however one looks at it").unwrap();
    let output = setup.run();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("koios.db"), "{}", stderr(&output));
}

#[test]
fn wrong_usage_and_configuration_end_with_exit_code_2() {
    let setup = Setup::empty();
    let file = setup.folder().join("koios.toml");
    fs::write(&file, "listen = \"127.0.0.1:0\"\ncolour = \"red\"\n").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, named) in [
        (&["--colour"][..], "--colour"),
        (&["paint"], "paint"),
        (&["--listen", "nowhere"], "nowhere"),
        (&["--log-format", "xml"], "xml"),
        (&["--config", file], "colour"),
        (&["--config", "/nowhere/koios.toml"], "/nowhere/koios.toml"),
        (&["--listen", "0.0.0.0:0"], "insecure_allow_plain_http"),
    ] {
        let output = setup.clone().with_arguments(arguments).run();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(named), "{arguments:?}: {}", stderr(&output));
        assert_eq!(output.stdout, b"", "{arguments:?}");
    }
    let bad = setup.clone().with_environment("KOIOS_DEFAULT_VALIDITY_DAYS", "never").run();
    assert_eq!(bad.status.code(), Some(2), "{}", stderr(&bad));
    assert!(!setup.data_dir().exists(), "a refused start leaves nothing behind");
}

#[test]
fn an_address_that_is_taken_ends_with_exit_code_1_and_the_next_start_is_still_the_first() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = Setup::new();
    let address = other.local_addr().unwrap().to_string();
    let output = setup.clone().with_arguments(&["--listen", &address]).run();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains(&address), "{}", stderr(&output));
    assert_eq!(setup.start().get("certificates").expect(200)["total"], 1);
}

#[test]
fn a_flag_beats_the_environment_and_the_environment_beats_the_file() {
    let setup = Setup::empty();
    let file = setup.folder().join("koios.toml");
    fs::write(&file, "organization = \"File\"\ndefault_validity_days = 10\nlisten = \"nowhere\"\n").unwrap();
    let setup = setup
        .with_environment("KOIOS_CONFIG", file.to_str().unwrap())
        .with_environment("KOIOS_ORGANIZATION", "Environment")
        .with_arguments(&["serve", "--listen", "[::1]:0"]);
    let daemon = setup.start();
    assert!(daemon.url.starts_with("http://[::1]:"), "{}", daemon.url);
    let certificate = daemon.generate("A");
    assert_eq!(certificate["organization"], "Environment");
    assert_eq!(certificate["expires_in_days"], 9);
}

#[test]
fn an_idle_connection_does_not_hold_up_the_stop() {
    let daemon = Setup::empty().start();
    let _idle = TcpStream::connect(daemon.address()).unwrap();
    let started = Instant::now();
    daemon.stop();
    // The contract's bound, not a measure of speed.
    assert!(started.elapsed().as_secs() < 10);
}

#[test]
fn the_data_directory_is_for_its_owner_alone() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let certificate = daemon.generate("A");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&setup.data_dir()), 0o700);
    assert_eq!(mode(&setup.data_dir().join("initial-admin-token")), 0o600);
    assert_eq!(mode(&daemon.files_of(&certificate).join("private-key.pem")), 0o600);
}

#[test]
fn log_lines_are_json_when_asked_for_and_hold_no_secret() {
    let setup =
        Setup::empty().with_arguments(&["--log-format", "json"]).with_environment("KOIOS_LOG_LEVEL", "trace");
    let daemon = setup.start();
    daemon.generate("A");
    daemon.get("certificates?q=query-text").expect(200);
    let id = daemon.get("certificates").expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    let key = daemon.get(&format!("certificates/{id}/private-key.pem")).text();
    let log = daemon.log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert!(lines.len() > 3);
    assert!(!log.contains(ADMIN));
    assert!(!log.contains("PRIVATE KEY"));
    assert!(!log.contains(key.lines().nth(1).unwrap()));
    assert!(!log.contains("query-text"));
}

#[test]
fn a_host_name_that_no_certificate_can_carry_never_stops_a_start() {
    // Only a namespace of its own lets a test rename the machine.
    let allowed = Command::new("unshare").args(["--uts", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        koios_testkit::skip("a renamed machine", "this user may not make a UTS namespace");
        return;
    }
    let setup = Setup::new();
    let script = "echo 'no..name' > /proc/sys/kernel/hostname; exec \"$0\"";
    let mut command = Command::new("unshare");
    command.args(["--uts", "sh", "-c", script, env!("CARGO_BIN_EXE_koiosd")]);
    for (name, value) in setup.command().get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert!(line.starts_with("koiosd ready on "), "{line}");
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(stderr(&output).contains("using localhost"), "{}", stderr(&output));
    // On this machine's own name again: a warning, the same certificate.
    let daemon = setup.start();
    let certificate = &daemon.get("certificates").expect(200)["items"][0];
    assert_eq!(certificate["common_name"], "Koios@localhost");
    assert!(daemon.log().contains("was made for another host"), "{}", daemon.log());
}

#[test]
fn sigterm_during_the_start_is_an_orderly_stop() {
    let setup = Setup::new().with_environment("KOIOS_DEFAULT_KEY", "rsa-4096");
    let mut child = setup.command().stdout(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !setup.data_dir().exists() {
        assert!(started.elapsed() < PATIENCE, "no data directory");
        thread::sleep(Duration::from_millis(1));
    }
    let killed = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // The next start finishes what the first one began.
    assert_eq!(setup.start().get("certificates").expect(200)["total"], 1);
}

#[test]
fn a_test_that_runs_at_a_stop_is_answered_at_once() {
    let daemon = Setup::empty().start();
    let peer = OddPeer::start(OddKind::Silent);
    let body = json!({ "endpoint_url": peer.endpoint_url(), "timeout_seconds": 300 });
    let calls = ["devices/test", "discovery/endpoints"].map(|path| {
        let call = daemon.call("POST", path).json(&body);
        thread::spawn(move || call.send())
    });
    let started = Instant::now();
    while peer.connections() < 2 {
        assert!(started.elapsed() < PATIENCE, "the attempts do not begin");
        thread::sleep(Duration::from_millis(10));
    }
    let stopped = Instant::now();
    daemon.stop();
    // The contract's bound, not a measure of speed.
    assert!(stopped.elapsed() < Duration::from_secs(10));
    for call in calls {
        call.join().unwrap().expect_problem(503, "stopping");
    }
}

#[test]
fn an_environment_that_cannot_be_meant_ends_with_exit_code_2() {
    let setup = Setup::empty();
    let mut broken = setup.command();
    broken.env("KOIOS_BOOTSTRAP_TOKEN", std::ffi::OsStr::from_bytes(&[0xff; 40]));
    let nowhere = setup.clone().with_environment("KOIOS_DATA_DIR", "").command();
    for (mut command, named) in [(broken, "KOIOS_BOOTSTRAP_TOKEN"), (nowhere, "data_dir")] {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(named), "{}", stderr(&output));
    }
    assert!(!setup.data_dir().exists(), "a refused start leaves nothing behind");
}

#[test]
fn where_the_first_token_is_stands_in_a_json_line_when_asked_for() {
    let setup = Setup::empty().without_environment("KOIOS_BOOTSTRAP_TOKEN");
    let daemon = setup.with_arguments(&["--log-format", "json"]).start();
    let log = daemon.log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    let path = daemon.data_dir().join("initial-admin-token");
    assert!(lines.iter().any(|line| line["fields"]["path"] == path.to_str().unwrap()), "{log}");
}

#[test]
fn a_data_directory_that_a_restart_of_the_machine_throws_away_is_told_of() {
    let Ok(folder) = tempfile::TempDir::new_in("/dev/shm") else {
        koios_testkit::skip("a data directory in memory", "there is no /dev/shm to write to");
        return;
    };
    let data_dir = folder.path().join("data");
    let setup = Setup::empty().with_environment("KOIOS_DATA_DIR", data_dir.to_str().expect("UTF-8"));
    let daemon = setup.start();
    daemon.wait_for_log("does not outlive this container or machine; put it on a volume");
    daemon.stop();
}

#[test]
fn on_a_terminal_the_first_token_is_printed_and_at_the_next_start_it_is_not() {
    let setup = Setup::empty().without_environment("KOIOS_BOOTSTRAP_TOKEN");
    let on_a_terminal = || {
        // script(1) gives its command a terminal of its own.
        let mut command = Command::new("script");
        command.args([
            "--quiet",
            "--flush",
            "--return",
            "--command",
            env!("CARGO_BIN_EXE_koiosd"),
            "/dev/null",
        ]);
        for (name, value) in setup.command().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn()
    };
    let mut said = Vec::new();
    for _ in 0..2 {
        let Ok(mut child) = on_a_terminal() else {
            koios_testkit::skip("a terminal", "there is no script(1)");
            return;
        };
        let mut lines = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        while !lines.contains("koiosd ready on ") {
            assert_ne!(std::io::BufRead::read_line(&mut output, &mut lines).unwrap(), 0, "{lines}");
        }
        // The hang-up of the terminal would be no orderly stop; the lock names the process.
        let pid = fs::read_to_string(setup.data_dir().join("koios.lock")).unwrap();
        let stopped = Command::new("kill").args(["-s", "TERM", pid.trim()]).status().unwrap();
        assert!(stopped.success());
        assert!(child.wait().unwrap().success());
        said.push(lines);
    }
    let token = fs::read_to_string(setup.data_dir().join("initial-admin-token")).unwrap();
    assert_eq!(said[0].matches(token.trim()).count(), 1, "{}", said[0]);
    assert!(!said[1].contains(token.trim()), "{}", said[1]);
}

#[test]
fn without_a_data_directory_named_it_lies_in_the_users_data_folder() {
    for (variable, below) in [("XDG_DATA_HOME", "koios"), ("HOME", ".local/share/koios")] {
        let setup = Setup::empty();
        let home = setup.folder().join("home");
        fs::create_dir(&home).unwrap();
        let mut command = setup.command();
        command
            .env_remove("KOIOS_DATA_DIR")
            .env_remove("XDG_DATA_HOME")
            .env_remove("HOME")
            .env(variable, &home);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(line.starts_with("koiosd ready on "), "{line}");
        assert!(home.join(below).join("koios.db").exists(), "{variable}");
    }
}
