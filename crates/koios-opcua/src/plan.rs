//! From a stored device to the values of one attempt.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use koios_channel::{
    ClientIdentity, EndpointUrl, EndpointUrlError, IdentityError, SecurityMode, SecurityPolicy, UserIdentity,
};
use koios_pki::{CertificateChain, KeyError, PrivateKey};
use koios_store::{
    AttemptEvidence, CertificateId, CertificateRecord, Device, DeviceId, DeviceUser, IdentityFilesError,
    ServerCertificatePolicy, Store, StoreError, StoredIdentity,
};
use zeroize::Zeroizing;

use crate::assignment::{EffectiveCertificate, effective_certificate};
use crate::code::Code;
use crate::earlier::{EarlierAttempt, EarlierOutcome};
use crate::identities::Identities;
use crate::server_certificate::{ServerTrust, ServerValidation};
use crate::target::{CertificateLabel, ClientCertificate, Target, UnavailableReason};

/// What a device is set to, saved or not: its fields may be overridden before a Test.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DevicePlan {
    /// The device that this is about; what the attempt sees of the server is kept for it. `None` keeps nothing.
    pub device: Option<DeviceId>,
    /// The server, as the user typed it. Changed through [`DevicePlan::at_endpoint`], which minds the pin.
    pub endpoint_url: EndpointUrl,
    /// How messages are to be protected.
    pub security_mode: SecurityMode,
    /// The policy; `None` takes the best one offered.
    pub security_policy: Option<SecurityPolicy>,
    /// The certificate named; `None` takes the default.
    pub certificate_id: Option<CertificateId>,
    /// Who logs in.
    pub user: UserIdentity,
    /// How the server's certificate is judged.
    pub server_certificate_policy: ServerCertificatePolicy,
    /// The server certificate known.
    pub pinned_server_certificate: Option<CertificateChain>,
    /// Whether a server certificate that is validated must name the host.
    pub host_name_check: bool,
    /// The bound of one attempt.
    pub timeout: Duration,
    /// How often an enabled device is read.
    pub scan_rate: Duration,
}

impl DevicePlan {
    /// A plan with the defaults of a device: mode `None`, best policy, anonymous, pin, 10 s, one scan a second.
    #[must_use]
    pub fn new(endpoint_url: EndpointUrl) -> Self {
        Self {
            device: None,
            endpoint_url,
            security_mode: SecurityMode::None,
            security_policy: None,
            certificate_id: None,
            user: UserIdentity::Anonymous,
            server_certificate_policy: ServerCertificatePolicy::Pin,
            pinned_server_certificate: None,
            host_name_check: true,
            timeout: Duration::from_secs(10),
            scan_rate: Duration::from_secs(1),
        }
    }

    /// The plan of a stored device, its password included.
    ///
    /// With a password it is the plan of the device as it is stored now: a password never goes to a server that it was
    /// not saved for.
    ///
    /// # Errors
    /// [`PlanError`] when the password cannot be read, or the stored URL is none.
    pub async fn of(store: &Store, device: &Device) -> Result<Self, PlanError> {
        let stored;
        let (device, password) = match device.user_identity {
            DeviceUser::UserName { password_set: true, .. } => {
                stored = store.device_with_password(device.id).await?;
                (&stored.0, stored.1.as_ref())
            }
            _ => (device, None),
        };
        let endpoint_url = EndpointUrl::parse(&device.endpoint_url)?;
        let user = match &device.user_identity {
            DeviceUser::UserName { username, .. } => UserIdentity::UserName {
                user_name: username.clone(),
                password: password.cloned().unwrap_or_else(|| Zeroizing::new(String::new())),
            },
            _ => UserIdentity::Anonymous,
        };
        Ok(Self {
            device: Some(device.id),
            endpoint_url,
            security_mode: device.security_mode,
            security_policy: device.security_policy,
            certificate_id: device.certificate_id,
            user,
            server_certificate_policy: device.server_certificate_policy,
            pinned_server_certificate: device.pinned_server_certificate.clone(),
            host_name_check: device.server_host_name_check,
            timeout: Duration::from_secs(device.timeout_seconds.into()),
            scan_rate: scan_rate(device),
        })
    }

    /// Whether the device still means the server at this plan's host and port. What was seen there says nothing about a
    /// device that has moved meanwhile.
    ///
    /// # Errors
    /// [`PlanError`] when the device cannot be read.
    pub(crate) async fn is_current_server(&self, store: &Store) -> Result<bool, PlanError> {
        let Some(device) = self.device else { return Ok(false) };
        let device = store.device(device).await?;
        Ok(EndpointUrl::parse(&device.endpoint_url)?.is_same_server(&self.endpoint_url))
    }

