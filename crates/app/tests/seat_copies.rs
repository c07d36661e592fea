//! The copy of live seats that an instance keeps: what it hears, what it misses, and how it finds that out.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encore_app::contexts::{PerformanceContext, PerformanceContexts};
use encore_app::seat_map::SeatMap;
use encore_domain::booking::Claim;
use encore_domain::booking::seat_state::{SeatChange, SeatNews, SeatState, SeatStatus, StockAt, all_free};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{MockCatalog, MockClock, MockReservations, MockSeatLocks, SeatChanges, SeatListener};
use encore_port_tests::fixtures;
use tokio::sync::broadcast;
use tokio::time::advance;

/// Longer than any comparison takes to come, twice.
const TWO_LOOKS: Duration = Duration::from_millis(2_500);
/// Longer than a performance is followed for nobody.
const LONG: Duration = Duration::from_secs(40);

/// Long enough for a word to be heard.
const MOMENT: Duration = Duration::from_millis(5);

/// Lets time pass on the runtime's clock, and everybody do what is due.
async fn pass(time: Duration) {
    const STEP: Duration = Duration::from_millis(5);
    for _ in 0..time.as_millis() / STEP.as_millis() {
        advance(STEP).await;
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    }
}

/// What the stores say, and how often they were asked.
struct Stores {
    live: SeatState,
    claims: Vec<Claim>,
    away: bool,
    snapshots: usize,
    counts: usize,
}

/// A map of one performance on stores that a test changes at will.
struct Stage {
    map: SeatMap,
    context: PerformanceContext,
    stores: Arc<Mutex<Stores>>,
    words: broadcast::Sender<SeatNews>,
}

/// Tells what a test says.
struct Words(broadcast::Sender<SeatNews>);

struct Listener(broadcast::Receiver<SeatNews>);

#[async_trait]
impl SeatChanges for Words {
    async fn listen(&self, _: PerformanceId) -> Result<Box<dyn SeatListener>, Unavailable> {
        Ok(Box::new(Listener(self.0.subscribe())))
    }
}

#[async_trait]
impl SeatListener for Listener {
    async fn next(&mut self) -> SeatNews {
        self.0.recv().await.expect("the stage stands")
    }
}

impl Stage {
    fn new() -> Self {
        let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
        let performance = fixtures::performance(concert.id, venue.id);
        let live = SeatState { statuses: all_free(&venue.chart), version: 10 };
        let stores = Arc::new(Mutex::new(Stores { live, claims: Vec::new(), away: false, snapshots: 0, counts: 0 }));
        let context = PerformanceContext {
            performance: Arc::new(performance),
            concert: Arc::new(concert),
            venue: Arc::new(venue),
        };
        let mut catalog = MockCatalog::new();
        let known = context.clone();
        catalog.expect_performance().returning(move |_| Ok(Some((*known.performance).clone())));
        let known = context.clone();
        catalog.expect_concert().returning(move |_| Ok(Some((*known.concert).clone())));
        let known = context.clone();
        catalog.expect_venue().returning(move |_| Ok(Some((*known.venue).clone())));
        let mut reservations = MockReservations::new();
        let claiming = Arc::clone(&stores);
        reservations.expect_claims().returning(move |_| Ok(claiming.lock().expect("no panic").claims.clone()));
        let mut clock = MockClock::new();
        clock.expect_now().returning(fixtures::start);
        let words = broadcast::Sender::new(16);
        let map = SeatMap::new(
            Arc::new(locks(&stores)),
            Arc::new(Words(words.clone())),
            Arc::new(reservations),
            PerformanceContexts::new(Arc::new(catalog)),
            Arc::new(clock),
        );
        Self { map, context, stores, words }
    }

    /// Changes a seat in the locks, without a word.
    fn set(&self, seat: usize, status: SeatStatus) -> SeatChange {
        let mut stores = self.stores.lock().expect("no panic");
        let slot = fixtures::slots(&[seat])[0];
        stores.live.statuses[slot.0 as usize] = Some(status);
        stores.live.version += 1;
        SeatChange { version: stores.live.version, seats: vec![(slot, status)] }
    }

    fn tell(&self, news: SeatNews) {
        self.words.send(news).expect("somebody listens");
    }

    /// Changes a seat, and tells it.
    fn change(&self, seat: usize, status: SeatStatus) {
        self.tell(SeatNews::Changed(self.set(seat, status)));
    }

    async fn seats(&self) -> SeatState {
        (*self.map.state(&self.context).await.expect("seats")).clone()
    }

    /// How many seats are left, by what is kept.
    async fn left(&self) -> u32 {
        self.map.stock(&[self.context.performance.id]).await.expect("counts")[0].free
    }

    fn truth(&self) -> SeatState {
        self.stores.lock().expect("no panic").live.clone()
    }

    fn snapshots(&self) -> usize {
        self.stores.lock().expect("no panic").snapshots
    }

    fn go_away(&self, away: bool) {
        self.stores.lock().expect("no panic").away = away;
    }
}

