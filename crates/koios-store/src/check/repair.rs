//! Mends that cannot lose anything.

use std::io;
use std::path::Path;

#[cfg(unix)]
use super::directory::forbidden_mode;
use super::finding::{Repair, RepairKind};
use crate::atomic;
use crate::database::Database;
use crate::error::{OpenError, StoreError};
use crate::id::CertificateId;
use crate::layout::Layout;
use crate::leftovers;
use crate::trust_lists;

/// Carries a mend out, in a directory that no other process uses.
pub(super) async fn carry_out(layout: &Layout, repair: &Repair) -> Result<(), StoreError> {
    let Repair { kind, path } = repair.clone();
    if kind == RepairKind::TakeBackFileMoves {
        return take_back_file_moves(layout).await;
    }
    let layout = layout.clone();
    super::blocking(move || {
        let done = match kind {
            RepairKind::MoveAside => move_aside(&layout, &path),
            RepairKind::ClearLeftover => clear(&path),
            _ => tighten(&layout, &path),
        };
        done.map_err(|source| StoreError::io(&path, source))
    })
    .await?
}

async fn take_back_file_moves(layout: &Layout) -> Result<(), StoreError> {
    let unavailable =
        |error: OpenError| StoreError::Unavailable { path: layout.database(), source: error.into() };
    let database = Database::open(&layout.database()).await.map_err(unavailable)?;
    let done = trust_lists::take_back_file_moves(&database, layout).await;
    database.close().await;
    done
}

fn move_aside(layout: &Layout, folder: &Path) -> io::Result<()> {
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(ToOwned::to_owned);
    let certificate = folder.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let id: Option<CertificateId> = name(certificate).and_then(|name| name.parse().ok());
    let generation: Option<u32> = name(folder).and_then(|name| name.parse().ok());
    let (Some(id), Some(generation)) = (id, generation) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    leftovers::try_move_aside(layout, folder, id, generation)?;
    // Only when nothing else is in it.
    let _ = std::fs::remove_dir(certificate);
    Ok(())
}

fn clear(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => atomic::remove_folder(path),
        Ok(_) => atomic::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn tighten(layout: &Layout, path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path)?.permissions().mode() & 0o7777;
        let closed = mode & !forbidden_mode(layout, path);
        std::fs::set_permissions(path, PermissionsExt::from_mode(closed))?;
    }
    #[cfg(not(unix))]
    let _ = (layout, path);
    Ok(())
}
