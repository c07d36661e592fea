//! How a replica follows the locks: changes it receives, changes it misses, and how it finds those.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::booking::Claim;
use encore_domain::booking::seat_state::{SeatChange, SeatNews, SeatState, SeatStatus, StockAt, all_free};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{MockCatalog, MockClock, MockReservations, MockSeatLocks, SeatChanges, SeatListener};
use encore_port_tests::fixtures;
use encore_seat_map::contexts::{PerformanceContext, PerformanceContexts};
use encore_seat_map::{SeatMap, SeatMapParts};
use tokio::sync::broadcast;
use tokio::time::advance;

/// Longer than two intervals between comparisons.
const TWO_COMPARISONS: Duration = Duration::from_millis(2_500);
/// Longer than an unused replica is kept.
const UNUSED: Duration = Duration::from_secs(40);

/// Long enough for a change to arrive.
const ARRIVAL: Duration = Duration::from_millis(5);

/// Advances the clock of the runtime in small steps, so that every task that is due runs.
async fn pass(time: Duration) {
    const STEP: Duration = Duration::from_millis(5);
    for _ in 0..time.as_millis() / STEP.as_millis() {
        advance(STEP).await;
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    }
}

/// What the stores return, and how often they were queried.
struct Stores {
    live: SeatState,
    claims: Vec<Claim>,
    unavailable: bool,
    snapshots: usize,
    counts: usize,
}

/// A seat map of one performance, on stores that the test controls.
struct Fixture {
    map: SeatMap,
    context: PerformanceContext,
    stores: Arc<Mutex<Stores>>,
    news: broadcast::Sender<SeatNews>,
}

/// Publishes what the test sends.
struct Changes(broadcast::Sender<SeatNews>);

struct Listener(broadcast::Receiver<SeatNews>);

#[async_trait]
impl SeatChanges for Changes {
    async fn listen(&self, _: PerformanceId) -> Result<Box<dyn SeatListener>, Unavailable> {
        Ok(Box::new(Listener(self.0.subscribe())))
    }
}

#[async_trait]
impl SeatListener for Listener {
    async fn next(&mut self) -> SeatNews {
        self.0.recv().await.expect("the fixture lives")
    }
}

impl Fixture {
    fn new() -> Self {
        let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
        let performance = fixtures::performance(concert.id, venue.id);
        let live = SeatState { statuses: all_free(&venue.chart), version: 10 };
        let stores =
            Arc::new(Mutex::new(Stores { live, claims: Vec::new(), unavailable: false, snapshots: 0, counts: 0 }));
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
        let news = broadcast::Sender::new(16);
        let map = SeatMap::new(SeatMapParts {
            locks: Arc::new(locks(&stores)),
            changes: Arc::new(Changes(news.clone())),
            reservations: Arc::new(reservations),
            contexts: PerformanceContexts::new(Arc::new(catalog)),
            clock: Arc::new(clock),
        });
        Self { map, context, stores, news }
    }

    /// Changes a seat in the locks, without a notification.
    fn set(&self, seat: usize, status: SeatStatus) -> SeatChange {
        let mut stores = self.stores.lock().expect("no panic");
        let slot = fixtures::slots(&[seat])[0];
        stores.live.statuses[slot.0 as usize] = Some(status);
        stores.live.version += 1;
        SeatChange { version: stores.live.version, seats: vec![(slot, status)] }
    }

    fn publish(&self, news: SeatNews) {
        self.news.send(news).expect("the updater listens");
    }

    /// Changes a seat, and publishes the change.
    fn change(&self, seat: usize, status: SeatStatus) {
        self.publish(SeatNews::Changed(self.set(seat, status)));
    }

    async fn seats(&self) -> SeatState {
        (*self.map.state(&self.context).await.expect("seats")).clone()
    }

    /// How many seats are left, according to the replica.
    async fn left(&self) -> u32 {
        self.map.stock(&[self.context.performance.id]).await.expect("counts")[0].free
    }

    fn locked(&self) -> SeatState {
        self.stores.lock().expect("no panic").live.clone()
    }

    fn snapshots(&self) -> usize {
        self.stores.lock().expect("no panic").snapshots
    }

    fn set_unavailable(&self, unavailable: bool) {
        self.stores.lock().expect("no panic").unavailable = unavailable;
    }
}

fn locks(stores: &Arc<Mutex<Stores>>) -> MockSeatLocks {
    let mut locks = MockSeatLocks::new();
    let read = Arc::clone(stores);
    locks.expect_snapshot().returning(move |_| {
        let mut stores = read.lock().expect("no panic");
        stores.snapshots += 1;
        if stores.unavailable { Err(Unavailable::of("redis")) } else { Ok(Some(stores.live.clone())) }
    });
    let count = Arc::clone(stores);
    locks.expect_stock().returning(move |performances| {
        let mut stores = count.lock().expect("no panic");
        stores.counts += 1;
        if stores.unavailable {
            return Err(Unavailable::of("redis"));
        }
        let at = StockAt { version: stores.live.version, stock: stores.live.stock() };
        Ok(vec![Some(at); performances.len()])
    });
    locks
}

