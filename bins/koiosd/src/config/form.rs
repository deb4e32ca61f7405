//! The text of a setting, read.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer, de};

/// An address and a port; `localhost` is the one name that needs no resolver.
pub(super) fn listen_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| {
        de::Error::custom(format!(
            "`{text}` is not an address and a port such as 127.0.0.1:8470 or [::1]:8470"
        ))
    })
}

/// A list, or text separated by commas: the environment has no lists.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum ListOrText {
        List(Vec<String>),
        Text(String),
    }
    Ok(match ListOrText::deserialize(deserializer)? {
        ListOrText::List(items) => items,
        ListOrText::Text(text) => {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        }
    })
}

/// Numbers of days, or text with them separated by commas.
pub(super) fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum DaysOrText {
        Days(Vec<u32>),
        Text(String),
    }
    let days = match DaysOrText::deserialize(deserializer)? {
        DaysOrText::Days(days) => days,
        DaysOrText::Text(text) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            let days = items.map(|item| {
                item.parse().map_err(|_| de::Error::custom(format!("`{item}` is not a number of days")))
            });
            days.collect::<Result<_, _>>()?
        }
    };
    Ok(days)
}

/// Scheme, host and perhaps a port, as browsers send it in `Origin` (RFC 6454 §6.1).
pub(super) fn is_origin(text: &str) -> bool {
    let Some(host) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c))
}

/// What a path can be put behind: scheme and authority, and perhaps a path of its own.
pub(super) fn is_base_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path_fits = path.chars().all(|c| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:@".contains(c));
    is_origin(&format!("https://{authority}")) && path_fits
}
