use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::error::Unavailable;
use encore_domain::event::OutboxPlace;
use encore_domain::ids::EndpointId;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{DeliveryCursor, WebhookDeliveries};
use encore_domain::time::Timestamp;
use encore_domain::webhook::{
    DELIVERIES_WAITING_MAX, HeldEndpoint, Replay, WebhookDelivery, WebhookProgress, WebhookSummary,
};
use uuid::Uuid;

use crate::database::Database;
use crate::error::unavailable;
use crate::statement::{Cached, sql};
use crate::webhook_rows::{DeliveryRow, HeldRow, answer_columns, state_columns};

/// [`WebhookDeliveries`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresWebhookDeliveries {
    database: Database,
}

impl PostgresWebhookDeliveries {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

/// The last place that no endpoint needs any more; none if no endpoint needs anything.
pub async fn needed_after(conn: &mut AsyncPgConnection) -> QueryResult<Option<OutboxPlace>> {
    const NEEDED: &str = "
        SELECT window_number, sequence FROM (
            SELECT window_number, sequence FROM webhook_endpoints WHERE disabled_at IS NULL AND removed_at IS NULL
            UNION ALL
            SELECT delivery.window_number, delivery.sequence - 1
            FROM webhook_endpoints AS endpoint JOIN webhook_deliveries AS delivery ON endpoint_id = endpoint.id
            WHERE endpoint.disabled_at IS NULL AND endpoint.removed_at IS NULL AND delivery.next_try_at IS NOT NULL
        ) AS needed
        ORDER BY window_number, sequence
        LIMIT 1";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        window_number: i64,
        #[diesel(sql_type = BigInt)]
        sequence: i64,
    }
    let row: Option<Row> = Cached(sql(NEEDED)).get_result(conn).await.optional()?;
    Ok(row.map(|Row { window_number: window, sequence }| OutboxPlace { window, sequence }))
}

/// Records how far an endpoint is, if the holder has it. The cursor never moves back.
async fn record_endpoint(
    conn: &mut AsyncPgConnection,
    holder: Uuid,
    endpoint: EndpointId,
    progress: &WebhookProgress,
) -> QueryResult<bool> {
    const RECORD: &str = "
        UPDATE webhook_endpoints
        SET window_number = CASE WHEN ($3, $4) > (window_number, sequence) THEN $3 ELSE window_number END,
            sequence = CASE WHEN ($3, $4) > (window_number, sequence) THEN $4 ELSE sequence END,
            failing_since = $5, disabled_at = $6, disabled_why = $7,
            holder = CASE WHEN $6 IS NULL THEN holder END, leased_until = CASE WHEN $6 IS NULL THEN leased_until END
        WHERE id = $1 AND holder = $2 AND disabled_at IS NULL AND removed_at IS NULL";
    let WebhookProgress { cursor, failing_since, disabled, .. } = progress;
    let query = sql(RECORD)
        .bind::<SqlUuid, _>(endpoint.0)
        .bind::<SqlUuid, _>(holder)
        .bind::<Nullable<BigInt>, _>(cursor.map(|cursor| cursor.window))
        .bind::<Nullable<BigInt>, _>(cursor.map(|cursor| cursor.sequence))
        .bind::<Nullable<Timestamptz>, _>(*failing_since)
        .bind::<Nullable<Timestamptz>, _>(disabled.map(|disabled| disabled.at))
        .bind::<Nullable<Text>, _>(disabled.map(|disabled| disabled.why.as_str()));
    Ok(Cached(query).execute(conn).await? == 1)
}

