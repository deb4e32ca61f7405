//! Many devices as one document.

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig},
};
use koios_pki::Sha256Thumbprint;
use koios_store::Apply;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{DeviceInput, representation::DeviceSettingsBody, to_import::DeviceToImport};
use crate::{
    api::{
        auth::{Operator, Require, Viewer},
        body::{Json, read_value},
        device_ref::{DeviceRefBody, represent_all},
        error::{ApiError, ApiResult, Code, FieldError, Problem},
        query::{DryRun, NoParameters, Query},
        routes,
    },
    service::{
        Services,
        devices::{
            CertificateReference, ExportedDevice, ImportedDevice, Problem as DeviceProblem, ProblemKind,
        },
    },
};

/// The only version there is.
const VERSION: u32 = 1;

pub(super) fn configure(config: &mut ServiceConfig) {
    routes::at("/devices/export").get(export).register(config);
    routes::at("/devices/import").post(import).register(config);
}

/// All devices, to keep or to take elsewhere. Without passwords.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DevicesExport {
    /// Always 1.
    version: u32,
    devices: Vec<ExportedDeviceBody>,
}

/// A device without what is of this installation alone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExportedDevice)]
struct ExportedDeviceBody {
    #[serde(flatten)]
    settings: DeviceSettingsBody,
    /// The certificate that it names; `null` uses the default.
    #[schema(required = true)]
    certificate: Option<CertificateReferenceBody>,
}

/// A certificate by what it is called.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = CertificateReference)]
#[serde(deny_unknown_fields)]
struct CertificateReferenceBody {
    /// In an import needed only without a thumbprint.
    #[serde(default)]
    #[schema(required = true)]
    name: Option<String>,
    /// Upper-case hexadecimal. In an import it says exactly which certificate is meant.
    #[serde(default)]
    #[schema(required = true)]
    thumbprint_sha256: Option<String>,
}

/// Devices to add, all or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DevicesImport {
    /// Must be 1.
    #[schema(minimum = 1, maximum = 1)]
    version: u32,
    /// As exported. `pinned_server_certificate`, `created_at`, `updated_at` and `password_set` may stand there and are
    /// not taken over: trust is decided where the device connects. A `user_identity` may have a `password`.
    #[schema(value_type = Vec<DeviceToImport>)]
    devices: Vec<Value>,
}

/// What was imported.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DevicesImported {
    created: Vec<DeviceRefBody>,
    /// What a dry run found, each with an `index`; `created` is empty then.
    errors: Vec<FieldError>,
    dry_run: bool,
}

/// Why nothing was imported: every error about a device has an `index`.
//
// Describes what [`ApiError`] answers.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a problem with extensions")]
struct DevicesRefused {
    #[serde(flatten)]
    problem: Problem,
    /// Empty: all or nothing. Absent where the request itself was refused, and no device looked at.
    #[schema(required = false)]
    created: Vec<DeviceRefBody>,
    /// False. Absent where the request itself was refused, and no device looked at.
    #[schema(required = false)]
    dry_run: bool,
}

/// Hands out all devices as one document.
#[utoipa::path(
    get, path = "/api/v1/devices/export", tag = "devices",
    responses((status = 200, body = DevicesExport), (status = "default", body = Problem))
)]
pub(super) async fn export(
    _: Require<Viewer>,
    _: Query<NoParameters>,
    services: Data<Services>,
) -> ApiResult {
    let devices = services.devices.export().await?.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(DevicesExport { version: VERSION, devices }))
}

/// Adds many devices, all or none.
///
/// A dry run answers 200 also when something does not fit, with `errors`.
#[utoipa::path(
    post, path = "/api/v1/devices/import", tag = "devices", params(DryRun), request_body = DevicesImport,
    responses(
        (status = 200, body = DevicesImported),
        (status = 422, body = DevicesRefused, content_type = "application/problem+json"),
        (status = "default", body = Problem)
    )
)]
pub(super) async fn import(
    caller: Require<Operator>,
    query: Query<DryRun>,
    body: Json<DevicesImport>,
    services: Data<Services>,
) -> ApiResult {
    let dry_run = query.0.dry_run;
    let devices = body.value.into_devices()?;
    let apply = if dry_run { Apply::DryRun } else { Apply::Commit };
    let import = services.devices.import(&caller.0, devices, apply).await?;
    let errors: Vec<FieldError> = import.problems.into_iter().map(Into::into).collect();
    if dry_run || errors.is_empty() {
        let created = represent_all(import.created);
        return Ok(HttpResponse::Ok().json(DevicesImported { created, errors, dry_run }));
    }
    let nothing = Value::Array(Vec::new());
    Err(ApiError::invalid_fields(errors)
        .with_extension("created", nothing)
        .with_extension("dry_run", dry_run.into()))
}

