//! The live state of a performance's seats: a status per slot, and a version that grows with each change.

use crate::booking::Claim;
use crate::catalog::PriceList;
use crate::catalog::area::Area;
use crate::catalog::seat_chart::{SeatChart, Slot};
use crate::ids::{BlockId, ReservationId, UserId};
use crate::time::Timestamp;

/// Whether a seat can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeatStatus {
    /// Nobody has claimed it.
    Free,
    /// A hold has it until its deadline.
    Held,
    /// It is paid for.
    Sold,
    /// An operator blocked it.
    Blocked,
}

/// The counts of free and held seats of a performance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeatStock {
    /// Seats that can be held now.
    pub free: u32,
    /// Seats that become free again unless they are paid for.
    pub held: u32,
}

/// The counts of a performance's seats, by who may buy them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockByNeed {
    /// Seats and units for everybody.
    pub general: SeatStock,
    /// Seats for fans who need an accessible one.
    pub accessible: SeatStock,
}

impl SeatStock {
    /// Whether no seat is left, and none is held that may come back.
    pub fn is_sold_out(self) -> bool {
        self == Self::default()
    }
}

impl StockByNeed {
    /// What a fan may buy who needs an accessible seat, or who does not.
    pub fn of(&self, needs_accessible: bool) -> SeatStock {
        if needs_accessible { self.accessible } else { self.general }
    }

    /// The counts of all seats.
    pub fn total(&self) -> SeatStock {
        SeatStock {
            free: self.general.free.saturating_add(self.accessible.free),
            held: self.general.held.saturating_add(self.accessible.held),
        }
    }
}

/// The owner of a seat that is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeatOwner {
    /// A fan, until the deadline of a hold.
    Holder {
        /// The hold.
        reservation: ReservationId,
        /// The fan.
        user: UserId,
        /// Its deadline.
        until: Timestamp,
    },
    /// A fan who has paid for it.
    Buyer {
        /// The reservation that was paid.
        reservation: ReservationId,
        /// The fan.
        user: UserId,
    },
    /// The operators, until they unblock it.
    Operators {
        /// The latest block.
        block: BlockId,
    },
}

impl SeatOwner {
    /// Who may free the seat.
    pub fn locker(self) -> Locker {
        match self {
            Self::Holder { reservation, .. } | Self::Buyer { reservation, .. } => Locker::Fan(reservation),
            Self::Operators { .. } => Locker::Operators,
        }
    }

    /// The status of a seat of this owner.
    pub fn status(self) -> SeatStatus {
        match self {
            Self::Holder { .. } => SeatStatus::Held,
            Self::Buyer { .. } => SeatStatus::Sold,
            Self::Operators { .. } => SeatStatus::Blocked,
        }
    }

    /// The reservation that has the seat; none if the operators have it.
    pub fn reservation(self) -> Option<ReservationId> {
        match self {
            Self::Holder { reservation, .. } | Self::Buyer { reservation, .. } => Some(reservation),
            Self::Operators { .. } => None,
        }
    }

    /// The fan who has the seat; none if the operators have it.
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::Holder { user, .. } | Self::Buyer { user, .. } => Some(user),
            Self::Operators { .. } => None,
        }
    }

    /// The deadline of a hold.
    pub fn held_until(self) -> Option<Timestamp> {
        match self {
            Self::Holder { until, .. } => Some(until),
            Self::Buyer { .. } | Self::Operators { .. } => None,
        }
    }
}

/// Who may free a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Locker {
    /// The fan of this reservation.
    Fan(ReservationId),
    /// Any operator.
    Operators,
}

/// The lock of a seat that is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatLock {
    /// Which seat.
    pub slot: Slot,
    /// Its owner.
    pub owner: SeatOwner,
}

impl SeatLock {
    /// The lock of a held seat.
    pub fn held(slot: Slot, reservation: ReservationId, user: UserId, until: Timestamp) -> Self {
        Self { slot, owner: SeatOwner::Holder { reservation, user, until } }
    }

    /// The lock of a sold seat.
    pub fn sold(slot: Slot, reservation: ReservationId, user: UserId) -> Self {
        Self { slot, owner: SeatOwner::Buyer { reservation, user } }
    }
}

impl From<&Claim> for SeatLock {
    fn from(claim: &Claim) -> Self {
        Self { slot: claim.slot, owner: claim.owner }
    }
}

/// The most seats that a change lists. A larger change is announced as [`SeatNews::Missed`]: holds are far smaller, and after
/// a repair or an operator's change of this size it is cheaper to read the state.
pub const CHANGE_SEATS_MAX: usize = 100;

/// A change of some seats at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatChange {
    /// The first version that shows it.
    pub version: u64,
    /// Each seat that changed, with its new status.
    pub seats: Vec<(Slot, SeatStatus)>,
}

/// What a listener to the seats of a performance receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatNews {
    /// A change.
    Changed(SeatChange),
    /// Changes may have been missed: read the state.
    Missed,
}

/// The counts of a performance's seats at one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockAt {
    /// See [`SeatState::version`].
    pub version: u64,
    /// The counts.
    pub stock: SeatStock,
}

/// A copy of the state of a performance's seats at one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatState {
    /// The status of the seat or unit at each slot; none where the slot is no seat, or one that is not for sale.
    pub statuses: Vec<Option<SeatStatus>>,
    /// Grows with each change.
    pub version: u64,
}

