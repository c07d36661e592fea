//! Reservations and their seats as rows.
//!
//! Statements that are awaited together on one connection are pipelined: they take one round trip and run in the order
//! in which they are written. If one fails, those after it fail too, and the transaction is rolled back.
//!
//! Statements that find reservations by their ids take the state that these must have as a parameter. As a constant it would let the
//! planner choose the index of all held reservations, and read it for every call.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::booking::{Reservation, ReservationState, ReservedSeat};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{PaymentId, PerformanceId, ReservationId, UserId};
use futures::try_join;
use serde_json::Value;
use uuid::Uuid;

use crate::codec::{read_money, read_state, state_text};
use crate::hold_record::{as_recorded, record};
use crate::schema::{reservation_seats, reservations};
use crate::statement::{Cached, sql};

#[derive(Queryable, QueryableByName, Selectable)]
#[diesel(table_name = reservations)]
pub struct ReservationRow {
    id: Uuid,
    user_id: Uuid,
    performance_id: Uuid,
    currency: String,
    state: String,
    held_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    settled_at: Option<DateTime<Utc>>,
    payment_id: Option<Uuid>,
    cancelled_at: Option<DateTime<Utc>>,
    revision: i32,
    /// See [`crate::hold_record`]: none if the hold was never changed.
    placed: Option<Value>,
}

impl ReservationRow {
    /// The total is computed from these seats, because a hold may lose some between the reads of its row and of its seats.
    fn into_reservation(self, seats: Vec<ReservedSeat>) -> QueryResult<Reservation> {
        let total_minor = seats.iter().map(|seat| seat.price_minor).sum();
        Ok(Reservation {
            id: ReservationId(self.id),
            user: UserId(self.user_id),
            performance: PerformanceId(self.performance_id),
            total: read_money(total_minor, &self.currency)?,
            seats,
            state: read_state(&self.state)?,
            held_at: self.held_at,
            expires_at: self.expires_at,
            settled_at: self.settled_at,
            payment: self.payment_id.map(PaymentId),
            cancelled_at: self.cancelled_at,
            revision: self.revision.cast_unsigned(),
        })
    }
}

/// The seats of reservations, in the order of their slots.
pub async fn load_seats(
    conn: &AsyncPgConnection,
    reservations: &[Uuid],
) -> QueryResult<HashMap<Uuid, Vec<ReservedSeat>>> {
    let query = reservation_seats::table
        .filter(reservation_seats::reservation_id.eq_any(reservations))
        .order((reservation_seats::reservation_id, reservation_seats::slot))
        .select((reservation_seats::reservation_id, reservation_seats::slot, reservation_seats::price_minor));
    let rows: Vec<(Uuid, i32, i64)> = Cached(query).load(&mut &*conn).await?;
    let mut seats: HashMap<Uuid, Vec<ReservedSeat>> = HashMap::with_capacity(reservations.len());
    for (reservation, slot, price_minor) in rows {
        let seat = ReservedSeat { slot: Slot(slot.cast_unsigned()), price_minor };
        seats.entry(reservation).or_default().push(seat);
    }
    Ok(seats)
}

/// Reads the seats of reservations with one query, and adds them to the rows.
pub async fn with_seats(conn: &AsyncPgConnection, rows: Vec<ReservationRow>) -> QueryResult<Vec<Reservation>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut seats = load_seats(conn, &ids).await?;
    rows.into_iter()
        .map(|row| {
            let seats = seats.remove(&row.id).unwrap_or_default();
            row.into_reservation(seats)
        })
        .collect()
}

/// The reservation with this id.
pub async fn find(conn: &AsyncPgConnection, id: Uuid) -> QueryResult<Option<Reservation>> {
    let query = reservations::table.find(id).select(ReservationRow::as_select());
    let row = async { query.first::<ReservationRow>(&mut &*conn).await.optional() };
    let ids = [id];
    let (row, mut seats) = try_join!(row, load_seats(conn, &ids))?;
    row.map(|row| row.into_reservation(seats.remove(&id).unwrap_or_default())).transpose()
}

/// The reservations with these ids.
pub async fn find_all(
    conn: &AsyncPgConnection,
    ids: &[ReservationId],
) -> QueryResult<HashMap<ReservationId, Reservation>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let query = reservations::table.filter(reservations::id.eq_any(&ids)).select(ReservationRow::as_select());
    let rows = async { Cached(query).load::<ReservationRow>(&mut &*conn).await };
    let (rows, mut seats) = try_join!(rows, load_seats(conn, &ids))?;
    let with_seats = |row: ReservationRow| {
        let seats = seats.remove(&row.id).unwrap_or_default();
        Ok((ReservationId(row.id), row.into_reservation(seats)?))
    };
    rows.into_iter().map(with_seats).collect()
}

