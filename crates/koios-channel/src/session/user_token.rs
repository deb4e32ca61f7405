use koios_pki::{CertificateChain, SecurityMode, SecurityPolicy};
use zeroize::Zeroizing;

use crate::chunk::asymmetric::encrypt_blocks;
use crate::endpoint::{Endpoint, UserTokenKind, UserTokenPolicy};
use crate::error::Fault;
use crate::keys::Peer;
use crate::policy::Algorithms;
use crate::service::UserToken;
use crate::{Limits, UserIdentity};

/// Makes the token for `user` in the form the endpoint takes (OPC 10000-4 §7.40).
///
/// A password is encrypted to the server's certificate under the token's policy. Without encryption of its own it only
/// travels inside an encrypted channel. A certificate's key signs the server's certificate and nonce under the token's
/// policy: milliseconds.
pub(super) fn user_token(
    user: &UserIdentity,
    endpoint: &Endpoint,
    mode: SecurityMode,
    peer: Option<&Peer>,
    server_nonce: &[u8],
    limits: &Limits,
) -> Result<UserToken, Fault> {
    match user {
        UserIdentity::Anonymous => {
            let policy = of_kind(endpoint, UserTokenKind::Anonymous).next();
            let policy = policy.ok_or(Fault::NoUserTokenPolicy { kind: UserTokenKind::Anonymous })?;
            Ok(UserToken::Anonymous { policy_id: policy.policy_id.clone() })
        }
        UserIdentity::UserName { user_name, password } => {
            let chosen = choose(endpoint, mode)?;
            let (secret, encryption) = match chosen.encryption {
                None => (Zeroizing::new(password.as_bytes().to_vec()), None),
                Some((policy, algorithms)) => {
                    let mut own = None;
                    let peer = peer_of(peer, &mut own, endpoint, policy, limits)?;
                    let secret = encrypted(password, server_nonce, policy, &algorithms, peer)?;
                    (Zeroizing::new(secret), Some(algorithms.encryption_uri))
                }
            };
            Ok(UserToken::UserName {
                policy_id: chosen.token.policy_id.clone(),
                user_name: user_name.clone(),
                password: secret,
                encryption,
            })
        }
        UserIdentity::Certificate(identity) => {
            let (token, policy, algorithms) = signing_token(endpoint)?;
            let bits = identity.key().bits();
            if !crate::policy::allows_key(policy, bits) {
                return Err(Fault::KeySize { bits, policy });
            }
            super::check_server_nonce(server_nonce)?;
            let mut own = None;
            let peer = peer_of(peer, &mut own, endpoint, policy, limits)?;
            let signature = identity
                .key()
                .sign(algorithms.signature, &[peer.leaf_der(), server_nonce].concat())
                .map_err(|_| Fault::Crypto { operation: "signing" })?;
            Ok(UserToken::Certificate {
                policy_id: token.policy_id.clone(),
                certificate: identity.leaf().der().to_vec(),
                signature: (algorithms.signature_uri, signature),
            })
        }
    }
}

/// The first token for a certificate whose policy has a signature: without one the server could not check whose
/// certificate it is.
fn signing_token(endpoint: &Endpoint) -> Result<(&UserTokenPolicy, SecurityPolicy, Algorithms), Fault> {
    let mut unsupported = None;
    for token in of_kind(endpoint, UserTokenKind::Certificate) {
        let uri = policy_uri(token, endpoint);
        match SecurityPolicy::from_uri(uri).and_then(|policy| Some((policy, Algorithms::of(policy)?))) {
            Some((policy, algorithms)) => return Ok((token, policy, algorithms)),
            None => unsupported = unsupported.or(Some(uri)),
        }
    }
    Err(match unsupported {
        Some(uri) => Fault::UnsupportedUserTokenPolicy { uri: uri.to_owned() },
        None => Fault::NoUserTokenPolicy { kind: UserTokenKind::Certificate },
    })
}

/// A way to send a password.
struct Chosen<'a> {
    token: &'a UserTokenPolicy,
    /// `None`: as it is, protected by the channel.
    encryption: Option<(SecurityPolicy, Algorithms)>,
}

