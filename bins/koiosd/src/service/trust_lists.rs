//! The trust lists of server certificates, and every server certificate ever seen.

use koios_pki::{Certificate, RevocationList, Sha256Thumbprint, read_certificates};
use koios_store::{
    AuditResource, Page, PageRequest, RevocationListEntry, SeenEndpoint, Store, TrustEntry, TrustListName,
};
use serde_json::{Value, json};

use super::{access::Caller, error::ServiceError};

/// Shows and changes what servers are trusted.
#[derive(Debug)]
pub(crate) struct TrustListsService {
    store: Store,
}

impl TrustListsService {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    pub(crate) async fn list(
        &self,
        list: Option<TrustListName>,
        page: PageRequest,
    ) -> Result<Page<TrustEntry>, ServiceError> {
        Ok(self.store.trust_entries(list, page).await?)
    }

    /// Puts an uploaded certificate into a list.
    pub(crate) async fn add(
        &self,
        caller: &Caller,
        list: TrustListName,
        certificate: &[u8],
    ) -> Result<TrustEntry, ServiceError> {
        let chain = read_certificates(certificate)?;
        if chain.len() > 1 {
            return Err(ServiceError::invalid_field(
                "certificate",
                "holds several certificates; send them one by one, each to the list where it belongs",
            ));
        }
        let certificate = chain.leaf().clone();
        let after = json!({ "list": list.as_str() });
        let store = self.recording(caller, "server_certificate.added", &Subject::of(&certificate), after);
        Ok(store.add_to_trust_list(list, certificate).await?)
    }

    /// Moves a certificate to the trusted ones.
    pub(crate) async fn trust(
        &self,
        caller: &Caller,
        thumbprint: Sha256Thumbprint,
    ) -> Result<TrustEntry, ServiceError> {
        let subject = self.subject(thumbprint).await?;
        let store =
            self.recording(caller, "server_certificate.trusted", &subject, json!({ "list": "trusted" }));
        Ok(store.trust_server_certificate(thumbprint).await?)
    }

    /// Moves a certificate to the rejected ones.
    pub(crate) async fn reject(
        &self,
        caller: &Caller,
        thumbprint: Sha256Thumbprint,
    ) -> Result<TrustEntry, ServiceError> {
        let subject = self.subject(thumbprint).await?;
        let after = json!({ "list": "rejected" });
        let store = self.recording(caller, "server_certificate.rejected", &subject, after);
        Ok(store.reject_server_certificate(thumbprint).await?)
    }

    /// Takes a certificate out of every list.
    pub(crate) async fn remove(
        &self,
        caller: &Caller,
        thumbprint: Sha256Thumbprint,
    ) -> Result<(), ServiceError> {
        let subject = self.subject(thumbprint).await?;
        let store = self.recording(caller, "server_certificate.removed", &subject, Value::Null);
        Ok(store.remove_from_trust_lists(thumbprint).await?)
    }

    pub(crate) async fn revocation_lists(
        &self,
        page: PageRequest,
    ) -> Result<Page<RevocationListEntry>, ServiceError> {
        Ok(self.store.revocation_lists(page).await?)
    }

    /// Adds an uploaded revocation list, DER or PEM.
    pub(crate) async fn add_revocation_list(
        &self,
        caller: &Caller,
        bytes: &[u8],
    ) -> Result<RevocationListEntry, ServiceError> {
        let list = RevocationList::from_bytes(bytes)?;
        let after = json!({ "number": list.number(), "revoked_count": list.revoked_count() });
        let store = self.recording(caller, "crl.added", &Subject::of_list(&list), after);
        Ok(store.add_revocation_list(list).await?)
    }

    pub(crate) async fn remove_revocation_list(
        &self,
        caller: &Caller,
        sha256: Sha256Thumbprint,
    ) -> Result<(), ServiceError> {
        let list = self.store.revocation_list(sha256).await?.revocation_list;
        let store = self.recording(caller, "crl.removed", &Subject::of_list(&list), Value::Null);
        Ok(store.remove_revocation_list(sha256).await?)
    }

    /// Every server certificate ever seen, by endpoint.
    pub(crate) async fn endpoints(&self, page: PageRequest) -> Result<Page<SeenEndpoint>, ServiceError> {
        Ok(self.store.seen_endpoints(page).await?)
    }

    /// What a change is about, with the lists that it is in before.
    async fn subject(&self, thumbprint: Sha256Thumbprint) -> Result<Subject, ServiceError> {
        let lists = self.store.trust_lists().await?;
        let mut subject = Subject::certificate(thumbprint, None);
        let mut before = Vec::new();
        for &list in TrustListName::ALL {
            let found =
                lists.certificates(list).find(|certificate| certificate.thumbprint_sha256() == thumbprint);
            if let Some(certificate) = found {
                subject.name = certificate.common_name().map(str::to_owned);
                before.push(list.as_str());
            }
        }
        subject.before = (!before.is_empty()).then(|| json!({ "lists": before }));
        Ok(subject)
    }

    /// The store, for one change of trust that its own commit records.
    fn recording(&self, caller: &Caller, action: &str, subject: &Subject, after: Value) -> Store {
        let mut entry = caller.entry(action);
        entry.resource = Some(AuditResource::new(subject.kind, subject.id.clone(), subject.name.clone()));
        entry.before = subject.before.clone();
        entry.after = Some(after).filter(|after| !after.is_null());
        self.store.recording(entry)
    }
}

/// What an audit entry is about.
#[derive(Debug)]
struct Subject {
    kind: &'static str,
    id: String,
    name: Option<String>,
    before: Option<Value>,
}

impl Subject {
    fn of(certificate: &Certificate) -> Self {
        let name = certificate.common_name().map(str::to_owned);
        Self::certificate(certificate.thumbprint_sha256(), name)
    }

    fn certificate(thumbprint: Sha256Thumbprint, name: Option<String>) -> Self {
        Self { kind: "server_certificate", id: thumbprint.to_string(), name, before: None }
    }

    fn of_list(list: &RevocationList) -> Self {
        Self {
            kind: "crl",
            id: list.sha256().to_string(),
            name: Some(list.issuer().to_owned()),
            before: None,
        }
    }
}
