//! Where connections may lead.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// A network by its first address and the length of its prefix: `10.1.0.0/16`, `fd00:1::/64`, or one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TargetNetwork {
    address: IpAddr,
    prefix: u32,
}

/// Why a text names no network.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "this is no network; write an address and the length of its prefix, such as 10.1.0.0/16 or fd00:1::/64"
)]
#[non_exhaustive]
pub struct TargetNetworkError;

impl TargetNetwork {
    /// Whether the address lies in it. An IPv4 address that is written as IPv6 (`::ffff:10.1.2.3`) is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(Ipv4Addr::BITS - self.prefix).unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(Ipv6Addr::BITS - self.prefix).unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }
}

impl FromStr for TargetNetwork {
    type Err = TargetNetworkError;

    fn from_str(text: &str) -> Result<Self, TargetNetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| TargetNetworkError)?;
        // One that is meant as IPv4 would never fit the addresses that are looked at.
        if address != address.to_canonical() {
            return Err(TargetNetworkError);
        }
        let longest = if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS };
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| TargetNetworkError)?
            }
            Some(_) => return Err(TargetNetworkError),
            None => longest,
        };
        if prefix > longest { Err(TargetNetworkError) } else { Ok(Self { address, prefix }) }
    }
}

impl fmt::Display for TargetNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The networks that connections may lead to; without any, all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TargetNetworks(Arc<[TargetNetwork]>);

impl TargetNetworks {
    /// Whether a connection to the address may be made.
    #[must_use]
    pub fn allow(&self, address: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|network| network.contains(address))
    }
}

impl FromIterator<TargetNetwork> for TargetNetworks {
    fn from_iter<I: IntoIterator<Item = TargetNetwork>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> TargetNetworks {
        texts.iter().map(|text| text.parse::<TargetNetwork>().unwrap()).collect()
    }

    #[test]
    fn an_address_is_allowed_where_one_network_holds_it() {
        let list = ["10.1.0.0/16", "192.168.7.9", "fd00:1::/64", "172.16.0.0/12"];
        for (address, allowed) in [
            ("10.1.0.0", true),
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("192.168.7.9", true),
            ("192.168.7.8", false),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("fd00:1::5", true),
            ("fd00:1:0:1::5", false),
            ("::1", false),
            ("::ffff:10.1.2.3", true),
            ("::ffff:127.0.0.1", false),
            // IPv4 in other clothes (RFC 4291 §2.5.5.1, RFC 6052, RFC 3056) is not looked through: it is in no network.
            ("::10.1.2.3", false),
            ("64:ff9b::10.1.2.3", false),
            ("2002:a01:203::1", false),
        ] {
            assert_eq!(networks(&list).allow(address.parse().unwrap()), allowed, "{address}");
        }
    }

    #[test]
    fn the_widest_networks_hold_their_own_family_and_no_other() {
        let (all4, all6) = (networks(&["0.0.0.0/0"]), networks(&["::/0"]));
        let (v4, v6) = ("127.0.0.1".parse().unwrap(), "::1".parse().unwrap());
        let mapped = "::ffff:127.0.0.1".parse().unwrap();
        assert_eq!((all4.allow(v4), all4.allow(v6), all4.allow(mapped)), (true, false, true));
        assert_eq!((all6.allow(v4), all6.allow(v6), all6.allow(mapped)), (false, true, false));
        assert!(networks(&[]).allow(v4) && networks(&[]).allow(v6));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "plant",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "/8",
            "10.0.0.0/8/8",
            "::ffff:10.0.0.0/104",
            "10.0.0.1-10.0.0.9",
            " 10.0.0.0/8",
        ] {
            assert_eq!(text.parse::<TargetNetwork>(), Err(TargetNetworkError), "{text}");
        }
        assert_eq!("10.1.2.3".parse::<TargetNetwork>().unwrap().to_string(), "10.1.2.3/32");
    }
}
