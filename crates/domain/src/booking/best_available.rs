//! Best available: choosing seats for a fan who names none.
//!
//! **Neighbours** are seats with consecutive slots. [`SeatChart::lay_out`](crate::catalog::seat_chart::SeatChart::lay_out) leaves a
//! slot empty between two rows, and where the plan shows an aisle. Seat numbers are not used, because many venues number odd and
//! even seats on different sides.
//!
//! **The focal point** of a section is the first that is known: its own, that of the plan, the middle of the stage that the plan
//! draws, and otherwise the centroid of its front row. The front row is then the uppermost of the drawing, since plans are drawn
//! with the stage at the top; in a plan without coordinates, it is the first row of the plan. Distances from the focal point are
//! integers, in millionths of the distance of the farthest seat of the section, so that every store computes the same sums.
//!
//! **The best block** is chosen by these criteria, in this order: it leaves no orphan seat; its section is the earliest, in the
//! order of the seat request or else of [`sections_by_preference`]; the sum of its distances is the least; its first slot is the
//! lowest. An accessible seat is no orphan and no neighbour of one, as in [`orphan_seats`](crate::booking::alternatives::orphan_seats).
//!
//! **Accessible seats** are chosen only on request. A block has exactly as many of them as are wanted, and its other seats are
//! ordinary, so that a fan in a wheelchair sits with companions. The stretches are computed so that every block within a stretch
//! satisfies this; see [`Group`].
//!
//! **A split** is made only where the seat request allows it and no block is free. All parts are in one section. There are as few
//! parts as possible, and their sizes are as even as possible. Each part is the best block that is left, the largest first. The
//! smallest part is a single seat, so "none" means that no section has enough free seats that the request may use.

use std::sync::Arc;

use crate::booking::seat_state::{SeatStatus, is_free};
use crate::catalog::drawing::Point;
use crate::catalog::seat_chart::{Seat, SeatChart, Slot};

/// The distance of the farthest seat of a section from its focal point. The sum over a hold fits into a double and a `u32`.
pub const DISTANCE_MAX: u32 = 1_000_000;

/// Seats of one row with consecutive slots, all of which may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first slot.
    pub first: Slot,
    /// Its last slot.
    pub last: Slot,
    /// The distance of its nearest seat. No block in it has a lower sum than this times the size of the block.
    pub nearest: u32,
}

/// The seats that may be chosen, in the order of the search. It contains every seat that may be chosen, free or not, so it never
/// causes a false refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatOrder {
    /// The stretches of each section. Sections are in the order of preference, and stretches by distance.
    pub sections: Vec<Vec<Stretch>>,
    /// The distance of each seat, by slot; see [`focal_distances`], which are the same for every order of a venue.
    pub distances: Vec<u32>,
    /// Whether each seat is accessible, by slot.
    pub accessible: Vec<bool>,
}

/// A group that wants to sit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// How many in all.
    pub count: usize,
    /// How many of them need an accessible seat.
    pub accessible: usize,
}

/// A search for free seats.
#[derive(Clone, Debug)]
pub struct SeatSearch {
    /// Which seats may be chosen.
    pub order: Arc<SeatOrder>,
    /// How many seats.
    pub count: usize,
    /// Whether they may be split into several blocks.
    pub allow_split: bool,
}

/// A free block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    distance: u32,
    first: usize,
}

/// The distances of the seats from the focal points of their sections, by slot; 0 where there is no seat.
pub fn focal_distances(chart: &SeatChart) -> Vec<u32> {
    let mut distances = vec![0; chart.seat_slots() as usize];
    let (of_plan, of_sections) = (plan_focal_point(chart), &chart.focal_points().sections);
    for seats in chart.seats().chunk_by(|a, b| chart.row_of(a).section == chart.row_of(b).section) {
        let own = of_sections.get(&chart.row_of(&seats[0]).section).copied();
        let focal = own.or(of_plan).unwrap_or_else(|| middle_of_front_row(seats));
        measure(&mut distances, seats.iter(), focal);
    }
    distances
}

/// The focal point of the whole plan; none if it has none and draws no stage.
fn plan_focal_point(chart: &SeatChart) -> Option<Point> {
    chart.focal_points().plan.or_else(|| chart.drawing().stage())
}

/// The middle of the uppermost row of a section; of several, the first of the plan.
fn middle_of_front_row(seats: &[Seat]) -> Point {
    let rows = seats.chunk_by(|a, b| a.row == b.row).map(|row| Point::centroid(row.iter().map(Seat::position)));
    rows.reduce(|front, row| if row.y < front.y { row } else { front }).unwrap_or_default()
}

/// All sections, the preferred first: those with the nearest seats to the focal point of the plan. Without one, they are in the
/// order of the plan.
pub fn sections_by_preference(chart: &SeatChart) -> Vec<u16> {
    let sections = (0..).zip(chart.sections()).map(|(section, _)| section);
    let Some(focal) = plan_focal_point(chart) else { return sections.collect() };
    let mut nearest = vec![f64::INFINITY; chart.sections().len()];
    for seat in chart.seats() {
        let nearest = &mut nearest[usize::from(chart.row_of(seat).section)];
        *nearest = nearest.min(seat.position().distance(focal));
    }
    let mut sections: Vec<u16> = sections.collect();
    sections.sort_by(|a, b| nearest[usize::from(*a)].total_cmp(&nearest[usize::from(*b)]));
    sections
}

