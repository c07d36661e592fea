//! Changes of a live hold by its fan: extending its deadline and releasing some of its seats.

use std::time::Duration;

use thiserror::Error;

use crate::booking::{Reservation, ReservationState};
use crate::catalog::seat_chart::Slot;
use crate::money::Money;
use crate::time::Timestamp;

/// The longest life of a hold from when its seats were held, as a multiple of `hold_for`. It is long enough to find another
/// card, and too short to block seats on purpose.
pub const HOLD_LIFE_FACTOR: u32 = 3;

/// How far a hold may be extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// How long a hold of its performance lives.
    pub hold_for: Duration,
    /// When the show begins. A hold ends then at the latest.
    pub starts_at: Timestamp,
    /// The deadline of the fan's queue token, if there is one. A hold ends with it at the latest, so every live hold can be paid.
    pub token_until: Option<Timestamp>,
}

/// Why a hold was not extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ExtendRefusal {
    /// It is not a live hold.
    #[error("the reservation is {state:?}, not held")]
    NotHeld {
        /// What it is instead.
        state: ReservationState,
    },
    /// It already has the latest possible deadline.
    #[error("the hold cannot be extended beyond {expires_at}")]
    AtLimit {
        /// Its deadline.
        expires_at: Timestamp,
    },
}

/// Why a hold was not released, or not in part.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReleaseRefusal {
    /// It is not a live hold.
    #[error("the reservation is {state:?}, not held")]
    NotHeld {
        /// What it is instead.
        state: ReservationState,
    },
    /// It does not have these seats.
    #[error("some seats do not belong to the hold")]
    NotItsSeats {
        /// Which, as asked.
        slots: Vec<Slot>,
    },
}

impl Extension {
    /// The hold extended at `now`: by the length of a hold, within the limits.
    pub fn of(&self, hold: &Reservation, now: Timestamp) -> Result<Reservation, ExtendRefusal> {
        let state = hold.state_at(now);
        if state != ReservationState::Held {
            return Err(ExtendRefusal::NotHeld { state });
        }
        let limit = self.starts_at.min(hold.held_at + self.hold_for * HOLD_LIFE_FACTOR);
        let limit = self.token_until.map_or(limit, |until| until.min(limit));
        let expires_at = limit.min(now + self.hold_for);
        if expires_at <= hold.expires_at {
            return Err(ExtendRefusal::AtLimit { expires_at: hold.expires_at });
        }
        Ok(Reservation { expires_at, revision: hold.revision + 1, ..hold.clone() })
    }
}

/// The hold without these seats, which are released at `now`. If none is left, the hold is released and still lists the seats
/// that it had before.
pub fn give_back(hold: &Reservation, slots: &[Slot], now: Timestamp) -> Result<Reservation, ReleaseRefusal> {
    let state = hold.state_at(now);
    if state != ReservationState::Held {
        return Err(ReleaseRefusal::NotHeld { state });
    }
    let foreign: Vec<Slot> =
        slots.iter().copied().filter(|slot| hold.seats.iter().all(|seat| seat.slot != *slot)).collect();
    if !foreign.is_empty() {
        return Err(ReleaseRefusal::NotItsSeats { slots: foreign });
    }
    let kept: Vec<_> = hold.seats.iter().copied().filter(|seat| !slots.contains(&seat.slot)).collect();
    if kept.is_empty() {
        return Ok(Reservation { state: ReservationState::Released, settled_at: Some(now), ..hold.clone() });
    }
    let total = Money { minor: kept.iter().map(|seat| seat.price_minor).sum(), ..hold.total };
    Ok(Reservation { seats: kept, total, revision: hold.revision + 1, ..hold.clone() })
}
