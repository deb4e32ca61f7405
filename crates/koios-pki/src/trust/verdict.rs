//! The verdict on one chain that reached a root: steps 1 and 4 to 11, in their order, within a step from the leaf up.

use super::path::Links;
use super::revocation::{self, Answer};
use super::{
    PeerRole, SelfSignedAuthority, Suppression, TrustError, TrustErrorKind, TrustList, UnknownRevocation,
    ValidationParams, VerifiedChain, identity, policy, structure, usage,
};
use crate::{Certificate, ValidityStatus};

/// `path` leads from the leaf to a self-signed root, each signed by the next.
pub(super) fn of(
    leaf: &Certificate,
    path: &[&Certificate],
    trust: &TrustList,
    params: &ValidationParams<'_>,
    links: &mut Links,
) -> Result<VerifiedChain, TrustError> {
    let mut checks = Checks { leaf, path, params, suppressed: Vec::new() };
    checks.structure()?;
    checks.security_policy()?;
    let trusted_by = checks.trust(trust)?;
    checks.validity()?;
    checks.identity()?;
    checks.usage(trusted_by)?;
    checks.revocation(trust, links)?;
    Ok(VerifiedChain {
        certificates: path.iter().copied().cloned().collect(),
        trusted_by,
        suppressed: checks.suppressed,
    })
}

struct Checks<'a> {
    leaf: &'a Certificate,
    path: &'a [&'a Certificate],
    params: &'a ValidationParams<'a>,
    suppressed: Vec<TrustError>,
}

impl Checks<'_> {
    fn structure(&mut self) -> Result<(), TrustError> {
        for (depth, certificate) in self.path.iter().enumerate() {
            self.hold_all(certificate, depth, structure::fault(certificate))?;
        }
        Ok(())
    }

    fn security_policy(&mut self) -> Result<(), TrustError> {
        let leaf = self.leaf;
        match policy::certificate_type(self.params.certificate_type, leaf) {
            Err(kind) => self.hold(leaf, 0, kind)?,
            Ok(certificate_type) => {
                for (depth, certificate, issuer) in with_issuers(self.path) {
                    self.hold_all(certificate, depth, policy::faults(certificate_type, certificate, issuer))?;
                }
            }
        }
        Ok(())
    }

    /// The trusted certificate nearest to the leaf.
    fn trust(&self, trust: &TrustList) -> Result<usize, TrustError> {
        let trusted = |certificate: &&Certificate| trust.trusted.contains(certificate);
        self.path.iter().position(trusted).ok_or_else(|| {
            let root = self.path.last().map_or_else(String::new, |root| root.subject().to_owned());
            TrustError::new(self.leaf, 0, TrustErrorKind::NotTrusted { root })
        })
    }

    fn validity(&mut self) -> Result<(), TrustError> {
        let checked_at = self.params.at;
        for (depth, certificate) in self.path.iter().enumerate() {
            let validity = certificate.validity();
            let fault = match validity.status_at(checked_at) {
                ValidityStatus::Valid => None,
                ValidityStatus::NotYetValid => {
                    Some(TrustErrorKind::NotYetValid { not_before: validity.not_before, checked_at })
                }
                ValidityStatus::Expired => {
                    Some(TrustErrorKind::Expired { not_after: validity.not_after, checked_at })
                }
            };
            self.hold_all(certificate, depth, fault)?;
        }
        Ok(())
    }

    fn identity(&mut self) -> Result<(), TrustError> {
        let leaf = self.leaf;
        if let Some(host) = self.params.host.filter(|_| self.params.role == PeerRole::Server) {
            self.hold_all(leaf, 0, identity::host_fault(leaf, host))?;
        }
        if let Some(uri) = self.params.application_uri.filter(|_| self.params.role != PeerRole::User) {
            self.hold_all(leaf, 0, identity::application_uri_fault(leaf, uri))?;
        }
        Ok(())
    }

    fn usage(&mut self, trusted_by: usize) -> Result<(), TrustError> {
        let (leaf, issuers) = (self.leaf, self.path.get(1..).unwrap_or_default());
        let unchecked = self.params.unknown_revocation == UnknownRevocation::Allow
            || self.params.suppressed.contains(Suppression::RevocationUnknown);
        let authority = if unchecked || trusted_by > 0 {
            SelfSignedAuthority::Refuse
        } else {
            self.params.self_signed_authority
        };
        let rules = usage::Leaf { role: self.params.role, self_signed: issuers.is_empty(), authority };
        self.hold_all(leaf, 0, usage::leaf_faults(leaf, &rules))?;
        let mut authorities_below = 0;
        for (depth, issuer) in (1..).zip(issuers) {
            self.hold_all(issuer, depth, usage::issuer_faults(issuer, authorities_below))?;
            // RFC 5280 §6.1.4 (l): a certificate of an authority for itself, as when it changes keys, does not count.
            authorities_below += usize::from(!issuer.is_self_issued());
        }
        Ok(())
    }

    /// The root answers to nobody, and so does a self-signed leaf.
    fn revocation(&mut self, trust: &TrustList, links: &mut Links) -> Result<(), TrustError> {
        let mut revoked = None;
        for (depth, certificate, issuer) in with_issuers(self.path).take(self.path.len().saturating_sub(1)) {
            let lists = &trust.revocation_lists;
            match revocation::answer(certificate, issuer, lists, self.params.at, links) {
                Answer::Good => {}
                Answer::Revoked(revocation) => {
                    let kind = TrustErrorKind::Revoked { at: revocation.at, reason: revocation.reason };
                    revoked = revoked.or_else(|| Some(TrustError::new(certificate, depth, kind)));
                }
                Answer::Unknown(kind) => self.hold(certificate, depth, kind)?,
                Answer::Unasked => {
                    return Err(TrustError::new(certificate, depth, TrustErrorKind::TooMuchWork));
                }
            }
        }
        revoked.map_or(Ok(()), Err)
    }

    fn hold_all(
        &mut self,
        certificate: &Certificate,
        depth: usize,
        faults: impl IntoIterator<Item = TrustErrorKind>,
    ) -> Result<(), TrustError> {
        faults.into_iter().try_for_each(|kind| self.hold(certificate, depth, kind))
    }

    /// Remembers a failure that is to be overlooked; any other is the end.
    fn hold(
        &mut self,
        certificate: &Certificate,
        depth: usize,
        kind: TrustErrorKind,
    ) -> Result<(), TrustError> {
        let error = TrustError::new(certificate, depth, kind);
        let suppression = Suppression::of(error.status()).filter(|_| error.is_suppressible());
        let overlooked = suppression.is_some_and(|suppression| {
            let revocation =
                matches!(suppression, Suppression::RevocationUnknown | Suppression::IssuerRevocationUnknown);
            self.params.suppressed.contains(suppression)
                || (revocation && self.params.unknown_revocation == UnknownRevocation::Allow)
        });
        if overlooked {
            self.suppressed.push(error);
            Ok(())
        } else {
            Err(error)
        }
    }
}

/// Each certificate with its depth and issuer; the root is its own.
fn with_issuers<'a>(
    path: &'a [&'a Certificate],
) -> impl Iterator<Item = (usize, &'a Certificate, &'a Certificate)> {
    let issuers = path.iter().skip(1).chain(path.last());
    path.iter().zip(issuers).enumerate().map(|(depth, (certificate, issuer))| (depth, *certificate, *issuer))
}
