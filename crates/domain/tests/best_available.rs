//! The chooser against one that tries everything.
#![expect(clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use encore_domain::booking::best_available::{DISTANCE_MAX, Group, SeatOrder, SeatSearch};
use encore_domain::booking::seat_state::{SeatStatus, all_free};
use encore_domain::catalog::seat_chart::{Grade, PlannedRow, PlannedSeat, PlannedSection, SeatChart, Slot};
use proptest::prelude::*;
use proptest::sample::subsequence;

const GRADES: u16 = 3;
const PITCH: f64 = 1.0;
const AISLE: f64 = 3.0;

/// A venue as it was planned: for each seat, in the order of the chart, where it is.
#[derive(Clone, Debug)]
struct PerformanceContext {
    chart: SeatChart,
    places: Vec<Position>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Position {
    section: u16,
    row: usize,
    /// The side of an aisle.
    piece: usize,
    x: f64,
    y: f64,
}

/// What makes a block the best: whether it leaves a seat alone, its section, its distance, its first seat.
type Rank = (bool, usize, u64, usize);

/// A choice to be made in a venue in some state.
#[derive(Clone, Debug)]
struct Case {
    context: PerformanceContext,
    state: Vec<Option<SeatStatus>>,
    sections: Vec<u16>,
    grades: Vec<bool>,
    count: usize,
    allow_split: bool,
    /// How many of them must be accessible.
    accessible: usize,
}

/// Sections of rows of pieces, each piece a number of seats; at least two, so that an aisle is seen as one.
fn plans() -> impl Strategy<Value = Vec<Vec<Vec<usize>>>> {
    let row = prop::collection::vec(2_usize..8, 1..4);
    prop::collection::vec(prop::collection::vec(row, 1..5), 1..4)
}

fn context(plan: &[Vec<Vec<usize>>], grades: &[u16], accessible: &[bool]) -> PerformanceContext {
    let mut places = Vec::new();
    let mut grades = grades.iter().copied().cycle();
    let mut accessible = accessible.iter().copied().cycle();
    let mut sections = Vec::new();
    for (section, rows) in (0..).zip(plan) {
        let mut planned_rows = Vec::new();
        for (row, pieces) in rows.iter().enumerate() {
            let y = f64::from(u32::try_from(row).expect("few rows")) * 1.7;
            let mut seats = Vec::new();
            let mut x = f64::from(u32::try_from(row * 7 % 5).expect("small")) * 0.3;
            for (piece, length) in pieces.iter().enumerate() {
                for at in 0..*length {
                    x += if at == 0 && piece > 0 { AISLE } else { PITCH };
                    places.push(Position { section, row, piece, x, y });
                    let grade = grades.next().expect("an endless cycle");
                    let id = format!("{section}-{row}-{}", seats.len());
                    let accessible = accessible.next().expect("an endless cycle");
                    seats.push(PlannedSeat { id, number: seats.len().to_string(), grade, x, y, accessible });
                }
            }
            planned_rows.push(PlannedRow { label: row.to_string(), seats });
        }
        sections.push(PlannedSection { name: section.to_string(), rows: planned_rows, general_admission: None });
    }
    let grades = (0..GRADES).map(|grade| Grade { name: grade.to_string(), color: String::new() }).collect();
    PerformanceContext { chart: SeatChart::lay_out(sections, grades), places }
}

fn cases() -> impl Strategy<Value = Case> {
    let plan_and_sections = plans().prop_flat_map(|plan| {
        let sections: Vec<u16> = (0..).take(plan.len()).collect();
        let some = subsequence(sections, 1..=plan.len()).prop_shuffle();
        (Just(plan), some)
    });
    let grades = prop_oneof![Just(vec![0]), prop::collection::vec(0..GRADES, 1..40)];
    let allowed = prop_oneof![Just(vec![true; 3]), prop::collection::vec(any::<bool>(), 3)];
    let taken = prop_oneof![Just(0.0), 0.0..1.0];
    let group = prop_oneof![
        (1_usize..=8).prop_map(|count| (count, 0)),
        (1_usize..=8).prop_flat_map(|count| (Just(count), 0..=count.min(3))),
    ];
    let accessible = prop_oneof![Just(vec![false]), prop::collection::vec(prop::bool::weighted(0.2), 1..40)];
    (plan_and_sections, (grades, accessible), allowed, taken, any::<u64>(), group, any::<bool>()).prop_map(
        |((plan, sections), (grades, marked), allowed, taken, seed, (count, accessible), split)| {
            let context = context(&plan, &grades, &marked);
            let allow_split = split && accessible == 0;
            let state = occupied(&context.chart, taken, seed);
            Case { context, state, sections, grades: allowed, count, allow_split, accessible }
        },
    )
}

/// The state of a venue of which this share is taken.
fn occupied(chart: &SeatChart, share: f64, seed: u64) -> Vec<Option<SeatStatus>> {
    let mut dice = seed | 1;
    let mut state = all_free(chart);
    for status in state.iter_mut().flatten() {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let rolled = f64::from(u32::try_from(dice >> 32).expect("32 bits")) / f64::from(u32::MAX);
        if rolled < share {
            *status = if dice.is_multiple_of(3) { SeatStatus::Sold } else { SeatStatus::Held };
        }
    }
    state
}

impl Case {
    fn search(&self) -> Option<Vec<Slot>> {
        let chart = &self.context.chart;
        let group = Group { count: self.count, accessible: self.accessible };
        let order = SeatOrder::new(chart, &self.sections, group, |seat| self.grades[usize::from(seat.grade)]);
        let search = SeatSearch { order: Arc::new(order), count: self.count, allow_split: self.allow_split };
        search.choose(&self.state)
    }

