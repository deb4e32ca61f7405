//! Request bodies: how much of them is read, and JSON.

mod distinct;

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    rt,
    web::{BytesMut, Data},
};
use futures_util::StreamExt;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use self::distinct::{Distinct, REPEATED};
use super::{
    error::{ApiError, FieldError},
    query::shortened,
};
use crate::service::{Services, idempotency::Fingerprint};

/// Most bytes of a JSON body.
pub(crate) const JSON_LIMIT: usize = 1 << 20;

/// A JSON body, read strictly: an unknown field is refused, and so is `null` where it has no meaning.
#[derive(Debug)]
pub(crate) struct Json<T> {
    pub(crate) value: T,
    /// Equal for bodies that say the same.
    pub(crate) fingerprint: Fingerprint,
}

/// A JSON body that may be left out, which means `{}`.
#[derive(Debug)]
pub(crate) struct OptionalJson<T>(pub(crate) Json<T>);

/// No body: nothing, or an object without fields, of whatever media type.
#[derive(Debug)]
pub(crate) struct NoBody;

/// A JSON Merge Patch (RFC 7396), also taken as plain JSON.
#[derive(Debug)]
pub(crate) struct MergePatch<T>(pub(crate) T);

type BodyFuture<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = BodyFuture<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let head = BodyHead::of(request);
        let payload = payload.take();
        Box::pin(async move {
            head.expect_media_type(&["application/json"])?;
            parse(&head.read(payload, JSON_LIMIT).await?)
        })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for OptionalJson<T> {
    type Error = ApiError;
    type Future = BodyFuture<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let head = BodyHead::of(request);
        let payload = payload.take();
        Box::pin(async move {
            let mut bytes = head.read(payload, JSON_LIMIT).await?;
            if bytes.is_empty() {
                bytes.extend_from_slice(b"{}");
            } else {
                head.expect_media_type(&["application/json"])?;
            }
            parse(&bytes).map(Self)
        })
    }
}

impl FromRequest for NoBody {
    type Error = ApiError;
    type Future = BodyFuture<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}

        let head = BodyHead::of(request);
        let payload = payload.take();
        Box::pin(async move {
            let bytes = head.read(payload, JSON_LIMIT).await?;
            if !bytes.is_empty() {
                parse::<Nothing>(&bytes)?;
            }
            Ok(Self)
        })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for MergePatch<T> {
    type Error = ApiError;
    type Future = BodyFuture<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let head = BodyHead::of(request);
        let payload = payload.take();
        Box::pin(async move {
            head.expect_media_type(&["application/merge-patch+json", "application/json"])?;
            parse(&head.read(payload, JSON_LIMIT).await?).map(|json: Json<T>| Self(json.value))
        })
    }
}

/// What the header fields say about a body.
#[derive(Debug)]
pub(crate) struct BodyHead {
    media_type: Option<String>,
    /// Everything but `identity` is refused: a small compressed body can be a large one.
    encoded: bool,
    length: Option<u64>,
    /// How long it may take to come.
    patience: Duration,
}

/// Where no settings are at hand: in tests of the extractors alone.
const PATIENCE: Duration = Duration::from_secs(30);

impl BodyHead {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        Self {
            media_type: request
                .headers()
                .contains_key(CONTENT_TYPE)
                .then(|| request.content_type().to_ascii_lowercase()),
            encoded: text(CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")),
            length: text(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            patience: request
                .app_data::<Data<Services>>()
                .map_or(PATIENCE, |services| services.settings.now().client_timeout()),
        }
    }

    pub(crate) fn expect_media_type(&self, expected: &[&str]) -> Result<(), ApiError> {
        let fits = self.media_type.as_deref().is_some_and(|given| expected.contains(&given));
        if fits && !self.encoded {
            return Ok(());
        }
        Err(ApiError::unsupported_media_type(&expected.join(" or ")))
    }

    /// Refuses a body that says itself that it is too long.
    pub(crate) fn expect_length_within(&self, limit: usize) -> Result<(), ApiError> {
        let within =
            self.length.is_none_or(|length| usize::try_from(length).is_ok_and(|length| length <= limit));
        if within { Ok(()) } else { Err(ApiError::payload_too_large(limit)) }
    }

