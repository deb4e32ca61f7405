//! What servers are trusted: certificates and revocation lists, and every server certificate ever seen.

mod representation;

use actix_web::{
    HttpResponse,
    http::header::LOCATION,
    web::{Data, ServiceConfig},
};
use koios_store::TrustListName;
use utoipa::{OpenApi, ToSchema};

use super::{
    auth::{Admin, Require, Viewer},
    error::{ApiError, ApiResult, Problem},
    form::Form,
    page::PageBody,
    path::Thumbprint,
    query::{NoParameters, PageQuery, Query},
    routes, words,
};
use crate::service::Services;
use representation::{EntryBody, ListQuery, RevocationListBody, SeenEndpointBody};

/// What this module adds to the document.
#[derive(OpenApi)]
#[openapi(paths(
    list,
    add,
    trust,
    reject,
    remove,
    list_revocation_lists,
    add_revocation_list,
    remove_revocation_list,
    endpoints
))]
pub(crate) struct TrustListsDocument;

pub(crate) fn configure(config: &mut ServiceConfig) {
    routes::at("/trust/server-certificates").get(list).post(add).register(config);
    routes::at("/trust/server-certificates/{thumbprint_sha256}").delete(remove).register(config);
    routes::at("/trust/server-certificates/{thumbprint_sha256}/trust").post(trust).register(config);
    routes::at("/trust/server-certificates/{thumbprint_sha256}/reject").post(reject).register(config);
    routes::at("/trust/crls").get(list_revocation_lists).post(add_revocation_list).register(config);
    routes::at("/trust/crls/{sha256}").delete(remove_revocation_list).register(config);
    routes::at("/endpoints").get(endpoints).register(config);
}

/// A certificate for one of the lists.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a form")]
struct TrustForm {
    /// One certificate, DER or PEM.
    #[schema(value_type = String, format = Binary)]
    certificate: Vec<u8>,
    /// `trusted`, or `issuer` for an authority that completes chains and gives no trust.
    #[schema(value_type = words::TrustList)]
    list: String,
}

/// A revocation list.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a form")]
struct CrlForm {
    /// One list, DER or PEM, of at most 256 KiB. Larger ones are put into the folder `trust/trusted/crl` or
    /// `trust/issuer/crl` of the data directory.
    #[schema(value_type = String, format = Binary)]
    crl: Vec<u8>,
}

/// Lists the server certificates that are trusted, that complete chains, or that were rejected.
#[utoipa::path(
    get, path = "/api/v1/trust/server-certificates", tag = "trust", params(ListQuery),
    responses((status = 200, body = PageBody<EntryBody>), (status = "default", body = Problem))
)]
async fn list(_: Require<Viewer>, query: Query<ListQuery>, services: Data<Services>) -> ApiResult {
    let (list, page) = query.0.into_parts();
    let page = services.trust_lists.list(list, page.into()).await?;
    Ok(HttpResponse::Ok().json(PageBody::of(page, EntryBody::from)))
}

/// Trusts a server's certificate, or that of an authority and all it issues.
#[utoipa::path(
    post, path = "/api/v1/trust/server-certificates", tag = "trust",
    security(("bearer_token" = ["admin"])),
    request_body(content = TrustForm, content_type = "multipart/form-data"),
    responses((status = 201, body = EntryBody), (status = "default", body = Problem))
)]
async fn add(
    caller: Require<Admin>,
    _: Query<NoParameters>,
    mut form: Form,
    services: Data<Services>,
) -> ApiResult {
    let certificate = form.bytes("certificate");
    let list = match form.text("list")?.as_deref().map(String::as_str) {
        Some("trusted") => Some(TrustListName::Trusted),
        Some("issuer") => Some(TrustListName::Issuer),
        _ => {
            form.refuse("list", "must be trusted or issuer");
            None
        }
    };
    if certificate.is_none() {
        form.refuse("certificate", "this field is required");
    }
    form.finish()?;
    let (Some(certificate), Some(list)) = (certificate, list) else { return Err(ApiError::not_found()) };
    let entry = services.trust_lists.add(&caller.0, list, &certificate).await?;
    let location = format!("/api/v1/trust/server-certificates?list={}", list.as_str());
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(EntryBody::from(entry)))
}

