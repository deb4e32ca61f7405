use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The address of an OPC UA server, `opc.tcp://host[:port][/path]`, kept as it was typed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointUrl {
    text: String,
    host: String,
    port: u16,
    /// Where the path begins in `text`.
    path_at: usize,
}

impl EndpointUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// When the scheme is not `opc.tcp`, there is no host, the host holds anything but a name or an address, the port
    /// is not 1 to 65535, there is user information, a blank or a control character, or more than 4,096 bytes.
    ///
    /// # Examples
    /// ```
    /// use koios_channel::EndpointUrl;
    ///
    /// let url = EndpointUrl::parse("opc.tcp://press4:4841/UA")?;
    /// assert_eq!((url.host(), url.port(), url.path()), ("press4", 4841, "/UA"));
    /// assert_eq!(EndpointUrl::parse("opc.tcp://[::1]")?.port(), 4840);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, EndpointUrlError> {
        if text.len() > MAX_LEN {
            return Err(EndpointUrlError::TooLong { len: text.len() });
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(EndpointUrlError::Blank);
        }
        let (scheme, rest) = text.split_once("://").ok_or(EndpointUrlError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("opc.tcp") {
            return Err(EndpointUrlError::Scheme);
        }
        let authority = rest.find(['/', '?', '#']).and_then(|at| rest.get(..at)).unwrap_or(rest);
        if authority.contains('@') {
            return Err(EndpointUrlError::UserInfo);
        }
        let (host, port) = split_authority(authority)?;
        let path_at = text.len() - rest.len() + authority.len();
        Ok(Self { host: host.to_owned(), port, path_at, text: text.to_owned() })
    }

    /// The same URL with `suffix` after its path, one slash between them; a query or fragment is dropped.
    ///
    /// # Errors
    /// As [`EndpointUrl::parse`].
    pub fn with_path_suffix(&self, suffix: &str) -> Result<Self, EndpointUrlError> {
        let path_len = self.path().find(['?', '#']);
        let base = path_len.and_then(|len| self.text.get(..self.path_at + len)).unwrap_or(&self.text);
        Self::parse(&format!("{}/{}", base.trim_end_matches('/'), suffix.trim_start_matches('/')))
    }

    /// The URL as it was typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 4840 unless the URL names one.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether both lead to the same host and port; upper case and the spelling of an address make no difference.
    pub fn is_same_server(&self, other: &Self) -> bool {
        let address = |url: &Self| url.host.parse::<IpAddr>().ok();
        let same_host = match (address(self), address(other)) {
            (Some(one), Some(other)) => one == other,
            _ => self.host.eq_ignore_ascii_case(&other.host),
        };
        same_host && self.port == other.port
    }

    /// What follows the host and the port, with its slash; empty when there is none.
    pub fn path(&self) -> &str {
        self.text.get(self.path_at..).unwrap_or_default()
    }
}

fn split_authority(authority: &str) -> Result<(&str, u16), EndpointUrlError> {
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or(EndpointUrlError::Host)?;
        Ipv6Addr::from_str(host).map_err(|_| EndpointUrlError::Host)?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(EndpointUrlError::Host),
        }
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') || !c.is_ascii();
        if host.is_empty()
            || host.len() > MAX_HOST_LEN
            || !host.chars().all(known)
            || !host.contains(char::is_alphanumeric)
            || has_empty_label(host)
        {
            return Err(EndpointUrlError::Host);
        }
        (host, port)
    };
    let port = match port {
        None => DEFAULT_PORT,
        // `u16::from_str` would take a leading plus sign.
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0).ok_or(EndpointUrlError::Port)?
        }
        Some(_) => return Err(EndpointUrlError::Port),
    };
    Ok((host, port))
}