impl SeatState {
    /// The status of the seat at a slot; none if the slot is no seat.
    pub fn status(&self, slot: Slot) -> Option<SeatStatus> {
        self.statuses.get(slot.0 as usize).copied().flatten()
    }

    /// How many seats are free and how many are held.
    pub fn stock(&self) -> SeatStock {
        SeatStock { free: count(&self.statuses, SeatStatus::Free), held: count(&self.statuses, SeatStatus::Held) }
    }

    /// How many seats are free and how many are held, by who may buy them. `total` is the count of all.
    pub fn stock_by_need(&self, chart: &SeatChart, total: SeatStock) -> StockByNeed {
        let mut accessible = SeatStock::default();
        for slot in chart.accessible_slots() {
            accessible.free += u32::from(self.status(*slot) == Some(SeatStatus::Free));
            accessible.held += u32::from(self.status(*slot) == Some(SeatStatus::Held));
        }
        let general = SeatStock {
            free: total.free.saturating_sub(accessible.free),
            held: total.held.saturating_sub(accessible.held),
        };
        StockByNeed { general, accessible }
    }

    /// How many units of a general admission area are free.
    pub fn free_units(&self, area: &Area) -> u32 {
        let slots = area.slots();
        let units = self.statuses.get(slots.start as usize..slots.end as usize).unwrap_or_default();
        count(units, SeatStatus::Free)
    }
}

fn count(statuses: &[Option<SeatStatus>], wanted: SeatStatus) -> u32 {
    let count = statuses.iter().filter(|status| **status == Some(wanted)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether there is a free seat at an index of a state.
pub fn is_free(statuses: &[Option<SeatStatus>], index: usize) -> bool {
    matches!(statuses.get(index), Some(Some(SeatStatus::Free)))
}

/// The state of a venue in which every seat and unit is free.
pub fn all_free(chart: &SeatChart) -> Vec<Option<SeatStatus>> {
    let mut statuses = vec![None; chart.slots() as usize];
    for seat in chart.seats() {
        statuses[seat.slot.0 as usize] = Some(SeatStatus::Free);
    }
    for area in chart.areas() {
        let slots = area.slots();
        statuses[slots.start as usize..slots.end as usize].fill(Some(SeatStatus::Free));
    }
    statuses
}

/// The state of a performance of which nothing is sold. A seat or unit that is not for sale has no status: like a slot that is no
/// seat, it counts as taken and cannot become free.
pub fn unsold(chart: &SeatChart, prices: &PriceList) -> Vec<Option<SeatStatus>> {
    let mut statuses = all_free(chart);
    for (slot, status) in (0..).map(Slot).zip(&mut statuses) {
        *status = status.filter(|_| prices.sells(chart, slot));
    }
    statuses
}

/// Writes locks into a state. A lock on a slot that is no seat is ignored.
pub fn show_locks(statuses: &mut [Option<SeatStatus>], locks: &[SeatLock]) {
    for lock in locks {
        if let Some(Some(status)) = statuses.get_mut(lock.slot.0 as usize) {
            *status = lock.owner.status();
        }
    }
}

/// Writing states in tests: `a` is a free seat, `h` held, `s` sold, `b` blocked, `_` no seat.
#[cfg(test)]
pub(crate) mod written {
    use super::SeatStatus;

    pub(crate) fn statuses(text: &str) -> Vec<Option<SeatStatus>> {
        let status = |letter| match letter {
            'a' => Some(SeatStatus::Free),
            'h' => Some(SeatStatus::Held),
            's' => Some(SeatStatus::Sold),
            'b' => Some(SeatStatus::Blocked),
            '_' => None,
            other => panic!("no status is written {other:?}"),
        };
        text.chars().map(status).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::seat_chart::{Grade, PlannedArea, PlannedRow, PlannedSeat, PlannedSection};
    use crate::money::Currency;

    #[test]
    fn what_has_no_price_has_no_status() {
        let seat = |number: u16| PlannedSeat {
            id: number.to_string(),
            number: number.to_string(),
            grade: number % 2,
            x: f64::from(number),
            y: 0.0,
            accessible: false,
        };
        let rows = vec![PlannedRow { label: "A".into(), seats: (0..3).map(seat).collect() }];
        let general_admission = Some(PlannedArea { capacity: 2, grade: 1 });
        let sections = vec![
            PlannedSection { name: "Stalls".into(), rows, general_admission: None },
            PlannedSection { name: "Floor".into(), rows: vec![], general_admission },
        ];
        let grades = ["Sold", "Not available"].map(|name| Grade { name: name.into(), color: String::new() });
        let chart = SeatChart::lay_out(sections, grades.into());
        let currency = Currency::parse("EUR").expect("a currency");
        let prices = PriceList { currency, minor_by_grade: vec![Some(100), None] };
        assert_eq!(unsold(&chart, &prices), written::statuses("a_a___"));
        assert_eq!(prices.range().map(|(lowest, highest)| (lowest.minor, highest.minor)), Some((100, 100)));
    }

    #[test]
    fn a_slot_takes_one_byte() {
        assert_eq!(size_of::<Option<SeatStatus>>(), 1);
    }
}