#[tokio::test(start_paused = true)]
async fn changes_are_applied_without_a_read() {
    let fixture = Fixture::new();
    assert_eq!(fixture.seats().await, fixture.locked());
    for seat in 0..5 {
        fixture.change(seat, SeatStatus::Held);
        assert_eq!(fixture.seats().await, fixture.locked());
    }
    assert_eq!(fixture.snapshots(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_read_has_every_change_made_before_it() {
    let fixture = Fixture::new();
    fixture.seats().await;
    // The notification is lost.
    fixture.set(3, SeatStatus::Sold);
    assert_eq!(fixture.seats().await, fixture.locked());
    // The notification is late.
    let change = fixture.set(4, SeatStatus::Sold);
    let (seats, ()) = futures::join!(fixture.seats(), async {
        pass(Duration::from_millis(50)).await;
        fixture.publish(SeatNews::Changed(change));
    });
    assert_eq!(seats, fixture.locked());
    assert_eq!(fixture.snapshots(), 2, "one for the lost notification, none for the late one");
}

#[tokio::test(start_paused = true)]
async fn a_gap_and_missed_changes_cause_a_read() {
    let fixture = Fixture::new();
    let all = fixture.left().await;
    fixture.seats().await;
    fixture.set(0, SeatStatus::Held);
    fixture.change(1, SeatStatus::Held);
    pass(ARRIVAL).await;
    assert_eq!(fixture.left().await, all - 2);
    fixture.set(2, SeatStatus::Held);
    fixture.publish(SeatNews::Missed);
    pass(ARRIVAL).await;
    assert_eq!(fixture.left().await, all - 3);
    assert_eq!(fixture.snapshots(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_notification_is_found_by_comparison() {
    let fixture = Fixture::new();
    fixture.seats().await;
    let left = fixture.left().await;
    fixture.set(0, SeatStatus::Held);
    pass(TWO_COMPARISONS).await;
    assert_eq!(fixture.left().await, left - 1);
    assert_eq!(fixture.snapshots(), 2);
}

#[tokio::test(start_paused = true)]
async fn different_counts_at_the_same_version_are_found_by_comparison() {
    let fixture = Fixture::new();
    fixture.seats().await;
    let left = fixture.left().await;
    fixture.stores.lock().expect("no panic").live.statuses[0] = Some(SeatStatus::Sold);
    pass(TWO_COMPARISONS).await;
    assert_eq!(fixture.left().await, left - 1, "though the version is the same");
}

#[tokio::test(start_paused = true)]
async fn counts_are_read_from_the_replica() {
    let fixture = Fixture::new();
    fixture.seats().await;
    let counts = || fixture.stores.lock().expect("no panic").counts;
    let before = counts();
    for seat in 0..10 {
        fixture.change(seat, SeatStatus::Held);
        pass(ARRIVAL).await;
        assert_eq!(fixture.left().await as usize, fixtures::SMALL_CHART_SEATS - seat - 1);
    }
    assert_eq!(counts(), before);
}

#[tokio::test(start_paused = true)]
async fn while_the_locks_are_unavailable_the_claims_are_shown() {
    let fixture = Fixture::new();
    fixture.seats().await;
    fixture.set_unavailable(true);
    let held = Claim::held(Slot(0), fixtures::id(), fixtures::id(), fixtures::at_secs(60));
    fixture.stores.lock().expect("no panic").claims = vec![held, Claim::sold(Slot(1), fixtures::id(), fixtures::id())];
    let shown = fixture.seats().await;
    assert_eq!(shown.statuses[..3], [SeatStatus::Held, SeatStatus::Sold, SeatStatus::Free].map(Some));
    assert!(shown.version > fixture.locked().version);

    fixture.set_unavailable(false);
    pass(TWO_COMPARISONS).await;
    assert_eq!(fixture.seats().await, fixture.locked(), "the locks are shown again");
}

#[tokio::test(start_paused = true)]
async fn an_unused_replica_is_removed() {
    let fixture = Fixture::new();
    fixture.seats().await;
    assert_eq!(fixture.news.receiver_count(), 1);
    pass(UNUSED / 2).await;
    fixture.seats().await;
    pass(UNUSED / 2).await;
    assert_eq!(fixture.news.receiver_count(), 1, "it was used since");
    pass(UNUSED).await;
    assert_eq!(fixture.news.receiver_count(), 0);
    assert_eq!(fixture.seats().await, fixture.locked());
}

#[tokio::test(start_paused = true)]
async fn updaters_end_with_the_map() {
    let fixture = Fixture::new();
    fixture.seats().await;
    drop(fixture.map);
    tokio::task::yield_now().await;
    assert_eq!(fixture.news.receiver_count(), 0);
}
