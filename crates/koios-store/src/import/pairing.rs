//! Which key belongs to which certificate, and who issued it: told by keys and signatures, never by names of files.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use koios_pki::{
    Certificate, CertificateChain, KeyAlgorithm, PrivateKey, PublicKey, Sha256Thumbprint, ValidityStatus,
};
use time::OffsetDateTime;

use super::folders::{Contents, Walk};
use super::place::Place;
use super::report::{FileNote, Refusal, TrustItem};
use super::{ForeignIdentity, ForeignPki, ForeignTrust, PairRules, ReadFile};
use crate::instant;
use crate::trust_lists::TrustListName;

/// A certificate, and the files in which it lies.
struct FoundCertificate {
    certificate: Certificate,
    files: Vec<(usize, Place)>,
}

/// A key, and the files in which it lies.
struct FoundKey {
    key: PrivateKey,
    files: Vec<usize>,
}

/// What the walk came upon, each thing once.
#[derive(Default)]
struct Found {
    certificates: Vec<FoundCertificate>,
    known: HashMap<Sha256Thumbprint, usize>,
    keys: Vec<FoundKey>,
    trust: Vec<(TrustListName, TrustItem, Vec<usize>)>,
    trusted: HashMap<(TrustListName, Sha256Thumbprint), usize>,
}

impl Found {
    fn certificate(&mut self, certificate: Certificate, file: usize, place: Place) {
        let sha256 = certificate.thumbprint_sha256();
        if let Some(list) = place.trust_list() {
            self.trust(list, sha256, TrustItem::Certificate(certificate.clone()), file);
        }
        let next = self.certificates.len();
        let at = *self.known.entry(sha256).or_insert(next);
        match self.certificates.get_mut(at) {
            Some(found) => found.files.push((file, place)),
            None => self.certificates.push(FoundCertificate { certificate, files: vec![(file, place)] }),
        }
    }

    fn key(&mut self, key: PrivateKey, file: usize) {
        match self.keys.iter_mut().find(|found| found.key.public_key() == key.public_key()) {
            Some(found) => found.files.push(file),
            None => self.keys.push(FoundKey { key, files: vec![file] }),
        }
    }

    fn trust(&mut self, list: TrustListName, sha256: Sha256Thumbprint, item: TrustItem, file: usize) {
        let next = self.trust.len();
        let at = *self.trusted.entry((list, sha256)).or_insert(next);
        match self.trust.get_mut(at) {
            Some((_, _, files)) => files.push(file),
            None => self.trust.push((list, item, vec![file])),
        }
    }
}

/// Everything that was read, put in order.
pub(super) fn pair(walk: Walk<'_>, rules: PairRules) -> ForeignPki {
    let Walk { layouts, mut files, contents, .. } = walk;
    let mut all = Found::default();
    for Contents { file, place, held } in contents {
        for certificate in held.certificates {
            all.certificate(certificate, file, place);
        }
        for revocations in held.revocation_lists {
            match place.trust_list() {
                Some(list) => {
                    all.trust(list, revocations.sha256(), TrustItem::RevocationList(revocations), file);
                }
                None => {
                    let note_of_it = FileNote::not_needed("a revocation list outside of the trust lists");
                    note(&mut files, file, note_of_it);
                }
            }
        }
        for key in held.private_keys {
            match key {
                Ok(key) => all.key(key, file),
                Err(error) => note(&mut files, file, FileNote::Key(error)),
            }
        }
    }
    let Found { certificates, keys, trust, .. } = all;

    let pool: Vec<Certificate> = certificates.iter().map(|found| found.certificate.clone()).collect();
    let public: Vec<&PublicKey> = keys.iter().map(|found| found.key.public_key()).collect();
    let pairs = pairs(&pool, &public);
    let mut issuers_used = vec![false; pool.len()];
    let mut identities = Vec::new();
    let now = instant::now();
    for (identity, (certificate, key)) in in_order(pairs, &pool, now).into_iter().enumerate() {
        let (Some(found), Some(own)) = (certificates.get(certificate), keys.get(key)) else { continue };
        let issuers = issuers_of(&found.certificate, &pool);
        for &issuer in &issuers {
            if let (Some(used), Some(issuer)) = (issuers_used.get_mut(issuer), certificates.get(issuer)) {
                *used = true;
                for &(file, _) in &issuer.files {
                    note(&mut files, file, FileNote::Issuer { identity });
                }
            }
        }
        for &(file, _) in &found.files {
            note(&mut files, file, FileNote::Certificate { identity });
        }
        for &file in &own.files {
            note(&mut files, file, FileNote::PrivateKey { identity });
        }
        let issuers = issuers.into_iter().filter_map(|issuer| pool.get(issuer).cloned()).collect();
        identities.push(ForeignIdentity {
            chain: CertificateChain::new(found.certificate.clone(), issuers),
            key,
            certificate_files: paths(&files, found.files.iter().map(|(file, _)| *file)),
            key_files: paths(&files, own.files.iter().copied()),
            refused: refusal(&found.certificate, &own.key, rules),
        });
    }

    note_the_rest(&mut files, &certificates, &keys, &identities, &issuers_used);
    let mut lists = Vec::with_capacity(trust.len());
    for (item, (list, held, among)) in trust.into_iter().enumerate() {
        for &file in &among {
            note(&mut files, file, FileNote::Trust { item });
        }
        lists.push(ForeignTrust { list, item: held, files: paths(&files, among) });
    }
    ForeignPki {
        layouts,
        files,
        identities,
        keys: keys.into_iter().map(|found| found.key).collect(),
        trust: lists,
        rules,
    }
}

