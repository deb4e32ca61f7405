//! Tokens on the wire.

use koios_store::{Permission, Role, Sort, Token, TokenId, TokenQuery, TokenSortKey};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        body::nullable,
        query::{FromQuery, PageQuery, QueryReader},
        words,
    },
    service::{access::Caller, tokens::TokenOrder},
};

/// Which tokens to list, and how.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Descending with `-` before it; `created_at` when nothing is said.
    #[param(inline, value_type = Option<words::TokenSort>)]
    sort: Sort<TokenSortKey>,
    /// How many items at most.
    #[param(default = 50, minimum = 1, maximum = 500, required = false)]
    limit: u32,
    /// Where to go on: `next_cursor` of the page before.
    cursor: Option<String>,
}

impl FromQuery for ListQuery {
    fn from_query(query: &mut QueryReader) -> Self {
        let keys: Vec<_> = TokenSortKey::ALL.iter().map(|key| (key.as_str(), *key)).collect();
        let PageQuery { limit, cursor } = PageQuery::from_query(query);
        Self { sort: query.sort(&keys), limit, cursor }
    }
}

impl From<ListQuery> for TokenQuery {
    fn from(asked: ListQuery) -> Self {
        let mut query = Self::default();
        query.sort = asked.sort;
        query.page = PageQuery { limit: asked.limit, cursor: asked.cursor }.into();
        query
    }
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "CI pipeline", "role": "operator", "permissions": [], "expires_at": "2027-11-28T00:00:00Z"
}))]
pub(super) struct TokenRequest {
    /// What people call it, also in the audit trail: 1 to 128 characters. Several may have the same name, as while one takes
    /// the place of another.
    name: String,
    /// Each role may do what the ones before it may.
    #[serde(deserialize_with = "role")]
    #[schema(value_type = words::TokenRole)]
    role: Role,
    /// What it may do beyond its role.
    #[serde(default, deserialize_with = "permissions")]
    #[schema(value_type = Vec<words::TokenPermission>)]
    permissions: Vec<Permission>,
    /// When it stops working. `null`: never; left out: with the token of this request.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<Instant>>,
}

impl TokenRequest {
    pub(super) fn order(self, caller: &Caller) -> TokenOrder {
        let Self { name, role, permissions, expires_at } = self;
        let expires_at =
            expires_at.map_or(caller.token.expires_at, |given| given.map(|Instant(instant)| instant));
        TokenOrder { name, role, permissions, expires_at }
    }
}

#[derive(Debug)]
struct Instant(OffsetDateTime);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let instant = OffsetDateTime::parse(&text, &Rfc3339).ok();
        let instant = instant.and_then(|instant| instant.checked_to_offset(UtcOffset::UTC));
        instant.map(Self).ok_or_else(|| D::Error::custom("must be an instant such as 2026-11-28T10:00:00Z"))
    }
}

fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    let name = String::deserialize(deserializer)?;
    Role::from_name(&name).ok_or_else(|| D::Error::custom("must be one of viewer, operator, admin"))
}

fn permissions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Permission>, D::Error> {
    let unknown = || D::Error::custom("may hold download_private_key only");
    let names = Vec::<String>::deserialize(deserializer)?;
    names.iter().map(|name| Permission::from_name(name).ok_or_else(unknown)).collect()
}

/// A token, without what it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token, example = json!({
    "id": "01938f5e-7a70-7c1e-9d2b-6f0f3a5f8c11", "name": "CI pipeline", "role": "operator", "permissions": [],
    "created_at": "2026-11-28T10:00:00Z", "expires_at": "2027-11-28T00:00:00Z", "last_used_at": "2026-11-28T10:05:12.345678Z"
}))]
pub(crate) struct TokenBody {
    #[schema(value_type = uuid::Uuid)]
    id: TokenId,
    name: String,
    /// Each role may do what the ones before it may.
    #[schema(value_type = words::TokenRole)]
    role: &'static str,
    /// What it may do beyond its role.
    #[schema(value_type = Vec<words::TokenPermission>)]
    permissions: Vec<&'static str>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it stops working; `null`: never.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    expires_at: Option<OffsetDateTime>,
    /// The newest request that it was good for; `null`: none yet.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    last_used_at: Option<OffsetDateTime>,
}

impl From<Token> for TokenBody {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            name: token.name,
            role: token.role.as_str(),
            permissions: token.permissions.iter().map(|permission| permission.as_str()).collect(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

/// A token that was just made, with what it is.
#[derive(Serialize, ToSchema)]
#[schema(as = NewToken, example = json!({
    "id": "01938f5e-7a70-7c1e-9d2b-6f0f3a5f8c11", "name": "CI pipeline", "role": "operator", "permissions": [],
    "created_at": "2026-11-28T10:00:00Z", "expires_at": "2027-11-28T00:00:00Z", "last_used_at": null,
    "token": "koios_Zr3v0mB1yq6yq0m0m3o2m0W4x5d8g9h0j1k2l3m4n5o"
}))]
pub(crate) struct NewTokenBody<'a> {
    #[serde(flatten)]
    about: TokenBody,
    /// For the header `Authorization: Bearer …`. Shown this once: only its hash is kept.
    token: &'a str,
}

impl<'a> NewTokenBody<'a> {
    pub(crate) fn new(token: Token, secret: &'a str) -> Self {
        Self { about: token.into(), token: secret }
    }
}