/// Writes the distances of seats from a point, in millionths of that of the farthest.
fn measure<'s>(distances: &mut [u32], seats: impl Iterator<Item = &'s Seat> + Clone, focal: Point) {
    let farthest = seats.clone().map(|seat| seat.position().distance(focal)).fold(0.0, f64::max);
    for seat in seats {
        let share = if farthest > 0.0 { seat.position().distance(focal) / farthest } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and DISTANCE_MAX")]
        let distance = (share * f64::from(DISTANCE_MAX)).round() as u32;
        distances[seat.slot.0 as usize] = distance;
    }
}

/// Whether each seat of a venue is accessible, by slot.
fn accessible_seats(chart: &SeatChart) -> Vec<bool> {
    let mut accessible = vec![false; chart.seat_slots() as usize];
    for seat in chart.seats() {
        accessible[seat.slot.0 as usize] = seat.accessible;
    }
    accessible
}

impl SeatOrder {
    /// The order for a group, of these sections. If the group needs accessible seats, the order is valid for a group of this size
    /// only, in one block.
    pub fn new(chart: &SeatChart, sections: &[u16], group: Group, may_choose: impl Fn(&Seat) -> bool) -> Self {
        let distances = focal_distances(chart);
        let mut by_section = vec![Vec::new(); chart.sections().len()];
        for (section, stretch) in stretches(chart, &distances, group, may_choose) {
            by_section[usize::from(section)].push(stretch);
        }
        for stretches in &mut by_section {
            nearest_first(stretches);
        }
        let wanted = sections.iter().map(|section| std::mem::take(&mut by_section[usize::from(*section)]));
        let sections = wanted.filter(|stretches| !stretches.is_empty()).collect();
        Self { sections, distances, accessible: accessible_seats(chart) }
    }

    /// The order of the whole venue, by the distance from the centroid of these seats.
    pub fn around(chart: &SeatChart, seats: &[&Seat], group: Group, may_choose: impl Fn(&Seat) -> bool) -> Self {
        let mut distances = vec![0; chart.seat_slots() as usize];
        let middle = Point::centroid(seats.iter().map(|seat| seat.position()));
        measure(&mut distances, chart.seats().iter(), middle);
        let mut all: Vec<Stretch> =
            stretches(chart, &distances, group, may_choose).map(|(_, stretch)| stretch).collect();
        nearest_first(&mut all);
        Self { sections: vec![all], distances, accessible: accessible_seats(chart) }
    }
}

/// The stretches of seats that may be chosen, each with its section, in the order of the venue. Every block of a stretch that is as
/// large as the group has as many accessible seats as the group needs, and there is no other such block.
fn stretches(
    chart: &SeatChart,
    distances: &[u32],
    group: Group,
    may_choose: impl Fn(&Seat) -> bool,
) -> impl Iterator<Item = (u16, Stretch)> {
    let choosable = |seat: &&Seat| may_choose(seat) && (group.accessible > 0 || !seat.accessible);
    let allowed: Vec<&Seat> = chart.seats().iter().filter(choosable).collect();
    let pieces = allowed.chunk_by(|a, b| a.slot.0 + 1 == b.slot.0).flat_map(|piece| {
        let ranges = if group.accessible == 0 { vec![(0, piece.len() - 1)] } else { ranges_with(piece, group) };
        ranges.into_iter().map(|(first, last)| {
            let (first, last) = (piece[first].slot, piece[last].slot);
            let nearest = distances[first.0 as usize..=last.0 as usize].iter().min().copied().unwrap_or(0);
            (chart.row_of(piece[0]).section, Stretch { first, last, nearest })
        })
    });
    pieces.collect::<Vec<_>>().into_iter()
}

/// The ranges of a piece of a row, by place, in which every block of the group's size has the accessible seats that the group needs
/// and no others: for each run of so many accessible seats, from the block that ends with its last to the one that begins with its
/// first, and not as far as the accessible seats beside the run. They may overlap.
fn ranges_with(piece: &[&Seat], Group { count, accessible }: Group) -> Vec<(usize, usize)> {
    let places = piece.iter().enumerate().filter(|(_, seat)| seat.accessible).map(|(place, _)| place);
    let places: Vec<usize> = places.collect();
    let ranges = places.windows(accessible).enumerate().filter_map(|(at, run)| {
        let (first, last) = (run[0], run[accessible - 1]);
        let before = at.checked_sub(1).map_or(0, |at| places[at] + 1);
        let after = places.get(at + accessible).map_or(piece.len(), |place| *place);
        let range = (before.max((last + 1).saturating_sub(count)), after.min(first + count) - 1);
        (last - first < count && range.1 + 1 - range.0 >= count).then_some(range)
    });
    ranges.collect()
}

fn nearest_first(stretches: &mut [Stretch]) {
    stretches.sort_by_key(|stretch| (stretch.nearest, stretch.first));
}

