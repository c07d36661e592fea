//! The outbox. Every transaction that changes something writes it, and readers follow it in order.
//!
//! A sequence number is drawn before its transaction commits. A reader that follows the numbers could therefore read a
//! higher number before a lower one appears, and miss that event. To prevent this, a writer draws its numbers under a
//! shared advisory lock that it holds until it commits, and a reader takes the lock exclusively before it reads: no
//! lower number can appear after that. The outbox is written by the last statement of a transaction, so a writer holds
//! the lock only until its commit.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Jsonb, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::error::Unavailable;
use encore_domain::event::{Event, OutboxRecord};
use encore_domain::ports::Outbox;
use serde_json::Value;
use uuid::Uuid;

use crate::database::Database;
use crate::error::unavailable;
use crate::event_record::payload;
use crate::locks::{self, lock_outbox};
use crate::schema::outbox;
use crate::statement::{Cached, sql};

/// Writes events. It must be the last statement of its transaction.
pub async fn append(conn: &AsyncPgConnection, events: &[Event]) -> QueryResult<()> {
    const APPEND: &str = "
        WITH outbox_lock AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared($1, $2))
        INSERT INTO outbox (event_id, kind, key, payload, created_at)
        SELECT event_id, kind, key, payload, created_at
        FROM outbox_lock, unnest($3, $4, $5, $6, $7) AS event (event_id, kind, key, payload, created_at)";
    if events.is_empty() {
        return Ok(());
    }
    let times: Vec<DateTime<Utc>> = events.iter().map(Event::at).collect();
    let payloads: Vec<Value> = events.iter().map(payload).collect();
    let ids: Vec<String> = events.iter().map(Event::id).collect();
    let kinds: Vec<&str> = events.iter().map(Event::kind).collect();
    let keys: Vec<Uuid> = events.iter().map(Event::key).collect();
    let query = sql(APPEND)
        .bind::<Integer, _>(locks::NAMESPACE)
        .bind::<Integer, _>(locks::OUTBOX)
        .bind::<Array<Text>, _>(ids)
        .bind::<Array<Text>, _>(kinds)
        .bind::<Array<SqlUuid>, _>(keys)
        .bind::<Array<Jsonb>, _>(payloads)
        .bind::<Array<Timestamptz>, _>(times);
    Cached(query).execute(&mut &*conn).await?;
    Ok(())
}

/// [`Outbox`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresOutbox {
    database: Database,
}

impl PostgresOutbox {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Outbox for PostgresOutbox {
    async fn after(&self, sequence: i64, limit: u32) -> Result<Vec<OutboxRecord>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let reading = conn.transaction(async |conn| {
            lock_outbox(conn).await?;
            outbox::table
                .filter(outbox::sequence.gt(sequence))
                .order(outbox::sequence)
                .limit(i64::from(limit))
                .select((outbox::sequence, outbox::event_id, outbox::kind, outbox::key))
                .load::<(i64, String, String, Uuid)>(conn)
                .await
        });
        let rows = reading.await.map_err(unavailable)?;
        Ok(rows.into_iter().map(|(sequence, id, kind, key)| OutboxRecord { sequence, id, kind, key }).collect())
    }
}
