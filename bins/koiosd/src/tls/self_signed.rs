//! The certificate that the daemon makes for its own listener.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use koios_pki::{
    Certificate, HostName, KeySpec, PrivateKey, SerialNumber, Subject, Validity, WebServerParams,
    self_signed_web_server,
};
use koios_store::{Store, TlsIdentity};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use time::{Duration, OffsetDateTime};

use super::TlsError;

/// With the day before, by which a late clock finds it valid, 825: Apple's systems refuse longer ones, whoever trusts them.
const VALIDITY_DAYS: u32 = 824;

/// So long before its end another one takes its place.
const RENEWED_BEFORE: Duration = Duration::days(30);

/// RFC 5280 appendix A.1: the longest common name.
const COMMON_NAME_MAX: usize = 64;

/// Makes the certificate once, keeps it in the data directory, and makes another one before it ends.
#[derive(Debug)]
pub(super) struct SelfSigned {
    store: Store,
    hosts: Vec<HostName>,
    /// When another one is to be made, in seconds since 1970.
    renewed_at: AtomicI64,
}

impl SelfSigned {
    pub(super) fn new(store: Store, hosts: &[HostName]) -> Self {
        Self { store, hosts: hosts.to_vec(), renewed_at: AtomicI64::new(i64::MAX) }
    }

    pub(super) fn is_due(&self, now: OffsetDateTime) -> bool {
        now.unix_timestamp() >= self.renewed_at.load(Ordering::Relaxed)
    }

    /// The certificate that is kept, or a new one in its place.
    pub(super) async fn load(&self, provider: &Arc<CryptoProvider>) -> Result<CertifiedKey, TlsError> {
        let now = OffsetDateTime::now_utc();
        match self.store.tls_identity().await? {
            None => tracing::info!("a certificate for TLS is made: there is none that can be used"),
            Some(kept) => match usable(&kept, provider) {
                Some((pair, leaf)) if now < renewed_at(&leaf) => {
                    self.warn_of_other_hosts(&leaf);
                    self.note(&leaf);
                    return Ok(pair);
                }
                Some((_, leaf)) => tracing::warn!(
                    not_after = %leaf.validity().not_after,
                    "the certificate for TLS comes to its end: another one is made, with another thumbprint"
                ),
                None => tracing::warn!(
                    "the certificate for TLS in the data directory cannot be used: another one is made, with another thumbprint"
                ),
            },
        }
        let made = generate(&self.hosts, now)?;
        let pair = usable(&made, provider);
        let path = self.store.write_tls_identity(made).await?;
        tracing::info!(path = %path.display(), "a certificate for TLS was made");
        let (pair, leaf) =
            pair.ok_or_else(|| TlsError::Generate("the certificate made cannot be used".into()))?;
        self.note(&leaf);
        Ok(pair)
    }

    fn note(&self, leaf: &Certificate) {
        self.renewed_at.store(renewed_at(leaf).unix_timestamp(), Ordering::Relaxed);
    }

    /// The thumbprint that people have compared stays what it is until they say otherwise.
    fn warn_of_other_hosts(&self, leaf: &Certificate) {
        let missing: Vec<_> = self
            .hosts
            .iter()
            .filter(|host| match host {
                HostName::Ip(address) => !leaf.ip_addresses().contains(address),
                HostName::Dns { name, valid_in_san } => *valid_in_san && !leaf.dns_names().contains(name),
            })
            .map(ToString::to_string)
            .collect();
        if !missing.is_empty() {
            tracing::warn!(
                missing = missing.join(", "),
                "the certificate for TLS does not name this; remove the folder tls of the data directory and start again to have one that does"
            );
        }
    }
}

fn renewed_at(leaf: &Certificate) -> OffsetDateTime {
    leaf.validity().not_after - RENEWED_BEFORE
}

/// `None` for what does not belong together, or is not what we write.
fn usable(kept: &TlsIdentity, provider: &CryptoProvider) -> Option<(CertifiedKey, Certificate)> {
    let leaf = CertificateDer::from_pem_slice(&kept.certificate).ok()?;
    let key = PrivateKeyDer::from_pem_slice(kept.private_key.secret_bytes()).ok()?;
    let parsed = Certificate::from_der(&leaf).ok()?;
    Some((CertifiedKey::from_der(vec![leaf], key, provider).ok()?, parsed))
}

/// P-256: every browser takes it, and it is made at once.
fn generate(hosts: &[HostName], now: OffsetDateTime) -> Result<TlsIdentity, TlsError> {
    let key = PrivateKey::generate(KeySpec::EcP256).map_err(|error| TlsError::Generate(error.into()))?;
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|error| TlsError::Generate(error.into()))?;
    let host = hosts.iter().map(ToString::to_string).find(|host| host.len() <= COMMON_NAME_MAX);
    let subject = Subject::new(host.as_deref().unwrap_or("localhost"), "Koios");
    let validity = Validity::starting_at(now, VALIDITY_DAYS);
    let mut params = WebServerParams::new(subject, validity, SerialNumber::from_random_bytes(serial));
    for host in hosts {
        match host {
            HostName::Ip(address) => params.ip_addresses.push(*address),
            HostName::Dns { name, valid_in_san: true } => params.dns_names.push(name.clone()),
            HostName::Dns { .. } => {}
        }
    }
    let certificate =
        self_signed_web_server(&params, &key).map_err(|error| TlsError::Generate(error.into()))?;
    Ok(TlsIdentity { certificate: certificate.to_pem().into_bytes(), private_key: key.to_pem() })
}

#[cfg(test)]
mod tests {
    use koios_store::StoreOptions;

    use super::*;

    fn hosts(names: &[&str]) -> Vec<HostName> {
        names.iter().map(|name| HostName::parse(name).unwrap()).collect()
    }

    #[actix_web::test]
    async fn it_is_made_once_and_anew_before_its_end_or_when_it_cannot_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(folder.path())).await.unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let own = SelfSigned::new(store.clone(), &hosts(&["gw01.plant.example", "::1"]));
        let leaf = async || own.load(&provider).await.unwrap().cert[0].to_vec();

        let first = leaf().await;
        assert_eq!(leaf().await, first);
        let parsed = Certificate::from_der(&first).unwrap();
        assert_eq!(parsed.dns_names(), ["gw01.plant.example"]);
        assert_eq!(parsed.ip_addresses().len(), 1);
        let ends = parsed.validity().not_after;
        assert!(!own.is_due(ends - Duration::days(31)));
        assert!(own.is_due(ends - Duration::days(29)));

        let long_ago = OffsetDateTime::now_utc() - Duration::days(i64::from(VALIDITY_DAYS) - 29);
        store.write_tls_identity(generate(&own.hosts, long_ago).unwrap()).await.unwrap();
        let renewed = leaf().await;
        assert_eq!(leaf().await, renewed);
        assert!(renewed != first && !own.is_due(OffsetDateTime::now_utc()));

        let other = generate(&own.hosts, OffsetDateTime::now_utc()).unwrap();
        let mixed = TlsIdentity {
            certificate: other.certificate,
            private_key: generate(&own.hosts, OffsetDateTime::now_utc()).unwrap().private_key,
        };
        store.write_tls_identity(mixed).await.unwrap();
        let mended = leaf().await;
        assert_eq!(leaf().await, mended);
        store.close().await;
    }
}
