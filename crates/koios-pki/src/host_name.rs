use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// A host as it goes into a certificate: a DNS name or an IP address.
///
/// ```
/// use koios_pki::HostName;
///
/// assert_eq!(HostName::parse("GW01.Plant.Example.")?.to_string(), "gw01.plant.example");
/// assert_eq!(HostName::parse("münchen.example")?.to_string(), "xn--mnchen-3ya.example");
/// assert!(matches!(HostName::parse("192.0.2.7")?, HostName::Ip(_)));
/// assert!(HostName::parse("gw01:4840").is_err());
/// # Ok::<(), koios_pki::HostNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a certificate names hosts in these two ways (RFC 5280 §4.2.1.6)"
)]
pub enum HostName {
    /// A DNS name, or the name of a machine that DNS would not allow.
    Dns {
        /// Lower case, international labels as A-labels (RFC 5890 §2.3.2.1), no trailing dot.
        name: String,
        /// Whether it may stand in the certificate as a `dNSName` (RFC 5280 §4.2.1.6): false with an underscore.
        valid_in_san: bool,
    },
    /// An address, which goes into the certificate as an `iPAddress`.
    Ip(IpAddr),
}

impl HostName {
    /// Reads a host as a person or the system gives it, by the rules of `rest-api.md` §3.
    ///
    /// An IPv6 address may stand in brackets, as in a URL.
    ///
    /// # Errors
    /// When it is neither a host name nor an address; the error says what it looks like instead.
    pub fn parse(text: &str) -> Result<Self, HostNameError> {
        if text.trim().is_empty() {
            return Err(HostNameError::Empty);
        }
        // Far over what any host needs: longer input is not even looked at.
        if text.len() > MAX_INPUT {
            return Err(HostNameError::TooLong { len: text.len() });
        }
        let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(v6) = unbracketed.unwrap_or(text).parse().ok().filter(IpAddr::is_ipv6) {
            return Ok(Self::Ip(v6));
        }
        refuse_what_is_more_than_a_name(text)?;
        let ascii = Uts46::new()
            .to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore)
            .map_err(|_| HostNameError::InvalidCharacters)?;
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        if let Ok(v4) = name.parse() {
            return Ok(Self::Ip(v4));
        }
        check_name(name)?;
        Ok(Self::Dns { name: name.to_owned(), valid_in_san: !name.contains('_') })
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns { name, .. } => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// The Common Name of a certificate for `host`: `Koios@<host>`, or `Koios@` and the first label of a name that is
/// too long for the 64 characters RFC 5280 (appendix A, `ub-common-name`) allows.
///
/// # Errors
/// [`HostNameError::TooLongForCommonName`] when even the first label is too long.
pub fn common_name_for(host: &HostName) -> Result<String, HostNameError> {
    let full = format!("{COMMON_NAME_PREFIX}{host}");
    if full.chars().count() <= MAX_COMMON_NAME {
        return Ok(full);
    }
    let host = host.to_string();
    let first_label = host.split('.').next().unwrap_or(&host);
    let short = format!("{COMMON_NAME_PREFIX}{first_label}");
    if short.chars().count() <= MAX_COMMON_NAME {
        Ok(short)
    } else {
        Err(HostNameError::TooLongForCommonName { len: short.chars().count() })
    }
}

/// Why a text is no host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostNameError {
    /// Nothing, or blanks only.
    #[error("the host name is empty")]
    Empty,
    /// A blank, line break or control character in it.
    #[error("the host name holds a blank or a control character")]
    Blank,
    /// A `*`.
    #[error("the host name holds a wildcard; a certificate stands for one host, so give its name")]
    Wildcard,
    /// A port after it.
    #[error("the host name is followed by a port; give the name alone")]
    Port,
    /// A URL.
    #[error("this is a URL; give the host name alone")]
    Url,
    /// A label with nothing in it, as in `.` or `a..b`.
    #[error("the host name has an empty label (two dots in a row, or a dot at the start)")]
    EmptyLabel,
    /// Characters that no host name has, or a malformed international name.
    #[error("the host name holds characters other than letters, digits, hyphens, underscores and dots")]
    InvalidCharacters,
    /// A label that begins or ends with a hyphen.
    #[error("the label \"{label}\" begins or ends with a hyphen")]
    Hyphen {
        /// The label.
        label: String,
    },
    /// A label over 63 characters.
    #[error("the label \"{label}\" has {len} characters, more than the 63 that DNS allows")]
    LabelTooLong {
        /// The label as an A-label.
        label: String,
        /// Its length.
        len: usize,
    },
    /// A name over 253 characters.
    #[error("the host name has {len} characters, more than the 253 that DNS allows")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// Numbers that are no address, as in `300.1.1.1`, `1.2.3` and `0x7f.1`.
    #[error("the host name ends in a number but is no IP address; write the address in full")]
    NotAnAddress,
    /// The Common Name made of it would be over 64 characters.
    #[error(
        "the Common Name made of the host name would have {len} characters, more than the 64 that X.509 allows"
    )]
    TooLongForCommonName {
        /// Its length.
        len: usize,
    },
}

/// Refuses, each by its own name, what people type instead of a host name.
fn refuse_what_is_more_than_a_name(text: &str) -> Result<(), HostNameError> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(HostNameError::Blank);
    }
    if text.contains('*') {
        return Err(HostNameError::Wildcard);
    }
    if text.contains("://") {
        return Err(HostNameError::Url);
    }
    match text.rsplit_once(':') {
        Some((_, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(HostNameError::Port)
        }
        Some(_) => Err(HostNameError::InvalidCharacters),
        None => Ok(()),
    }
}

