//! Who may call what: bearer tokens (RFC 6750), and roles as part of each handler's signature.

use std::{
    future::{Ready, ready},
    marker::PhantomData,
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::header::AUTHORIZATION,
    middleware::Next,
    web::Data,
};
use koios_store::{Permission, Role};

use super::error::{ApiError, Code};
use crate::service::{Services, access::Caller};

const CHALLENGE: &str = "Bearer realm=\"koios\"";
const CHALLENGE_INVALID: &str = "Bearer realm=\"koios\", error=\"invalid_token\"";

/// Lets only requests with a valid token pass, and notes whose it is.
pub(crate) async fn authenticate<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let caller = identify(&request).await?;
    request.extensions_mut().insert(caller);
    next.call(request).await
}

async fn identify(request: &ServiceRequest) -> Result<Caller, ApiError> {
    let header =
        request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let text = match header.split_once(' ') {
        Some((scheme, text)) if scheme.eq_ignore_ascii_case("bearer") => text.trim(),
        _ => {
            let detail = "Send a token: Authorization: Bearer <token>.";
            return Err(ApiError::unauthenticated(detail, CHALLENGE));
        }
    };
    let services = request.app_data::<Data<Services>>().ok_or_else(ApiError::internal_unexplained)?;
    let address = request.peer_addr().map(|address| address.ip());
    let Some(token) = services.access.authenticate(text, address).await? else {
        let detail = "This token is unknown, revoked or expired; ask an admin for a new one.";
        return Err(ApiError::unauthenticated(detail, CHALLENGE_INVALID));
    };
    Ok(Caller { token, address: address.map(|address| address.to_string()), once: None })
}

/// What a caller must have.
pub(crate) trait Requirement {
    /// What to say to those who have it not.
    const REFUSAL: &'static str;

    fn is_met_by(caller: &Caller) -> bool;
}

/// May read.
#[derive(Debug)]
pub(crate) struct Viewer;

/// May change certificates and devices, test and discover.
#[derive(Debug)]
pub(crate) struct Operator;

/// May decide about access and trust.
#[derive(Debug)]
pub(crate) struct Admin;

/// May take private keys out.
#[derive(Debug)]
pub(crate) struct KeyDownload;

impl Requirement for Viewer {
    const REFUSAL: &'static str = "This needs a token with the role viewer.";

    fn is_met_by(caller: &Caller) -> bool {
        caller.has_role(Role::Viewer)
    }
}

impl Requirement for Operator {
    const REFUSAL: &'static str = "This needs a token with the role operator.";

    fn is_met_by(caller: &Caller) -> bool {
        caller.has_role(Role::Operator)
    }
}

impl Requirement for Admin {
    const REFUSAL: &'static str = "This needs a token with the role admin.";

    fn is_met_by(caller: &Caller) -> bool {
        caller.has_role(Role::Admin)
    }
}

impl Requirement for KeyDownload {
    const REFUSAL: &'static str = "This needs a token with the permission download_private_key.";

    fn is_met_by(caller: &Caller) -> bool {
        caller.may(Permission::DownloadPrivateKey)
    }
}

/// A caller that has what the handler asks for.
#[derive(Debug)]
pub(crate) struct Require<R>(pub(crate) Caller, PhantomData<R>);

impl<R: Requirement> FromRequest for Require<R> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Caller>().cloned();
        ready(match caller {
            Some(caller) if R::is_met_by(&caller) => Ok(Self(caller, PhantomData)),
            Some(_) => Err(ApiError::new(Code::Forbidden, R::REFUSAL)),
            None => Err(ApiError::unauthenticated("Send a token: Authorization: Bearer <token>.", CHALLENGE)),
        })
    }
}
