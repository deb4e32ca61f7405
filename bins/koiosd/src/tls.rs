//! TLS of the listener: which certificate it shows, and how another one takes its place without a restart.

mod files;
mod self_signed;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use actix_web::rt;
use koios_pki::{Certificate, HostName, Sha256Thumbprint};
use koios_store::{Store, StoreError};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use time::OffsetDateTime;

use crate::{config::TlsSettings, error_chain::error_chain};
use files::Stamps;
use self_signed::SelfSigned;

/// How often the files are looked at: two calls of `stat`.
const LOOK_PERIOD: Duration = Duration::from_secs(2);

/// Why there is no TLS. Without what was asked for, nothing is listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {setting} ({})", path.display())]
    Unreadable {
        /// Which setting names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{setting} ({}) {problem}", path.display())]
    Unusable {
        /// Which setting names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what would do.
        problem: &'static str,
    },
    /// They do not belong together.
    #[error(
        "tls.private_key ({}) is not the key of the first certificate in tls.certificate ({})",
        private_key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        private_key: PathBuf,
    },
    /// The library refuses the pair.
    #[error("tls.certificate ({}) cannot be used for TLS", certificate.display())]
    Refused {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// No certificate could be made.
    #[error("no certificate for TLS could be made")]
    Generate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was made could not be kept, or read.
    #[error("the certificate for TLS in the data directory cannot be read or written")]
    Store(#[from] StoreError),
}

/// What is shown to whoever connects.
#[derive(Debug)]
pub(crate) struct Tls {
    shown: Arc<Shown>,
    source: Source,
    /// Of the files as they were before they were read first: what changes them before anybody watches is not missed.
    stamps: Stamps,
    provider: Arc<CryptoProvider>,
}

/// Where the certificate comes from.
#[derive(Debug)]
enum Source {
    Files { certificate: PathBuf, private_key: PathBuf },
    SelfSigned(Box<SelfSigned>),
}

/// The certificate that the next handshake is made with.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Shown {
    fn replace(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }

    fn leaf(&self) -> Vec<u8> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        shown.cert.first().map(|leaf| leaf.to_vec()).unwrap_or_default()
    }
}

impl Tls {
    /// Loads or makes the certificate; `None` when TLS is off. `hosts` are the names that a certificate of our own is for.
    pub(crate) async fn open(
        settings: &TlsSettings,
        store: &Store,
        hosts: &[HostName],
    ) -> Result<Option<Self>, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let source = match (&settings.certificate, &settings.private_key) {
            (Some(certificate), Some(private_key)) => {
                Source::Files { certificate: certificate.clone(), private_key: private_key.clone() }
            }
            _ if settings.self_signed => Source::SelfSigned(Box::new(SelfSigned::new(store.clone(), hosts))),
            _ => return Ok(None),
        };
        let stamps = source.stamps().await;
        let first = source.load(&provider).await?;
        tell("the certificate of TLS", &first);
        Ok(Some(Self { shown: Arc::new(Shown(RwLock::new(Arc::new(first)))), source, stamps, provider }))
    }

    /// How connections are taken: TLS 1.3 or 1.2, HTTP/1.1.
    pub(crate) fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| TlsError::Generate(error.into()))?
            .with_no_client_auth()
            .with_cert_resolver(self.shown.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Takes what the files hold now; connections that stand go on. What cannot be used leaves everything as it was, and is
    /// told in the log.
    pub(crate) async fn reload_or_say(self: Arc<Self>) {
        if let Err(error) = self.reload().await {
            tracing::error!(
                error = error_chain(&error),
                "another certificate for TLS cannot be used; the one before goes on being shown"
            );
        }
    }

    async fn reload(&self) -> Result<(), TlsError> {
        let key = self.source.load(&self.provider).await?;
        if key.cert.first().is_none_or(|leaf| **leaf != *self.shown.leaf()) {
            tell("another certificate for TLS is shown from now on", &key);
        }
        self.shown.replace(key);
        Ok(())
    }

    /// Looks again and again whether there is another certificate, for as long as the daemon runs.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut loaded = self.stamps.clone();
        let mut before = loaded.clone();
        loop {
            rt::time::sleep(LOOK_PERIOD).await;
            let now = self.source.stamps().await;
            // Two looks alike: whoever writes the files, one after the other, has come to an end.
            let settled = std::mem::replace(&mut before, now.clone()) == now;
            let due = now != loaded || self.source.is_due();
            if settled && due {
                loaded = now;
                self.clone().reload_or_say().await;
            }
        }
    }
}

impl Source {
    async fn stamps(&self) -> Stamps {
        match self {
            Self::Files { certificate, private_key } => {
                let (certificate, private_key) = (certificate.clone(), private_key.clone());
                // A look that is cut off is one at nothing.
                rt::task::spawn_blocking(move || Stamps::of(&[&certificate, &private_key]))
                    .await
                    .unwrap_or_default()
            }
            Self::SelfSigned(_) => Stamps::default(),
        }
    }

    async fn load(&self, provider: &Arc<CryptoProvider>) -> Result<CertifiedKey, TlsError> {
        match self {
            Self::Files { certificate, private_key } => {
                let (certificate, private_key) = (certificate.clone(), private_key.clone());
                let provider = provider.clone();
                rt::task::spawn_blocking(move || files::load(&certificate, &private_key, &provider))
                    .await
                    .map_err(|error| TlsError::Generate(error.into()))?
            }
            Self::SelfSigned(own) => own.load(provider).await,
        }
    }

    /// Whether a certificate of our own comes to its end.
    fn is_due(&self) -> bool {
        match self {
            Self::Files { .. } => false,
            Self::SelfSigned(own) => own.is_due(OffsetDateTime::now_utc()),
        }
    }
}

/// Says the thumbprint, which a person compares with what a browser shows, and what is wrong with the validity.
fn tell(what: &str, key: &CertifiedKey) {
    let Some(leaf) = key.cert.first() else { return };
    let thumbprint = Sha256Thumbprint::of(leaf);
    let Ok(parsed) = Certificate::from_der(leaf) else {
        tracing::info!(thumbprint_sha256 = %thumbprint, "{what}");
        return;
    };
    let (subject, validity) = (parsed.subject().to_owned(), parsed.validity());
    tracing::info!(thumbprint_sha256 = %thumbprint, subject, not_after = %validity.not_after, "{what}");
    let now = OffsetDateTime::now_utc();
    if now > validity.not_after || now < validity.not_before {
        tracing::warn!(
            not_before = %validity.not_before,
            not_after = %validity.not_after,
            "the certificate of TLS is not valid now: clients will refuse it"
        );
    }
}
