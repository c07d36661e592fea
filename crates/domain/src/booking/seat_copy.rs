//! A copy of the live seats of a performance, kept by what is told of their changes.

use std::sync::Arc;

use crate::booking::seat_state::{FREE, HELD, NO_SEAT, SeatChange, SeatState, SeatStock, StockAt};
use crate::catalog::seat_chart::Slot;

/// What a change was to a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next one: the copy shows it now.
    Taken,
    /// The copy shows it already.
    Known,
    /// A later one than the next, or one of seats that the copy does not have: only the state shows what is missing.
    Gap,
}

/// A copy of a state, and what it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatCopy {
    state: Arc<SeatState>,
    stock: SeatStock,
}

impl SeatCopy {
    /// A copy that begins with this state.
    pub fn new(state: SeatState) -> Self {
        Self { stock: state.stock(), state: Arc::new(state) }
    }

    /// The state. Whoever keeps it keeps that version of it.
    pub fn state(&self) -> &Arc<SeatState> {
        &self.state
    }

    /// How many seats are free and held, at which version. It is not counted anew.
    pub fn stock(&self) -> StockAt {
        StockAt { version: self.state.version, stock: self.stock }
    }

    /// Takes a change over if it is the next one.
    pub fn follow(&mut self, change: &SeatChange) -> Step {
        if change.version <= self.state.version {
            return Step::Known;
        }
        let is_seat = |slot: Slot| self.state.bytes.get(slot.0 as usize).is_some_and(|byte| *byte != NO_SEAT);
        if change.version != self.state.version + 1 || !change.seats.iter().all(|(slot, _)| is_seat(*slot)) {
            return Step::Gap;
        }
        let state = Arc::make_mut(&mut self.state);
        state.version = change.version;
        for (slot, now) in &change.seats {
            let byte = &mut state.bytes[slot.0 as usize];
            let was = std::mem::replace(byte, *now);
            self.stock.free = self.stock.free + u32::from(*now == FREE) - u32::from(was == FREE);
            self.stock.held = self.stock.held + u32::from(*now == HELD) - u32::from(was == HELD);
        }
        Step::Taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::booking::seat_state::SOLD;

    fn copy() -> SeatCopy {
        SeatCopy::new(SeatState { bytes: b"aah_s".to_vec(), version: 7 })
    }

    fn change(version: u64, seats: &[(u32, u8)]) -> SeatChange {
        SeatChange { version, seats: seats.iter().map(|(slot, byte)| (Slot(*slot), *byte)).collect() }
    }

    #[test]
    fn changes_are_followed_in_order_and_counted() {
        let mut copy = copy();
        let before = Arc::clone(copy.state());
        assert_eq!(copy.follow(&change(8, &[(0, HELD), (1, HELD)])), Step::Taken);
        assert_eq!(copy.follow(&change(9, &[(0, SOLD), (2, FREE)])), Step::Taken);
        assert_eq!(**copy.state(), SeatState { bytes: b"sha_s".to_vec(), version: 9 });
        assert_eq!(copy.stock(), StockAt { version: 9, stock: copy.state().stock() });
        assert_eq!(before.bytes, b"aah_s", "who keeps a version keeps it");
    }

    #[test]
    fn what_is_known_changes_nothing() {
        let mut copy = copy();
        assert_eq!(copy.follow(&change(7, &[(0, HELD)])), Step::Known);
        assert_eq!(copy, self::copy());
    }

    #[test]
    fn what_cannot_be_followed_is_a_gap_and_changes_nothing() {
        for gap in [change(9, &[(0, HELD)]), change(8, &[(0, HELD), (5, HELD)]), change(8, &[(3, HELD)])] {
            let mut copy = copy();
            assert_eq!(copy.follow(&gap), Step::Gap, "{gap:?}");
            assert_eq!(copy, self::copy());
        }
    }
}
