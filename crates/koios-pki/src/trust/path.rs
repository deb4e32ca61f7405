//! Steps 2 and 3: chains from the leaf to a self-signed root, each link verified.
//!
//! Candidates for an issuer come from both lists and from what the peer sent; where they come from gives no trust.
//! They are found by name (`distinguished_names::same`) and proved by the signature. The key identifiers of RFC 5280
//! §4.2.1.1 decide in which order they are tried and never whether, because authorities get them wrong.

use std::ops::ControlFlow;

use super::{TrustErrorKind, TrustList};
use crate::{Certificate, CertificateChain, RevocationList, distinguished_names};

/// What was verified in this validation: each signature once, and only so many.
#[derive(Default)]
pub(super) struct Links {
    /// What is signed, who may have signed it, and whether.
    known: Vec<((Identity, Identity), bool)>,
    spent: usize,
}

/// Where the bytes of a certificate or list lie: one value for all clones of it.
type Identity = *const u8;

impl Links {
    /// Whether `issuer` signed `certificate`; false once too much has been tried.
    fn is_signed(&mut self, certificate: &Certificate, issuer: &Certificate) -> bool {
        self.once(certificate.der(), issuer, || certificate.verifies_with(issuer))
    }

    /// Whether `issuer` signed `list`; false once too much has been tried.
    pub(super) fn is_signed_list(&mut self, list: &RevocationList, issuer: &Certificate) -> bool {
        self.once(list.der(), issuer, || list.verifies_with(issuer))
    }

    fn once(&mut self, signed: &[u8], issuer: &Certificate, verifies: impl FnOnce() -> bool) -> bool {
        let pair = (signed.as_ptr(), issuer.der().as_ptr());
        if let Some((_, verified)) = self.known.iter().find(|(known, _)| *known == pair) {
            return *verified;
        }
        let verified = self.spend() && verifies();
        self.known.push((pair, verified));
        verified
    }

    fn spend(&mut self) -> bool {
        self.spent += 1;
        !self.is_spent()
    }

    /// Whether more was tried than may be: every "not signed" from then on means nothing.
    pub(super) fn is_spent(&self) -> bool {
        self.spent > MAX_SIGNATURES
    }
}

/// A way that led to no root.
pub(super) struct DeadEnd<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) depth: usize,
    pub(super) kind: TrustErrorKind,
}

