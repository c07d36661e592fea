//! What is told to the world: one event per committed change, written in the transaction that it describes.

use uuid::Uuid;

use crate::booking::Reservation;
use crate::booking::seat_block::{SeatBlock, SeatUnblock};
use crate::ids::UserId;
use crate::payment::Payment;
use crate::time::Timestamp;
use crate::wallet::WalletEntry;

/// A committed change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Seats are kept for a fan.
    HoldPlaced(Reservation),
    /// A fan extended a hold, or gave some of its seats back.
    HoldChanged {
        /// The hold after the change.
        hold: Reservation,
        /// When it was changed.
        at: Timestamp,
    },
    /// A fan gave seats back: all that were left.
    HoldReleased(Reservation),
    /// A hold's deadline passed unpaid.
    HoldExpired(Reservation),
    /// A hold was paid: the seats are the fan's.
    ReservationConfirmed {
        /// The confirmed reservation.
        reservation: Reservation,
        /// What paid for it.
        payment: Payment,
    },
    /// Operators keep seats.
    SeatsBlocked(SeatBlock),
    /// Operators gave seats back.
    SeatsUnblocked(SeatUnblock),
    /// Money came into a wallet.
    WalletToppedUp {
        /// Whose wallet.
        user: UserId,
        /// The wallet's side.
        entry: WalletEntry,
    },
}

impl Event {
    /// What happened, as consumers subscribe to it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::HoldPlaced(_) => "booking.hold_placed",
            Self::HoldChanged { .. } => "booking.hold_changed",
            Self::HoldReleased(_) => "booking.hold_released",
            Self::HoldExpired(_) => "booking.hold_expired",
            Self::ReservationConfirmed { .. } => "booking.reservation_confirmed",
            Self::SeatsBlocked(_) => "booking.seats_blocked",
            Self::SeatsUnblocked(_) => "booking.seats_unblocked",
            Self::WalletToppedUp { .. } => "wallet.topped_up",
        }
    }

    /// The same for every delivery of this event, so that consumers can drop repeats. A kind happens once to its subject; only
    /// a hold is changed several times, and each change has the hold's revision after it.
    pub fn id(&self) -> String {
        let subject = match self {
            Self::HoldChanged { hold, .. } => return format!("{}/{}/{}", self.kind(), hold.id, hold.revision),
            Self::HoldPlaced(reservation)
            | Self::HoldReleased(reservation)
            | Self::HoldExpired(reservation)
            | Self::ReservationConfirmed { reservation, .. } => reservation.id.0,
            Self::SeatsBlocked(SeatBlock { id, .. }) | Self::SeatsUnblocked(SeatUnblock { id, .. }) => id.0,
            Self::WalletToppedUp { entry, .. } => entry.transfer.0,
        };
        format!("{}/{subject}", self.kind())
    }

    /// When the change was made.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::HoldPlaced(hold) => hold.held_at,
            Self::HoldChanged { at, .. }
            | Self::SeatsBlocked(SeatBlock { at, .. })
            | Self::SeatsUnblocked(SeatUnblock { at, .. }) => *at,
            Self::HoldReleased(hold) | Self::HoldExpired(hold) => hold.settled_at.unwrap_or(hold.expires_at),
            Self::ReservationConfirmed { payment, .. } => payment.paid_at,
            Self::WalletToppedUp { entry, .. } => entry.at,
        }
    }

    /// Events of one key are told in order: the performance, or the user for what concerns a wallet.
    pub fn key(&self) -> Uuid {
        match self {
            Self::HoldPlaced(reservation)
            | Self::HoldChanged { hold: reservation, .. }
            | Self::HoldReleased(reservation)
            | Self::HoldExpired(reservation)
            | Self::ReservationConfirmed { reservation, .. } => reservation.performance.0,
            Self::SeatsBlocked(SeatBlock { performance, .. })
            | Self::SeatsUnblocked(SeatUnblock { performance, .. }) => performance.0,
            Self::WalletToppedUp { user, .. } => user.0,
        }
    }
}

/// A row of the outbox, without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRecord {
    /// Grows with each row.
    pub sequence: i64,
    /// See [`Event::id`].
    pub id: String,
    /// See [`Event::kind`].
    pub kind: String,
    /// See [`Event::key`].
    pub key: Uuid,
}
