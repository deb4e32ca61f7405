//! `koiosd token`: access tokens, without the daemon or beside it.

use std::io::{self, Write};

use koios_store::{
    AuditEntry, InvalidId, LastAdmin, LocalTokens, OpenError, PageRequest, Permission, Role, Store,
    StoreError, Token, TokenId, TokenQuery,
};
use serde::Serialize;
use time::{Duration, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use crate::{
    api::{
        page::PageBody,
        tokens::{NewTokenBody, TokenBody},
    },
    command_line::{TokenAction, TokenCreateArguments, TokenPermission, TokenRole},
    command_runtime::command_runtime,
    config::Settings,
    service::{
        access::PlainToken,
        error::ServiceError,
        tokens::{CREATED, REVOKED, TokenOrder},
    },
};

/// Who it was, in the audit trail.
const ACTOR: &str = "koiosd token";

/// Why tokens are as they were, unless the variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenCommandError {
    /// An instant is none.
    #[error("{0:?} is no instant; it looks like 2027-11-28T10:00:00Z")]
    Instant(String),
    /// An id is none.
    #[error("{id:?} is no id of a token; `koiosd token list` shows them")]
    Id {
        /// What was given.
        id: String,
        /// What is wrong with it.
        #[source]
        source: InvalidId,
    },
    /// The last admin token stays unless forced.
    #[error(
        "{name:?} is the last admin token that has not expired; create another one first, or say --force"
    )]
    LastAdmin {
        /// Its name.
        name: String,
    },
    /// No such token can be made.
    #[error("{0}")]
    Order(String),
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is done, but cannot be said.
    #[error("it is done, but that cannot be written out")]
    Output(#[source] io::Error),
    /// The command cannot run.
    #[error("the command cannot be started")]
    Runtime(#[source] io::Error),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A token was made that nobody has seen.
    #[error("the token {id} is made, but cannot be written out; revoke it: koiosd token revoke {id}")]
    Unseen {
        /// Its id.
        id: TokenId,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl TokenCommandError {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Open(OpenError::MasterKey { .. })
            | Self::Instant(_)
            | Self::Id { .. }
            | Self::Order(_)
            | Self::Store(StoreError::InvalidName(_)) => 2,
            Self::Open(_) => 3,
            Self::LastAdmin { .. }
            | Self::Output(_)
            | Self::Runtime(_)
            | Self::Store(_)
            | Self::Unseen { .. } => 1,
        }
    }
}

/// Carries the command out; answers the exit code.
///
/// # Errors
///
/// [`TokenCommandError`] says what is in the way.
pub fn token(settings: &Settings, action: &TokenAction) -> Result<u8, TokenCommandError> {
    let runtime = command_runtime().map_err(TokenCommandError::Runtime)?;
    runtime.block_on(async {
        match action {
            TokenAction::Create(arguments) => create(settings, arguments).await,
            TokenAction::List { json } => list(settings, *json).await,
            TokenAction::Revoke { id, force } => revoke(settings, id, *force).await,
        }
    })?;
    Ok(0)
}

async fn create(settings: &Settings, arguments: &TokenCreateArguments) -> Result<(), TokenCommandError> {
    let now = OffsetDateTime::now_utc();
    let order = order(arguments, now)?;
    let (new, plain) = order.prepare(now).map_err(|error| match error {
        ServiceError::Store(error) => error.into(),
        other => TokenCommandError::Order(other.to_string()),
    })?;
    let tokens = LocalTokens::open(settings.store_options()).await?;
    let created = tokens.create(new, AuditEntry::new(now, ACTOR, CREATED)).await;
    tokens.close().await;
    show(created?, &plain, arguments.json)
}

fn order(arguments: &TokenCreateArguments, now: OffsetDateTime) -> Result<TokenOrder, TokenCommandError> {
    let in_days = arguments.expires_in_days.map(|days| now.saturating_add(Duration::days(days.into())));
    let at = arguments.expires_at.as_deref().map(|text| {
        let instant = OffsetDateTime::parse(text, &Rfc3339).ok();
        let instant = instant.and_then(|instant| instant.checked_to_offset(UtcOffset::UTC));
        instant.ok_or_else(|| TokenCommandError::Instant(text.to_owned()))
    });
    Ok(TokenOrder {
        name: arguments.name.clone(),
        role: match arguments.role {
            TokenRole::Viewer => Role::Viewer,
            TokenRole::Operator => Role::Operator,
            TokenRole::Admin => Role::Admin,
        },
        permissions: arguments
            .permissions
            .iter()
            .map(|permission| match permission {
                TokenPermission::DownloadPrivateKey => Permission::DownloadPrivateKey,
            })
            .collect(),
        expires_at: in_days.or(at.transpose()?),
    })
}

/// The token alone goes to standard output, for `TOKEN=$(koiosd token create …)`.
fn show(token: Token, plain: &PlainToken, as_json: bool) -> Result<(), TokenCommandError> {
    let id = token.id;
    let unseen = |source| TokenCommandError::Unseen { id, source };
    if as_json {
        return write_json(&NewTokenBody::new(token, plain.secret())).map_err(unseen);
    }
    let end =
        token.expires_at.map_or_else(|| "does not expire".to_owned(), |end| format!("expires {}", text(end)));
    let mut out = io::stdout().lock();
    writeln!(out, "{}", plain.secret()).and_then(|()| out.flush()).map_err(unseen)?;
    // The token is out; nobody may be reading this.
    let said = writeln!(
        io::stderr(),
        "koiosd: the {} token {:?} ({id}) {end}; it is not shown again",
        token.role,
        token.name
    );
    drop(said);
    Ok(())
}

async fn list(settings: &Settings, as_json: bool) -> Result<(), TokenCommandError> {
    let store = Store::open_for_reading(settings.store_options()).await?;
    let mut query = TokenQuery::default();
    query.page = PageRequest::new(usize::MAX, None);
    let tokens = store.tokens(query).await;
    store.close().await;
    let tokens = tokens?;
    let written = match as_json {
        true => write_json(&PageBody::of(tokens, TokenBody::from)),
        false => write_table(&tokens.items),
    };
    written.map_err(TokenCommandError::Output)
}

fn write_table(tokens: &[Token]) -> io::Result<()> {
    let instant = |at: Option<OffsetDateTime>| at.map_or_else(|| "never".to_owned(), text);
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<36}  {:<8}  {:<20}  {:<20}  NAME AND PERMISSIONS",
        "ID", "ROLE", "EXPIRES", "LAST USED"
    )?;
    for token in tokens {
        let mut name = token.name.clone();
        for permission in &token.permissions {
            name.push_str(&format!("  [{permission}]"));
        }
        let (expires, used) = (instant(token.expires_at), instant(token.last_used_at));
        writeln!(out, "{}  {:<8}  {expires:<20}  {used:<20}  {name}", token.id, token.role.as_str())?;
    }
    out.flush()
}

async fn revoke(settings: &Settings, id: &str, force: bool) -> Result<(), TokenCommandError> {
    let id: TokenId = id.parse().map_err(|source| TokenCommandError::Id { id: id.to_owned(), source })?;
    let last_admin = if force { LastAdmin::Revoke } else { LastAdmin::Keep };
    let now = OffsetDateTime::now_utc();
    let tokens = LocalTokens::open(settings.store_options()).await?;
    let revoked = tokens.revoke(id, last_admin, now, AuditEntry::new(now, ACTOR, REVOKED)).await;
    tokens.close().await;
    let token = revoked.map_err(|error| match error {
        StoreError::LastAdminToken { name, .. } => TokenCommandError::LastAdmin { name },
        other => other.into(),
    })?;
    writeln!(io::stderr(), "koiosd: the {} token {:?} ({id}) is revoked", token.role, token.name)
        .map_err(TokenCommandError::Output)
}

fn write_json(body: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(body)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// To the second: finer than anybody reads.
fn text(instant: OffsetDateTime) -> String {
    instant.replace_nanosecond(0).unwrap_or(instant).format(&Rfc3339).unwrap_or_default()
}
