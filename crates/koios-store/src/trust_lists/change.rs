//! Changing the trust lists: each change is one commit, files and audit together.

use std::collections::HashSet;

use koios_pki::{Certificate, RevocationList, Sha1Thumbprint, Sha256Thumbprint};
use time::OffsetDateTime;

use super::file_moves::{self, FileMoves};
use super::files::{Seen, certificates_folder, file_name, free_path, revocation_lists_folder};
use super::{RevocationListEntry, TrustEntry, TrustListName, TrustLists, rejected};
use crate::error::{Resource, StoreError};
use crate::fault::FaultPoint;
use crate::instant;
use crate::layout::Layout;
use crate::store::{Apply, Store};
use crate::write::Write;

/// What a change does to the rows.
#[derive(Debug)]
enum Rows {
    /// Only the files change.
    Unchanged,
    /// It is no longer rejected.
    NotRejected(Sha256Thumbprint),
    /// A person has rejected it.
    Rejected(Certificate, OffsetDateTime),
}

impl Store {
    /// Puts a certificate into the trusted or the issuer list; out of the rejected ones, when it is there.
    ///
    /// # Errors
    /// [`StoreError::InTrustList`] when that list holds it already; [`StoreError::StorageFull`] and its like.
    pub async fn add_to_trust_list(
        &self,
        list: TrustListName,
        certificate: Certificate,
    ) -> Result<TrustEntry, StoreError> {
        if list == TrustListName::Rejected {
            return Err(StoreError::InvalidSetting {
                field: "list",
                reason: "must be trusted or issuer; a certificate is rejected by its thumbprint",
            });
        }
        self.change_trust(move |layout, lists| {
            let thumbprint = certificate.thumbprint_sha256();
            if lists.holds(list, thumbprint) {
                return Err(StoreError::InTrustList { resource: Resource::ServerCertificate, list });
            }
            let mut moves = FileMoves::default();
            take_out(&mut moves, layout, lists, thumbprint, |from| from == TrustListName::Rejected);
            put(&mut moves, layout, list, &certificate);
            Ok(Planned { moves, rows: Rows::NotRejected(thumbprint), shown: Some((list, thumbprint)) })
        })
        .await?
        .ok_or(StoreError::Interrupted)
    }

    /// Moves a certificate to the trusted list, from whichever it is in.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::StorageFull`] and its like.
    pub async fn trust_server_certificate(
        &self,
        thumbprint: Sha256Thumbprint,
    ) -> Result<TrustEntry, StoreError> {
        self.move_to(TrustListName::Trusted, thumbprint, move |_| Rows::NotRejected(thumbprint)).await
    }

    /// Moves a certificate to the rejected ones: nothing is trusted because of it any more.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::StorageFull`] and its like.
    pub async fn reject_server_certificate(
        &self,
        thumbprint: Sha256Thumbprint,
    ) -> Result<TrustEntry, StoreError> {
        self.move_to(TrustListName::Rejected, thumbprint, |certificate| {
            Rows::Rejected(certificate, instant::now())
        })
        .await
    }

    async fn move_to(
        &self,
        list: TrustListName,
        thumbprint: Sha256Thumbprint,
        rows: impl FnOnce(Certificate) -> Rows + Send + 'static,
    ) -> Result<TrustEntry, StoreError> {
        self.change_trust(move |layout, lists| {
            let certificate = find(lists, thumbprint)?;
            let mut moves = FileMoves::default();
            take_out(&mut moves, layout, lists, thumbprint, |from| from != list);
            if !lists.holds(list, thumbprint) {
                put(&mut moves, layout, list, &certificate);
            }
            Ok(Planned { moves, rows: rows(certificate), shown: Some((list, thumbprint)) })
        })
        .await?
        .ok_or(StoreError::Interrupted)
    }

    /// Takes a certificate out of every list.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::StorageFull`] and its like.
    pub async fn remove_from_trust_lists(&self, thumbprint: Sha256Thumbprint) -> Result<(), StoreError> {
        let change = self.change_trust(move |layout, lists| {
            find(lists, thumbprint)?;
            let mut moves = FileMoves::default();
            take_out(&mut moves, layout, lists, thumbprint, |_| true);
            Ok(Planned { moves, rows: Rows::NotRejected(thumbprint), shown: None })
        });
        change.await.map(drop)
    }

    /// Puts a revocation list beside the certificate of its authority; beside the trusted ones when that is unknown.
    ///
    /// # Errors
    /// [`StoreError::InTrustList`] when it is there already; [`StoreError::StorageFull`] and its like.
    pub async fn add_revocation_list(
        &self,
        revocation_list: RevocationList,
    ) -> Result<RevocationListEntry, StoreError> {
        let added = revocation_list.clone();
        self.change_trust(move |layout, lists| {
            if let Some(filed) = lists.revocation_lists.iter().find(|filed| filed.item == added) {
                return Err(StoreError::InTrustList { resource: Resource::RevocationList, list: filed.list });
            }
            let is_issuers =
                lists.certificates(TrustListName::Issuer).any(|issuer| added.is_issued_by(issuer));
            let list = if is_issuers { TrustListName::Issuer } else { TrustListName::Trusted };
            let sha1 = Sha1Thumbprint::of(added.der()).to_string();
            let name = file_name(common_name(added.issuer()), &sha1, "crl");
            let mut moves = FileMoves::default();
            moves.put(free_path(layout, &revocation_lists_folder(list), &name), added.der().to_vec());
            Ok(Planned { moves, rows: Rows::Unchanged, shown: None })
        })
        .await?;
        self.revocation_list(revocation_list.sha256()).await.map_err(not_shown)
    }

