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
use diesel::sql_types::{Array, BigInt, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::error::Unavailable;
use encore_domain::event::{
    BACKLOG_COUNTED_MAX, Backlog, Event, OutboxPage, OutboxPlace, OutboxRecord, UnreadableEvent,
};
use encore_domain::ports::Outbox;
use encore_domain::time::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::database::Database;
use crate::error::unavailable;
use crate::event_record::{payload, read};
use crate::locks::lock_outbox_windows;
use crate::statement::{Cached, sql};
use crate::webhook_deliveries::needed_after;

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
    let payloads: Vec<Value> = events.iter().map(payload).collect::<QueryResult<_>>()?;
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
        self.read(Range { after: place, until: OutboxPlace::END, key: None }, limit).await
    }

    async fn of_key_after(
        &self,
        key: Uuid,
        place: OutboxPlace,
        until: OutboxPlace,
        limit: u32,
    ) -> Result<OutboxPage, Unavailable> {
        self.read(Range { after: place, until, key: Some(key) }, limit).await
    }

    async fn find(&self, places: &[OutboxPlace]) -> Result<Vec<OutboxRecord>, Unavailable> {
        let mut conn = self.database.connection().await?;
        records_at(&mut conn, places).await.map_err(unavailable)
    }

    async fn end(&self) -> Result<OutboxPlace, Unavailable> {
        const END: &str = "SELECT number FROM outbox_windows ORDER BY number DESC LIMIT 1";
        let mut conn = self.database.connection().await?;
        let last: Option<WindowRow> = Cached(sql(END)).get_result(&mut conn).await.optional().map_err(unavailable)?;
        Ok(last.map_or_else(OutboxPlace::default, |last| OutboxPlace { window: last.number, sequence: 0 }))
    }

    async fn backlog(&self, place: OutboxPlace) -> Result<Backlog, Unavailable> {
        let mut conn = self.database.connection().await?;
        backlog(&mut conn, place).await.map_err(unavailable)
    }

    /// Deletes rows of whole windows, the oldest first.
    async fn forget(&self, delivered: OutboxPlace, before: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        let mut conn = self.database.connection().await?;
        let forgetting = conn.transaction(async |conn| {
            let delivered = needed_after(conn).await?.map_or(delivered, |needed| needed.min(delivered));
            let forgotten = forget_events(conn, delivered.window, before, limit).await?;
            if forgotten > 0 {
                note_forgotten(conn, before).await?;
            }
            forget_windows(conn, delivered.window, limit).await?;
            Ok(forgotten)
        });
        forgetting.await.map_err(|error: diesel::result::Error| unavailable(error))
    }

    async fn oldest_transaction(&self) -> Result<Option<Timestamp>, Unavailable> {
        // Of sessions of other roles Postgres shows the beginning only to those who may read all statistics.
        const OLDEST: &str = "
            SELECT min(began) AS began FROM (
                SELECT xact_start AS began FROM pg_stat_activity
                WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
                UNION ALL
                SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()
            ) AS transaction";
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Nullable<Timestamptz>)]
            began: Option<DateTime<Utc>>,
        }
        let mut conn = self.database.connection().await?;
        let row: Row = Cached(sql(OLDEST)).get_result(&mut conn).await.map_err(unavailable)?;
        Ok(row.began)
    }

    async fn forgotten_before(&self) -> Result<Option<Timestamp>, Unavailable> {
        const FORGOTTEN: &str = "SELECT before FROM outbox_forgotten";
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Timestamptz)]
            before: DateTime<Utc>,
        }
        let mut conn = self.database.connection().await?;
        let row: Option<Row> = Cached(sql(FORGOTTEN)).get_result(&mut conn).await.optional().map_err(unavailable)?;
        Ok(row.map(|row| row.before))
    }
}

/// Which records are read.
#[derive(Clone, Copy)]
struct Range {
    after: OutboxPlace,
    until: OutboxPlace,
    /// None for all keys.
    key: Option<Uuid>,
}

impl PostgresOutbox {
    async fn read(&self, Range { after, until, key }: Range, limit: u32) -> Result<OutboxPage, Unavailable> {
        let mut conn = self.database.connection().await?;
        let mut page = OutboxPage { records: Vec::new(), end: after };
        for _ in 0..WINDOWS_PER_READ {
            if page.end >= until {
                break;
            }
            let Some(next) = window_after(&mut conn, page.end.window).await.map_err(unavailable)? else { break };
            let left = limit.saturating_sub(u32::try_from(page.records.len()).unwrap_or(u32::MAX));
            let range = Range { after: page.end, until, key };
            let records = records(&mut conn, range, next, left).await.map_err(unavailable)?;
            let is_full = records.len() >= left as usize;
            page.end = match records.last() {
                Some(last) if is_full => last.place,
                _ => OutboxPlace { window: next, sequence: 0 }.min(until),
            };
            page.records.extend(records);
            if is_full {
                break;
            }
        }
        Ok(page)
    }
}

