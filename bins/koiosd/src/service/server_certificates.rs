//! The server certificates that devices meet: shown, approved, forgotten.

use koios_channel::EndpointUrl;
use koios_opcua::{Acceptance, Code, PresentedServerCertificate, judge_presented};
use koios_pki::{CertificateChain, SecurityPolicy, Sha256Thumbprint};
use koios_store::{AuditResource, Device, DeviceId, Store};
use time::OffsetDateTime;

use super::{access::Caller, devices::expect_revision, error::ServiceError};

/// Shows server certificates, and lets admins decide about them.
#[derive(Debug)]
pub(crate) struct ServerCertificates {
    store: Store,
}

/// A device's server certificate: the one known, the one seen, and what follows.
#[derive(Debug)]
pub(crate) struct ServerCertificateView {
    pub(crate) device: Device,
    pub(crate) pinned: Option<PresentedServerCertificate>,
    /// With the instant at which it was seen.
    pub(crate) presented: Option<(PresentedServerCertificate, OffsetDateTime)>,
    /// `None` before any certificate was seen.
    pub(crate) judgement: Option<Judgement>,
}

/// Whether the device accepts the certificate that its server presented last.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) accepted: bool,
    pub(crate) code: Option<Code>,
    pub(crate) message: String,
}

impl ServerCertificates {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    pub(crate) async fn show(&self, id: DeviceId) -> Result<ServerCertificateView, ServiceError> {
        let device = self.store.device(id).await?;
        let presented = self.store.presented(id).await?;
        let judgement = match &presented {
            Some(presented) => Some(self.judge(&device, &presented.chain).await?),
            None => None,
        };
        Ok(ServerCertificateView {
            pinned: device.pinned_server_certificate.clone().map(|chain| with_findings(chain, &device)),
            presented: presented
                .map(|presented| (with_findings(presented.chain, &device), presented.seen_at)),
            judgement,
            device,
        })
    }

    /// What an attempt would come to now.
    async fn judge(&self, device: &Device, presented: &CertificateChain) -> Result<Judgement, ServiceError> {
        Ok(match judge_presented(&self.store, device, presented, OffsetDateTime::now_utc()).await? {
            Ok(acceptance) => {
                Judgement { accepted: true, code: None, message: why_accepted(acceptance).to_owned() }
            }
            Err(verdict) => Judgement {
                accepted: false,
                code: Some(verdict.code),
                message: verdict.detail.unwrap_or(verdict.message),
            },
        })
    }

    /// Pins the certificate that the server presented last, if it is this one.
    pub(crate) async fn approve(
        &self,
        caller: &Caller,
        id: DeviceId,
        thumbprint: Sha256Thumbprint,
        all_devices_with_it: bool,
        expected_revision: Option<i64>,
    ) -> Result<ServerCertificateView, ServiceError> {
        let device = self.store.device(id).await?;
        expect_revision(&device, expected_revision)?;
        let after = serde_json::json!({ "thumbprint_sha256": thumbprint.to_string(), "all_devices_with_it": all_devices_with_it });
        let store = self.recording(caller, "server_certificate.approved", &device, Some(after));
        store.expecting(expected_revision).approve(id, thumbprint, all_devices_with_it).await?;
        self.show(id).await
    }

    /// Forgets the pin: the next certificate whose key the server proves is pinned.
    pub(crate) async fn forget(
        &self,
        caller: &Caller,
        id: DeviceId,
        expected_revision: Option<i64>,
    ) -> Result<(), ServiceError> {
        let device = self.store.device(id).await?;
        expect_revision(&device, expected_revision)?;
        let store = self.recording(caller, "server_certificate.forgotten", &device, None);
        Ok(store.expecting(expected_revision).forget_pin(id).await?)
    }

    /// The store, for one change to a device's trust that its own commit records.
    fn recording(
        &self,
        caller: &Caller,
        action: &str,
        device: &Device,
        after: Option<serde_json::Value>,
    ) -> Store {
        let mut entry = caller.entry(action);
        entry.resource = Some(AuditResource::new("device", device.id.to_string(), Some(device.name.clone())));
        let pinned = device.pinned_server_certificate.as_ref();
        entry.before = pinned.map(
            |chain| serde_json::json!({ "thumbprint_sha256": chain.leaf().thumbprint_sha256().to_string() }),
        );
        entry.after = after;
        self.store.recording(entry)
    }
}

/// A server certificate with what is remarkable about it at this device's endpoint.
pub(crate) fn with_findings(chain: CertificateChain, device: &Device) -> PresentedServerCertificate {
    let url = EndpointUrl::parse(&device.endpoint_url).ok();
    let host = url.as_ref().map(EndpointUrl::host).unwrap_or_default();
    let policy = device.security_policy.unwrap_or(SecurityPolicy::None);
    PresentedServerCertificate::new(chain, host, None, policy, OffsetDateTime::now_utc())
}

fn why_accepted(acceptance: Acceptance) -> &'static str {
    match acceptance {
        Acceptance::Pinned => "This is the certificate that the device knows",
        Acceptance::First => {
            "The device knows no certificate yet; it remembers this one when it is approved, or at its next connect"
        }
        Acceptance::Validated => "The trust lists validate it",
        _ => "The device accepts any server certificate, which is insecure",
    }
}
