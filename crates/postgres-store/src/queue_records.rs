use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, SmallInt, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::QueueRecords;
use encore_domain::queue::{EndReason, EndedToken, Inside, LaneNumber, LaneRecord, QueueRecord, QueueTokenPayload};
use encore_domain::time::Timestamp;
use futures::try_join;

use crate::codec::{lane_column, read_lane};
use crate::database::Database;
use crate::ended_tokens;
use crate::error::unavailable;
use crate::past_queues;
use crate::schema::queue_records;
use crate::statement::{Cached, sql};

/// [`QueueRecords`] on Postgres: the records from which lost queues are restored.
#[derive(Clone, Debug)]
pub struct PostgresQueueRecords {
    database: Database,
}

impl PostgresQueueRecords {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

async fn load(conn: &AsyncPgConnection, performance: PerformanceId) -> QueryResult<Option<QueueRecord>> {
    let query = queue_records::table.find(performance.0).select(QueueRecordRow::as_select());
    query.first(&mut &*conn).await.optional()?.map(QueueRecordRow::into_record).transpose()
}

#[async_trait]
impl QueueRecords for PostgresQueueRecords {
    async fn begin(&self, performance: PerformanceId, record: QueueRecord) -> Result<QueueRecord, Unavailable> {
        let conn = self.database.connection().await?;
        let row = (queue_records::performance_id.eq(performance.0), QueueRecordRow::from(&record));
        let insert = diesel::insert_into(queue_records::table).values(row).on_conflict_do_nothing();
        // Records are never deleted, so the row exists after the insert, whoever inserted it.
        let (_, begun) = try_join!(async { Cached(insert).execute(&mut &*conn).await }, load(&conn, performance))
            .map_err(unavailable)?;
        begun.ok_or_else(|| unavailable(diesel::result::Error::NotFound))
    }

    async fn find(&self, performance: PerformanceId) -> Result<Option<QueueRecord>, Unavailable> {
        let conn = self.database.connection().await?;
        load(&conn, performance).await.map_err(unavailable)
    }

    async fn keep(&self, performance: PerformanceId, record: &QueueRecord) -> Result<(), Unavailable> {
        const UPDATE: &str = "
            UPDATE queue_records SET
                recorded_at = $3,
                heads = ARRAY(
                    SELECT greatest(stored, new) FROM unnest(heads, $4) WITH ORDINALITY AS lanes (stored, new, lane) ORDER BY lane),
                tails = ARRAY(
                    SELECT greatest(stored, new) FROM unnest(tails, $5) WITH ORDINALITY AS lanes (stored, new, lane) ORDER BY lane),
                inside_lanes = $6, inside_numbers = $7, inside_until = $8, inside_active = $9,
                inside_accessible = $10, unspent = $11
            WHERE performance_id = $1 AND epoch = $2 AND recorded_at <= $3";
        let row = QueueRecordRow::from(record);
        let update = sql(UPDATE)
            .bind::<SqlUuid, _>(performance.0)
            .bind::<BigInt, _>(row.epoch)
            .bind::<Timestamptz, _>(row.recorded_at)
            .bind::<Array<BigInt>, _>(row.heads)
            .bind::<Array<BigInt>, _>(row.tails)
            .bind::<Array<SmallInt>, _>(row.inside_lanes)
            .bind::<Array<BigInt>, _>(row.inside_numbers)
            .bind::<Array<Timestamptz>, _>(row.inside_until)
            .bind::<Array<Bool>, _>(row.inside_active)
            .bind::<Array<Bool>, _>(row.inside_accessible)
            .bind::<BigInt, _>(row.unspent);
        let mut conn = self.database.connection().await?;
        Cached(update).execute(&mut conn).await.map_err(unavailable)?;
        Ok(())
    }

    async fn raise_limit(&self, performance: PerformanceId, lane: u8, limit: u64) -> Result<u64, Unavailable> {
        const RAISE: &str = "
            UPDATE queue_records SET limits[$2] = greatest(limits[$2], $3)
            WHERE performance_id = $1 AND $2 <= cardinality(limits)
            RETURNING limits[$2] AS raised";
        #[derive(QueryableByName)]
        struct Limit {
            #[diesel(sql_type = BigInt)]
            raised: i64,
        }
        let raise = sql(RAISE)
            .bind::<SqlUuid, _>(performance.0)
            .bind::<Integer, _>(i32::from(lane) + 1)
            .bind::<BigInt, _>(limit.cast_signed());
        let mut conn = self.database.connection().await?;
        let raised: Option<Limit> = Cached(raise).get_result(&mut conn).await.optional().map_err(unavailable)?;
        Ok(raised.map_or(0, |limit| limit.raised.cast_unsigned()))
    }