/// The holds with these ids as they were placed, in any order.
pub async fn find_all_placed(conn: &AsyncPgConnection, ids: &[Uuid]) -> QueryResult<Vec<Reservation>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = reservations::table.filter(reservations::id.eq_any(ids)).select(ReservationRow::as_select());
    let mut rows: Vec<ReservationRow> = Cached(query).load(&mut &*conn).await?;
    let mut placed: HashMap<Uuid, Value> =
        rows.iter_mut().filter_map(|row| Some((row.id, row.placed.take()?))).collect();
    let reservations = with_seats(conn, rows).await?.into_iter();
    let as_placed = |reservation: Reservation| match placed.remove(&reservation.id.0) {
        Some(record) => as_recorded(&reservation, record),
        None => Ok(reservation.as_placed()),
    };
    reservations.map(as_placed).collect()
}

/// Locks the reservation with this id until the end of the transaction. It must exist.
pub async fn lock(conn: &AsyncPgConnection, id: Uuid) -> QueryResult<Reservation> {
    let query = reservations::table.find(id).select(ReservationRow::as_select()).for_update();
    let row = async { query.first::<ReservationRow>(&mut &*conn).await };
    // The seats are read after the row is locked. A transaction that changes them locks the row first.
    let ids = [id];
    let (row, mut seats) = try_join!(row, load_seats(conn, &ids))?;
    row.into_reservation(seats.remove(&id).unwrap_or_default())
}

/// Locks the reservations with these ids until the end of the transaction, in the order of their ids. Those that do not exist are
/// left out.
pub async fn lock_all(conn: &AsyncPgConnection, ids: &[Uuid]) -> QueryResult<HashMap<ReservationId, Reservation>> {
    const LOCK: &str = "SELECT * FROM reservations WHERE id = ANY($1) ORDER BY id FOR UPDATE";
    let query = sql(LOCK).bind::<Array<SqlUuid>, _>(ids);
    let rows = async { Cached(query).load::<ReservationRow>(&mut &*conn).await };
    // See `lock`.
    let (rows, mut seats) = try_join!(rows, load_seats(conn, ids))?;
    let with_seats = |row: ReservationRow| {
        let seats = seats.remove(&row.id).unwrap_or_default();
        Ok((ReservationId(row.id), row.into_reservation(seats)?))
    };
    rows.into_iter().map(with_seats).collect()
}

/// Writes the changes by the fan of a live, locked hold, except those of its seats. The first change stores the hold as
/// it was placed.
pub async fn change(conn: &AsyncPgConnection, before: &Reservation, after: &Reservation) -> QueryResult<()> {
    const CHANGE: &str = "
        UPDATE reservations
        SET expires_at = $2, total_minor = $3, revision = $4, placed = coalesce(placed, $5)
        WHERE id = $1 AND state = $6 AND revision = $4 - 1";
    let query = sql(CHANGE)
        .bind::<SqlUuid, _>(after.id.0)
        .bind::<Timestamptz, _>(after.expires_at)
        .bind::<BigInt, _>(after.total.minor)
        .bind::<Integer, _>(after.revision.cast_signed())
        .bind::<Jsonb, _>(record(before)?)
        .bind::<Text, _>(state_text(ReservationState::Held));
    let changed = Cached(query).execute(&mut &*conn).await?;
    if changed == 1 { Ok(()) } else { Err(diesel::result::Error::NotFound) }
}

/// Writes that a live, locked hold is being paid by card.
pub async fn move_paying(conn: &AsyncPgConnection, before: &Reservation, paying: &Reservation) -> QueryResult<()> {
    const MOVE: &str = "
        UPDATE reservations
        SET state = 'paying', expires_at = $2, revision = $3, placed = coalesce(placed, $4)
        WHERE id = $1 AND state = $5 AND revision = $3 - 1";
    let query = sql(MOVE)
        .bind::<SqlUuid, _>(paying.id.0)
        .bind::<Timestamptz, _>(paying.expires_at)
        .bind::<Integer, _>(paying.revision.cast_signed())
        .bind::<Jsonb, _>(record(before)?)
        .bind::<Text, _>(state_text(ReservationState::Held));
    one(Cached(query).execute(&mut &*conn).await?)
}

