//! What this machine is called.

use std::{sync::mpsc, thread, time::Duration};

use dns_lookup::{AddrInfoHints, SockType, getaddrinfo};
use koios_pki::HostName;

/// How long a resolver may take to say the full name; an unreachable one must not hold up the start.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(2);

/// From `netdb.h`: ask for the canonical name. The same on Linux, macOS, the BSDs and Windows.
const AI_CANONNAME: i32 = 2;

/// The system's host name, fully qualified when that is known, as certificates carry it.
///
/// A name that no certificate can carry never stops a start: it becomes `localhost`, with a warning.
pub(crate) fn system_host() -> HostName {
    let name = match dns_lookup::get_hostname() {
        Ok(name) => name,
        Err(error) => {
            tracing::warn!(error = %error, "the system does not say its host name, using localhost");
            return localhost();
        }
    };
    let full = fully_qualified(&name).unwrap_or_else(|| name.clone());
    match HostName::parse(&full).or_else(|_| HostName::parse(&name)) {
        Ok(host) => host,
        Err(error) => {
            tracing::warn!(hostname = name, error = %error, "the system's host name cannot stand in a certificate, using localhost");
            localhost()
        }
    }
}

fn localhost() -> HostName {
    HostName::Dns { name: "localhost".to_owned(), valid_in_san: true }
}

/// Asks the resolver for the canonical name, as `hostname --fqdn` does, and takes it when it extends `name`:
/// a hosts file that lists the machine behind `localhost` would else give every machine the same name.
fn fully_qualified(name: &str) -> Option<String> {
    if name.is_empty() || name.contains('.') {
        return None;
    }
    let (sender, receiver) = mpsc::channel();
    let asked = name.to_owned();
    thread::spawn(move || {
        let hints = AddrInfoHints {
            flags: AI_CANONNAME,
            socktype: SockType::Stream.into(),
            ..AddrInfoHints::default()
        };
        let canonical = getaddrinfo(Some(&asked), None, Some(hints))
            .ok()
            .and_then(|answers| answers.filter_map(Result::ok).find_map(|answer| answer.canonname));
        // Nobody listens any more when the resolver took too long.
        drop(sender.send(canonical));
    });
    let canonical = receiver.recv_timeout(RESOLVER_PATIENCE).ok().flatten()?;
    extends(&canonical, name).then_some(canonical)
}

fn extends(canonical: &str, name: &str) -> bool {
    let (canonical, name) = (canonical.to_lowercase(), name.to_lowercase());
    canonical.strip_prefix(&name).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_name_is_taken_when_it_extends_the_short_one() {
        assert!(extends("GW01.plant.example", "gw01"));
        assert!(!extends("localhost", "gw01"));
        assert!(!extends("gw01", "gw01"));
        assert!(!extends("gw01.", "gw01"));
        assert!(!extends("gw010.plant.example", "gw01"));
    }

    #[test]
    fn the_system_always_has_a_name_that_certificates_can_carry() {
        assert!(!system_host().to_string().is_empty());
    }
}
