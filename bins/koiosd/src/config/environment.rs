//! The keys that the environment may set.

use figment::value::Value;

/// The keys that the environment may set, and whether the value is text as it stands (else it is read like a
/// TOML value, so that `KOIOS_ORGANIZATION=42` stays text and `KOIOS_CONNECT_CONCURRENCY=42` is a number).
pub(super) const ENVIRONMENT: [(&str, ValueKind); 17] = [
    ("allow_deprecated_policies", ValueKind::Literal),
    ("connect_concurrency", ValueKind::Literal),
    ("cors_allowed_origins", ValueKind::Text),
    ("create_default_certificate", ValueKind::Literal),
    ("data_dir", ValueKind::Text),
    ("default_key", ValueKind::Text),
    ("default_server_certificate_policy", ValueKind::Text),
    ("default_validity_days", ValueKind::Literal),
    ("encryption_at_rest", ValueKind::Literal),
    ("expiring_soon_days", ValueKind::Literal),
    ("insecure_allow_plain_http", ValueKind::Literal),
    ("listen", ValueKind::Text),
    ("log_format", ValueKind::Text),
    ("log_level", ValueKind::Text),
    ("master_key_file", ValueKind::Text),
    ("organization", ValueKind::Text),
    ("retry_max_seconds", ValueKind::Literal),
];

#[derive(Clone, Copy)]
pub(super) enum ValueKind {
    Literal,
    Text,
}

pub(super) fn literal(text: &str) -> Value {
    match text.parse::<Value>() {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