impl SeatSearch {
    /// The sizes of the parts to search for, one way after the other: first one block, then, if it may be split, every way in two
    /// parts, the most even first, and then the most even way in three and more.
    pub fn ways(&self) -> Vec<Vec<usize>> {
        let count = self.count;
        let mut ways = vec![vec![count]];
        if self.allow_split {
            ways.extend((1..=count / 2).rev().map(|smaller| vec![count - smaller, smaller]));
            ways.extend((3..=count).map(|parts| (0..parts).map(|part| (count + parts - 1 - part) / parts).collect()));
        }
        ways
    }

    /// The best free seats of a state, in the order of their slots; none if no free seats fit.
    pub fn choose(&self, state: &[Option<SeatStatus>]) -> Option<Vec<Slot>> {
        // Most calls of a rush come when everything is taken.
        if !state.contains(&Some(SeatStatus::Free)) {
            return None;
        }
        self.ways().into_iter().find_map(|sizes| match sizes.as_slice() {
            [size] => self.order.block(*size, state),
            sizes => self.order.sections.iter().find_map(|section| self.order.parts(section, sizes, state)),
        })
    }

    /// Whether this search could have chosen these slots: as many as `count`, each within a stretch, and unless they may be split,
    /// all of one block.
    pub fn could_choose(&self, slots: &[Slot]) -> bool {
        let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return false };
        let within_one = |first: Slot, last: Slot| {
            self.order.sections.iter().flatten().any(|stretch| stretch.first <= first && last <= stretch.last)
        };
        if slots.len() != self.count {
            return false;
        }
        if self.allow_split {
            return slots.iter().all(|slot| within_one(*slot, *slot));
        }
        (last.0 - first.0) as usize + 1 == self.count && within_one(*first, *last)
    }
}

fn slots(block: Block, size: usize) -> Vec<Slot> {
    (block.first..block.first + size).map(slot).collect()
}

fn slot(index: usize) -> Slot {
    Slot(u32::try_from(index).unwrap_or(u32::MAX))
}

#[derive(Default)]
struct Found {
    preventing_orphans: Option<Block>,
    any: Option<Block>,
}

impl SeatOrder {
    /// The best block of this size.
    fn block(&self, size: usize, state: &[Option<SeatStatus>]) -> Option<Vec<Slot>> {
        let mut second_best = None;
        for section in &self.sections {
            let found = self.nearest(section, size, state);
            if let Some(block) = found.preventing_orphans {
                return Some(slots(block, size));
            }
            second_best = second_best.or(found.any);
        }
        second_best.map(|block| slots(block, size))
    }

    /// Blocks of these sizes in one section, each the best that is left.
    fn parts(&self, section: &[Stretch], sizes: &[usize], state: &[Option<SeatStatus>]) -> Option<Vec<Slot>> {
        let mut left = state.to_vec();
        let mut chosen = Vec::new();
        for size in sizes {
            let found = self.nearest(section, *size, &left);
            let block = found.preventing_orphans.or(found.any)?;
            left[block.first..block.first + size].fill(Some(SeatStatus::Held));
            chosen.extend(slots(block, *size));
        }
        chosen.sort_unstable();
        Some(chosen)
    }

    /// The best block of a section. The search stops once every stretch that is left is farther than the best block found.
    fn nearest(&self, section: &[Stretch], size: usize, state: &[Option<SeatStatus>]) -> Found {
        let distances = &self.distances;
        let mut found = Found::default();
        for stretch in section {
            let least = stretch.nearest.saturating_mul(u32::try_from(size).unwrap_or(u32::MAX));
            if found.preventing_orphans.is_some_and(|block| block.distance < least) {
                break;
            }
            let (mut free, mut distance) = (0, 0);
            for at in stretch.first.0 as usize..=stretch.last.0 as usize {
                if !is_free(state, at) {
                    (free, distance) = (0, 0);
                    continue;
                }
                free += 1;
                distance += distances[at];
                if free > size {
                    distance -= distances[at - size];
                }
                if free >= size {
                    let block = Block { distance, first: at + 1 - size };
                    keep_least(&mut found.any, block);
                    if !self.leaves_an_orphan(state, block.first, at) {
                        keep_least(&mut found.preventing_orphans, block);
                    }
                }
            }
        }
        found
    }

    /// Whether taking these seats would leave a free seat at either end without a free neighbour. Accessible seats do not count.
    fn leaves_an_orphan(&self, state: &[Option<SeatStatus>], first: usize, last: usize) -> bool {
        let ordinary = |at: usize| !self.accessible.get(at).copied().unwrap_or_default();
        let free = |at: Option<usize>| at.is_some_and(|at| is_free(state, at) && ordinary(at));
        let before = ordinary(first) && free(first.checked_sub(1)) && !free(first.checked_sub(2));
        let after = ordinary(last) && free(Some(last + 1)) && !free(Some(last + 2));
        before || after
    }
}

fn keep_least(best: &mut Option<Block>, block: Block) {
    if best.is_none_or(|best| block < best) {
        *best = Some(block);
    }
}