fn locks(stores: &Arc<Mutex<Stores>>) -> MockSeatLocks {
    let mut locks = MockSeatLocks::new();
    let read = Arc::clone(stores);
    locks.expect_snapshot().returning(move |_| {
        let mut stores = read.lock().expect("no panic");
        stores.snapshots += 1;
        if stores.away { Err(Unavailable::of("redis")) } else { Ok(Some(stores.live.clone())) }
    });
    let count = Arc::clone(stores);
    locks.expect_stock().returning(move |performances| {
        let mut stores = count.lock().expect("no panic");
        stores.counts += 1;
        if stores.away {
            return Err(Unavailable::of("redis"));
        }
        let at = StockAt { version: stores.live.version, stock: stores.live.stock() };
        Ok(vec![Some(at); performances.len()])
    });
    locks
}

#[tokio::test(start_paused = true)]
async fn changes_are_followed_without_reading_again() {
    let stage = Stage::new();
    assert_eq!(stage.seats().await, stage.truth());
    for seat in 0..5 {
        stage.change(seat, SeatStatus::Held);
        assert_eq!(stage.seats().await, stage.truth());
    }
    assert_eq!(stage.snapshots(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_is_seen_by_whoever_asks_afterwards() {
    let stage = Stage::new();
    stage.seats().await;
    // The word is lost.
    stage.set(3, SeatStatus::Sold);
    assert_eq!(stage.seats().await, stage.truth());
    // The word comes late.
    let change = stage.set(4, SeatStatus::Sold);
    let (seats, ()) = futures::join!(stage.seats(), async {
        pass(Duration::from_millis(50)).await;
        stage.tell(SeatNews::Changed(change));
    });
    assert_eq!(seats, stage.truth());
    assert_eq!(stage.snapshots(), 2, "one for the lost word, none for the late one");
}

#[tokio::test(start_paused = true)]
async fn a_gap_and_what_is_missed_are_read_anew() {
    let stage = Stage::new();
    let all = stage.left().await;
    stage.seats().await;
    stage.set(0, SeatStatus::Held);
    stage.change(1, SeatStatus::Held);
    pass(MOMENT).await;
    assert_eq!(stage.left().await, all - 2);
    stage.set(2, SeatStatus::Held);
    stage.tell(SeatNews::Missed);
    pass(MOMENT).await;
    assert_eq!(stage.left().await, all - 3);
    assert_eq!(stage.snapshots(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_word_that_is_lost_without_a_trace_is_noticed() {
    let stage = Stage::new();
    stage.seats().await;
    let left = stage.left().await;
    stage.set(0, SeatStatus::Held);
    pass(TWO_LOOKS).await;
    assert_eq!(stage.left().await, left - 1);
    assert_eq!(stage.snapshots(), 2);
}

#[tokio::test(start_paused = true)]
async fn counts_that_disagree_are_noticed() {
    let stage = Stage::new();
    stage.seats().await;
    let left = stage.left().await;
    stage.stores.lock().expect("no panic").live.statuses[0] = Some(SeatStatus::Sold);
    pass(TWO_LOOKS).await;
    assert_eq!(stage.left().await, left - 1, "though the version is the same");
}

#[tokio::test(start_paused = true)]
async fn counts_are_told_from_the_copy() {
    let stage = Stage::new();
    stage.seats().await;
    let counts = || stage.stores.lock().expect("no panic").counts;
    let before = counts();
    for seat in 0..10 {
        stage.change(seat, SeatStatus::Held);
        pass(MOMENT).await;
        assert_eq!(stage.left().await as usize, fixtures::SMALL_CHART_SEATS - seat - 1);
    }
    assert_eq!(counts(), before);
}

#[tokio::test(start_paused = true)]
async fn while_the_locks_are_away_the_claims_are_shown() {
    let stage = Stage::new();
    stage.seats().await;
    stage.go_away(true);
    let held = Claim::held(Slot(0), fixtures::id(), fixtures::at_secs(60));
    stage.stores.lock().expect("no panic").claims = vec![held, Claim::sold(Slot(1), fixtures::id())];
    let shown = stage.seats().await;
    assert_eq!(shown.statuses[..3], [SeatStatus::Held, SeatStatus::Sold, SeatStatus::Free].map(Some));
    assert!(shown.version > stage.truth().version);

    stage.go_away(false);
    pass(TWO_LOOKS).await;
    assert_eq!(stage.seats().await, stage.truth(), "the locks are repaired by others; what they say counts");
}

#[tokio::test(start_paused = true)]
async fn a_performance_that_nobody_asks_about_is_forgotten() {
    let stage = Stage::new();
    stage.seats().await;
    assert_eq!(stage.words.receiver_count(), 1);
    pass(LONG / 2).await;
    stage.seats().await;
    pass(LONG / 2).await;
    assert_eq!(stage.words.receiver_count(), 1, "somebody asked since");
    pass(LONG).await;
    assert_eq!(stage.words.receiver_count(), 0);
    assert_eq!(stage.seats().await, stage.truth());
}

#[tokio::test(start_paused = true)]
async fn followers_end_with_the_map() {
    let stage = Stage::new();
    stage.seats().await;
    drop(stage.map);
    tokio::task::yield_now().await;
    assert_eq!(stage.words.receiver_count(), 0);
}
