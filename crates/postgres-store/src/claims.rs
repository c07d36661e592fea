//! Claims on seats. A claim of a fan exists while its reservation is held or confirmed. Its deadline is that of the
//! reservation, so that a payment does not write it. A claim of operators exists until they unblock the seat.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::booking::seat_block::SeatBlock;
use encore_domain::booking::{Claim, Reservation, ReservationState, ReservedSeat, SoldSeat};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{BlockId, PerformanceId, ReservationId, UserId};
use encore_domain::queue::{EndReason, QueueTokenPayload};
use futures::try_join;
use uuid::Uuid;

use crate::codec::{comparable_slot, lane_column, read_end_reason, read_state};
use crate::error::corrupt;
use crate::schema::{claims, reservations};
use crate::statement::{Cached, sql};

/// The claims that may refuse holds.
pub struct ExistingClaims {
    /// For each hold, what its fan has, and whether there is a reservation of its id.
    pub of_fans: Vec<OfFan>,
    /// The seats of the holds that have a claim.
    pub taken: HashSet<(PerformanceId, Slot)>,
}

/// What the fan of a hold has.
pub struct OfFan {
    /// The number of seats of the performance.
    pub owned: u32,
    /// Why the queue token of the hold has ended, if it has.
    pub token_end: Option<EndReason>,
    /// Whether the hold was placed before.
    pub is_placed: bool,
}

/// Reads the claims before any is inserted, so that a hold that comes too late costs one read.
///
/// Each fan and each seat is looked up separately through an index. The planner may execute a join by reading all claims of a
/// performance, which are few when the plan is made and many when it is used.
pub async fn existing(
    conn: &AsyncPgConnection,
    holds: &[&Reservation],
    tokens: &[Option<QueueTokenPayload>],
) -> QueryResult<ExistingClaims> {
    let (of_fans, taken) = try_join!(of_fans_of(conn, holds, tokens), taken(conn, holds))?;
    Ok(ExistingClaims { of_fans, taken })
}

