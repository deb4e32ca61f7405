//! Which devices to list, and how.

use koios_pki::SecurityMode;
use koios_store::{CertificateId, DeviceQuery, DeviceSortKey, DeviceState, Sort};
use utoipa::IntoParams;

use crate::api::{
    path::parse_id,
    query::{FromQuery, PageQuery, QueryReader},
    security, words,
};

/// Which devices to list, and how.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Part of name, description or endpoint URL.
    q: Option<String>,
    /// May be repeated, any of them fits.
    #[param(value_type = Option<Vec<words::DeviceState>>)]
    state: Vec<DeviceState>,
    /// Those that connect by themselves, or those that do not.
    enabled: Option<bool>,
    /// Those whose effective certificate this is.
    #[param(value_type = Option<uuid::Uuid>)]
    certificate_id: Option<CertificateId>,
    #[param(value_type = Option<security::SecurityMode>)]
    security_mode: Option<SecurityMode>,
    /// Descending with `-` before it; `name` when nothing is said.
    #[param(inline, value_type = Option<words::DeviceSort>)]
    sort: Sort<DeviceSortKey>,
    /// How many items at most.
    #[param(default = 50, minimum = 1, maximum = 500, required = false)]
    limit: u32,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<String>,
}

impl FromQuery for ListQuery {
    fn from_query(query: &mut QueryReader) -> Self {
        let states: Vec<_> = DeviceState::ALL.iter().map(|state| (state.as_str(), *state)).collect();
        let keys: Vec<_> = DeviceSortKey::ALL.iter().map(|key| (key.as_str(), *key)).collect();
        let modes = [
            ("none", SecurityMode::None),
            ("sign", SecurityMode::Sign),
            ("sign_and_encrypt", SecurityMode::SignAndEncrypt),
        ];
        let certificate_id = query.text("certificate_id").and_then(|text| {
            let id = parse_id(&text);
            if id.is_none() {
                query.refuse("certificate_id", "must be the id of a certificate");
            }
            id
        });
        let page = PageQuery::from_query(query);
        Self {
            q: query.text("q").filter(|text| !text.is_empty()),
            state: query.words("state", &states),
            enabled: query.word("enabled", &[("true", true), ("false", false)]),
            certificate_id,
            security_mode: query.word("security_mode", &modes),
            sort: query.sort(&keys),
            limit: page.limit,
            cursor: page.cursor,
        }
    }
}

impl ListQuery {
    /// What the store filters by, and the states, which it does not know.
    pub(super) fn into_parts(self) -> (DeviceQuery, Vec<DeviceState>) {
        let mut query = DeviceQuery::default();
        query.q = self.q;
        query.enabled = self.enabled;
        query.certificate_id = self.certificate_id;
        query.security_mode = self.security_mode;
        query.sort = self.sort;
        query.page = PageQuery { limit: self.limit, cursor: self.cursor }.into();
        (query, self.state)
    }
}
