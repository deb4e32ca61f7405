//! Whether two endpoint URLs lead to the same server.

use std::net::IpAddr;

/// Registered with IANA for OPC UA.
const DEFAULT_PORT: u16 = 4840;

/// Whether two endpoint URLs name the same host and port; in doubt they do not.
pub(super) fn is_same_server(one: &str, other: &str) -> bool {
    one == other || Address::of(one).is_some_and(|address| Some(address) == Address::of(other))
}

#[derive(PartialEq)]
struct Address {
    host: Host,
    port: u16,
}

#[derive(PartialEq)]
enum Host {
    Name(String),
    Ip(IpAddr),
}

impl Address {
    /// The address in an `opc.tcp` URL. Whether the URL is a good one has been judged by whoever dials it.
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.contains('@'))?;
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']')?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) => digits.parse().ok()?,
            None if port.is_empty() => DEFAULT_PORT,
            None => return None,
        };
        let host = host.parse().map_or_else(|_| Host::Name(host.to_ascii_lowercase()), Host::Ip);
        scheme.eq_ignore_ascii_case("opc.tcp").then_some(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_server_may_be_written_in_several_ways() {
        for (one, other) in [
            ("opc.tcp://press4", "opc.tcp://PRESS4:4840/"),
            ("opc.tcp://press4:4841/a", "OPC.TCP://press4:4841/b?c#d"),
            ("opc.tcp://[::1]", "opc.tcp://[0:0:0:0:0:0:0:1]:4840"),
            ("no URL", "no URL"),
        ] {
            assert!(is_same_server(one, other), "{one} {other}");
        }
    }

    #[test]
    fn another_host_or_port_is_another_server_and_so_is_what_cannot_be_read() {
        for other in [
            "opc.tcp://press5",
            "opc.tcp://press4:4841",
            "opc.tcp://press4:x",
            "opc.tcp://press4.",
            "opc.tcp://10.0.0.1",
            "opc.tcp://op@press4",
            "http://press4",
            "press4",
            "",
        ] {
            assert!(!is_same_server("opc.tcp://press4", other), "{other}");
        }
    }
}