/// What the fan of each hold has. The token of a hold is of the hold's performance. A hold without a token has none
/// that has ended.
async fn of_fans_of(
    conn: &AsyncPgConnection,
    holds: &[&Reservation],
    tokens: &[Option<QueueTokenPayload>],
) -> QueryResult<Vec<OfFan>> {
    const OF_FANS: &str = "
        SELECT (
            SELECT count(*) FROM claims WHERE user_id = hold.user_id AND performance_id = hold.performance_id
        ) AS owned, (
            SELECT reason FROM ended_queue_tokens AS ended
            WHERE ended.performance_id = hold.performance_id
              AND ended.epoch = hold.epoch AND ended.lane = hold.lane AND ended.index = hold.index
        ) AS token_end,
        coalesce((SELECT true FROM reservations WHERE reservations.id = hold.id), false) AS is_placed
        FROM unnest($1, $2, $3, $4, $5, $6) WITH ORDINALITY AS hold (user_id, performance_id, epoch, lane, index, id, nth)
        ORDER BY nth";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        owned: i64,
        #[diesel(sql_type = Nullable<Text>)]
        token_end: Option<String>,
        #[diesel(sql_type = Bool)]
        is_placed: bool,
    }
    let token = |column: fn(&QueueTokenPayload) -> i64| tokens.iter().map(move |token| token.as_ref().map(column));
    let lanes: Vec<Option<i16>> = tokens.iter().map(|token| token.map(|token| lane_column(token.lane))).collect();
    let query = sql(OF_FANS)
        .bind::<Array<SqlUuid>, _>(each(holds, |hold| hold.user.0))
        .bind::<Array<SqlUuid>, _>(each(holds, |hold| hold.performance.0))
        .bind::<Array<Nullable<BigInt>>, _>(token(|token| token.epoch).collect::<Vec<_>>())
        .bind::<Array<Nullable<SmallInt>>, _>(lanes)
        .bind::<Array<Nullable<BigInt>>, _>(token(|token| token.index.cast_signed()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(each(holds, |hold| hold.id.0));
    let rows: Vec<Row> = Cached(query).load(&mut &*conn).await?;
    let of_fan = |Row { owned, token_end, is_placed }| {
        let token_end = token_end.as_deref().map(read_end_reason).transpose()?;
        Ok(OfFan { owned: u32::try_from(owned).unwrap_or(u32::MAX), token_end, is_placed })
    };
    rows.into_iter().map(of_fan).collect()
}

/// How many seats of a performance a fan has.
pub async fn owned(conn: &AsyncPgConnection, performance: PerformanceId, user: UserId) -> QueryResult<i64> {
    let of_fan = claims::user_id.eq(user.0).and(claims::performance_id.eq(performance.0));
    claims::table.filter(of_fan).count().get_result(&mut &*conn).await
}

async fn taken(conn: &AsyncPgConnection, holds: &[&Reservation]) -> QueryResult<HashSet<(PerformanceId, Slot)>> {
    const TAKEN: &str = "
        SELECT performance_id, slot FROM unnest($1, $2) AS wanted (performance_id, slot)
        WHERE (
            SELECT true FROM claims WHERE claims.performance_id = wanted.performance_id AND claims.slot = wanted.slot
        )";
    let query = sql(TAKEN)
        .bind::<Array<SqlUuid>, _>(each_seat(holds, |hold, _| hold.performance.0))
        .bind::<Array<Integer>, _>(each_seat(holds, |_, seat| seat.slot.0.cast_signed()));
    let taken: Vec<SeatKey> = Cached(query).load(&mut &*conn).await?;
    Ok(taken.into_iter().map(SeatKey::into).collect())
}

#[derive(QueryableByName)]
#[diesel(table_name = claims)]
struct SeatKey {
    performance_id: Uuid,
    slot: i32,
}

impl From<SeatKey> for (PerformanceId, Slot) {
    fn from(SeatKey { performance_id, slot }: SeatKey) -> Self {
        (PerformanceId(performance_id), Slot(slot.cast_unsigned()))
    }
}

/// Writes holds with their seats and claims. No two of the holds have the same seat. Returns the seats that a
/// concurrent transaction has claimed, in order; if there are any, the transaction must be rolled back.
///
/// Claims are inserted in the order of their keys. Each insert waits for a concurrent transaction on the same seat, so
/// the order prevents deadlocks.
pub async fn insert_holds(conn: &AsyncPgConnection, holds: &[&Reservation]) -> QueryResult<Vec<(PerformanceId, Slot)>> {
    const INSERT: &str = "
        WITH placed AS (
            INSERT INTO reservations (id, user_id, performance_id, total_minor, currency, state, held_at, expires_at)
            SELECT id, user_id, performance_id, total_minor, currency, 'held', held_at, expires_at
            FROM unnest($1, $2, $3, $4, $5, $6, $7)
                AS hold (id, user_id, performance_id, total_minor, currency, held_at, expires_at)
        ), reserved AS (
            INSERT INTO reservation_seats (reservation_id, slot, price_minor)
            SELECT reservation_id, slot, price_minor FROM unnest($8, $9, $10) AS seat (reservation_id, slot, price_minor)
        )
        INSERT INTO claims (performance_id, slot, reservation_id, user_id)
        SELECT performance_id, slot, reservation_id, user_id
        FROM unnest($8, $9, $11, $12) AS seat (reservation_id, slot, performance_id, user_id)
        ORDER BY performance_id, slot
        ON CONFLICT (performance_id, slot) DO NOTHING
        RETURNING performance_id, slot";
    let query = sql(INSERT)
        .bind::<Array<SqlUuid>, _>(each(holds, |hold| hold.id.0))
        .bind::<Array<SqlUuid>, _>(each(holds, |hold| hold.user.0))
        .bind::<Array<SqlUuid>, _>(each(holds, |hold| hold.performance.0))
        .bind::<Array<BigInt>, _>(each(holds, |hold| hold.total.minor))
        .bind::<Array<Text>, _>(each(holds, |hold| hold.total.currency.code().to_owned()))
        .bind::<Array<Timestamptz>, _>(each(holds, |hold| hold.held_at))
        .bind::<Array<Timestamptz>, _>(each(holds, |hold| hold.expires_at))
        .bind::<Array<SqlUuid>, _>(each_seat(holds, |hold, _| hold.id.0))
        .bind::<Array<Integer>, _>(each_seat(holds, |_, seat| seat.slot.0.cast_signed()))
        .bind::<Array<BigInt>, _>(each_seat(holds, |_, seat| seat.price_minor))
        .bind::<Array<SqlUuid>, _>(each_seat(holds, |hold, _| hold.performance.0))
        .bind::<Array<SqlUuid>, _>(each_seat(holds, |hold, _| hold.user.0));
    let claimed: Vec<SeatKey> = Cached(query).load(&mut &*conn).await?;
    let claimed: HashSet<(PerformanceId, Slot)> = claimed.into_iter().map(SeatKey::into).collect();
    let mut lost = each_seat(holds, |hold, seat| (hold.performance, seat.slot));
    lost.retain(|seat| !claimed.contains(seat));
    lost.sort_unstable();
    Ok(lost)
}

fn each<T>(holds: &[&Reservation], column: impl Fn(&Reservation) -> T) -> Vec<T> {
    holds.iter().map(|hold| column(hold)).collect()
}

fn each_seat<T>(holds: &[&Reservation], column: impl Fn(&Reservation, &ReservedSeat) -> T) -> Vec<T> {
    let column = &column;
    holds.iter().flat_map(|hold| hold.seats.iter().map(move |seat| column(hold, seat))).collect()
}

/// Claims the seats of a reservation that had expired again. Returns whether it got all of them; if not, the transaction has
/// changed nothing that matters, because those it got are deleted.
pub async fn claim_again(conn: &mut AsyncPgConnection, reservation: &Reservation) -> QueryResult<bool> {
    const CLAIM: &str = "
        INSERT INTO claims (performance_id, slot, reservation_id, user_id)
        SELECT $1, slot, $2, $3 FROM unnest($4) AS slot ORDER BY slot
        ON CONFLICT (performance_id, slot) DO NOTHING";
    let query = sql(CLAIM)
        .bind::<SqlUuid, _>(reservation.performance.0)
        .bind::<SqlUuid, _>(reservation.id.0)
        .bind::<SqlUuid, _>(reservation.user.0)
        .bind::<Array<Integer>, _>(signed(&reservation.slots()));
    let claimed = Cached(query).execute(&mut &*conn).await?;
    if claimed == reservation.seats.len() {
        return Ok(true);
    }
    delete(conn, &[reservation.id.0]).await?;
    Ok(false)
}

/// Deletes some seats of a hold and their claims in one statement.
pub async fn give_back(conn: &AsyncPgConnection, hold: &Reservation, slots: &[Slot]) -> QueryResult<()> {
    const GIVE_BACK: &str = "
        WITH freed AS (
            DELETE FROM claims WHERE performance_id = $1 AND reservation_id = $2 AND slot = ANY($3)
        )
        DELETE FROM reservation_seats WHERE reservation_id = $2 AND slot = ANY($3)";
    if slots.is_empty() {
        return Ok(());
    }
    let query = sql(GIVE_BACK)
        .bind::<SqlUuid, _>(hold.performance.0)
        .bind::<SqlUuid, _>(hold.id.0)
        .bind::<Array<Integer>, _>(signed(slots));
    Cached(query).execute(&mut &*conn).await?;
    Ok(())
}

/// Deletes the claims of reservations. They are found through the seats of each, so that claims need no index by reservation.
pub async fn delete(conn: &mut AsyncPgConnection, reservations: &[Uuid]) -> QueryResult<()> {
    const DELETE: &str = "
        DELETE FROM claims
        USING reservations, reservation_seats
        WHERE reservations.id = ANY($1)
          AND reservation_seats.reservation_id = reservations.id
          AND claims.performance_id = reservations.performance_id
          AND claims.slot = reservation_seats.slot
          AND claims.reservation_id = reservations.id";
    Cached(sql(DELETE).bind::<Array<SqlUuid>, _>(reservations)).execute(conn).await?;
    Ok(())
}

/// The claims on these seats of a performance, or on all, in the order of their slots.
pub async fn load(
    conn: &mut AsyncPgConnection,
    performance: PerformanceId,
    slots: Option<&[Slot]>,
) -> QueryResult<Vec<Claim>> {
    let mut query = claims::table
        .left_join(reservations::table)
        .filter(claims::performance_id.eq(performance.0))
        .order(claims::slot)
        .select((
            claims::slot,
            claims::block_id,
            (claims::reservation_id, claims::user_id),
            (reservations::state, reservations::expires_at).nullable(),
        ))
        .into_boxed();
    if let Some(slots) = slots {
        query = query.filter(claims::slot.eq_any(signed(slots)));
    }
    let rows: Vec<ClaimRow> = query.load(conn).await?;
    rows.into_iter().map(read_claim).collect()
}

/// The sold seats of a performance after a slot, in the order of their slots.
pub async fn sold(
    conn: &AsyncPgConnection,
    performance: PerformanceId,
    after: Option<Slot>,
    limit: u32,
) -> QueryResult<Vec<SoldSeat>> {
    const SOLD: &str = "
        SELECT claims.slot, claims.reservation_id, claims.user_id, reservations.settled_at, seats.price_minor
        FROM claims
        JOIN reservations ON reservations.id = claims.reservation_id
        JOIN reservation_seats AS seats ON seats.reservation_id = claims.reservation_id AND seats.slot = claims.slot
        WHERE claims.performance_id = $1 AND claims.slot > $2 AND reservations.state = 'confirmed'
        ORDER BY claims.slot
        LIMIT $3";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Integer)]
        slot: i32,
        #[diesel(sql_type = SqlUuid)]
        reservation_id: Uuid,
        #[diesel(sql_type = SqlUuid)]
        user_id: Uuid,
        #[diesel(sql_type = Timestamptz)]
        settled_at: DateTime<Utc>,
        #[diesel(sql_type = BigInt)]
        price_minor: i64,
    }
    let query = sql(SOLD)
        .bind::<SqlUuid, _>(performance.0)
        .bind::<Integer, _>(after.map_or(-1, comparable_slot))
        .bind::<BigInt, _>(i64::from(limit));
    let rows: Vec<Row> = Cached(query).load(&mut &*conn).await?;
    let read = |Row { slot, reservation_id, user_id, settled_at, price_minor }| SoldSeat {
        slot: Slot(slot.cast_unsigned()),
        reservation: ReservationId(reservation_id),
        user: UserId(user_id),
        confirmed_at: settled_at,
        price_minor,
    };
    Ok(rows.into_iter().map(read).collect())
}

