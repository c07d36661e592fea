//! Queue tokens that have ended. A payment, a hold, and a fan who leaves read or write whether a token has ended under the lock of its
//! fan; see [`crate::locks::lock_fans`].

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::queue::{EndReason, EndedToken, QueueTokenPayload};
use encore_domain::time::Timestamp;
use futures::try_join;
use uuid::Uuid;

use crate::codec::{end_reason_text, lane_column, read_end_reason, read_lane};
use crate::locks::lock_fans;
use crate::schema::ended_queue_tokens::dsl as columns;
use crate::schema::ended_queue_tokens::table;
use crate::statement::{Cached, sql};

/// A fan who pays with a queue token for one of the fan's holds.
#[derive(Clone, Copy)]
pub struct PayingFan {
    pub user: UserId,
    pub performance: PerformanceId,
    pub reservation: ReservationId,
    pub at: Timestamp,
}

/// Locks fans, and returns the other live holds of the performance that each of them has.
pub async fn lock_and_look_for_other_holds(
    conn: &AsyncPgConnection,
    fans: &[PayingFan],
) -> QueryResult<Vec<Vec<ReservationId>>> {
    if fans.is_empty() {
        return Ok(Vec::new());
    }
    // Two statements: the second sees what was committed while the first waited. They are sent in one round trip.
    let keys: Vec<_> = fans.iter().map(|fan| (fan.user, fan.performance)).collect();
    let ((), others) = try_join!(lock_fans(conn, &keys), other_holds(conn, fans))?;
    Ok(others)
}

async fn other_holds(conn: &AsyncPgConnection, fans: &[PayingFan]) -> QueryResult<Vec<Vec<ReservationId>>> {
    // The claims of a fan are at most as many as the limit allows. Each reservation is looked up by its key.
    const OTHERS: &str = "
        SELECT nth, live.reservation_id
        FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS fan (user_id, performance_id, reservation_id, at, nth)
        CROSS JOIN LATERAL (
            SELECT DISTINCT reservation_id FROM claims
            WHERE claims.user_id = fan.user_id AND claims.performance_id = fan.performance_id
              AND claims.reservation_id <> fan.reservation_id
              AND (
                SELECT state = 'paying' OR state = 'held' AND expires_at > fan.at
                FROM reservations WHERE id = claims.reservation_id
              )
        ) AS live";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        nth: i64,
        #[diesel(sql_type = SqlUuid)]
        reservation_id: Uuid,
    }
    let query = sql(OTHERS)
        .bind::<Array<SqlUuid>, _>(fans.iter().map(|fan| fan.user.0).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(fans.iter().map(|fan| fan.performance.0).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(fans.iter().map(|fan| fan.reservation.0).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(fans.iter().map(|fan| fan.at).collect::<Vec<_>>());
    let rows: Vec<Row> = Cached(query).load(&mut &*conn).await?;
    let mut others: Vec<Vec<ReservationId>> = fans.iter().map(|_| Vec::new()).collect();
    for row in rows {
        // Ordinals begin at 1.
        let at = usize::try_from(row.nth - 1).unwrap_or(usize::MAX);
        if let Some(others) = others.get_mut(at) {
            others.push(ReservationId(row.reservation_id));
        }
    }
    Ok(others)
}

/// Records the ends of different tokens. Tells for each whether that is new.
pub async fn insert(
    conn: &AsyncPgConnection,
    tokens: &[&QueueTokenPayload],
    reason: EndReason,
) -> QueryResult<Vec<bool>> {
    // In the order of the key, so that two transactions that record the same tokens do not deadlock.
    const INSERT: &str = "
        INSERT INTO ended_queue_tokens (performance_id, epoch, lane, index, reason)
        SELECT performance_id, epoch, lane, index, $5
        FROM unnest($1, $2, $3, $4) AS ended (performance_id, epoch, lane, index)
        ORDER BY performance_id, epoch, lane, index
        ON CONFLICT DO NOTHING
        RETURNING performance_id, epoch, lane, index";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        performance_id: Uuid,
        #[diesel(sql_type = BigInt)]
        epoch: i64,
        #[diesel(sql_type = SmallInt)]
        lane: i16,
        #[diesel(sql_type = BigInt)]
        index: i64,
    }
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let key = |token: &QueueTokenPayload| {
        (token.performance.0, token.epoch, lane_column(token.lane), token.index.cast_signed())
    };
    let insert = sql(INSERT)
        .bind::<Array<SqlUuid>, _>(tokens.iter().map(|token| key(token).0).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(tokens.iter().map(|token| key(token).1).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(tokens.iter().map(|token| key(token).2).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(tokens.iter().map(|token| key(token).3).collect::<Vec<_>>())
        .bind::<Text, _>(end_reason_text(reason));
    let rows: Vec<Row> = Cached(insert).load(&mut &*conn).await?;
    let new: HashSet<_> = rows.into_iter().map(|row| (row.performance_id, row.epoch, row.lane, row.index)).collect();
    Ok(tokens.iter().map(|token| new.contains(&key(token))).collect())
}

/// Records the ends of tokens of one queue.
pub async fn insert_all(
    conn: &mut AsyncPgConnection,
    performance: PerformanceId,
    epoch: i64,
    ended: &[EndedToken],
) -> QueryResult<()> {
    // In the order of the key, so that two instances that record the same tokens do not deadlock.
    const INSERT: &str = "
        INSERT INTO ended_queue_tokens (performance_id, epoch, lane, index, reason)
        SELECT $1, $2, lane, index, reason FROM unnest($3, $4, $5) AS ended (lane, index, reason)
        ORDER BY lane, index
        ON CONFLICT DO NOTHING";
    let insert = sql(INSERT)
        .bind::<SqlUuid, _>(performance.0)
        .bind::<BigInt, _>(epoch)
        .bind::<Array<SmallInt>, _>(ended.iter().map(|ended| lane_column(ended.lane)).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(ended.iter().map(|ended| ended.index.cast_signed()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(ended.iter().map(|ended| end_reason_text(ended.reason)).collect::<Vec<_>>());
    Cached(insert).execute(conn).await?;
    Ok(())
}

/// Why a token has ended, if it has.
pub async fn find(conn: &mut AsyncPgConnection, token: &QueueTokenPayload) -> QueryResult<Option<EndReason>> {
    let key = (token.performance.0, token.epoch, lane_column(token.lane), token.index.cast_signed());
    let reason: Option<String> = table.find(key).select(columns::reason).first(conn).await.optional()?;
    reason.as_deref().map(read_end_reason).transpose()
}

/// The ended tokens of a queue, in any order.
pub async fn of_queue(
    conn: &mut AsyncPgConnection,
    performance: PerformanceId,
    epoch: i64,
) -> QueryResult<Vec<EndedToken>> {
    let of_queue = columns::performance_id.eq(performance.0).and(columns::epoch.eq(epoch));
    let query = table.filter(of_queue).select((columns::lane, columns::index, columns::reason));
    let rows: Vec<(i16, i64, String)> = query.load(conn).await?;
    let read = |(lane, index, reason): (i16, i64, String)| {
        let (lane, index, reason) = (read_lane(lane)?, index.cast_unsigned(), read_end_reason(&reason)?);
        Ok(EndedToken { lane, index, reason })
    };
    rows.into_iter().map(read).collect()
}
