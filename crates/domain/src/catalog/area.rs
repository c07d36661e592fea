//! General admission areas: sections without seats, sold by count.
//!
//! The capacity of an area is so many **units**: slots of the state string like seats, each claimed by at most one
//! reservation. So a unit is held, paid, given back, counted and repaired as a seat is, the capacity is never exceeded because
//! there is no further unit to claim, and no row is written by all who buy. A unit has no position and no neighbours, and
//! nobody asks for one by name: only choosing differs.

use std::ops::Range;

use thiserror::Error;

use crate::booking::seat_state::FREE;
use crate::catalog::seat_chart::Slot;
use crate::ids::ReservationId;

/// What the id of a unit begins with; its slot follows. No seat of a plan may be called so.
const UNIT_ID_PREFIX: &str = "unit-";

/// A section without seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Index into the chart's sections. No other section has its name.
    pub section: u16,
    /// Index into the chart's grades.
    pub grade: u16,
    /// The slot of its first unit. The others follow.
    pub first: Slot,
    /// How many may be in it: 1 at least.
    pub capacity: u32,
}

impl Area {
    /// The slots of its units.
    pub fn slots(&self) -> Range<u32> {
        self.first.0..self.first.0 + self.capacity
    }

    /// How many of its units are free in a state string.
    #[expect(clippy::naive_bytecount, reason = "an area is short, and this is not on the path of a hold")]
    pub fn free(&self, state: &[u8]) -> u32 {
        let slots = self.slots();
        let units = state.get(slots.start as usize..slots.end as usize).unwrap_or_default();
        u32::try_from(units.iter().filter(|byte| **byte == FREE).count()).unwrap_or(u32::MAX)
    }
}

/// The id of a unit: what a reservation calls it by, and who gives back a part of a hold.
pub fn unit_id(slot: Slot) -> String {
    format!("{UNIT_ID_PREFIX}{}", slot.0)
}

/// The slot of the unit with this id; none if no unit can be called so.
pub fn unit_slot(id: &str) -> Option<Slot> {
    let slot = id.strip_prefix(UNIT_ID_PREFIX)?.parse().ok().map(Slot)?;
    Some(slot).filter(|slot| unit_id(*slot) == id)
}

/// A choice to be made: how many units, of which area, and where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitSearch {
    /// The slot of the first unit of the area.
    pub first: Slot,
    /// How many units the area has.
    pub capacity: u32,
    /// The slot at which the search begins. It goes up from there, and from the first unit on after the last.
    pub from: Slot,
    /// How many units: 1 to [`SEATS_PER_HOLD_MAX`](crate::booking::SEATS_PER_HOLD_MAX).
    pub count: usize,
}

/// An area has fewer free units than are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("only {left} are left")]
pub struct TooFewLeft {
    /// How many are free.
    pub left: u32,
}

impl UnitSearch {
    /// A search for somebody, beginning anywhere: a crowd is spread over the area, so that each meets a free unit after a few
    /// steps until the area is nearly full, and those who choose without the locks seldom choose the same.
    pub fn new(area: &Area, count: usize, owner: ReservationId) -> Self {
        let step = owner.0.as_u128() % u128::from(area.capacity.max(1));
        let from = Slot(area.first.0 + u32::try_from(step).unwrap_or(0));
        Self { first: area.first, capacity: area.capacity, from, count }
    }

    /// So many slots after skipping some, in the order in which they are looked at; fewer where the area ends.
    pub fn slots(&self, skipped: u32, wanted: u32) -> impl Iterator<Item = Slot> + use<> {
        let Self { first, capacity, from, .. } = *self;
        let steps = skipped..capacity.min(skipped.saturating_add(wanted));
        steps.map(move |step| Slot(first.0 + (from.0 - first.0 + step) % capacity))
    }

    /// Whether these could have been chosen, in the order of their slots: so many, and of the area.
    pub fn could_choose(&self, slots: &[Slot]) -> bool {
        let area = self.first.0..self.first.0 + self.capacity;
        slots.len() == self.count && slots.iter().all(|slot| area.contains(&slot.0))
    }

    /// The first units that are free in a state string, in the order of their slots.
    pub fn choose(&self, state: &[u8]) -> Result<Vec<Slot>, TooFewLeft> {
        let free = self.slots(0, self.capacity).filter(|slot| state.get(slot.0 as usize) == Some(&FREE));
        let mut chosen: Vec<Slot> = free.take(self.count).collect();
        if chosen.len() < self.count {
            return Err(TooFewLeft { left: u32::try_from(chosen.len()).unwrap_or(u32::MAX) });
        }
        chosen.sort_unstable();
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_unit_says_its_slot_and_nothing_else_does() {
        assert_eq!(unit_slot(&unit_id(Slot(20_017))), Some(Slot(20_017)));
        for other in ["unit-", "unit-x", "unit-+7", "unit-007", "unit--1", "unit-4294967296", "Unit-7", "A-7"] {
            assert_eq!(unit_slot(other), None, "{other}");
        }
    }
}
