use koios_pki::{CertificateChain, SecurityMode, SecurityPolicy};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::binding::Binding;
use super::encrypted_secret::Envelope;
use crate::chunk::asymmetric::encrypt_blocks;
use crate::endpoint::{Endpoint, UserTokenKind, UserTokenPolicy};
use crate::error::Fault;
use crate::keys::{Peer, Security};
use crate::policy::{Algorithms, Asymmetric, RsaAlgorithms, binds_sessions};
use crate::service::UserToken;
use crate::{Limits, UserIdentity};

/// What a user's token depends on beside the user.
pub(super) struct Circumstances<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) security: &'a Security,
    pub(super) peer: Option<&'a Peer>,
    pub(super) server_nonce: &'a [u8],
    /// The server's ephemeral key, proven to be the peer's.
    pub(super) server_key: Option<&'a [u8]>,
    pub(super) binding: Option<&'a Binding<'a>>,
    pub(super) time: OffsetDateTime,
    pub(super) limits: &'a Limits,
}

impl Circumstances<'_> {
    /// Makes the token for `user` in the form the endpoint takes (OPC 10000-4 §7.40).
    ///
    /// A password is encrypted to the server's certificate or ephemeral key under the token's policy. Without encryption
    /// of its own it only travels inside an encrypted channel. A certificate's key signs the server's certificate and nonce
    /// under the token's policy: milliseconds.
    pub(super) fn token_for(&self, user: &UserIdentity) -> Result<UserToken, Fault> {
        let Self { endpoint, server_nonce, .. } = self;
        match user {
            UserIdentity::Anonymous => {
                let policy = of_kind(endpoint, UserTokenKind::Anonymous).next();
                let policy = policy.ok_or_else(|| not_offered(endpoint, UserTokenKind::Anonymous))?;
                Ok(UserToken::Anonymous { policy_id: policy.policy_id.clone() })
            }
            UserIdentity::UserName { user_name, password } => {
                let chosen = choose(endpoint, self.security)?;
                let (secret, encryption) = match chosen.encryption {
                    None => (password.as_bytes().to_vec(), None),
                    Some(Encryption::Rsa(policy, rsa)) => {
                        (self.encrypted(password, policy, &rsa)?, Some(rsa.encryption_uri))
                    }
                    Some(Encryption::Ecc(policy)) => (self.sealed(password, policy)?, None),
                };
                Ok(UserToken::UserName {
                    policy_id: chosen.token.policy_id.clone(),
                    user_name: user_name.clone(),
                    password: Zeroizing::new(secret),
                    encryption,
                })
            }
            UserIdentity::Certificate(identity) => {
                let (token, policy, algorithms) = signing_token(endpoint, self.security.policy())?;
                let key = identity.key().algorithm();
                if !policy.allows_key(&key) {
                    return Err(Fault::KeyNotAllowed { key, policy });
                }
                super::check_server_nonce(server_nonce)?;
                let mut own = None;
                let peer = self.peer_for(&mut own, policy)?;
                let message = match self.binding {
                    Some(binding) if binds_sessions(policy) => binding.user_message(),
                    _ => [peer.leaf_der(), server_nonce].concat(),
                };
                let signature = identity.key().sign(&algorithms, &message)?;
                Ok(UserToken::Certificate {
                    policy_id: token.policy_id.clone(),
                    certificate: identity.leaf().der().to_vec(),
                    signature: (algorithms.signature_uri(), signature),
                })
            }
        }
    }

    /// The channel's peer. Without a secured channel the endpoint's certificate, which the caller has judged, is the one to
    /// encrypt to; it is put into `own`.
    fn peer_for<'b>(&'b self, own: &'b mut Option<Peer>, policy: SecurityPolicy) -> Result<&'b Peer, Fault> {
        if let Some(peer) = self.peer {
            return Ok(peer);
        }
        let missing =
            || Fault::ServerKey { detail: "the endpoint has no certificate to encrypt to".to_owned() };
        let blob = self.endpoint.server_certificate.as_deref().ok_or_else(missing)?;
        let chain = CertificateChain::from_der_blob(blob, self.limits.max_chain)
            .map_err(|error| Fault::ServerKey { detail: error.to_string() })?;
        Ok(own.insert(Peer::new(chain.leaf(), policy)?))
    }

    /// The secret of OPC 10000-4 §7.40.2.2: length of what follows, password, server nonce; in as many blocks as it takes.
    fn encrypted(
        &self,
        password: &str,
        policy: SecurityPolicy,
        rsa: &RsaAlgorithms,
    ) -> Result<Vec<u8>, Fault> {
        // The nonce is what keeps a recorded token from working twice.
        super::check_server_nonce(self.server_nonce)?;
        let mut own = None;
        let peer = self.peer_for(&mut own, policy)?;
        peer.require(policy)?;
        let key = peer.key().as_rsa().ok_or(Fault::Crypto { operation: "RSA encryption" })?;
        let len = password.len() + self.server_nonce.len();
        let prefix =
            u32::try_from(len).map_err(|_| crate::wire::limit("password in bytes", len, usize::MAX))?;
        let mut secret = Zeroizing::new(Vec::with_capacity(size_of::<u32>() + len));
        secret.extend_from_slice(&prefix.to_le_bytes());
        secret.extend_from_slice(password.as_bytes());
        secret.extend_from_slice(self.server_nonce);
        let mut out = Vec::new();
        encrypt_blocks(rsa, key, &secret, &mut out)?;
        Ok(out)
    }

    /// The secret of OPC 10000-4 §7.40.2.5.
    fn sealed(&self, password: &str, policy: SecurityPolicy) -> Result<Vec<u8>, Fault> {
        super::check_server_nonce(self.server_nonce)?;
        let Security::Secure { identity, .. } = self.security else { return Err(Fault::NotReady) };
        let envelope = Envelope {
            policy,
            identity,
            server_nonce: self.server_nonce,
            server_key: self.server_key.ok_or(Fault::NoEphemeralKey)?,
            time: self.time,
        };
        envelope.seal(password.as_bytes())
    }
}