    /// By trying every seat of every section as the first of a block.
    fn try_everything(&self) -> Option<Vec<Slot>> {
        let free = self.free_seats();
        if let Some((_, block)) = self.best_block(&free, self.count, &self.sections) {
            return Some(self.slots(&block));
        }
        let mut ways: Vec<Vec<usize>> = (1..self.count).rev().map(|a| vec![a, self.count - a]).collect();
        ways.retain(|way| way[0] >= way[1]);
        ways.sort_by_key(|way| way[0]);
        for parts in 3..=self.count {
            let (size, larger) = (self.count / parts, self.count % parts);
            ways.push((0..parts).map(|part| size + usize::from(part < larger)).collect());
        }
        let ways = ways.into_iter().filter(|_| self.allow_split);
        ways.flat_map(|way| self.sections.iter().map(move |section| (way.clone(), *section)))
            .find_map(|(way, section)| self.best_parts(free.clone(), &way, section))
    }

    fn best_parts(&self, mut free: BTreeSet<usize>, sizes: &[usize], section: u16) -> Option<Vec<Slot>> {
        let mut chosen = Vec::new();
        for size in sizes {
            let (_, block) = self.best_block(&free, *size, &[section])?;
            free.retain(|seat| !block.contains(seat));
            chosen.extend(block);
        }
        chosen.sort_unstable();
        Some(self.slots(&chosen))
    }

    fn best_block(&self, free: &BTreeSet<usize>, size: usize, sections: &[u16]) -> Option<(Rank, Vec<usize>)> {
        let seats = self.context.chart.seats();
        let may_choose = |seat: &usize| free.contains(seat) && self.grades[usize::from(seats[*seat].grade)];
        let blocks = (0..seats.len()).map(|first| (first..first + size).collect::<Vec<usize>>());
        let accessible = |block: &[usize]| block.iter().filter(|seat| seats[**seat].accessible).count();
        let blocks = blocks.filter(|block| {
            block.iter().all(may_choose)
                && block.windows(2).all(|pair| self.near(pair))
                && accessible(block) == self.accessible
        });
        let ranked = blocks.filter_map(|block| {
            let section = sections.iter().position(|section| *section == self.context.places[block[0]].section)?;
            let distance = block.iter().map(|seat| self.distance(*seat)).sum();
            Some(((self.leaves_an_orphan(free, &block), section, distance, block[0]), block))
        });
        ranked.min()
    }