/// The first token that encrypts the password; else one that leaves it to a channel that encrypts.
fn choose(endpoint: &Endpoint, mode: SecurityMode) -> Result<Chosen<'_>, Fault> {
    let mut clear = None;
    let mut unsupported = None;
    for token in of_kind(endpoint, UserTokenKind::UserName) {
        let uri = policy_uri(token, endpoint);
        match SecurityPolicy::from_uri(uri) {
            Some(SecurityPolicy::None) => clear = clear.or(Some(token)),
            Some(policy) => {
                if let Some(algorithms) = Algorithms::of(policy) {
                    return Ok(Chosen { token, encryption: Some((policy, algorithms)) });
                }
            }
            None => unsupported = unsupported.or(Some(uri)),
        }
    }
    match (clear, unsupported) {
        (Some(token), _) if mode == SecurityMode::SignAndEncrypt => Ok(Chosen { token, encryption: None }),
        (_, Some(uri)) => Err(Fault::UnsupportedUserTokenPolicy { uri: uri.to_owned() }),
        (Some(_), None) => Err(Fault::PasswordWouldBeInClear),
        (None, None) => Err(Fault::NoUserTokenPolicy { kind: UserTokenKind::UserName }),
    }
}

fn of_kind(endpoint: &Endpoint, kind: UserTokenKind) -> impl Iterator<Item = &UserTokenPolicy> {
    endpoint.user_tokens.iter().filter(move |token| token.kind == kind)
}

/// A token without a policy of its own has the endpoint's (OPC 10000-4 §7.41).
fn policy_uri<'a>(token: &'a UserTokenPolicy, endpoint: &'a Endpoint) -> &'a str {
    token.security_policy_uri.as_deref().unwrap_or(&endpoint.security_policy_uri)
}

/// The channel's peer. Without a secured channel the endpoint's certificate, which the caller has judged, is the one to
/// encrypt to; it is put into `own`.
fn peer_of<'a>(
    channels: Option<&'a Peer>,
    own: &'a mut Option<Peer>,
    endpoint: &Endpoint,
    policy: SecurityPolicy,
    limits: &Limits,
) -> Result<&'a Peer, Fault> {
    if let Some(peer) = channels {
        return Ok(peer);
    }
    let missing = || Fault::ServerKey { detail: "the endpoint has no certificate to encrypt to".to_owned() };
    let blob = endpoint.server_certificate.as_deref().ok_or_else(missing)?;
    let chain = CertificateChain::from_der_blob(blob, limits.max_chain)
        .map_err(|error| Fault::ServerKey { detail: error.to_string() })?;
    Ok(own.insert(Peer::new(chain.leaf(), policy)?))
}

