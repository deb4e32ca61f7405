//! Certificate requests, and the answers of authorities.

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use koios_pki::Sha256Thumbprint;
use koios_store::{CertificateId, PendingRequest};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    apply,
    representation::{KeyBody, RegeneratedBody},
    requests::{CsrRequest, InstallForm, ReplaceQuery, install_order},
    view,
};
use crate::{
    api::{
        auth::{Operator, Require, Viewer},
        body::OptionalJson,
        conditional::{IfMatch, ok_with_revision},
        error::{ApiResult, Problem},
        form::Form,
        path::Id,
        query::{NoParameters, Query},
        routes,
    },
    service::Services,
};

pub(super) fn configure(config: &mut ServiceConfig) {
    routes::at("/certificates/{id}/csr").get(show_csr).post(create_csr).delete(drop_csr).register(config);
    routes::at("/certificates/{id}/install").post(install).register(config);
}

/// A certificate request that waits for an authority's answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CertificateRequest)]
pub(crate) struct CsrBody {
    /// PKCS#10, as text.
    pem: String,
    /// PKCS#10, DER in base64.
    der_base64: String,
    pending: PendingBody,
}

/// What waits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PendingRequest)]
pub(crate) struct PendingBody {
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Whether it is for a new key, and not for the one in use.
    new_key: bool,
    key: KeyBody,
    /// SHA-256 of the `SubjectPublicKeyInfo`, upper-case hexadecimal.
    public_key_sha256: String,
}

impl From<PendingRequest> for CsrBody {
    fn from(pending: PendingRequest) -> Self {
        let request = &pending.request;
        Self {
            pem: request.to_pem(),
            der_base64: BASE64_STANDARD.encode(request.der()),
            pending: PendingBody {
                created_at: pending.created_at,
                new_key: pending.new_key,
                key: request.key_algorithm().into(),
                public_key_sha256: Sha256Thumbprint::of(request.public_key().spki_der()).to_string(),
            },
        }
    }
}

/// Makes a certificate request for an authority; the certificate in use stays in use until the answer is installed.
#[utoipa::path(
    post, path = "/api/v1/certificates/{id}/csr", tag = "certificates", request_body = Option<CsrRequest>,
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = CsrBody), (status = "default", body = Problem))
)]
pub(super) async fn create_csr(
    caller: Require<Operator>,
    id: Id<CertificateId>,
    _: Query<NoParameters>,
    if_match: IfMatch,
    body: OptionalJson<CsrRequest>,
    services: Data<Services>,
) -> ApiResult {
    let expected = if_match.of_certificate(&services, id.0).await?;
    let pending = services.certificates.request(id.0, body.0.value.into(), expected, &caller.0).await?;
    Ok(HttpResponse::Ok().json(CsrBody::from(pending)))
}

/// Shows the request that waits for an answer.
#[utoipa::path(
    get, path = "/api/v1/certificates/{id}/csr", tag = "certificates", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = CsrBody), (status = "default", body = Problem))
)]
pub(super) async fn show_csr(
    _: Require<Viewer>,
    id: Id<CertificateId>,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    Ok(HttpResponse::Ok().json(CsrBody::from(services.certificates.pending_request(id.0).await?)))
}

/// Drops the request and its new key; an answer to it can no longer be installed.
#[utoipa::path(
    delete, path = "/api/v1/certificates/{id}/csr", tag = "certificates",
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn drop_csr(
    caller: Require<Operator>,
    id: Id<CertificateId>,
    _: Query<NoParameters>,
    if_match: IfMatch,
    services: Data<Services>,
) -> ApiResult {
    let expected = if_match.of_certificate(&services, id.0).await?;
    services.certificates.drop_request(id.0, expected, &caller.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Installs an authority's answer to the pending request; id, name and devices stay.
#[utoipa::path(
    post, path = "/api/v1/certificates/{id}/install", tag = "certificates",
    request_body(content = InstallForm, content_type = "multipart/form-data"),
    params(("id" = uuid::Uuid, Path), ReplaceQuery, ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = RegeneratedBody), (status = "default", body = Problem))
)]
pub(super) async fn install(
    caller: Require<Operator>,
    id: Id<CertificateId>,
    query: Query<ReplaceQuery>,
    if_match: IfMatch,
    form: Form,
    services: Data<Services>,
) -> ApiResult {
    let dry_run = query.0.dry_run;
    let order = install_order(form, query.0)?;
    let expected = if_match.of_certificate(&services, id.0).await?;
    let certificates = &services.certificates;
    let installed = certificates.install(id.0, order, apply(dry_run), expected, &caller.0).await?;
    let revision = installed.replaced.certificate.revision;
    Ok(ok_with_revision(revision, &view(&services).dry_run(dry_run).regenerated(installed)))
}
