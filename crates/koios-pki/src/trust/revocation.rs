//! Steps 10 and 11: what the revocation lists of an issuer say about a certificate it issued.
//!
//! A list answers when it names the issuer, is signed by it, is complete and understood (`RevocationList::unusable`),
//! and its issuer may sign lists. Among those the newest that is current clears a certificate; an entry in it, in a
//! newer one, or, where none is current, in any of them revokes, since being expired does not make an entry untrue
//! (as in the .NET stack). A list that does not say when the next one is due is never current.

use std::cmp::Reverse;

use time::OffsetDateTime;

use super::TrustErrorKind;
use super::path::Links;
use crate::revocation_list::{Revocation, RevocationList};
use crate::{Certificate, distinguished_names};

pub(super) enum Answer {
    Good,
    Revoked(Revocation),
    /// Nothing answers, and why.
    Unknown(TrustErrorKind),
    /// There was no work left to spend on the question. Never taken for unknown: what a peer sends along decides what
    /// is spent, so it could make its revocation go unread where unknown is allowed.
    Unasked,
}

pub(super) fn answer(
    certificate: &Certificate,
    issuer: &Certificate,
    lists: &[RevocationList],
    at: OffsetDateTime,
    links: &mut Links,
) -> Answer {
    let name = || issuer.subject().to_owned();
    let mut unknown = TrustErrorKind::RevocationListMissing { issuer: name() };
    let mut named: Vec<_> = lists
        .iter()
        .filter(|list| distinguished_names::same(list.issuer_der(), issuer.subject_der()))
        .collect();
    if !named.is_empty() && !issuer.may_sign_lists() {
        return Answer::Unknown(TrustErrorKind::RevocationListNotAllowed { issuer: name() });
    }
    named.sort_by_key(|list| Reverse(list.this_update()));
    let mut clears_since = None;
    let mut has_newest = false;
    for list in named {
        // Older ones have been replaced.
        if clears_since.is_some_and(|since| list.this_update() < since) {
            break;
        }
        if let Some(reason) = list.unusable() {
            if !has_newest {
                unknown = TrustErrorKind::RevocationListUnusable { reason: reason.clone() };
            }
            continue;
        }
        if !links.is_signed_list(list, issuer) {
            if links.is_spent() {
                return Answer::Unasked;
            }
            if matches!(unknown, TrustErrorKind::RevocationListMissing { .. }) {
                unknown = TrustErrorKind::RevocationListNotSigned { issuer: name() };
            }
            continue;
        }
        if let Some(revocation) = list.entry_of(certificate) {
            return Answer::Revoked(revocation);
        }
        match not_current(list, at) {
            None => clears_since = Some(list.this_update()),
            // The newest tells most: it is what the authority published last.
            Some(kind) if !has_newest => {
                has_newest = true;
                unknown = kind;
            }
            Some(_) => {}
        }
    }
    if clears_since.is_some() { Answer::Good } else { Answer::Unknown(unknown) }
}

fn not_current(list: &RevocationList, at: OffsetDateTime) -> Option<TrustErrorKind> {
    let this_update = list.this_update();
    if at < this_update {
        return Some(TrustErrorKind::RevocationListNotYetValid { this_update, checked_at: at });
    }
    match list.next_update() {
        None => Some(TrustErrorKind::RevocationListUndated),
        Some(next_update) if at > next_update => {
            Some(TrustErrorKind::RevocationListExpired { next_update, checked_at: at })
        }
        Some(_) => None,
    }
}
