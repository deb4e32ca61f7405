//! Whether somebody changed the endpoints on their unprotected way to us (OPC 10000-4 §5.7.2).

use std::collections::BTreeSet;

use crate::endpoint::{Endpoint, UserTokenPolicy};
use crate::error::Fault;

/// Compares the session's endpoints with those of discovery.
///
/// OPC 10000-4 lets a server leave out everything of the session's list but mode, policy, transport profile, security
/// level and user tokens, so these are compared, and the certificate where both have one. URLs are not: servers write
/// the host differently in the two lists. An endpoint listed once per network address counts once; endpoints of other
/// transports are not ours to compare.
pub(super) fn check(discovered: &[Endpoint], session: &[Endpoint]) -> Result<(), Fault> {
    let before: BTreeSet<_> = comparable(discovered).map(Comparable::of).collect();
    let after: BTreeSet<_> = comparable(session).map(Comparable::of).collect();
    if let Some(hidden) = after.difference(&before).next() {
        return Err(differ("discovery did not show", hidden));
    }
    if let Some(forged) = before.difference(&after).next() {
        return Err(differ("the session does not have", forged));
    }
    for endpoint in comparable(session) {
        let Some(certificate) = &endpoint.server_certificate else { continue };
        let known = |other: &Endpoint| {
            other.server_certificate.as_ref().is_none_or(|other| one_begins_the_other(other, certificate))
        };
        let of = Comparable::of(endpoint);
        if !comparable(discovered).filter(|other| Comparable::of(other) == of).any(known) {
            return Err(differ("another certificate belongs to", &of));
        }
    }
    Ok(())
}

fn comparable(endpoints: &[Endpoint]) -> impl Iterator<Item = &Endpoint> {
    endpoints.iter().filter(|endpoint| endpoint.is_opc_tcp())
}

/// Servers send the leaf in one list and leaf and issuers in the other; DER is self-delimiting.
fn one_begins_the_other(one: &[u8], other: &[u8]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Comparable<'a> {
    security_policy_uri: &'a str,
    security_mode: Option<koios_pki::SecurityMode>,
    security_level: u8,
    user_tokens: BTreeSet<&'a UserTokenPolicy>,
}

impl<'a> Comparable<'a> {
    fn of(endpoint: &'a Endpoint) -> Self {
        Self {
            security_policy_uri: &endpoint.security_policy_uri,
            security_mode: endpoint.security_mode,
            security_level: endpoint.security_level,
            user_tokens: endpoint.user_tokens.iter().collect(),
        }
    }
}

fn differ(what: &str, endpoint: &Comparable<'_>) -> Fault {
    let mode = endpoint.security_mode.map_or("an unknown mode", koios_pki::SecurityMode::name);
    Fault::EndpointsDiffer {
        detail: format!(
            "{what} the endpoint {:?} with {mode}, level {} and {} user tokens",
            endpoint.security_policy_uri,
            endpoint.security_level,
            endpoint.user_tokens.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use koios_pki::{SecurityMode, SecurityPolicy};

    use super::*;
    use crate::endpoint::{ApplicationDescription, UserTokenKind};

    fn endpoint(mode: SecurityMode, level: u8) -> Endpoint {
        let policy = SecurityPolicy::Basic256Sha256;
        Endpoint {
            url: "opc.tcp://a:4840".to_owned(),
            security_mode: Some(mode),
            security_policy_uri: policy.uri().to_owned(),
            security_policy: Some(policy),
            security_level: level,
            server_certificate: Some(vec![1, 2, 3]),
            transport_profile_uri: String::new(),
            user_tokens: vec![UserTokenPolicy {
                policy_id: "u".to_owned(),
                kind: UserTokenKind::UserName,
                security_policy_uri: None,
            }],
            server: ApplicationDescription::default(),
        }
    }

    fn differs(discovered: &[Endpoint], session: &[Endpoint]) -> bool {
        matches!(check(discovered, session), Err(Fault::EndpointsDiffer { .. }))
    }

    #[test]
    fn the_same_endpoints_in_another_order_with_other_hosts_and_repetitions_are_the_same() {
        let list = [endpoint(SecurityMode::Sign, 1), endpoint(SecurityMode::SignAndEncrypt, 2)];
        let mut other = vec![list[1].clone(), list[0].clone(), list[1].clone()];
        other[2].url = "opc.tcp://b:4840".to_owned();
        other[0].server_certificate = None;
        other[1].server_certificate = Some(vec![1, 2, 3, 4, 5]);
        check(&list, &other).unwrap();
        check(&other, &list).unwrap();
    }

    #[test]
    fn endpoints_of_other_transports_do_not_count() {
        let list = [endpoint(SecurityMode::Sign, 1)];
        let mut https = endpoint(SecurityMode::Sign, 9);
        https.transport_profile_uri =
            "http://opcfoundation.org/UA-Profile/Transport/https-uabinary".to_owned();
        check(&list, &[https, list[0].clone()]).unwrap();
    }

    #[test]
    fn a_hidden_a_forged_and_a_changed_endpoint_are_noticed() {
        let honest = [endpoint(SecurityMode::Sign, 1), endpoint(SecurityMode::SignAndEncrypt, 2)];
        assert!(differs(&honest[..1], &honest), "hidden");
        assert!(differs(&honest, &honest[..1]), "forged");
        assert!(differs(&honest, &[]), "unknown");
        let change = |change: fn(&mut Endpoint)| {
            let mut changed = honest.clone();
            change(&mut changed[0]);
            changed
        };
        for changed in [
            change(|e| e.security_level = 7),
            change(|e| e.security_mode = Some(SecurityMode::None)),
            change(|e| e.security_policy_uri = SecurityPolicy::None.uri().to_owned()),
            change(|e| e.server_certificate = Some(vec![9])),
            change(|e| e.user_tokens[0].security_policy_uri = Some(SecurityPolicy::None.uri().to_owned())),
            change(|e| e.user_tokens[0].kind = UserTokenKind::Anonymous),
            change(|e| e.user_tokens.clear()),
        ] {
            assert!(differs(&changed, &honest), "{:?}", changed[0]);
        }
    }
}