/// RFC 1123 §2.1 with the underscore that real machines have in their names.
fn check_name(name: &str) -> Result<(), HostNameError> {
    if name.split('.').any(str::is_empty) {
        return Err(HostNameError::EmptyLabel);
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err(HostNameError::InvalidCharacters);
    }
    for label in name.split('.') {
        if label.len() > 63 {
            return Err(HostNameError::LabelTooLong { label: label.to_owned(), len: label.len() });
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(HostNameError::Hyphen { label: label.to_owned() });
        }
    }
    if name.len() > 253 {
        return Err(HostNameError::TooLong { len: name.len() });
    }
    // Resolvers take such names for addresses in old notations (inet_aton; URL Standard, "ends in a number").
    let last = name.rsplit('.').next().unwrap_or(name);
    let hex =
        last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if hex || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostNameError::NotAnAddress);
    }
    Ok(())
}

const COMMON_NAME_PREFIX: &str = "Koios@";
/// RFC 5280 appendix A.1, `ub-common-name`.
const MAX_COMMON_NAME: usize = 64;
/// In bytes; 253 characters of an A-label come from fewer characters, each of up to four bytes.
const MAX_INPUT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(text: &str) -> String {
        match HostName::parse(text) {
            Ok(HostName::Dns { name, .. }) => name,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn names_are_lower_cased_and_lose_a_trailing_dot() {
        assert_eq!(dns("GW01"), "gw01");
        assert_eq!(dns("Gw-01.Plant.Example."), "gw-01.plant.example");
        assert_eq!(dns("r3---sn-4g5e.example"), "r3---sn-4g5e.example");
    }

    #[test]
    fn international_names_become_a_labels() {
        assert_eq!(dns("BÜCHER.example"), "xn--bcher-kva.example");
        assert_eq!(dns("日本。example"), "xn--wgv71a.example");
        assert_eq!(HostName::parse("xn--a"), Err(HostNameError::InvalidCharacters));
    }

    #[test]
    fn an_underscore_is_allowed_but_makes_no_dns_name() {
        let host = HostName::parse("plc_7.plant.example").unwrap();
        assert_eq!(host, HostName::Dns { name: "plc_7.plant.example".to_owned(), valid_in_san: false });
        assert!(matches!(HostName::parse("plc7"), Ok(HostName::Dns { valid_in_san: true, .. })));
    }

    #[test]
    fn ip_literals_are_addresses() {
        for (text, address) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7.", "192.0.2.7"),
            ("2001:DB8::1", "2001:db8::1"),
            ("[::1]", "::1"),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ] {
            assert_eq!(HostName::parse(text), Ok(HostName::Ip(address.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        let long_label = "a".repeat(64);
        let long_name = format!("{}b", "abc.".repeat(63));
        for (text, error) in [
            ("", HostNameError::Empty),
            (" \t", HostNameError::Empty),
            (" gw01", HostNameError::Blank),
            ("gw 01", HostNameError::Blank),
            ("gw01\n", HostNameError::Blank),
            ("gw\u{0}01", HostNameError::Blank),
            ("gw\u{A0}01", HostNameError::Blank),
            (".", HostNameError::EmptyLabel),
            ("..", HostNameError::EmptyLabel),
            (".gw01", HostNameError::EmptyLabel),
            ("gw01..example", HostNameError::EmptyLabel),
            ("*.example", HostNameError::Wildcard),
            ("gw01:4840", HostNameError::Port),
            ("192.0.2.7:4840", HostNameError::Port),
            ("[::1]:4840", HostNameError::Port),
            ("opc.tcp://gw01", HostNameError::Url),
            ("fe80::1%eth0", HostNameError::InvalidCharacters),
            ("gw01/opcua", HostNameError::InvalidCharacters),
            ("user@gw01", HostNameError::InvalidCharacters),
            ("../../etc/passwd", HostNameError::EmptyLabel),
            ("gw01,gw02", HostNameError::InvalidCharacters),
            ("-gw01", HostNameError::Hyphen { label: "-gw01".to_owned() }),
            ("gw01-.example", HostNameError::Hyphen { label: "gw01-".to_owned() }),
            (&long_label, HostNameError::LabelTooLong { label: long_label.clone(), len: 64 }),
            ("300.1.1.1", HostNameError::NotAnAddress),
            ("1.2.3", HostNameError::NotAnAddress),
            ("01.02.03.04", HostNameError::NotAnAddress),
            ("4840", HostNameError::NotAnAddress),
            ("gw.0x7f", HostNameError::NotAnAddress),
            (&format!("{long_name}cd"), HostNameError::TooLong { len: 255 }),
            (&"é".repeat(2000), HostNameError::TooLong { len: 4000 }),
        ] {
            assert_eq!(HostName::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(long_name.len(), 253);
        assert!(HostName::parse(&long_name).is_ok());
    }

    #[test]
    fn the_common_name_falls_back_to_the_first_label_and_then_gives_up() {
        let common_name = |text: &str| common_name_for(&HostName::parse(text).unwrap());
        assert_eq!(common_name("gw01.plant.example").unwrap(), "Koios@gw01.plant.example");
        assert_eq!(common_name("2001:db8::1").unwrap(), "Koios@2001:db8::1");
        let fits = format!("{}.x", "a".repeat(56));
        assert_eq!(common_name(&fits).unwrap(), format!("Koios@{fits}"));
        assert_eq!(common_name(&format!("gw01.{}.example", "a".repeat(50))).unwrap(), "Koios@gw01");
        let too_long = "a".repeat(59);
        assert_eq!(common_name(&too_long), Err(HostNameError::TooLongForCommonName { len: 65 }));
    }
}
