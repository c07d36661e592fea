//! Seats that operators block from sale: house seats, seats for sponsors, broken seats.
//!
//! A block is a claim without a deadline, so a seat still has one owner at most. A seat that a fan holds or bought cannot be blocked,
//! and a blocked seat cannot be held. Only operators unblock seats.

use std::borrow::Cow;

use thiserror::Error;

use crate::booking::HoldRefusal;
use crate::catalog::seat_chart::{CHART_NAME_MAX_LEN, SeatChart, Slot, chart_name};
use crate::ids::{BlockId, PerformanceId, UserId};
use crate::text::words;
use crate::time::Timestamp;

/// The most seats that one call blocks or unblocks. It is the size of a section, and keeps the transaction short.
pub const BLOCK_SEATS_MAX: usize = 1_000;
/// The longest reason, in characters.
pub const REASON_MAX_CHARS: usize = 200;

/// The reason of a block, as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockReason(String);

/// The text cannot be a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to {REASON_MAX_CHARS} characters without control, invisible or unassigned characters")]
pub struct NotAReason;

impl BlockReason {
    /// Reads a reason, [`normalized`](crate::text::normalized).
    pub fn parse(text: &str) -> Result<Self, NotAReason> {
        words(text, REASON_MAX_CHARS).map(Self).ok_or(NotAReason)
    }

    /// The reason.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A block of seats by an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatBlock {
    /// Made for this block.
    pub id: BlockId,
    /// Of what.
    pub performance: PerformanceId,
    /// Who did it.
    pub operator: UserId,
    /// Why.
    pub reason: BlockReason,
    /// Which seats, in order: at least one, at most [`BLOCK_SEATS_MAX`].
    pub slots: Vec<Slot>,
    /// When.
    pub at: Timestamp,
}

/// Blocked seats that an operator unblocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatUnblock {
    /// Made for this.
    pub id: BlockId,
    /// Of what.
    pub performance: PerformanceId,
    /// Who did it.
    pub operator: UserId,
    /// Which seats, in order: at least one, at most [`BLOCK_SEATS_MAX`].
    pub slots: Vec<Slot>,
    /// When.
    pub at: Timestamp,
}

/// A seat that is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedSeat {
    /// Which.
    pub slot: Slot,
    /// What blocked it last.
    pub block: BlockId,
    /// Why.
    pub reason: BlockReason,
    /// Who did it.
    pub operator: UserId,
    /// When.
    pub at: Timestamp,
}

/// Why seats were not blocked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlockRefusal {
    /// Fans hold or bought these.
    #[error("some seats are held or sold")]
    SeatsTaken {
        /// Which, in order.
        slots: Vec<Slot>,
    },
}

/// Why seats were not unblocked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnblockRefusal {
    /// These are not blocked.
    #[error("some seats are not blocked")]
    NotBlocked {
        /// Which, in order.
        slots: Vec<Slot>,
    },
}

/// The seats that an operator names: 1 to [`BLOCK_SEATS_MAX`]. Duplicates count once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatList(Vec<String>);

/// One thing wrong with a list of seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotASeatList {
    /// None, or too many.
    #[error("must name 1 to {BLOCK_SEATS_MAX} seats")]
    Length,
    /// The name at this index is not one that a seat can have.
    #[error("must be 1 to {CHART_NAME_MAX_LEN} bytes without control, invisible or unassigned characters")]
    NotAName {
        /// Where in the list.
        index: usize,
    },
}

impl SeatList {
    /// Checks a list of seat ids; the first thing wrong with it is reported.
    pub fn parse(seat_ids: Vec<String>) -> Result<Self, NotASeatList> {
        if !(1..=BLOCK_SEATS_MAX).contains(&seat_ids.len()) {
            return Err(NotASeatList::Length);
        }
        let name = |(index, seat_id): (usize, String)| {
            chart_name(&seat_id).map(Cow::into_owned).ok_or(NotASeatList::NotAName { index })
        };
        seat_ids.into_iter().enumerate().map(name).collect::<Result<_, _>>().map(Self)
    }

    /// The seats of a venue that are named, in the order of their slots, each once.
    pub fn slots(&self, chart: &SeatChart) -> Result<Vec<Slot>, HoldRefusal> {
        let (known, unknown): (Vec<_>, Vec<_>) = self.0.iter().partition(|seat_id| chart.seat(seat_id).is_some());
        if !unknown.is_empty() {
            return Err(HoldRefusal::UnknownSeats { seat_ids: unknown.into_iter().cloned().collect() });
        }
        let mut slots: Vec<Slot> = known.into_iter().filter_map(|id| chart.seat(id)).map(|seat| seat.slot).collect();
        slots.sort_unstable();
        slots.dedup();
        Ok(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_some_words() {
        assert_eq!(BlockReason::parse("  house seats ").as_ref().map(BlockReason::as_str), Ok("house seats"));
        assert!(BlockReason::parse(&"ü".repeat(REASON_MAX_CHARS)).is_ok());
        for text in ["", "  ", "two\nlines", &"x".repeat(REASON_MAX_CHARS + 1)] {
            assert_eq!(BlockReason::parse(text), Err(NotAReason), "{text:?}");
        }
    }

    #[test]
    fn a_list_of_seats_is_neither_empty_nor_endless() {
        let ids = |count: usize| (0..count).map(|n| format!("A-{n}")).collect::<Vec<_>>();
        assert_eq!(SeatList::parse(vec![]), Err(NotASeatList::Length));
        assert_eq!(SeatList::parse(ids(BLOCK_SEATS_MAX + 1)), Err(NotASeatList::Length));
        assert!(SeatList::parse(ids(BLOCK_SEATS_MAX)).is_ok());
        let long = "x".repeat(CHART_NAME_MAX_LEN + 1);
        assert_eq!(SeatList::parse(vec!["A-1".into(), long]), Err(NotASeatList::NotAName { index: 1 }));
    }
}