    /// Takes a revocation list out of the folders.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::StorageFull`] and its like.
    pub async fn remove_revocation_list(&self, sha256: Sha256Thumbprint) -> Result<(), StoreError> {
        let change = self.change_trust(move |_, lists| {
            let mut moves = FileMoves::default();
            let files = lists.revocation_lists.iter().filter(|filed| filed.item.sha256() == sha256);
            for filed in files {
                moves.take(filed.path.clone());
            }
            if moves.is_empty() {
                return Err(StoreError::not_found(Resource::RevocationList, sha256));
            }
            Ok(Planned { moves, rows: Rows::Unchanged, shown: None })
        });
        change.await.map(drop)
    }

    /// Plans against what lies in the folders now, carries out, and shows what came of it.
    async fn change_trust(
        &self,
        plan: impl FnOnce(&Layout, &TrustLists) -> Result<Planned, StoreError> + Send + 'static,
    ) -> Result<Option<TrustEntry>, StoreError> {
        let store = self.clone();
        self.run(async move {
            let mut seen = store.lock_trust_lists().await;
            store.take_back_left_moves().await?;
            let lists = store.look_at_trust_lists(&mut seen).await?;
            let planned = store.blocking(move |layout| plan(layout, &lists)).await?;
            store.carry_out(&mut seen, planned).await
        })
        .await
    }

    async fn carry_out(&self, seen: &mut Seen, planned: Planned) -> Result<Option<TrustEntry>, StoreError> {
        let Planned { moves, rows, shown } = planned;
        let moved = self.move_files(moves).await?;
        let committed = async {
            let mut write = self.begin().await?;
            rows.apply(&mut write).await?;
            file_moves::forget(write.connection()).await?;
            self.inner.faults.pass(FaultPoint::BeforeCommit).await;
            write.finish(Apply::Commit).await
        };
        if let Err(error) = committed.await {
            self.undo(moved).await;
            return Err(error);
        }
        self.inner.faults.pass(FaultPoint::AfterCommit).await;
        self.clear_outgoing().await;
        let lists = self.look_at_trust_lists(seen).await?;
        match shown {
            Some((list, thumbprint)) => {
                self.trust_entry_in(&lists, list, thumbprint).await.map(Some).map_err(not_shown)
            }
            None => Ok(None),
        }
    }
}

/// A change that has been thought through.
#[derive(Debug)]
struct Planned {
    moves: FileMoves,
    rows: Rows,
    /// The entry to be shown afterwards.
    shown: Option<(TrustListName, Sha256Thumbprint)>,
}

impl Rows {
    async fn apply(self, write: &mut Write) -> Result<(), StoreError> {
        match self {
            Self::Unchanged => Ok(()),
            Self::NotRejected(thumbprint) => rejected::forget_rejected(write.connection(), thumbprint).await,
            Self::Rejected(certificate, at) => rejected::note_rejected_by_hand(write, certificate, at).await,
        }
    }
}

/// What has just been put there, and is not found, is there and cannot be read.
fn not_shown(error: StoreError) -> StoreError {
    match error {
        StoreError::NotFound { .. } => StoreError::Unavailable {
            path: "trust".into(),
            source: "the change is in force, and its file cannot be read now".into(),
        },
        other => other,
    }
}

fn find(lists: &TrustLists, thumbprint: Sha256Thumbprint) -> Result<Certificate, StoreError> {
    let filed = lists.files_of(thumbprint).next();
    filed
        .map(|filed| filed.item.clone())
        .ok_or_else(|| StoreError::not_found(Resource::ServerCertificate, thumbprint))
}

fn put(moves: &mut FileMoves, layout: &Layout, list: TrustListName, certificate: &Certificate) {
    let name = certificate.common_name().unwrap_or_default();
    let name = file_name(name, &certificate.thumbprint_sha1().to_string(), "der");
    moves.put(free_path(layout, &certificates_folder(list), &name), certificate.der().to_vec());
}

/// Takes a certificate's files out of the lists that `from` names; others in the same file stay, in files of their own.
fn take_out(
    moves: &mut FileMoves,
    layout: &Layout,
    lists: &TrustLists,
    thumbprint: Sha256Thumbprint,
    from: impl Fn(TrustListName) -> bool,
) {
    // The same neighbour may lie in several of the files, or twice in one.
    let mut stay = HashSet::new();
    for filed in lists.files_of(thumbprint).filter(|filed| from(filed.list)) {
        moves.take(filed.path.clone());
        for other in lists.certificates.iter().filter(|other| other.path == filed.path) {
            let of_other = other.item.thumbprint_sha256();
            if of_other != thumbprint && stay.insert((other.list, of_other)) {
                put(moves, layout, other.list, &other.item);
            }
        }
    }
}

/// The common name in the text of a distinguished name, else the whole text.
fn common_name(distinguished_name: &str) -> &str {
    let parts = distinguished_name.split(", ");
    parts.into_iter().find_map(|part| part.strip_prefix("CN=")).unwrap_or(distinguished_name)
}