/// The slot, the block, the reservation and its fan, and the state and deadline of the reservation.
type ClaimRow = (i32, Option<Uuid>, (Option<Uuid>, Option<Uuid>), Option<(String, DateTime<Utc>)>);

/// A claim whose reservation does not exist reads as sold: the seat stays taken until an operator has repaired what the
/// audit reports.
fn read_claim((slot, block, of_fan, state_and_deadline): ClaimRow) -> QueryResult<Claim> {
    let slot = Slot(slot.cast_unsigned());
    match (of_fan, block) {
        ((Some(reservation), Some(user)), None) => {
            let (reservation, user) = (ReservationId(reservation), UserId(user));
            Ok(match state_and_deadline {
                Some((state, expires_at))
                    if matches!(read_state(&state)?, ReservationState::Held | ReservationState::Paying) =>
                {
                    Claim::held(slot, reservation, user, expires_at)
                }
                Some(_) | None => Claim::sold(slot, reservation, user),
            })
        }
        ((None, None), Some(block)) => Ok(Claim::blocked(slot, BlockId(block))),
        _ => Err(corrupt("owner of a claim", &slot.0)),
    }
}

/// Those of these seats that fans hold or have bought, in order.
pub async fn of_fans(conn: &AsyncPgConnection, performance: PerformanceId, slots: &[Slot]) -> QueryResult<Vec<Slot>> {
    let of_fans = claims::table
        .filter(claims::performance_id.eq(performance.0))
        .filter(claims::slot.eq_any(signed(slots)))
        .filter(claims::block_id.is_null())
        .order(claims::slot)
        .select(claims::slot);
    let taken: Vec<i32> = of_fans.load(&mut &*conn).await?;
    Ok(taken.into_iter().map(|slot| Slot(slot.cast_unsigned())).collect())
}

