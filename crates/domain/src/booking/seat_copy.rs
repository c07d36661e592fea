//! A copy of the live seats of a performance, which follows their changes.

use std::sync::Arc;

use crate::booking::seat_state::{SeatChange, SeatState, SeatStatus, SeatStock, StockAt};
use crate::catalog::seat_chart::Slot;

/// The effect of a change on a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It was the next change and was applied.
    Taken,
    /// The copy had it already.
    Known,
    /// It was later than the next change, or has seats that the copy does not have. The state must be read.
    Gap,
}

/// A copy of a state, with its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatCopy {
    state: Arc<SeatState>,
    stock: SeatStock,
}

impl SeatCopy {
    /// A copy of this state.
    pub fn new(state: SeatState) -> Self {
        Self { stock: state.stock(), state: Arc::new(state) }
    }

    /// The state. A caller that keeps the `Arc` keeps this version.
    pub fn state(&self) -> &Arc<SeatState> {
        &self.state
    }

    /// The counts of free and held seats, with the version. They are kept up to date and not counted again.
    pub fn stock(&self) -> StockAt {
        StockAt { version: self.state.version, stock: self.stock }
    }

    /// Applies a change if it is the next one.
    pub fn follow(&mut self, change: &SeatChange) -> Step {
        if change.version <= self.state.version {
            return Step::Known;
        }
        let is_seat = |slot: Slot| self.state.status(slot).is_some();
        if change.version != self.state.version + 1 || !change.seats.iter().all(|(slot, _)| is_seat(*slot)) {
            return Step::Gap;
        }
        let state = Arc::make_mut(&mut self.state);
        state.version = change.version;
        for (slot, now) in &change.seats {
            let now = Some(*now);
            let was = std::mem::replace(&mut state.statuses[slot.0 as usize], now);
            let step = |status| (u32::from(now == Some(status)), u32::from(was == Some(status)));
            let (free, held) = (step(SeatStatus::Free), step(SeatStatus::Held));
            self.stock.free = self.stock.free + free.0 - free.1;
            self.stock.held = self.stock.held + held.0 - held.1;
        }
        Step::Taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::booking::seat_state::SeatStatus::{Free, Held, Sold};
    use crate::booking::seat_state::written::statuses;

    fn copy() -> SeatCopy {
        SeatCopy::new(SeatState { statuses: statuses("aah_s"), version: 7 })
    }

    fn change(version: u64, seats: &[(u32, SeatStatus)]) -> SeatChange {
        SeatChange { version, seats: seats.iter().map(|(slot, status)| (Slot(*slot), *status)).collect() }
    }

    #[test]
    fn changes_are_followed_in_order_and_counted() {
        let mut copy = copy();
        let before = Arc::clone(copy.state());
        assert_eq!(copy.follow(&change(8, &[(0, Held), (1, Held)])), Step::Taken);
        assert_eq!(copy.follow(&change(9, &[(0, Sold), (2, Free)])), Step::Taken);
        assert_eq!(**copy.state(), SeatState { statuses: statuses("sha_s"), version: 9 });
        assert_eq!(copy.stock(), StockAt { version: 9, stock: copy.state().stock() });
        assert_eq!(before.statuses, statuses("aah_s"), "who keeps a version keeps it");
    }

    #[test]
    fn what_is_known_changes_nothing() {
        let mut copy = copy();
        assert_eq!(copy.follow(&change(7, &[(0, Held)])), Step::Known);
        assert_eq!(copy, self::copy());
    }

    #[test]
    fn what_cannot_be_followed_is_a_gap_and_changes_nothing() {
        for gap in [change(9, &[(0, Held)]), change(8, &[(0, Held), (5, Held)]), change(8, &[(3, Held)])] {
            let mut copy = copy();
            assert_eq!(copy.follow(&gap), Step::Gap, "{gap:?}");
            assert_eq!(copy, self::copy());
        }
    }
}