/// Whether a dot has no label on one of its sides; one at the end stands for the root (RFC 1034 §3.1).
fn has_empty_label(host: &str) -> bool {
    host.strip_suffix('.').unwrap_or(host).split('.').any(str::is_empty)
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for EndpointUrl {
    type Err = EndpointUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Why a text is no endpoint URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointUrlError {
    /// A blank or control character.
    #[error("the URL contains a blank or control character")]
    Blank,
    /// No host, or one that is neither a name nor an address.
    #[error("the URL names no valid host")]
    Host,
    /// A port that is not 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// Another scheme, or none.
    #[error("the URL must begin with opc.tcp://")]
    Scheme,
    /// Longer than HELLO can carry.
    #[error("the URL has {len} bytes, at most 4096 are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A user name in the URL.
    #[error("the URL must not contain a user name")]
    UserInfo,
}

/// OPC 10000-6 §7.1.2.3: the URL in HELLO is at most 4,096 bytes long.
const MAX_LEN: usize = 4096;
/// RFC 1035 §2.3.4.
const MAX_HOST_LEN: usize = 255;
/// Registered with IANA for OPC UA.
const DEFAULT_PORT: u16 = 4840;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_server_may_be_written_in_several_ways() {
        let same = |one: &str, other: &str| {
            EndpointUrl::parse(one).unwrap().is_same_server(&EndpointUrl::parse(other).unwrap())
        };
        assert!(same("opc.tcp://press4", "opc.tcp://PRESS4:4840/UA"));
        assert!(same("opc.tcp://[::1]", "opc.tcp://[0:0:0:0:0:0:0:1]:4840"));
        assert!(!same("opc.tcp://press4", "opc.tcp://press4:4841"));
        assert!(!same("opc.tcp://press4", "opc.tcp://press5"));
    }

    #[test]
    fn the_parts_are_found_and_the_text_is_kept() {
        for (text, host, port, path) in [
            ("opc.tcp://press4", "press4", 4840, ""),
            ("opc.tcp://press4/", "press4", 4840, "/"),
            ("OPC.TCP://Press4:4841/a/b?c#d", "Press4", 4841, "/a/b?c#d"),
            ("opc.tcp://[fe80::1]:1/x", "fe80::1", 1, "/x"),
            ("opc.tcp://press4.plant.:4840", "press4.plant.", 4840, ""),
            ("opc.tcp://10.0.0.7:65535", "10.0.0.7", 65535, ""),
            ("opc.tcp://line_3.plant-a.example/@home", "line_3.plant-a.example", 4840, "/@home"),
        ] {
            let url = EndpointUrl::parse(text).unwrap();
            assert_eq!((url.host(), url.port(), url.path(), url.as_str()), (host, port, path, text));
        }
    }

    #[test]
    fn what_is_no_endpoint_url_is_refused_by_name() {
        for (text, error) in [
            ("http://press4", EndpointUrlError::Scheme),
            ("press4:4840", EndpointUrlError::Scheme),
            ("", EndpointUrlError::Scheme),
            ("opc.tcp://", EndpointUrlError::Host),
            ("opc.tcp://:4840", EndpointUrlError::Host),
            ("opc.tcp://[::1", EndpointUrlError::Host),
            ("opc.tcp://[press4]", EndpointUrlError::Host),
            ("opc.tcp://[::1]x", EndpointUrlError::Host),
            ("opc.tcp://a$b", EndpointUrlError::Host),
            ("opc.tcp://../../etc", EndpointUrlError::Host),
            ("opc.tcp://a..b", EndpointUrlError::Host),
            ("opc.tcp://.a", EndpointUrlError::Host),
            ("opc.tcp://a..:4840", EndpointUrlError::Host),
            ("opc.tcp://press4:0", EndpointUrlError::Port),
            ("opc.tcp://press4:65536", EndpointUrlError::Port),
            ("opc.tcp://press4:", EndpointUrlError::Port),
            ("opc.tcp://press4:+1", EndpointUrlError::Port),
            ("opc.tcp://::1", EndpointUrlError::Host),
            ("opc.tcp://user@press4", EndpointUrlError::UserInfo),
            ("opc.tcp://press4/a b", EndpointUrlError::Blank),
            ("opc.tcp://press4\u{0}", EndpointUrlError::Blank),
        ] {
            assert_eq!(EndpointUrl::parse(text), Err(error), "{text}");
        }
        let long = format!("opc.tcp://press4/{}", "x".repeat(4096));
        assert_eq!(EndpointUrl::parse(&long), Err(EndpointUrlError::TooLong { len: long.len() }));
    }

    #[test]
    fn a_path_suffix_is_appended_with_one_slash() {
        for (text, with) in [
            ("opc.tcp://press4", "opc.tcp://press4/discovery"),
            ("opc.tcp://press4:1/", "opc.tcp://press4:1/discovery"),
            ("opc.tcp://press4:1/UA/", "opc.tcp://press4:1/UA/discovery"),
            ("opc.tcp://press4:1/UA?x=/", "opc.tcp://press4:1/UA/discovery"),
        ] {
            assert_eq!(
                EndpointUrl::parse(text).unwrap().with_path_suffix("/discovery").unwrap().as_str(),
                with
            );
        }
    }
}
