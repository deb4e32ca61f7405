//! Which of the server's endpoints is used, and under which URL.

use koios_channel::{Endpoint, EndpointUrl, SecurityMode, SecurityPolicy, UserTokenKind};
use koios_pki::KeyAlgorithm;

use crate::code::Code;
use crate::deprecated_policies::DeprecatedPolicies;
use crate::preflight::{fits, key_name};
use crate::stage::Stage;
use crate::verdict::{Cause, CauseCode, Confidence, ReportedBy, Verdict, quoted};

/// At most this many offered combinations are listed; servers have at most about a dozen.
const MAX_LISTED: usize = 12;

/// What an endpoint must have.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SelectionCriteria {
    /// The mode, exactly.
    pub security_mode: SecurityMode,
    /// The policy; `None` takes the best one. Not looked at in mode `None`.
    pub security_policy: Option<SecurityPolicy>,
    /// The key of the client certificate; `None` when none is presented.
    pub key: Option<KeyAlgorithm>,
    /// The kind of user; decides between endpoints that are otherwise equally good.
    pub user: UserTokenKind,
}

impl SelectionCriteria {
    /// Criteria for a mode, the best policy, no key, and an anonymous user.
    #[must_use]
    pub fn new(security_mode: SecurityMode) -> Self {
        Self { security_mode, security_policy: None, key: None, user: UserTokenKind::Anonymous }
    }
}

/// The endpoint to use.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SelectedEndpoint {
    /// As the server describes it.
    pub endpoint: Endpoint,
    /// Its policy.
    pub security_policy: SecurityPolicy,
    /// Where it is reached: the host that the user typed, the path that the server advertises.
    pub url: EndpointUrl,
}

/// Chooses the best endpoint; pure.
///
/// Fitting is an endpoint over `opc.tcp` with the mode asked for and a policy that is asked for, known to this version
/// and takes the certificate's key. Of those the highest security level wins (OPC 10000-4 §7.14); between equals the
/// stronger policy, then one that takes this kind of user, then one with the port and then one with the path that was
/// typed.
///
/// # Errors
/// [`Code::NoMatchingEndpoint`] with what the server offers instead.
pub fn select_endpoint(
    endpoints: &[Endpoint],
    criteria: &SelectionCriteria,
    typed: &EndpointUrl,
) -> Result<SelectedEndpoint, Box<Verdict>> {
    let best = endpoints
        .iter()
        .filter_map(|endpoint| fitting_policy(endpoint, criteria).map(|policy| (endpoint, policy)))
        // The last of equals wins in max_by_key; reversed, the server's own order decides.
        .rev()
        .max_by_key(|(endpoint, policy)| {
            let takes_user = endpoint.user_tokens.iter().any(|token| token.kind == criteria.user);
            let advertised = EndpointUrl::parse(&endpoint.url).ok();
            let same_port = advertised.as_ref().is_some_and(|url| url.port() == typed.port());
            let same_path = advertised.as_ref().is_some_and(|url| bare_path(url) == bare_path(typed));
            (endpoint.security_level, strength(*policy), takes_user, same_port, same_path)
        });
    match best {
        Some((endpoint, security_policy)) => Ok(SelectedEndpoint {
            endpoint: endpoint.clone(),
            security_policy,
            url: dialled_url(typed, endpoint, endpoints),
        }),
        None => Err(no_match(endpoints, criteria)),
    }
}

fn fitting_policy(endpoint: &Endpoint, criteria: &SelectionCriteria) -> Option<SecurityPolicy> {
    let policy = endpoint.security_policy?;
    if !endpoint.is_opc_tcp() || endpoint.security_mode != Some(criteria.security_mode) {
        return None;
    }
    if criteria.security_mode == SecurityMode::None {
        return (policy == SecurityPolicy::None).then_some(policy);
    }
    let wanted = criteria.security_policy.map_or_else(|| !policy.is_deprecated(), |wanted| wanted == policy);
    let fits_key = match &criteria.key {
        Some(key) => fits(key, Some(policy)),
        None => policy != SecurityPolicy::None,
    };
    (wanted && fits_key).then_some(policy)
}