/// Writes that a card was refused: the hold is live again until its own deadline.
pub async fn hold_again(conn: &AsyncPgConnection, hold: &Reservation) -> QueryResult<()> {
    const HOLD: &str = "
        UPDATE reservations SET state = 'held', expires_at = $2, revision = $3
        WHERE id = $1 AND state = 'paying' AND revision = $3 - 1";
    let query = sql(HOLD)
        .bind::<SqlUuid, _>(hold.id.0)
        .bind::<Timestamptz, _>(hold.expires_at)
        .bind::<Integer, _>(hold.revision.cast_signed());
    one(Cached(query).execute(&mut &*conn).await?)
}

/// Writes the end of a payment by card: the reservation is confirmed, maybe after it had expired, or expires.
pub async fn end_paying(conn: &AsyncPgConnection, ended: &Reservation) -> QueryResult<()> {
    const END: &str = "
        UPDATE reservations SET state = $2, settled_at = $3, payment_id = $4
        WHERE id = $1 AND state IN ('paying', 'expired')";
    let query = sql(END)
        .bind::<SqlUuid, _>(ended.id.0)
        .bind::<Text, _>(state_text(ended.state))
        .bind::<Nullable<Timestamptz>, _>(ended.settled_at)
        .bind::<Nullable<SqlUuid>, _>(ended.payment.map(|id| id.0));
    one(Cached(query).execute(&mut &*conn).await?)
}

/// A statement that must change one row.
fn one(changed: usize) -> QueryResult<()> {
    all(changed, 1)
}

/// A statement that must change this many rows.
fn all(changed: usize, expected: usize) -> QueryResult<()> {
    if changed == expected { Ok(()) } else { Err(diesel::result::Error::NotFound) }
}

/// Writes the cancellation of seats of a confirmed, locked reservation. The seats of a cancelled reservation stay listed.
pub async fn cancel(conn: &AsyncPgConnection, before: &Reservation, after: &Reservation) -> QueryResult<()> {
    const CANCEL: &str = "
        UPDATE reservations
        SET state = $2, cancelled_at = $3, total_minor = $4,
            placed = CASE WHEN $6 THEN placed ELSE coalesce(placed, $5) END
        WHERE id = $1 AND state = 'confirmed'";
    let is_whole = after.state == ReservationState::Cancelled;
    let query = sql(CANCEL)
        .bind::<SqlUuid, _>(after.id.0)
        .bind::<Text, _>(state_text(after.state))
        .bind::<Nullable<Timestamptz>, _>(after.cancelled_at)
        .bind::<BigInt, _>(after.total.minor)
        .bind::<Jsonb, _>(record(before)?)
        .bind::<Bool, _>(is_whole);
    one(Cached(query).execute(&mut &*conn).await?)
}

/// Writes that live, locked holds are paid for.
pub async fn confirm_all(conn: &AsyncPgConnection, confirmed: &[&Reservation]) -> QueryResult<()> {
    // No join: a planner that knows nothing of the table yet may read all of it for one.
    const CONFIRM: &str = "
        UPDATE reservations
        SET state = 'confirmed',
            payment_id = ($2::uuid[])[array_position($1, id)], settled_at = ($3::timestamptz[])[array_position($1, id)]
        WHERE id = ANY($1) AND state = $4 AND expires_at > ($3::timestamptz[])[array_position($1, id)]";
    let query = sql(CONFIRM)
        .bind::<Array<SqlUuid>, _>(confirmed.iter().map(|it| it.id.0).collect::<Vec<_>>())
        .bind::<Array<Nullable<SqlUuid>>, _>(confirmed.iter().map(|it| it.payment.map(|id| id.0)).collect::<Vec<_>>())
        .bind::<Array<Nullable<Timestamptz>>, _>(confirmed.iter().map(|it| it.settled_at).collect::<Vec<_>>())
        .bind::<Text, _>(state_text(ReservationState::Held));
    all(Cached(query).execute(&mut &*conn).await?, confirmed.len())
}

/// Writes the end of a hold that is live at that time.
pub async fn settle(conn: &AsyncPgConnection, settled: &Reservation) -> QueryResult<()> {
    let live = reservations::table
        .find(settled.id.0)
        .filter(reservations::state.eq(state_text(ReservationState::Held)))
        .filter(reservations::expires_at.nullable().gt(settled.settled_at));
    let update = diesel::update(live).set((
        reservations::state.eq(state_text(settled.state)),
        reservations::settled_at.eq(settled.settled_at),
        reservations::payment_id.eq(settled.payment.map(|id| id.0)),
    ));
    let updated = Cached(update).execute(&mut &*conn).await?;
    if updated == 1 { Ok(()) } else { Err(diesel::result::Error::NotFound) }
}
