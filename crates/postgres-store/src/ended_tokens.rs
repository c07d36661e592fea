//! Queue tokens that have ended for good: by the payment of the last hold, or because the fan left. Whoever reads or writes
//! whether a token has ended holds the lock of its fan; see [`crate::locks::lock_fans`].

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::ids::{PaymentId, PerformanceId};
use encore_domain::payment::PaymentPlan;
use encore_domain::queue::{EndReason, EndedToken, QueueTokenPayload};
use futures::try_join;

use crate::codec::{lane_column, read_lane};
use crate::locks::lock_fans;
use crate::schema::ended_queue_tokens::dsl as columns;
use crate::schema::ended_queue_tokens::table;
use crate::statement::{Cached, sql};

/// Locks the fan of a payment with a queue token, and returns whether the fan has another live hold of the performance.
/// Without a token nothing is to be decided.
pub async fn lock_and_look_for_another_hold(conn: &AsyncPgConnection, plan: &PaymentPlan) -> QueryResult<bool> {
    let payment = &plan.payment;
    if plan.payload.is_none() {
        return Ok(false);
    }
    // Two statements: the second sees what was committed while the first waited. They are sent in one round trip.
    let fan = [(payment.user, payment.performance)];
    let ((), another) = try_join!(lock_fans(conn, &fan), has_another_hold(conn, plan))?;
    Ok(another)
}

async fn has_another_hold(conn: &AsyncPgConnection, plan: &PaymentPlan) -> QueryResult<bool> {
    // The claims of the fan are at most as many as the limit allows. Each reservation is looked up by its key.
    const ANOTHER: &str = "
        SELECT EXISTS (
            SELECT FROM claims
            WHERE user_id = $1 AND performance_id = $2 AND reservation_id <> $3
              AND (SELECT state = 'held' AND expires_at > $4 FROM reservations WHERE id = claims.reservation_id)
        ) AS another";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        another: bool,
    }
    let payment = &plan.payment;
    let query = sql(ANOTHER)
        .bind::<SqlUuid, _>(payment.user.0)
        .bind::<SqlUuid, _>(payment.performance.0)
        .bind::<SqlUuid, _>(payment.reservation.0)
        .bind::<Timestamptz, _>(payment.paid_at);
    let row: Row = Cached(query).get_result(&mut &*conn).await?;
    Ok(row.another)
}

/// Records the end of a token, by a payment or because its fan left. Returns whether it is new.
pub async fn insert(
    conn: &AsyncPgConnection,
    token: &QueueTokenPayload,
    payment: Option<PaymentId>,
) -> QueryResult<bool> {
    let ended = (
        columns::performance_id.eq(token.performance.0),
        columns::epoch.eq(token.epoch),
        columns::lane.eq(lane_column(token.lane)),
        columns::index.eq(token.index.cast_signed()),
        columns::payment_id.eq(payment.map(|payment| payment.0)),
    );
    let insert = diesel::insert_into(table).values(ended).on_conflict_do_nothing();
    Ok(Cached(insert).execute(&mut &*conn).await? == 1)
}

/// Whether a token has ended.
pub async fn contains(conn: &mut AsyncPgConnection, token: &QueueTokenPayload) -> QueryResult<bool> {
    let key = (token.performance.0, token.epoch, lane_column(token.lane), token.index.cast_signed());
    diesel::select(exists(table.find(key))).get_result(conn).await
}

/// The ended tokens of a queue, in any order.
pub async fn of_queue(
    conn: &mut AsyncPgConnection,
    performance: PerformanceId,
    epoch: i64,
) -> QueryResult<Vec<EndedToken>> {
    let of_queue = columns::performance_id.eq(performance.0).and(columns::epoch.eq(epoch));
    let query = table.filter(of_queue).select((columns::lane, columns::index, columns::payment_id.is_not_null()));
    let rows: Vec<(i16, i64, bool)> = query.load(conn).await?;
    let read = |(lane, index, paid): (i16, i64, bool)| {
        Ok(EndedToken { lane: read_lane(lane)?, index: index.cast_unsigned(), reason: read_end(paid) })
    };
    rows.into_iter().map(read).collect()
}

/// Why a token has ended: because of a payment, or because its fan left.
pub fn read_end(paid: bool) -> EndReason {
    if paid { EndReason::Used } else { EndReason::Left }
}
