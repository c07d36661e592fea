//! Choosing units of a general admission area.

use thiserror::Error;

use crate::booking::seat_state::{SeatStatus, is_free};
use crate::catalog::area::Area;
use crate::catalog::seat_chart::Slot;
use crate::ids::ReservationId;

/// A search for free units: how many, in which area, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitSearch {
    /// The slot of the first unit of the area.
    pub first: Slot,
    /// How many units the area has.
    pub capacity: u32,
    /// The slot at which the search begins. After the last unit of the area it continues at the first.
    pub from: Slot,
    /// How many units: 1 to [`SEATS_PER_HOLD_MAX`](crate::booking::SEATS_PER_HOLD_MAX).
    pub count: usize,
}

/// The area has fewer free units than were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("only {left} are left")]
pub struct TooFewLeft {
    /// How many are free.
    pub left: u32,
}

impl UnitSearch {
    /// A search for a reservation. It begins at a slot that depends on the reservation's id, so that concurrent searches are
    /// spread over the area: each finds a free unit after a few steps until the area is nearly full, and searches that do not
    /// go through the locks rarely choose the same units.
    pub fn new(area: &Area, count: usize, owner: ReservationId) -> Self {
        let step = owner.0.as_u128() % u128::from(area.capacity.max(1));
        let from = Slot(area.first.0 + u32::try_from(step).unwrap_or(0));
        Self { first: area.first, capacity: area.capacity, from, count }
    }

    /// The next `wanted` slots after `skipped` of them, in the order of the search; fewer at the end of the search.
    pub fn slots(&self, skipped: u32, wanted: u32) -> impl Iterator<Item = Slot> + use<> {
        let Self { first, capacity, from, .. } = *self;
        let steps = skipped..capacity.min(skipped.saturating_add(wanted));
        steps.map(move |step| Slot(first.0 + (from.0 - first.0 + step) % capacity))
    }

    /// Whether this search could have chosen these slots: as many as `count`, all of the area.
    pub fn could_choose(&self, slots: &[Slot]) -> bool {
        let area = self.first.0..self.first.0 + self.capacity;
        slots.len() == self.count && slots.iter().all(|slot| area.contains(&slot.0))
    }

    /// The first free units of a state, in the order of their slots.
    pub fn choose(&self, state: &[Option<SeatStatus>]) -> Result<Vec<Slot>, TooFewLeft> {
        let free = self.slots(0, self.capacity).filter(|slot| is_free(state, slot.0 as usize));
        let mut chosen: Vec<Slot> = free.take(self.count).collect();
        if chosen.len() < self.count {
            return Err(TooFewLeft { left: u32::try_from(chosen.len()).unwrap_or(u32::MAX) });
        }
        chosen.sort_unstable();
        Ok(chosen)
    }
}
