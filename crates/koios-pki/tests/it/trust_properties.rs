//! Trust validation of random PKIs, against a model that knows nothing of certificates.

use std::sync::LazyLock;

use koios_pki::{
    Certificate, RevocationList, Suppression, Suppressions, TrustList, UnknownRevocation, validate,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::trust_pki::{Authority, chain, client, new_key};

/// Four authorities, two of which share a name; each certified by each, itself included.
struct Pool {
    authorities: Vec<Pooled>,
    /// One leaf of each authority.
    leaves: Vec<Certificate>,
    /// One list of each authority, and one that revokes all it issued.
    lists: Vec<[RevocationList; 2]>,
}

struct Pooled {
    certificate: Certificate,
    subject: usize,
    issuer: usize,
}

const AUTHORITIES: usize = 4;

static POOL: LazyLock<Pool> = LazyLock::new(|| {
    let makers: Vec<_> =
        ["A", "B", "C", "A"].iter().map(|name| Authority::root_with(name, new_key(), |_| {})).collect();
    let mut authorities = Vec::new();
    for (subject, of) in makers.iter().enumerate() {
        for (issuer, by) in makers.iter().enumerate() {
            let certificate = if subject == issuer { of.certificate.clone() } else { by.cross_sign(of) };
            authorities.push(Pooled { certificate, subject, issuer });
        }
    }
    let leaves: Vec<_> = makers.iter().map(Authority::leaf).collect();
    let lists = makers.iter().enumerate().map(|(issuer, maker)| {
        let revoking = maker.list_with(|list| {
            list.revoke(&leaves[issuer]);
            for pooled in authorities.iter().filter(|pooled| pooled.issuer == issuer) {
                list.revoke(&pooled.certificate);
            }
        });
        [maker.list(), revoking]
    });
    let lists = lists.collect();
    Pool { authorities, leaves, lists }
});

/// What is at hand: certificates by their number in the pool, the leaf being number [`LEAF`].
#[derive(Clone, Debug)]
struct Case {
    leaf: usize,
    trusted: Vec<usize>,
    issuers: Vec<usize>,
    blob: Vec<usize>,
    /// For each authority: no list, an empty one, or one that revokes everything.
    lists: Vec<Option<usize>>,
}

const LEAF: usize = AUTHORITIES * AUTHORITIES;

fn cases() -> impl Strategy<Value = Case> {
    let some = |max| prop::collection::vec(0..LEAF, 0..max);
    let list = prop_oneof![1 => Just(None), 6 => Just(Some(0)), 1 => Just(Some(1))];
    let trusted = prop::collection::vec(0..=LEAF, 0..4);
    let lists = prop::collection::vec(list, AUTHORITIES);
    (0..AUTHORITIES, trusted, some(6), some(4), lists)
        .prop_map(|(leaf, trusted, issuers, blob, lists)| Case { leaf, trusted, issuers, blob, lists })
}

impl Case {
    fn certificate(&self, number: usize) -> Certificate {
        POOL.authorities.get(number).map_or(&POOL.leaves[self.leaf], |pooled| &pooled.certificate).clone()
    }

    fn trust(&self) -> TrustList {
        let some = |numbers: &[usize]| numbers.iter().map(|number| self.certificate(*number)).collect();
        let lists = self.lists.iter().enumerate();
        let lists = lists.filter_map(|(issuer, list)| list.map(|kind| POOL.lists[issuer][kind].clone()));
        TrustList::new(some(&self.trusted), some(&self.issuers), lists.collect())
    }

    fn verdict(&self, suppressed: Suppressions, unknown: UnknownRevocation) -> bool {
        let blob: Vec<_> = self.blob.iter().map(|number| self.certificate(*number)).collect();
        let mut params = client();
        params.suppressed = suppressed;
        params.unknown_revocation = unknown;
        let chain = chain(&POOL.leaves[self.leaf], &blob.iter().collect::<Vec<_>>());
        validate(&chain, &self.trust(), &params).is_ok()
    }

    /// Whether there is a way from the leaf to a root by edges alone.
    fn model(&self) -> bool {
        let trusted = self.trusted.contains(&LEAF);
        self.reaches_root(self.leaf, trusted, &mut Vec::new())
    }

    fn reaches_root(&self, issuer: usize, trusted: bool, visited: &mut Vec<usize>) -> bool {
        if self.lists[issuer] != Some(0) {
            return false;
        }
        let at_hand = |number: &usize| {
            [&self.trusted, &self.issuers, &self.blob].iter().any(|list| list.contains(number))
        };
        (0..LEAF).filter(at_hand).any(|number| {
            let pooled = &POOL.authorities[number];
            if pooled.subject != issuer || visited.contains(&number) {
                return false;
            }
            let trusted = trusted || self.trusted.contains(&number);
            if pooled.issuer == issuer {
                return trusted;
            }
            visited.push(number);
            let reaches = self.reaches_root(pooled.issuer, trusted, visited);
            visited.pop();
            reaches
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_random_pki_is_judged_as_the_model_judges_it(case in cases()) {
        prop_assert_eq!(case.verdict(Suppressions::NONE, UnknownRevocation::Deny), case.model());
    }

    #[test]
    fn removing_a_trusted_certificate_never_turns_a_refusal_into_acceptance(case in cases(), index: Index) {
        if case.trusted.is_empty() {
            return Ok(());
        }
        let before = case.verdict(Suppressions::NONE, UnknownRevocation::Deny);
        let mut fewer = case.clone();
        fewer.trusted.remove(index.index(case.trusted.len()));
        prop_assert!(before || !fewer.verdict(Suppressions::NONE, UnknownRevocation::Deny));
    }

    #[test]
    fn suppressing_nothing_is_the_strictest_verdict(case in cases(), some in prop::collection::vec(0..8_usize, 0..8)) {
        let suppressed: Suppressions = some.into_iter().map(|number| Suppression::ALL[number]).collect();
        let strict = case.verdict(Suppressions::NONE, UnknownRevocation::Deny);
        let lax = case.verdict(suppressed, UnknownRevocation::Deny);
        prop_assert!(!strict || lax);
        prop_assert!(!lax || case.verdict(Suppression::ALL.into_iter().collect(), UnknownRevocation::Allow));
    }

    #[test]
    fn no_bytes_make_the_reader_of_lists_panic(edits in prop::collection::vec((any::<Index>(), any::<u8>(), 0..4_u8), 1..6)) {
        let mut bytes = POOL.lists[0][1].der().to_vec();
        for (index, byte, kind) in edits {
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes[at] ^= 1 << (byte % 8),
            }
        }
        if let Ok(list) = RevocationList::from_der(&bytes) {
            prop_assert_eq!(list.der(), bytes.as_slice());
            prop_assert_eq!(RevocationList::from_pem(list.to_pem().as_bytes()), Ok(list.clone()));
            for leaf in &POOL.leaves {
                let _ = (list.revocation_of(leaf), list.is_issued_by(leaf), format!("{list:?}"));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_list_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (RevocationList::from_der(&bytes), RevocationList::from_pem(&bytes));
    }
}
