//! A live hold at a moment, kept beside what later changes make of it: in the request that is answered with it, and, as it was
//! placed, in its own row.

use chrono::DateTime;
use diesel::QueryResult;
use encore_domain::booking::{Reservation, ReservationState, ReservedSeat};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::money::Money;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::corrupt;

/// What its fan can change of a hold.
#[derive(Serialize, Deserialize)]
struct HoldRecord {
    expires_at_us: i64,
    revision: u32,
    /// Slot and price of each.
    seats: Vec<(u32, i64)>,
}

/// What has to be kept of a hold.
pub fn record(hold: &Reservation) -> QueryResult<Value> {
    let record = HoldRecord {
        expires_at_us: hold.expires_at.timestamp_micros(),
        revision: hold.revision,
        seats: hold.seats.iter().map(|seat| (seat.slot.0, seat.price_minor)).collect(),
    };
    serde_json::to_value(record).map_err(|error| corrupt("hold record", &error))
}

/// The live hold that a reservation was when this was kept of it.
pub fn as_recorded(reservation: &Reservation, record: Value) -> QueryResult<Reservation> {
    let HoldRecord { expires_at_us, revision, seats } =
        serde_json::from_value(record).map_err(|error| corrupt("hold record", &error))?;
    let seat = |(slot, price_minor)| ReservedSeat { slot: Slot(slot), price_minor };
    let seats: Vec<ReservedSeat> = seats.into_iter().map(seat).collect();
    let total = Money { minor: seats.iter().map(|seat| seat.price_minor).sum(), ..reservation.total };
    let expires_at = DateTime::from_timestamp_micros(expires_at_us);
    let expires_at = expires_at.ok_or_else(|| corrupt("hold record", "a deadline beyond all calendars"))?;
    let (state, settled_at, payment) = (ReservationState::Held, None, None);
    Ok(Reservation { seats, total, state, expires_at, settled_at, payment, revision, ..*reservation })
}
