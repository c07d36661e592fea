use async_trait::async_trait;
use diesel::sql_types::{Text, Timestamptz};
use diesel_async::RunQueryDsl;
use encore_domain::error::Unavailable;
use encore_domain::ports::SentAlarms;
use encore_domain::time::Timestamp;

use crate::database::Database;
use crate::error::unavailable;
use crate::statement::{Cached, sql};

/// [`SentAlarms`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresSentAlarms {
    database: Database,
}

impl PostgresSentAlarms {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl SentAlarms for PostgresSentAlarms {
    async fn claim(
        &self,
        name: &str,
        subject: &str,
        now: Timestamp,
        unless_since: Timestamp,
    ) -> Result<bool, Unavailable> {
        // An instance that claims at the same time waits for the row, and then sees when it was sent.
        const CLAIM: &str = "
            INSERT INTO sent_alarms (name, subject, sent_at) VALUES ($1, $2, $3)
            ON CONFLICT (name, subject) DO UPDATE SET sent_at = excluded.sent_at WHERE sent_alarms.sent_at < $4";
        let mut conn = self.database.connection().await?;
        let claim = sql(CLAIM)
            .bind::<Text, _>(name)
            .bind::<Text, _>(subject)
            .bind::<Timestamptz, _>(now)
            .bind::<Timestamptz, _>(unless_since);
        Ok(Cached(claim).execute(&mut conn).await.map_err(unavailable)? > 0)
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, Unavailable> {
        const FORGET: &str = "DELETE FROM sent_alarms WHERE sent_at < $1";
        let mut conn = self.database.connection().await?;
        let forget = sql(FORGET).bind::<Timestamptz, _>(before);
        Ok(Cached(forget).execute(&mut conn).await.map_err(unavailable)? as u64)
    }
}