/// Whether an endpoint can be used at all.
pub(crate) fn is_supported(endpoint: &Endpoint, deprecated: DeprecatedPolicies) -> bool {
    let secure = endpoint
        .security_policy
        .is_some_and(|policy| policy != SecurityPolicy::None && deprecated.allow(policy));
    endpoint.is_opc_tcp()
        && match endpoint.security_mode {
            Some(SecurityMode::None) => endpoint.security_policy == Some(SecurityPolicy::None),
            Some(SecurityMode::Sign | SecurityMode::SignAndEncrypt) => secure,
            None => false,
        }
}

// OPC 10000-7 does not rank policies; PSS and OAEP with SHA-256 are the stronger constructions. On curves authenticated
// encryption, which binds sessions to their channel, comes before the longer curve. A key fits the policies of RSA or those
// on curves, so that these never meet.
fn strength(policy: SecurityPolicy) -> u8 {
    match policy {
        SecurityPolicy::EccNistP384AesGcm => 9,
        SecurityPolicy::EccNistP384ChaChaPoly => 8,
        SecurityPolicy::EccNistP256AesGcm => 7,
        SecurityPolicy::EccNistP256ChaChaPoly => 6,
        SecurityPolicy::EccNistP384 => 5,
        SecurityPolicy::EccNistP256 => 4,
        SecurityPolicy::Aes256Sha256RsaPss => 3,
        SecurityPolicy::Aes128Sha256RsaOaep => 2,
        SecurityPolicy::Basic256Sha256 => 1,
        _ => 0,
    }
}

fn bare_path(url: &EndpointUrl) -> &str {
    url.path().trim_end_matches('/')
}

/// The URL under which an advertised endpoint is reached from here.
///
/// Servers advertise the host name that they know themselves by, which is often unknown or wrong here (containers,
/// address translation): the typed host is kept. The advertised port is used when the server also advertises the typed
/// one, since then its ports are the ones seen from here; behind a forwarded port they are not.
fn dialled_url(typed: &EndpointUrl, chosen: &Endpoint, endpoints: &[Endpoint]) -> EndpointUrl {
    let Ok(advertised) = EndpointUrl::parse(&chosen.url) else { return typed.clone() };
    let port_is_known = endpoints
        .iter()
        .filter(|endpoint| endpoint.is_opc_tcp())
        .filter_map(|endpoint| EndpointUrl::parse(&endpoint.url).ok())
        .any(|url| url.port() == typed.port());
    let port = if port_is_known { advertised.port() } else { typed.port() };
    let host =
        if typed.host().contains(':') { format!("[{}]", typed.host()) } else { typed.host().to_owned() };
    EndpointUrl::parse(&format!("opc.tcp://{host}:{port}{}", advertised.path()))
        .unwrap_or_else(|_| typed.clone())
}

fn no_match(endpoints: &[Endpoint], criteria: &SelectionCriteria) -> Box<Verdict> {
    let wanted = match (criteria.security_mode, criteria.security_policy) {
        (SecurityMode::None, _) => "security mode None".to_owned(),
        (mode, Some(policy)) => format!("security mode {mode} with {policy}"),
        (mode, None) => match &criteria.key {
            Some(key) => {
                format!("security mode {mode} with a policy for the certificate's key, {}", key_name(key))
            }
            None => format!("security mode {mode} with a policy of this version"),
        },
    };
    let offered = offered(endpoints);
    let detail = if offered.is_empty() {
        format!("The server offers no endpoint at all; {wanted} was asked for.")
    } else {
        format!("The server offers no endpoint with {wanted}. It offers: {}.", offered.join(", "))
    };
    let mut verdict =
        Verdict::failure(Code::NoMatchingEndpoint, Stage::EndpointSelection, ReportedBy::Koios, detail);
    let is_for_another_key = |endpoint: &Endpoint| {
        let wanted = SelectionCriteria { key: None, ..criteria.clone() };
        fitting_policy(endpoint, &wanted).is_some()
    };
    let explanation = if criteria.key.is_some() && endpoints.iter().any(is_for_another_key) {
        "The server offers this mode with policies for another kind of key only; assign a certificate with such a key."
    } else if endpoints.iter().any(|endpoint| is_deprecated_in(endpoint, criteria.security_mode)) {
        "The server offers this mode with deprecated policies only. Look whether its software can be renewed; else one of \
         them can be named, where the configuration allows it."
    } else {
        "The server's settings do not offer this combination of mode and policy."
    };
    let mut cause = Cause::new(CauseCode::NotOffered, Confidence::Certain, explanation);
    cause.evidence = offered;
    verdict.causes.push(cause);
    Box::new(verdict)
}

