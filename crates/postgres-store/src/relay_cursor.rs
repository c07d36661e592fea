use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Jsonb, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use encore_domain::error::Unavailable;
use encore_domain::event::OutboxPlace;
use encore_domain::event::relay::{HeldBackKey, RelayPosition};
use encore_domain::ports::RelayCursor;
use encore_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::database::Database;
use crate::error::{corrupt, unavailable};
use crate::statement::{Cached, sql};

/// [`RelayCursor`] on Postgres: one row for each relay.
#[derive(Clone, Debug)]
pub struct PostgresRelayCursor {
    database: Database,
    relay: &'static str,
}

impl PostgresRelayCursor {
    /// The relay of this name, in a database that is migrated.
    pub fn new(database: Database, relay: &'static str) -> Self {
        Self { database, relay }
    }
}

#[async_trait]
impl RelayCursor for PostgresRelayCursor {
    async fn acquire(
        &self,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<RelayPosition>, Unavailable> {
        const ACQUIRE: &str = "
            INSERT INTO event_relays AS relay (name, holder, leased_until) VALUES ($1, $2, $4)
            ON CONFLICT (name) DO UPDATE SET holder = $2, leased_until = $4
            WHERE relay.holder IS NULL OR relay.holder = $2 OR relay.leased_until <= $3
            RETURNING window_number, sequence, held_back";
        let acquire = sql(ACQUIRE)
            .bind::<Text, _>(self.relay)
            .bind::<SqlUuid, _>(holder)
            .bind::<Timestamptz, _>(now)
            .bind::<Timestamptz, _>(until);
        let mut conn = self.database.connection().await?;
        let row: Option<PositionRow> = Cached(acquire).get_result(&mut conn).await.optional().map_err(unavailable)?;
        row.map(PositionRow::read).transpose().map_err(unavailable)
    }

    async fn save(&self, holder: Uuid, position: &RelayPosition) -> Result<bool, Unavailable> {
        const SAVE: &str = "
            UPDATE event_relays SET window_number = $3, sequence = $4, held_back = $5 WHERE name = $1 AND holder = $2";
        let save = sql(SAVE)
            .bind::<Text, _>(self.relay)
            .bind::<SqlUuid, _>(holder)
            .bind::<BigInt, _>(position.cursor.window)
            .bind::<BigInt, _>(position.cursor.sequence)
            .bind::<Jsonb, _>(held_back(&position.held_back).map_err(unavailable)?);
        let mut conn = self.database.connection().await?;
        Ok(Cached(save).execute(&mut conn).await.map_err(unavailable)? > 0)
    }

    async fn release(&self, holder: Uuid) -> Result<(), Unavailable> {
        const RELEASE: &str =
            "UPDATE event_relays SET holder = NULL, leased_until = NULL WHERE name = $1 AND holder = $2";
        let release = sql(RELEASE).bind::<Text, _>(self.relay).bind::<SqlUuid, _>(holder);
        let mut conn = self.database.connection().await?;
        Cached(release).execute(&mut conn).await.map_err(unavailable)?;
        Ok(())
    }

    async fn position(&self) -> Result<RelayPosition, Unavailable> {
        const POSITION: &str = "SELECT window_number, sequence, held_back FROM event_relays WHERE name = $1";
        let mut conn = self.database.connection().await?;
        let row = Cached(sql(POSITION).bind::<Text, _>(self.relay)).get_result(&mut conn).await;
        let row: Option<PositionRow> = row.optional().map_err(unavailable)?;
        Ok(row.map(PositionRow::read).transpose().map_err(unavailable)?.unwrap_or_default())
    }
}

#[derive(QueryableByName)]
struct PositionRow {
    #[diesel(sql_type = BigInt)]
    window_number: i64,
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = Jsonb)]
    held_back: Value,
}

impl PositionRow {
    fn read(self) -> QueryResult<RelayPosition> {
        let records: Vec<HeldBackRecord> = serde_json::from_value(self.held_back)
            .map_err(|error| corrupt("list of keys that are held back", &error))?;
        Ok(RelayPosition {
            cursor: OutboxPlace { window: self.window_number, sequence: self.sequence },
            held_back: records.into_iter().map(HeldBackRecord::read).collect::<QueryResult<_>>()?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct HeldBackRecord {
    key: String,
    window: i64,
    sequence: i64,
    event_id: String,
    reason: String,
    failures: u32,
    next_try_at_ms: i64,
}

fn held_back(keys: &[HeldBackKey]) -> QueryResult<Value> {
    let record = |held: &HeldBackKey| HeldBackRecord {
        key: held.key.to_string(),
        window: held.published.window,
        sequence: held.published.sequence,
        event_id: held.event_id.clone(),
        // Postgres stores no NUL in text.
        reason: held.reason.replace('\0', " "),
        failures: held.failures,
        next_try_at_ms: held.next_try_at.timestamp_millis(),
    };
    let records: Vec<HeldBackRecord> = keys.iter().map(record).collect();
    serde_json::to_value(records).map_err(|error| corrupt("key that is held back", &error))
}

impl HeldBackRecord {
    fn read(self) -> QueryResult<HeldBackKey> {
        let next_try_at = Timestamp::from_timestamp_millis(self.next_try_at_ms);
        Ok(HeldBackKey {
            key: self.key.parse().map_err(|_| corrupt("key that is held back", &self.key))?,
            published: OutboxPlace { window: self.window, sequence: self.sequence },
            event_id: self.event_id,
            reason: self.reason,
            failures: self.failures,
            next_try_at: next_try_at.ok_or_else(|| corrupt("time of the next try", &self.next_try_at_ms))?,
        })
    }
}
