//! Revisions on the wire: `ETag` and `If-Match` (RFC 9110 §8.8.3, §13.1.1).

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, http::header::ETAG};
use koios_store::{CertificateId, DeviceId, StoreError};
use serde::Serialize;

use super::error::ApiError;
use crate::service::Services;

/// The revisions with which a write is to be applied; with any when it does not say.
#[derive(Clone, Debug)]
pub(crate) struct IfMatch(Option<Vec<i64>>);

/// No resource ever has this revision.
const NEVER: i64 = -1;

impl FromRequest for IfMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let fields = request.headers().get_all("If-Match").map(|value| value.to_str().unwrap_or_default());
        ready(Ok(Self(revisions(fields))))
    }
}

impl IfMatch {
    /// The revision that a write to this certificate expects.
    pub(crate) async fn of_certificate(
        self,
        services: &Services,
        id: CertificateId,
    ) -> Result<Option<i64>, ApiError> {
        self.among(async { services.store.certificate(id).await.map(|record| record.revision) }).await
    }

    /// The revision that a write to this device expects.
    pub(crate) async fn of_device(self, services: &Services, id: DeviceId) -> Result<Option<i64>, ApiError> {
        self.among(async { services.store.device(id).await.map(|device| device.revision) }).await
    }

    /// Of several the present one, which the write compares once more; of none, one that nothing has.
    async fn among(
        self,
        current: impl Future<Output = Result<i64, StoreError>>,
    ) -> Result<Option<i64>, ApiError> {
        Ok(match self.0.as_deref() {
            None => None,
            Some([]) => Some(NEVER),
            Some([only]) => Some(*only),
            Some(several) => match current.await {
                Ok(revision) if several.contains(&revision) => Some(revision),
                // What is not there is for the write to say.
                Ok(_) | Err(StoreError::NotFound { .. }) => Some(NEVER),
                Err(error) => return Err(error.into()),
            },
        })
    }
}

fn revisions<'a>(fields: impl Iterator<Item = &'a str>) -> Option<Vec<i64>> {
    let tags: Vec<&str> = fields.flat_map(|field| field.split(',')).map(str::trim).collect();
    if tags.is_empty() || tags.contains(&"*") {
        return None;
    }
    // A weak tag (`W/"3"`) never matches here, and what is no tag of ours (`"+3"`) does not either.
    let revision = |tag: &str| {
        let revision = tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()?;
        (entity_tag(revision) == tag).then_some(revision)
    };
    Some(tags.into_iter().filter_map(revision).collect())
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
    fn the_expected_revisions_are_read_from_the_field() {
        for (field, expected) in [
            ("\"3\"", Some(vec![3])),
            (" \"3\" , \"5\"", Some(vec![3, 5])),
            ("*", None),
            ("3", Some(vec![])),
            ("W/\"3\"", Some(vec![])),
            ("W/\"3\", \"4\"", Some(vec![4])),
            ("\"+3\"", Some(vec![])),
            ("\"03\"", Some(vec![])),
            ("\"abc\"", Some(vec![])),
            ("", Some(vec![])),
        ] {
            assert_eq!(revisions([field].into_iter()), expected, "{field}");
        }
        assert_eq!(revisions([].into_iter()), None);
        assert_eq!(revisions(["\"1\"", "\"2\""].into_iter()), Some(vec![1, 2]));
    }

    #[actix_web::test]
    async fn of_several_revisions_the_present_one_is_expected() {
        for (given, current, expected) in [
            (Some(vec![1, 99]), 1, Some(1)),
            (Some(vec![99, 1]), 1, Some(1)),
            (Some(vec![2, 3]), 1, Some(NEVER)),
            (Some(vec![]), 1, Some(NEVER)),
            (Some(vec![7]), 1, Some(7)),
            (None, 1, None),
        ] {
            let found = IfMatch(given.clone()).among(async { Ok(current) }).await.unwrap();
            assert_eq!(found, expected, "{given:?}");
        }
    }
}