fn is_deprecated_in(endpoint: &Endpoint, mode: SecurityMode) -> bool {
    endpoint.security_mode == Some(mode)
        && SecurityPolicy::from_uri(&endpoint.security_policy_uri).is_some_and(SecurityPolicy::is_deprecated)
}

fn offered(endpoints: &[Endpoint]) -> Vec<String> {
    let mut offered = Vec::new();
    for endpoint in endpoints {
        let mode = endpoint.security_mode.map_or("an unknown mode", SecurityMode::name);
        let uri = &endpoint.security_policy_uri;
        let policy = match endpoint.security_policy.or_else(|| SecurityPolicy::from_uri(uri)) {
            Some(policy) if policy.is_deprecated() => format!("{policy}, deprecated"),
            Some(policy) => policy.name().to_owned(),
            None => format!("{}, unknown to this version", quoted(uri.rsplit('#').next().unwrap_or(uri))),
        };
        let transport = if endpoint.is_opc_tcp() { "" } else { " over another transport" };
        let line = format!("{mode} ({policy}){transport}");
        if !offered.contains(&line) && offered.len() < MAX_LISTED {
            offered.push(line);
        }
    }
    offered
}

#[cfg(test)]
mod tests {
    use koios_channel::UserTokenPolicy;
    use koios_pki::Curve;

    use super::*;

    const SECURE: SecurityMode = SecurityMode::SignAndEncrypt;
    const BASIC: SecurityPolicy = SecurityPolicy::Basic256Sha256;
    const AES256: SecurityPolicy = SecurityPolicy::Aes256Sha256RsaPss;

    fn url(text: &str) -> EndpointUrl {
        EndpointUrl::parse(text).unwrap()
    }

    fn endpoint(mode: SecurityMode, policy: SecurityPolicy, level: u8) -> Endpoint {
        let mut endpoint = Endpoint::new("opc.tcp://inside:4840/UA", mode, policy);
        endpoint.security_level = level;
        endpoint
    }

    fn criteria(mode: SecurityMode, policy: Option<SecurityPolicy>) -> SelectionCriteria {
        SelectionCriteria {
            security_policy: policy,
            key: Some(KeyAlgorithm::Rsa { bits: 2048 }),
            ..SelectionCriteria::new(mode)
        }
    }

    fn select(
        endpoints: &[Endpoint],
        criteria: &SelectionCriteria,
    ) -> Result<SelectedEndpoint, Box<Verdict>> {
        select_endpoint(endpoints, criteria, &url("opc.tcp://typed:4840"))
    }

    #[test]
    fn the_highest_security_level_wins_and_the_mode_is_exact() {
        let endpoints = [
            endpoint(SecurityMode::None, SecurityPolicy::None, 200),
            endpoint(SECURE, BASIC, 3),
            endpoint(SECURE, AES256, 2),
            endpoint(SecurityMode::Sign, AES256, 100),
        ];
        for (mode, policy, level) in [
            (SECURE, BASIC, 3),
            (SecurityMode::Sign, AES256, 100),
            (SecurityMode::None, SecurityPolicy::None, 200),
        ] {
            let selected = select(&endpoints, &criteria(mode, None)).unwrap();
            assert_eq!((selected.security_policy, selected.endpoint.security_level), (policy, level));
        }
    }

    #[test]
    fn between_equal_levels_the_stronger_policy_then_the_user_then_the_servers_order_decides() {
        let equal = [endpoint(SECURE, BASIC, 0), endpoint(SECURE, AES256, 0)];
        assert_eq!(select(&equal, &criteria(SECURE, None)).unwrap().security_policy, AES256);

        let mut with_user = endpoint(SECURE, BASIC, 0);
        with_user.user_tokens = vec![UserTokenPolicy::new("u", UserTokenKind::UserName)];
        let mut wanted = criteria(SECURE, None);
        wanted.user = UserTokenKind::UserName;
        let selected = select(&[endpoint(SECURE, BASIC, 0), with_user.clone()], &wanted).unwrap();
        assert_eq!(selected.endpoint, with_user);

        let mut first = endpoint(SECURE, BASIC, 0);
        first.url = "opc.tcp://inside:4840/first".to_owned();
        let selected = select(&[first.clone(), endpoint(SECURE, BASIC, 0)], &criteria(SECURE, None)).unwrap();
        assert_eq!(selected.endpoint, first);
    }

