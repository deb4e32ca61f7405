//! The closed sets of words that clients may match on, as enumerations of the OpenAPI document.
//!
//! What is answered takes its words from the domain's own types; these types only describe them.

use koios_opcua::{Confidence, Known, RecognisedBy, ReportedBy, Stage, StageOutcome};
use koios_pki::Severity;
use koios_store::{CertificateSortKey, DeviceSortKey};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type, schema::AnyOfBuilder},
};

/// Declares schemas of strings, each with the words that it may be.
macro_rules! closed_words {
    ($($(#[doc = $meaning:literal])+ $name:ident = $words:expr;)+) => {$(
        $(#[doc = $meaning])+
        #[derive(Debug)]
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                enumeration($words).description(Some(concat!($($meaning),+).trim())).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

closed_words! {
    /// What may be said of a certificate at the moment.
    CertificateStatus = koios_store::CertificateStatus::ALL.iter().map(|status| status.as_str());
    /// Where a certificate's key pair came from.
    CertificateOrigin = koios_store::Origin::ALL.iter().map(|origin| origin.as_str());
    /// What a list of certificates is sorted by; descending with `-` before it.
    CertificateSort = both_directions(CertificateSortKey::ALL.iter().map(|key| key.as_str()));
    /// How sure a cause is.
    CauseConfidence = [Confidence::Certain, Confidence::Likely, Confidence::Possible].map(Confidence::as_str);
    /// The state of a device.
    DeviceState = koios_store::DeviceState::ALL.iter().map(|state| state.as_str());
    /// What a list of devices is sorted by; descending with `-` before it.
    DeviceSort = both_directions(DeviceSortKey::ALL.iter().map(|key| key.as_str()));
    /// The curve of an elliptic-curve key.
    EllipticCurve = ["p256", "p384"];
    /// Why a key pair is no longer in use.
    EndReason = koios_store::EndReason::ALL.iter().map(|reason| reason.as_str());
    /// What a finding about a certificate is about. A closed list: clients may match on it.
    FindingCode = koios_pki::FindingCode::ALL.iter().map(|code| code.as_str());
    /// How much a finding matters.
    FindingSeverity = [Severity::Info, Severity::Warning, Severity::Error].map(Severity::as_str);
    /// How well a trust guide is confirmed.
    GuideConfidence = [koios_opcua::GuideConfidence::High, koios_opcua::GuideConfidence::Medium, koios_opcua::GuideConfidence::Low]
        .map(koios_opcua::GuideConfidence::as_str);
    /// By which of its own words a server was recognised, or that somebody chose the product.
    GuideRecognition = RecognisedBy::ALL.iter().map(|by| by.as_str()).chain(["chosen"]);
    /// A fact that may be unknown.
    KnownFact = [Known::Yes, Known::No, Known::Unknown].map(Known::as_str);
    /// Whether an attempt did what it should.
    Outcome = ["success", "failure"];
    /// Who said that an attempt fails.
    Reporter = [ReportedBy::Koios, ReportedBy::Network, ReportedBy::Server].map(ReportedBy::as_str);
    /// A stage of a connection attempt.
    StageName = Stage::ALL.map(Stage::as_str);
    /// What a stage came to.
    StageResult = [StageOutcome::Passed, StageOutcome::Failed, StageOutcome::Skipped].map(StageOutcome::as_str);
    /// What a token may do beyond its role.
    TokenPermission = koios_store::Permission::ALL.iter().map(|permission| permission.as_str());
    /// What a token may do; each role may do what the ones before it may.
    TokenRole = koios_store::Role::ALL.iter().map(|role| role.as_str());
    /// What a list of tokens is sorted by; descending with `-` before it.
    TokenSort = both_directions(koios_store::TokenSortKey::ALL.iter().map(|key| key.as_str()));
    /// A list of server certificates.
    TrustList = koios_store::TrustListName::ALL.iter().map(|list| list.as_str());
    /// A way to log in that a server offers.
    UserTokenType = ["anonymous", "username", "certificate", "issued_token"];
}

/// The kind of a key. Koios has keys of the two kinds that have names; servers may show others.
#[derive(Debug)]
pub(crate) struct KeyAlgorithm;

impl PartialSchema for KeyAlgorithm {
    fn schema() -> RefOr<Schema> {
        let other = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^[0-9]+(\.[0-9]+)+$"))
            .description(Some("The object identifier of another kind, in the certificate of a server."));
        AnyOfBuilder::new()
            .description(Some("The kind of a key."))
            .item(enumeration(["rsa", "ec", "unknown"]))
            .item(other)
            .into()
    }
}

impl ToSchema for KeyAlgorithm {}

/// A file that is no text.
#[derive(Debug)]
pub(crate) struct Octets;

impl PartialSchema for Octets {
    fn schema() -> RefOr<Schema> {
        let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
        ObjectBuilder::new().schema_type(Type::String).format(Some(binary)).into()
    }
}

impl ToSchema for Octets {}

fn enumeration(words: impl IntoIterator<Item = impl Into<String>>) -> ObjectBuilder {
    let words: Vec<String> = words.into_iter().map(Into::into).collect();
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words))
}

fn both_directions<'a>(keys: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    keys.flat_map(|key| [key.to_owned(), format!("-{key}")])
}
