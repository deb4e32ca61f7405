//! Access tokens.

mod representation;

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, LOCATION},
    web::{Data, ServiceConfig},
};
use koios_store::TokenId;
use utoipa::OpenApi;

use super::{
    auth::{Admin, Require},
    body::{Json, NoBody},
    error::{ApiResult, Problem},
    page::PageBody,
    path::Id,
    query::{NoParameters, Query},
    routes,
};
use crate::service::Services;
use representation::{ListQuery, TokenRequest};
pub(crate) use representation::{NewTokenBody, TokenBody};

/// What this module adds to the document.
#[derive(OpenApi)]
#[openapi(
    paths(list, create, show, revoke),
    tags((name = "tokens", description = "Who may use the API"))
)]
pub(crate) struct TokensDocument;

pub(crate) fn configure(config: &mut ServiceConfig) {
    routes::at("/tokens").get(list).post(create).register(config);
    routes::at("/tokens/{id}").get(show).delete(revoke).register(config);
}

/// Lists the tokens, those that have expired included, and never what they are.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "tokens", security(("bearer_token" = ["admin"])), params(ListQuery),
    responses((status = 200, body = PageBody<TokenBody>), (status = "default", body = Problem))
)]
async fn list(_: Require<Admin>, query: Query<ListQuery>, services: Data<Services>) -> ApiResult {
    let page = services.tokens.list(query.0.into()).await?;
    Ok(HttpResponse::Ok().json(PageBody::of(page, TokenBody::from)))
}

/// Makes a token and answers it, this once.
///
/// It grants only what the token of this request holds, and no longer; else the answer is 403 `forbidden`.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens", security(("bearer_token" = ["admin"])), request_body = TokenRequest,
    responses(
        (
            status = 201, body = NewTokenBody<'_>, description = "The token is in `token`; it is not shown again.",
            headers(
                ("Location" = String, description = "Where the token is shown, without what it is."),
                ("Cache-Control" = String, description = "`no-store`.")
            )
        ),
        (status = "default", body = Problem)
    )
)]
async fn create(
    caller: Require<Admin>,
    _: Query<NoParameters>,
    body: Json<TokenRequest>,
    services: Data<Services>,
) -> ApiResult {
    let order = body.value.order(&caller.0);
    let (token, plain) = services.tokens.create(&caller.0, order).await?;
    let location = format!("/api/v1/tokens/{}", token.id);
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, location))
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(NewTokenBody::new(token, plain.secret())))
}

/// Shows one token.
#[utoipa::path(
    get, path = "/api/v1/tokens/{id}", tag = "tokens", security(("bearer_token" = ["admin"])),
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = TokenBody), (status = "default", body = Problem))
)]
async fn show(
    _: Require<Admin>,
    id: Id<TokenId>,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    Ok(HttpResponse::Ok().json(TokenBody::from(services.tokens.token(id.0).await?)))
}

/// Revokes a token: the next request with it is refused.
///
/// The last admin token that has not expired stays: 409 `last_admin_token`. With the first admin token goes the file
/// `initial-admin-token`.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", tag = "tokens", security(("bearer_token" = ["admin"])),
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 204, description = "It is no more."),
        (status = "default", body = Problem)
    )
)]
async fn revoke(
    caller: Require<Admin>,
    id: Id<TokenId>,
    _: Query<NoParameters>,
    _: NoBody,
    services: Data<Services>,
) -> ApiResult {
    services.tokens.revoke(&caller.0, id.0).await?;
    Ok(HttpResponse::NoContent().finish())
}
