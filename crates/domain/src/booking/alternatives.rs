//! Alternatives to seats that are taken, and orphan seats.

use std::sync::Arc;

use crate::booking::best_available::{Group, SeatOrder, SeatSearch};
use crate::booking::seat_state::{SeatStatus, is_free};
use crate::catalog::seat_chart::{SeatChart, Slot};

/// The most alternatives that are offered. A phone shows this many on one screen.
pub const ALTERNATIVES_MAX: usize = 3;

/// Whether a hold may leave orphan seats: free seats that had a free neighbour and have none any more. Accessible seats are
/// neither: they are not sold to those who would sit beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// It may.
    Allow,
    /// It is refused if it would.
    Prevent {
        /// The accessible seats among the wanted seats, and among those up to two seats beside them, in order.
        accessible: Vec<Slot>,
    },
}

impl Orphans {
    /// A hold of these seats is refused if it would leave orphan seats.
    pub fn prevent(chart: &SeatChart, wanted: &[Slot]) -> Self {
        let near = wanted.iter().flat_map(|slot| slot.0.saturating_sub(2)..=slot.0.saturating_add(2));
        let is_accessible = |slot: &Slot| chart.seat_at(*slot).is_some_and(|seat| seat.accessible);
        let mut accessible: Vec<Slot> = near.map(Slot).filter(is_accessible).collect();
        accessible.sort_unstable();
        accessible.dedup();
        Self::Prevent { accessible }
    }

    /// The orphan seats that taking these seats would leave and that this does not allow; see [`orphan_seats`].
    pub fn left_by(&self, state: &[Option<SeatStatus>], wanted: &[Slot]) -> Vec<Slot> {
        match self {
            Self::Allow => vec![],
            Self::Prevent { accessible } => orphan_seats(state, wanted, accessible),
        }
    }
}

/// Free blocks of the same size as the wanted seats, of the same grades and with as many accessible seats, the nearest first.
/// Blocks that leave no orphan seat come before those that do. No seat is in two of them.
pub fn alternatives(chart: &SeatChart, state: &[Option<SeatStatus>], wanted: &[Slot]) -> Vec<Vec<Slot>> {
    let seats: Vec<_> = wanted.iter().filter_map(|slot| chart.seat_at(*slot)).collect();
    let accessible = seats.iter().filter(|seat| seat.accessible).count();
    let group = Group { count: wanted.len(), accessible };
    let order = SeatOrder::around(chart, &seats, group, |seat| seats.iter().any(|wanted| wanted.grade == seat.grade));
    let search = SeatSearch { order: Arc::new(order), count: wanted.len(), allow_split: false };
    let mut left = state.to_vec();
    let mut alternatives = Vec::with_capacity(ALTERNATIVES_MAX);
    while alternatives.len() < ALTERNATIVES_MAX
        && let Some(block) = search.choose(&left)
    {
        for slot in &block {
            left[slot.0 as usize] = Some(SeatStatus::Held);
        }
        alternatives.push(block);
    }
    alternatives
}

