//! Revisions on the wire: `ETag` and `If-Match` (RFC 9110 §8.8.3, §13.1.1).

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, http::header::ETAG};
use serde::Serialize;

use super::error::ApiError;

/// The revision that a write expects, if it says one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IfMatch(pub(crate) Option<i64>);

/// No resource ever has this revision.
const NEVER: i64 = -1;

impl FromRequest for IfMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let fields = request.headers().get_all("If-Match").map(|value| value.to_str().unwrap_or_default());
        ready(Ok(Self(expected(fields))))
    }
}

/// Of several tags only the highest can be the present one: revisions only grow, and the caller has seen them all.
fn expected<'a>(fields: impl Iterator<Item = &'a str>) -> Option<i64> {
    let tags: Vec<&str> = fields.flat_map(|field| field.split(',')).map(str::trim).collect();
    if tags.is_empty() || tags.contains(&"*") {
        return None;
    }
    // A weak tag (`W/"3"`) never matches here, and what is no tag of ours does not either.
    let revision = |tag: &str| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    Some(tags.into_iter().filter_map(revision).max().unwrap_or(NEVER))
}

/// 200 with the resource and its revision.
pub(crate) fn ok_with_revision(revision: i64, body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((ETAG, entity_tag(revision))).json(body)
}

pub(crate) fn entity_tag(revision: i64) -> String {
    format!("\"{revision}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_revision_is_read_from_the_field() {
        for (field, revision) in [
            ("\"3\"", Some(3)),
            (" \"3\" , \"5\"", Some(5)),
            ("*", None),
            ("3", Some(NEVER)),
            ("W/\"3\"", Some(NEVER)),
            ("\"abc\"", Some(NEVER)),
            ("", Some(NEVER)),
        ] {
            assert_eq!(expected([field].into_iter()), revision, "{field}");
        }
        assert_eq!(expected([].into_iter()), None);
    }
}