/// The policy on a curve under which [`Circumstances::token_for`] would send a password; the server is asked for a key then.
pub(super) fn secrets_policy(endpoint: &Endpoint, security: &Security) -> Option<SecurityPolicy> {
    match choose(endpoint, security).ok()?.encryption {
        Some(Encryption::Ecc(policy)) => Some(policy),
        _ => None,
    }
}

/// The first token for a certificate whose policy has a signature: without one the server could not check whose
/// certificate it is. A deprecated one only where the channel is deprecated already.
fn signing_token(
    endpoint: &Endpoint,
    of_channel: SecurityPolicy,
) -> Result<(&UserTokenPolicy, SecurityPolicy, Algorithms), Fault> {
    let mut unsupported = None;
    for token in of_kind(endpoint, UserTokenKind::Certificate) {
        let uri = policy_uri(token, endpoint);
        let policy =
            SecurityPolicy::from_uri(uri).filter(|policy| !policy.is_deprecated() || *policy == of_channel);
        match policy.and_then(|policy| Some((policy, Algorithms::of(policy)?))) {
            Some((policy, algorithms)) => return Ok((token, policy, algorithms)),
            None => unsupported = unsupported.or(Some(uri)),
        }
    }
    Err(match unsupported {
        Some(uri) => Fault::UnsupportedUserTokenPolicy { uri: uri.to_owned() },
        None => not_offered(endpoint, UserTokenKind::Certificate),
    })
}

/// A way to send a password.
struct Chosen<'a> {
    token: &'a UserTokenPolicy,
    /// `None`: as it is, protected by the channel.
    encryption: Option<Encryption>,
}

/// To whom, and how, a password is encrypted.
enum Encryption {
    /// To the server's certificate.
    Rsa(SecurityPolicy, RsaAlgorithms),
    /// To an ephemeral key of the server, signed with our certificate.
    Ecc(SecurityPolicy),
}

/// The first token that encrypts the password; else one that leaves it to a channel that encrypts.
fn choose<'a>(endpoint: &'a Endpoint, security: &Security) -> Result<Chosen<'a>, Fault> {
    if security.policy().is_deprecated() {
        return Err(Fault::PasswordUnderDeprecatedPolicy { policy: security.policy() });
    }
    let mut clear = None;
    let mut deprecated = None;
    let mut unsupported = None;
    for token in of_kind(endpoint, UserTokenKind::UserName) {
        let uri = policy_uri(token, endpoint);
        match SecurityPolicy::from_uri(uri) {
            Some(SecurityPolicy::None) => clear = clear.or(Some(token)),
            Some(policy) if policy.is_deprecated() => deprecated = Some(policy),
            Some(policy) => match encryption(policy, security) {
                Some(encryption) => return Ok(Chosen { token, encryption: Some(encryption) }),
                None => unsupported = unsupported.or(Some(uri)),
            },
            None => unsupported = unsupported.or(Some(uri)),
        }
    }
    match (clear, unsupported) {
        (Some(token), _) if security.mode() == SecurityMode::SignAndEncrypt => {
            Ok(Chosen { token, encryption: None })
        }
        (_, Some(uri)) => Err(Fault::UnsupportedUserTokenPolicy { uri: uri.to_owned() }),
        (None, None) if let Some(policy) = deprecated => Err(Fault::PasswordUnderDeprecatedPolicy { policy }),
        (Some(_), None) => Err(Fault::PasswordWouldBeInClear),
        (None, None) => Err(not_offered(endpoint, UserTokenKind::UserName)),
    }
}

/// How a policy encrypts passwords on such a channel; on a curve only for who can sign them.
fn encryption(policy: SecurityPolicy, security: &Security) -> Option<Encryption> {
    match (Algorithms::of(policy)?.asymmetric, security) {
        (Asymmetric::Rsa(rsa), _) => Some(Encryption::Rsa(policy, rsa)),
        (Asymmetric::Ecc(_), Security::Secure { identity, .. }) => {
            policy.allows_key(&identity.key().algorithm()).then_some(Encryption::Ecc(policy))
        }
        (Asymmetric::Ecc(_), Security::None) => None,
    }
}