impl From<ExportedDevice> for ExportedDeviceBody {
    fn from(exported: ExportedDevice) -> Self {
        Self {
            settings: exported.device.into(),
            certificate: exported.certificate.map(|reference| CertificateReferenceBody {
                name: reference.name,
                thumbprint_sha256: reference.thumbprint_sha256.map(|thumbprint| thumbprint.to_string()),
            }),
        }
    }
}

impl DevicesImport {
    /// Each device, or what is wrong with it.
    fn into_devices(self) -> Result<Vec<Result<ImportedDevice, DeviceProblem>>, ApiError> {
        if self.version != VERSION {
            return Err(ApiError::invalid_field("version", "must be 1; this version reads no other"));
        }
        let devices = self.devices.into_iter().enumerate();
        Ok(devices
            .map(|(index, value)| {
                imported(value).map_err(|error| DeviceProblem {
                    index,
                    field: error.field,
                    kind: ProblemKind::InvalidField,
                    detail: error.detail,
                })
            })
            .collect())
    }
}

/// What an import takes beside the settings of a device.
#[derive(Deserialize)]
struct Accompanying {
    #[serde(default)]
    certificate: Option<CertificateReferenceBody>,
}

/// Reads a device as it was exported: what does not belong to the settings is taken out first.
fn imported(value: Value) -> Result<ImportedDevice, FieldError> {
    let Value::Object(mut fields) = value else {
        return Err(FieldError::new("", "must be an object"));
    };
    let certificate = fields.remove("certificate").map(|value| ("certificate".to_owned(), value));
    // Exported for people to see.
    for name in ["pinned_server_certificate", "created_at", "updated_at"] {
        fields.remove(name);
    }
    if fields.contains_key("certificate_id") {
        return Err(FieldError::new(
            "certificate_id",
            "ids mean nothing elsewhere; name the certificate in certificate",
        ));
    }
    if let Some(Value::Object(user)) = fields.get_mut("user_identity") {
        user.remove("password_set");
    }
    let Accompanying { certificate, .. } = read_value(Value::Object(certificate.into_iter().collect()))?;
    let input: DeviceInput = read_value(Value::Object(fields))?;
    let certificate = certificate.map(CertificateReference::try_from).transpose()?;
    let (change, enabled) = input.into_creation()?;
    Ok(ImportedDevice { change, certificate, enabled })
}

impl TryFrom<CertificateReferenceBody> for CertificateReference {
    type Error = FieldError;

    fn try_from(body: CertificateReferenceBody) -> Result<Self, FieldError> {
        let CertificateReferenceBody { name, thumbprint_sha256 } = body;
        if name.is_none() && thumbprint_sha256.is_none() {
            return Err(FieldError::new("certificate", "needs a name or a thumbprint_sha256"));
        }
        let parsed = thumbprint_sha256.map(|text| text.parse::<Sha256Thumbprint>()).transpose();
        let thumbprint_sha256 = parsed
            .map_err(|_| FieldError::new("certificate.thumbprint_sha256", "must be 64 hexadecimal digits"))?;
        Ok(Self { name, thumbprint_sha256 })
    }
}

impl From<DeviceProblem> for FieldError {
    fn from(problem: DeviceProblem) -> Self {
        let code = match problem.kind {
            ProblemKind::InvalidField => Code::InvalidField,
            ProblemKind::NameTaken => Code::NameTaken,
            ProblemKind::UnknownCertificate => Code::UnknownCertificate,
        };
        Self { field: problem.field, code, detail: problem.detail, index: Some(problem.index) }
    }
}
