//! Who may do what: bearer tokens, and the record of what was taken out.

mod attempts;

use std::{net::IpAddr, sync::Arc, time::Instant};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use koios_store::{
    AuditEntry, AuditResource, CertificateRecord, OnceKey, Permission, Role, Store, StoreError, Token,
    TokenId,
};
use prometheus_client::metrics::counter::Counter;
use serde_json::json;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::error::ServiceError;
use attempts::{Attempts, Source, Wrong};

/// Fewest characters of a token that someone chose.
const CHOSEN_TOKEN_MIN: usize = 32;

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) token: Token,
    pub(crate) address: Option<String>,
    /// What the commit of the request notes, so that it is carried out once.
    pub(crate) once: Option<OnceKey>,
}

impl Caller {
    pub(crate) fn has_role(&self, role: Role) -> bool {
        self.token.role >= role
    }

    /// An audit entry for something that this caller does now.
    pub(crate) fn entry(&self, action: &str) -> AuditEntry {
        let mut entry = AuditEntry::new(OffsetDateTime::now_utc(), self.token.name.as_str(), action);
        entry.address.clone_from(&self.address);
        entry.once.clone_from(&self.once);
        entry
    }

    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.token.permissions.contains(&permission)
    }
}

/// A bearer token in clear, on its way to the person it is for. Only its hash is kept.
pub(crate) struct PlainToken(Zeroizing<String>);

impl PlainToken {
    /// 256 random bits, recognisable as one of ours.
    pub(crate) fn generate() -> Result<Self, ServiceError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| ServiceError::NoRandomness)?;
        Ok(Self(Zeroizing::new(format!("koios_{}", URL_SAFE_NO_PAD.encode(bytes.as_slice())))))
    }

    /// A token that someone chose: at least 32 characters, all of which can stand in a header field.
    pub(crate) fn chosen(text: &str) -> Option<Self> {
        let good = text.len() >= CHOSEN_TOKEN_MIN && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }
}

/// Tells callers apart.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    store: Store,
    attempts: Arc<Attempts>,
    failures: Counter,
}

impl Access {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, attempts: Arc::default(), failures: Counter::default() }
    }

    /// The token with this text, unless there is none or its time is over.
    ///
    /// # Errors
    /// [`ServiceError::TooManyWrongTokens`] when too many from that address were wrong, whether or not this one is.
    pub(crate) async fn authenticate(
        &self,
        text: &str,
        address: Option<IpAddr>,
    ) -> Result<Option<Token>, ServiceError> {
        let (hash, source) = (hash(text), Source::of(address));
        if let Err(wrong) = self.attempts.may_look(source, &hash, Instant::now()) {
            return self.refuse(wrong, address);
        }
        let now = OffsetDateTime::now_utc();
        let token = self.store.token_by_hash(hash).await?.filter(|token| !token.has_expired(now));
        let Some(token) = token else {
            return self.refuse(self.attempts.wrong(source, &hash, Instant::now()), address);
        };
        if let Err(wrong) = self.attempts.good(source, &hash, Instant::now()) {
            return self.refuse(wrong, address);
        }
        self.store.note_token_use(token.id, now);
        Ok(Some(token))
    }

    fn refuse(&self, wrong: Wrong, address: Option<IpAddr>) -> Result<Option<Token>, ServiceError> {
        self.failures.inc();
        if let Some(failures) = wrong.tell {
            let address = address.map(tracing::field::display);
            tracing::warn!(address, failures, "unknown, revoked or expired tokens were refused");
        }
        match wrong.refused {
            None => Ok(None),
            Some(refused) => Err(ServiceError::TooManyWrongTokens { retry_after: refused.retry_after }),
        }
    }

    /// Whether a token that was good still is: for what goes on after its request, such as a stream.
    pub(crate) async fn still_valid(&self, id: TokenId) -> Result<bool, ServiceError> {
        match self.store.token(id).await {
            Ok(token) => Ok(!token.has_expired(OffsetDateTime::now_utc())),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// How many requests were refused for their token.
    pub(crate) fn failures(&self) -> Counter {
        self.failures.clone()
    }

    /// The store, for one change to a certificate that its own commit records.
    pub(crate) fn recording(&self, caller: &Caller, action: &str, certificate: &CertificateRecord) -> Store {
        self.store.recording(entry(caller, action, certificate))
    }

    /// Records that a private key leaves, and in which form; it must not when this fails.
    pub(crate) async fn record_key_download(
        &self,
        caller: &Caller,
        certificate: &CertificateRecord,
        form: KeyForm,
    ) -> Result<(), ServiceError> {
        let mut entry = entry(caller, "certificate.private_key_downloaded", certificate);
        entry.after = Some(json!({ "form": form.as_str() }));
        self.store.append_audit(entry).await?;
        Ok(())
    }
}

/// How a private key leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyForm {
    Pkcs8,
    EncryptedPkcs8,
    Pkcs12,
}

impl KeyForm {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pkcs8 => "pkcs8",
            Self::EncryptedPkcs8 => "encrypted_pkcs8",
            Self::Pkcs12 => "pkcs12",
        }
    }
}

fn entry(caller: &Caller, action: &str, certificate: &CertificateRecord) -> AuditEntry {
    let mut entry = caller.entry(action);
    let (id, name) = (certificate.id.to_string(), certificate.name.clone());
    entry.resource = Some(AuditResource::new("certificate", id, Some(name)));
    entry
}

fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_tokens_differ_and_could_have_been_chosen() {
        let (a, b) = (PlainToken::generate().unwrap(), PlainToken::generate().unwrap());
        assert_ne!(a.secret(), b.secret());
        assert!(PlainToken::chosen(a.secret()).is_some());
    }

    #[test]
    fn a_chosen_token_is_long_and_fits_into_a_header() {
        assert!(PlainToken::chosen(&"x".repeat(32)).is_some());
        assert!(PlainToken::chosen(&"x".repeat(31)).is_none());
        assert!(PlainToken::chosen(&"x y".repeat(20)).is_none());
        assert!(PlainToken::chosen(&"ü".repeat(32)).is_none());
    }
}
