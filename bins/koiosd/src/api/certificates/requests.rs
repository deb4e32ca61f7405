//! What clients send about certificates.

use koios_store::{
    CertificateId, CertificateQuery, CertificateSortKey, CertificateStatus, DeviceId, PageRequest, Sort,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        body::{nullable, present},
        error::ApiError,
        form::Form,
        query::{DryRun, FromQuery, PageQuery, QueryReader},
        words,
    },
    service::certificates::{
        GenerateOrder, InstallOrder, KeyOrder, RegenerateOrder, ReplaceOrder, RequestOrder, UploadOrder,
        UploadedPair,
    },
};

/// A certificate to generate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GenerateRequest {
    /// 1 to 128 characters, unique without regard to case.
    name: String,
    /// At most 1024 characters.
    #[serde(default)]
    description: Option<String>,
    /// The host of the certificate; absent, null or blank means this machine.
    #[serde(default)]
    hostname: Option<String>,
    /// At most 64 characters, as the common name.
    #[serde(default)]
    organization: Option<String>,
    /// At most 64 characters.
    #[serde(default)]
    organizational_unit: Option<String>,
    /// At most 128 characters.
    #[serde(default)]
    locality: Option<String>,
    /// At most 128 characters.
    #[serde(default)]
    state: Option<String>,
    /// Two letters (ISO 3166-1 alpha-2).
    #[serde(default)]
    country: Option<String>,
    /// Days from now; left out, the setting `default_validity_days`.
    #[serde(default, deserialize_with = "present")]
    #[schema(minimum = 1, maximum = 9125, nullable = false)]
    validity_days: Option<u32>,
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    key: Option<KeyRequest>,
    /// `opcua-1.05`; or `legacy-1.04` for older peers that take a self-signed certificate only with `cA TRUE`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    profile: Option<String>,
    /// More host names, beside `hostname`.
    #[serde(default)]
    dns_names: Vec<String>,
    /// IP addresses.
    #[serde(default)]
    ip_addresses: Vec<String>,
    /// Instead of `urn:koios:<hostname>:<name slug>`.
    #[serde(default)]
    application_uri: Option<String>,
    /// Instead of `Koios@<hostname>`.
    #[serde(default)]
    common_name: Option<String>,
    /// Devices that use it from now on, all or none.
    #[serde(default)]
    #[schema(value_type = Vec<Uuid>)]
    assign_to: Vec<DeviceId>,
    #[serde(default)]
    make_default: bool,
}

impl From<GenerateRequest> for GenerateOrder {
    fn from(request: GenerateRequest) -> Self {
        Self {
            name: request.name,
            description: request.description,
            hostname: request.hostname,
            organization: request.organization,
            organizational_unit: request.organizational_unit,
            locality: request.locality,
            state: request.state,
            country: request.country,
            validity_days: request.validity_days,
            key: request.key.map(Into::into),
            profile: request.profile,
            dns_names: request.dns_names,
            ip_addresses: request.ip_addresses,
            application_uri: request.application_uri,
            common_name: request.common_name,
            assign_to: request.assign_to,
            make_default: request.make_default,
        }
    }
}

/// A kind of key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRequest {
    /// `rsa` or `ec`. Keys on elliptic curves are for servers that offer the policies `ECC_nistP256` or `ECC_nistP384`.
    algorithm: String,
    /// Of an RSA key: 2048, 3072 or 4096.
    #[serde(default)]
    bits: Option<u32>,
    /// Of a key on an elliptic curve: `p256` or `p384`.
    #[serde(default)]
    curve: Option<String>,
}

impl From<KeyRequest> for KeyOrder {
    fn from(request: KeyRequest) -> Self {
        Self { algorithm: request.algorithm, bits: request.bits, curve: request.curve }
    }
}

/// What is to differ after regenerating; everything else stays as before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegenerateRequest {
    /// Changes common name and host name, not the application URI.
    #[serde(default)]
    hostname: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(minimum = 1, maximum = 9125, nullable = false)]
    validity_days: Option<u32>,
    /// As the present one when left out or `null`.
    #[serde(default)]
    key: Option<KeyRequest>,
}