#[derive(QueryableByName)]
struct WindowRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The number of the first snapshot after a place.
async fn window_after(conn: &mut AsyncPgConnection, window: i64) -> QueryResult<Option<i64>> {
    const NEXT: &str = "SELECT number FROM outbox_windows WHERE number > $1 ORDER BY number LIMIT 1";
    let row: Option<WindowRow> = Cached(sql(NEXT).bind::<BigInt, _>(window)).get_result(conn).await.optional()?;
    Ok(row.map(|row| row.number))
}

/// The records of a range in the window in which it begins, which ends with the snapshot `next`.
async fn records(
    conn: &mut AsyncPgConnection,
    Range { after, until, key }: Range,
    next: i64,
    limit: u32,
) -> QueryResult<Vec<OutboxRecord>> {
    // The bounds on transaction ids let the primary key find the rows.
    const READ: &str = "
        WITH bounds AS MATERIALIZED (
            SELECT ended_by AS next, (SELECT ended_by FROM outbox_windows WHERE number = $1) AS before
            FROM outbox_windows WHERE number = $2
        )
        SELECT $1 AS window_number, sequence, event_id, kind, key, payload::text, created_at FROM outbox
        WHERE transaction_id >= coalesce((SELECT pg_snapshot_xmin(before) FROM bounds), '0'::xid8)
          AND transaction_id < (SELECT pg_snapshot_xmax(next) FROM bounds)
          AND pg_visible_in_snapshot(transaction_id, (SELECT next FROM bounds))
          AND coalesce(NOT pg_visible_in_snapshot(transaction_id, (SELECT before FROM bounds)), true)
          AND sequence > $3 AND sequence <= $5 AND ($6 IS NULL OR key = $6)
        ORDER BY sequence
        LIMIT $4";
    let last = if until.window == after.window { until.sequence } else { i64::MAX };
    let query = sql(READ)
        .bind::<BigInt, _>(after.window)
        .bind::<BigInt, _>(next)
        .bind::<BigInt, _>(after.sequence)
        .bind::<BigInt, _>(i64::from(limit))
        .bind::<BigInt, _>(last)
        .bind::<Nullable<SqlUuid>, _>(key);
    let rows: Vec<RecordRow> = Cached(query).load(conn).await?;
    Ok(rows.into_iter().map(RecordRow::read).collect())
}

/// The records at these places that are kept.
async fn records_at(conn: &mut AsyncPgConnection, places: &[OutboxPlace]) -> QueryResult<Vec<OutboxRecord>> {
    // The limit keeps the planner from joining all rows: each place is looked up by the primary key, within its window.
    const FIND: &str = "
        SELECT wanted.window_number, record.*
        FROM unnest($1, $2) AS wanted (window_number, wanted_sequence)
        LEFT JOIN outbox_windows AS before ON before.number = wanted.window_number
        CROSS JOIN LATERAL (
            SELECT ended_by FROM outbox_windows WHERE number > wanted.window_number ORDER BY number LIMIT 1
        ) AS next
        CROSS JOIN LATERAL (
            SELECT sequence, event_id, kind, key, payload::text, created_at FROM outbox
            WHERE transaction_id >= coalesce(pg_snapshot_xmin(before.ended_by), '0'::xid8)
              AND transaction_id < pg_snapshot_xmax(next.ended_by)
              AND pg_visible_in_snapshot(transaction_id, next.ended_by)
              AND coalesce(NOT pg_visible_in_snapshot(transaction_id, before.ended_by), true)
              AND sequence = wanted.wanted_sequence
            LIMIT 1
        ) AS record";
    let (windows, sequences): (Vec<i64>, Vec<i64>) = places.iter().map(|at| (at.window, at.sequence)).unzip();
    let query = sql(FIND).bind::<Array<BigInt>, _>(windows).bind::<Array<BigInt>, _>(sequences);
    let rows: Vec<RecordRow> = Cached(query).load(conn).await?;
    Ok(rows.into_iter().map(RecordRow::read).collect())
}

#[derive(QueryableByName)]
struct RecordRow {
    #[diesel(sql_type = BigInt)]
    window_number: i64,
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = Text)]
    event_id: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = SqlUuid)]
    key: Uuid,
    /// It is parsed row by row, so that one that cannot be parsed concerns its event alone.
    #[diesel(sql_type = Text)]
    payload: String,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
}

