//! Trust validation of random PKIs, against a model that knows nothing of certificates.

use std::sync::LazyLock;

use koios_pki::{
    Certificate, CertificateType, PeerRole, RevocationList, Suppression, Suppressions, TrustList,
    UnknownRevocation, ValidationParams, validate,
};
use proptest::prelude::*;
use proptest::sample::Index;
use time::Duration;

use crate::samples::NOW;
use crate::trust_pki::{Authority, chain, client, new_key};

/// Four authorities, two of which share a name; each certified by each, itself included.
struct Pool {
    authorities: Vec<Pooled>,
    /// One leaf of each authority.
    leaves: Vec<Certificate>,
    /// And one that has expired, and one that may be used for nothing.
    odd_leaves: Vec<[Certificate; 2]>,
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
    let odd_leaves = makers.iter().map(|maker| {
        [
            maker.leaf_with(|leaf| leaf.not_after = NOW - Duration::DAY),
            maker.leaf_with(|leaf| {
                leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::TimeStamping];
            }),
        ]
    });
    let odd_leaves = odd_leaves.collect();
    Pool { authorities, leaves, odd_leaves, lists }
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
    defect: Defect,
}

/// What else is wrong, so that each check there is has something to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    None,
    LeafExpired,
    LeafUsage,
    Host,
    Policy,
    /// The whole PKI, and its lists.
    AllExpired,
}

const DEFECTS: [Defect; 6] =
    [Defect::None, Defect::LeafExpired, Defect::LeafUsage, Defect::Host, Defect::Policy, Defect::AllExpired];

const LEAF: usize = AUTHORITIES * AUTHORITIES;

fn cases() -> impl Strategy<Value = Case> {
    let some = |max| prop::collection::vec(0..LEAF, 0..max);
    let list = prop_oneof![1 => Just(None), 6 => Just(Some(0)), 1 => Just(Some(1))];
    let trusted = prop::collection::vec(0..=LEAF, 0..4);
    let lists = prop::collection::vec(list, AUTHORITIES);
    (0..AUTHORITIES, trusted, some(6), some(4), lists).prop_map(|(leaf, trusted, issuers, blob, lists)| {
        Case { leaf, trusted, issuers, blob, lists, defect: Defect::None }
    })
}

fn odd_cases() -> impl Strategy<Value = Case> {
    (cases(), prop::sample::select(DEFECTS.to_vec())).prop_map(|(case, defect)| Case { defect, ..case })
}

impl Case {
    fn certificate(&self, number: usize) -> Certificate {
        POOL.authorities.get(number).map_or_else(|| self.leaf(), |pooled| &pooled.certificate).clone()
    }

    fn leaf(&self) -> &'static Certificate {
        match self.defect {
            Defect::LeafExpired => &POOL.odd_leaves[self.leaf][0],
            Defect::LeafUsage => &POOL.odd_leaves[self.leaf][1],
            _ => &POOL.leaves[self.leaf],
        }
    }

    fn params(&self) -> ValidationParams<'static> {
        let mut params = client();
        match self.defect {
            Defect::None | Defect::LeafExpired | Defect::LeafUsage => {}
            Defect::Host => {
                params = ValidationParams::new(NOW, PeerRole::Server);
                params.host = Some("elsewhere.example");
            }
            Defect::Policy => params.certificate_type = Some(CertificateType::EccNistP384),
            Defect::AllExpired => params.at = NOW + Duration::days(100 * 366),
        }
        params
    }

    fn trust(&self) -> TrustList {
        let some = |numbers: &[usize]| numbers.iter().map(|number| self.certificate(*number)).collect();
        let lists = self.lists.iter().enumerate();
        let lists = lists.filter_map(|(issuer, list)| list.map(|kind| POOL.lists[issuer][kind].clone()));
        TrustList::new(some(&self.trusted), some(&self.issuers), lists.collect())
    }

    fn verdict(&self, suppressed: Suppressions, unknown: UnknownRevocation) -> bool {
        let blob: Vec<_> = self.blob.iter().map(|number| self.certificate(*number)).collect();
        let mut params = self.params();
        params.suppressed = suppressed;
        params.unknown_revocation = unknown;
        let chain = chain(self.leaf(), &blob.iter().collect::<Vec<_>>());
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
    fn suppressing_nothing_is_the_strictest_verdict(case in odd_cases(), some in prop::collection::vec(0..8_usize, 0..8)) {
        let suppressed: Suppressions = some.into_iter().map(|number| Suppression::ALL[number]).collect();
        let strict = case.verdict(Suppressions::NONE, UnknownRevocation::Deny);
        let lax = case.verdict(suppressed, UnknownRevocation::Deny);
        prop_assert!(!strict || lax);
        prop_assert!(!lax || case.verdict(Suppression::ALL.into_iter().collect(), UnknownRevocation::Allow));
        prop_assert!(case.defect == Defect::None || !strict);
    }

    #[test]
    fn what_is_suppressed_is_accepted_and_nothing_else(mut case in odd_cases()) {
        case.lists = vec![Some(0); AUTHORITIES];
        // One path, from the leaf to the root that issued it.
        (case.issuers, case.blob) = (Vec::new(), Vec::new());
        case.trusted = vec![case.leaf * AUTHORITIES + case.leaf];
        let needed: &[Suppression] = match case.defect {
            Defect::None => &[],
            Defect::LeafExpired => &[Suppression::Time],
            Defect::LeafUsage => &[Suppression::Usage],
            Defect::Host => &[Suppression::HostName],
            Defect::Policy => &[Suppression::PolicyCheck],
            Defect::AllExpired => {
                &[Suppression::Time, Suppression::IssuerTime, Suppression::RevocationUnknown]
            }
        };
        for left_out in Suppression::ALL {
            let others = Suppression::ALL.into_iter().filter(|check| *check != left_out).collect();
            let accepted = case.verdict(others, UnknownRevocation::Deny);
            prop_assert_eq!(accepted, !needed.contains(&left_out), "{:?}", left_out);
        }
        prop_assert!(case.verdict(needed.iter().copied().collect(), UnknownRevocation::Deny));
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
