//! Client certificates.

mod csr;
mod downloads;
mod history;
mod representation;
mod requests;

use actix_web::{
    HttpResponse,
    http::header::{ETAG, LOCATION},
    web::{Data, ServiceConfig},
};
use koios_store::{Apply, CertificateId, CertificateRecord};
use utoipa::OpenApi;

use super::{
    auth::{Operator, Require, Viewer},
    body::{Json, MergePatch, OptionalJson},
    conditional::{IfMatch, entity_tag, ok_with_revision},
    device_ref::DeviceRefBody,
    error::{ApiError, ApiResult, Code, Problem},
    form::Form,
    idempotency::IdempotencyKey,
    page::PageBody,
    path::Id,
    query::{DryRun, NoParameters, PageQuery, Query},
    routes,
};
use crate::service::{Services, access::Caller};
pub(crate) use downloads::der_path;
use representation::{AssignedBody, DefaultChangedBody, DeletedBody, RegeneratedBody};
pub(crate) use representation::{CertificateBody, FindingBody, KeyBody, View};
use requests::{
    AssignRequest, CertificatePatchRequest, DefaultRequest, GenerateRequest, ListQuery, RegenerateRequest,
    ReplaceForm, ReplaceQuery, UploadForm, replace_order, upload_order,
};

#[derive(OpenApi)]
#[openapi(
    paths(
        list, generate, upload, set_default, detail, patch, delete, regenerate, replace, devices, assign,
        csr::create_csr, csr::show_csr, csr::drop_csr, csr::install, downloads::certificate_der, downloads::certificate_pem, downloads::chain_pem, downloads::private_key_pem,
        downloads::encrypted_private_key_pem, downloads::bundle, history::history
    ),
    tags((name = "certificates", description = "Client certificates with their private keys"))
)]
pub(crate) struct CertificatesDocument;

pub(crate) fn configure(config: &mut ServiceConfig) {
    routes::at("/certificates").get(list).register(config);
    // Words before ids: `{id}` would take them all.
    routes::at("/certificates/default").put(set_default).register(config);
    routes::at("/certificates/generate").post(generate).register(config);
    routes::at("/certificates/upload").post(upload).register(config);
    routes::at("/certificates/{id}").get(detail).patch(patch).delete(delete).register(config);
    routes::at("/certificates/{id}/devices").get(devices).put(assign).register(config);
    routes::at("/certificates/{id}/regenerate").post(regenerate).register(config);
    routes::at("/certificates/{id}/replace").post(replace).register(config);
    csr::configure(config);
    downloads::configure(config);
    history::configure(config);
}

/// Lists certificates.
#[utoipa::path(
    get, path = "/api/v1/certificates", tag = "certificates", params(ListQuery),
    responses((status = 200, body = PageBody<CertificateBody>), (status = "default", body = Problem))
)]
async fn list(_: Require<Viewer>, query: Query<ListQuery>, services: Data<Services>) -> ApiResult {
    let page = services.certificates.list(query.0.into()).await?;
    let view = view(&services);
    Ok(HttpResponse::Ok().json(PageBody::of(page, |record| view.certificate(&record))))
}

/// Shows one certificate.
#[utoipa::path(
    get, path = "/api/v1/certificates/{id}", tag = "certificates", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = CertificateBody), (status = "default", body = Problem))
)]
async fn detail(
    _: Require<Viewer>,
    id: Id<CertificateId>,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    let record = services.certificates.detail(id.0).await?;
    Ok(shown(&services, &record))
}

/// Generates a key and a self-signed certificate.
#[utoipa::path(
    post, path = "/api/v1/certificates/generate", tag = "certificates", request_body = GenerateRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once, however often it is sent")),
    responses((status = 201, body = CertificateBody), (status = "default", body = Problem))
)]
async fn generate(
    caller: Require<Operator>,
    _: Query<NoParameters>,
    key: IdempotencyKey,
    body: Json<GenerateRequest>,
    services: Data<Services>,
) -> ApiResult {
    let operation = async |caller: &Caller| {
        let entry = caller.entry("certificate.generated");
        let record = services.certificates.generate(body.value.into(), entry).await?;
        Ok(created(&services, &record))
    };
    key.once(&services, caller.0, body.fingerprint, operation, async |id| created_before(&services, id).await)
        .await
}