/// Every certificate with its key, by their places.
fn pairs(certificates: &[Certificate], keys: &[&PublicKey]) -> Vec<(usize, usize)> {
    let key_of = |certificate: &Certificate| {
        let own = certificate.public_key().ok()?;
        keys.iter().position(|key| **key == own)
    };
    let pairs = certificates.iter().enumerate();
    pairs.filter_map(|(place, certificate)| Some((place, key_of(certificate)?))).collect()
}

/// Those first that connect today, those with RSA first among them, which most servers take, then the newest: the first of
/// them gets a common name for itself, and in an empty store it becomes the default.
fn in_order(
    mut pairs: Vec<(usize, usize)>,
    certificates: &[Certificate],
    now: OffsetDateTime,
) -> Vec<(usize, usize)> {
    pairs.sort_by_key(|(certificate, _)| {
        let certificate = certificates.get(*certificate)?;
        let validity = certificate.validity();
        let fit = certificate.application_uri().is_some() && validity.status_at(now) == ValidityStatus::Valid;
        let is_rsa = matches!(certificate.key_algorithm(), KeyAlgorithm::Rsa { .. });
        Some((!fit, !is_rsa, Reverse(validity.not_before), certificate.thumbprint_sha256().to_string()))
    });
    pairs
}

/// The certificates above one, as far as they are there and their signatures say so.
fn issuers_of(leaf: &Certificate, pool: &[Certificate]) -> Vec<usize> {
    let mut issuers: Vec<usize> = Vec::new();
    let mut last = leaf;
    while !last.is_self_signed() && issuers.len() + 1 < CertificateChain::MAX_LEN {
        let fits = |(place, issuer): &(usize, &Certificate)| {
            !issuers.contains(place) && *issuer != leaf && last.is_issued_by(issuer)
        };
        // Of several with one name and key, the one that lasts longest.
        let next = pool.iter().enumerate().filter(fits).max_by_key(|(_, issuer)| issuer.validity().not_after);
        let Some((place, issuer)) = next else { break };
        issuers.push(place);
        last = issuer;
    }
    issuers
}

/// Why a pair is left where it is.
fn refusal(certificate: &Certificate, key: &PrivateKey, rules: PairRules) -> Option<Refusal> {
    // The legacy profile of applications says that they are authorities, too.
    let is_authority = certificate.basic_constraints().is_some_and(|constraints| constraints.ca);
    if is_authority && certificate.application_uri().is_none() {
        return Some(Refusal::Authority);
    }
    (rules.judge_key)(key).err().map(Refusal::Key)
}

/// What belongs to nothing.
fn note_the_rest(
    files: &mut [ReadFile],
    certificates: &[FoundCertificate],
    keys: &[FoundKey],
    identities: &[ForeignIdentity],
    issuers_used: &[bool],
) {
    let own: HashSet<Sha256Thumbprint> =
        identities.iter().map(|identity| identity.chain.leaf().thumbprint_sha256()).collect();
    for (found, is_issuer) in certificates.iter().zip(issuers_used) {
        if *is_issuer || own.contains(&found.certificate.thumbprint_sha256()) {
            continue;
        }
        for &(file, place) in &found.files {
            match place {
                Place::TrustList(_) => {}
                Place::Others(why) => {
                    note(files, file, FileNote::not_needed(format!("a certificate {why}")));
                }
                Place::Any => {
                    note(files, file, FileNote::WithoutKey { certificate: found.certificate.clone() });
                }
            }
        }
    }
    for (place, found) in keys.iter().enumerate() {
        if !identities.iter().any(|identity| identity.key == place) {
            for &file in &found.files {
                note(files, file, FileNote::WithoutCertificate);
            }
        }
    }
}

fn note(files: &mut [ReadFile], file: usize, note: FileNote) {
    if let Some(read) = files.get_mut(file) {
        read.notes.push(note);
    }
}

