//! The model of the seats of a venue, made of plain lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::best_available::{Group, SeatOrder, SeatSearch};
use encore_domain::booking::hold_change::HOLD_LIFE_FACTOR;
use encore_domain::booking::seat_state::{self, all_free};
use encore_domain::catalog::seat_chart::{SeatChart, Slot};
use encore_domain::time::Timestamp;
use encore_proto::booking::v1::HoldSeatsRequest;
use encore_proto::catalog::v1::SeatStatus;
use encore_tests::seat_truth::statuses;

pub(crate) const HOLD_FOR: Duration = Duration::from_mins(1);
pub(crate) const SEATS_PER_FAN: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Held,
    Paid,
    Over,
}

#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) fan: usize,
    /// The request of the hold.
    pub(crate) message: HoldSeatsRequest,
    pub(crate) id: String,
    /// The indexes of its seats in the chart, or of the seats it had when it ended.
    pub(crate) seats: Vec<usize>,
    /// The indexes of the seats that it was placed with.
    pub(crate) first_seats: Vec<usize>,
    held_at: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) state: State,
}

/// The expected state of the seats.
pub(crate) struct Reference {
    pub(crate) chart: SeatChart,
    pub(crate) holds: Vec<Hold>,
    /// The indexes of blocked seats.
    blocked: BTreeSet<usize>,
}

/// A request for the best available seats.
#[derive(Clone, Debug)]
pub(crate) struct BestSeats {
    pub(crate) count: usize,
    pub(crate) section: Option<u16>,
    pub(crate) allow_split: bool,
}

impl Reference {
    pub(crate) fn new(chart: SeatChart) -> Self {
        Self { chart, holds: Vec::new(), blocked: BTreeSet::new() }
    }

    pub(crate) fn index_of(&self, seat_id: &str) -> usize {
        self.chart.seats().iter().position(|seat| seat.id == seat_id).expect("a seat of the chart")
    }

    pub(crate) fn ids(&self, seats: &[usize]) -> Vec<String> {
        seats.iter().map(|seat| self.chart.seats()[*seat].id.clone()).collect()
    }

    fn slots(&self, seats: &[usize]) -> Vec<Slot> {
        seats.iter().map(|seat| self.chart.seats()[*seat].slot).collect()
    }

    /// The hold that owns a seat.
    fn owner(&self, seat: usize) -> Option<&Hold> {
        let mut owners = self.holds.iter().filter(|hold| hold.state != State::Over && hold.seats.contains(&seat));
        let owner = owners.next();
        let others = usize::from(owners.next().is_some()) + usize::from(self.blocked.contains(&seat));
        assert!(owner.is_none() || others == 0, "seat {seat} has two owners");
        owner
    }

    fn is_free(&self, seat: usize) -> bool {
        self.owner(seat).is_none() && !self.blocked.contains(&seat)
    }

    fn owned(&self, fan: usize) -> usize {
        let live = self.holds.iter().filter(|hold| hold.fan == fan && hold.state != State::Over);
        live.map(|hold| hold.seats.len()).sum()
    }

    fn state(&self) -> Vec<Option<seat_state::SeatStatus>> {
        let mut state = all_free(&self.chart);
        for (place, seat) in self.chart.seats().iter().enumerate() {
            let status = match self.owner(place) {
                Some(owner) if owner.state == State::Paid => seat_state::SeatStatus::Sold,
                Some(_) => seat_state::SeatStatus::Held,
                None if self.blocked.contains(&place) => seat_state::SeatStatus::Blocked,
                None => seat_state::SeatStatus::Free,
            };
            state[seat.slot.0 as usize] = Some(status);
        }
        state
    }

    pub(crate) fn map(&self) -> Vec<SeatStatus> {
        statuses(&self.chart, &self.state())
    }

