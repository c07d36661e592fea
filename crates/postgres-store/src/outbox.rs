//! The outbox. Every transaction that changes something writes it, and readers follow it window by window.
//!
//! The number of an event is drawn before its transaction commits. A reader that followed the numbers could therefore read a
//! higher number before a lower one appears, and miss that event. So each row also has the id of its transaction, and a reader
//! takes whole windows: the rows of the transactions that one snapshot sees and the snapshot before it does not. All of them
//! have ended, so nothing is added to a window.
//!
//! Inside a window the order is that of the numbers. An event that depends on another has the higher number, because the
//! outbox is written by the last statement of a transaction, after every lock that it waited for. It is not in an earlier
//! window either: a snapshot that sees the later transaction sees the one that it waited for.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Jsonb, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::error::Unavailable;
use encore_domain::event::{Event, OutboxPage, OutboxPlace, OutboxRecord};
use encore_domain::ports::Outbox;
use serde_json::Value;
use uuid::Uuid;

use crate::database::Database;
use crate::error::unavailable;
use crate::event_record::payload;
use crate::locks::lock_outbox_windows;
use crate::statement::{Cached, sql};

/// How many windows one read passes at most.
const WINDOWS_PER_READ: usize = 100;

/// Writes events. It must be the last statement of its transaction.
pub async fn append(conn: &AsyncPgConnection, events: &[Event]) -> QueryResult<()> {
    const APPEND: &str = "
        INSERT INTO outbox (event_id, kind, key, payload, created_at)
        SELECT event_id, kind, key, payload, created_at
        FROM unnest($1, $2, $3, $4, $5) AS event (event_id, kind, key, payload, created_at)";
    if events.is_empty() {
        return Ok(());
    }
    let times: Vec<DateTime<Utc>> = events.iter().map(Event::at).collect();
    let payloads: Vec<Value> = events.iter().map(payload).collect();
    let ids: Vec<String> = events.iter().map(Event::id).collect();
    let kinds: Vec<&str> = events.iter().map(Event::kind).collect();
    let keys: Vec<Uuid> = events.iter().map(Event::key).collect();
    let query = sql(APPEND)
        .bind::<Array<Text>, _>(ids)
        .bind::<Array<Text>, _>(kinds)
        .bind::<Array<SqlUuid>, _>(keys)
        .bind::<Array<Jsonb>, _>(payloads)
        .bind::<Array<Timestamptz>, _>(times);
    Cached(query).execute(&mut &*conn).await?;
    Ok(())
}

/// [`Outbox`] on Postgres. The window of a place is the number of the snapshot with which it begins, 0 for the first.
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
    async fn close_window(&self) -> Result<(), Unavailable> {
        // A window is closed only if it has an event. Otherwise an idle system would write snapshots for ever.
        // The order is for the planner, which then reads the primary key from its end, down to the bound.
        const CLOSE: &str = "
            WITH last AS MATERIALIZED (SELECT ended_by FROM outbox_windows ORDER BY number DESC LIMIT 1)
            INSERT INTO outbox_windows (ended_by)
            SELECT pg_current_snapshot() FROM outbox
            WHERE transaction_id >= coalesce((SELECT pg_snapshot_xmin(ended_by) FROM last), '0'::xid8)
              AND coalesce(NOT pg_visible_in_snapshot(transaction_id, (SELECT ended_by FROM last)), true)
            ORDER BY transaction_id DESC
            LIMIT 1";
        let mut conn = self.database.connection().await?;
        let closing = conn.transaction(async |conn| {
            // The statement after this one takes its snapshot when the lock is held: so snapshots are in the order of their numbers.
            lock_outbox_windows(conn).await?;
            Cached(sql(CLOSE)).execute(conn).await
        });
        closing.await.map_err(|error: diesel::result::Error| unavailable(error))?;
        Ok(())
    }

    async fn after(&self, place: OutboxPlace, limit: u32) -> Result<OutboxPage, Unavailable> {
        let mut conn = self.database.connection().await?;
        let mut page = OutboxPage { records: Vec::new(), end: place };
        for _ in 0..WINDOWS_PER_READ {
            let Some(next) = window_after(&mut conn, page.end.window).await.map_err(unavailable)? else { break };
            let left = i64::from(limit) - i64::try_from(page.records.len()).unwrap_or(i64::MAX);
            let records = records(&mut conn, page.end, next, left).await.map_err(unavailable)?;
            let is_full = i64::try_from(records.len()).unwrap_or(i64::MAX) >= left;
            page.end = match records.last() {
                Some(last) if is_full => last.place,
                _ => OutboxPlace { window: next, sequence: 0 },
            };
            page.records.extend(records);
            if is_full {
                break;
            }
        }
        Ok(page)
    }
}

/// The number of the first snapshot after a place.
async fn window_after(conn: &mut AsyncPgConnection, window: i64) -> QueryResult<Option<i64>> {
    const NEXT: &str = "SELECT number FROM outbox_windows WHERE number > $1 ORDER BY number LIMIT 1";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }
    let row: Option<Row> = Cached(sql(NEXT).bind::<BigInt, _>(window)).get_result(conn).await.optional()?;
    Ok(row.map(|row| row.number))
}

/// The records after a place in its window, which ends with the snapshot `next`.
async fn records(
    conn: &mut AsyncPgConnection,
    after: OutboxPlace,
    next: i64,
    limit: i64,
) -> QueryResult<Vec<OutboxRecord>> {
    // The bounds on transaction ids let the primary key find the rows.
    const READ: &str = "
        WITH bounds AS MATERIALIZED (
            SELECT ended_by AS next, (SELECT ended_by FROM outbox_windows WHERE number = $1) AS before
            FROM outbox_windows WHERE number = $2
        )
        SELECT sequence, event_id, kind, key, created_at FROM outbox
        WHERE transaction_id >= coalesce((SELECT pg_snapshot_xmin(before) FROM bounds), '0'::xid8)
          AND transaction_id < (SELECT pg_snapshot_xmax(next) FROM bounds)
          AND pg_visible_in_snapshot(transaction_id, (SELECT next FROM bounds))
          AND coalesce(NOT pg_visible_in_snapshot(transaction_id, (SELECT before FROM bounds)), true)
          AND sequence > $3
        ORDER BY sequence
        LIMIT $4";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        sequence: i64,
        #[diesel(sql_type = Text)]
        event_id: String,
        #[diesel(sql_type = Text)]
        kind: String,
        #[diesel(sql_type = SqlUuid)]
        key: Uuid,
        #[diesel(sql_type = Timestamptz)]
        created_at: DateTime<Utc>,
    }
    let query = sql(READ)
        .bind::<BigInt, _>(after.window)
        .bind::<BigInt, _>(next)
        .bind::<BigInt, _>(after.sequence)
        .bind::<BigInt, _>(limit);
    let rows: Vec<Row> = Cached(query).load(conn).await?;
    let record = |row: Row| OutboxRecord {
        place: OutboxPlace { window: after.window, sequence: row.sequence },
        id: row.event_id,
        kind: row.kind,
        key: row.key,
        at: row.created_at,
    };
    Ok(rows.into_iter().map(record).collect())
}
