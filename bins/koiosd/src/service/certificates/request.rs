//! Certificate requests: asking an authority for a certificate, and installing its answer.

use koios_pki::{CertificateRequest, PrivateKey, RequestParams, certificate_request, read_certificates};
use koios_store::{Apply, CertificateId, InstallAnswer, PendingRequest, StoreError};
use zeroize::Zeroizing;

use super::{
    Certificates, KeyOrder, Regenerated, expect_revision,
    subject::key_spec,
    upload::{expect_long_enough, length_in_days},
};
use crate::service::{access::Caller, error::ServiceError};

/// What is to be asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestOrder {
    /// Whether for a new key, and not for the one in use.
    pub(crate) new_key: bool,
    /// The kind of the new key; the present kind when left out.
    pub(crate) key: Option<KeyOrder>,
}

/// An authority's answer, as it was sent.
pub(crate) struct InstallOrder {
    pub(crate) certificate: Zeroizing<Vec<u8>>,
    pub(crate) allow_uri_change: bool,
}

impl Certificates {
    /// Makes a request that says what the certificate says; the pair in use stays in use.
    pub(crate) async fn request(
        &self,
        id: CertificateId,
        order: RequestOrder,
        expected_revision: Option<i64>,
        caller: &Caller,
    ) -> Result<PendingRequest, ServiceError> {
        if !order.new_key && order.key.is_some() {
            let detail =
                "a key can be chosen for \"new_key\": true only; else the request is for the key in use";
            return Err(ServiceError::invalid_field("key", detail));
        }
        let spec = order.key.as_ref().map(key_spec).transpose()?;
        let record = self.store.certificate(id).await?;
        expect_revision(&record, expected_revision)?;
        match self.store.pending_request(id).await {
            Err(StoreError::NoPendingRequest { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(StoreError::RequestPending { id, name: record.name }.into()),
        }
        let params = RequestParams::from_certificate(record.chain.leaf())
            .map_err(|error| ServiceError::NotRequestable { reason: error.to_string() })?;
        let (request, new_key) = if order.new_key {
            let spec = spec.unwrap_or_else(|| super::regeneration::key_like(record.chain.leaf()));
            let key = self.generate_key(spec).await?;
            let pem = key.to_pem();
            (sign(params, key).await?, Some(pem))
        } else {
            let identity = self.store.load_identity(id).await?;
            let key = PrivateKey::from_pem(&identity.key)?;
            expect_long_enough(&key, self.settings.now().deprecated_policies())?;
            (sign(params, key).await?, None)
        };
        let store = self.access.recording(caller, "certificate.request_created", &record);
        Ok(store.expecting(expected_revision).stage_request(id, request, new_key).await?)
    }

    pub(crate) async fn pending_request(&self, id: CertificateId) -> Result<PendingRequest, ServiceError> {
        Ok(self.store.pending_request(id).await?)
    }

    /// Drops the request and its new key: an answer to it can no longer be installed.
    pub(crate) async fn drop_request(
        &self,
        id: CertificateId,
        expected_revision: Option<i64>,
        caller: &Caller,
    ) -> Result<(), ServiceError> {
        let record = self.store.certificate(id).await?;
        let store = self.access.recording(caller, "certificate.request_dropped", &record);
        store.expecting(expected_revision).drop_request(id).await?;
        Ok(())
    }

    /// Puts the authority's answer in the place of the present pair.
    pub(crate) async fn install(
        &self,
        id: CertificateId,
        order: InstallOrder,
        apply: Apply,
        expected_revision: Option<i64>,
        caller: &Caller,
    ) -> Result<Regenerated, ServiceError> {
        let record = self.store.certificate(id).await?;
        expect_revision(&record, expected_revision)?;
        let pending = self.store.pending_request(id).await?;
        let chain = read_certificates(&order.certificate)?;
        let chain = chain.for_key(pending.request.public_key()).ok_or(ServiceError::AnswerOfAnotherKey)?;
        let self_signed = chain.leaf().is_self_signed();
        let days = length_in_days(chain.leaf().validity());
        let mut answer = InstallAnswer::new(pending.request, chain, days);
        answer.expected_revision = expected_revision;
        answer.allow_uri_change = order.allow_uri_change;
        let store = self.access.recording(caller, "certificate.installed", &record);
        let replaced = store.install_certificate(id, answer, apply).await?;
        Ok(Regenerated::new(replaced, self_signed))
    }
}

/// Signs where the computation holds up no other request.
async fn sign(params: RequestParams, key: PrivateKey) -> Result<CertificateRequest, ServiceError> {
    let signed = tokio::task::spawn_blocking(move || certificate_request(&params, &key));
    Ok(signed.await.map_err(ServiceError::Interrupted)??)
}