    fn near(&self, pair: &[usize]) -> bool {
        let place = |seat: usize| self.context.places.get(seat).map(|it| (it.section, it.row, it.piece));
        pair[0] + 1 == pair[1] && place(pair[0]) == place(pair[1])
    }

    /// Whether somebody who had a free neighbour has none any more. Accessible seats are nobody's.
    fn leaves_an_orphan(&self, free: &BTreeSet<usize>, block: &[usize]) -> bool {
        let seats = self.context.chart.seats();
        let free: BTreeSet<usize> = free.iter().copied().filter(|seat| !seats[*seat].accessible).collect();
        let left: BTreeSet<usize> = free.iter().copied().filter(|seat| !block.contains(seat)).collect();
        let alone = |seat: usize, free: &BTreeSet<usize>| {
            let before = seat > 0 && free.contains(&(seat - 1)) && self.near(&[seat - 1, seat]);
            let after = free.contains(&(seat + 1)) && self.near(&[seat, seat + 1]);
            !before && !after
        };
        left.iter().any(|seat| alone(*seat, &left) && !alone(*seat, &free))
    }

    /// From the middle of the front row, in millionths of the farthest of the section.
    fn distance(&self, seat: usize) -> u64 {
        let places = &self.context.places;
        let of_section = || places.iter().filter(|place| place.section == places[seat].section);
        let front: Vec<&Position> = of_section().filter(|place| place.row == 0).collect();
        let count = f64::from(u32::try_from(front.len()).expect("a short row"));
        let (x, y) =
            (front.iter().map(|it| it.x).sum::<f64>() / count, front.iter().map(|it| it.y).sum::<f64>() / count);
        let far = |place: &Position| (place.x - x).hypot(place.y - y);
        let farthest = of_section().map(far).fold(0.0, f64::max);
        let millionths = (far(&places[seat]) / farthest * f64::from(DISTANCE_MAX)).round();
        format!("{millionths}").parse().expect("a whole number")
    }

    fn free_seats(&self) -> BTreeSet<usize> {
        let seats = self.context.chart.seats().iter().enumerate();
        seats.filter(|(_, seat)| self.state[seat.slot.0 as usize] == Some(SeatStatus::Free)).map(|(at, _)| at).collect()
    }

    fn slots(&self, seats: &[usize]) -> Vec<Slot> {
        seats.iter().map(|seat| self.context.chart.seats()[*seat].slot).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_choice_is_the_best_of_all(case in cases()) {
        prop_assert_eq!(case.search(), case.try_everything());
    }

    #[test]
    fn none_is_answered_only_when_there_is_none(case in cases()) {
        let free = case.free_seats();
        let seats = case.context.chart.seats();
        let fits = |section: &u16| {
            let of_section = free.iter().filter(|seat| case.context.places[**seat].section == *section);
            let ordinary = of_section.filter(|seat| !seats[**seat].accessible);
            ordinary.filter(|seat| case.grades[usize::from(seats[**seat].grade)]).count() >= case.count
        };
        let split = Case { allow_split: true, accessible: 0, ..case.clone() };
        prop_assert_eq!(split.search().is_some(), case.sections.iter().any(fits));
    }

    #[test]
    fn a_choice_is_free_wanted_and_of_one_section(case in cases()) {
        let Some(chosen) = case.search() else { return Ok(()) };
        prop_assert_eq!(chosen.len(), case.count);
        prop_assert!(chosen.is_sorted_by(|a, b| a < b), "in order, none twice: {:?}", chosen);
        let chart = &case.context.chart;
        let mut sections = BTreeSet::new();
        let accessible = chosen.iter().filter_map(|slot| chart.seat_at(*slot)).filter(|seat| seat.accessible).count();
        prop_assert_eq!(accessible, case.accessible, "kept for those who ask, and given to all who do");
        for slot in &chosen {
            let seat = chart.seat_at(*slot).expect("a seat");
            prop_assert_eq!(case.state[slot.0 as usize], Some(SeatStatus::Free));
            prop_assert!(case.grades[usize::from(seat.grade)]);
            sections.insert(chart.row_of(seat).section);
        }
        prop_assert!(sections.len() == 1 && sections.iter().all(|section| case.sections.contains(section)));
    }
}
