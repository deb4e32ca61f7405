//! What lists need of a certificate.

use koios_pki::Validity;
use sqlx::FromRow;
use uuid::Uuid;

use super::text::Folded;
use crate::certificate_files::Digests;
use crate::error::StoreError;
use crate::file_digest::FileDigest;
use crate::id::CertificateId;
use crate::instant;
use crate::name::fold;
use crate::page::{Listed, SortRef};

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT id, name, name_key, description, generation, certificate_digest, chain_digest, private_key_digest, ",
            "common_name, application_uri, not_before, not_after, thumbprint_sha1, thumbprint_sha256, created_at ",
            "FROM certificates",
            $condition
        )
    };
}

#[derive(Debug, FromRow)]
pub(super) struct CertificateRow {
    id: String,
    name: String,
    name_key: String,
    description: Option<String>,
    generation: i64,
    certificate_digest: Vec<u8>,
    chain_digest: Vec<u8>,
    private_key_digest: Vec<u8>,
    common_name: Option<String>,
    application_uri: Option<String>,
    not_before: i64,
    not_after: i64,
    thumbprint_sha1: String,
    thumbprint_sha256: String,
    created_at: i64,
}

impl CertificateRow {
    pub(super) const ALL: &'static str = select!("");
    pub(super) const BY_ID: &'static str = select!(" WHERE id IN");
}

/// What is kept of a certificate.
#[derive(Debug)]
pub(crate) struct ListedCertificate {
    pub(crate) id: Uuid,
    pub(crate) text: Folded,
    pub(crate) name: Box<str>,
    name_key: Box<str>,
    common_name_key: Box<str>,
    generation: u32,
    digests: Digests,
    pub(crate) validity: Validity,
    not_after: i64,
    created_at: i64,
}

impl ListedCertificate {
    pub(super) fn of(row: CertificateRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: Uuid::parse_str(&row.id).map_err(|source| StoreError::corrupt("certificates.id", source))?,
            text: Folded::new([
                Some(row.name.as_str()),
                row.description.as_deref(),
                row.common_name.as_deref(),
                row.application_uri.as_deref(),
                Some(&row.thumbprint_sha1),
                Some(&row.thumbprint_sha256),
            ]),
            name: row.name.into_boxed_str(),
            name_key: row.name_key.into_boxed_str(),
            // Without one first.
            common_name_key: row.common_name.as_deref().map(fold).unwrap_or_default().into_boxed_str(),
            generation: u32::try_from(row.generation)
                .map_err(|source| StoreError::corrupt("certificates.generation", source))?,
            digests: Digests {
                certificate: FileDigest::from_bytes(
                    &row.certificate_digest,
                    "certificates.certificate_digest",
                )?,
                chain: FileDigest::from_bytes(&row.chain_digest, "certificates.chain_digest")?,
                private_key: FileDigest::from_bytes(
                    &row.private_key_digest,
                    "certificates.private_key_digest",
                )?,
            },
            validity: Validity {
                not_before: instant::from_micros(row.not_before, "certificates.not_before")?,
                not_after: instant::from_micros(row.not_after, "certificates.not_after")?,
            },
            not_after: row.not_after,
            created_at: row.created_at,
        })
    }
}

impl ListedCertificate {
    /// Which files are its own, and what they must hold.
    pub(crate) fn files(&self) -> (CertificateId, u32, Digests) {
        (CertificateId::from_uuid(self.id), self.generation, self.digests)
    }
}

/// What certificates are kept in the order of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum CertificateOrder {
    Name,
    CommonName,
    NotAfter,
    CreatedAt,
}

impl Listed for ListedCertificate {
    type Order = CertificateOrder;

    const ORDERS: &'static [CertificateOrder] = &[
        CertificateOrder::Name,
        CertificateOrder::CommonName,
        CertificateOrder::NotAfter,
        CertificateOrder::CreatedAt,
    ];

    fn id(&self) -> Uuid {
        self.id
    }

    fn value(&self, order: CertificateOrder) -> SortRef<'_> {
        match order {
            CertificateOrder::Name => SortRef::Text(&self.name_key),
            CertificateOrder::CommonName => SortRef::Text(&self.common_name_key),
            CertificateOrder::NotAfter => SortRef::Number(self.not_after),
            CertificateOrder::CreatedAt => SortRef::Number(self.created_at),
        }
    }
}
