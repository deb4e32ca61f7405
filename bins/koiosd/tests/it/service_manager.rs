//! `sd_notify(3)`: what a service manager is told, seen at a socket of our own.
#![cfg(target_os = "linux")]

use std::{
    fs,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::daemon::Setup;

/// What the service manager would hear.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn at(setup: &Setup) -> (Self, String) {
        let path = setup.folder().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        (Self::of(socket), path.to_str().unwrap().to_owned())
    }

    fn abstract_() -> (Self, String) {
        let name = format!("koios-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        (Self::of(UnixDatagram::bind_addr(&address).unwrap()), format!("@{name}"))
    }

    fn of(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { socket }
    }

    /// The next datagram.
    #[track_caller]
    fn hears(&self) -> String {
        let mut text = [0; 4096];
        let length = self.socket.recv(&mut text).expect("a datagram");
        String::from_utf8(text[..length].to_vec()).unwrap()
    }

    /// Everything that has been said and not been heard.
    fn rest(&self) -> String {
        self.socket.set_nonblocking(true).unwrap();
        let mut all = String::new();
        let mut text = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut text) {
            all += std::str::from_utf8(&text[..length]).unwrap();
        }
        all
    }
}

#[test]
fn readiness_reloads_and_the_stop_are_told() {
    let setup = Setup::empty();
    let (manager, name) = Manager::at(&setup);
    let daemon = setup.with_environment("NOTIFY_SOCKET", &name).start();
    let ready = format!("READY=1\nSTATUS=answers requests on {}\n", daemon.address());
    assert_eq!(manager.hears(), ready);
    daemon.get("/readyz").expect(200);

    daemon.signal("HUP");
    let reloading = manager.hears();
    let mut lines = reloading.lines();
    assert_eq!(lines.next(), Some("RELOADING=1"));
    let micros = lines.next().and_then(|line| line.strip_prefix("MONOTONIC_USEC=")?.parse::<u64>().ok());
    assert!(micros.is_some_and(|micros| micros > 0), "{reloading}");
    assert_eq!(manager.hears(), ready);

    daemon.signal("TERM");
    assert!(manager.hears().starts_with("STOPPING=1\n"));
    assert_eq!(daemon.wait().0.code(), Some(0));
    assert_eq!(manager.rest(), "");
}

#[test]
fn a_socket_without_a_file_is_told_too() {
    let (manager, name) = Manager::abstract_();
    let daemon = Setup::empty().with_environment("NOTIFY_SOCKET", &name).start();
    assert!(manager.hears().starts_with("READY=1\n"));
    daemon.stop();
}

#[test]
fn the_watchdog_hears_that_the_daemon_lives() {
    let setup = Setup::empty();
    let (manager, name) = Manager::at(&setup);
    let setup = setup.with_environment("NOTIFY_SOCKET", &name);
    let daemon = setup.clone().with_environment("WATCHDOG_USEC", "20000").start();
    assert!(manager.hears().starts_with("READY=1\n"));
    for _ in 0..5 {
        assert_eq!(manager.hears(), "WATCHDOG=1\n");
    }
    daemon.stop();
    manager.rest();

    let another =
        setup.with_environment("WATCHDOG_USEC", "2000").with_environment("WATCHDOG_PID", "1").start();
    another.stop();
    assert!(!manager.rest().contains("WATCHDOG"), "it was asked of another process");
}

/// The unit of the package, with the program of this build, so that systemd finds it.
fn unit(folder: &Path) -> PathBuf {
    let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd/koiosd.service");
    let text = fs::read_to_string(packaged).unwrap();
    assert!(text.contains("ExecStart=/usr/bin/koiosd "));
    let unit = folder.join("koiosd.service");
    fs::write(&unit, text.replace("/usr/bin/koiosd", env!("CARGO_BIN_EXE_koiosd"))).unwrap();
    unit
}

/// Runs systemd-analyze, where it is installed.
fn systemd_analyze(arguments: &[&str]) -> Option<(bool, String)> {
    match Command::new("systemd-analyze").args(arguments).output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) => {
            let required = std::env::var_os("KOIOS_REQUIRE_INTEROP").is_some_and(|value| value == "1");
            assert!(!required, "systemd-analyze cannot be started: {error}");
            eprintln!("SKIPPED: the unit is not verified: systemd-analyze is missing (Debian's systemd)");
            None
        }
    }
}

#[test]
fn systemd_has_nothing_against_the_unit_and_finds_it_locked_up() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(folder.path());
    let unit = unit.to_str().unwrap();
    let Some((good, said)) = systemd_analyze(&["verify", "--man=no", unit]) else { return };
    assert!(good && said.is_empty(), "{said}");
    // In tenths, up to 100; 12 when this was written.
    let arguments = ["security", "--no-pager", "--offline=true", "--threshold=15", unit];
    let Some((good, said)) = systemd_analyze(&arguments) else { return };
    assert!(good, "{said}");
}

#[test]
fn the_unit_keeps_its_data_below_var_lib() {
    let text = include_str!("../../../../packaging/systemd/koiosd.service");
    for line in
        ["Environment=KOIOS_DATA_DIR=/var/lib/koios", "StateDirectory=koios", "Type=notify", "User=koios"]
    {
        assert!(text.lines().any(|known| known == line), "{line}");
    }
}

#[test]
fn a_service_manager_that_is_not_there_disturbs_nothing() {
    let daemon = Setup::empty().with_environment("NOTIFY_SOCKET", "/nowhere/notify").start();
    daemon.wait_for_log("the service manager cannot be told");
    daemon.get("/healthz").expect(200);
    daemon.stop();
}
