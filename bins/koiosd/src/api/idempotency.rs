//! `Idempotency-Key`: a request sent twice is carried out once.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::Payload,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION},
    },
};
use koios_store::{CertificateId, StoredAnswer};

use super::error::{ApiError, ApiResult};
use crate::{
    error_chain::error_chain,
    service::{
        Services,
        access::Caller,
        idempotency::{Begin, Fingerprint},
    },
};

/// The header's name, also as the field in problems.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Says that an earlier answer is repeated.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key of a request, if it has one, and where the request goes.
#[derive(Debug)]
pub(crate) struct IdempotencyKey {
    key: Option<String>,
    target: String,
}

impl FromRequest for IdempotencyKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = request.headers().get_all(IDEMPOTENCY_KEY);
        let (first, second) = (values.next(), values.next());
        let text = first.map(|value| value.to_str().unwrap_or_default());
        let good =
            |key: &str| (1..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if second.is_some() || text.is_some_and(|key| !good(key)) {
            let detail = "must be one value of 1 to 128 visible ASCII characters";
            return ready(Err(ApiError::invalid_field(IDEMPOTENCY_KEY, detail)));
        }
        let target = format!("{} {}", request.method(), request.uri());
        ready(Ok(Self { key: text.map(str::to_owned), target }))
    }
}

impl IdempotencyKey {
    /// Without the key when `dry_run`: what changes nothing may be asked again.
    pub(crate) fn unless(mut self, dry_run: bool) -> Self {
        if dry_run {
            self.key = None;
        }
        self
    }

    /// Carries the operation out, or repeats what was answered to the first request with this key.
    ///
    /// Failures are not kept: they changed nothing, so trying again is safe. The commit of the change notes the key, so that it is
    /// not carried out again even where the daemon is killed before the answer is kept; `result` then answers what became of it.
    pub(crate) async fn once(
        self,
        services: &Services,
        mut caller: Caller,
        fingerprint: Fingerprint,
        operation: impl AsyncFnOnce(&Caller) -> ApiResult,
        result: impl AsyncFnOnce(CertificateId) -> ApiResult,
    ) -> ApiResult {
        let Some(key) = self.key else { return operation(&caller).await };
        match services.idempotency.begin(caller.token.id, key, fingerprint.at(&self.target)).await? {
            Begin::Replay(answer) => Ok(replay(answer)),
            Begin::CarriedOut { resource_id } => {
                let id = resource_id.parse().map_err(|_| ApiError::internal_unexplained())?;
                let mut response = result(id).await?;
                response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                Ok(response)
            }
            Begin::First(first) => {
                caller.once = Some(first.once());
                let (response, answer) = copy(operation(&caller).await?)?;
                // The change is in force, so its answer must go out even when it could not be kept.
                if let Err(error) = first.finish(answer).await {
                    tracing::warn!(
                        error = error_chain(&error),
                        "an answer could not be kept for its Idempotency-Key"
                    );
                }
                Ok(response)
            }
        }
    }
}

fn copy(response: HttpResponse) -> Result<(HttpResponse, StoredAnswer), ApiError> {
    let (head, body) = response.into_parts();
    // Handlers answer with bytes; only downloads could be streams, and those are not changes.
    let body = body.try_into_bytes().map_err(|_| ApiError::internal_unexplained())?;
    let headers = [CONTENT_TYPE, ETAG, LOCATION].into_iter().filter_map(|name| {
        let value = head.headers().get(&name)?.to_str().ok()?.to_owned();
        Some((name.to_string(), value))
    });
    let answer = StoredAnswer::new(head.status().as_u16(), headers.collect(), body.to_vec());
    Ok((head.set_body(body).map_into_boxed_body(), answer))
}

fn replay(answer: StoredAnswer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    for (name, value) in answer.headers {
        response.insert_header((name, value));
    }
    response.insert_header((REPLAYED, HeaderValue::from_static("true"))).body(answer.body)
}
