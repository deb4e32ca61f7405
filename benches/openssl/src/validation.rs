//! Whether a peer's certificate is trusted: chain, signatures, validity, revocation, host name.

use std::hint::black_box;

use foreign_types_shared::ForeignTypeRef;
use koios_pki::{CertificateChain, PeerRole, RevocationList, TrustList, ValidationParams, validate};
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509Crl, X509StoreContext};

use crate::material::{Material, NOW};
use crate::measure::Comparison;

pub fn run(material: &Material, blocks: usize) -> Vec<String> {
    let mut rows = Vec::new();

    let own = CertificateChain::from(material.self_signed.clone());
    let mut trust = TrustList::default();
    trust.trusted.push(material.self_signed.clone());
    let peer = Peer::new(&own, &[], false);
    rows.push(compare(blocks, &own, &trust, &peer).row("a self-signed certificate in the trusted list"));

    for (entries, lists) in &material.revocation_lists {
        let chain = CertificateChain::new(material.rsa.leaf().clone(), material.rsa.issuers()[..1].to_vec());
        let mut trust = TrustList::default();
        trust.trusted.push(material.rsa.issuers()[1].clone());
        trust.revocation_lists =
            lists.iter().map(|der| RevocationList::from_der(der).expect("a list")).collect();
        let peer = Peer::new(&material.rsa, lists, true);
        let row = format!("leaf, intermediate and root, lists of 0 and {entries} entries");
        rows.push(compare(blocks, &chain, &trust, &peer).row(&row));

        let der = &lists[1];
        let parse = Comparison::of(
            blocks,
            || drop(black_box(RevocationList::from_der(der).expect("a list"))),
            || drop(black_box(X509Crl::from_der(der).expect("a list"))),
        );
        rows.push(parse.row(&format!("parse a revocation list of {entries} entries")));
    }
    rows
}

/// The peer's certificates come as bytes and are read anew each time, by both; lists are read once, by both.
fn compare(blocks: usize, chain: &CertificateChain, trust: &TrustList, peer: &Peer) -> Comparison {
    let blob = chain.to_der_blob();
    let mut params = ValidationParams::new(NOW, PeerRole::Server);
    params.host = Some("192.0.2.7");
    Comparison::of(
        blocks,
        || {
            let chain = CertificateChain::from_der_blob(&blob, 16).expect("a chain");
            black_box(validate(&chain, trust, &params).expect("a trusted chain"));
        },
        || peer.verify(chain),
    )
}

// In OpenSSL's x509_vfy.h, not in the crate's bindings.
unsafe extern "C" {
    fn X509_STORE_add_crl(
        store: *mut openssl_sys::X509_STORE,
        list: *mut openssl_sys::X509_CRL,
    ) -> std::ffi::c_int;
}

struct Peer {
    store: X509Store,
}

impl Peer {
    /// The last certificate is the anchor.
    fn new(chain: &CertificateChain, lists: &[Vec<u8>], check_revocation: bool) -> Self {
        let mut store = X509StoreBuilder::new().expect("a store");
        let anchor = chain.iter().last().expect("an anchor");
        store.add_cert(X509::from_der(anchor.der()).expect("a certificate")).expect("added");
        for list in lists {
            let list = X509Crl::from_der(list).expect("a list");
            // SAFETY: both pointers are live; the store takes a reference of its own.
            assert_eq!(unsafe { X509_STORE_add_crl(store.as_ptr(), list.as_ptr()) }, 1);
        }
        let mut param = X509VerifyParam::new().expect("parameters");
        let mut flags = X509VerifyFlags::X509_STRICT;
        if check_revocation {
            flags |= X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL;
        }
        param.set_flags(flags).expect("flags");
        param.set_time(NOW.unix_timestamp());
        param.set_ip([192, 0, 2, 7].into()).expect("an address");
        store.set_param(&param).expect("parameters");
        Self { store: store.build() }
    }

    fn verify(&self, chain: &CertificateChain) {
        let leaf = X509::from_der(chain.leaf().der()).expect("a certificate");
        let mut others = Stack::new().expect("a stack");
        for issuer in chain.issuers() {
            others.push(X509::from_der(issuer.der()).expect("a certificate")).expect("pushed");
        }
        let mut context = X509StoreContext::new().expect("a context");
        let verdict = context.init(&self.store, &leaf, &others, |context| {
            let trusted = context.verify_cert()?;
            Ok((trusted, context.error()))
        });
        let (trusted, error) = verdict.expect("a verdict");
        assert!(trusted, "{error}");
    }
}
