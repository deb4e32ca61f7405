//! Trust guides as clients see them.

use koios_opcua::{RecognisedBy, TrustGuide, trust_guides};
use koios_store::StoreError;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        certificates::der_path,
        query::{FromQuery, PageQuery, QueryReader},
        words,
    },
    config::Settings,
    service::trust_guides::{Chosen, DeviceTrustGuide},
};

/// Which guide is wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct GuideQuery {
    /// The product, by its id of `GET /trust-guides`; left out, the device's own choice, else what the server was
    /// recognised as.
    pub(super) product: Option<String>,
}

impl FromQuery for GuideQuery {
    fn from_query(query: &mut QueryReader) -> Self {
        Self { product: query.text("product") }
    }
}

/// The guide for one device.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrustGuide)]
pub(super) struct TrustGuideBody {
    product: GuidedProductBody,
    /// What to do, in order.
    steps: Vec<&'static str>,
    /// Where the refused certificate lies.
    #[schema(required = true)]
    rejected_location: Option<&'static str>,
    /// Under which name, for this device's certificate and this product; `null` where that is not known.
    #[schema(required = true)]
    rejected_file_name: Option<String>,
    /// Where it belongs.
    #[schema(required = true)]
    trusted_location: Option<&'static str>,
    /// The form in which a certificate can be imported.
    #[schema(required = true)]
    import_format: Option<&'static str>,
    /// Whether the server must be restarted.
    #[schema(value_type = words::KnownFact)]
    needs_restart: &'static str,
    #[schema(required = true)]
    needs_restart_note: Option<&'static str>,
    /// Whether the server takes certificates by push management (OPC 10000-12).
    #[schema(value_type = words::KnownFact)]
    push_management: &'static str,
    #[schema(required = true)]
    push_management_note: Option<&'static str>,
    /// What the server answers to a certificate that it does not trust.
    untrusted_signals: Vec<&'static str>,
    #[schema(required = true)]
    notes: Option<&'static str>,
    /// Where all this is from.
    sources: Vec<&'static str>,
    /// Where in this API, with the setting `public_url` before the path, the certificate to trust can be had as DER; `null` where the device uses none.
    #[schema(required = true)]
    certificate_download: Option<String>,
}

/// The product that a guide is for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GuidedProduct)]
struct GuidedProductBody {
    #[serde(flatten)]
    product: ProductBody,
    /// By which of its own words the server was recognised; `chosen` where somebody named the product, `null` for the
    /// generic guide.
    #[schema(required = true, value_type = Option<words::GuideRecognition>)]
    recognised_by: Option<&'static str>,
}

/// A product with a guide.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GuideProduct)]
struct ProductBody {
    id: &'static str,
    name: &'static str,
    vendor: &'static str,
    /// How well the guide is confirmed.
    #[schema(value_type = words::GuideConfidence)]
    confidence: &'static str,
}

/// The products to choose from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GuideProducts)]
pub(super) struct ProductsBody {
    items: Vec<ProductBody>,
    total: usize,
    /// Where the next page begins; `null` on the last.
    #[schema(required = true)]
    next_cursor: Option<&'static str>,
}

impl ProductsBody {
    /// A cursor is the id of the last product of the page before.
    pub(super) fn page(query: &PageQuery) -> Result<Self, StoreError> {
        let all = trust_guides();
        let after = |cursor: &String| {
            let last = all.iter().position(|guide| guide.id == *cursor);
            last.map(|last| last + 1).ok_or(StoreError::InvalidCursor)
        };
        let from = query.cursor.as_ref().map_or(Ok(0), after)?;
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let rest = all.get(from..).unwrap_or_default();
        let items: Vec<_> = rest.iter().take(limit).map(ProductBody::from).collect();
        let next_cursor = items.last().filter(|_| items.len() < rest.len()).map(|product| product.id);
        Ok(Self { total: all.len(), items, next_cursor })
    }
}

impl TrustGuideBody {
    /// As it is shown under the daemon's public address.
    pub(super) fn new(shown: DeviceTrustGuide, settings: &Settings) -> Self {
        let DeviceTrustGuide { guide, chosen, certificate } = shown;
        let texts = |texts: &'static [String]| texts.iter().map(String::as_str).collect();
        Self {
            product: GuidedProductBody {
                product: guide.into(),
                recognised_by: match chosen {
                    Chosen::ByHand => Some("chosen"),
                    Chosen::Recognised(by) => Some(RecognisedBy::as_str(by)),
                    Chosen::Not => None,
                },
            },
            steps: texts(&guide.steps),
            rejected_location: guide.rejected_location.as_deref(),
            rejected_file_name: certificate
                .as_ref()
                .and_then(|record| guide.rejected_file_name(record.chain.leaf())),
            trusted_location: guide.trusted_location.as_deref(),
            import_format: guide.import_format.as_deref(),
            needs_restart: guide.needs_restart.as_str(),
            needs_restart_note: guide.needs_restart_note.as_deref(),
            push_management: guide.push_management.as_str(),
            push_management_note: guide.push_management_note.as_deref(),
            untrusted_signals: texts(&guide.untrusted_signals),
            notes: guide.notes.as_deref(),
            sources: texts(&guide.sources),
            certificate_download: certificate.map(|record| settings.link(der_path(record.id))),
        }
    }
}

impl From<&'static TrustGuide> for ProductBody {
    fn from(guide: &'static TrustGuide) -> Self {
        Self {
            id: &guide.id,
            name: &guide.name,
            vendor: &guide.vendor,
            confidence: guide.confidence.as_str(),
        }
    }
}
