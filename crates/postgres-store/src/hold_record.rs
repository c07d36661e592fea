//! Records of a live hold from before later changes. The request that is answered with the hold stores one. The row of
//! a changed hold stores one of the hold as it was placed.

use chrono::DateTime;
use diesel::QueryResult;
use encore_domain::booking::{Reservation, ReservedSeat};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::money::Money;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::corrupt;

/// The fields of a hold that its fan can change.
#[derive(Serialize, Deserialize)]
struct HoldRecord {
    expires_at_us: i64,
    revision: u32,
    /// The slot and price of each seat.
    seats: Vec<(u32, i64)>,
}

/// The record of a hold.
pub fn record(hold: &Reservation) -> QueryResult<Value> {
    let record = HoldRecord {
        expires_at_us: hold.expires_at.timestamp_micros(),
        revision: hold.revision,
        seats: hold.seats.iter().map(|seat| (seat.slot.0, seat.price_minor)).collect(),
    };
    serde_json::to_value(record).map_err(|error| corrupt("hold record", &error))
}

/// The reservation as it was when the record was made: a live hold.
pub fn as_recorded(reservation: &Reservation, record: Value) -> QueryResult<Reservation> {
    let HoldRecord { expires_at_us, revision, seats } =
        serde_json::from_value(record).map_err(|error| corrupt("hold record", &error))?;
    let seat = |(slot, price_minor)| ReservedSeat { slot: Slot(slot), price_minor };
    let seats: Vec<ReservedSeat> = seats.into_iter().map(seat).collect();
    let total = Money { minor: seats.iter().map(|seat| seat.price_minor).sum(), ..reservation.total };
    let expires_at = DateTime::from_timestamp_micros(expires_at_us);
    let expires_at = expires_at.ok_or_else(|| corrupt("hold record", "a deadline out of range"))?;
    let held = reservation.clone().as_placed();
    Ok(Reservation { seats, total, expires_at, revision, ..held })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Records of an earlier version must stay readable, so the keys may not follow the names of the fields.
    #[test]
    fn a_record_is_stored_under_these_keys() {
        let record = HoldRecord { expires_at_us: 1_700_000_000_000_000, revision: 3, seats: vec![(7, 4_500)] };
        let stored = json!({ "expires_at_us": 1_700_000_000_000_000_i64, "revision": 3, "seats": [[7, 4_500]] });
        assert_eq!(serde_json::to_value(record).expect("a record"), stored);
    }
}
