//! Whom a certificate is made for: the parts of a request that end up in it, checked.

use std::net::IpAddr;

use koios_pki::{AttributeType, Certificate, HostName, KeySpec, Profile};

use super::KeyOrder;
use crate::{config::VALIDITY_DAYS_MAX, service::error::ServiceError};

/// The upper bound of common name and organization (RFC 5280 appendix A.1, `ub-common-name`).
const NAME_PART_MAX_CHARS: usize = 64;

/// The upper bound of locality and state (RFC 5280 appendix A.1, `ub-locality-name`, `ub-state-name`).
const PLACE_MAX_CHARS: usize = 128;

/// More names than a certificate sensibly has; bounds its size.
const ALTERNATIVE_NAMES_MAX: usize = 100;

/// The alternative names of a certificate, without repetitions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Hosts {
    pub(super) dns_names: Vec<String>,
    pub(super) ip_addresses: Vec<IpAddr>,
}

impl Hosts {
    /// Adds a host; one that no `dNSName` can hold stays out.
    pub(super) fn add(&mut self, host: &HostName) {
        match host {
            HostName::Dns { name, valid_in_san: true } if !self.dns_names.contains(name) => {
                self.dns_names.push(name.clone());
            }
            HostName::Ip(address) if !self.ip_addresses.contains(address) => self.ip_addresses.push(*address),
            HostName::Dns { .. } | HostName::Ip(_) => {}
        }
    }

    /// The host of the request first, then the names asked for beside it.
    pub(super) fn of_request(
        host: &HostName,
        dns_names: &[String],
        ip_addresses: &[String],
    ) -> Result<Self, ServiceError> {
        if dns_names.len() + ip_addresses.len() > ALTERNATIVE_NAMES_MAX {
            return Err(ServiceError::invalid_field(
                "dns_names",
                "a certificate may have at most 100 names and addresses",
            ));
        }
        let mut hosts = Self::default();
        hosts.add(host);
        for text in dns_names {
            match HostName::parse(text) {
                Ok(host @ HostName::Dns { valid_in_san: true, .. }) => hosts.add(&host),
                Ok(_) => {
                    return Err(ServiceError::invalid_field(
                        "dns_names",
                        "must hold DNS names, without underscores",
                    ));
                }
                Err(error) => return Err(ServiceError::invalid_field("dns_names", error.to_string())),
            }
        }
        for text in ip_addresses {
            match text.parse() {
                Ok(address) => hosts.add(&HostName::Ip(address)),
                Err(_) => {
                    return Err(ServiceError::invalid_field(
                        "ip_addresses",
                        "must hold IPv4 or IPv6 addresses",
                    ));
                }
            }
        }
        Ok(hosts)
    }

    /// Puts `new` in the place of the host that the certificate was made for: the one its common name tells, else
    /// the first.
    pub(super) fn replace(&mut self, common_name: Option<&str>, new: &HostName) {
        let told = common_name.and_then(|name| name.split_once('@')).map(|(_, host)| host);
        let is_told = |name: &str| {
            told.is_some_and(|told| {
                name == told || name.strip_prefix(told).is_some_and(|rest| rest.starts_with('.'))
            })
        };
        let old_name = self.dns_names.iter().position(|name| is_told(name));
        let old_address =
            self.ip_addresses.iter().position(|address| Some(address.to_string().as_str()) == told);
        match (old_name, old_address) {
            (Some(index), _) => drop(self.dns_names.remove(index)),
            (None, Some(index)) => drop(self.ip_addresses.remove(index)),
            (None, None) if !self.dns_names.is_empty() => drop(self.dns_names.remove(0)),
            (None, None) => {}
        }
        let rest = std::mem::take(self);
        self.add(new);
        for name in rest.dns_names {
            self.add(&HostName::Dns { name, valid_in_san: true });
        }
        for address in rest.ip_addresses {
            self.add(&HostName::Ip(address));
        }
    }
}

/// The attributes of a subject beside common name and organization.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) organizational_unit: Option<String>,
    pub(super) locality: Option<String>,
    pub(super) state: Option<String>,
    pub(super) country: Option<String>,
}

impl Place {
    /// What a certificate says, as far as a new one may say it.
    pub(super) fn of(certificate: &Certificate) -> Self {
        let inspection = certificate.inspect();
        let subject = inspection.subject();
        let first = |kind, max| {
            let text = subject.first(kind).map(str::to_owned);
            text.filter(|text| !text.trim().is_empty() && check_part("", text, max).is_ok())
        };
        Self {
            organizational_unit: first(AttributeType::OrganizationalUnit, NAME_PART_MAX_CHARS),
            locality: first(AttributeType::Locality, PLACE_MAX_CHARS),
            state: first(AttributeType::State, PLACE_MAX_CHARS),
            country: first(AttributeType::Country, 2).filter(|country| is_country(country)),
        }
    }

    pub(super) fn check(&self) -> Result<(), ServiceError> {
        let Self { organizational_unit, locality, state, country } = self;
        for (field, text, max) in [
            ("organizational_unit", organizational_unit, NAME_PART_MAX_CHARS),
            ("locality", locality, PLACE_MAX_CHARS),
            ("state", state, PLACE_MAX_CHARS),
        ] {
            text.as_ref().map_or(Ok(()), |text| check_part(field, text, max))?;
        }
        if country.as_ref().is_some_and(|country| !is_country(country)) {
            return Err(ServiceError::invalid_field("country", "must be a code of two letters, such as DE"));
        }
        Ok(())
    }
}

