//! Best available: which seats somebody gets who names none.
//!
//! **Neighbours** are seats whose slots follow one another. [`SeatChart::lay_out`](crate::catalog::seat_chart::SeatChart::lay_out)
//! leaves a slot out between two rows, and where the plan shows an aisle; seat numbers say nothing, since many venues number
//! odd and even apart.
//!
//! **The focal point** of a section is the centroid of the seats of its front row, which is the first of the plan; the
//! seating-plan format knows no other. How far a seat is from it is counted in millionths of the farthest seat of the
//! section, so that every store adds the same integers.
//!
//! **The best block** is one that leaves no single seat alone, before any that does; then one of an earlier section, as the
//! seat request or else the plan orders them; then the one whose distances add up to the least; then the one that begins first.
//!
//! **Accessible seats** are chosen for those who ask: a block has exactly as many of them as are wanted, and its other seats are
//! ordinary. So a fan in a wheelchair sits with companions, and nobody is given an accessible seat without need. To the chooser
//! that is only another set of stretches: where every block of a stretch has the right ones, see [`Group`].
//!
//! **A split**, only where the seat request allows it and no block is free, is into as few parts as possible and those as even as
//! possible, all in one section, each part the best block that is left, the largest first. It comes down to single seats, so
//! that "none" means that no section has so many free seats that are not kept for others.

use std::sync::Arc;

use crate::booking::seat_state::{SeatStatus, is_free};
use crate::catalog::seat_chart::{Seat, SeatChart, Slot};

/// How far the farthest seat of a section is from its focal point. The sum over a hold fits a double and a `u32`.
pub const DISTANCE_MAX: u32 = 1_000_000;

/// Seats of one row that follow one another and may all be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first slot.
    pub first: Slot,
    /// Its last slot.
    pub last: Slot,
    /// The distance of its nearest seat: no block of it is nearer than this times its size.
    pub nearest: u32,
}

/// What may be chosen, in the order in which it is looked at. Nothing that may be chosen is left out, whatever is known of
/// what is free: so it never makes a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatOrder {
    /// By section, the preferred first; in each the nearest stretch first.
    pub sections: Vec<Vec<Stretch>>,
    /// How far each seat is from where people want to be, by slot: see [`focal_distances`], which are the same for every order
    /// of a venue.
    pub distances: Vec<u32>,
}

/// Who is to sit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// How many in all.
    pub count: usize,
    /// How many of them need an accessible seat.
    pub accessible: usize,
}

/// A choice to be made: how many seats, of which.
#[derive(Clone, Debug)]
pub struct SeatSearch {
    /// Which seats may be chosen.
    pub order: Arc<SeatOrder>,
    /// How many seats.
    pub count: usize,
    /// Whether they may be in several places.
    pub allow_split: bool,
}

/// A block that could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    distance: u32,
    first: usize,
}

/// The distances of the seats from the focal points of their sections, by slot; 0 where there is no seat.
pub fn focal_distances(chart: &SeatChart) -> Vec<u32> {
    let mut distances = vec![0; chart.seat_slots() as usize];
    for seats in chart.seats().chunk_by(|a, b| chart.row_of(a).section == chart.row_of(b).section) {
        let front_row = seats.iter().take_while(|seat| seat.row == seats[0].row);
        let focal = centroid(front_row.map(|seat| (seat.x, seat.y)));
        measure(&mut distances, seats.iter().map(|seat| (seat.slot, (seat.x, seat.y))), focal);
    }
    distances
}

/// Writes how far seats are from a point, in millionths of the farthest.
fn measure(distances: &mut [u32], seats: impl Iterator<Item = (Slot, (f64, f64))> + Clone, (x, y): (f64, f64)) {
    let far = |(seat_x, seat_y): (f64, f64)| (seat_x - x).hypot(seat_y - y);
    let farthest = seats.clone().map(|(_, at)| far(at)).fold(0.0, f64::max);
    for (slot, at) in seats {
        let share = if farthest > 0.0 { far(at) / farthest } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and DISTANCE_MAX")]
        let distance = (share * f64::from(DISTANCE_MAX)).round() as u32;
        distances[slot.0 as usize] = distance;
    }
}

/// The middle of some points.
fn centroid(points: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    let (mut x, mut y, mut count) = (0.0, 0.0, 0.0);
    for (point_x, point_y) in points {
        x += point_x;
        y += point_y;
        count += 1.0;
    }
    if count > 0.0 { (x / count, y / count) } else { (0.0, 0.0) }
}

