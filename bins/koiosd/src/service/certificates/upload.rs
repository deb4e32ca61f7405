//! Uploading: pairs made elsewhere, judged before anything is stored.

use koios_opcua::DeprecatedPolicies;
use koios_pki::{CertificateChain, KeyAlgorithm, PrivateKey, ReadError, Validity, read_pair};
use koios_store::{
    Apply, CertificateId, CertificateRecord, EndReason, NewCertificate, Origin, ReplacePair, Replaced,
};
use zeroize::Zeroizing;

use super::{Certificates, Regenerated, check_description, parse_name};
use crate::{
    config::VALIDITY_DAYS_MAX,
    service::{access::Caller, error::ServiceError},
};

/// Certificate and key as they were sent.
pub(crate) struct UploadedPair {
    pub(crate) certificate: Zeroizing<Vec<u8>>,
    /// The key may also stand in the certificate's part.
    pub(crate) private_key: Option<Zeroizing<Vec<u8>>>,
    pub(crate) passphrase: Option<Zeroizing<String>>,
}

/// A pair to store under a name.
pub(crate) struct UploadOrder {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) pair: UploadedPair,
    pub(crate) make_default: bool,
}

/// A pair to put in another one's place.
pub(crate) struct ReplaceOrder {
    /// `None` leaves it as it is.
    pub(crate) description: Option<String>,
    pub(crate) pair: UploadedPair,
    pub(crate) make_default: bool,
    pub(crate) allow_uri_change: bool,
}

impl UploadedPair {
    /// Reads the pair where its key checks hold up no other request.
    async fn read(
        self,
        deprecated: DeprecatedPolicies,
    ) -> Result<(CertificateChain, PrivateKey), ServiceError> {
        let read = tokio::task::spawn_blocking(move || {
            let passphrase = self.passphrase.as_ref().map(|text| text.as_str());
            read_pair(&self.certificate, self.private_key.as_ref().map(|key| key.as_slice()), passphrase)
        });
        let (chain, key) = read.await.map_err(ServiceError::Interrupted)??;
        expect_long_enough(&key, deprecated)?;
        Ok((chain, key))
    }
}

pub(super) fn expect_long_enough(
    key: &PrivateKey,
    deprecated: DeprecatedPolicies,
) -> Result<(), ServiceError> {
    if deprecated == DeprecatedPolicies::Refused {
        judge_length(key)?;
    }
    Ok(())
}

/// A build with the deprecated policies reads the short keys that go with them; they are used where the setting is on.
pub(crate) fn judge_length(key: &PrivateKey) -> Result<(), ReadError> {
    match key.algorithm() {
        KeyAlgorithm::Rsa { bits } if bits < 2048 => {
            let what = format!("the private key is RSA with {bits} bits");
            let remedy = "use one of at least 2048 bits; where a PLC takes nothing else, set allow_deprecated_policies";
            Err(ReadError::UnsupportedKey { what, remedy })
        }
        _ => Ok(()),
    }
}

impl Certificates {
    /// Stores a readable pair; what servers may dislike about it becomes findings.
    pub(crate) async fn upload(
        &self,
        order: UploadOrder,
        caller: &Caller,
    ) -> Result<CertificateRecord, ServiceError> {
        let name = parse_name(&order.name)?;
        let description = check_description(order.description)?;
        let (chain, key) = order.pair.read(self.settings.now().deprecated_policies()).await?;
        let days = length_in_days(chain.leaf().validity());
        let mut new = NewCertificate::new(name, Origin::Uploaded, chain, key.to_pem(), days);
        new.description = description;
        new.make_default = order.make_default;
        let store = self.store.recording(caller.entry("certificate.uploaded"));
        Ok(store.create_certificate(new).await?)
    }

    /// Puts an uploaded pair in the place of an expired or compromised one: same id, name and assignments.
    pub(crate) async fn replace(
        &self,
        id: CertificateId,
        order: ReplaceOrder,
        apply: Apply,
        expected_revision: Option<i64>,
        caller: &Caller,
    ) -> Result<Regenerated, ServiceError> {
        let description = check_description(order.description)?;
        let (chain, key) = order.pair.read(self.settings.now().deprecated_policies()).await?;
        let record = self.store.certificate(id).await?;
        let days = length_in_days(chain.leaf().validity());
        let self_signed = chain.leaf().is_self_signed();
        let mut pair = ReplacePair::new(Origin::Uploaded, chain, key.to_pem(), days, EndReason::Replaced);
        pair.expected_revision = expected_revision;
        pair.allow_uri_change = order.allow_uri_change;
        let store = self.access.recording(caller, "certificate.replaced", &record);
        let mut replaced = store.replace_key_pair(id, pair, apply).await?;
        if apply == Apply::Commit {
            self.apply_extras(&mut replaced, description, order.make_default, caller).await?;
        }
        Ok(Regenerated::new(replaced, self_signed))
    }

    /// What an upload may say beside the pair. The pair is in force already, and these can fail for want of storage
    /// only, which the answer then says.
    async fn apply_extras(
        &self,
        replaced: &mut Replaced,
        description: Option<String>,
        make_default: bool,
        caller: &Caller,
    ) -> Result<(), ServiceError> {
        let id = replaced.certificate.id;
        if description.is_some() {
            replaced.certificate = self.patch(id, None, Some(description), None, caller).await?;
        }
        if make_default && !replaced.certificate.is_default {
            let store = self.store.recording(caller.entry("certificate.default_changed"));
            replaced.certificate = store.set_default(id, Apply::Commit).await?.certificate;
        }
        Ok(())
    }
}

/// The length that a regeneration repeats.
pub(crate) fn length_in_days(validity: Validity) -> u32 {
    let days = (validity.not_after - validity.not_before).whole_days();
    u32::try_from(days).unwrap_or(1).clamp(1, VALIDITY_DAYS_MAX)
}
