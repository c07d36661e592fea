//! A model of the draw. Fans join, move, leave and show any of their tokens, and the queue is lost at random points. Then the numbers
//! are drawn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use encore_domain::booking::seat_state::StockByNeed;
use encore_domain::catalog::OnSale;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{Clock, Draws, MockCatalog, QueueStore, Reservations};
use encore_domain::queue::snapshot::NumberStatus;
use encore_domain::queue::{
    DRAW_KEY_BYTES, Draw, DrawKey, EndReason, LaneNumber, Queue, QueueDraw, QueueSettings, QueueTokenPayload,
};
use encore_domain::time::Timestamp;
use encore_memory_store::{MemoryDraws, MemoryQueueRecords, MemoryRecords, MemoryReservations};
use encore_port_tests::fixtures::{at_ms, at_secs, id, start};
use encore_waiting_room::{Entrant, Stock, WaitingRoom, WaitingRoomParts};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::operations::Loss;
use crate::stores::{Flushable, on_memory, on_redis};
use crate::{FANS, LANES, Stores, config, settings};

const KEY: DrawKey = DrawKey([0xD7; DRAW_KEY_BYTES]);
const OPENS_IN_SECS: u64 = 600;

/// What happens before the draw.
#[derive(Clone, Debug)]
enum Step {
    Join {
        fan: usize,
        lane: u8,
    },
    /// The fan leaves the lane joined or shown last.
    Leave {
        fan: usize,
    },
    /// The fan shows one of the tokens.
    Show {
        fan: usize,
        token: usize,
    },
    Lose(Loss),
}

fn loss() -> impl Strategy<Value = Loss> {
    prop_oneof![Just(Loss::Flush), Just(Loss::FailOver)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..FANS, 0_u8..2).prop_map(|(fan, lane)| Step::Join { fan, lane }),
        3 => (0..FANS).prop_map(|fan| Step::Leave { fan }),
        3 => (0..FANS, any::<usize>()).prop_map(|(fan, token)| Step::Show { fan, token }),
        1 => loss().prop_map(Step::Lose),
    ]
}

struct NoSeats;

#[async_trait]
impl Stock for NoSeats {
    async fn stock(&self, _: PerformanceId) -> Result<StockByNeed, Unavailable> {
        Ok(StockByNeed::default())
    }

    async fn may_buy(&self, _: PerformanceId, _: UserId) -> Result<bool, Unavailable> {
        Ok(true)
    }
}

#[derive(Default)]
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        at_ms(self.0.load(Ordering::SeqCst))
    }
}

/// The place of a fan in a lane.
#[derive(Clone, Copy, Debug, PartialEq)]
struct DrawEntry {
    /// The index in the draw, which never changes.
    index: u64,
    waits: bool,
    /// Whether the queue knows it since it was lost.
    seen: bool,
}

struct Fan {
    user: UserId,
    tokens: Vec<QueueTokenPayload>,
    places: BTreeMap<u8, DrawEntry>,
    /// The lane joined or shown last.
    last: Option<u8>,
}

impl Fan {
    /// The lane in which the queue knows the fan to wait.
    fn known(&self) -> Option<u8> {
        self.places.iter().find(|(_, place)| place.waits && place.seen).map(|(lane, _)| *lane)
    }

    fn latest(&self, lane: u8) -> QueueTokenPayload {
        *self.tokens.iter().rfind(|token| token.lane == lane).expect("a token of the lane")
    }

    fn end(&mut self, lane: u8) {
        self.places.get_mut(&lane).expect("a place").waits = false;
    }
}

/// A queue with a draw on two instances, with its model.
struct Drawing {
    stores: Stores,
    rooms: [WaitingRoom; 2],
    draws: Arc<dyn Draws>,
    reservations: MemoryReservations,
    clock: Arc<TestClock>,
    performance: PerformanceId,
    fans: Vec<Fan>,
    joined: [u64; LANES],
    turn: usize,
}

