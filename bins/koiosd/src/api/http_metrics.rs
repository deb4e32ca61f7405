//! Counts requests, whatever becomes of them.

use std::time::Instant;

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web::Data,
};

use crate::service::{Services, metrics::Request};

/// Everything that no route answers: attackers must not invent labels.
const UNMATCHED: &str = "unmatched";

/// Counts a request by its method, the pattern of its route and its status, and how long its answer took to begin.
pub(crate) async fn count<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let services = request.app_data::<Data<Services>>().cloned();
    let (method, route) = (method(request.method()), route(&request));
    let begun = Instant::now();
    let answer = next.call(request).await;
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    if let Some(services) = services {
        let request = Request { method, route, status: status.as_u16(), duration: begun.elapsed() };
        services.metrics.count_request(request);
    }
    answer
}

fn method(method: &Method) -> &'static str {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    let index = known.iter().position(|known| known == method);
    let names = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    index.and_then(|index| names.get(index).copied()).unwrap_or("other")
}

/// The pattern of the route that will answer, such as `/api/v1/devices/{id}`.
fn route(request: &ServiceRequest) -> String {
    request.match_pattern().unwrap_or_else(|| UNMATCHED.to_owned())
}
