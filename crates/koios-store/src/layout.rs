//! Every path in the data directory, named once.

use std::path::{Path, PathBuf};

use crate::error::StoredFile;
use crate::id::CertificateId;
use crate::tls_identity;

/// The name of the database inside the data directory.
pub(crate) const DATABASE: &str = "koios.db";

/// The name of the key that is to take the place of `secrets.key`.
pub(crate) const NEXT_SECRETS_KEY: &str = "secrets.key.next";

/// The data directory, and where everything lies in it.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join(DATABASE)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("koios.lock")
    }

    pub(crate) fn secrets_key(&self) -> PathBuf {
        self.root.join("secrets.key")
    }

    /// The key that is to take the place of `secrets.key`.
    pub(crate) fn next_secrets_key(&self) -> PathBuf {
        self.root.join(NEXT_SECRETS_KEY)
    }

    pub(crate) fn initial_admin_token(&self) -> PathBuf {
        self.root.join("initial-admin-token")
    }

    /// A file that is written and removed to see whether that works.
    pub(crate) fn write_probe(&self) -> PathBuf {
        self.root.join(".write-probe")
    }

    pub(crate) fn certificates(&self) -> PathBuf {
        self.root.join("certificates")
    }

    /// The trust lists of server certificates.
    pub(crate) fn trust(&self) -> PathBuf {
        self.root.join("trust")
    }

    /// What the daemon made for its listener.
    pub(crate) fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    pub(crate) fn tls_certificate(&self) -> PathBuf {
        self.tls().join(tls_identity::CERTIFICATE)
    }

    pub(crate) fn tls_private_key(&self) -> PathBuf {
        self.tls().join(tls_identity::PRIVATE_KEY)
    }

    /// What a restore has unpacked and not put in place yet.
    pub(crate) fn restoring(&self) -> PathBuf {
        self.root.join(".restoring")
    }

    /// There while a restore puts in place what it has unpacked: whoever finds it goes on with that.
    pub(crate) fn restore_marker(&self) -> PathBuf {
        self.root.join("restore-under-way")
    }

    /// Key pairs that the database did not know at a start.
    pub(crate) fn orphaned(&self) -> PathBuf {
        self.root.join("orphaned")
    }

    pub(crate) fn certificate(&self, id: CertificateId) -> PathBuf {
        self.certificates().join(id.to_string())
    }

    pub(crate) fn generation(&self, id: CertificateId, generation: u32) -> PathBuf {
        self.certificate(id).join(generation.to_string())
    }

    pub(crate) fn file(&self, id: CertificateId, generation: u32, file: StoredFile) -> PathBuf {
        self.generation(id, generation).join(file.file_name())
    }
}