fn not_offered(endpoint: &Endpoint, kind: UserTokenKind) -> Fault {
    let mut tokens = endpoint.user_tokens.iter().peekable();
    if tokens.peek().is_some() && tokens.all(|token| token.kind == UserTokenKind::IssuedToken) {
        return Fault::OnlyIssuedTokens;
    }
    Fault::NoUserTokenPolicy { kind }
}

fn of_kind(endpoint: &Endpoint, kind: UserTokenKind) -> impl Iterator<Item = &UserTokenPolicy> {
    endpoint.user_tokens.iter().filter(move |token| token.kind == kind)
}

/// A token without a policy of its own has the endpoint's (OPC 10000-4 §7.41).
fn policy_uri<'a>(token: &'a UserTokenPolicy, endpoint: &'a Endpoint) -> &'a str {
    token.security_policy_uri.as_deref().unwrap_or(&endpoint.security_policy_uri)
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

    fn token_for(user: &UserIdentity, endpoint: &Endpoint, mode: SecurityMode) -> Result<UserToken, Fault> {
        let security = match mode {
            SecurityMode::None => Security::None,
            mode => crate::test_server::security(SecurityPolicy::Basic256Sha256, mode),
        };
        let circumstances = Circumstances {
            endpoint,
            security: &security,
            peer: None,
            server_nonce: &[7; 32],
            server_key: None,
            binding: None,
            time: OffsetDateTime::UNIX_EPOCH,
            limits: &Limits::default(),
        };
        circumstances.token_for(user)
    }

    fn make(endpoint: &Endpoint, mode: SecurityMode) -> Result<UserToken, Fault> {
        let user = UserIdentity::UserName {
            user_name: "op".to_owned(),
            password: Zeroizing::new("secret".to_owned()),
        };
        token_for(&user, endpoint, mode)
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
        let make = |tokens: &[_]| token_for(&user, &endpoint(tokens), SecurityMode::None).err();
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
    fn a_password_is_never_encrypted_under_a_deprecated_policy() {
        for policy in SecurityPolicy::DEPRECATED {
            for mode in [SecurityMode::None, SecurityMode::Sign, SecurityMode::SignAndEncrypt] {
                let refused = Some(Fault::PasswordUnderDeprecatedPolicy { policy });
                assert_eq!(make(&endpoint(&[(USER, Some(policy.uri()))]), mode).err(), refused);
            }
            let tokens = [(USER, Some(policy.uri())), (USER, NONE)];
            let token = make(&endpoint(&tokens), SecurityMode::SignAndEncrypt).unwrap();
            assert!(
                matches!(token, UserToken::UserName { policy_id, encryption: None, .. } if policy_id == "1")
            );
            assert_eq!(
                make(&endpoint(&tokens), SecurityMode::Sign).err(),
                Some(Fault::PasswordWouldBeInClear)
            );
            let kind = UserTokenKind::Certificate;
            let user = UserIdentity::Certificate(std::sync::Arc::clone(&crate::test_server::CLIENT));
            let endpoint = endpoint(&[(kind, Some(policy.uri()))]);
            let uri = policy.uri().to_owned();
            assert_eq!(
                token_for(&user, &endpoint, SecurityMode::Sign).err(),
                Some(Fault::UnsupportedUserTokenPolicy { uri }),
                "the channel is not of that policy"
            );
        }
    }

    #[test]
    fn tokens_we_cannot_make_are_named() {
        let unknown = "http://opcfoundation.org/UA/SecurityPolicy#Basic1024";
        assert_eq!(
            make(&endpoint(&[(USER, Some(unknown))]), SecurityMode::Sign).err(),
            Some(Fault::UnsupportedUserTokenPolicy { uri: unknown.to_owned() })
        );
        assert_eq!(
            make(&endpoint(&[(UserTokenKind::Anonymous, None)]), SecurityMode::Sign).err(),
            Some(Fault::NoUserTokenPolicy { kind: USER })
        );
        let curve = SecurityPolicy::EccNistP256.uri();
        for mode in [SecurityMode::None, SecurityMode::Sign, SecurityMode::SignAndEncrypt] {
            assert_eq!(
                make(&endpoint(&[(USER, Some(curve))]), mode).err(),
                Some(Fault::UnsupportedUserTokenPolicy { uri: curve.to_owned() }),
                "who has an RSA key cannot sign it"
            );
        }
        let user = UserIdentity::Certificate(std::sync::Arc::clone(&crate::test_server::CLIENT));
        let issued = endpoint(&[(UserTokenKind::IssuedToken, None)]);
        for user in [UserIdentity::Anonymous, user] {
            let refused = token_for(&user, &issued, SecurityMode::Sign).err();
            assert_eq!(refused, Some(Fault::OnlyIssuedTokens), "{user:?}");
        }
        assert_eq!(make(&issued, SecurityMode::Sign).err(), Some(Fault::OnlyIssuedTokens));
        let anonymous = token_for(&UserIdentity::Anonymous, &endpoint(&[(USER, None)]), SecurityMode::None);
        assert_eq!(anonymous.err(), Some(Fault::NoUserTokenPolicy { kind: UserTokenKind::Anonymous }));
    }
}