    /// Waits for what a client sends, for so long as a client may take.
    pub(crate) async fn in_time<T>(
        &self,
        reading: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let seconds = self.patience.as_secs();
        let late = |_| ApiError::malformed(format!("The body did not come within {seconds} seconds."));
        rt::time::timeout(self.patience, reading).await.map_err(late)?
    }

    async fn read(&self, payload: Payload, limit: usize) -> Result<BytesMut, ApiError> {
        self.in_time(self.read_all(payload, limit)).await
    }

    async fn read_all(&self, mut payload: Payload, limit: usize) -> Result<BytesMut, ApiError> {
        self.expect_length_within(limit)?;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk =
                chunk.map_err(|_| ApiError::malformed("The body ended early, or its framing is broken."))?;
            if bytes.len() + chunk.len() > limit {
                return Err(ApiError::payload_too_large(limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// A field that may be left out but not be `null`.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A field in which being left out (`None`) and `null` (`Some(None)`) differ.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<Json<T>, ApiError> {
    // In two steps, so that broken JSON is always 400 and a field that does not fit is always 422.
    let document = document(bytes)?;
    if !document.is_object() {
        return Err(ApiError::invalid_field("", "the body must be a JSON object"));
    }
    let fingerprint = Fingerprint::of([document.to_string().as_bytes()]);
    let value = read_value(document).map_err(|error| ApiError::invalid_fields(vec![error]))?;
    Ok(Json { value, fingerprint })
}

fn document(bytes: &[u8]) -> Result<Value, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Distinct(document) = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| broken(&path_of(&error), error.inner()))?;
    json.end().map_err(|error| broken("", &error))?;
    Ok(document)
}

fn broken(path: &str, error: &serde_json::Error) -> ApiError {
    let message = error.to_string();
    if let Some((name, _)) = message.strip_prefix(REPEATED).and_then(|rest| rest.rsplit_once('`')) {
        return ApiError::invalid_field(within(path, &shortened(name)), "this field may be given once only");
    }
    let what = match message.as_str() {
        text if text.starts_with("number out of range") => "holds a number that is too large",
        text if text.starts_with("recursion limit") => "nests too deep",
        _ => "is not JSON in UTF-8",
    };
    let (line, column) = (error.line(), error.column());
    ApiError::malformed(format!("The body {what} (line {line}, column {column})."))
}

fn path_of<E>(error: &serde_path_to_error::Error<E>) -> String {
    match error.path().to_string() {
        root if root == "." => String::new(),
        path => shortened(&path),
    }
}

fn within(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Reads a part of a body that is looked at for itself.
pub(crate) fn read_value<T: DeserializeOwned>(value: Value) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(value).map_err(|error| field_error(&error))
}

/// Says where and what, without the value: it may be a password in the wrong place.
fn field_error(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldError {
    let path = path_of(error);
    let message = error.inner().to_string();
    if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return FieldError::new(within(&path, name), "this field is required");
    }
    if message.starts_with("unknown field `") {
        return FieldError::new(path, "there is no such field here");
    }
    // "invalid type: string \"…\", expected a boolean": what stands behind the last comma is ours.
    let detail = match message.rsplit_once(", expected ") {
        Some((_, "f64")) => "must be a number".to_owned(),
        Some((_, "u32")) => "must be a whole number, and not negative".to_owned(),
        Some((_, "string or map")) => "must be a string".to_owned(),
        Some((_, "a sequence")) => "must be a list".to_owned(),
        Some((_, "a map")) => "must be an object".to_owned(),
        Some((_, expected)) if expected.starts_with("struct ") => "must be an object".to_owned(),
        Some((_, expected)) if expected.contains("UUID") => "must be a UUID".to_owned(),
        Some((_, expected)) => format!("must be {expected}"),
        None if message.starts_with("UUID parsing failed") => "must be a UUID".to_owned(),
        None if message.contains('"') || message.contains('`') => "this value does not fit".to_owned(),
        None => message,
    };
    FieldError::new(path, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "its being required is what is tested")]
        name: String,
        #[serde(default, deserialize_with = "present")]
        days: Option<u32>,
        #[serde(default, deserialize_with = "nullable")]
        description: Option<Option<String>>,
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        #[expect(dead_code, reason = "what does not fit into it is what is tested")]
        ids: Vec<uuid::Uuid>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "its being required is what is tested")]
        password: String,
    }

    fn sample(text: &str) -> Result<Sample, String> {
        parse::<Sample>(text.as_bytes()).map(|json| json.value).map_err(|error| error.to_string())
    }

    #[test]
    fn left_out_and_null_differ_where_that_matters() {
        let sample1 = sample("{\"name\": \"a\"}").unwrap();
        assert_eq!((sample1.days, sample1.description), (None, None));
        let sample2 = sample("{\"name\": \"a\", \"description\": null}").unwrap();
        assert_eq!(sample2.description, Some(None));
        assert!(sample("{\"name\": \"a\", \"days\": null}").is_err());
    }

    #[test]
    fn an_error_names_the_field_and_never_repeats_the_value() {
        for (text, expected) in [
            ("{}", "name: this field is required"),
            ("{\"name\": 5}", "name: must be a string"),
            (
                "{\"name\": \"a\", \"days\": \"s3cret, expected x\"}",
                "days: must be a whole number, and not negative",
            ),
            ("{\"name\": \"a\", \"inner\": {}}", "inner.password: this field is required"),
            ("{\"name\": \"a\", \"inner\": {\"password\": 123456}}", "inner.password: must be a string"),
            ("{\"name\": \"a\", \"inner\": {\"x\": 1}}", "inner.x: there is no such field here"),
            ("{\"name\": \"a\", \"nam\": 1}", "nam: there is no such field here"),
            ("{\"name\": \"a\", \"inner\": 5}", "inner: must be an object"),
            ("{\"name\": \"a\", \"inner\": []}", "inner: must be an object"),
            ("{\"name\": \"a\", \"ids\": 5}", "ids: must be a list"),
            ("{\"name\": \"a\", \"ids\": [5]}", "ids[0]: must be a UUID"),
            ("{\"name\": \"a\", \"ids\": [\"no `uuid`\"]}", "ids[0]: must be a UUID"),
            ("[]", "the body must be a JSON object"),
        ] {
            let error = sample(text).unwrap_err();
            assert_eq!(error, format!("invalid_field: {expected}"), "{text}");
        }
        assert!(sample("{\"name\": \"a\", \"inner\": null}").unwrap().inner.is_none());
    }

    #[test]
    fn broken_json_is_another_error_than_a_field_that_does_not_fit() {
        for text in
            [&b""[..], b"{", b"{\"name\": 5, ", b"{\"name\": \"\xff\"}", b"{\"name\": \"\\ud800\"}", b"{} {}"]
        {
            let error = parse::<Sample>(text).unwrap_err();
            assert!(error.to_string().contains("malformed_request"), "{error}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_where_it_stands() {
        for (text, expected) in [
            ("{\"name\": \"a\", \"name\": \"b\"}", "name: this field may be given once only"),
            ("{\"name\": \"a\", \"n\\u0061me\": \"b\"}", "name: this field may be given once only"),
            (
                "{\"name\": \"a\", \"inner\": {\"x`\": 1, \"x`\": 1}}",
                "inner.x`: this field may be given once only",
            ),
            (
                "{\"name\": \"a\", \"ids\": [{\"x\": 1, \"x\": 1}]}",
                "ids[0].x: this field may be given once only",
            ),
        ] {
            assert_eq!(sample(text).unwrap_err(), format!("invalid_field: {expected}"), "{text}");
        }
    }

    #[test]
    fn what_keeps_a_body_from_being_read_is_said() {
        let deep = "[".repeat(200);
        for (text, what) in [
            (&*deep, "nests too deep"),
            ("{\"days\": 1e400}", "holds a number that is too large"),
            ("{\"days\": }", "is not JSON in UTF-8"),
        ] {
            let error = sample(text).unwrap_err();
            assert!(error.starts_with(&format!("malformed_request: The body {what} (line 1,")), "{error}");
        }
    }

    #[test]
    fn bodies_that_say_the_same_have_the_same_fingerprint() {
        let a = parse::<Sample>(b"{\"name\": \"a\", \"days\": 1}").unwrap();
        let b = parse::<Sample>(b" { \"days\":1,\"name\":\"\\u0061\" }").unwrap();
        let c = parse::<Sample>(b"{\"name\": \"a\", \"days\": 2}").unwrap();
        assert_eq!(a.fingerprint, b.fingerprint);
        assert_ne!(a.fingerprint, c.fingerprint);
    }
}
