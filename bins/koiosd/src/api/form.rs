//! `multipart/form-data` bodies (RFC 7578): the uploads.

use std::{future::Future, pin::Pin};

use actix_multipart::{Multipart, MultipartError};
use actix_web::{FromRequest, HttpRequest, dev::Payload, error::PayloadError};
use futures_util::StreamExt;
use zeroize::Zeroizing;

use super::{
    body::BodyHead,
    error::{ApiError, FieldError},
    query::shortened,
};
use crate::service::idempotency::Fingerprint;

/// Most bytes of an upload, boundaries included.
pub(crate) const UPLOAD_LIMIT: usize = 256 << 10;

/// The fields of an upload, wiped when dropped: one of them is a private key.
pub(crate) struct Form {
    fields: Vec<(String, Zeroizing<Vec<u8>>)>,
    errors: Vec<FieldError>,
    /// Equal for forms with the same fields, whatever their boundary.
    pub(crate) fingerprint: Fingerprint,
}

impl Form {
    /// The bytes of a field.
    pub(crate) fn bytes(&mut self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        let index = self.fields.iter().position(|(field, _)| field == name)?;
        Some(self.fields.swap_remove(index).1)
    }

    /// A field that is text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<Zeroizing<String>>, ApiError> {
        let Some(bytes) = self.bytes(name) else { return Ok(None) };
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Some(Zeroizing::new(text.to_owned()))),
            Err(_) => Err(ApiError::malformed(format!("The field {name} is not valid UTF-8."))),
        }
    }

    /// A field that is `true` or `false`; absent is `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        match self.text(name)?.as_deref().map(String::as_str) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => {
                self.refuse(name, "must be true or false");
                Ok(false)
            }
        }
    }

    /// Notes that a field does not fit.
    pub(crate) fn refuse(&mut self, name: &str, detail: &str) {
        self.errors.push(FieldError::new(name, detail));
    }

    /// Refuses what was not taken, and what was noted.
    pub(crate) fn finish(mut self) -> Result<(), ApiError> {
        let unknown = self
            .fields
            .iter()
            .map(|(name, _)| FieldError::new(shortened(name), "there is no such field here"));
        self.errors.extend(unknown);
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::invalid_fields(self.errors)) }
    }

    async fn read(mut parts: Multipart) -> Result<Self, ApiError> {
        let mut fields: Vec<(String, Zeroizing<Vec<u8>>)> = Vec::new();
        let mut errors = Vec::new();
        let mut count = 0;
        while let Some(part) = parts.next().await {
            let mut part = part.map_err(|error| refusal(&error))?;
            count += 1;
            if count > MOST_FIELDS {
                return Err(ApiError::invalid_field("", "the form has too many fields"));
            }
            let name = part.name().unwrap_or_default().to_owned();
            // With its full size from the beginning: growing would leave copies of a key behind.
            let mut bytes = Zeroizing::new(Vec::with_capacity(UPLOAD_LIMIT));
            while let Some(chunk) = part.next().await {
                let chunk = chunk.map_err(|error| refusal(&error))?;
                bytes.extend_from_slice(&chunk);
            }
            if fields.iter().any(|(field, _)| *field == name) {
                errors.push(FieldError::new(shortened(&name), "this field may be given once only"));
            } else {
                fields.push((name, bytes));
            }
        }
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        let fingerprint =
            Fingerprint::of(fields.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes.as_slice()]));
        Ok(Self { fields, errors, fingerprint })
    }
}

/// More than any form of the API has; repeated fields count as well.
const MOST_FIELDS: usize = 16;

impl FromRequest for Form {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let head = BodyHead::of(request);
        // All that comes counts, whatever it is: preamble, headers of parts, boundaries.
        let mut received = 0;
        let bounded = payload.take().map(move |chunk| {
            let chunk = chunk?;
            received += chunk.len();
            if received > UPLOAD_LIMIT { Err(PayloadError::Overflow) } else { Ok(chunk) }
        });
        let parts = Multipart::new(request.headers(), bounded);
        Box::pin(async move {
            head.expect_media_type(&["multipart/form-data"])?;
            head.expect_length_within(UPLOAD_LIMIT)?;
            head.in_time(Self::read(parts)).await
        })
    }
}

fn refusal(error: &MultipartError) -> ApiError {
    ApiError::malformed(match error {
        MultipartError::Payload(PayloadError::Overflow) => return ApiError::payload_too_large(UPLOAD_LIMIT),
        MultipartError::BoundaryMissing => "The Content-Type names no boundary.",
        MultipartError::ContentDispositionMissing | MultipartError::ContentDispositionNameMissing => {
            "Every part needs `Content-Disposition: form-data` with a name."
        }
        _ => "The multipart body is broken or ended early.",
    })
}

#[cfg(test)]
mod tests {
    use actix_web::{ResponseError, test::TestRequest};

    use super::*;

    async fn refused(body: String) -> u16 {
        let (request, mut payload) = TestRequest::post()
            .insert_header(("content-type", "multipart/form-data; boundary=b"))
            .set_payload(body)
            .to_http_parts();
        Form::from_request(&request, &mut payload).await.err().expect("a refusal").status_code().as_u16()
    }

    fn part(header: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n{header}\r\n\r\n")
    }

    #[actix_web::test]
    async fn parts_are_counted_although_they_repeat_a_field_and_hold_nothing() {
        assert_eq!(refused(part("").repeat(MOST_FIELDS + 1) + "--b--\r\n").await, 422);
    }

    #[actix_web::test]
    async fn what_lies_around_the_parts_counts_towards_the_limit() {
        let line = format!("{}\r\n", "x".repeat(998));
        assert_eq!(refused(line.repeat(UPLOAD_LIMIT / 1000 + 1) + &part("") + "--b--\r\n").await, 413);
        let headers = part(&format!("X-Filler: {}\r\n", "x".repeat(30_000)));
        assert_eq!(refused(headers.repeat(10) + "--b--\r\n").await, 413);
    }
}
