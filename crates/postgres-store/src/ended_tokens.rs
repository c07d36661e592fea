//! Queue tokens that have ended. A payment, a hold, and a fan who leaves read or write whether a token has ended under the lock of its
//! fan; see [`crate::locks::lock_fans`].

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::payment::{Payment, PaymentPlan};
use encore_domain::queue::{EndReason, EndedToken, QueueTokenPayload};
use encore_domain::time::Timestamp;
use futures::try_join;
use uuid::Uuid;

use crate::codec::{end_reason_text, lane_column, read_end_reason, read_lane};
use crate::locks::lock_fans;
use crate::schema::ended_queue_tokens::dsl as columns;
use crate::schema::ended_queue_tokens::table;
use crate::statement::{Cached, sql};

/// Locks the fan of a payment with a queue token, and returns whether the fan has another live hold of the performance.
/// Without a token nothing is to be decided.
pub async fn lock_and_look_for_another_hold(conn: &AsyncPgConnection, plan: &PaymentPlan) -> QueryResult<bool> {
    if plan.payload.is_none() {
        return Ok(false);
    }
    let Payment { user, performance, reservation, paid_at, .. } = plan.payment;
    lock_fan_and_look_for_another_hold(conn, user, performance, reservation, paid_at).await
}

/// The same for a fan at a time.
pub async fn lock_fan_and_look_for_another_hold(
    conn: &AsyncPgConnection,
    user: UserId,
    performance: PerformanceId,
    reservation: ReservationId,
    at: Timestamp,
) -> QueryResult<bool> {
    // Two statements: the second sees what was committed while the first waited. They are sent in one round trip.
    let fan = [(user, performance)];
    let another = has_another_hold(conn, user, performance, reservation, at);
    let ((), another) = try_join!(lock_fans(conn, &fan), another)?;
    Ok(another)
}

async fn has_another_hold(
    conn: &AsyncPgConnection,
    user: UserId,
    performance: PerformanceId,
    reservation: ReservationId,
    at: Timestamp,
) -> QueryResult<bool> {
    // The claims of the fan are at most as many as the limit allows. Each reservation is looked up by its key.
    const ANOTHER: &str = "
        SELECT EXISTS (
            SELECT FROM claims
            WHERE user_id = $1 AND performance_id = $2 AND reservation_id <> $3
              AND (SELECT state = 'paying' OR state = 'held' AND expires_at > $4 FROM reservations WHERE id = claims.reservation_id)
        ) AS another";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        another: bool,
    }
    let query = sql(ANOTHER)
        .bind::<SqlUuid, _>(user.0)
        .bind::<SqlUuid, _>(performance.0)
        .bind::<SqlUuid, _>(reservation.0)
        .bind::<Timestamptz, _>(at);
    let row: Row = Cached(query).get_result(&mut &*conn).await?;
    Ok(row.another)
}

/// Records the end of a token. Returns whether it is new.
pub async fn insert(conn: &AsyncPgConnection, token: &QueueTokenPayload, reason: EndReason) -> QueryResult<bool> {
    let ended = (
        columns::performance_id.eq(token.performance.0),
        columns::epoch.eq(token.epoch),
        columns::lane.eq(lane_column(token.lane)),
        columns::index.eq(token.index.cast_signed()),
        columns::reason.eq(end_reason_text(reason)),
    );
    let insert = diesel::insert_into(table).values(ended).on_conflict_do_nothing();
    Ok(Cached(insert).execute(&mut &*conn).await? == 1)
}

/// Records that the fans of these tokens left. Tells for each token whether that is new.
pub async fn insert_left(conn: &AsyncPgConnection, tokens: &[&QueueTokenPayload]) -> QueryResult<Vec<bool>> {
    // In the order of the key, so that two transactions that record the same tokens do not deadlock.
    const INSERT: &str = "
        INSERT INTO ended_queue_tokens (performance_id, epoch, lane, index, reason)
        SELECT performance_id, epoch, lane, index, 'left'
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
    let key = |token: &QueueTokenPayload| {
        (token.performance.0, token.epoch, lane_column(token.lane), token.index.cast_signed())
    };
    let insert = sql(INSERT)
        .bind::<Array<SqlUuid>, _>(tokens.iter().map(|token| key(token).0).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(tokens.iter().map(|token| key(token).1).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(tokens.iter().map(|token| key(token).2).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(tokens.iter().map(|token| key(token).3).collect::<Vec<_>>());
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
