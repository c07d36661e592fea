//! Model-based tests of seats. Random operations are sent to two instances, and Redis loses all seats at random points.
//! After each operation the claims, the locks and the listed seats are compared with a model made of plain lists, and
//! at the end the maps of all watchers. The test runs in a process of its own.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod operations;
mod reference;

use std::collections::BTreeMap;
use std::time::Duration;

use encore_domain::booking::seat_repair::differences;
use encore_domain::booking::seat_state::SeatOwner;
use encore_domain::catalog::Performance;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;
use encore_port_tests::fixtures;
use encore_proto::booking::v1::{BestAvailable, HoldSeatsRequest, Reservation};
use encore_proto::catalog::v1::watch_seats_response::Frame;
use encore_proto::catalog::v1::{Seat, SeatStatus};
use encore_tests::audit::found;
use encore_tests::fan::{Fan, reason, request_id};
use encore_tests::ledger;
use encore_tests::seat_truth::settled_map;
use encore_tests::watched_seats::WatchedSeats;
use encore_tests::world::World;
use proptest::collection::vec;
use proptest::prelude::*;
use tonic::Status;

use crate::operations::{Action, Operation, operation};
use crate::reference::{BestSeats, HOLD_FOR, Reference, SEATS_PER_FAN, State};

const FANS: usize = 5;
const MOST_OPERATIONS: usize = 40;
const CASES: u32 = 12;
/// The most attempts to shrink a failing case.
const SHRINK_ITERS_MAX: u32 = 30;
const SEATS: usize = fixtures::SMALL_CHART_SEATS;
const SECTIONS: [&str; 2] = ["Stalls", "Balcony"];
/// The sections of each watcher. The last watcher is slow and reads nothing before the end.
const WATCHED: [&[&str]; 4] = [&[], &[], &["Balcony"], &[]];
const SLOW: usize = WATCHED.len() - 1;

/// Two instances that sell a venue, with watchers and the model.
struct Checked {
    world: World,
    performance: PerformanceId,
    fans: Vec<Fan>,
    operator: Fan,
    watchers: Vec<WatchedSeats>,
    turn: usize,
    /// Whether the locks are known to match the claims.
    locks_match: bool,
    reference: Reference,
}

impl Checked {
    async fn new() -> Self {
        let world = World::durable(2).await;
        let seats_per_fan = u32::try_from(SEATS_PER_FAN).expect("few");
        let terms = |performance| Performance { hold_for: HOLD_FOR, seats_per_fan, ..performance };
        let performance = world.performance_with(None, terms).await;
        let mut fans = Vec::new();
        for turn in 0..FANS {
            let fan = world.fan(turn).await;
            fan.top_up(1_000_000).await.expect("a credit");
            fans.push(fan);
        }
        let mut watchers = Vec::new();
        for (turn, sections) in WATCHED.iter().enumerate() {
            let narrow = if turn == SLOW { Some(world.instances[turn % 2].narrow_channel().await) } else { None };
            let watcher = world.fan_without_account(narrow.as_ref().unwrap_or(world.channel(turn)));
            watchers.push(WatchedSeats::open(&watcher, performance, sections).await.expect("a stream"));
        }
        let operator = world.operator().await;
        let reference = Reference::new(fixtures::small_chart());
        Self { world, performance, fans, operator, watchers, turn: 0, locks_match: true, reference }
    }

    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    /// A fan with a connection to the instance whose turn it is.
    fn fan(&mut self, fan: usize) -> Fan {
        self.turn += 1;
        self.fans[fan].on(self.world.channel(self.turn))
    }

