use std::fmt;
use std::str::FromStr;

use crate::HostName;

/// An application's globally unique name (OPC 10000-3 §4.2): a URL (RFC 3986) or a URN (RFC 8141).
///
/// The certificate and the session carry the same text; it is compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApplicationUri(String);

impl ApplicationUri {
    /// Reads an absolute URI of at most 255 ASCII characters.
    ///
    /// # Errors
    /// When it is no absolute URI; the error says where.
    pub fn parse(text: &str) -> Result<Self, ApplicationUriError> {
        if text.is_empty() {
            return Err(ApplicationUriError::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return Err(ApplicationUriError::TooLong { len: text.len() });
        }
        let (scheme, rest) = text.split_once(':').ok_or(ApplicationUriError::NotAbsolute)?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme || rest.is_empty() {
            return Err(ApplicationUriError::NotAbsolute);
        }
        check_characters(text)?;
        if scheme.eq_ignore_ascii_case("urn") {
            check_urn(rest)?;
        } else if let Some(authority) = rest.strip_prefix("//") {
            check_authority(authority.split(['/', '?', '#']).next().unwrap_or_default())?;
        }
        Ok(Self(text.to_owned()))
    }

    /// The URI of a new certificate: `urn:koios:<host>:<slug>`, the same for the same arguments.
    ///
    /// `name_slug` goes through [`crate::slug()`] once more. A host that would make the URI too long is cut to its first
    /// label.
    pub fn for_certificate(host: &HostName, name_slug: &str) -> Self {
        let slug = crate::slug(name_slug);
        // Colons, dots, hyphens and underscores may all stand in a URN (RFC 8141 §2, RFC 3986 §3.3), so neither names
        // nor IPv6 addresses need percent-encoding.
        let uri = format!("{PREFIX}{host}:{slug}");
        if uri.len() <= Self::MAX_LEN {
            return Self(uri);
        }
        // Prefix 10, first label at most 63, colon, slug at most 128: always below 255.
        let host = host.to_string();
        let first_label = host.split('.').next().unwrap_or(&host);
        Self(format!("{PREFIX}{first_label}:{slug}"))
    }

    /// The longest URI taken, in characters; longer ones do not fit into the fields of many servers.
    pub const MAX_LEN: usize = 255;

    /// The URI's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApplicationUri {
    type Err = ApplicationUriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for ApplicationUri {
    type Error = ApplicationUriError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::parse(text)
    }
}

impl AsRef<str> for ApplicationUri {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApplicationUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no application URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplicationUriError {
    /// Nothing was given.
    #[error("the application URI is empty")]
    Empty,
    /// Over [`ApplicationUri::MAX_LEN`].
    #[error("the application URI has {len} characters, more than the 255 that are taken")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// No scheme, or nothing after it.
    #[error("the application URI is not absolute; begin it with a scheme, as in urn:example:line1")]
    NotAbsolute,
    /// A character that no URI holds.
    #[error("the application URI holds {character:?} at character {position}; percent-encode it")]
    Character {
        /// The character.
        character: char,
        /// Where it stands, counted from 1.
        position: usize,
    },
    /// A `%` without two hexadecimal digits.
    #[error("the application URI has a % at character {position} without two hexadecimal digits after it")]
    PercentEncoding {
        /// Where the `%` stands, counted from 1.
        position: usize,
    },
    /// Brackets that do not enclose the host (RFC 3986 §3.2.2).
    #[error("the application URI has a bracket that does not enclose its host; write http://[2001:db8::1]/")]
    Brackets,
    /// `urn:` without a namespace of 2 to 32 letters, digits and hyphens, or without anything after that.
    #[error("the application URI is no complete URN; write urn:<namespace>:<name>")]
    Urn,
}

/// RFC 3986 §2: reserved, unreserved and percent-encoded characters, one `#` at most.
fn check_characters(text: &str) -> Result<(), ApplicationUriError> {
    let mut fragments = 0;
    for (index, character) in text.chars().enumerate() {
        let position = index + 1;
        let allowed = character.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(character);
        fragments += usize::from(character == '#');
        if !allowed || fragments > 1 {
            return Err(ApplicationUriError::Character { character, position });
        }
        if character == '%' {
            let mut digits = text.chars().skip(position).take(2);
            let is_hex = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
            if !is_hex(digits.next()) || !is_hex(digits.next()) {
                return Err(ApplicationUriError::PercentEncoding { position });
            }
        }
    }
    Ok(())
}

/// RFC 3986 §3.2: `[ userinfo "@" ] host [ ":" port ]`, where only an address stands in brackets.
fn check_authority(authority: &str) -> Result<(), ApplicationUriError> {
    // RFC 3986 lets the host be empty (file:///x), which names nobody.
    if authority.is_empty() {
        return Err(ApplicationUriError::NotAbsolute);
    }
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let without_brackets = |text: &str| !text.contains(['[', ']']);
    let fits = match host.strip_prefix('[') {
        None => without_brackets(host),
        Some(bracketed) => bracketed.split_once(']').is_some_and(|(address, port)| {
            let port_fits = port.is_empty() || port.starts_with(':');
            !address.is_empty() && port_fits && without_brackets(address) && without_brackets(port)
        }),
    };
    if fits && without_brackets(user) { Ok(()) } else { Err(ApplicationUriError::Brackets) }
}

/// RFC 8141 §2: `NID ":" NSS`, where the NSS begins with a `pchar`.
fn check_urn(rest: &str) -> Result<(), ApplicationUriError> {
    let (namespace, name) = rest.split_once(':').ok_or(ApplicationUriError::Urn)?;
    let edges_fit = |c: char| c.is_ascii_alphanumeric();
    let namespace_fits = (2..=32).contains(&namespace.len())
        && namespace.starts_with(edges_fit)
        && namespace.ends_with(edges_fit)
        && namespace.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let name_fits = !name.is_empty() && !name.starts_with(['/', '?', '#']) && !name.contains(['[', ']']);
    if namespace_fits && name_fits { Ok(()) } else { Err(ApplicationUriError::Urn) }
}

const PREFIX: &str = "urn:koios:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_uris_are_kept_byte_for_byte() {
        for text in [
            "urn:koios:gw01.plant.example:plant-a",
            "URN:Example:a%C3%A4b",
            "urn:koios:2001:db8::1:line-1",
            "http://example.com/product/0193",
            "opc.tcp://[2001:db8::1]:4840/x?y#z",
            "http://op@[::1]?[",
            "tag:example.com,2026-11:product:1",
        ] {
            assert_eq!(ApplicationUri::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_is_no_absolute_uri_is_refused_with_the_place() {
        let long = format!("urn:x1:{}", "a".repeat(249));
        for (text, error) in [
            ("", ApplicationUriError::Empty),
            ("gw01", ApplicationUriError::NotAbsolute),
            ("/path:x", ApplicationUriError::NotAbsolute),
            ("urn:", ApplicationUriError::NotAbsolute),
            ("1a:b", ApplicationUriError::NotAbsolute),
            ("http://", ApplicationUriError::NotAbsolute),
            ("http:///x", ApplicationUriError::NotAbsolute),
            ("urn:koios:a b", ApplicationUriError::Character { character: ' ', position: 12 }),
            ("urn:koios:ä", ApplicationUriError::Character { character: 'ä', position: 11 }),
            ("urn:koios:a\n", ApplicationUriError::Character { character: '\n', position: 12 }),
            ("http://a#b#c", ApplicationUriError::Character { character: '#', position: 11 }),
            ("urn:koios:%zz", ApplicationUriError::PercentEncoding { position: 11 }),
            ("urn:koios:%a", ApplicationUriError::PercentEncoding { position: 11 }),
            ("urn:koios", ApplicationUriError::Urn),
            ("urn:k:x", ApplicationUriError::Urn),
            ("urn:-koios:x", ApplicationUriError::Urn),
            ("urn:koios:", ApplicationUriError::Urn),
            ("http://[bad", ApplicationUriError::Brackets),
            ("http://bad]/x", ApplicationUriError::Brackets),
            ("http://[]/", ApplicationUriError::Brackets),
            ("http://[::1]x/", ApplicationUriError::Brackets),
            ("http://[[::1]]/", ApplicationUriError::Brackets),
            ("http://a[::1]/", ApplicationUriError::Brackets),
            ("http://[a@b/", ApplicationUriError::Brackets),
            (&long, ApplicationUriError::TooLong { len: 256 }),
        ] {
            assert_eq!(ApplicationUri::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn r5_the_uri_of_a_certificate_holds_host_and_name() {
        let uri = |host: &str, slug: &str| {
            ApplicationUri::for_certificate(&host.parse().unwrap(), slug).to_string()
        };
        assert_eq!(uri("GW01.plant.example", "plant-a"), "urn:koios:gw01.plant.example:plant-a");
        assert_eq!(uri("plc_7", "plant-a"), "urn:koios:plc_7:plant-a");
        assert_eq!(uri("192.0.2.7", "plant-a"), "urn:koios:192.0.2.7:plant-a");
        assert_eq!(uri("2001:db8::1", "plant-a"), "urn:koios:2001:db8::1:plant-a");
    }

    #[test]
    fn a_host_too_long_for_the_uri_is_cut_to_its_first_label() {
        let host: HostName = format!("gw01.{}x", "abc.".repeat(60)).parse().unwrap();
        let uri = ApplicationUri::for_certificate(&host, &"b".repeat(128));
        assert_eq!(uri.as_str(), format!("urn:koios:gw01:{}", "b".repeat(128)));
    }
}