/// ISO 3166-1 alpha-2, in form.
fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The profile of that name that a self-signed certificate may have.
pub(super) fn profile_of(name: &str) -> Result<Profile, ServiceError> {
    match Profile::from_name(name) {
        Some(Profile::CaIssued) => Err(ServiceError::invalid_field(
            "profile",
            "ca-issued is the profile of certificate requests: generate with another profile, then make a request with \
             POST /certificates/{id}/csr",
        )),
        Some(profile) => Ok(profile),
        None => Err(ServiceError::invalid_field("profile", "must be opcua-1.05 or legacy-1.04")),
    }
}

/// A text that means something when it is not blank.
pub(super) fn not_blank(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A common name or organization that a subject can hold.
pub(super) fn check_name_part(field: &'static str, text: &str) -> Result<(), ServiceError> {
    check_part(field, text, NAME_PART_MAX_CHARS)
}

fn check_part(field: &'static str, text: &str, max: usize) -> Result<(), ServiceError> {
    if text.chars().count() > max || text.chars().any(char::is_control) {
        let detail = format!("may have at most {max} characters and no control characters");
        return Err(ServiceError::invalid_field(field, detail));
    }
    Ok(())
}

pub(super) fn check_validity_days(days: u32) -> Result<u32, ServiceError> {
    if (1..=VALIDITY_DAYS_MAX).contains(&days) {
        return Ok(days);
    }
    Err(ServiceError::invalid_field("validity_days", format!("must be 1 to {VALIDITY_DAYS_MAX}")))
}

/// The kind of key asked for; what is left out has the default of its algorithm.
pub(super) fn key_spec(order: &KeyOrder) -> Result<KeySpec, ServiceError> {
    let KeyOrder { algorithm, bits, curve } = order;
    match algorithm.as_str() {
        "rsa" => {
            if curve.is_some() {
                return Err(ServiceError::invalid_field("key.curve", "an RSA key has no curve"));
            }
            let Some(bits) = *bits else { return Ok(KeySpec::default()) };
            KeySpec::rsa(bits)
                .ok_or_else(|| ServiceError::invalid_field("key.bits", "must be 2048, 3072 or 4096"))
        }
        "ec" => {
            if bits.is_some() {
                let detail = "a key on an elliptic curve has no length of its own; give its curve";
                return Err(ServiceError::invalid_field("key.bits", detail));
            }
            match curve.as_deref() {
                None | Some("p256") => Ok(KeySpec::EcP256),
                Some("p384") => Ok(KeySpec::EcP384),
                Some(_) => Err(ServiceError::invalid_field("key.curve", "must be p256 or p384")),
            }
        }
        _ => Err(ServiceError::invalid_field("key.algorithm", "must be rsa or ec")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(dns_names: &[&str], ip_addresses: &[&str]) -> Hosts {
        Hosts {
            dns_names: dns_names.iter().map(ToString::to_string).collect(),
            ip_addresses: ip_addresses.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn dns(name: &str) -> HostName {
        HostName::Dns { name: name.to_owned(), valid_in_san: !name.contains('_') }
    }

    #[test]
    fn the_host_comes_first_and_nothing_twice() {
        let names = ["b.example".to_owned(), "a.example".to_owned()];
        let found =
            Hosts::of_request(&dns("a.example"), &names, &["10.0.0.1".to_owned(), "10.0.0.1".to_owned()]);
        assert_eq!(found.unwrap(), hosts(&["a.example", "b.example"], &["10.0.0.1"]));
    }

    #[test]
    fn a_host_with_an_underscore_makes_no_dns_name() {
        assert_eq!(Hosts::of_request(&dns("a_b"), &[], &[]).unwrap(), Hosts::default());
    }

    #[test]
    fn a_new_host_takes_the_place_of_the_one_in_the_common_name() {
        for (before, common_name, new, after) in [
            (
                hosts(&["a.example", "alias"], &[]),
                Some("Koios@a.example"),
                dns("b"),
                hosts(&["b", "alias"], &[]),
            ),
            (hosts(&["alias", "a.example"], &[]), Some("Koios@a"), dns("b"), hosts(&["b", "alias"], &[])),
            (hosts(&[], &["10.0.0.1"]), Some("Koios@10.0.0.1"), dns("b"), hosts(&["b"], &[])),
            (
                hosts(&["a"], &["10.0.0.1"]),
                Some("Koios@a"),
                HostName::Ip([10, 0, 0, 2].into()),
                hosts(&[], &["10.0.0.2", "10.0.0.1"]),
            ),
            (hosts(&["x", "y"], &[]), Some("Other Client"), dns("b"), hosts(&["b", "y"], &[])),
            (hosts(&["x"], &[]), None, dns("x"), hosts(&["x"], &[])),
        ] {
            let mut found = before.clone();
            found.replace(common_name, &new);
            assert_eq!(found, after, "{before:?} {new}");
        }
    }
}