impl Drawing {
    async fn new(stores: Stores) -> Self {
        let (records, clock, performance) = (MemoryRecords::default(), Arc::<TestClock>::default(), id());
        let draws: Arc<dyn Draws> = Arc::new(MemoryDraws::new(records.clone()));
        (stores.lose)(Loss::Flush).await;
        let room = async |queues: &Arc<dyn QueueStore>| {
            let settings = QueueSettings { paused: true, draining: false, ..settings() };
            let draw = Some(QueueDraw { pre_queue_opens_at: start(), key: KEY });
            let queue = Some(Queue { settings, draw });
            let sale = OnSale { performance, opens_at: at_secs(OPENS_IN_SECS), queue };
            let mut catalog = MockCatalog::new();
            catalog.expect_on_sale().returning(move |_| Ok(vec![sale.clone()]));
            let room = WaitingRoom::new(WaitingRoomParts {
                queues: Arc::clone(queues),
                records: Arc::new(MemoryQueueRecords::new(records.clone())),
                draws: Arc::clone(&draws),
                catalog: Arc::new(catalog),
                stock: Arc::new(NoSeats),
                clock: Arc::clone(&clock) as Arc<dyn Clock>,
            });
            room.refresh_open_queues().await.expect("the catalog answers");
            room
        };
        let rooms = [room(&stores.instances[0]).await, room(&stores.instances[1]).await];
        let fan = |_| Fan { user: id(), tokens: Vec::new(), places: BTreeMap::new(), last: None };
        let (fans, reservations) = ((0..FANS).map(fan).collect(), MemoryReservations::new(records.clone()));
        Self { stores, rooms, draws, reservations, clock, performance, fans, joined: [0; LANES], turn: 0 }
    }

    /// The instance whose turn it is. Time passes.
    fn room(&mut self) -> WaitingRoom {
        self.turn += 1;
        self.clock.0.fetch_add(1, Ordering::SeqCst);
        self.rooms[self.turn % 2].clone()
    }

    async fn apply(&mut self, step: &Step) {
        match *step {
            Step::Join { fan, lane } => self.join(fan, lane).await,
            Step::Leave { fan } => self.leave(fan).await,
            Step::Show { fan, token } => {
                let tokens = &self.fans[fan].tokens;
                if !tokens.is_empty() {
                    self.show(fan, tokens[token % tokens.len()]).await;
                }
            }
            Step::Lose(loss) => self.lose(loss).await,
        }
    }

    async fn join(&mut self, fan: usize, lane: u8) {
        let room = self.room();
        let payload = join(&room, self.performance, self.fans[fan].user, lane).await;
        let at = usize::from(payload.lane);
        let fan = &mut self.fans[fan];
        let known = fan.known();
        let expected_lane = known.filter(|known| lane == 0 || lane == *known).unwrap_or(lane);
        let next = self.joined[at] + 1;
        let expected_index = fan.places.get(&payload.lane).map_or(next, |place| place.index);
        assert_eq!((payload.lane, payload.index), (expected_lane, expected_index), "one index for each fan and lane");
        self.joined[at] = self.joined[at].max(payload.index);
        if let Some(left) = known.filter(|known| *known != payload.lane) {
            fan.end(left);
        }
        fan.places.insert(payload.lane, DrawEntry { index: payload.index, waits: true, seen: true });
        fan.last = Some(payload.lane);
        fan.tokens.push(payload);
    }

    /// As the use case does: the request is noted, the end where it lasts, and then the queue is told.
    async fn leave(&mut self, fan: usize) {
        let Some(lane) = self.fans[fan].last.take() else { return };
        let (room, payload) = (self.room(), self.fans[fan].latest(lane));
        if self.show(fan, payload).await {
            self.reservations.leave(payload, self.clock.now()).await.expect("the records answer");
            assert_eq!(room.end(&payload, EndReason::Left).await.expect("the queue answers"), EndReason::Left);
            self.fans[fan].end(lane);
        }
        self.fans[fan].last = None;
    }

    /// Shows a token. Returns whether it waits.
    async fn show(&mut self, fan: usize, payload: QueueTokenPayload) -> bool {
        let room = self.room();
        let fan = &mut self.fans[fan];
        let (known, lane) = (fan.known(), payload.lane);
        let is_latest = fan.latest(lane).issued_at == payload.issued_at;
        let ended = room.note_leave(&payload, None).await.expect("the queue answers");
        let place = fan.places.get_mut(&lane).expect("a token has a place");
        if !is_latest && place.waits {
            // What an earlier token of the place is told depends on which of them was shown since the loss.
            place.seen = true;
        } else {
            assert_eq!(ended.is_none(), place.waits, "{payload:?} {place:?}");
            place.seen |= place.waits;
        }
        if place.waits {
            fan.last = Some(lane);
            if let Some(other) = known.filter(|known| *known != lane) {
                fan.end(other);
            }
        }
        fan.places[&lane].waits
    }

    async fn lose(&mut self, loss: Loss) {
        let open = self.stores.instances[0].snapshot(self.performance).await.expect("the store answers").is_some();
        if open {
            (self.stores.lose)(loss).await;
        }
        for place in self.fans.iter_mut().flat_map(|fan| fan.places.values_mut()) {
            place.seen = false;
        }
    }