    #[test]
    fn between_equals_the_typed_port_and_then_the_typed_path_decides() {
        let at = |url: &str| {
            let mut endpoint = endpoint(SECURE, BASIC, 0);
            url.clone_into(&mut endpoint.url);
            endpoint
        };
        let endpoints = [
            at("opc.tcp://inside:4841/b"),
            at("opc.tcp://inside:4840/a"),
            at("opc.tcp://inside:4840/b"),
            at("not a url"),
        ];
        for (typed, expected) in [
            ("opc.tcp://typed:4840/b/", "opc.tcp://typed:4840/b"),
            ("opc.tcp://typed:4840", "opc.tcp://typed:4840/a"),
            ("opc.tcp://typed:4841/a", "opc.tcp://typed:4841/b"),
        ] {
            let selected = select_endpoint(&endpoints, &criteria(SECURE, None), &url(typed)).unwrap();
            assert_eq!(selected.url.as_str(), expected);
        }
    }

    #[test]
    fn auto_never_takes_a_deprecated_policy() {
        let old = SecurityPolicy::Basic256;
        let endpoints = [endpoint(SECURE, old, 9), endpoint(SECURE, BASIC, 1)];
        assert_eq!(select(&endpoints, &criteria(SECURE, None)).unwrap().security_policy, BASIC);
        let verdict = select(&endpoints[..1], &criteria(SECURE, None)).unwrap_err();
        assert_eq!(verdict.code, Code::NoMatchingEndpoint);
        assert!(verdict.causes[0].explanation.contains("deprecated policies only"), "{verdict:?}");
        assert!(verdict.detail.unwrap().contains("(Basic256, deprecated)"));
        assert_eq!(select(&endpoints, &criteria(SECURE, Some(old))).unwrap().security_policy, old);
        assert!(!is_supported(&endpoints[0], DeprecatedPolicies::Refused));
        let spoken = koios_channel::is_spoken(old);
        assert_eq!(is_supported(&endpoints[0], DeprecatedPolicies::Allowed), spoken);
    }

    #[test]
    fn a_policy_asked_for_is_taken_even_when_a_better_one_is_offered() {
        let endpoints = [endpoint(SECURE, AES256, 9), endpoint(SECURE, BASIC, 1)];
        assert_eq!(select(&endpoints, &criteria(SECURE, Some(BASIC))).unwrap().security_policy, BASIC);
    }

    #[test]
    fn a_server_for_another_kind_of_key_is_told_from_one_without_the_mode() {
        let endpoints = [endpoint(SECURE, SecurityPolicy::EccNistP256, 1)];
        let explanation = |criteria: &SelectionCriteria| {
            let verdict = select(&endpoints, criteria).unwrap_err();
            verdict.causes[0].explanation.to_string()
        };
        assert!(explanation(&criteria(SECURE, None)).contains("another kind of key"));
        assert!(!explanation(&criteria(SecurityMode::Sign, None)).contains("another kind of key"));
        let mut on_a_curve = criteria(SECURE, None);
        on_a_curve.key = Some(KeyAlgorithm::Ec { curve: Curve::P256 });
        assert_eq!(select(&endpoints, &on_a_curve).unwrap().security_policy, SecurityPolicy::EccNistP256);
    }

