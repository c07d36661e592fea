use std::collections::HashSet;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use encore_domain::error::Unavailable;
use encore_domain::ports::Notifications;
use encore_domain::time::Timestamp;

use crate::database::Database;
use crate::error::unavailable;
use crate::statement::{Cached, sql};

/// [`Notifications`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresNotifications {
    database: Database,
}

impl PostgresNotifications {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Notifications for PostgresNotifications {
    async fn noted(&self, events: &[String]) -> Result<HashSet<String>, Unavailable> {
        const NOTED: &str = "SELECT event_id FROM notifications WHERE event_id = ANY($1)";
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            event_id: String,
        }
        let mut conn = self.database.connection().await?;
        let rows: Vec<Row> =
            Cached(sql(NOTED).bind::<Array<Text>, _>(events)).load(&mut conn).await.map_err(unavailable)?;
        Ok(rows.into_iter().map(|row| row.event_id).collect())
    }

    async fn note(&self, events: &[String], at: Timestamp) -> Result<(), Unavailable> {
        const NOTE: &str = "
            INSERT INTO notifications (event_id, noted_at) SELECT event_id, $2 FROM unnest($1) AS event (event_id)
            ON CONFLICT DO NOTHING";
        let mut conn = self.database.connection().await?;
        let note = sql(NOTE).bind::<Array<Text>, _>(events).bind::<Timestamptz, _>(at);
        Cached(note).execute(&mut conn).await.map_err(unavailable)?;
        Ok(())
    }

    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        // Instances that delete at the same time take different rows.
        const FORGET: &str = "
            DELETE FROM notifications USING (
                SELECT event_id FROM notifications WHERE noted_at < $1 ORDER BY noted_at LIMIT $2
                FOR UPDATE SKIP LOCKED
            ) AS old
            WHERE notifications.event_id = old.event_id";
        let mut conn = self.database.connection().await?;
        let forget = sql(FORGET).bind::<Timestamptz, _>(before).bind::<BigInt, _>(i64::from(limit));
        Ok(Cached(forget).execute(&mut conn).await.map_err(unavailable)? as u64)
    }
}
