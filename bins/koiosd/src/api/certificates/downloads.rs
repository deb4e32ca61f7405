//! Certificates and keys as files.

use std::fmt::{self, Write as _};

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue},
    web::{Bytes, Data, ServiceConfig},
};
use koios_pki::{PrivateKeyPem, slug};
use koios_store::CertificateId;
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::{
    api::{
        auth::{KeyDownload, Require, Viewer},
        body::Json,
        error::{ApiResult, Problem},
        path::Id,
        query::{NoParameters, Query},
        routes, words,
    },
    service::{Services, access::KeyForm},
};

const DER: &str = "application/pkix-cert";
const PEM: &str = "application/x-pem-file";
const PKCS12: &str = "application/x-pkcs12";
const KEY_SUFFIX: &str = "-private-key.pem";

pub(super) fn configure(config: &mut ServiceConfig) {
    routes::at("/certificates/{id}/certificate.der").get(certificate_der).register(config);
    routes::at("/certificates/{id}/certificate.pem").get(certificate_pem).register(config);
    routes::at("/certificates/{id}/chain.pem").get(chain_pem).register(config);
    routes::at("/certificates/{id}/private-key.pem")
        .get(private_key_pem)
        .post(encrypted_private_key_pem)
        .register(config);
    routes::at("/certificates/{id}/bundle.p12").post(bundle).register(config);
}

/// Where a certificate can be had as DER, for the server's trust list.
pub(crate) fn der_path(id: impl fmt::Display) -> String {
    format!("/api/v1/certificates/{id}/certificate.der")
}

/// The certificate alone, for the server's trust list.
#[utoipa::path(
    get, path = "/api/v1/certificates/{id}/certificate.der", tag = "certificates", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, content_type = "application/pkix-cert", body = inline(words::Octets)), (status = "default", body = Problem))
)]
pub(super) async fn certificate_der(
    _: Require<Viewer>,
    id: Id<CertificateId>,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    let record = services.certificates.downloadable(id.0).await?;
    Ok(attachment(&record.name, ".der", DER, record.chain.leaf().der().to_vec()))
}

/// The certificate alone, as text.
#[utoipa::path(
    get, path = "/api/v1/certificates/{id}/certificate.pem", tag = "certificates", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, content_type = "application/x-pem-file", body = String), (status = "default", body = Problem))
)]
pub(super) async fn certificate_pem(
    _: Require<Viewer>,
    id: Id<CertificateId>,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    let record = services.certificates.downloadable(id.0).await?;
    Ok(attachment(&record.name, ".pem", PEM, record.chain.leaf().to_pem()))
}

/// The certificate and the ones that issued it, leaf first.
#[utoipa::path(
    get, path = "/api/v1/certificates/{id}/chain.pem", tag = "certificates", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, content_type = "application/x-pem-file", body = String), (status = "default", body = Problem))
)]
pub(super) async fn chain_pem(
    _: Require<Viewer>,
    id: Id<CertificateId>,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    let record = services.certificates.downloadable(id.0).await?;
    Ok(attachment(&record.name, "-chain.pem", PEM, record.chain.to_pem()))
}

/// The private key, for backup only: whoever has it can impersonate Koios. Recorded in the audit trail.
#[utoipa::path(
    get, path = "/api/v1/certificates/{id}/private-key.pem", tag = "certificates", params(("id" = uuid::Uuid, Path)),
    security(("bearer_token" = ["download_private_key"])),
    responses((status = 200, content_type = "application/x-pem-file", body = String), (status = "default", body = Problem))
)]
pub(super) async fn private_key_pem(
    caller: Require<KeyDownload>,
    id: Id<CertificateId>,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    let (record, key) = services.certificates.private_key(id.0, KeyForm::Pkcs8, &caller.0).await?;
    Ok(not_kept(attachment(&record.name, KEY_SUFFIX, PEM, Bytes::from_owner(Unread(key)))))
}

