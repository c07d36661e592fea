//! The outbox. Every transaction that changes something writes it, and readers follow it window by window.
//!
//! The number of an event is drawn before its transaction commits. A reader that followed the numbers could therefore read a
//! higher number before a lower one appears, and miss that event. So each row also has the id of its transaction, and a reader
//! takes whole windows: the rows of transactions from one bound up to the next, where each bound was once the oldest
//! transaction that had not ended. All transactions of a window have ended, so nothing is added to it.
//!
//! Inside a window the order is that of the numbers. An event that depends on another has the higher number, because the
//! outbox is written by the last statement of a transaction, after every lock that it waited for. It is not in an earlier
//! window either: while the later transaction was open, no bound could pass it, and when it ended, the earlier one had ended.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Jsonb, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::error::Unavailable;
use encore_domain::event::{Event, OutboxPage, OutboxPlace, OutboxRecord};
use encore_domain::ports::Outbox;
use serde_json::Value;
use uuid::Uuid;

use crate::database::Database;
use crate::error::{corrupt, unavailable};
use crate::event_record::payload;
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

/// [`Outbox`] on Postgres. The window of a place is the bound at which it begins.
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
    async fn close_window(&self) -> Result<bool, Unavailable> {
        // A window is closed only if it has an event. Otherwise an idle system would write bounds for ever.
        const CLOSE: &str = "
            WITH horizon AS MATERIALIZED (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS before)
            INSERT INTO outbox_windows (before)
            SELECT before FROM horizon
            WHERE EXISTS (
                SELECT FROM outbox
                WHERE transaction_id >= coalesce(
                        (SELECT before FROM outbox_windows ORDER BY before DESC LIMIT 1), '0'::xid8)
                  AND transaction_id < horizon.before
            )
            ON CONFLICT DO NOTHING";
        const NONE_LEFT: &str = "
            SELECT NOT EXISTS (
                SELECT FROM outbox
                WHERE transaction_id >= coalesce(
                    (SELECT before FROM outbox_windows ORDER BY before DESC LIMIT 1), '0'::xid8)
            ) AS none_left";
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Bool)]
            none_left: bool,
        }
        let mut conn = self.database.connection().await?;
        Cached(sql(CLOSE)).execute(&mut conn).await.map_err(unavailable)?;
        let row: Row = Cached(sql(NONE_LEFT)).get_result(&mut conn).await.map_err(unavailable)?;
        Ok(row.none_left)
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

/// The first bound above one.
async fn window_after(conn: &mut AsyncPgConnection, window: u64) -> QueryResult<Option<u64>> {
    const NEXT: &str = "
        SELECT before::text FROM outbox_windows WHERE before > $1::xid8 ORDER BY before LIMIT 1";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        before: String,
    }
    let query = sql(NEXT).bind::<Text, _>(window.to_string());
    let row: Option<Row> = Cached(query).get_result(conn).await.optional()?;
    let parse = |row: Row| row.before.parse().map_err(|_| corrupt("bound of an outbox window", &row.before));
    row.map(parse).transpose()
}

/// The records after a place in its window, which ends before `next`.
async fn records(
    conn: &mut AsyncPgConnection,
    after: OutboxPlace,
    next: u64,
    limit: i64,
) -> QueryResult<Vec<OutboxRecord>> {
    const READ: &str = "
        SELECT sequence, event_id, kind, key, created_at FROM outbox
        WHERE transaction_id >= $1::xid8 AND transaction_id < $2::xid8 AND sequence > $3
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
        .bind::<Text, _>(after.window.to_string())
        .bind::<Text, _>(next.to_string())
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
