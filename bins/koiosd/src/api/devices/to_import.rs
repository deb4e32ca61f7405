//! What an import takes, for the document: devices as they were exported, of which not everything is taken over.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::SchemaType},
};

use super::input::{UserIdentityType, settings};

/// A device as it was exported (documentation).
#[derive(Debug)]
pub(super) struct DeviceToImport;

impl PartialSchema for DeviceToImport {
    fn schema() -> RefOr<Schema> {
        settings("A device as it was exported.", |object| {
            object.required = vec!["name".to_owned(), "endpoint_url".to_owned()];
            object.properties.remove("certificate_id");
            for (field, schema) in [
                ("certificate", CertificateToImport::schema()),
                ("user_identity", UserToImport::schema()),
                ("pinned_server_certificate", ignored()),
                ("created_at", ignored()),
                ("updated_at", ignored()),
            ] {
                object.properties.insert(field.to_owned(), schema);
            }
        })
    }
}

impl ToSchema for DeviceToImport {}

/// What an export tells and an import does not take over.
fn ignored() -> RefOr<Schema> {
    let anything = SchemaType::AnyValue;
    ObjectBuilder::new().schema_type(anything).description(Some("Not taken over, whatever it is.")).into()
}

/// The certificate by its name or its thumbprint (documentation).
#[derive(ToSchema)]
#[schema(as = CertificateToImport)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what CertificateReferenceBody reads")]
struct CertificateToImport {
    /// Needed only without a thumbprint.
    name: Option<String>,
    /// Hexadecimal. It says exactly which certificate is meant.
    thumbprint_sha256: Option<String>,
}

/// Who to log in as (documentation).
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what UserIdentityInput reads, and what is taken out before")]
struct UserToImport {
    #[serde(rename = "type")]
    #[schema(nullable = false)]
    kind: Option<UserIdentityType>,
    /// With the type `username`.
    #[schema(nullable = false)]
    username: Option<String>,
    /// Not in an export.
    #[schema(write_only)]
    password: Option<String>,
    /// Not taken over.
    #[schema(nullable = false)]
    password_set: Option<bool>,
}
