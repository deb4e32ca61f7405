//! What a service manager such as systemd is told: readiness, reloads, the stop, and that the daemon lives.
//!
//! The protocol is `sd_notify(3)`: datagrams of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names.

use std::time::Duration;

/// Something that the service manager is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Notice<'a> {
    /// Requests are answered.
    Ready(&'a str),
    /// The settings are read again; [`Self::Ready`] follows.
    Reloading,
    /// The daemon stops.
    Stopping,
    /// The daemon is alive.
    Alive,
}

impl Notice<'_> {
    fn text(self) -> String {
        match self {
            Self::Ready(status) => format!("READY=1\nSTATUS={}\n", status.replace(char::is_control, " ")),
            Self::Reloading => {
                format!("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reads its settings\n", monotonic_micros())
            }
            Self::Stopping => "STOPPING=1\nSTATUS=stops\n".to_owned(),
            Self::Alive => "WATCHDOG=1\n".to_owned(),
        }
    }
}

/// Tells the service manager, where there is one. Losing it makes nothing fail: it would end a service that says nothing.
pub(crate) fn notify(notice: Notice<'_>) {
    if let Err(error) = send(&notice.text()) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// How often it wants to hear that the daemon lives; `None` where it does not ask.
pub(crate) fn watchdog_period() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let micros = number("WATCHDOG_USEC").filter(|micros| *micros > 0)?;
    let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    // Twice as often as asked, as `sd_watchdog_enabled(3)` advises.
    ours.then(|| Duration::from_micros(micros) / 2)
}

#[cfg(target_os = "linux")]
fn send(text: &str) -> std::io::Result<()> {
    use std::os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    };

    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(&name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not stop the daemon.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(text.as_bytes(), &address).map(|_| ())
}

#[cfg(not(target_os = "linux"))]
fn send(_: &str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn monotonic_micros() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000)
}

#[cfg(not(target_os = "linux"))]
fn monotonic_micros() -> i64 {
    0
}