/// Uploads a certificate with its private key.
#[utoipa::path(
    post, path = "/api/v1/certificates/upload", tag = "certificates",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    params(("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once, however often it is sent")),
    responses((status = 201, body = CertificateBody), (status = "default", body = Problem))
)]
async fn upload(
    caller: Require<Operator>,
    _: Query<NoParameters>,
    key: IdempotencyKey,
    form: Form,
    services: Data<Services>,
) -> ApiResult {
    let fingerprint = form.fingerprint;
    let order = upload_order(form)?;
    let operation = async |caller: &Caller| {
        let record = services.certificates.upload(order, caller).await?;
        Ok(created(&services, &record))
    };
    key.once(&services, caller.0, fingerprint, operation, async |id| created_before(&services, id).await)
        .await
}

/// Changes name or description.
#[utoipa::path(
    patch, path = "/api/v1/certificates/{id}", tag = "certificates",
    request_body(content = CertificatePatchRequest, content_type = "application/merge-patch+json"),
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = CertificateBody), (status = "default", body = Problem))
)]
async fn patch(
    caller: Require<Operator>,
    id: Id<CertificateId>,
    _: Query<NoParameters>,
    if_match: IfMatch,
    body: MergePatch<CertificatePatchRequest>,
    services: Data<Services>,
) -> ApiResult {
    let expected = if_match.of_certificate(&services, id.0).await?;
    let CertificatePatchRequest { name, description } = body.0;
    let record = services.certificates.patch(id.0, name.as_deref(), description, expected, &caller.0).await?;
    Ok(shown(&services, &record))
}

/// Deletes a certificate; its devices fall back to the default.
#[utoipa::path(
    delete, path = "/api/v1/certificates/{id}", tag = "certificates",
    params(("id" = uuid::Uuid, Path), DryRun, ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = DeletedBody), (status = "default", body = Problem))
)]
async fn delete(
    caller: Require<Operator>,
    id: Id<CertificateId>,
    query: Query<DryRun>,
    if_match: IfMatch,
    services: Data<Services>,
) -> ApiResult {
    let expected = if_match.of_certificate(&services, id.0).await?;
    let apply = apply(query.0.dry_run);
    let deleted = services.certificates.delete(id.0, apply, expected, &caller.0).await?;
    Ok(HttpResponse::Ok().json(view(&services).dry_run(query.0.dry_run).deleted(deleted)))
}

/// Puts a new key and certificate in the place of the present ones; id, name and devices stay.
#[utoipa::path(
    post, path = "/api/v1/certificates/{id}/regenerate", tag = "certificates",
    request_body = Option<RegenerateRequest>,
    params(
        ("id" = uuid::Uuid, Path), DryRun, ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once, however often it is sent")
    ),
    responses((status = 200, body = RegeneratedBody), (status = "default", body = Problem))
)]
async fn regenerate(
    caller: Require<Operator>,
    id: Id<CertificateId>,
    query: Query<DryRun>,
    (if_match, key): (IfMatch, IdempotencyKey),
    body: OptionalJson<RegenerateRequest>,
    services: Data<Services>,
) -> ApiResult {
    let (dry_run, body) = (query.0.dry_run, body.0);
    let operation = async |caller: &Caller| {
        let expected = if_match.of_certificate(&services, id.0).await?;
        let order = body.value.into();
        let apply = apply(dry_run);
        let regenerated = services.certificates.regenerate(id.0, order, apply, expected, caller).await?;
        let revision = regenerated.replaced.certificate.revision;
        Ok(ok_with_revision(revision, &view(&services).dry_run(dry_run).regenerated(regenerated)))
    };
    key.unless(dry_run).once(&services, caller.0, body.fingerprint, operation, replaced_before).await
}

/// Puts an uploaded pair in the place of the present one; id, name and devices stay.
#[utoipa::path(
    post, path = "/api/v1/certificates/{id}/replace", tag = "certificates",
    request_body(content = ReplaceForm, content_type = "multipart/form-data"),
    params(
        ("id" = uuid::Uuid, Path), ReplaceQuery, ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once, however often it is sent")
    ),
    responses((status = 200, body = RegeneratedBody), (status = "default", body = Problem))
)]
async fn replace(
    caller: Require<Operator>,
    id: Id<CertificateId>,
    query: Query<ReplaceQuery>,
    (if_match, key): (IfMatch, IdempotencyKey),
    form: Form,
    services: Data<Services>,
) -> ApiResult {
    let (dry_run, fingerprint) = (query.0.dry_run, form.fingerprint);
    let order = replace_order(form, query.0)?;
    let operation = async |caller: &Caller| {
        let expected = if_match.of_certificate(&services, id.0).await?;
        let apply = apply(dry_run);
        let replaced = services.certificates.replace(id.0, order, apply, expected, caller).await?;
        let revision = replaced.replaced.certificate.revision;
        Ok(ok_with_revision(revision, &view(&services).dry_run(dry_run).regenerated(replaced)))
    };
    key.unless(dry_run).once(&services, caller.0, fingerprint, operation, replaced_before).await
}

