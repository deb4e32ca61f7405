//! What servers say of themselves, per endpoint and in bounded number.

use sqlx::FromRow;
use time::{Duration, OffsetDateTime};

use crate::database::{DatabaseResult, storable};
use crate::error::StoreError;
use crate::instant;
use crate::store::{Apply, Store};

/// What a server says it is. Nothing of it is proven.
#[derive(Clone, Debug, Default, Eq, FromRow, PartialEq)]
#[non_exhaustive]
pub struct SaidServerIdentity {
    /// Of its application description.
    pub application_uri: String,
    /// Of its application description, or its build info.
    pub product_uri: String,
    /// Of its application description.
    pub application_name: String,
    /// Of its build info; empty before a session has shown it.
    pub manufacturer_name: String,
    /// Of its build info; empty before a session has shown it.
    pub product_name: String,
}

impl SaidServerIdentity {
    /// What is known of the same server with this seen: what a session has shown stays when only endpoints are seen again.
    fn seen_again(self, now: Self) -> Self {
        if self.application_uri != now.application_uri {
            return now;
        }
        let newer = |known: String, now: String| if now.is_empty() { known } else { now };
        Self {
            application_uri: now.application_uri,
            product_uri: newer(self.product_uri, now.product_uri),
            application_name: newer(self.application_name, now.application_name),
            manufacturer_name: newer(self.manufacturer_name, now.manufacturer_name),
            product_name: newer(self.product_name, now.product_name),
        }
    }

    fn bounded(mut self) -> Self {
        for text in [
            &mut self.application_uri,
            &mut self.product_uri,
            &mut self.application_name,
            &mut self.manufacturer_name,
            &mut self.product_name,
        ] {
            if text.chars().count() > MAX_CHARS {
                *text = text.chars().take(MAX_CHARS).collect();
            }
            *text = storable(text);
        }
        self
    }
}

impl Store {
    /// Notes what the server at an endpoint says it is: what is known already once a day, what is new once a minute.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] and its like.
    pub async fn record_server_identity(
        &self,
        endpoint_url: &str,
        identity: SaidServerIdentity,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut identity = identity.bounded();
        if let Some((known, seen_at)) = self.said_by(endpoint_url).await? {
            let age = at - seen_at;
            identity = known.clone().seen_again(identity);
            // A server that names itself anew at each attempt is not worth a write each time, nor is one that stays the
            // same; but who is seen is not the first to go.
            let resolution = if known == identity { Duration::DAY } else { Duration::MINUTE };
            if (Duration::ZERO..resolution).contains(&age) {
                return Ok(());
            }
        }
        let store = self.clone();
        let endpoint_url = endpoint_url.to_owned();
        self.run(async move {
            let mut write = store.begin().await?;
            sqlx::query(
                "INSERT INTO server_identities (endpoint_url, application_uri, product_uri, application_name, \
                 manufacturer_name, product_name, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                 ON CONFLICT (endpoint_url) DO UPDATE SET application_uri = excluded.application_uri, \
                 product_uri = excluded.product_uri, application_name = excluded.application_name, \
                 manufacturer_name = excluded.manufacturer_name, product_name = excluded.product_name, \
                 seen_at = excluded.seen_at",
            )
            .bind(endpoint_url)
            .bind(identity.application_uri)
            .bind(identity.product_uri)
            .bind(identity.application_name)
            .bind(identity.manufacturer_name)
            .bind(identity.product_name)
            .bind(instant::to_micros(at))
            .execute(write.connection())
            .await
            .database()?;
            let (all,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM server_identities")
                .fetch_one(write.connection())
                .await
                .database()?;
            // To find out who is to go takes longer the more there are; mostly nobody is.
            if all > KEPT {
                sqlx::query(
                    "DELETE FROM server_identities WHERE endpoint_url NOT IN (SELECT endpoint_url FROM server_identities \
                     ORDER BY seen_at DESC, endpoint_url LIMIT $1)",
                )
                .bind(KEPT)
                .execute(write.connection())
                .await
                .database()?;
            }
            write.finish(Apply::Commit).await
        })
        .await
    }

    /// What the server at an endpoint last said it is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and its like.
    pub async fn server_identity(
        &self,
        endpoint_url: &str,
    ) -> Result<Option<SaidServerIdentity>, StoreError> {
        Ok(self.said_by(endpoint_url).await?.map(|(said, _)| said))
    }

    async fn said_by(
        &self,
        endpoint_url: &str,
    ) -> Result<Option<(SaidServerIdentity, OffsetDateTime)>, StoreError> {
        self.reading(async {
            let row: Option<Row> = sqlx::query_as("SELECT * FROM server_identities WHERE endpoint_url = $1")
                .bind(endpoint_url)
                .fetch_optional(&mut *self.inner.database.read().await?)
                .await
                .database()?;
            let Some(Row { said, seen_at }) = row else { return Ok(None) };
            Ok(Some((said, instant::from_micros(seen_at, "server_identities.seen_at")?)))
        })
        .await
    }
}

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    said: SaidServerIdentity,
    seen_at: i64,
}

/// As for server certificates: discovery of ever new addresses does not fill the disk.
const KEPT: i64 = 10_000;
/// Of each text.
const MAX_CHARS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_session_has_shown_stays_until_another_server_answers() {
        let text = str::to_owned;
        let session = SaidServerIdentity {
            application_uri: text("urn:plc"),
            product_uri: text("urn:maker:plc"),
            manufacturer_name: text("Maker"),
            product_name: text("PLC"),
            ..SaidServerIdentity::default()
        };
        let endpoints = SaidServerIdentity {
            application_uri: text("urn:plc"),
            application_name: text("Press"),
            ..SaidServerIdentity::default()
        };
        let both = session.clone().seen_again(endpoints.clone());
        assert_eq!(both, SaidServerIdentity { application_name: text("Press"), ..session.clone() });
        let other = SaidServerIdentity { application_uri: text("urn:other"), ..endpoints };
        assert_eq!(session.seen_again(other.clone()), other);
        let long = SaidServerIdentity { product_name: "é".repeat(2000), ..SaidServerIdentity::default() };
        assert_eq!(long.bounded().product_name.chars().count(), MAX_CHARS);
    }
}
