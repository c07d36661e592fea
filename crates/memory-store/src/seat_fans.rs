use std::collections::HashMap;

use encore_domain::booking::seat_state::SeatOwner;
use encore_domain::ids::{ReservationId, UserId};
use encore_domain::ports::{LockTerms, RESERVATIONS_REMEMBERED};

/// What the fans of one performance have.
#[derive(Default)]
pub struct SeatFans(HashMap<UserId, Fan>);

/// What a fan has: the number of seats, how many of them are sold, and the reservations that seats were locked for.
#[derive(Default)]
struct Fan {
    owned: u32,
    bought: u32,
    reservations: Vec<ReservationId>,
}

/// Why a fan gets no further seats.
pub enum FanRefusal {
    /// The fan has this many, and would have too many.
    OverLimit { owned: u32 },
    /// The call may be a repeat.
    MayRepeat,
}

impl SeatFans {
    /// Whether a fan may have this many seats more.
    pub fn check(&self, wanted: usize, terms: &LockTerms) -> Result<(), FanRefusal> {
        let fan = self.0.get(&terms.user);
        let owned = fan.map_or(0, |fan| fan.owned);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        if owned.saturating_add(wanted) > terms.seats_per_fan {
            return Err(FanRefusal::OverLimit { owned });
        }
        let may_repeat = |fan: &Fan| {
            fan.reservations.len() >= RESERVATIONS_REMEMBERED || fan.reservations.contains(&terms.reservation)
        };
        if !terms.is_new && fan.is_some_and(may_repeat) { Err(FanRefusal::MayRepeat) } else { Ok(()) }
    }

    /// How many seats a fan has bought.
    pub fn bought(&self, user: UserId) -> u32 {
        self.0.get(&user).map_or(0, |fan| fan.bought)
    }

    /// Adds a seat to what its owner has.
    pub fn add(&mut self, owner: SeatOwner) {
        let (Some(user), Some(reservation)) = (owner.user(), owner.reservation()) else { return };
        let fan = self.0.entry(user).or_default();
        fan.owned += 1;
        fan.bought += u32::from(owner.held_until().is_none());
        if fan.reservations.len() < RESERVATIONS_REMEMBERED && !fan.reservations.contains(&reservation) {
            fan.reservations.push(reservation);
        }
    }

    /// Takes a seat from what its owner has.
    pub fn remove(&mut self, owner: SeatOwner) {
        let Some(fan) = owner.user().and_then(|user| self.0.get_mut(&user)) else { return };
        fan.owned -= 1;
        fan.bought -= u32::from(owner.held_until().is_none());
    }
}