/// Moves the star: devices that name no certificate use this one from now on.
#[utoipa::path(
    put, path = "/api/v1/certificates/default", tag = "certificates", request_body = DefaultRequest,
    params(DryRun, ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = DefaultChangedBody), (status = "default", body = Problem))
)]
async fn set_default(
    caller: Require<Operator>,
    query: Query<DryRun>,
    if_match: IfMatch,
    body: Json<DefaultRequest>,
    services: Data<Services>,
) -> ApiResult {
    let DefaultRequest { id, force } = body.value;
    let expected = if_match.of_certificate(&services, id).await?;
    let apply = apply(query.0.dry_run);
    let changed = services.certificates.set_default(id, force, apply, expected, &caller.0).await?;
    let revision = changed.certificate.revision;
    Ok(ok_with_revision(revision, &view(&services).dry_run(query.0.dry_run).default_changed(changed)))
}

/// Lists the devices whose effective certificate this is.
#[utoipa::path(
    get, path = "/api/v1/certificates/{id}/devices", tag = "certificates",
    params(("id" = uuid::Uuid, Path), PageQuery),
    responses((status = 200, body = PageBody<DeviceRefBody>), (status = "default", body = Problem))
)]
async fn devices(
    _: Require<Viewer>,
    id: Id<CertificateId>,
    query: Query<PageQuery>,
    services: Data<Services>,
) -> ApiResult {
    let page = services.certificates.devices(id.0, query.0.into()).await?;
    Ok(HttpResponse::Ok().json(PageBody::of(page, DeviceRefBody::from)))
}

/// Assigns the certificate to devices, and takes it from others: all or nothing.
#[utoipa::path(
    put, path = "/api/v1/certificates/{id}/devices", tag = "certificates", request_body = AssignRequest,
    params(("id" = uuid::Uuid, Path), DryRun, ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = AssignedBody), (status = "default", body = Problem))
)]
async fn assign(
    caller: Require<Operator>,
    id: Id<CertificateId>,
    query: Query<DryRun>,
    if_match: IfMatch,
    body: Json<AssignRequest>,
    services: Data<Services>,
) -> ApiResult {
    let (request, dry_run) = (body.value, query.0.dry_run);
    let expected = if_match.of_certificate(&services, id.0).await?;
    let certificates = &services.certificates;
    let AssignRequest { assign, unassign } = request;
    let assigned = certificates.assign(id.0, &assign, &unassign, apply(dry_run), expected, &caller.0).await?;
    let revision = assigned.certificate.revision;
    Ok(ok_with_revision(revision, &view(&services).dry_run(dry_run).assigned(assigned)))
}

fn apply(dry_run: bool) -> Apply {
    if dry_run { Apply::DryRun } else { Apply::Commit }
}

fn view(services: &Services) -> View {
    View::new(services.certificates.expiring_soon())
}

fn shown(services: &Services, record: &CertificateRecord) -> HttpResponse {
    ok_with_revision(record.revision, &view(services).certificate(record))
}

fn created(services: &Services, record: &CertificateRecord) -> HttpResponse {
    HttpResponse::Created()
        .insert_header((LOCATION, format!("/api/v1/certificates/{}", record.id)))
        .insert_header((ETAG, entity_tag(record.revision)))
        .json(view(services).certificate(record))
}

/// The answer to a request that made the certificate, where the first one is lost.
async fn created_before(services: &Services, id: CertificateId) -> ApiResult {
    Ok(created(services, &services.certificates.detail(id).await?))
}

/// The same of a request that gave it another key pair: what was there before is not known any more.
async fn replaced_before(id: CertificateId) -> ApiResult {
    let detail = format!(
        "This request was carried out, and the daemon ended before its answer was kept. GET /api/v1/certificates/{id} shows the \
         result. Choose a new key for another request."
    );
    Err(ApiError::new(Code::IdempotencyKeyReused, detail))
}
