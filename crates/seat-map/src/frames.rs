//! What watchers of seats are sent: for each seat its index in the chart and its status, packed, and for each general admission
//! area how many units are left.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use encore_domain::booking::seat_state::{SeatState, SeatStatus};
use encore_domain::catalog::seat_chart::{Seat, SeatChart, Slot};

/// How many bits a status takes.
const STATUS_BITS: usize = 2;
/// How many statuses a byte holds.
const STATUSES_PER_BYTE: usize = 8 / STATUS_BITS;

/// A frame with the version of the state that a watcher has after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedSeats {
    /// See [`SeatState::version`].
    pub version: u64,
    /// What is sent.
    pub frame: SeatFrame,
}

/// One message to a watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatFrame {
    /// All watched seats and areas.
    Snapshot(Vec<SeatRange>, Arc<[AreaLeft]>),
    /// The watched seats and areas that have changed.
    Delta(Changes),
    /// Nothing has changed.
    Heartbeat,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The seats, each as `index * 4 + status`, by index.
    pub seats: Arc<[u32]>,
    /// The general admission areas, in the order of the chart.
    pub areas: Arc<[AreaLeft]>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.seats.is_empty() && self.areas.is_empty()
    }
}

/// How many units of a general admission area are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AreaLeft {
    /// Its index among the areas of the chart.
    pub area: u32,
    /// How many of its units are free.
    pub left: u32,
}

/// The statuses of consecutive seats of the chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatRange {
    /// The index of the first seat.
    pub first: u32,
    /// How many seats.
    pub seats: u32,
    /// Two bits each, the first in the lowest bits of the first byte.
    pub statuses: Arc<[u8]>,
}

/// Which seats are watched, by index in the chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All.
    Whole,
    /// Those of some sections.
    Sections {
        /// Their seats, as ranges that do not touch.
        seats: Arc<[Range<u32>]>,
        /// The indices of their areas.
        areas: Arc<[u32]>,
    },
}

impl Part {
    /// The seats of these sections; all seats if no section is named.
    pub(crate) fn of(chart: &SeatChart, sections: &HashSet<String>) -> Self {
        if sections.is_empty() {
            return Self::Whole;
        }
        let mut ranges: Vec<Range<u32>> = Vec::new();
        for (index, seat) in (0..).zip(chart.seats()) {
            if !sections.contains(&chart.section_of(seat).name) {
                continue;
            }
            match ranges.last_mut() {
                Some(range) if range.end == index => range.end += 1,
                _ => ranges.push(index..index + 1),
            }
        }
        let areas = (0..).zip(chart.areas()).filter(|(_, area)| sections.contains(chart.name_of(area)));
        Self::Sections { seats: ranges.into(), areas: areas.map(|(index, _)| index).collect() }
    }

    /// How many of the venue's seats are watched.
    pub(crate) fn seats(&self, venue_seats: usize) -> usize {
        match self {
            Self::Whole => venue_seats,
            Self::Sections { seats, .. } => seats.iter().map(ExactSizeIterator::len).sum(),
        }
    }

    /// The changes of what is watched.
    pub(crate) fn of_changes(&self, changes: &Changes) -> Changes {
        match self {
            Self::Whole => changes.clone(),
            Self::Sections { seats, areas } => {
                let watched = |change: &&u32| seats.iter().any(|range| range.contains(&(**change >> STATUS_BITS)));
                Changes {
                    seats: changes.seats.iter().filter(watched).copied().collect(),
                    areas: changes.areas.iter().filter(|left| areas.contains(&left.area)).copied().collect(),
                }
            }
        }
    }
}

/// The statuses of the seats, and the counts of the areas, at these slots. An area is named by its first slot.
pub(crate) fn changes(chart: &SeatChart, state: &SeatState, slots: &[Slot]) -> Changes {
    Changes {
        seats: slots.iter().filter_map(|slot| change(chart, state, *slot)).collect(),
        areas: areas_left(chart, state, slots.iter().filter_map(|slot| chart.area_index(*slot))),
    }
}

/// How many units are left of the areas with these indices.
pub(crate) fn areas_left(chart: &SeatChart, state: &SeatState, areas: impl Iterator<Item = usize>) -> Arc<[AreaLeft]> {
    let left = |index: usize| {
        let area = u32::try_from(index).unwrap_or(u32::MAX);
        AreaLeft { area, left: state.free_units(&chart.areas()[index]) }
    };
    areas.map(left).collect()
}