/// Claims seats for a block that exists; seats that another block has claimed belong to this one afterwards. Returns
/// the seats that fans have, in order; if there are any, the transaction must be rolled back. Seats are claimed in the
/// order of their keys, as in [`insert_holds`].
pub async fn block(conn: &AsyncPgConnection, block: &SeatBlock) -> QueryResult<Vec<Slot>> {
    const BLOCK: &str = "
        INSERT INTO claims (performance_id, slot, block_id)
        SELECT $1, slot, $2 FROM unnest($3) AS slot ORDER BY slot
        ON CONFLICT (performance_id, slot) DO UPDATE SET block_id = excluded.block_id WHERE claims.block_id IS NOT NULL
        RETURNING performance_id, slot";
    let query = sql(BLOCK)
        .bind::<SqlUuid, _>(block.performance.0)
        .bind::<SqlUuid, _>(block.id.0)
        .bind::<Array<Integer>, _>(signed(&block.slots));
    Ok(left_out(&block.slots, Cached(query).load(&mut &*conn).await?))
}

/// Deletes the claims on blocked seats. Returns the seats that are not blocked, in order; if there are any, the
/// transaction must be rolled back.
pub async fn unblock(conn: &AsyncPgConnection, performance: PerformanceId, slots: &[Slot]) -> QueryResult<Vec<Slot>> {
    const UNBLOCK: &str = "
        WITH blocked AS MATERIALIZED (
            SELECT slot FROM claims
            WHERE performance_id = $1 AND slot = ANY($2) AND block_id IS NOT NULL
            ORDER BY slot
            FOR UPDATE
        )
        DELETE FROM claims USING blocked WHERE claims.performance_id = $1 AND claims.slot = blocked.slot
        RETURNING claims.performance_id, claims.slot";
    let query = sql(UNBLOCK).bind::<SqlUuid, _>(performance.0).bind::<Array<Integer>, _>(signed(slots));
    Ok(left_out(slots, Cached(query).load(&mut &*conn).await?))
}

fn left_out(slots: &[Slot], done: Vec<SeatKey>) -> Vec<Slot> {
    let done: HashSet<Slot> = done.into_iter().map(|key| <(PerformanceId, Slot)>::from(key).1).collect();
    slots.iter().copied().filter(|slot| !done.contains(slot)).collect()
}

fn signed(slots: &[Slot]) -> Vec<i32> {
    slots.iter().map(|slot| slot.0.cast_signed()).collect()
}