/// Records how far a replay is, unless another has replaced it. Its cursor never moves back.
async fn record_replay(
    conn: &mut AsyncPgConnection,
    endpoint: EndpointId,
    replay: Uuid,
    cursor: Option<OutboxPlace>,
) -> QueryResult<()> {
    const GO_ON: &str = "
        UPDATE webhook_endpoints SET replay_window = $3, replay_sequence = $4
        WHERE id = $1 AND replay_id = $2 AND ($3, $4) > (replay_window, replay_sequence)";
    const END: &str = "
        UPDATE webhook_endpoints
        SET replay_id = NULL, replay_since = NULL, replay_window = NULL, replay_sequence = NULL,
            replay_until_window = NULL, replay_until_sequence = NULL
        WHERE id = $1 AND replay_id = $2";
    if let Some(OutboxPlace { window, sequence }) = cursor {
        let query = sql(GO_ON).bind::<SqlUuid, _>(endpoint.0).bind::<SqlUuid, _>(replay);
        Cached(query.bind::<BigInt, _>(window).bind::<BigInt, _>(sequence)).execute(conn).await?;
    } else {
        Cached(sql(END).bind::<SqlUuid, _>(endpoint.0).bind::<SqlUuid, _>(replay)).execute(conn).await?;
    }
    Ok(())
}

/// Writes deliveries, each of another event.
async fn write_deliveries(
    conn: &mut AsyncPgConnection,
    endpoint: EndpointId,
    deliveries: &[WebhookDelivery],
) -> QueryResult<()> {
    const WRITE: &str = "
        INSERT INTO webhook_deliveries (endpoint_id, event_id, kind, key, window_number, sequence, tries, began_at,
            tried_at, status, failure, state, next_try_at)
        SELECT $1, event_id, kind, key, window_number, sequence, tries, began_at, tried_at, status, failure, state, next_try_at
        FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS delivery (event_id, kind, key, window_number,
            sequence, tries, began_at, tried_at, status, failure, state, next_try_at)
        ON CONFLICT (endpoint_id, event_id) DO UPDATE
        SET window_number = excluded.window_number, sequence = excluded.sequence, tries = excluded.tries,
            began_at = excluded.began_at, tried_at = excluded.tried_at, status = excluded.status,
            failure = excluded.failure, state = excluded.state, next_try_at = excluded.next_try_at";
    if deliveries.is_empty() {
        return Ok(());
    }
    let query = sql(WRITE)
        .bind::<SqlUuid, _>(endpoint.0)
        .bind::<Array<Text>, _>(column(deliveries, |it| it.event.id.as_str()))
        .bind::<Array<Text>, _>(column(deliveries, |it| it.event.kind.as_str()))
        .bind::<Array<SqlUuid>, _>(column(deliveries, |it| it.event.key))
        .bind::<Array<BigInt>, _>(column(deliveries, |it| it.event.place.window))
        .bind::<Array<BigInt>, _>(column(deliveries, |it| it.event.place.sequence))
        .bind::<Array<Integer>, _>(column(deliveries, |it| it.tries.cast_signed()))
        .bind::<Array<Timestamptz>, _>(column(deliveries, |it| it.began_at))
        .bind::<Array<Timestamptz>, _>(column(deliveries, |it| it.tried_at))
        .bind::<Array<Nullable<SmallInt>>, _>(column(deliveries, |it| answer_columns(&it.answer).0))
        .bind::<Array<Nullable<Text>>, _>(column(deliveries, |it| answer_columns(&it.answer).1))
        .bind::<Array<Text>, _>(column(deliveries, |it| state_columns(it.state).0))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(deliveries, |it| state_columns(it.state).1));
    Cached(query).execute(conn).await?;
    Ok(())
}

fn column<'d, T>(deliveries: &'d [WebhookDelivery], of: impl Fn(&'d WebhookDelivery) -> T) -> Vec<T> {
    deliveries.iter().map(of).collect()
}

fn read_deliveries(rows: Vec<DeliveryRow>) -> Result<Vec<WebhookDelivery>, Unavailable> {
    rows.into_iter().map(DeliveryRow::read).collect::<QueryResult<_>>().map_err(unavailable)
}

