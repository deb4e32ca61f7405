//! Path segments.

use std::{
    future::{Ready, ready},
    str::FromStr,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};

use koios_pki::Sha256Thumbprint;

use super::error::ApiError;

/// `{id}`: a UUID in its usual text form; anything else there is 404, as an unknown id is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr> FromRequest for Id<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(parse_id).map(Self);
        ready(id.ok_or_else(ApiError::not_found))
    }
}

/// `{thumbprint_sha256}` or `{sha256}`: 64 hexadecimal digits; anything else there is 404, as an unknown one is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thumbprint(pub(crate) Sha256Thumbprint);

impl FromRequest for Thumbprint {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let segment = request.match_info().iter().next().and_then(|(_, text)| text.parse().ok());
        ready(segment.map(Self).ok_or_else(ApiError::not_found))
    }
}

/// Reads an id; the other forms of a UUID (braces, no hyphens, `urn:uuid:`) are not ids of the API.
pub(crate) fn parse_id<T: FromStr>(text: &str) -> Option<T> {
    let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
    if hyphenated { text.parse().ok() } else { None }
}
