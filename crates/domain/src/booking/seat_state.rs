//! The live state of a performance's seats: one byte per slot, and a version that grows with each change.

use crate::booking::Claim;
use crate::catalog::seat_chart::{SeatChart, Slot};
use crate::ids::{BlockId, ReservationId};
use crate::time::Timestamp;

/// The byte of a free seat.
pub const FREE: u8 = b'a';
/// The byte of a held seat.
pub const HELD: u8 = b'h';
/// The byte of a sold seat.
pub const SOLD: u8 = b's';
/// The byte of a seat that operators keep.
pub const BLOCKED: u8 = b'b';
/// The byte of a slot that is no seat. It is never free, so that a block of free seats never reaches over it.
pub const NO_SEAT: u8 = b'_';

/// Whether a seat can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatStatus {
    /// Nobody has it.
    Free,
    /// A fan has it until the end of a hold.
    Held,
    /// It is paid for.
    Sold,
    /// Operators keep it.
    Blocked,
}

/// What is left of a performance's seats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeatStock {
    /// Seats that can be had now.
    pub free: u32,
    /// Seats that come back unless they are paid for.
    pub held: u32,
}

/// Whose a seat is that is not free. It has one owner, whoever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeatOwner {
    /// A fan, until the deadline of a hold.
    Holder {
        /// The hold.
        reservation: ReservationId,
        /// Its deadline.
        until: Timestamp,
    },
    /// A fan who has paid.
    Buyer {
        /// What was paid.
        reservation: ReservationId,
    },
    /// The operators, until they give it back.
    Operators {
        /// What blocked it last.
        block: BlockId,
    },
}

impl SeatOwner {
    /// Whom to name to free the seat.
    pub fn locker(self) -> Locker {
        match self {
            Self::Holder { reservation, .. } | Self::Buyer { reservation } => Locker::Fan(reservation),
            Self::Operators { .. } => Locker::Operators,
        }
    }

    /// The byte of a seat that is theirs.
    pub fn byte(self) -> u8 {
        match self {
            Self::Holder { .. } => HELD,
            Self::Buyer { .. } => SOLD,
            Self::Operators { .. } => BLOCKED,
        }
    }

    /// The reservation that the seat is of; none if it is the operators'.
    pub fn reservation(self) -> Option<ReservationId> {
        match self {
            Self::Holder { reservation, .. } | Self::Buyer { reservation } => Some(reservation),
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

/// What is true of one seat that is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatLock {
    /// Which seat.
    pub slot: Slot,
    /// Whose it is.
    pub owner: SeatOwner,
}

impl SeatLock {
    /// A seat of a hold.
    pub fn held(slot: Slot, reservation: ReservationId, until: Timestamp) -> Self {
        Self { slot, owner: SeatOwner::Holder { reservation, until } }
    }

    /// A seat that is paid for.
    pub fn sold(slot: Slot, reservation: ReservationId) -> Self {
        Self { slot, owner: SeatOwner::Buyer { reservation } }
    }
}

impl From<&Claim> for SeatLock {
    fn from(claim: &Claim) -> Self {
        Self { slot: claim.slot, owner: claim.owner }
    }
}

/// The most seats that one change tells; of a larger one only is told that it was. Holds are far below; what is above are
/// repairs and operators' work, after which the whole state is the shorter story.
pub const CHANGE_SEATS_MAX: usize = 100;

/// What became of some seats at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatChange {
    /// The first version that shows it.
    pub version: u64,
    /// Each seat with its byte since then.
    pub seats: Vec<(Slot, u8)>,
}

/// What is told to those who listen to the seats of a performance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatNews {
    /// A change.
    Changed(SeatChange),
    /// Something may have changed that is not told: read the state.
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

/// A copy of the state string at one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatState {
    /// One byte per slot.
    pub bytes: Vec<u8>,
    /// Grows with each change.
    pub version: u64,
}

impl SeatState {
    /// The status of the seat at a slot; none if the slot is no seat.
    pub fn status(&self, slot: Slot) -> Option<SeatStatus> {
        match self.bytes.get(slot.0 as usize).copied() {
            Some(FREE) => Some(SeatStatus::Free),
            Some(HELD) => Some(SeatStatus::Held),
            Some(SOLD) => Some(SeatStatus::Sold),
            Some(BLOCKED) => Some(SeatStatus::Blocked),
            _ => None,
        }
    }

    /// How many seats are free and how many are held.
    pub fn stock(&self) -> SeatStock {
        SeatStock { free: self.count(FREE), held: self.count(HELD) }
    }

    #[expect(clippy::naive_bytecount, reason = "a state string is short, and this is not on the path of a hold")]
    fn count(&self, wanted: u8) -> u32 {
        let count = self.bytes.iter().filter(|byte| **byte == wanted).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// The state string of a venue in which every seat is free.
pub fn all_free(chart: &SeatChart) -> Vec<u8> {
    let mut bytes = vec![NO_SEAT; chart.slots() as usize];
    for seat in chart.seats() {
        bytes[seat.slot.0 as usize] = FREE;
    }
    for area in chart.areas() {
        let slots = area.slots();
        bytes[slots.start as usize..slots.end as usize].fill(FREE);
    }
    bytes
}

/// Shows locks in a state string. A lock on what is no seat is no lock.
pub fn show_locks(bytes: &mut [u8], locks: &[SeatLock]) {
    for lock in locks {
        if let Some(byte) = bytes.get_mut(lock.slot.0 as usize).filter(|byte| **byte != NO_SEAT) {
            *byte = lock.owner.byte();
        }
    }
}
