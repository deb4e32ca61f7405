//! Regenerating: a new key and certificate in the place of one that expired or was compromised.

use koios_pki::{
    ApplicationUri, Certificate, CertificateChain, HostName, KeyAlgorithm, KeySpec, Profile, common_name_for,
};
use koios_store::{Apply, CertificateId, CertificateRecord, EndReason, Origin, ReplacePair, Replaced};

use super::{
    Certificates, KeyOrder,
    generation::Subject,
    subject::{Hosts, Place, check_validity_days, key_spec, not_blank},
};
use crate::service::{access::Caller, error::ServiceError};

/// What is to differ from before.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegenerateOrder {
    pub(crate) hostname: Option<String>,
    pub(crate) validity_days: Option<u32>,
    pub(crate) key: Option<KeyOrder>,
}

/// A key pair took another one's place, or would.
#[derive(Debug)]
pub(crate) struct Regenerated {
    pub(crate) replaced: Replaced,
    /// Whether a self-signed certificate took the place of one that a certification authority had signed.
    pub(crate) was_ca_issued: bool,
}

impl Regenerated {
    /// `self_signed` says whether the new certificate is; a dry run does not show it.
    pub(super) fn new(replaced: Replaced, self_signed: bool) -> Self {
        let was_ca_issued = self_signed && !replaced.previous.leaf().is_self_signed();
        Self { replaced, was_ca_issued }
    }
}

/// The order, checked.
struct Plan {
    host: Option<HostName>,
    validity_days: Option<u32>,
    key: Option<KeySpec>,
}

impl Certificates {
    /// Generates a new pair with the same identity, from what the row keeps: it works without the files.
    pub(crate) async fn regenerate(
        &self,
        id: CertificateId,
        order: RegenerateOrder,
        apply: Apply,
        expected_revision: Option<i64>,
        caller: &Caller,
    ) -> Result<Regenerated, ServiceError> {
        let plan = Plan {
            host: not_blank(order.hostname).map(|text| HostName::parse(&text)).transpose()?,
            validity_days: order.validity_days.map(check_validity_days).transpose()?,
            key: order.key.as_ref().map(key_spec).transpose()?,
        };
        if let Some(host) = &plan.host {
            common_name_for(host)?;
        }
        let preview = self.store.preview_replacement(id, expected_revision).await?;
        let spec = plan.key.unwrap_or_else(|| key_like(preview.certificate.chain.leaf()));
        if apply == Apply::DryRun {
            return Ok(Regenerated::new(preview, true));
        }
        let record = preview.certificate;
        let key = self.generate_key(spec).await?;
        let _naming = self.naming.lock().await;
        let subject = self.subject_after(&record, &plan).await?;
        let validity_days = subject.validity_days;
        let chain = CertificateChain::new(subject.sign(&key)?, Vec::new());
        let mut pair =
            ReplacePair::new(Origin::Generated, chain, key.to_pem(), validity_days, EndReason::Regenerated);
        pair.expected_revision = expected_revision;
        // The same one, unless the old certificate had none that a new one may carry.
        pair.allow_uri_change = true;
        let store = self.access.recording(caller, "certificate.regenerated", &record);
        Ok(Regenerated::new(store.replace_key_pair(id, pair, Apply::Commit).await?, true))
    }

    /// Same common name, organization, application URI, alternative names and length of validity, but for what the
    /// plan changes; an uploaded certificate may lack parts, which get the values of a new one.
    async fn subject_after(&self, record: &CertificateRecord, plan: &Plan) -> Result<Subject, ServiceError> {
        let leaf = record.chain.leaf();
        let mut hosts =
            Hosts { dns_names: leaf.dns_names().to_vec(), ip_addresses: leaf.ip_addresses().to_vec() };
        if let Some(host) = &plan.host {
            hosts.replace(leaf.common_name(), host);
        }
        let host = plan.host.clone().unwrap_or_else(|| self.host_of(leaf));
        let common_name = match (&plan.host, leaf.common_name()) {
            (None, Some(common_name)) => common_name.to_owned(),
            _ => common_name_for(&host)?,
        };
        let application_uri = match leaf.application_uri().map(ApplicationUri::parse) {
            Some(Ok(uri)) => uri,
            Some(Err(_)) | None => self.free_application_uri(&host, &record.name).await?,
        };
        Ok(Subject {
            common_name,
            organization: self.organization(leaf.organization().map(str::to_owned)),
            application_uri,
            place: Place::of(leaf),
            hosts,
            profile: Profile::of(leaf),
            validity_days: plan.validity_days.unwrap_or(record.validity_days),
        })
    }

    /// The host that a certificate names, else this machine.
    fn host_of(&self, leaf: &Certificate) -> HostName {
        let name = leaf.dns_names().iter().find_map(|name| HostName::parse(name).ok());
        let address = leaf.ip_addresses().first().map(|address| HostName::Ip(*address));
        name.or(address).unwrap_or_else(|| self.system_host.as_ref().clone())
    }
}

/// The kind of key a certificate has, or the next stronger one that is generated here.
pub(super) fn key_like(leaf: &Certificate) -> KeySpec {
    match leaf.key_algorithm() {
        KeyAlgorithm::Rsa { bits } if *bits > 3072 => KeySpec::Rsa4096,
        KeyAlgorithm::Rsa { bits } if *bits > 2048 => KeySpec::Rsa3072,
        KeyAlgorithm::Ec { curve } => KeySpec::ec(*curve),
        _ => KeySpec::Rsa2048,
    }
}