#[async_trait]
impl WebhookDeliveries for PostgresWebhookDeliveries {
    async fn acquire(
        &self,
        holder: Uuid,
        now: Timestamp,
        renew_before: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<HeldEndpoint>, Unavailable> {
        // Rows that another instance takes at this moment are left to it.
        const ACQUIRE: &str = "
            UPDATE webhook_endpoints SET holder = $1, leased_until = $4
            FROM (
                SELECT id FROM webhook_endpoints
                WHERE disabled_at IS NULL AND removed_at IS NULL
                  AND (holder IS NULL OR leased_until <= $2 OR (holder = $1 AND leased_until < $3))
                FOR UPDATE SKIP LOCKED
            ) AS free
            WHERE webhook_endpoints.id = free.id";
        const HELD: &str = "
            SELECT webhook_endpoints.*, retries.waiting, retries.due_at
            FROM webhook_endpoints, LATERAL (
                SELECT count(*) AS waiting, min(next_try_at) AS due_at
                FROM (
                    SELECT next_try_at FROM webhook_deliveries
                    WHERE endpoint_id = webhook_endpoints.id AND next_try_at IS NOT NULL
                    ORDER BY next_try_at
                    LIMIT $2
                ) AS first
            ) AS retries
            WHERE holder = $1
            ORDER BY id";
        let mut conn = self.database.connection().await?;
        let acquire = sql(ACQUIRE)
            .bind::<SqlUuid, _>(holder)
            .bind::<Timestamptz, _>(now)
            .bind::<Timestamptz, _>(renew_before)
            .bind::<Timestamptz, _>(until);
        Cached(acquire).execute(&mut conn).await.map_err(unavailable)?;
        let held = sql(HELD).bind::<SqlUuid, _>(holder).bind::<BigInt, _>(i64::from(DELIVERIES_WAITING_MAX));
        let held = Cached(held).load(&mut conn).await;
        let held: Vec<HeldRow> = held.map_err(unavailable)?;
        let read = |row: HeldRow| {
            let id = row.id();
            row.read().inspect_err(|error| {
                tracing::error!(
                    alarm = "webhook_endpoint_unreadable",
                    endpoint = %id, %error, "a webhook endpoint cannot be read; skipped"
                );
            })
        };
        Ok(held.into_iter().filter_map(|row| read(row).ok()).collect())
    }

    async fn release(&self, holder: Uuid) -> Result<(), Unavailable> {
        const RELEASE: &str = "UPDATE webhook_endpoints SET holder = NULL, leased_until = NULL WHERE holder = $1";
        let mut conn = self.database.connection().await?;
        Cached(sql(RELEASE).bind::<SqlUuid, _>(holder)).execute(&mut conn).await.map_err(unavailable)?;
        Ok(())
    }

    async fn due(&self, endpoint: EndpointId, now: Timestamp, limit: u32) -> Result<Vec<WebhookDelivery>, Unavailable> {
        const DUE: &str = "
            SELECT * FROM webhook_deliveries WHERE endpoint_id = $1 AND next_try_at <= $2
            ORDER BY next_try_at, event_id
            LIMIT $3";
        let query = sql(DUE).bind::<SqlUuid, _>(endpoint.0).bind::<Timestamptz, _>(now);
        let mut conn = self.database.connection().await?;
        let rows = Cached(query.bind::<BigInt, _>(i64::from(limit))).load(&mut conn).await;
        read_deliveries(rows.map_err(unavailable)?)
    }

    async fn record(
        &self,
        holder: Uuid,
        endpoint: EndpointId,
        progress: &WebhookProgress,
    ) -> Result<bool, Unavailable> {
        let mut conn = self.database.connection().await?;
        let recording = conn.transaction(async |conn| {
            if !record_endpoint(conn, holder, endpoint, progress).await? {
                return Ok(false);
            }
            if let Some((id, cursor)) = progress.replay {
                record_replay(conn, endpoint, id, cursor).await?;
            }
            write_deliveries(conn, endpoint, &progress.deliveries).await?;
            Ok(true)
        });
        recording.await.map_err(|error: diesel::result::Error| unavailable(error))
    }

    async fn find(&self, endpoint: EndpointId, event_id: &str) -> Result<Option<WebhookDelivery>, Unavailable> {
        const FIND: &str = "SELECT * FROM webhook_deliveries WHERE endpoint_id = $1 AND event_id = $2";
        let query = sql(FIND).bind::<SqlUuid, _>(endpoint.0).bind::<Text, _>(event_id);
        let mut conn = self.database.connection().await?;
        let row: Option<DeliveryRow> = Cached(query).get_result(&mut conn).await.optional().map_err(unavailable)?;
        row.map(DeliveryRow::read).transpose().map_err(unavailable)
    }

    async fn page(
        &self,
        endpoint: EndpointId,
        only_undelivered: bool,
        page: PageRequest<DeliveryCursor>,
    ) -> Result<Page<WebhookDelivery, DeliveryCursor>, Unavailable> {
        const ALL: &str = "
            SELECT * FROM webhook_deliveries
            WHERE endpoint_id = $1 AND ($2 IS NULL OR (tried_at, event_id) < ($2, $3))
            ORDER BY tried_at DESC, event_id DESC
            LIMIT $4";
        const UNDELIVERED: &str = "
            SELECT * FROM webhook_deliveries
            WHERE endpoint_id = $1 AND ($2 IS NULL OR (tried_at, event_id) < ($2, $3)) AND state <> 'delivered'
            ORDER BY tried_at DESC, event_id DESC
            LIMIT $4";
        let (tried_at, event_id) = page.after.unzip();
        let query = sql(if only_undelivered { UNDELIVERED } else { ALL })
            .bind::<SqlUuid, _>(endpoint.0)
            .bind::<Nullable<Timestamptz>, _>(tried_at)
            .bind::<Nullable<Text>, _>(event_id)
            .bind::<BigInt, _>(i64::from(page.size) + 1);
        let mut conn = self.database.connection().await?;
        let rows = Cached(query).load(&mut conn).await.map_err(unavailable)?;
        let cursor = |it: &WebhookDelivery| (it.tried_at, it.event.id.clone());
        Ok(Page::from_rows(read_deliveries(rows)?, page.size, cursor))
    }

    async fn resend(
        &self,
        endpoint: EndpointId,
        event_id: &str,
        now: Timestamp,
    ) -> Result<Option<WebhookDelivery>, Unavailable> {
        const RESEND: &str = "
            UPDATE webhook_deliveries SET tries = 0, began_at = $3, next_try_at = $3, state = 'waiting'
            WHERE endpoint_id = $1 AND event_id = $2
            RETURNING *";
        let query = sql(RESEND).bind::<SqlUuid, _>(endpoint.0).bind::<Text, _>(event_id).bind::<Timestamptz, _>(now);
        let mut conn = self.database.connection().await?;
        let row: Option<DeliveryRow> = Cached(query).get_result(&mut conn).await.optional().map_err(unavailable)?;
        row.map(DeliveryRow::read).transpose().map_err(unavailable)
    }

    async fn replay(&self, endpoint: EndpointId, replay: Replay) -> Result<bool, Unavailable> {
        const REPLAY: &str = "
            UPDATE webhook_endpoints
            SET replay_id = $2, replay_since = $3, replay_window = $4, replay_sequence = $5, replay_until_window = $6,
                replay_until_sequence = $7
            WHERE id = $1 AND removed_at IS NULL";
        let query = sql(REPLAY)
            .bind::<SqlUuid, _>(endpoint.0)
            .bind::<SqlUuid, _>(replay.id)
            .bind::<Timestamptz, _>(replay.since)
            .bind::<BigInt, _>(replay.cursor.window)
            .bind::<BigInt, _>(replay.cursor.sequence)
            .bind::<BigInt, _>(replay.until.window)
            .bind::<BigInt, _>(replay.until.sequence);
        let mut conn = self.database.connection().await?;
        Ok(Cached(query).execute(&mut conn).await.map_err(unavailable)? == 1)
    }

    async fn summary(&self) -> Result<WebhookSummary, Unavailable> {
        const COUNT: &str = "
            SELECT disabled_at IS NOT NULL AS is_disabled, failing_since IS NOT NULL AS is_failing, window_number, sequence,
                (SELECT count(*) FROM webhook_deliveries
                 WHERE endpoint_id = webhook_endpoints.id AND next_try_at IS NOT NULL) AS waiting
            FROM webhook_endpoints WHERE removed_at IS NULL";
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Bool)]
            is_disabled: bool,
            #[diesel(sql_type = Bool)]
            is_failing: bool,
            #[diesel(sql_type = BigInt)]
            window_number: i64,
            #[diesel(sql_type = BigInt)]
            sequence: i64,
            #[diesel(sql_type = BigInt)]
            waiting: i64,
        }
        let mut conn = self.database.connection().await?;
        let rows: Vec<Row> = Cached(sql(COUNT)).load(&mut conn).await.map_err(unavailable)?;
        let mut summary = WebhookSummary::default();
        for row in rows {
            match row {
                Row { is_disabled: true, .. } => summary.disabled += 1,
                Row { is_failing: true, .. } => summary.failing += 1,
                Row { .. } => summary.healthy += 1,
            }
            if !row.is_disabled {
                let place = OutboxPlace { window: row.window_number, sequence: row.sequence };
                summary.cursor = Some(summary.cursor.map_or(place, |cursor| cursor.min(place)));
                summary.waiting += row.waiting.cast_unsigned();
            }
        }
        Ok(summary)
    }

    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        // Instances that delete at the same time take different rows.
        const OLD: &str = "
            DELETE FROM webhook_deliveries USING (
                SELECT endpoint_id, event_id FROM webhook_deliveries
                WHERE tried_at < $1 AND next_try_at IS NULL
                LIMIT $2
                FOR UPDATE SKIP LOCKED
            ) AS old
            WHERE webhook_deliveries.endpoint_id = old.endpoint_id AND webhook_deliveries.event_id = old.event_id";
        const OF_REMOVED: &str = "
            DELETE FROM webhook_deliveries USING (
                SELECT endpoint_id, event_id
                FROM webhook_endpoints JOIN webhook_deliveries ON endpoint_id = webhook_endpoints.id
                WHERE removed_at IS NOT NULL
                LIMIT $1
                FOR UPDATE OF webhook_deliveries SKIP LOCKED
            ) AS left_over
            WHERE webhook_deliveries.endpoint_id = left_over.endpoint_id
              AND webhook_deliveries.event_id = left_over.event_id";
        const REMOVED: &str = "
            DELETE FROM webhook_endpoints
            WHERE removed_at IS NOT NULL
              AND NOT EXISTS (SELECT FROM webhook_deliveries WHERE endpoint_id = webhook_endpoints.id)";
        let limit = i64::from(limit);
        let mut conn = self.database.connection().await?;
        let old = sql(OLD).bind::<Timestamptz, DateTime<Utc>>(before).bind::<BigInt, _>(limit);
        let old = Cached(old).execute(&mut conn).await.map_err(unavailable)? as u64;
        let left = limit.saturating_sub(old.cast_signed());
        let of_removed = Cached(sql(OF_REMOVED).bind::<BigInt, _>(left)).execute(&mut conn).await;
        let of_removed = of_removed.map_err(unavailable)? as u64;
        Cached(sql(REMOVED)).execute(&mut conn).await.map_err(unavailable)?;
        Ok(old + of_removed)
    }
}