    #[test]
    fn what_this_version_or_the_key_cannot_do_is_not_chosen() {
        let mut unknown = endpoint(SECURE, BASIC, 9);
        unknown.security_policy = None;
        unknown.security_policy_uri = "http://opcfoundation.org/UA/SecurityPolicy#ECC_curve25519".to_owned();
        let mut https = endpoint(SECURE, BASIC, 9);
        https.transport_profile_uri =
            "http://opcfoundation.org/UA-Profile/Transport/https-uabinary".to_owned();
        let mut invalid_mode = endpoint(SECURE, BASIC, 9);
        invalid_mode.security_mode = None;
        // A secure mode without a policy would be no security under a reassuring name.
        let without_policy = endpoint(SECURE, SecurityPolicy::None, 9);
        let mode_none_with_policy = endpoint(SecurityMode::None, BASIC, 9);
        let endpoints = [unknown, https, invalid_mode, without_policy, mode_none_with_policy];
        for mode in [SECURE, SecurityMode::Sign, SecurityMode::None] {
            let verdict = select(&endpoints, &criteria(mode, None)).unwrap_err();
            assert_eq!(verdict.code, Code::NoMatchingEndpoint);
        }
        assert!(endpoints.iter().all(|endpoint| !is_supported(endpoint, DeprecatedPolicies::Allowed)));

        for key in [KeyAlgorithm::Rsa { bits: 1024 }, KeyAlgorithm::Ec { curve: Curve::P256 }] {
            let wanted = SelectionCriteria { key: Some(key), ..criteria(SECURE, None) };
            assert!(select(&[endpoint(SECURE, BASIC, 1)], &wanted).is_err());
        }
        let no_key = SelectionCriteria { key: None, ..criteria(SECURE, None) };
        assert!(select(&[endpoint(SECURE, SecurityPolicy::None, 1)], &no_key).is_err());
    }

    #[test]
    fn the_verdict_lists_what_is_offered_in_bounded_and_harmless_words() {
        let mut endpoints = vec![endpoint(SecurityMode::None, SecurityPolicy::None, 0); 3];
        for number in 0..50 {
            let mut odd = endpoint(SECURE, BASIC, 0);
            odd.security_policy = None;
            odd.security_policy_uri = format!("http://x#\u{1b}[31m{number}");
            endpoints.push(odd);
        }
        let verdict = select(&endpoints, &criteria(SECURE, Some(BASIC))).unwrap_err();
        assert_eq!(verdict.failed_stage, Some(Stage::EndpointSelection));
        let detail = verdict.detail.unwrap();
        assert!(detail.contains("None (None)") && detail.contains("Basic256Sha256"), "{detail}");
        assert!(!detail.contains('\u{1b}') && detail.len() < 2_000, "{detail}");
        assert_eq!(verdict.causes[0].evidence.len(), MAX_LISTED);
        assert!(select(&[], &criteria(SECURE, None)).unwrap_err().detail.unwrap().contains("at all"));
    }

    #[test]
    fn the_typed_host_is_kept_and_the_advertised_path_is_taken() {
        for (typed, advertised, expected) in [
            ("opc.tcp://typed:4840", "opc.tcp://inside:4840/UA", "opc.tcp://typed:4840/UA"),
            ("opc.tcp://typed", "opc.tcp://inside:4840", "opc.tcp://typed:4840"),
            ("opc.tcp://10.0.0.7:4840/x", "opc.tcp://inside:4840/UA", "opc.tcp://10.0.0.7:4840/UA"),
            ("opc.tcp://[::1]:4840", "opc.tcp://inside:4840/UA", "opc.tcp://[::1]:4840/UA"),
            // A forwarded port: what the server believes to be its port is not reachable from here.
            ("opc.tcp://typed:14840", "opc.tcp://inside:4840/UA", "opc.tcp://typed:14840/UA"),
            ("opc.tcp://typed:4840/x", "not a url", "opc.tcp://typed:4840/x"),
        ] {
            let mut only = endpoint(SECURE, BASIC, 0);
            only.url = advertised.to_owned();
            let selected = select_endpoint(&[only], &criteria(SECURE, None), &url(typed)).unwrap();
            assert_eq!(selected.url.as_str(), expected);
        }
    }

    #[test]
    fn another_advertised_port_is_used_when_the_server_also_advertises_the_typed_one() {
        let mut secured = endpoint(SECURE, BASIC, 1);
        secured.url = "opc.tcp://inside:4843/UA".to_owned();
        let open = endpoint(SecurityMode::None, SecurityPolicy::None, 0);
        let selected = select(&[open, secured], &criteria(SECURE, None)).unwrap();
        assert_eq!(selected.url.as_str(), "opc.tcp://typed:4843/UA");
    }
}