    /// The same at another URL. Another host or port is another server: the pin says nothing about it, and what is
    /// seen there is not kept for the device.
    #[must_use]
    pub fn at_endpoint(mut self, endpoint_url: EndpointUrl) -> Self {
        if !endpoint_url.is_same_server(&self.endpoint_url) {
            self.device = None;
            self.pinned_server_certificate = None;
        }
        self.endpoint_url = endpoint_url;
        self
    }
}

/// A device's scan rate; the store keeps it within 0.1 to 3600 s.
pub(crate) fn scan_rate(device: &Device) -> Duration {
    Duration::try_from_secs_f64(device.scan_rate_seconds).unwrap_or(Duration::from_secs(1))
}

/// Why no target could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The stored endpoint URL is none.
    #[error("the endpoint URL cannot be read")]
    EndpointUrl(#[from] EndpointUrlError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A policy for server certificates that this version does not know; to connect all the same would be to trust anybody.
    #[error("the server certificate policy {policy} is not part of this version")]
    UnknownPolicy {
        /// Its name.
        policy: ServerCertificatePolicy,
    },
}

/// Makes the values of one attempt: effective certificate, identity from the disk, ApplicationUri of the certificate.
///
/// Certificate and key are loaded here, each time, so that files put back or replaced count at the next attempt. What
/// is wrong with them is part of the target ([`ClientCertificate::Unavailable`]) and becomes the attempt's verdict.
/// `fallback_application_uri` is stated where no certificate says one: mode `None`, and certificates without URI.
///
/// # Errors
/// [`PlanError`] when the store fails or the plan asks for what this version cannot do.
pub async fn target_of(
    store: &Store,
    plan: &DevicePlan,
    fallback_application_uri: &str,
) -> Result<Target, PlanError> {
    target_sharing(store, plan, fallback_application_uri, &Identities::default()).await
}

/// As [`target_of`], with the keys that are in use already.
pub(crate) async fn target_sharing(
    store: &Store,
    plan: &DevicePlan,
    fallback_application_uri: &str,
    identities: &Identities,
) -> Result<Target, PlanError> {
    let server_trust = server_trust(plan.server_certificate_policy, plan.pinned_server_certificate.clone())?;
    let server_validation = server_validation(store, &server_trust, plan.host_name_check).await?;
    let client = client_certificate(store, plan, identities).await?;
    let mut target = Target::new(plan.endpoint_url.clone(), fallback_application_uri);
    if let Some(uri) = client.chain().and_then(|chain| chain.leaf().application_uri()) {
        uri.clone_into(&mut target.application_uri);
    }
    target.security_mode = plan.security_mode;
    target.security_policy = plan.security_policy;
    target.client = client;
    target.user = plan.user.clone();
    target.server_trust = server_trust;
    target.server_validation = server_validation;
    target.timeout = plan.timeout;
    if plan.security_mode.needs_certificate() {
        target.earlier = earlier_attempts(store, &target).await;
    }
    Ok(target)
}

/// What is known of earlier attempts; what cannot be read is no reason not to try.
async fn earlier_attempts(store: &Store, target: &Target) -> Vec<EarlierAttempt> {
    let client = target.client.chain().map(|chain| chain.leaf().thumbprint_sha256());
    match store.attempt_evidence(&evidence_key(&target.endpoint_url), client).await {
        Ok(evidence) => evidence.iter().filter_map(earlier_attempt).collect(),
        Err(error) => {
            tracing::warn!(%error, "what earlier attempts have shown cannot be read");
            Vec::new()
        }
    }
}

fn earlier_attempt(evidence: &AttemptEvidence) -> Option<EarlierAttempt> {
    let outcome = match evidence.outcome.as_str() {
        AttemptEvidence::ACCEPTED => EarlierOutcome::Accepted,
        code => EarlierOutcome::Refused(Code::from_name(code)?),
    };
    Some(EarlierAttempt {
        client: evidence.client,
        server: evidence.server,
        security_policy: SecurityPolicy::from_name(&evidence.security_policy)?,
        outcome,
        at: evidence.at,
    })
}

/// A server, for what is kept of attempts: its host and port, however they are written.
pub(crate) fn evidence_key(url: &EndpointUrl) -> String {
    let host = url.host();
    let host =
        host.parse::<IpAddr>().map_or_else(|_| host.to_ascii_lowercase(), |address| address.to_string());
    format!("{host} {}", url.port())
}

/// How a device of this policy judges server certificates.
///
/// # Errors
/// [`PlanError::UnknownPolicy`].
pub fn server_trust(
    policy: ServerCertificatePolicy,
    pinned: Option<CertificateChain>,
) -> Result<ServerTrust, PlanError> {
    match policy {
        ServerCertificatePolicy::Pin => Ok(ServerTrust::Pin { expected: pinned }),
        ServerCertificatePolicy::TrustList => Ok(ServerTrust::TrustList),
        ServerCertificatePolicy::AcceptAny => Ok(ServerTrust::AcceptAny),
        policy => Err(PlanError::UnknownPolicy { policy }),
    }
}

