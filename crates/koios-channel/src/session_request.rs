use std::time::Duration;

use crate::{Endpoint, EndpointUrl};

/// What a session is to be (OPC 10000-4 §5.7.2).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionRequest {
    /// The URL as the user typed it.
    pub endpoint_url: EndpointUrl,
    /// The endpoint selected from those of discovery.
    pub endpoint: Endpoint,
    /// All endpoints of discovery, to find out whether somebody changed them on the way; empty: no such check.
    pub expected_endpoints: Vec<Endpoint>,
    /// Our application URI; a server compares it with the one in our certificate.
    pub application_uri: String,
    /// Our name for people.
    pub application_name: String,
    /// The URI of our product.
    pub product_uri: String,
    /// The session's name in the server's diagnostics.
    pub session_name: String,
    /// How long the server is to keep a session that says nothing; it may answer another time.
    pub session_timeout: Duration,
}

impl SessionRequest {
    /// A session on `endpoint` named `Koios`, kept for one minute of silence, without a downgrade check.
    pub fn new(endpoint_url: EndpointUrl, endpoint: Endpoint, application_uri: impl Into<String>) -> Self {
        Self {
            endpoint_url,
            endpoint,
            expected_endpoints: Vec::new(),
            application_uri: application_uri.into(),
            application_name: "Koios".to_owned(),
            product_uri: "urn:koios".to_owned(),
            session_name: "Koios".to_owned(),
            session_timeout: Duration::from_secs(60),
        }
    }
}