    /// Draws the numbers, and loses the queue before or after it.
    async fn draw(&mut self, before: Option<Loss>, after: Option<Loss>) {
        if self.joined == [0; LANES] {
            return;
        }
        self.clock.0.store(OPENS_IN_SECS * 1_000, Ordering::SeqCst);
        for loss in [before, after] {
            if let Some(loss) = loss {
                self.lose(loss).await;
            }
            // The first tick may restore the queue.
            for _ in 0..2 {
                for room in &self.rooms {
                    room.tick().await.expect("a tick");
                }
            }
        }
        let drawn = self.rooms[0].draw(self.performance).await.expect("a draw").drawn.expect("drawn numbers");
        let counts: Vec<u64> = drawn.iter().map(|(_, drawn)| drawn.count).collect();
        assert_eq!(counts, self.joined, "who joined, each fan once");
        self.check_numbers().await;
    }

    /// Every fan tries all tokens, the latest first. At most one is of use, and its number was fixed by the first join.
    async fn check_numbers(&mut self) {
        let mut waiting: [Vec<u64>; LANES] = std::array::from_fn(|_| Vec::new());
        for fan in 0..FANS {
            let room = self.room();
            let of_fan = &self.fans[fan];
            let waits = |lane: &u8| of_fan.places[lane].waits;
            let tried: Vec<QueueTokenPayload> = of_fan.places.keys().rev().map(|lane| of_fan.latest(*lane)).collect();
            let first = of_fan.known().or_else(|| of_fan.places.keys().rev().copied().find(waits));
            for payload in tried {
                let ended = room.note_leave(&payload, None).await.expect("the queue answers");
                assert_eq!(ended.is_none(), Some(payload.lane) == first, "{payload:?} {:?}", of_fan.places);
            }
            if let Some(lane) = first {
                let at = usize::from(lane);
                let draw = Draw::new(KEY, lane, self.joined[at]);
                waiting[at].push(draw.number(of_fan.places[&lane].index));
            }
        }
        let queue = self.stores.instances[0].snapshot(self.performance).await;
        let queue = queue.expect("the store answers").expect("the queue is open");
        for (lane, numbers) in (0..).zip(&mut waiting) {
            numbers.sort_unstable();
            for (position, number) in (1..).zip(numbers.iter()) {
                let status = queue.status(LaneNumber { lane, number: *number });
                assert_eq!(status, NumberStatus::waiting_at(position), "number {number} of lane {lane}");
            }
        }
    }
}

async fn join(room: &WaitingRoom, performance: PerformanceId, user: UserId, lane: u8) -> QueueTokenPayload {
    let open = room.open_queue(performance).await.expect("the catalog answers").expect("an open queue");
    room.join(&open, Entrant { user, lane, needs_accessible: false }, None).await.expect("a token")
}

type Losses = (Option<Loss>, Option<Loss>);

/// Applies the steps to a new queue, and draws its numbers.
fn run<F: Future<Output = Stores>>(stores: impl FnOnce() -> F, steps: &[Step], (before, after): Losses) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut drawing = Drawing::new(stores().await).await;
        for step in steps {
            drawing.apply(step).await;
        }
        drawing.draw(before, after).await;
    });
}

fn losses() -> impl Strategy<Value = Losses> {
    (prop::option::weighted(0.3, loss()), prop::option::weighted(0.3, loss()))
}

#[test]
fn a_draw_in_redis_matches_the_model() {
    let redis = Flushable::start_as("draw-model");
    proptest!(config(150), |(steps in vec(step(), 1..=40), losses in losses())| {
        run(|| on_redis(&redis), &steps, losses);
    });
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn a_draw_in_memory_matches_the_model(steps in vec(step(), 1..=40), losses in losses()) {
        run(on_memory, &steps, losses);
    }
}

/// The draw is closed by another instance, which then hangs. Who joins follows all who take part.
#[tokio::test]
async fn who_joins_a_closed_draw_follows() {
    let redis = Flushable::start_as("closed-draw");
    for stores in [on_memory().await, on_redis(&redis).await] {
        let mut drawing = Drawing::new(stores).await;
        for fan in 0..4 {
            drawing.join(fan, 0).await;
        }
        drawing.leave(2).await;
        assert_eq!(drawing.draws.close(drawing.performance).await.expect("the records answer")[0], 4);
        let (first, second) = (id(), id());
        let late = join(&drawing.rooms[1], drawing.performance, first, 0).await;
        assert_eq!((late.index, join(&drawing.rooms[0], drawing.performance, first, 0).await), (5, late));
        drawing.clock.0.fetch_add(1_000, Ordering::SeqCst);
        let left = drawing.fans[2].user;
        assert_eq!(join(&drawing.rooms[1], drawing.performance, left, 0).await.index, 6, "too late for the draw");
        drawing.fans[2].places.clear();
        drawing.draw(None, None).await;
        assert_eq!(join(&drawing.rooms[0], drawing.performance, second, 0).await.index, 7);
    }
}
