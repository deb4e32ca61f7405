//! How the servers of devices are made to trust their certificates.

use koios_opcua::{RecognisedBy, Recognition, TrustGuide, effective_certificate_of, recognise, trust_guide};
use koios_store::{CertificateRecord, DeviceId, Store};

use super::error::ServiceError;

/// Chooses guides, and fills in what is the device's own.
#[derive(Debug)]
pub(crate) struct TrustGuides {
    store: Store,
}

/// The guide for one device.
#[derive(Debug)]
pub(crate) struct DeviceTrustGuide {
    pub(crate) guide: &'static TrustGuide,
    pub(crate) chosen: Chosen,
    /// The certificate to trust; `None` in mode `none`, and where there is none at all.
    pub(crate) certificate: Option<CertificateRecord>,
}

/// How the guide came about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Chosen {
    /// The request or the device names the product.
    ByHand,
    /// What the server said of itself names it.
    Recognised(RecognisedBy),
    /// Nothing does: the generic one.
    Not,
}

impl TrustGuides {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// The guide for a device's server: of the product that is asked for, else of the one that the device names, else of
    /// the one that the server was recognised as when it was last seen.
    pub(crate) async fn of_device(
        &self,
        id: DeviceId,
        product: Option<&str>,
    ) -> Result<DeviceTrustGuide, ServiceError> {
        let device = self.store.device(id).await?;
        let asked = match product {
            Some(product) => Some(trust_guide(product).ok_or_else(|| unknown(product))?),
            // A product that an older or newer catalogue knew is no reason to show nothing.
            None => device.trust_guide_product.as_deref().and_then(trust_guide),
        };
        let (guide, chosen) = match asked {
            Some(guide) => (guide, Chosen::ByHand),
            None => self.recognised(&device.endpoint_url).await?,
        };
        let mode = device.security_mode;
        let effective = effective_certificate_of(&self.store, mode, device.certificate_id).await?;
        Ok(DeviceTrustGuide { guide, chosen, certificate: effective.id() })
    }

    async fn recognised(&self, endpoint_url: &str) -> Result<(&'static TrustGuide, Chosen), ServiceError> {
        let said = self.store.server_identity(endpoint_url).await?.unwrap_or_default();
        let Recognition { guide, by, .. } = recognise(&said.into(), endpoint_url);
        Ok((guide, by.map_or(Chosen::Not, Chosen::Recognised)))
    }
}

fn unknown(product: &str) -> ServiceError {
    let detail = format!("{product:?} is no product of GET /api/v1/trust-guides");
    ServiceError::invalid_field("product", detail)
}
