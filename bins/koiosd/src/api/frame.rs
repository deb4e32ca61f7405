//! What surrounds every request: its id, its log line, and an answer even when a handler panics.

use std::time::Instant;

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::header::{HeaderValue, VARY},
    middleware::Next,
    rt,
};
use tracing::Instrument;

use super::{
    client::client,
    error::{ApiError, Code},
    request_id::{RequestId, X_REQUEST_ID},
};

/// The outermost layer: gives the request its id, says it in the answer, and writes the one line of the log.
pub(crate) async fn identify<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = RequestId::generate();
    request.extensions_mut().insert(id);
    let method = request.method().clone();
    // Without the query: what stands there is not ours to write down.
    let path = request.path().to_owned();
    let started = Instant::now();
    let header = HeaderValue::try_from(id.to_string())?;
    let answer = next.call(request).await;
    let (status, answer) = match answer {
        Ok(response) => {
            let mut response = preflight_refusal(response, id);
            response.headers_mut().insert(X_REQUEST_ID, header);
            (response.status(), Ok(response))
        }
        Err(mut error) => {
            error.add_response_mapper(move |mut response| {
                response.headers_mut().insert(X_REQUEST_ID, header.clone());
                response
            });
            (error.as_response_error().status_code(), Err(error))
        }
    };
    let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
    tracing::info!(request_id = %id, http.method = %method, http.path = path, http.status = status.as_u16(), duration_ms, "request");
    answer
}

/// The innermost layer: a request that was begun is finished even when its client goes away, so that no change
/// stops half-way, unless its handler looks at [`ClientGone`](super::client::ClientGone); and a panic fails this
/// request only.
pub(crate) async fn run_to_completion<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let id = request.extensions().get::<RequestId>().copied().unwrap_or_else(RequestId::generate);
    let span = tracing::info_span!("request", request_id = %id);
    let (waits, gone) = client();
    request.extensions_mut().insert(gone);
    let answer = async move {
        // A failure outside of handlers gets its body here, where the request id is known.
        next.call(request).await.map_err(|error| {
            let response = error.error_response();
            Error::from(InternalError::from_response(error, response))
        })
    };
    let answer = rt::spawn(id.scope(answer).instrument(span)).await;
    drop(waits);
    match answer {
        Ok(answer) => answer,
        // The panic hook has written the log line.
        Err(panic) => {
            tracing::error!(request_id = %id, "a request ended in a panic");
            Err(InternalError::from_response(panic, ApiError::internal_unexplained().response(id)).into())
        }
    }
}

/// The CORS layer refuses a preflight in plain text; it becomes a problem like every other failure.
fn preflight_refusal<B: MessageBody + 'static>(
    response: ServiceResponse<B>,
    id: RequestId,
) -> ServiceResponse<impl MessageBody> {
    let reason = response.response().error().and_then(Error::as_error::<actix_cors::CorsError>);
    let Some(reason) = reason.map(ToString::to_string) else {
        return response.map_into_left_body();
    };
    let vary = response.headers().get(VARY).cloned();
    let mut refusal: HttpResponse = ApiError::new(Code::Forbidden, format!("CORS: {reason}.")).response(id);
    if let Some(vary) = vary {
        refusal.headers_mut().insert(VARY, vary);
    }
    response.into_response(refusal).map_into_right_body()
}

#[cfg(test)]
mod tests {
    use actix_web::{App, http::StatusCode, middleware::from_fn, test, web};

    use super::*;

    async fn panicking() -> HttpResponse {
        panic!("never told to a client");
    }

    #[actix_web::test]
    async fn a_panic_fails_its_request_only_with_a_problem_that_names_the_request() {
        let app = App::new()
            .wrap(from_fn(run_to_completion))
            .wrap(from_fn(identify))
            .route("/panic", web::get().to(panicking))
            .route("/fine", web::get().to(HttpResponse::Ok));
        let app = test::init_service(app).await;
        let error = test::try_call_service(&app, test::TestRequest::get().uri("/panic").to_request()).await;
        let response = error.err().expect("middleware answers with an error").error_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let id = response.headers().get(X_REQUEST_ID).expect("a request id").to_str().unwrap().to_owned();
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["code"], "internal");
        assert_eq!(problem["request_id"], id);
        assert!(!problem.to_string().contains("never told"), "{problem}");
        let fine = test::call_service(&app, test::TestRequest::get().uri("/fine").to_request()).await;
        assert_eq!(fine.status(), StatusCode::OK);
    }
}