impl SeatOrder {
    /// The stretches of seats that may be chosen for a group, of these sections in this order. If somebody of the group needs an
    /// accessible seat, it is good for a group of this size only, all in one block.
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
        Self { sections: wanted.filter(|stretches| !stretches.is_empty()).collect(), distances }
    }

    /// The stretches of seats that may be chosen, of the whole venue, by how far they are from the middle of these seats.
    pub fn around(chart: &SeatChart, seats: &[&Seat], group: Group, may_choose: impl Fn(&Seat) -> bool) -> Self {
        let mut distances = vec![0; chart.seat_slots() as usize];
        let middle = centroid(seats.iter().map(|seat| (seat.x, seat.y)));
        measure(&mut distances, chart.seats().iter().map(|seat| (seat.slot, (seat.x, seat.y))), middle);
        let mut all: Vec<Stretch> =
            stretches(chart, &distances, group, may_choose).map(|(_, stretch)| stretch).collect();
        nearest_first(&mut all);
        Self { sections: vec![all], distances }
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
    /// The sizes of the parts to look for, one way after the other: the whole, and if it may be split, every way in two, the
    /// evenest first, and then the evenest way in three and more.
    pub fn ways(&self) -> Vec<Vec<usize>> {
        let count = self.count;
        let mut ways = vec![vec![count]];
        if self.allow_split {
            ways.extend((1..=count / 2).rev().map(|smaller| vec![count - smaller, smaller]));
            ways.extend((3..=count).map(|parts| (0..parts).map(|part| (count + parts - 1 - part) / parts).collect()));
        }
        ways
    }

    /// The best seats that are free in a state, in the order of their slots; none if there are none.
    pub fn choose(&self, state: &[Option<SeatStatus>]) -> Option<Vec<Slot>> {
        let SeatOrder { sections, distances } = &*self.order;
        self.ways().into_iter().find_map(|sizes| match sizes.as_slice() {
            [size] => self.block(*size, state),
            sizes => sections.iter().find_map(|section| parts(section, sizes, distances, state)),
        })
    }

    /// Whether these could have been chosen, in the order of their slots: so many, and each of a stretch; all of one, and next to
    /// each other, unless they may be split.
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

    fn block(&self, size: usize, state: &[Option<SeatStatus>]) -> Option<Vec<Slot>> {
        let SeatOrder { sections, distances } = &*self.order;
        let mut second_best = None;
        for section in sections {
            let found = nearest(section, size, distances, state);
            if let Some(block) = found.preventing_orphans {
                return Some(slots(block, size));
            }
            second_best = second_best.or(found.any);
        }
        second_best.map(|block| slots(block, size))
    }
}

fn slots(block: Block, size: usize) -> Vec<Slot> {
    (block.first..block.first + size).map(slot).collect()
}

fn slot(index: usize) -> Slot {
    Slot(u32::try_from(index).unwrap_or(u32::MAX))
}

/// Parts of these sizes in one section, each the best that is left.
fn parts(section: &[Stretch], sizes: &[usize], distances: &[u32], state: &[Option<SeatStatus>]) -> Option<Vec<Slot>> {
    let mut left = state.to_vec();
    let mut chosen = Vec::new();
    for size in sizes {
        let found = nearest(section, *size, distances, &left);
        let block = found.preventing_orphans.or(found.any)?;
        left[block.first..block.first + size].fill(Some(SeatStatus::Held));
        chosen.extend(slots(block, *size));
    }
    chosen.sort_unstable();
    Some(chosen)
}

#[derive(Default)]
struct Found {
    preventing_orphans: Option<Block>,
    any: Option<Block>,
}

/// The best block of a section. It looks no further once every stretch that is left is farther than what it has.
fn nearest(section: &[Stretch], size: usize, distances: &[u32], state: &[Option<SeatStatus>]) -> Found {
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
                if !leaves_an_orphan(state, block.first, at) {
                    keep_least(&mut found.preventing_orphans, block);
                }
            }
        }
    }
    found
}

fn keep_least(best: &mut Option<Block>, block: Block) {
    if best.is_none_or(|best| block < best) {
        *best = Some(block);
    }
}

/// Whether taking these seats would leave a free seat at either end without a free neighbour.
fn leaves_an_orphan(state: &[Option<SeatStatus>], first: usize, last: usize) -> bool {
    let free = |at: Option<usize>| at.is_some_and(|at| is_free(state, at));
    let before = free(first.checked_sub(1)) && !free(first.checked_sub(2));
    let after = free(Some(last + 1)) && !free(Some(last + 2));
    before || after
}
