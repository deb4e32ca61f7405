//! sd_notify(3): what a service manager is told, seen at a socket of our own.
#![cfg(target_os = "linux")]

use std::{
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
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
    let daemon = setup.clone().with_environment("NOTIFY_SOCKET", &name).start();
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

#[test]
fn a_service_manager_that_is_not_there_disturbs_nothing() {
    let daemon = Setup::empty().with_environment("NOTIFY_SOCKET", "/nowhere/notify").start();
    daemon.wait_for_log("the service manager cannot be told");
    daemon.get("/healthz").expect(200);
    daemon.stop();
}