/// The trust lists as they are now. Where they only could add to what is accepted, those that cannot be read are empty.
///
/// # Errors
/// [`PlanError::Store`] when they decide and cannot be read.
pub async fn server_validation(
    store: &Store,
    trust: &ServerTrust,
    host_name_check: bool,
) -> Result<ServerValidation, PlanError> {
    let trust_list = match (store.trust_lists().await, trust) {
        (Ok(lists), _) => Arc::clone(lists.validation()),
        (Err(error), ServerTrust::TrustList) => return Err(error.into()),
        (Err(error), _) => {
            tracing::warn!(%error, "the trust lists cannot be read; pins decide alone");
            Arc::default()
        }
    };
    Ok(ServerValidation::new(trust_list, host_name_check))
}

/// The certificate that a device of these settings uses, with its row.
///
/// # Errors
/// [`StoreError`] when the store fails, or the certificate named does not exist.
pub async fn effective_certificate_of(
    store: &Store,
    mode: SecurityMode,
    assigned: Option<CertificateId>,
) -> Result<EffectiveCertificate<CertificateRecord>, StoreError> {
    if mode == SecurityMode::None {
        return Ok(EffectiveCertificate::NotNeeded);
    }
    let own = match assigned {
        Some(id) => Some(store.certificate(id).await?),
        None => None,
    };
    let default = if own.is_none() { store.default_certificate().await? } else { None };
    Ok(effective_certificate(mode, own, default))
}

async fn client_certificate(
    store: &Store,
    plan: &DevicePlan,
    identities: &Identities,
) -> Result<ClientCertificate, PlanError> {
    if plan.security_mode == SecurityMode::None {
        return Ok(ClientCertificate::NotNeeded);
    }
    // What a list shows of the certificate counts its devices: too much for each of them.
    let Some((id, _)) = store.current_key_pair(plan.certificate_id).await? else {
        return Ok(ClientCertificate::None);
    };
    let label = |name: &str| Some(CertificateLabel::new(id.to_string(), name));
    let unavailable = |reason, detail: String, label, chain| {
        Ok(ClientCertificate::Unavailable { reason, detail, label, chain: Some(chain) })
    };
    let StoredIdentity { name, chain, key, generation, .. } = match store.load_identity(id).await {
        Ok(stored) => stored,
        Err(IdentityFilesError::Store(error)) => return Err(error.into()),
        Err(error) => {
            let record = store.certificate(id).await?;
            let label = label(record.name.as_str());
            return unavailable(UnavailableReason::Files, sentence(&error), label, record.chain);
        }
    };
    let label = label(&name);
    if let Some(identity) = identities.get(id, generation, &chain) {
        return Ok(ClientCertificate::Ready { identity, label });
    }
    let key = match PrivateKey::from_pem(&key) {
        Ok(key) => key,
        Err(error) => return unavailable(reason_of(&error), sentence(&error), label, chain),
    };
    match ClientIdentity::new(chain.clone(), key) {
        Ok(identity) => {
            let identity = Arc::new(identity);
            identities.put(id, generation, &identity);
            Ok(ClientCertificate::Ready { identity, label })
        }
        Err(error) => {
            let reason = match error {
                IdentityError::KeyKind { .. } => UnavailableReason::KeyType,
                _ => UnavailableReason::KeyMismatch,
            };
            unavailable(reason, sentence(&error), label, chain)
        }
    }
}

fn reason_of(error: &KeyError) -> UnavailableReason {
    match error {
        KeyError::UnsupportedAlgorithm { .. } => UnavailableReason::KeyType,
        KeyError::UnsupportedSize { .. } => UnavailableReason::KeySize,
        _ => UnavailableReason::Files,
    }
}

/// An error as a sentence for a person.
fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_identity::identity;

    #[test]
    fn another_host_or_port_is_another_server_and_a_path_is_not() {
        let mut plan = DevicePlan::new(EndpointUrl::parse("opc.tcp://Press4:4840/a").unwrap());
        plan.pinned_server_certificate = Some(identity().chain().clone());
        for (url, same) in [
            ("opc.tcp://press4:4840/b", true),
            ("opc.tcp://press4", true),
            ("opc.tcp://press4:4841/a", false),
            ("opc.tcp://press5:4840/a", false),
        ] {
            let moved = plan.clone().at_endpoint(EndpointUrl::parse(url).unwrap());
            assert_eq!(moved.pinned_server_certificate.is_some(), same, "{url}");
            assert_eq!(moved.endpoint_url.as_str(), url);
        }
    }

    #[test]
    fn errors_become_sentences() {
        let policy = ServerCertificatePolicy::TrustList;
        let text = sentence(&PlanError::UnknownPolicy { policy });
        assert_eq!(text, "The server certificate policy trust_list is not part of this version.");
    }
}
