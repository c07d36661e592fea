//! The owners of seats and the records of fans, as `lua/seat_locks/fans.lua` describes them.

use encore_domain::ids::{ReservationId, UserId};
use encore_domain::ports::RESERVATIONS_REMEMBERED;

/// The number of bytes of an owner.
const OWNER_LEN: usize = 32;

/// The owner of a seat that a fan holds or bought.
pub(crate) fn owner(reservation: ReservationId, user: UserId) -> [u8; OWNER_LEN] {
    let mut owner = [0; OWNER_LEN];
    owner[..16].copy_from_slice(reservation.0.as_bytes());
    owner[16..].copy_from_slice(user.0.as_bytes());
    owner
}

/// How many seats a fan has bought, by the record of the fan.
pub(crate) fn bought(record: &[u8]) -> u32 {
    record.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// What a fan has, to be written as a record.
#[derive(Default)]
pub(crate) struct FanSeats {
    seats: u32,
    bought: u32,
    reservations: Vec<ReservationId>,
}

impl FanSeats {
    /// Adds a seat of a reservation of the fan.
    pub(crate) fn add(&mut self, reservation: ReservationId, is_sold: bool) {
        self.seats += 1;
        self.bought += u32::from(is_sold);
        if self.reservations.len() < RESERVATIONS_REMEMBERED && !self.reservations.contains(&reservation) {
            self.reservations.push(reservation);
        }
    }

    /// The record.
    pub(crate) fn record(&self) -> Vec<u8> {
        let mut record = [self.seats.to_le_bytes(), self.bought.to_le_bytes()].concat();
        for reservation in &self.reservations {
            record.extend(&reservation.0.as_bytes()[8..]);
        }
        record
    }
}