impl RecordRow {
    fn read(self) -> OutboxRecord {
        let payload = serde_json::from_str(&self.payload).map_err(|error| UnreadableEvent(error.to_string()));
        OutboxRecord {
            place: OutboxPlace { window: self.window_number, sequence: self.sequence },
            event: payload
                .and_then(|payload| read(&self.kind, payload).map_err(|error| UnreadableEvent(error.to_string()))),
            id: self.event_id,
            kind: self.kind,
            key: self.key,
            at: self.created_at,
        }
    }
}

async fn backlog(conn: &mut AsyncPgConnection, place: OutboxPlace) -> QueryResult<Backlog> {
    // What no closed window has yet counts, too.
    const BACKLOG: &str = "
        WITH bounds AS MATERIALIZED (
            SELECT
                (SELECT ended_by FROM outbox_windows WHERE number = $1) AS before,
                (SELECT ended_by FROM outbox_windows WHERE number > $1 ORDER BY number LIMIT 1) AS next
        )
        SELECT count(*) AS events, min(created_at) AS oldest
        FROM (
            SELECT created_at FROM outbox
            WHERE transaction_id >= coalesce((SELECT pg_snapshot_xmin(before) FROM bounds), '0'::xid8)
              AND coalesce(NOT pg_visible_in_snapshot(transaction_id, (SELECT before FROM bounds)), true)
              AND NOT (sequence <= $2 AND coalesce(pg_visible_in_snapshot(transaction_id, (SELECT next FROM bounds)), false))
            ORDER BY transaction_id
            LIMIT $3
        ) AS waiting";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        events: i64,
        #[diesel(sql_type = Nullable<Timestamptz>)]
        oldest: Option<DateTime<Utc>>,
    }
    let query = sql(BACKLOG)
        .bind::<BigInt, _>(place.window)
        .bind::<BigInt, _>(place.sequence)
        .bind::<BigInt, _>(BACKLOG_COUNTED_MAX.cast_signed());
    let row: Row = Cached(query).get_result(conn).await?;
    Ok(Backlog { events: row.events.cast_unsigned(), oldest: row.oldest })
}

/// Deletes events of the windows before this one that are older than `before`. Only the `limit` oldest are looked at, so that a step
/// that finds nothing reads little. Transaction ids grow with time, so what is due is among them.
async fn forget_events(conn: &mut AsyncPgConnection, window: i64, before: Timestamp, limit: u32) -> QueryResult<u64> {
    const FORGET: &str = "
        WITH delivered AS MATERIALIZED (
            SELECT ended_by FROM outbox_windows WHERE number = $1
        ), oldest AS (
            SELECT transaction_id, sequence, created_at FROM outbox ORDER BY transaction_id, sequence LIMIT $3
        )
        DELETE FROM outbox USING oldest
        WHERE outbox.transaction_id = oldest.transaction_id AND outbox.sequence = oldest.sequence
          AND oldest.created_at < $2
          AND pg_visible_in_snapshot(oldest.transaction_id, (SELECT ended_by FROM delivered))";
    let forget =
        sql(FORGET).bind::<BigInt, _>(window).bind::<Timestamptz, _>(before).bind::<BigInt, _>(i64::from(limit));
    Ok(Cached(forget).execute(conn).await? as u64)
}

/// Tells the audit.
async fn note_forgotten(conn: &mut AsyncPgConnection, before: Timestamp) -> QueryResult<()> {
    const NOTE: &str = "
        INSERT INTO outbox_forgotten (before) VALUES ($1)
        ON CONFLICT (one) DO UPDATE SET before = greatest(outbox_forgotten.before, $1)";
    Cached(sql(NOTE).bind::<Timestamptz, _>(before)).execute(conn).await?;
    Ok(())
}

/// Deletes the oldest snapshots that see none of the events that are kept, and are before this window. Reading from a place whose
/// snapshot is gone begins with the oldest event, which comes after that place.
async fn forget_windows(conn: &mut AsyncPgConnection, window: i64, limit: u32) -> QueryResult<()> {
    const FORGET: &str = "
        WITH oldest AS (
            SELECT number, pg_snapshot_xmax(ended_by) AS xmax FROM outbox_windows ORDER BY number LIMIT $2
        ), kept AS MATERIALIZED (
            SELECT (SELECT transaction_id FROM outbox ORDER BY transaction_id LIMIT 1) AS first
        )
        DELETE FROM outbox_windows USING oldest, kept
        WHERE outbox_windows.number = oldest.number AND oldest.number < $1
          AND (kept.first IS NULL OR oldest.xmax <= kept.first)";
    let forget = sql(FORGET).bind::<BigInt, _>(window).bind::<BigInt, _>(i64::from(limit));
    Cached(forget).execute(conn).await?;
    Ok(())
}