/// Moves a certificate to the trusted ones.
#[utoipa::path(
    post, path = "/api/v1/trust/server-certificates/{thumbprint_sha256}/trust", tag = "trust",
    security(("bearer_token" = ["admin"])),
    params(("thumbprint_sha256" = String, Path)),
    responses((status = 200, body = EntryBody), (status = "default", body = Problem))
)]
async fn trust(
    caller: Require<Admin>,
    thumbprint: Thumbprint,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    let entry = services.trust_lists.trust(&caller.0, thumbprint.0).await?;
    Ok(HttpResponse::Ok().json(EntryBody::from(entry)))
}

/// Moves a certificate to the rejected ones; sessions that depended on it end.
#[utoipa::path(
    post, path = "/api/v1/trust/server-certificates/{thumbprint_sha256}/reject", tag = "trust",
    security(("bearer_token" = ["admin"])),
    params(("thumbprint_sha256" = String, Path)),
    responses((status = 200, body = EntryBody), (status = "default", body = Problem))
)]
async fn reject(
    caller: Require<Admin>,
    thumbprint: Thumbprint,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    let entry = services.trust_lists.reject(&caller.0, thumbprint.0).await?;
    Ok(HttpResponse::Ok().json(EntryBody::from(entry)))
}

/// Takes a certificate out of every list; sessions that depended on it end.
#[utoipa::path(
    delete, path = "/api/v1/trust/server-certificates/{thumbprint_sha256}", tag = "trust",
    security(("bearer_token" = ["admin"])),
    params(("thumbprint_sha256" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
async fn remove(
    caller: Require<Admin>,
    thumbprint: Thumbprint,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    services.trust_lists.remove(&caller.0, thumbprint.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Lists the revocation lists.
#[utoipa::path(
    get, path = "/api/v1/trust/crls", tag = "trust", params(PageQuery),
    responses((status = 200, body = PageBody<RevocationListBody>), (status = "default", body = Problem))
)]
async fn list_revocation_lists(
    _: Require<Viewer>,
    page: Query<PageQuery>,
    services: Data<Services>,
) -> ApiResult {
    let page = services.trust_lists.revocation_lists(page.0.into()).await?;
    Ok(HttpResponse::Ok().json(PageBody::of(page, RevocationListBody::from)))
}

/// Adds a revocation list, beside the certificate of its authority.
#[utoipa::path(
    post, path = "/api/v1/trust/crls", tag = "trust",
    security(("bearer_token" = ["admin"])),
    request_body(content = CrlForm, content_type = "multipart/form-data"),
    responses((status = 201, body = RevocationListBody), (status = "default", body = Problem))
)]
async fn add_revocation_list(
    caller: Require<Admin>,
    _: Query<NoParameters>,
    mut form: Form,
    services: Data<Services>,
) -> ApiResult {
    let list = form.bytes("crl");
    if list.is_none() {
        form.refuse("crl", "this field is required");
    }
    form.finish()?;
    let Some(list) = list else { return Err(ApiError::not_found()) };
    let entry = services.trust_lists.add_revocation_list(&caller.0, &list).await?;
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, "/api/v1/trust/crls"))
        .json(RevocationListBody::from(entry)))
}

/// Takes a revocation list away.
#[utoipa::path(
    delete, path = "/api/v1/trust/crls/{sha256}", tag = "trust",
    security(("bearer_token" = ["admin"])), params(("sha256" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
async fn remove_revocation_list(
    caller: Require<Admin>,
    sha256: Thumbprint,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    services.trust_lists.remove_revocation_list(&caller.0, sha256.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Lists every server certificate ever seen, by endpoint.
#[utoipa::path(
    get, path = "/api/v1/endpoints", tag = "trust", params(PageQuery),
    responses((status = 200, body = PageBody<SeenEndpointBody>), (status = "default", body = Problem))
)]
async fn endpoints(_: Require<Viewer>, page: Query<PageQuery>, services: Data<Services>) -> ApiResult {
    let page = services.trust_lists.endpoints(page.0.into()).await?;
    Ok(HttpResponse::Ok().json(PageBody::of(page, SeenEndpointBody::from)))
}
