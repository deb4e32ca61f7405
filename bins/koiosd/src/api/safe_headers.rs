//! What every answer says to browsers and caches, whatever handler or refusal it comes from.

use actix_web::{
    Error, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, LOCATION,
        REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
    middleware::Next,
};

use super::openapi::DOCUMENT_PATH;
use crate::config::Settings;

/// For answers that are no pages: nothing in them may be loaded or run, should a browser show one.
const NOTHING_RUNS: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// For the documentation's page, should it not say so itself: its own files, and the styles that its script writes.
const OWN_FILES: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
);

/// A year, for this host alone: others of its domain are not ours.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds the headers that an answer does not have.
#[derive(Clone, Debug)]
pub(crate) struct SafeHeaders {
    under_tls: bool,
    public_url: Option<String>,
}

impl SafeHeaders {
    pub(crate) fn new(settings: &Settings, under_tls: bool) -> Self {
        Self { under_tls, public_url: settings.public_url.clone() }
    }

    pub(crate) async fn add<B: MessageBody + 'static>(
        self,
        request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<impl MessageBody>, Error> {
        let kind = Kind::of(request.path());
        match next.call(request).await {
            Ok(mut answer) => {
                self.add_to(answer.headers_mut(), kind);
                Ok(answer)
            }
            Err(mut error) => {
                error.add_response_mapper(move |mut answer: HttpResponse| {
                    self.add_to(answer.headers_mut(), kind);
                    answer
                });
                Err(error)
            }
        }
    }

    fn add_to(&self, headers: &mut HeaderMap, kind: Kind) {
        let mut unless_there = |name: HeaderName, value: HeaderValue| {
            if !headers.contains_key(&name) {
                headers.insert(name, value);
            }
        };
        unless_there(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        unless_there(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        unless_there(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        unless_there(
            CONTENT_SECURITY_POLICY,
            match kind {
                Kind::Documentation => OWN_FILES,
                Kind::Other | Kind::Document => NOTHING_RUNS,
            },
        );
        unless_there(
            CACHE_CONTROL,
            match kind {
                // They change with the daemon's version, and hold nothing of the plant.
                Kind::Documentation | Kind::Document => HeaderValue::from_static("no-cache"),
                Kind::Other => HeaderValue::from_static("no-store"),
            },
        );
        if self.under_tls {
            unless_there(STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
        }
        self.complete(headers);
    }

    /// Links of ours begin with the address by which clients come here.
    fn complete(&self, headers: &mut HeaderMap) {
        let Some(public_url) = &self.public_url else { return };
        let Some(path) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) else { return };
        if path.starts_with('/')
            && let Ok(whole) = HeaderValue::try_from(format!("{public_url}{path}"))
        {
            headers.insert(LOCATION, whole);
        }
    }
}

/// What is answered.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The page that shows the document, and its files.
    Documentation,
    /// The OpenAPI document.
    Document,
    /// What depends on the token, holds secrets, or is nothing.
    Other,
}

impl Kind {
    fn of(path: &str) -> Self {
        match path {
            DOCUMENT_PATH => Self::Document,
            "/docs" => Self::Documentation,
            path if path.starts_with("/docs/") => Self::Documentation,
            _ => Self::Other,
        }
    }
}
