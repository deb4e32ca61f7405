//! Addresses on the web: well-formed, and of places where nobody on the way changes what is read.

use url::{Host, Url};

/// A manual of a product that is to be had nowhere else.
const ALLOWED: [&str; 1] = ["http://38.142.81.21:8001/manual/weidmueller/"];

/// Whether it has a scheme.
pub(super) fn is_address(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|sign| sign.is_ascii_alphanumeric() || "+-.".contains(sign))
    })
}

pub(super) fn check(target: &str) -> Result<(), String> {
    if ALLOWED.iter().any(|allowed| target.starts_with(allowed)) {
        return Ok(());
    }
    let url = Url::parse(target).map_err(|error| format!("{target}: {error}"))?;
    let here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" if url.host_str().is_some_and(|host| host.contains('.')) => Ok(()),
        "http" if here => Ok(()),
        _ => Err(format!("{target} is not https")),
    }
}

#[test]
fn the_web_is_https_and_this_machine_may_be_http() {
    assert!(is_address("https://example.com") && !is_address("../a:b.md") && !is_address("a.md#b"));
    assert_eq!(check("https://example.com/a?b#c"), Ok(()));
    assert_eq!(check("http://127.0.0.1:8470/docs"), Ok(()));
    for bad in
        ["http://example.com", "https://", "https://nowhere", "ftp://example.com", "mailto:a@example.com"]
    {
        assert!(check(bad).is_err(), "{bad}");
    }
}