fn paths(files: &[ReadFile], among: impl IntoIterator<Item = usize>) -> Vec<PathBuf> {
    among.into_iter().filter_map(|file| files.get(file)).map(|read| read.path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use koios_pki::{
        Authority, AuthorityParams, KeySpec, RequestParams, SelfSignedParams, SerialNumber, Validity,
        certificate_request, self_signed,
    };
    use proptest::prelude::*;
    use proptest::sample::subsequence;
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-28 10:00 UTC);

    /// Three keys, each with an old certificate and a new one.
    static KEYS: LazyLock<Vec<PrivateKey>> =
        LazyLock::new(|| (0..3).map(|_| PrivateKey::generate(KeySpec::EcP256).unwrap()).collect());
    static CERTIFICATES: LazyLock<Vec<Certificate>> = LazyLock::new(|| {
        let both = |key| [0, 30].map(|days| certificate(key, NOW - Duration::days(60 - days)));
        KEYS.iter().flat_map(both).collect()
    });

    fn serial() -> SerialNumber {
        SerialNumber::from_random_bytes([7; 16])
    }

    fn certificate(key: &PrivateKey, from: OffsetDateTime) -> Certificate {
        let uri = "urn:plant:line".parse().unwrap();
        let validity = Validity::starting_at(from, 100);
        self_signed(&SelfSignedParams::new("Line", "Plant", uri, validity, serial()), key).unwrap()
    }

    proptest! {
        #[test]
        fn whatever_is_there_and_in_whatever_order_a_key_gets_its_own_certificates(
            certificates in subsequence((0..6_usize).collect::<Vec<_>>(), 0..=6).prop_shuffle(),
            keys in subsequence((0..3_usize).collect::<Vec<_>>(), 0..=3).prop_shuffle(),
        ) {
            let there: Vec<_> = certificates.iter().map(|at| CERTIFICATES[*at].clone()).collect();
            let public: Vec<_> = keys.iter().map(|at| KEYS[*at].public_key()).collect();
            let found = in_order(pairs(&there, &public), &there, NOW);
            let mut named: Vec<_> = found.iter().map(|(one, key)| (certificates[*one], keys[*key])).collect();
            for pair in named.windows(2) {
                prop_assert!(CERTIFICATES[pair[0].0].validity().not_before >= CERTIFICATES[pair[1].0].validity().not_before);
            }
            named.sort_unstable();
            let expected: Vec<_> =
                (0..6).map(|at| (at, at / 2)).filter(|(one, key)| certificates.contains(one) && keys.contains(key)).collect();
            prop_assert_eq!(named, expected);
        }
    }

    #[test]
    fn one_that_is_over_comes_behind_one_that_connects_and_a_curve_behind_rsa() {
        let rsa = PrivateKey::generate(KeySpec::Rsa2048).unwrap();
        let there = [
            certificate(&KEYS[0], NOW - Duration::days(1)),
            certificate(&rsa, NOW - Duration::days(2)),
            certificate(&rsa, NOW + Duration::days(30)),
            certificate(&rsa, NOW - Duration::days(300)),
        ];
        let public = [KEYS[0].public_key(), rsa.public_key()];
        let order: Vec<_> = in_order(pairs(&there, &public), &there, NOW).iter().map(|pair| pair.0).collect();
        assert_eq!(order, [1, 0, 2, 3]);
    }

    #[test]
    fn issuers_are_those_whose_signature_it_is_and_not_those_of_the_same_name() {
        let authority = |name: &str| {
            let params = AuthorityParams::new(name, "Plant", Validity::starting_at(NOW, 1000), serial());
            Authority::root(&params, PrivateKey::generate(KeySpec::EcP256).unwrap()).unwrap()
        };
        let (plant, namesake) = (authority("Plant CA"), authority("Plant CA"));
        let params = RequestParams::new("Line", "Plant", "urn:plant:line".parse().unwrap()).unwrap();
        let request = certificate_request(&params, &KEYS[0]).unwrap();
        let leaf = plant.issue(&request, Validity::starting_at(NOW, 100), serial()).unwrap();
        let pool = [namesake.certificate().clone(), leaf.clone(), plant.certificate().clone()];
        assert_eq!(issuers_of(&leaf, &pool), [2]);
        assert!(issuers_of(&leaf, &pool[..2]).is_empty());
        assert!(issuers_of(plant.certificate(), &pool).is_empty(), "the end of the chain");
    }

    #[test]
    fn an_authority_is_refused_and_an_application_that_says_it_is_one_is_not() {
        let root = AuthorityParams::new("Plant CA", "Plant", Validity::starting_at(NOW, 1000), serial());
        let root = Authority::root(&root, PrivateKey::generate(KeySpec::EcP256).unwrap()).unwrap();
        let rules = PairRules::default();
        assert_eq!(refusal(root.certificate(), &KEYS[0], rules), Some(Refusal::Authority));
        let mut params = SelfSignedParams::new(
            "Line",
            "Plant",
            "urn:plant:line".parse().unwrap(),
            Validity::starting_at(NOW, 100),
            serial(),
        );
        params.profile = koios_pki::Profile::Legacy104;
        let legacy = self_signed(&params, &KEYS[0]).unwrap();
        assert!(legacy.basic_constraints().unwrap().ca);
        assert_eq!(refusal(&legacy, &KEYS[0], rules), None);
    }
}