    async fn note_ended(
        &self,
        performance: PerformanceId,
        epoch: i64,
        ended: &[EndedToken],
    ) -> Result<(), Unavailable> {
        let mut conn = self.database.connection().await?;
        ended_tokens::insert_all(&mut conn, performance, epoch, ended).await.map_err(unavailable)
    }

    async fn ended(&self, performance: PerformanceId, epoch: i64) -> Result<Vec<EndedToken>, Unavailable> {
        let mut conn = self.database.connection().await?;
        ended_tokens::of_queue(&mut conn, performance, epoch).await.map_err(unavailable)
    }

    async fn forget_past(&self, closed_by: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        let mut conn = self.database.connection().await?;
        for table in [past_queues::ENDED_TOKENS, past_queues::ENTRIES] {
            let forgotten = past_queues::forget(&mut conn, table, closed_by, limit).await.map_err(unavailable)?;
            if forgotten > 0 {
                return Ok(forgotten);
            }
        }
        Ok(0)
    }

    async fn find_ended(&self, payload: &QueueTokenPayload) -> Result<Option<EndReason>, Unavailable> {
        let mut conn = self.database.connection().await?;
        ended_tokens::find(&mut conn, payload).await.map_err(unavailable)
    }
}

/// A record without its performance. The arrays of lanes have one element per lane; those of fans who are called or
/// active one per fan.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = queue_records)]
struct QueueRecordRow {
    epoch: i64,
    recorded_at: DateTime<Utc>,
    heads: Vec<i64>,
    tails: Vec<i64>,
    limits: Vec<i64>,
    inside_lanes: Vec<i16>,
    inside_numbers: Vec<i64>,
    inside_until: Vec<DateTime<Utc>>,
    inside_active: Vec<bool>,
    inside_accessible: Vec<bool>,
    unspent: i64,
}

impl From<&QueueRecord> for QueueRecordRow {
    fn from(record: &QueueRecord) -> Self {
        let QueueRecord { epoch, recorded_at, lanes, inside, unspent } = record;
        Self {
            epoch: *epoch,
            recorded_at: *recorded_at,
            heads: lanes.iter().map(|lane| lane.head.cast_signed()).collect(),
            tails: lanes.iter().map(|lane| lane.tail.cast_signed()).collect(),
            limits: lanes.iter().map(|lane| lane.limit.cast_signed()).collect(),
            inside_lanes: inside.iter().map(|inside| lane_column(inside.lane_number.lane)).collect(),
            inside_numbers: inside.iter().map(|inside| inside.lane_number.number.cast_signed()).collect(),
            inside_until: inside.iter().map(|inside| inside.until).collect(),
            inside_active: inside.iter().map(|inside| inside.active).collect(),
            inside_accessible: inside.iter().map(|inside| inside.needs_accessible).collect(),
            unspent: unspent.cast_signed(),
        }
    }
}

impl QueueRecordRow {
    fn into_record(self) -> QueryResult<QueueRecord> {
        let lanes = self.heads.into_iter().zip(self.tails).zip(self.limits);
        let lane = |((head, tail), limit): ((i64, i64), i64)| LaneRecord {
            head: head.cast_unsigned(),
            tail: tail.cast_unsigned(),
            limit: limit.cast_unsigned(),
        };
        let lane_number = |(lane, number): (i16, i64)| -> QueryResult<LaneNumber> {
            Ok(LaneNumber { lane: read_lane(lane)?, number: number.cast_unsigned() })
        };
        let lane_numbers = self.inside_lanes.into_iter().zip(self.inside_numbers).map(lane_number);
        let flags = self.inside_active.into_iter().zip(self.inside_accessible);
        let inside = lane_numbers.zip(self.inside_until).zip(flags);
        let inside = inside.map(|((lane_number, until), (active, needs_accessible))| {
            Ok(Inside { lane_number: lane_number?, until, active, needs_accessible })
        });
        Ok(QueueRecord {
            epoch: self.epoch,
            recorded_at: self.recorded_at,
            lanes: lanes.map(lane).collect(),
            inside: inside.collect::<QueryResult<_>>()?,
            unspent: self.unspent.cast_unsigned(),
        })
    }
}