pub(super) struct Search<'a> {
    chain: &'a CertificateChain,
    trust: &'a TrustList,
    pub(super) links: Links,
    steps: usize,
    dead_end: Option<DeadEnd<'a>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(chain: &'a CertificateChain, trust: &'a TrustList) -> Self {
        Self { chain, trust, links: Links::default(), steps: 0, dead_end: None }
    }

    /// Gives every chain to `judge` until it breaks; the most telling dead end if there was one.
    pub(super) fn run(
        &mut self,
        judge: &mut impl FnMut(&[&'a Certificate], &mut Links) -> ControlFlow<()>,
    ) -> Option<DeadEnd<'a>> {
        let mut path = vec![self.chain.leaf()];
        let _ = self.extend(&mut path, judge);
        self.dead_end.take()
    }

    /// Recursion is as deep as a chain may be long.
    fn extend(
        &mut self,
        path: &mut Vec<&'a Certificate>,
        judge: &mut impl FnMut(&[&'a Certificate], &mut Links) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some(&top) = path.last() else { return ControlFlow::Continue(()) };
        let depth = path.len() - 1;
        self.steps += 1;
        if self.steps > MAX_STEPS || self.links.is_spent() {
            self.note(top, depth, TrustErrorKind::TooMuchWork);
            return ControlFlow::Break(());
        }
        // A root, by name and signature: it has no other issuer (`opcua-certificates.md` §6, trap 17).
        if self.is_root(top) {
            return judge(path, &mut self.links);
        }
        if path.len() == MAX_CHAIN {
            self.note(top, depth, TrustErrorKind::ChainTooLong { max: MAX_CHAIN });
            return ControlFlow::Continue(());
        }
        let mut refused = if top.is_self_issued() && !contradicts(top, top) { Some(top) } else { None };
        let (mut found, mut looped) = (false, false);
        for candidate in self.candidates(top) {
            if self.is_detour(path, candidate) {
                looped = true;
                continue;
            }
            if self.links.is_signed(top, candidate) {
                found = true;
                path.push(candidate);
                let flow = self.extend(path, judge);
                path.pop();
                flow?;
            } else if self.links.is_spent() {
                self.note(top, depth, TrustErrorKind::TooMuchWork);
                return ControlFlow::Break(());
            } else if !contradicts(top, candidate) {
                refused = refused.or(Some(candidate));
            }
        }
        if !found {
            let kind = match refused {
                Some(issuer) => TrustErrorKind::SignatureInvalid {
                    algorithm: top.signature_algorithm().to_owned(),
                    issuer: issuer.subject().to_owned(),
                },
                None if looped => TrustErrorKind::ChainLoops,
                None => TrustErrorKind::IssuerMissing { issuer: top.issuer().to_owned() },
            };
            self.note(top, depth, kind);
        }
        ControlFlow::Continue(())
    }

    fn is_root(&mut self, certificate: &Certificate) -> bool {
        if certificate.is_self_issued() {
            return certificate.is_self_signed();
        }
        let re_encoded = distinguished_names::same(certificate.issuer_der(), certificate.subject_der());
        re_encoded && self.links.is_signed(certificate, certificate)
    }

    /// Whether a chain that goes on with `candidate` has a shorter form that is trusted alike: because it stands there
    /// already (RFC 5280 §6.1), or because its name and key do, in another certificate of the same authority, and
    /// nothing from there on is in the trusted list.
    fn is_detour(&self, path: &[&Certificate], candidate: &Certificate) -> bool {
        if path.contains(&candidate) {
            return true;
        }
        let same = |earlier: &&Certificate| {
            earlier.subject_der() == candidate.subject_der() && earlier.spki_bits() == candidate.spki_bits()
        };
        let first = path.iter().position(same);
        let detour = first.and_then(|first| path.get(first..));
        detour
            .is_some_and(|detour| !detour.iter().any(|certificate| self.trust.trusted.contains(certificate)))
    }

    /// The certificates that may have issued `certificate`, likely ones first, each once.
    fn candidates(&self, certificate: &Certificate) -> Vec<&'a Certificate> {
        let sources = self.trust.trusted.iter().chain(&self.trust.issuers).chain(self.chain.issuers());
        let mut candidates: Vec<&'a Certificate> = Vec::new();
        for candidate in sources {
            let named = distinguished_names::same(certificate.issuer_der(), candidate.subject_der());
            if named && !candidates.contains(&candidate) && candidate != certificate {
                candidates.push(candidate);
            }
        }
        // Stable: among equals the lists come before what the peer sent.
        candidates.sort_by_key(|candidate| likelihood(certificate, candidate));
        candidates
    }

    /// Step 3 tells more than step 2, and a way that came far more than one that did not.
    fn note(&mut self, certificate: &'a Certificate, depth: usize, kind: TrustErrorKind) {
        let telling = |end: &DeadEnd<'_>| {
            let exhausted = matches!(end.kind, TrustErrorKind::TooMuchWork);
            (exhausted, end.kind.step(), end.depth)
        };
        let end = DeadEnd { certificate, depth, kind };
        if self.dead_end.as_ref().is_none_or(|earlier| telling(&end) > telling(earlier)) {
            self.dead_end = Some(end);
        }
    }
}

/// 0: the key identifiers agree, 1: there is none to compare, 2: they differ.
fn likelihood(certificate: &Certificate, issuer: &Certificate) -> u8 {
    let wanted =
        certificate.authority_key_identifier().and_then(|identifier| identifier.key_identifier.as_deref());
    match (wanted, issuer.subject_key_identifier()) {
        (Some(wanted), Some(held)) if wanted == held => 0,
        (Some(_), Some(_)) => 2,
        _ => 1,
    }
}

/// A certificate that asks for another key than `issuer` has was not signed by it: its issuer is missing, rather than
/// its signature wrong.
fn contradicts(certificate: &Certificate, issuer: &Certificate) -> bool {
    likelihood(certificate, issuer) == 2
}

/// Certificates from the leaf to the root. Chains in use have up to four; the public web's validators stop at eight
/// (leaf, six intermediates, root, in rustls-webpki).
const MAX_CHAIN: usize = 10;
/// Signatures verified for one validation, as in rustls-webpki (whose number came from a denial of service in Go,
/// CVE-2018-16875): about 10 ms of RSA.
const MAX_SIGNATURES: usize = 100;
/// Certificates visited for one validation: verified links are remembered, so that their number alone would not bound
/// the ways through a mesh of cross-signed authorities.
const MAX_STEPS: usize = 1000;
