//! The ports of holds and seats.

mod reservations;
mod seat_blocks;
mod seat_changes;
mod seat_locks;

pub use reservations::{PlaceRefusal, Reservations};
pub use seat_blocks::SeatBlocks;
pub use seat_changes::{SeatChanges, SeatListener};
pub use seat_locks::{ChooseRefusal, LockTerms, RESERVATIONS_REMEMBERED, SeatLocks, TakeRefusal, TakenSeats};

#[cfg(feature = "mock")]
pub use self::{
    reservations::MockReservations, seat_blocks::MockSeatBlocks, seat_changes::MockSeatChanges,
    seat_locks::MockSeatLocks,
};