impl From<RegenerateRequest> for RegenerateOrder {
    fn from(request: RegenerateRequest) -> Self {
        Self {
            hostname: request.hostname,
            validity_days: request.validity_days,
            key: request.key.map(Into::into),
        }
    }
}

/// What an authority is to be asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsrRequest {
    /// Whether for a new key, which waits until the answer is installed; else for the key in use.
    #[serde(default)]
    new_key: bool,
    /// The kind of the new key; as the present one when left out or `null`.
    #[serde(default)]
    key: Option<KeyRequest>,
}

impl From<CsrRequest> for RequestOrder {
    fn from(request: CsrRequest) -> Self {
        Self { new_key: request.new_key, key: request.key.map(Into::into) }
    }
}

/// Changes to what people call a certificate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificatePatchRequest {
    /// 1 to 128 characters, unique without regard to case.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub(super) name: Option<String>,
    /// At most 1024 characters; `null` removes it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    pub(super) description: Option<Option<String>>,
}

/// Which certificate is to be the default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DefaultRequest {
    #[schema(value_type = Uuid)]
    pub(super) id: CertificateId,
    /// Even when servers refuse it at the moment.
    #[serde(default)]
    pub(super) force: bool,
}

/// Which devices are to use a certificate, and which no longer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignRequest {
    #[serde(default)]
    #[schema(value_type = Vec<Uuid>)]
    pub(super) assign: Vec<DeviceId>,
    #[serde(default)]
    #[schema(value_type = Vec<Uuid>)]
    pub(super) unassign: Vec<DeviceId>,
}

/// A pair to upload.
//
// Describes the form; [`Form`] reads it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form")]
pub(crate) struct UploadForm {
    /// 1 to 128 characters, unique without regard to case.
    name: String,
    /// At most 1024 characters.
    #[schema(required = false)]
    description: String,
    /// DER, PEM, PKCS#7 or PKCS#12, by content; of several certificates the leaf first.
    #[schema(value_type = String, format = Binary)]
    certificate: Vec<u8>,
    /// PEM or DER: PKCS#8, PKCS#1 or SEC1, encrypted or not; may also stand in the certificate's part.
    #[schema(required = false, value_type = String, format = Binary)]
    private_key: Vec<u8>,
    /// Opens an encrypted private key, or a PKCS#12 file.
    #[schema(required = false)]
    passphrase: String,
    #[schema(required = false, default = false)]
    make_default: bool,
}

/// An authority's answer to a request.
//
// Describes the form; [`Form`] reads it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form")]
pub(crate) struct InstallForm {
    /// DER, PEM or PKCS#7, with or without the certificates of the authority.
    #[schema(value_type = String, format = Binary)]
    certificate: Vec<u8>,
    /// Whether the certificate may have another application URI than the present one.
    #[schema(required = false, default = false)]
    allow_uri_change: bool,
}

/// A pair to put in another one's place.
//
// Describes the form; [`Form`] reads it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form")]
pub(crate) struct ReplaceForm {
    /// At most 1024 characters.
    #[schema(required = false)]
    description: String,
    /// DER, PEM, PKCS#7 or PKCS#12, by content; of several certificates the leaf first.
    #[schema(value_type = String, format = Binary)]
    certificate: Vec<u8>,
    /// PEM or DER: PKCS#8, PKCS#1 or SEC1, encrypted or not; may also stand in the certificate's part.
    #[schema(required = false, value_type = String, format = Binary)]
    private_key: Vec<u8>,
    /// Opens an encrypted private key, or a PKCS#12 file.
    #[schema(required = false)]
    passphrase: String,
    #[schema(required = false, default = false)]
    make_default: bool,
    /// Whether the new certificate may have another application URI.
    #[schema(required = false, default = false)]
    allow_uri_change: bool,
}