/// The orphan seats that taking these seats would leave: free seats that have a free neighbour now and would have none then. They
/// are in the order of their slots. The accessible seats beside them count neither as orphans nor as neighbours.
pub fn orphan_seats(state: &[Option<SeatStatus>], taken: &[Slot], accessible: &[Slot]) -> Vec<Slot> {
    let free = |slot: Slot| is_free(state, slot.0 as usize) && !taken.contains(&slot) && !accessible.contains(&slot);
    let before = |slot: Slot| slot.0.checked_sub(1).map(Slot);
    let after = |slot: Slot| slot.0.checked_add(1).map(Slot);
    let alone = |slot: &Slot| free(*slot) && ![before(*slot), after(*slot)].into_iter().flatten().any(free);
    let ordinary = taken.iter().filter(|slot| !accessible.contains(slot));
    let neighbours = ordinary.flat_map(|slot| [before(*slot), after(*slot)]).flatten();
    let mut alone: Vec<Slot> = neighbours.filter(alone).collect();
    alone.sort_unstable();
    alone.dedup();
    alone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::booking::seat_state::all_free;
    use crate::booking::seat_state::written::statuses;
    use crate::catalog::seat_chart::{Grade, PlannedRow, PlannedSeat, PlannedSection};

    /// Two sections side by side, each of two rows of six: slots 0 to 5 and 7 to 12, then 14 to 19 and 21 to 26. The last two
    /// seats of every row are of another grade.
    fn chart() -> SeatChart {
        let section = |section: u32| PlannedSection {
            name: section.to_string(),
            rows: (0..2).map(|n| row(section, n)).collect(),
            general_admission: None,
        };
        let grade = |name: &str| Grade { name: name.into(), color: String::new() };
        SeatChart::lay_out((0..2).map(section).collect(), vec![grade("Gold"), grade("Tin")])
    }

    fn row(section: u32, row: u32) -> PlannedRow {
        let seat = |number: u32| PlannedSeat {
            id: format!("{section}-{row}-{number}"),
            number: number.to_string(),
            grade: u16::from(number >= 4),
            x: f64::from(section * 10 + number),
            y: f64::from(row),
            accessible: false,
        };
        PlannedRow { label: row.to_string(), seats: (0..6).map(seat).collect() }
    }

    fn slots(slots: &[u32]) -> Vec<Slot> {
        slots.iter().copied().map(Slot).collect()
    }

    #[test]
    fn the_nearest_of_the_same_grade_are_offered() {
        let chart = chart();
        let mut state = all_free(&chart);
        state[1] = Some(SeatStatus::Held);
        // Behind the wanted seats, beside them, and in the next section; never the other grade.
        let found = alternatives(&chart, &state, &slots(&[0, 1]));
        assert_eq!(found, [slots(&[7, 8]), slots(&[2, 3]), slots(&[9, 10])]);
        state[2] = Some(SeatStatus::Held);
        state[9] = Some(SeatStatus::Held);
        let found = alternatives(&chart, &state, &slots(&[0, 1]));
        assert_eq!(found, [slots(&[7, 8]), slots(&[14, 15]), slots(&[21, 22])]);
        let found = alternatives(&chart, &all_free(&chart), &slots(&[4, 5]));
        assert_eq!(found[..2], [slots(&[4, 5]), slots(&[11, 12])], "free seats are no worse for being wanted");
        assert_eq!(alternatives(&chart, &state, &slots(&[0, 1, 2, 3, 4, 5, 7])), Vec::<Vec<Slot>>::new());
    }

    #[test]
    fn accessible_seats_are_offered_for_accessible_seats_only() {
        let mut seats = chart().seats().to_vec();
        for seat in seats.iter_mut().filter(|seat| [2, 8, 9].contains(&seat.slot.0)) {
            seat.accessible = true;
        }
        let (sections, rows, grades) =
            (chart().sections().to_vec(), chart().rows().to_vec(), chart().grades().to_vec());
        let chart = SeatChart::from_parts(sections, rows, grades, seats, vec![]);
        let mut state = all_free(&chart);
        state[0] = Some(SeatStatus::Held);
        let found = alternatives(&chart, &state, &slots(&[0, 1]));
        assert_eq!(found[0], slots(&[14, 15]), "{found:?}");
        assert!(found.iter().flatten().all(|slot| ![2, 8, 9].contains(&slot.0)), "{found:?}");
        state[2] = Some(SeatStatus::Held);
        // One of two is accessible: so is one of each that is offered.
        assert_eq!(alternatives(&chart, &state, &slots(&[1, 2])), [slots(&[7, 8]), slots(&[9, 10])]);
    }

    #[test]
    fn one_that_leaves_nobody_alone_is_offered_before_a_nearer_one() {
        let chart = chart();
        let mut state = all_free(&chart);
        state[0] = Some(SeatStatus::Held);
        state[7..13].fill(Some(SeatStatus::Held));
        // Next to the wanted seat are three free ones of its grade and two of the other, so that all may be parted well.
        assert_eq!(alternatives(&chart, &state, &slots(&[0]))[0], slots(&[1]));
        state[4] = Some(SeatStatus::Held);
        // Now 1, 2 and 3: taking 2 would leave two alone, taking 1 or 3 nobody.
        assert_eq!(alternatives(&chart, &state, &slots(&[0]))[0], slots(&[1]));
        state[3] = Some(SeatStatus::Held);
        // Now 1 and 2: whichever is taken, the other is alone. The next section is far, and has room.
        assert_eq!(alternatives(&chart, &state, &slots(&[0]))[0], slots(&[14]));
    }

    #[test]
    fn seats_are_left_alone_by_a_choice_only() {
        assert_eq!(orphan_seats(&statuses("aaaaa"), &slots(&[1]), &[]), slots(&[0]));
        assert_eq!(orphan_seats(&statuses("aaaaa"), &slots(&[0, 1]), &[]), []);
        assert_eq!(orphan_seats(&statuses("aaaaa"), &slots(&[1, 3]), &[]), slots(&[0, 2, 4]));
        assert_eq!(orphan_seats(&statuses("aaha_aa"), &slots(&[0]), &[]), slots(&[1]));
        assert_eq!(orphan_seats(&statuses("aaha_aa"), &slots(&[0, 1]), &[]), [], "the seat at 3 was alone before");
        assert_eq!(orphan_seats(&statuses("a_a"), &slots(&[0]), &[]), []);
    }

    #[test]
    fn accessible_seats_are_neither_orphans_nor_neighbours() {
        // A row of five whose first and last seats are accessible.
        let ends = slots(&[0, 4]);
        let left = |state, taken: &[u32]| orphan_seats(&statuses(state), &slots(taken), &ends);
        assert_eq!(left("aaaaa", &[1, 2, 3]), [], "the accessible seats stay, and nobody is alone");
        assert_eq!(left("aaaaa", &[2, 3]), slots(&[1]), "its neighbour at the end is not for companions of a fan");
        assert_eq!(left("aaaaa", &[1]), []);
        assert_eq!(left("aahaa", &[0]), [], "the seat beside it had no neighbour before");
    }

    #[test]
    fn the_accessible_seats_near_the_wanted_ones_are_handed_in() {
        let mut seats = chart().seats().to_vec();
        for seat in seats.iter_mut().filter(|seat| [0, 1, 4, 5, 7].contains(&seat.slot.0)) {
            seat.accessible = true;
        }
        let (sections, rows, grades) =
            (chart().sections().to_vec(), chart().rows().to_vec(), chart().grades().to_vec());
        let chart = SeatChart::from_parts(sections, rows, grades, seats, vec![]);
        assert_eq!(Orphans::prevent(&chart, &slots(&[3])), Orphans::Prevent { accessible: slots(&[1, 4, 5]) });
        assert_eq!(Orphans::prevent(&chart, &slots(&[0, 1])), Orphans::Prevent { accessible: slots(&[0, 1]) });
        let state = all_free(&chart);
        assert_eq!(Orphans::prevent(&chart, &slots(&[3])).left_by(&state, &slots(&[3])), slots(&[2]));
        assert_eq!(Orphans::Allow.left_by(&state, &slots(&[3])), []);
    }
}