    async fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Do(action) => self.perform(action, false).await,
            Operation::DoAndLose(action) => self.perform(action, true).await,
            Operation::Race { fans, firsts, count, lose } => self.race(*fans, *firsts, *count, *lose).await,
            Operation::Pass { secs } => {
                self.world.clock.advance(Duration::from_secs(*secs));
                self.settle().await;
            }
            Operation::Lose => {
                self.with_or_without_redis(true, async {}).await;
                // The locks were loaded without concurrent changes, so they match the claims.
                self.locks_match = true;
            }
            Operation::Look { watcher } => self.look(*watcher).await,
            Operation::ComeBack { watcher, instance } => {
                let fan = self.world.fan_without_account(self.world.channel(*instance));
                let (seats, sections) = (&mut self.watchers[*watcher], WATCHED[*watcher]);
                // A watcher without a map gets a snapshot.
                seats.reopen(&fan, self.performance, sections).await.expect("a stream");
            }
        }
        self.check().await;
    }

    /// Awaits a call. If `lose` is set, Redis loses all seats at the same time, and they are loaded again afterwards.
    async fn with_or_without_redis<T>(&self, lose: bool, call: impl Future<Output = T>) -> T {
        if !lose {
            return call.await;
        }
        self.world.clock.advance(Duration::from_millis(1));
        let (done, ()) = tokio::join!(call, self.world.lose_redis());
        for turn in 0..2 {
            self.fans[0].on(self.world.channel(turn)).seats(self.performance).await.expect("seats");
        }
        done
    }

    async fn perform(&mut self, action: &Action, lose: bool) {
        match action {
            Action::HoldNamed { fan, first, count, prevent_orphan_seats } => {
                self.hold_named(*fan, *first, *count, *prevent_orphan_seats, lose).await;
            }
            Action::HoldBest { fan, seat_request } => self.hold_best(*fan, seat_request, lose).await,
            Action::Block { first, count } | Action::Unblock { first, count } => {
                let blocks = matches!(action, Action::Block { .. });
                self.operate(&consecutive(*first, *count), blocks, lose).await;
            }
            Action::Repeat { hold }
            | Action::Extend { hold }
            | Action::GiveBack { hold, .. }
            | Action::Release { hold }
            | Action::Pay { hold } => {
                if !self.reference.holds.is_empty() {
                    let hold = hold % self.reference.holds.len();
                    self.change(action, hold, lose).await;
                }
            }
        }
        self.locks_match &= !lose || self.locks_agree().await;
    }

    /// A hold request with a new request id.
    fn new_request(&self) -> HoldSeatsRequest {
        let (request_id, performance_id) = (request_id(), self.performance.to_string());
        HoldSeatsRequest { request_id, performance_id, ..HoldSeatsRequest::default() }
    }

    fn named_request(&self, seats: &[usize], prevent_orphan_seats: bool) -> HoldSeatsRequest {
        HoldSeatsRequest { seat_ids: self.reference.ids(seats), prevent_orphan_seats, ..self.new_request() }
    }

    async fn hold_named(&mut self, fan: usize, first: usize, count: usize, prevent_orphan_seats: bool, lose: bool) {
        let seats = consecutive(first, count);
        let expected = self.reference.refuses(fan, &seats, prevent_orphan_seats);
        let (caller, message) = (self.fan(fan), self.named_request(&seats, prevent_orphan_seats));
        let held = self.with_or_without_redis(lose, caller.send_hold(message.clone())).await;
        // Locks that differ from the claims may find other orphan seats.
        if self.locks_match && !lose || !prevent_orphan_seats {
            assert_eq!(refusal(&held).as_deref(), expected, "{held:?}");
        }
        self.record_hold(fan, message, held, Some(&seats));
    }

    /// Adds a hold to the model. If the expected seats are known, the hold must have them.
    fn record_hold(
        &mut self,
        fan: usize,
        asked: HoldSeatsRequest,
        held: Result<Reservation, Status>,
        due: Option<&[usize]>,
    ) {
        let Ok(held) = held else { return };
        let seats: Vec<usize> = held.seats.iter().map(|seat| self.reference.index_of(&seat.seat_id)).collect();
        assert_eq!(due.unwrap_or(&seats), seats, "{asked:?}");
        let now = self.now();
        self.reference.hold(fan, asked, held.reservation_id, seats, now);
    }

    async fn hold_best(&mut self, fan: usize, seat_request: &BestSeats, lose: bool) {
        let best = self.reference.best(seat_request);
        let best_available = Some(BestAvailable {
            count: u32::try_from(seat_request.count).expect("few"),
            sections: seat_request.section.iter().map(|section| SECTIONS[usize::from(*section)].to_owned()).collect(),
            allow_split: seat_request.allow_split,
            ..BestAvailable::default()
        });
        let (caller, message) = (self.fan(fan), HoldSeatsRequest { best_available, ..self.new_request() });
        let held = self.with_or_without_redis(lose, caller.send_hold(message.clone())).await;
        let expected = match &best {
            // The locks look at the limit before they choose, the claims afterwards.
            None if self.reference.is_over_the_limit(fan, seat_request.count)
                && refusal(&held).as_deref() == Some("SEAT_LIMIT_EXCEEDED") =>
            {
                Some("SEAT_LIMIT_EXCEEDED")
            }
            None => Some("NO_SEATS_FIT"),
            Some(seats) => self.reference.refuses(fan, seats, false),
        };
        assert_eq!(refusal(&held).as_deref(), expected, "{seat_request:?}: {held:?}");
        assert!(held.as_ref().map_or(true, |held| held.seats.len() == seat_request.count));
        // If the locks differ from the claims, the claims may refuse the first choice, and other seats are held.
        let due = best.filter(|_| self.locks_match && !lose);
        self.record_hold(fan, message, held, due.as_deref());
    }

    /// Performs an action on a hold.
    async fn change(&mut self, action: &Action, at: usize, lose: bool) {
        let hold = self.reference.holds[at].clone();
        let (caller, now) = (self.fan(hold.fan), self.now() + Duration::from_millis(u64::from(lose)));
        let (request, is_held) = (request_id(), hold.state == State::Held);
        match action {
            Action::Repeat { .. } => {
                let again = self.with_or_without_redis(lose, caller.send_hold(hold.message)).await;
                assert_eq!(again.as_ref().map(|again| &again.reservation_id).ok(), Some(&hold.id), "{again:?}");
            }
            Action::Extend { .. } => {
                let answer = self.with_or_without_redis(lose, caller.extend_as(&request, &hold.id)).await;
                let extended = self.reference.extended(at, now).filter(|_| is_held);
                let expected = if is_held { "HOLD_AT_LIMIT" } else { "RESERVATION_NOT_HELD" };
                assert_eq!(refusal(&answer).as_deref(), extended.is_none().then_some(expected), "{answer:?}");
                self.reference.holds[at].until = extended.unwrap_or(hold.until);
            }
            Action::GiveBack { bits, .. } => self.give_back(at, *bits, lose).await,
            Action::Release { .. } => {
                let answer = self.with_or_without_redis(lose, caller.release_as(&request, &hold.id, &[])).await;
                assert_eq!(refusal(&answer).as_deref(), (!is_held).then_some("RESERVATION_NOT_HELD"), "{answer:?}");
                if is_held {
                    self.reference.holds[at].state = State::Over;
                }
            }
            Action::Pay { .. } => {
                let answer = self.with_or_without_redis(lose, caller.pay_as(&request, &hold.id)).await;
                assert_eq!(answer.is_ok(), is_held, "{answer:?}");
                if is_held {
                    self.reference.holds[at].state = State::Paid;
                }
            }
            Action::HoldNamed { .. } | Action::HoldBest { .. } | Action::Block { .. } | Action::Unblock { .. } => {}
        }
    }

    async fn give_back(&mut self, at: usize, bits: u8, lose: bool) {
        let hold = self.reference.holds[at].clone();
        let given = hold.first_seats.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        let given: Vec<usize> = given.map(|(_, seat)| *seat).collect();
        if given.is_empty() {
            return;
        }
        let (caller, request, ids) = (self.fan(hold.fan), request_id(), self.reference.ids(&given));
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let answer = self.with_or_without_redis(lose, caller.release_as(&request, &hold.id, &ids)).await;
        let expected = match hold.state {
            State::Paid | State::Over => Some("RESERVATION_NOT_HELD"),
            State::Held if given.iter().any(|seat| !hold.seats.contains(seat)) => Some("NOT_FOUND"),
            State::Held => None,
        };
        assert_eq!(refusal(&answer).as_deref(), expected, "{answer:?}");
        if expected.is_none() {
            let kept: Vec<usize> = hold.seats.iter().copied().filter(|seat| !given.contains(seat)).collect();
            let hold = &mut self.reference.holds[at];
            if kept.is_empty() {
                hold.state = State::Over;
            } else {
                hold.seats = kept;
            }
        }
    }

    /// Blocks or unblocks seats, as an operator.
    async fn operate(&mut self, seats: &[usize], blocks: bool, lose: bool) {
        self.turn += 1;
        let operator = self.operator.on(self.world.channel(self.turn));
        let (request, ids) = (request_id(), self.reference.ids(seats));
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let refused = if blocks {
            let blocking = operator.block(&request, self.performance, &ids, "House seats");
            refusal(&self.with_or_without_redis(lose, blocking).await)
        } else {
            let unblocking = operator.unblock(&request, self.performance, &ids);
            refusal(&self.with_or_without_redis(lose, unblocking).await)
        };
        let (can, why) = if blocks {
            (self.reference.block(seats), "SEATS_TAKEN")
        } else {
            (self.reference.unblock(seats), "SEATS_NOT_BLOCKED")
        };
        assert_eq!(refused.as_deref(), (!can).then_some(why));
    }

    /// Two fans hold seats at the same time. Each gets the result of a call without the other, except that one of two
    /// fans who want the same seats is refused.
    async fn race(&mut self, fans: (usize, usize), firsts: (usize, usize), count: usize, lose: bool) {
        let (one, other) = (consecutive(firsts.0, count), consecutive(firsts.1, count));
        let asked = (self.named_request(&one, false), self.named_request(&other, false));
        let callers = (self.fan(fans.0), self.fan(fans.1));
        let holding =
            async { tokio::join!(callers.0.send_hold(asked.0.clone()), callers.1.send_hold(asked.1.clone())) };
        let held = self.with_or_without_redis(lose, holding).await;
        let alone = (self.reference.refuses(fans.0, &one, false), self.reference.refuses(fans.1, &other, false));
        let refusals = (refusal(&held.0), refusal(&held.1));
        if one.iter().any(|seat| other.contains(seat)) {
            for (refused, alone) in [(&refusals.0, alone.0), (&refusals.1, alone.1)] {
                // A fan who is refused because of the other fan gets SEATS_TAKEN.
                assert!(
                    refused.as_deref() == alone || refused.as_deref() == Some("SEATS_TAKEN"),
                    "{refused:?} and not {alone:?}"
                );
            }
            if alone == (None, None) {
                let held = u8::from(refusals.0.is_none()) + u8::from(refusals.1.is_none());
                assert_eq!(held, 1, "one wins: {refusals:?}");
            }
        } else {
            assert_eq!((refusals.0.as_deref(), refusals.1.as_deref()), alone);
        }
        self.record_hold(fans.0, asked.0, held.0, Some(&one));
        self.record_hold(fans.1, asked.1, held.1, Some(&other));
        self.locks_match &= !lose || self.locks_agree().await;
    }

    /// Waits until expired holds have ended and the locks are repaired.
    async fn settle(&mut self) {
        settled_map(&self.world, self.performance, &self.reference.chart).await;
        self.reference.expire(self.now());
        self.locks_match = true;
    }

    /// A watcher reads frames until its map is current, if the locks are known to match the claims.
    async fn look(&mut self, watcher: usize) {
        if !self.locks_match {
            return;
        }
        let (map, seats) = (self.reference.map(), &mut self.watchers[watcher]);
        let shows = |seats: &WatchedSeats| {
            let mut pairs = seats.statuses.iter().zip(&map);
            !seats.statuses.is_empty() && pairs.all(|(is, due)| is == due || *is == SeatStatus::Unspecified)
        };
        let mut heartbeats = 0;
        while !shows(seats) {
            let frame = seats.next().await.expect("a frame");
            heartbeats += usize::from(matches!(frame, Frame::Heartbeat(_)));
            assert!(heartbeats <= 2, "watcher {watcher} missed a change: {:?} and not {map:?}", seats.statuses);
        }
    }

    /// Whether the locks match the claims, or are not loaded.
    async fn locks_agree(&self) -> bool {
        let (ports, performance) = (&self.world.ports, self.performance);
        let claims = ports.reservations.claims(performance).await.expect("Postgres is available");
        let Some(state) = ports.seat_locks.snapshot(performance).await.expect("Redis is available") else {
            return true;
        };
        let slots: Vec<Slot> = self.reference.chart.seats().iter().map(|seat| seat.slot).collect();
        let holders = ports.seat_locks.holders(performance, &slots).await.expect("Redis is available");
        differences(&state, &holders, &claims).is_empty()
    }

    /// Checks that the claims match the model, and the locks as well unless they may have missed a change.
    async fn check(&self) {
        let claims = self.world.ports.reservations.claims(self.performance).await.expect("Postgres is available");
        let owner = |owner: SeatOwner| owner.reservation().map(|it| it.to_string()).unwrap_or_default();
        let claims = claims.into_iter().map(|claim| (claim.slot, (owner(claim.owner), claim.owner.held_until())));
        assert_eq!(claims.collect::<BTreeMap<_, _>>(), self.reference.claims());
        if self.locks_match {
            assert!(self.locks_agree().await, "the locks differ from the claims");
            let fan = self.fans[0].on(self.world.channel(self.turn));
            let seats = fan.seats(self.performance).await.expect("seats");
            assert_eq!(seats.iter().map(Seat::status).collect::<Vec<_>>(), self.reference.map());
        }
    }

    async fn end(mut self) {
        self.settle().await;
        self.check().await;
        for watcher in 0..WATCHED.len() {
            self.look(watcher).await;
        }
        ledger::assert_conserved(self.world.database()).await;
        assert_eq!(found(&self.operator, self.performance).await, []);
    }
}

/// The indexes of consecutive seats of the chart.
fn consecutive(first: usize, count: usize) -> Vec<usize> {
    (first..(first + count).min(SEATS)).collect()
}

/// The reason of a refusal, if any.
fn refusal<T>(answer: &Result<T, Status>) -> Option<String> {
    answer.as_ref().err().map(reason)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        max_shrink_iters: SHRINK_ITERS_MAX,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn seats_match_the_model(operations in vec(operation(), 20..=MOST_OPERATIONS)) {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        threads.expect("threads").block_on(async {
            let mut checked = Checked::new().await;
            for operation in &operations {
                checked.apply(operation).await;
            }
            checked.end().await;
        });
    }
}