/// The secret of OPC 10000-4 §7.40.2.2: length of what follows, password, server nonce; in as many blocks as it takes.
fn encrypted(
    password: &str,
    server_nonce: &[u8],
    policy: SecurityPolicy,
    algorithms: &Algorithms,
    peer: &Peer,
) -> Result<Vec<u8>, Fault> {
    // The nonce is what keeps a recorded token from working twice.
    super::check_server_nonce(server_nonce)?;
    if !crate::policy::allows_key(policy, peer.key().bits()) {
        return Err(Fault::ServerKey { detail: format!("{} bits with {policy}", peer.key().bits()) });
    }
    let len = password.len() + server_nonce.len();
    let prefix = u32::try_from(len).map_err(|_| crate::wire::limit("password in bytes", len, usize::MAX))?;
    let mut secret = Zeroizing::new(Vec::with_capacity(size_of::<u32>() + len));
    secret.extend_from_slice(&prefix.to_le_bytes());
    secret.extend_from_slice(password.as_bytes());
    secret.extend_from_slice(server_nonce);
    let mut out = Vec::new();
    encrypt_blocks(algorithms, peer, &secret, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::ApplicationDescription;

    fn endpoint(tokens: &[(UserTokenKind, Option<&str>)]) -> Endpoint {
        Endpoint {
            url: String::new(),
            security_mode: None,
            security_policy_uri: SecurityPolicy::None.uri().to_owned(),
            security_policy: None,
            security_level: 0,
            server_certificate: None,
            transport_profile_uri: String::new(),
            user_tokens: tokens
                .iter()
                .enumerate()
                .map(|(at, (kind, uri))| UserTokenPolicy {
                    policy_id: at.to_string(),
                    kind: *kind,
                    security_policy_uri: uri.map(str::to_owned),
                })
                .collect(),
            server: ApplicationDescription::default(),
        }
    }

    fn make(endpoint: &Endpoint, mode: SecurityMode) -> Result<UserToken, Fault> {
        let user = UserIdentity::UserName {
            user_name: "op".to_owned(),
            password: Zeroizing::new("secret".to_owned()),
        };
        user_token(&user, endpoint, mode, None, &[7; 32], &Limits::default())
    }

    const USER: UserTokenKind = UserTokenKind::UserName;
    const NONE: Option<&str> = Some(SecurityPolicy::None.uri());

    #[test]
    fn a_password_never_travels_in_clear_text_outside_of_an_encrypted_channel() {
        for tokens in [&[(USER, NONE)][..], &[(USER, None)]] {
            for mode in [SecurityMode::None, SecurityMode::Sign] {
                assert_eq!(make(&endpoint(tokens), mode).err(), Some(Fault::PasswordWouldBeInClear));
            }
            let token = make(&endpoint(tokens), SecurityMode::SignAndEncrypt).unwrap();
            assert!(
                matches!(token, UserToken::UserName { password, encryption: None, .. } if *password == b"secret")
            );
        }
    }

    #[test]
    fn a_token_that_encrypts_is_preferred_and_needs_a_certificate() {
        let tokens = [(USER, NONE), (USER, Some(SecurityPolicy::Basic256Sha256.uri()))];
        for mode in [SecurityMode::None, SecurityMode::Sign, SecurityMode::SignAndEncrypt] {
            assert!(matches!(make(&endpoint(&tokens), mode), Err(Fault::ServerKey { .. })));
        }
    }

    #[test]
    fn a_certificate_needs_a_token_that_is_signed_with_a_key_that_fits() {
        let identity = std::sync::Arc::clone(&crate::test_server::CLIENT);
        let user = UserIdentity::Certificate(identity);
        let make = |tokens: &[_]| {
            user_token(&user, &endpoint(tokens), SecurityMode::None, None, &[7; 32], &Limits::default()).err()
        };
        let kind = UserTokenKind::Certificate;
        assert_eq!(make(&[(USER, NONE)]), Some(Fault::NoUserTokenPolicy { kind }));
        let none = SecurityPolicy::None.uri().to_owned();
        assert_eq!(make(&[(kind, None)]), Some(Fault::UnsupportedUserTokenPolicy { uri: none }));
        let signed = [(kind, NONE), (kind, Some(SecurityPolicy::Basic256Sha256.uri()))];
        assert!(
            matches!(make(&signed), Some(Fault::ServerKey { .. })),
            "the endpoint has no certificate to sign"
        );
    }

    #[test]
    fn tokens_we_cannot_make_are_named() {
        let basic128 = "http://opcfoundation.org/UA/SecurityPolicy#Basic128Rsa15";
        assert_eq!(
            make(&endpoint(&[(USER, Some(basic128))]), SecurityMode::Sign).err(),
            Some(Fault::UnsupportedUserTokenPolicy { uri: basic128.to_owned() })
        );
        assert_eq!(
            make(&endpoint(&[(UserTokenKind::Anonymous, None)]), SecurityMode::Sign).err(),
            Some(Fault::NoUserTokenPolicy { kind: USER })
        );
        let anonymous = user_token(
            &UserIdentity::Anonymous,
            &endpoint(&[(USER, None)]),
            SecurityMode::None,
            None,
            &[],
            &Limits::default(),
        );
        assert_eq!(anonymous.err(), Some(Fault::NoUserTokenPolicy { kind: UserTokenKind::Anonymous }));
    }
}
