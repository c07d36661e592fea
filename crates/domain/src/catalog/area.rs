//! General admission areas: sections without seats, sold by count.
//!
//! An area of capacity n has n **units**. A unit has a slot, like a seat, and at most one reservation claims it. A unit is
//! held, paid, released, counted and repaired by the same code as a seat. The capacity cannot be exceeded, because there is no
//! further unit to claim, and the buyers of an area do not all write one row. A unit has no position and no neighbours, and
//! callers ask for a number of units and not for a unit by its id.

use std::ops::Range;

use crate::catalog::slot::Slot;

/// The prefix of the id of a unit; its slot follows. No seat of a plan may have such an id.
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
    /// The number of its units: at least 1.
    pub capacity: u32,
}

impl Area {
    /// The slots of its units.
    pub fn slots(&self) -> Range<u32> {
        self.first.0..self.first.0 + self.capacity
    }
}

/// The id of a unit. Reservations list it, and a fan who releases a part of a hold names it.
pub fn unit_id(slot: Slot) -> String {
    format!("{UNIT_ID_PREFIX}{}", slot.0)
}

/// The slot of the unit with this id; none if no unit can have this id.
pub fn unit_slot(id: &str) -> Option<Slot> {
    let slot = id.strip_prefix(UNIT_ID_PREFIX)?.parse().ok().map(Slot)?;
    Some(slot).filter(|slot| unit_id(*slot) == id)
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
