//! Whether somebody changed the endpoints on their unprotected way to us (OPC 10000-4 §5.7.2).

use std::collections::BTreeSet;

use crate::endpoint::{Endpoint, UserTokenPolicy};
use crate::error::Fault;

/// Compares the session's endpoints with those of discovery.
///
/// OPC 10000-4 lets a server leave out everything of the session's list but mode, policy, transport profile, security
/// level and user tokens, so these are compared, and the certificate where both have one. URLs are not: servers write
/// the host differently in the two lists. An endpoint listed once per network address counts once; endpoints of other
/// transports and of other applications are not ours to compare.
///
/// An endpoint that only discovery shows harms nobody unless it is the selected one: servers filter the session's list.
/// One that discovery hid might have been the better choice.
pub(super) fn check(discovered: &[Endpoint], session: &[Endpoint], selected: &Endpoint) -> Result<(), Fault> {
    let comparable = |endpoints| comparable(endpoints, &selected.server.application_uri);
    let before: BTreeSet<_> = comparable(discovered).map(Comparable::of).collect();
    let after: BTreeSet<_> = comparable(session).map(Comparable::of).collect();
    if let Some(hidden) = after.difference(&before).next() {
        return Err(differ("discovery did not show", hidden));
    }
    let chosen = Comparable::of(selected);
    if !after.contains(&chosen) {
        return Err(differ("the session does not have", &chosen));
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

/// The endpoints of an application; an application URI that was left out may be any.
fn comparable<'a>(
    endpoints: &'a [Endpoint],
    application_uri: &'a str,
) -> impl Iterator<Item = &'a Endpoint> + use<'a> {
    let same = move |uri: &str| uri.is_empty() || application_uri.is_empty() || uri == application_uri;
    endpoints.iter().filter(move |endpoint| endpoint.is_opc_tcp() && same(&endpoint.server.application_uri))
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

    /// With the first of discovery's endpoints selected.
    fn differs(discovered: &[Endpoint], session: &[Endpoint]) -> bool {
        matches!(check(discovered, session, &discovered[0]), Err(Fault::EndpointsDiffer { .. }))
    }

    fn of_application(mut endpoint: Endpoint, uri: &str) -> Endpoint {
        uri.clone_into(&mut endpoint.server.application_uri);
        endpoint
    }

    #[test]
    fn endpoints_of_other_applications_do_not_count() {
        let all = [
            of_application(endpoint(SecurityMode::Sign, 1), "urn:ours"),
            of_application(endpoint(SecurityMode::SignAndEncrypt, 9), "urn:other"),
        ];
        let ours = &all[..1];
        check(&all, ours, &all[0]).unwrap();
        check(ours, &all, &all[0]).unwrap();
        // Who leaves out its own name is compared with all.
        let unnamed = [of_application(all[0].clone(), "")];
        check(ours, &unnamed, &all[0]).unwrap();
        check(&unnamed, ours, &unnamed[0]).unwrap();
        assert!(differs(&unnamed, &all));
        assert!(differs(ours, &[all[0].clone(), of_application(all[1].clone(), "")]));
        // Another application's endpoint is none of ours, however alike.
        assert!(differs(ours, &[of_application(all[0].clone(), "urn:other")]));
    }

    #[test]
    fn an_endpoint_that_only_discovery_shows_matters_when_it_is_selected() {
        let list = [endpoint(SecurityMode::Sign, 1), endpoint(SecurityMode::SignAndEncrypt, 2)];
        check(&list, &list[..1], &list[0]).unwrap();
        assert!(check(&list, &list[..1], &list[1]).is_err());
    }

    #[test]
    fn the_same_endpoints_in_another_order_with_other_hosts_and_repetitions_are_the_same() {
        let list = [endpoint(SecurityMode::Sign, 1), endpoint(SecurityMode::SignAndEncrypt, 2)];
        let mut other = vec![list[1].clone(), list[0].clone(), list[1].clone()];
        other[2].url = "opc.tcp://b:4840".to_owned();
        other[0].server_certificate = None;
        other[1].server_certificate = Some(vec![1, 2, 3, 4, 5]);
        check(&list, &other, &list[0]).unwrap();
        check(&other, &list, &other[0]).unwrap();
    }

    #[test]
    fn endpoints_of_other_transports_do_not_count() {
        let list = [endpoint(SecurityMode::Sign, 1)];
        let mut https = endpoint(SecurityMode::Sign, 9);
        https.transport_profile_uri =
            "http://opcfoundation.org/UA-Profile/Transport/https-uabinary".to_owned();
        check(&list, &[https, list[0].clone()], &list[0]).unwrap();
    }

    #[test]
    fn a_hidden_a_forged_and_a_changed_endpoint_are_noticed() {
        let honest = [endpoint(SecurityMode::Sign, 1), endpoint(SecurityMode::SignAndEncrypt, 2)];
        assert!(differs(&honest[..1], &honest), "hidden");
        assert!(differs(&honest, &honest[1..]), "forged");
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
