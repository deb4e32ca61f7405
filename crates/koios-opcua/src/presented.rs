//! What a stored device makes of a server certificate now, without asking the server.

use koios_channel::EndpointUrl;
use koios_pki::CertificateChain;
use koios_store::{Device, Store};
use time::OffsetDateTime;

use crate::plan::{PlanError, server_trust, server_validation};
use crate::server_certificate::{Acceptance, Presentation, judge_server_certificate};
use crate::verdict::Verdict;

/// Judges a certificate that the device's server has presented, by its policy, its pin and the trust lists as they are.
///
/// # Errors
/// [`PlanError`] when the store fails, or the policy is unknown.
pub async fn judge_presented(
    store: &Store,
    device: &Device,
    presented: &CertificateChain,
    at: OffsetDateTime,
) -> Result<Result<Acceptance, Box<Verdict>>, PlanError> {
    let trust = server_trust(device.server_certificate_policy, device.pinned_server_certificate.clone())?;
    let validation = server_validation(store, &trust, device.server_host_name_check).await?;
    let url = EndpointUrl::parse(&device.endpoint_url)?;
    let said = store.server_identity(&device.endpoint_url).await?;
    let application_uri =
        said.as_ref().map(|said| said.application_uri.as_str()).filter(|uri| !uri.is_empty());
    let presentation = Presentation {
        policy: device.security_policy.filter(|_| device.security_mode.needs_certificate()),
        host: url.host(),
        application_uri,
        at,
    };
    Ok(judge_server_certificate(&trust, &validation, presented, &presentation))
}