/// The index of the seat at a slot with its status, packed; none if the slot is no seat.
fn change(chart: &SeatChart, state: &SeatState, slot: Slot) -> Option<u32> {
    let index = u32::try_from(chart.place_of(slot)?).ok()?;
    Some(index << STATUS_BITS | u32::from(status_bits(state, slot)))
}

/// The statuses of consecutive seats, packed.
pub(crate) fn range(chart: &SeatChart, state: &SeatState, indices: Range<u32>) -> SeatRange {
    let seats = chart.seats().get(indices.start as usize..indices.end as usize).unwrap_or_default();
    let pack = |four: &[Seat]| {
        (0..)
            .step_by(STATUS_BITS)
            .zip(four)
            .fold(0, |byte, (shift, seat)| byte | status_bits(state, seat.slot) << shift)
    };
    let statuses = seats.chunks(STATUSES_PER_BYTE).map(pack).collect();
    SeatRange { first: indices.start, seats: u32::try_from(seats.len()).unwrap_or(u32::MAX), statuses }
}

/// The lowest two bits of the numbers of `encore.catalog.v1.SeatStatus`.
fn status_bits(state: &SeatState, slot: Slot) -> u8 {
    match state.status(slot) {
        None | Some(SeatStatus::Blocked) => 0,
        Some(SeatStatus::Free) => 1,
        Some(SeatStatus::Held) => 2,
        Some(SeatStatus::Sold) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encore_domain::booking::seat_state::all_free;
    use encore_port_tests::fixtures::{festival_chart, slots, small_chart};

    fn state(chart: &SeatChart, seats: &[(usize, SeatStatus)]) -> SeatState {
        let mut statuses = all_free(chart);
        for (seat, status) in seats {
            statuses[slots(&[*seat])[0].0 as usize] = Some(*status);
        }
        SeatState { statuses, version: 1 }
    }

    /// The status of a seat of a range, decoded as the API documents it.
    fn read(range: &SeatRange, seat: usize) -> u8 {
        (range.statuses[seat / 4] >> (seat % 4 * 2)) & 3
    }

    #[test]
    fn a_byte_holds_four_seats() {
        let chart = small_chart();
        let state = state(
            &chart,
            &[(1, SeatStatus::Held), (2, SeatStatus::Sold), (4, SeatStatus::Blocked), (25, SeatStatus::Held)],
        );
        let whole = range(&chart, &state, 0..26);
        assert_eq!((whole.first, whole.seats, whole.statuses.len()), (0, 26, 7));
        let read: Vec<u8> = (0..26).map(|seat| read(&whole, seat)).collect();
        assert_eq!(read[..4], [1, 2, 3, 1]);
        assert_eq!(read[25], 2);
        assert_eq!(read[4], 0);
        assert!(read[5..25].iter().all(|status| *status == 1));
    }

    #[test]
    fn a_part_has_the_seats_of_its_sections_and_no_others() {
        let chart = small_chart();
        let part = Part::of(&chart, &HashSet::from(["Balcony".to_owned()]));
        let seats = std::iter::once(13..26).collect();
        assert_eq!(part, Part::Sections { seats, areas: [].into() });
        assert_eq!((part.seats(26), Part::of(&chart, &HashSet::new()).seats(26)), (13, 26));
        let state = state(&chart, &[(12, SeatStatus::Sold), (13, SeatStatus::Sold), (14, SeatStatus::Free)]);
        let changes = changes(&chart, &state, &slots(&[12, 13, 14]));
        assert_eq!(*part.of_changes(&changes).seats, [13 * 4 + 3, 14 * 4 + 1]);
    }

    #[test]
    fn a_changed_area_is_sent_with_its_free_units() {
        let chart = festival_chart(300);
        let [floor, pit] = [chart.areas()[0], chart.areas()[1]];
        let mut statuses = all_free(&chart);
        statuses[floor.first.0 as usize + 299] = Some(SeatStatus::Held);
        statuses[pit.first.0 as usize..][..5].fill(Some(SeatStatus::Sold));
        let state = SeatState { statuses, version: 1 };
        let left = |area, left| AreaLeft { area, left };
        let seat = slots(&[2])[0];
        let all = changes(&chart, &state, &[seat, floor.first, pit.first]);
        assert_eq!((&*all.seats, &*all.areas), (&[2 * 4 + 1][..], &[left(0, 299), left(1, 7)][..]));
        let part = Part::of(&chart, &HashSet::from(["Pit".to_owned()]));
        let some = part.of_changes(&all);
        assert_eq!((&*some.seats, &*some.areas), (&[][..], &[left(1, 7)][..]));
        assert!(part.of_changes(&changes(&chart, &state, &[seat, floor.first])).is_empty());
    }
}
