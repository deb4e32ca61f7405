//! Trust lists on the wire.

use koios_channel::EndpointUrl;
use koios_opcua::{Code, PresentedServerCertificate};
use koios_pki::SecurityPolicy;
use koios_store::{RevocationListEntry, SeenEndpoint, SeenServerCertificate, TrustEntry, TrustListName};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::api::{
    connection_code::ConnectionCode,
    device_ref::DeviceRefBody,
    query::{FromQuery, PageQuery, QueryReader},
    server_certificate::ServerCertificateBody,
    words,
};

/// Which of the certificates.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// One list only; left out, all of them.
    #[param(value_type = Option<words::TrustList>)]
    list: Option<TrustListName>,
    /// How many items at most.
    #[param(default = 50, minimum = 1, maximum = 500, required = false)]
    limit: u32,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListQuery {
    pub(super) fn into_parts(self) -> (Option<TrustListName>, PageQuery) {
        (self.list, PageQuery { limit: self.limit, cursor: self.cursor })
    }
}

impl FromQuery for ListQuery {
    fn from_query(query: &mut QueryReader) -> Self {
        let names: Vec<_> = TrustListName::ALL.iter().map(|list| (list.as_str(), *list)).collect();
        let PageQuery { limit, cursor } = PageQuery::from_query(query);
        Self { list: query.word("list", &names), limit, cursor }
    }
}

/// A server certificate in one of the lists.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrustedServerCertificate)]
pub(super) struct EntryBody {
    #[serde(flatten)]
    certificate: ServerCertificateBody,
    #[schema(value_type = words::TrustList)]
    list: &'static str,
    /// Why it is rejected; `null` in the other lists, and for a file that somebody put there.
    #[schema(required = true)]
    reason: Option<String>,
    /// What an attempt called it; `null` also when a person rejected it.
    #[schema(required = true)]
    reason_code: Option<ConnectionCode>,
    /// Rejected: the devices that rejected it. In the other lists: those whose server presented it last.
    devices: Vec<DeviceRefBody>,
    /// When a server presented it first; `null` when none has.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    first_seen: Option<OffsetDateTime>,
    /// When a server presented it last, to within a minute.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    last_seen: Option<OffsetDateTime>,
}

impl From<TrustEntry> for EntryBody {
    fn from(entry: TrustEntry) -> Self {
        let code = entry.reason_code.map(|code| Code::from_name(&code).unwrap_or(Code::Internal));
        Self {
            certificate: PresentedServerCertificate::anywhere(entry.chain, OffsetDateTime::now_utc()).into(),
            list: entry.list.as_str(),
            reason: entry.reason,
            reason_code: code.map(ConnectionCode),
            devices: entry.devices.into_iter().map(Into::into).collect(),
            first_seen: entry.first_seen,
            last_seen: entry.last_seen,
        }
    }
}

/// A certificate revocation list (RFC 5280 §5).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RevocationList)]
pub(super) struct RevocationListBody {
    /// SHA-256 of the DER, upper-case hexadecimal.
    sha256: String,
    issuer: String,
    /// The CRL number, upper-case hexadecimal.
    #[schema(required = true)]
    number: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    this_update: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    next_update: Option<OffsetDateTime>,
    revoked_count: usize,
    /// Beside the certificates of which list it lies; it counts for both.
    #[schema(value_type = words::TrustList)]
    list: &'static str,
    /// Whether the authority that signed it is in one of the lists; without it the list is never asked.
    issuer_known: bool,
    /// Why it gives no answer; `null` when it is complete and understood. An expired one clears nobody and still revokes.
    #[schema(required = true)]
    problem: Option<String>,
}

impl From<RevocationListEntry> for RevocationListBody {
    fn from(entry: RevocationListEntry) -> Self {
        let list = entry.revocation_list;
        let now = OffsetDateTime::now_utc();
        let problem = match (list.unusable(), list.next_update()) {
            (Some(reason), _) => Some(reason.to_string()),
            (None, None) => Some("it does not say when the next one is due".to_owned()),
            (None, Some(next_update)) if next_update < now => Some("the next one is overdue".to_owned()),
            (None, Some(_)) if list.this_update() > now => Some("it is not valid yet".to_owned()),
            (None, Some(_)) => None,
        };
        Self {
            sha256: list.sha256().to_string(),
            issuer: list.issuer().to_owned(),
            number: list.number().map(str::to_owned),
            this_update: list.this_update(),
            next_update: list.next_update(),
            revoked_count: list.revoked_count(),
            list: entry.list.as_str(),
            issuer_known: entry.issuer_known,
            problem,
        }
    }
}

/// An endpoint and the server certificates seen there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SeenEndpoint)]
pub(super) struct SeenEndpointBody {
    endpoint_url: String,
    /// The one seen last first; at most 16.
    certificates: Vec<SightingBody>,
    /// The devices with this very endpoint URL.
    devices: Vec<DeviceRefBody>,
}

/// A server certificate, and when it was seen at an endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServerCertificateSighting)]
struct SightingBody {
    #[serde(flatten)]
    certificate: ServerCertificateBody,
    #[serde(with = "time::serde::rfc3339")]
    first_seen: OffsetDateTime,
    /// To within a minute.
    #[serde(with = "time::serde::rfc3339")]
    last_seen: OffsetDateTime,
}

impl From<SeenEndpoint> for SeenEndpointBody {
    fn from(endpoint: SeenEndpoint) -> Self {
        Self {
            endpoint_url: endpoint.endpoint_url,
            certificates: endpoint.certificates.into_iter().map(Into::into).collect(),
            devices: endpoint.devices.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<SeenServerCertificate> for SightingBody {
    fn from(seen: SeenServerCertificate) -> Self {
        let url = EndpointUrl::parse(&seen.endpoint_url).ok();
        let host = url.as_ref().map(EndpointUrl::host).unwrap_or_default();
        let now = OffsetDateTime::now_utc();
        let presented = PresentedServerCertificate::new(seen.chain, host, None, SecurityPolicy::None, now);
        Self { certificate: presented.into(), first_seen: seen.first_seen, last_seen: seen.last_seen }
    }
}
