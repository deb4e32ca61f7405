//! Generating: from a request to a self-signed certificate in the store.

use aws_lc_rs::rand;
use koios_pki::{
    ApplicationUri, Certificate, CertificateChain, HostName, KeySpec, PrivateKey, Profile, SelfSignedParams,
    SerialNumber, Validity, common_name_for, self_signed, slug,
};
use koios_store::{AuditEntry, CertificateRecord, DeviceId, NewCertificate, Origin};
use time::OffsetDateTime;

use super::{
    Certificates, check_description, parse_name,
    subject::{Hosts, Place, check_name_part, check_validity_days, key_spec, not_blank, profile_of},
};
use crate::service::error::ServiceError;

/// The organization where neither request nor settings name one; servers may refuse a subject without.
const ORGANIZATION: &str = "Koios";

/// A certificate to generate; what is left out has its default.
#[derive(Clone, Debug, Default)]
pub(crate) struct GenerateOrder {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) organizational_unit: Option<String>,
    pub(crate) locality: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) validity_days: Option<u32>,
    pub(crate) key: Option<KeyOrder>,
    pub(crate) profile: Option<String>,
    pub(crate) dns_names: Vec<String>,
    pub(crate) ip_addresses: Vec<String>,
    pub(crate) application_uri: Option<String>,
    pub(crate) common_name: Option<String>,
    pub(crate) assign_to: Vec<DeviceId>,
    pub(crate) make_default: bool,
}

/// A kind of key, as a request names it.
#[derive(Clone, Debug)]
pub(crate) struct KeyOrder {
    pub(crate) algorithm: String,
    pub(crate) bits: Option<u32>,
    pub(crate) curve: Option<String>,
}

impl Certificates {
    /// Generates key and certificate, and stores them with everything the order says: all or nothing.
    /// `entry` records it.
    pub(crate) async fn generate(
        &self,
        order: GenerateOrder,
        entry: AuditEntry,
    ) -> Result<CertificateRecord, ServiceError> {
        let name = parse_name(&order.name)?;
        let description = check_description(order.description)?;
        let profile = order.profile.as_deref().map_or(Ok(Profile::default()), profile_of)?;
        let host = self.host(order.hostname)?;
        let common_name = match not_blank(order.common_name) {
            Some(common_name) => common_name,
            None => common_name_for(&host)?,
        };
        check_name_part("common_name", &common_name)?;
        let organization = self.organization(order.organization);
        check_name_part("organization", &organization)?;
        let place = Place {
            organizational_unit: not_blank(order.organizational_unit),
            locality: not_blank(order.locality),
            state: not_blank(order.state),
            country: not_blank(order.country).map(|country| country.to_ascii_uppercase()),
        };
        place.check()?;
        let wanted_uri = not_blank(order.application_uri)
            .map(|text| ApplicationUri::parse(&text).map_err(|error| ServiceError::application_uri(&error)))
            .transpose()?;
        let hosts = Hosts::of_request(&host, &order.dns_names, &order.ip_addresses)?;
        let validity_days =
            check_validity_days(order.validity_days.unwrap_or(self.settings.now().default_validity_days))?;
        let spec = order.key.as_ref().map_or_else(|| Ok(self.settings.now().default_key.spec()), key_spec)?;

        let key = self.generate_key(spec).await?;
        let _naming = self.naming.lock().await;
        let application_uri = match wanted_uri {
            Some(uri) => uri,
            None => self.free_application_uri(&host, name.as_str()).await?,
        };
        let subject =
            Subject { common_name, organization, place, application_uri, hosts, validity_days, profile };
        let chain = CertificateChain::new(subject.sign(&key)?, Vec::new());
        let mut new = NewCertificate::new(name, Origin::Generated, chain, key.to_pem(), validity_days);
        new.description = description;
        new.make_default = order.make_default;
        new.assign_to = order.assign_to;
        new.assign_to.sort_unstable();
        new.assign_to.dedup();
        Ok(self.store.recording(entry).create_certificate(new).await?)
    }

    /// A new key, made where it holds up no other request.
    pub(super) async fn generate_key(&self, spec: KeySpec) -> Result<PrivateKey, ServiceError> {
        // The semaphore is never closed; without a permit the work is merely not held back.
        let _turn = self.generators.acquire().await.ok();
        let key = tokio::task::spawn_blocking(move || PrivateKey::generate(spec)).await;
        Ok(key.map_err(ServiceError::Interrupted)??)
    }

    /// The host of a request: absent or blank means this machine.
    pub(super) fn host(&self, hostname: Option<String>) -> Result<HostName, ServiceError> {
        match not_blank(hostname) {
            Some(text) => Ok(HostName::parse(&text)?),
            None => Ok(self.system_host.as_ref().clone()),
        }
    }

    /// The organization of a request, else of the settings, else ours; never empty.
    pub(super) fn organization(&self, requested: Option<String>) -> String {
        not_blank(requested)
            .or_else(|| self.settings.now().organization.clone())
            .unwrap_or_else(|| ORGANIZATION.to_owned())
    }

    /// The application URI for a new certificate, with a number behind it when others have the plain one.
    ///
    /// Whoever calls this holds `naming` until the certificate is stored.
    pub(super) async fn free_application_uri(
        &self,
        host: &HostName,
        name: &str,
    ) -> Result<ApplicationUri, ServiceError> {
        let slug = slug(name);
        let mut uri = ApplicationUri::for_certificate(host, &slug);
        let mut number = 1;
        while self.store.application_uri_in_use(uri.as_str()).await? {
            number += 1;
            uri = ApplicationUri::for_certificate(host, &format!("{slug}-{number}"));
        }
        Ok(uri)
    }
}

/// Everything a self-signed certificate says, but its key.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) common_name: String,
    pub(super) organization: String,
    pub(super) place: Place,
    pub(super) application_uri: ApplicationUri,
    pub(super) hosts: Hosts,
    pub(super) validity_days: u32,
    pub(super) profile: Profile,
}

impl Subject {
    /// The certificate, valid from now on.
    pub(super) fn sign(self, key: &PrivateKey) -> Result<Certificate, ServiceError> {
        let mut serial_number = [0; 16];
        rand::fill(&mut serial_number).map_err(|_| ServiceError::NoRandomness)?;
        let validity = Validity::starting_at(OffsetDateTime::now_utc(), self.validity_days);
        let serial_number = SerialNumber::from_random_bytes(serial_number);
        let mut params = SelfSignedParams::new(
            self.common_name,
            self.organization,
            self.application_uri,
            validity,
            serial_number,
        );
        params.subject.organizational_unit = self.place.organizational_unit;
        params.subject.locality = self.place.locality;
        params.subject.state = self.place.state;
        params.subject.country = self.place.country;
        params.profile = self.profile;
        params.dns_names = self.hosts.dns_names;
        params.ip_addresses = self.hosts.ip_addresses;
        Ok(self_signed(&params, key)?)
    }
}
