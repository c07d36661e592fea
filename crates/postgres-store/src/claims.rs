//! Claims on seats. A claim is there as long as its reservation is held or confirmed; its deadline is the
//! reservation's, so that paying does not write it again.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::booking::{Claim, Reservation, ReservationState};
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::seat_chart::Slot;
use uuid::Uuid;

use crate::codec::read_state;
use crate::schema::{claims, reservations};
use crate::statement::{Cached, sql};

/// What speaks against a hold before it is tried.
#[derive(QueryableByName)]
pub struct Standing {
    /// How many seats of the performance the fan has.
    #[diesel(sql_type = BigInt)]
    pub owned: i64,
    /// Which of the wanted slots have a claim, in order.
    #[diesel(sql_type = Array<Integer>)]
    taken: Vec<i32>,
}

impl Standing {
    /// Which of the wanted seats have a claim, in order.
    pub fn taken(&self) -> Vec<Slot> {
        self.taken.iter().map(|slot| Slot(slot.cast_unsigned())).collect()
    }
}

/// Looks before anything is written, so that the many who come too late cost one read.
///
/// Each wanted seat is looked up by itself, over the primary key: a join may be planned as one with all claims of the
/// performance, which are few when the plan is made and many when it is used.
pub async fn standing(conn: &AsyncPgConnection, hold: &Reservation) -> QueryResult<Standing> {
    const STANDING: &str = "
        SELECT
            (SELECT count(*) FROM claims WHERE performance_id = $1 AND user_id = $2) AS owned,
            ARRAY(
                SELECT slot FROM unnest($3) AS wanted (slot)
                WHERE (SELECT true FROM claims WHERE performance_id = $1 AND claims.slot = wanted.slot)
                ORDER BY slot
            ) AS taken";
    let query = sql(STANDING)
        .bind::<SqlUuid, _>(hold.performance.0)
        .bind::<SqlUuid, _>(hold.user.0)
        .bind::<Array<Integer>, _>(signed(&hold.slots()));
    Cached(query).get_result(&mut &*conn).await
}

/// Writes a hold with its seats and claims. Answers the seats that somebody else claimed meanwhile; if there are any, the
/// transaction must be rolled back.
///
/// Claims are inserted in the order of their slots and each insert waits for whoever is claiming or giving back the same
/// seat, so that holds wait for each other in one direction only.
pub async fn insert_hold(conn: &AsyncPgConnection, hold: &Reservation) -> QueryResult<Vec<Slot>> {
    const INSERT: &str = "
        WITH reservation AS (
            INSERT INTO reservations (id, user_id, performance_id, total_minor, currency, state, held_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, 'held', $6, $7)
        ), reserved AS (
            INSERT INTO reservation_seats (reservation_id, slot, price_minor)
            SELECT $1, slot, price_minor FROM unnest($8, $9) AS seat (slot, price_minor)
        )
        INSERT INTO claims (performance_id, slot, reservation_id, user_id)
        SELECT $3, slot, $1, $2 FROM unnest($8) AS seat (slot) ORDER BY slot
        ON CONFLICT (performance_id, slot) DO NOTHING
        RETURNING slot";
    #[derive(QueryableByName)]
    struct Claimed {
        #[diesel(sql_type = Integer)]
        slot: i32,
    }
    let query = sql(INSERT)
        .bind::<SqlUuid, _>(hold.id.0)
        .bind::<SqlUuid, _>(hold.user.0)
        .bind::<SqlUuid, _>(hold.performance.0)
        .bind::<BigInt, _>(hold.total.minor)
        .bind::<Text, _>(hold.total.currency.code())
        .bind::<Timestamptz, _>(hold.held_at)
        .bind::<Timestamptz, _>(hold.expires_at)
        .bind::<Array<Integer>, _>(signed(&hold.slots()))
        .bind::<Array<BigInt>, _>(hold.seats.iter().map(|seat| seat.price_minor).collect::<Vec<_>>());
    let claimed: Vec<Claimed> = Cached(query).load(&mut &*conn).await?;
    let was_claimed = |slot: &Slot| claimed.iter().any(|claim| claim.slot.cast_unsigned() == slot.0);
    let mut lost: Vec<Slot> = hold.slots().into_iter().filter(|slot| !was_claimed(slot)).collect();
    lost.sort_unstable();
    Ok(lost)
}

/// Frees the seats of reservations. They are found over the seats of each, so that claims need no index by reservation.
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

/// The claims on seats of a performance, in the order of their slots: on all, or on these.
pub async fn load(
    conn: &mut AsyncPgConnection,
    performance: PerformanceId,
    slots: Option<&[Slot]>,
) -> QueryResult<Vec<Claim>> {
    let mut query = claims::table
        .inner_join(reservations::table)
        .filter(claims::performance_id.eq(performance.0))
        .order(claims::slot)
        .select((claims::slot, claims::reservation_id, reservations::state, reservations::expires_at))
        .into_boxed();
    if let Some(slots) = slots {
        query = query.filter(claims::slot.eq_any(signed(slots)));
    }
    let rows: Vec<(i32, Uuid, String, DateTime<Utc>)> = query.load(conn).await?;
    let claim = |(slot, reservation, state, expires_at): (i32, Uuid, String, DateTime<Utc>)| {
        let held = read_state(&state)? == ReservationState::Held;
        let slot = Slot(slot.cast_unsigned());
        Ok(Claim { slot, reservation: ReservationId(reservation), held_until: held.then_some(expires_at) })
    };
    rows.into_iter().map(claim).collect()
}

fn signed(slots: &[Slot]) -> Vec<i32> {
    slots.iter().map(|slot| slot.0.cast_signed()).collect()
}
