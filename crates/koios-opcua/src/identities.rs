//! Identities that are in use, so that a thousand sessions of one certificate hold one key.
//!
//! To read a private key costs as much as to sign with it, and each copy takes memory for as long as its session lives. The
//! files are read and compared with what was stored for each attempt all the same; only then is a key taken from here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use koios_channel::ClientIdentity;
use koios_pki::CertificateChain;
use koios_store::CertificateId;

/// By certificate and generation, whose files never change. Weak, so that a key goes with its last session.
#[derive(Debug, Default)]
pub(crate) struct Identities(Mutex<HashMap<(CertificateId, u32), Weak<ClientIdentity>>>);

impl Identities {
    pub(crate) fn get(
        &self,
        id: CertificateId,
        generation: u32,
        chain: &CertificateChain,
    ) -> Option<Arc<ClientIdentity>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(id, generation))?.upgrade().filter(|identity| identity.chain() == chain)
    }

    pub(crate) fn put(&self, id: CertificateId, generation: u32, identity: &Arc<ClientIdentity>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, identity| identity.strong_count() > 0);
        known.insert((id, generation), Arc::downgrade(identity));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_identity::another_identity;

    #[test]
    fn an_identity_is_shared_while_somebody_holds_it_and_no_longer() {
        let identities = Identities::default();
        let id: CertificateId = "01936d00-0000-7000-8000-000000000001".parse().unwrap();
        let held = Arc::new(another_identity());
        let chain = held.chain().clone();
        identities.put(id, 1, &held);
        assert!(identities.get(id, 1, &chain).is_some_and(|known| Arc::ptr_eq(&known, &held)));
        assert!(identities.get(id, 2, &chain).is_none(), "another key pair");
        drop(held);
        assert!(identities.get(id, 1, &chain).is_none());
    }
}