/// The private key as PKCS#8, encrypted under a passphrase (PBES2 with scrypt and AES-256). Recorded in the audit trail.
#[utoipa::path(
    post, path = "/api/v1/certificates/{id}/private-key.pem", tag = "certificates", request_body = PassphraseRequest,
    security(("bearer_token" = ["download_private_key"])),
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, content_type = "application/x-pem-file", body = String), (status = "default", body = Problem))
)]
pub(super) async fn encrypted_private_key_pem(
    caller: Require<KeyDownload>,
    id: Id<CertificateId>,
    _: Query<NoParameters>,
    body: Json<PassphraseRequest>,
    services: Data<Services>,
) -> ApiResult {
    let passphrase = Zeroizing::new(body.value.passphrase);
    let (record, key) = services.certificates.encrypted_private_key(id.0, passphrase, &caller.0).await?;
    Ok(not_kept(attachment(&record.name, KEY_SUFFIX, PEM, Bytes::from_owner(Unread(key)))))
}

/// Key and certificates as one PKCS#12 file under a passphrase. Recorded in the audit trail.
#[utoipa::path(
    post, path = "/api/v1/certificates/{id}/bundle.p12", tag = "certificates", request_body = PassphraseRequest,
    security(("bearer_token" = ["download_private_key"])),
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, content_type = "application/x-pkcs12", body = inline(words::Octets)), (status = "default", body = Problem))
)]
pub(super) async fn bundle(
    caller: Require<KeyDownload>,
    id: Id<CertificateId>,
    _: Query<NoParameters>,
    body: Json<PassphraseRequest>,
    services: Data<Services>,
) -> ApiResult {
    let passphrase = Zeroizing::new(body.value.passphrase);
    let (record, file) = services.certificates.bundle(id.0, passphrase, &caller.0).await?;
    Ok(not_kept(attachment(&record.name, ".p12", PKCS12, file)))
}

/// What a private key is to be encrypted under.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PassphraseRequest {
    /// 1 to 1024 characters.
    #[schema(min_length = 1, max_length = 1024)]
    passphrase: String,
}

fn not_kept(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The key's bytes on their way out; wiped once they are sent.
struct Unread(PrivateKeyPem);

impl AsRef<[u8]> for Unread {
    fn as_ref(&self) -> &[u8] {
        self.0.secret_bytes()
    }
}

fn attachment(name: &str, suffix: &str, media_type: &str, bytes: impl Into<Bytes>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((CONTENT_DISPOSITION, content_disposition(name, suffix)))
        .body(bytes.into())
}

/// A file name in ASCII for every client, and with the letters of the name for those that read `filename*`
/// (RFC 6266 §4.3, RFC 8187).
fn content_disposition(name: &str, suffix: &str) -> String {
    let mut header = format!("attachment; filename=\"{}{suffix}\"; filename*=UTF-8''", slug(name));
    for byte in format!("{}{suffix}", international_slug(name)).bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            header.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(header, "%{byte:02X}");
        }
    }
    header
}

/// The slug of a name with the letters and digits of every script; without any, the ASCII slug.
fn international_slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { slug(name) } else { words.join("-") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_name_is_ascii_and_international() {
        for (name, expected) in [
            (
                "Plant A Certificate",
                "filename=\"plant-a-certificate.der\"; filename*=UTF-8''plant-a-certificate.der",
            ),
            ("証明書", "filename=\"certificate.der\"; filename*=UTF-8''%E8%A8%BC%E6%98%8E%E6%9B%B8.der"),
            ("../../\"etc\"\\passwd;", "filename=\"etc-passwd.der\"; filename*=UTF-8''etc-passwd.der"),
            ("!", "filename=\"certificate.der\"; filename*=UTF-8''certificate.der"),
        ] {
            assert_eq!(content_disposition(name, ".der"), format!("attachment; {expected}"));
        }
    }
}
