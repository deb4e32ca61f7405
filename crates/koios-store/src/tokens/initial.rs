//! The file that tells the first admin token, until that token is no more.

use std::io;
use std::path::PathBuf;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use crate::atomic::{self, Access};
use crate::error::StoreError;
use crate::file_digest::sha256;
use crate::key_files::read_bounded;
use crate::layout::Layout;
use crate::store::Store;

/// Far more than the file has.
const MAX_BYTES: u64 = 4096;

impl Store {
    /// Writes the file that tells the first admin token, for its owner alone (mode 0600), and answers its
    /// path. The revocation of the token removes it.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like.
    pub async fn write_initial_admin_token(&self, token: &str) -> Result<PathBuf, StoreError> {
        let store = self.clone();
        let contents = Zeroizing::new(format!("{token}\n"));
        self.run(async move {
            store
                .blocking(move |layout| {
                    let path = layout.initial_admin_token();
                    atomic::replace(&path, contents.as_bytes(), Access::Secret)
                        .map_err(|source| StoreError::io(&path, source))?;
                    Ok(path)
                })
                .await
        })
        .await
    }

    /// Where [`Store::write_initial_admin_token`] writes.
    #[must_use]
    pub fn initial_admin_token_path(&self) -> PathBuf {
        self.inner.layout.initial_admin_token()
    }

    /// Removes that file when it tells a token that is no more; whether it did.
    ///
    /// A revocation does so itself. It may have been cut off, or a database from another day put in place.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn forget_revoked_initial_admin_token(&self) -> Result<bool, StoreError> {
        let store = self.clone();
        self.run(async move {
            let Some(told) = store.blocking(told_hash).await? else { return Ok(false) };
            match store.token_by_hash(told).await? {
                Some(_) => Ok(false),
                None => store.forget_initial_admin_token(told).await,
            }
        })
        .await
    }

    /// Removes that file when it tells the token with this SHA-256; whether it did.
    pub(super) async fn forget_initial_admin_token(&self, secret_hash: [u8; 32]) -> Result<bool, StoreError> {
        self.blocking(move |layout| {
            let tells =
                told_hash(layout)?.is_some_and(|told| verify_slices_are_equal(&told, &secret_hash).is_ok());
            if tells {
                let path = layout.initial_admin_token();
                atomic::remove_file(&path)
                    .and_then(|()| atomic::sync_folder(layout.root()))
                    .map_err(|source| StoreError::io(&path, source))?;
            }
            Ok(tells)
        })
        .await
    }
}

/// SHA-256 of the token in the file, if it is there. By this it is recognised, whatever the token came to be called.
fn told_hash(layout: &Layout) -> Result<Option<[u8; 32]>, StoreError> {
    let path = layout.initial_admin_token();
    match read_bounded(&path, MAX_BYTES) {
        Ok(contents) => {
            let contents = Zeroizing::new(contents);
            Ok(Some(sha256(&[contents.trim_ascii()])))
        }
        // What is not a small file is none that was written here.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            Ok(None)
        }
        Err(source) => Err(StoreError::io(&path, source)),
    }
}
