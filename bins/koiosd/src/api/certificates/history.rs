//! The key pairs that a certificate had before.

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig},
};
use koios_store::{CertificateId, PastGeneration};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{
    api::{
        auth::{Require, Viewer},
        error::{ApiResult, Problem},
        page::PageBody,
        path::Id,
        query::{PageQuery, Query},
        routes, words,
    },
    service::Services,
};

pub(super) fn configure(config: &mut ServiceConfig) {
    routes::at("/certificates/{id}/history").get(history).register(config);
}

/// A key pair that is no longer in use: its certificate is what servers may still trust, its key is gone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PastGeneration)]
pub(crate) struct PastGenerationBody {
    /// Which key pair of the certificate it was; the first is 1.
    generation: u32,
    /// Upper-case hexadecimal.
    thumbprint_sha1: String,
    /// Upper-case hexadecimal.
    thumbprint_sha256: String,
    #[serde(with = "time::serde::rfc3339")]
    not_before: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    not_after: OffsetDateTime,
    /// Since when it was in use.
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    /// Until when it was in use.
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    /// What took its place.
    #[schema(value_type = words::EndReason)]
    reason: &'static str,
}

impl From<PastGeneration> for PastGenerationBody {
    fn from(past: PastGeneration) -> Self {
        let leaf = past.chain.leaf();
        let validity = leaf.validity();
        Self {
            generation: past.generation,
            thumbprint_sha1: leaf.thumbprint_sha1().to_string(),
            thumbprint_sha256: leaf.thumbprint_sha256().to_string(),
            not_before: validity.not_before,
            not_after: validity.not_after,
            from: past.from,
            until: past.until,
            reason: past.reason.as_str(),
        }
    }
}

/// Lists the key pairs that a certificate had before the present one, newest first.
#[utoipa::path(
    get, path = "/api/v1/certificates/{id}/history", tag = "certificates",
    params(("id" = uuid::Uuid, Path), PageQuery),
    responses((status = 200, body = PageBody<PastGenerationBody>), (status = "default", body = Problem))
)]
pub(super) async fn history(
    _: Require<Viewer>,
    id: Id<CertificateId>,
    query: Query<PageQuery>,
    services: Data<Services>,
) -> ApiResult {
    let page = services.certificates.history(id.0, query.0.into()).await?;
    Ok(HttpResponse::Ok().json(PageBody::of(page, PastGenerationBody::from)))
}