pub(super) fn upload_order(mut form: Form) -> Result<UploadOrder, ApiError> {
    let name = form.text("name")?;
    if name.is_none() {
        form.refuse("name", "this field is required");
    }
    let description = form.text("description")?;
    let make_default = form.flag("make_default")?;
    let pair = uploaded_pair(&mut form)?;
    form.finish()?;
    Ok(UploadOrder {
        name: name.map(|text| text.to_string()).unwrap_or_default(),
        description: description.map(|text| text.to_string()),
        pair,
        make_default,
    })
}

pub(super) fn replace_order(mut form: Form, query: ReplaceQuery) -> Result<ReplaceOrder, ApiError> {
    let description = form.text("description")?;
    let make_default = form.flag("make_default")?;
    let allow_uri_change = form.flag("allow_uri_change")? || query.allow_uri_change;
    let pair = uploaded_pair(&mut form)?;
    form.finish()?;
    Ok(ReplaceOrder {
        description: description.map(|text| text.to_string()),
        pair,
        make_default,
        allow_uri_change,
    })
}

pub(super) fn install_order(mut form: Form, query: ReplaceQuery) -> Result<InstallOrder, ApiError> {
    let allow_uri_change = form.flag("allow_uri_change")? || query.allow_uri_change;
    let certificate = form.bytes("certificate");
    if certificate.is_none() {
        form.refuse("certificate", "this field is required");
    }
    form.finish()?;
    Ok(InstallOrder { certificate: certificate.unwrap_or_default(), allow_uri_change })
}

fn uploaded_pair(form: &mut Form) -> Result<UploadedPair, ApiError> {
    let certificate = form.bytes("certificate");
    if certificate.is_none() {
        form.refuse("certificate", "this field is required");
    }
    Ok(UploadedPair {
        certificate: certificate.unwrap_or_default(),
        private_key: form.bytes("private_key"),
        passphrase: form.text("passphrase")?.filter(|text| !text.is_empty()),
    })
}

/// Which certificates to list, and how.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Part of name, description, common name, application URI or a thumbprint.
    q: Option<String>,
    /// May be repeated, any of them fits.
    #[param(value_type = Option<Vec<words::CertificateStatus>>)]
    status: Vec<CertificateStatus>,
    /// Descending with `-` before it; `name` when nothing is said.
    #[param(inline, value_type = Option<words::CertificateSort>)]
    sort: Sort<CertificateSortKey>,
    /// How many items at most.
    #[param(default = 50, minimum = 1, maximum = 500, required = false)]
    limit: u32,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<String>,
}

impl FromQuery for ListQuery {
    fn from_query(query: &mut QueryReader) -> Self {
        let words: Vec<_> = CertificateStatus::ALL.iter().map(|status| (status.as_str(), *status)).collect();
        let keys: Vec<_> = CertificateSortKey::ALL.iter().map(|key| (key.as_str(), *key)).collect();
        let page = PageQuery::from_query(query);
        Self {
            q: query.text("q").filter(|text| !text.is_empty()),
            status: query.words("status", &words),
            sort: query.sort(&keys),
            limit: page.limit,
            cursor: page.cursor,
        }
    }
}

impl From<ListQuery> for CertificateQuery {
    fn from(list: ListQuery) -> Self {
        let mut query = Self::default();
        query.q = list.q;
        query.statuses = list.status;
        query.sort = list.sort;
        query.page = page_request(list.limit, list.cursor);
        query
    }
}

impl From<PageQuery> for PageRequest {
    fn from(page: PageQuery) -> Self {
        page_request(page.limit, page.cursor)
    }
}

/// Replacing may be tried out, and may change the application URI.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReplaceQuery {
    /// Answers the same, changes nothing and shows the certificate as it is now.
    #[param(default = false, required = false)]
    pub(super) dry_run: bool,
    /// As the form's field of that name.
    #[param(default = false, required = false)]
    allow_uri_change: bool,
}

impl FromQuery for ReplaceQuery {
    fn from_query(query: &mut QueryReader) -> Self {
        Self { dry_run: DryRun::from_query(query).dry_run, allow_uri_change: query.flag("allow_uri_change") }
    }
}

fn page_request(limit: u32, cursor: Option<String>) -> PageRequest {
    PageRequest::new(usize::try_from(limit).unwrap_or(usize::MAX), cursor)
}