    /// The claims: the owner of each slot, with the deadline of a hold. The owner of a blocked seat is an empty string.
    pub(crate) fn claims(&self) -> BTreeMap<Slot, (String, Option<Timestamp>)> {
        let live = self.holds.iter().filter(|hold| hold.state != State::Over);
        let claims = live.flat_map(|hold| {
            let until = (hold.state == State::Held).then_some(hold.until);
            self.slots(&hold.seats).into_iter().map(move |slot| (slot, (hold.id.clone(), until)))
        });
        let blocked: Vec<usize> = self.blocked.iter().copied().collect();
        claims.chain(self.slots(&blocked).into_iter().map(|slot| (slot, (String::new(), None)))).collect()
    }

    /// Blocks these seats if no fan owns one of them. Seats that are blocked already stay blocked.
    pub(crate) fn block(&mut self, seats: &[usize]) -> bool {
        let can = seats.iter().all(|seat| self.owner(*seat).is_none());
        self.blocked.extend(seats.iter().filter(|_| can));
        can
    }

    /// Unblocks these seats if all of them are blocked.
    pub(crate) fn unblock(&mut self, seats: &[usize]) -> bool {
        let can = seats.iter().all(|seat| self.blocked.contains(seat));
        self.blocked.retain(|seat| !can || !seats.contains(seat));
        can
    }

    pub(crate) fn expire(&mut self, now: Timestamp) {
        for hold in &mut self.holds {
            if hold.state == State::Held && hold.until <= now {
                hold.state = State::Over;
            }
        }
    }

    /// The reason why a hold of these seats is refused, if any.
    pub(crate) fn refuses(&self, fan: usize, seats: &[usize], prevent_orphan_seats: bool) -> Option<&'static str> {
        if !seats.iter().all(|seat| self.is_free(*seat)) {
            return Some("SEATS_TAKEN");
        }
        let slots = self.slots(seats);
        if prevent_orphan_seats && !Orphans::prevent(&self.chart, &slots).left_by(&self.state(), &slots).is_empty() {
            return Some("WOULD_ORPHAN_SEATS");
        }
        self.is_over_the_limit(fan, seats.len()).then_some("SEAT_LIMIT_EXCEEDED")
    }

    /// Whether so many more seats are more than one fan may have.
    pub(crate) fn is_over_the_limit(&self, fan: usize, more: usize) -> bool {
        self.owned(fan) + more > SEATS_PER_FAN
    }

    /// The best available seats for a request.
    pub(crate) fn best(&self, seat_request: &BestSeats) -> Option<Vec<usize>> {
        let sections = seat_request.section.map_or(vec![0, 1], |section| vec![section]);
        let group = Group { count: seat_request.count, accessible: 0 };
        let order = Arc::new(SeatOrder::new(&self.chart, &sections, group, |_| true));
        let search = SeatSearch { order, count: seat_request.count, allow_split: seat_request.allow_split };
        let slots = search.choose(&self.state())?;
        Some(slots.into_iter().filter_map(|slot| self.chart.place_of(slot)).collect())
    }

    /// Adds a hold of these seats.
    pub(crate) fn hold(
        &mut self,
        fan: usize,
        message: HoldSeatsRequest,
        id: String,
        seats: Vec<usize>,
        now: Timestamp,
    ) {
        assert_eq!(self.refuses(fan, &seats, false), None, "the model refuses these seats");
        let (first_seats, until) = (seats.clone(), now + HOLD_FOR);
        self.holds.push(Hold { fan, message, id, seats, first_seats, held_at: now, until, state: State::Held });
    }

    /// The deadline after an extension now; none if it would not be later.
    pub(crate) fn extended(&self, hold: usize, now: Timestamp) -> Option<Timestamp> {
        let Hold { held_at, until, .. } = self.holds[hold];
        let extended = (held_at + HOLD_FOR * HOLD_LIFE_FACTOR).min(now + HOLD_FOR);
        (extended > until).then_some(extended)
    }
}
