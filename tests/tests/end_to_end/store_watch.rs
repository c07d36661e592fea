//! An instance whose clock is wrong, and stores that do not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use encore_domain::booking::ReservationState;
use encore_domain::catalog::Performance;
use encore_domain::error::Unavailable;
use encore_domain::ids::ReservationId;
use encore_domain::ports::{Clock, StoreClock};
use encore_domain::queue::QueueSettings;
use encore_domain::time::Timestamp;
use encore_grpc::{GuardedRpcs, LIVENESS};
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_server::store_watch::StoreClocks;
use encore_tests::clock::TestClock;
use encore_tests::fan::next_status;
use encore_tests::in_memory;
use encore_tests::world::{World, until};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const HOLD_FOR: Duration = Duration::from_mins(5);
/// Longer than any change of health takes.
const HANG: Duration = Duration::from_mins(1);
/// Longer than any deadline in these tests.
const FAR_AHEAD_MS: i64 = 60 * 60 * 1_000;
const PAYMENT: &str = "encore.payment.v1.PaymentService";
const QUEUE: &str = "encore.queue.v1.QueueService";

/// The world's clock, with the time that passes meanwhile: a clock that stands still is wrong after a second.
struct RunningClock {
    world: Arc<TestClock>,
    begun: Instant,
}

impl RunningClock {
    fn new(world: &World) -> Arc<Self> {
        Arc::new(Self { world: Arc::clone(&world.clock), begun: Instant::now() })
    }
}

impl Clock for RunningClock {
    fn now(&self) -> Timestamp {
        let now_ms = (self.world.now() + self.begun.elapsed()).timestamp_millis();
        Timestamp::from_timestamp_millis(now_ms).expect("in range")
    }
}

/// A clock that is wrong.
struct WrongClock {
    right: Arc<RunningClock>,
    ahead_ms: AtomicI64,
}

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        let right_ms = self.right.now().timestamp_millis();
        Timestamp::from_timestamp_millis(right_ms + self.ahead_ms.load(Ordering::SeqCst)).expect("in range")
    }
}

/// The clock of a store, which is right and may not answer.
struct Store {
    right: Arc<RunningClock>,
    silent: AtomicBool,
    read: AtomicUsize,
}

impl Store {
    fn new(right: &Arc<RunningClock>) -> Arc<Self> {
        Arc::new(Self { right: Arc::clone(right), silent: AtomicBool::default(), read: AtomicUsize::default() })
    }

    fn be_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }
}

#[async_trait]
impl StoreClock for Store {
    async fn now(&self) -> Result<Timestamp, Unavailable> {
        self.read.fetch_add(1, Ordering::SeqCst);
        if self.silent.load(Ordering::SeqCst) { Err(Unavailable::of("the store")) } else { Ok(self.right.now()) }
    }
}

async fn health(channel: &Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.expect("an answer").into_inner().status()
}

async fn until_health(channel: &Channel, service: &str, status: ServingStatus) {
    until(&format!("{status:?} for {service:?}"), || async { health(channel, service).await == status }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_clock_is_wrong_is_not_ready_and_sweeps_nothing() {
    let world = World::embedded().await;
    let five_minutes = |performance| Performance { hold_for: HOLD_FOR, ..performance };
    let performance = world.performance_with(Some(QueueSettings::default()), five_minutes).await;
    let mut fan = world.fan(0).await;
    fan.enter(performance).await.expect("admitted");
    let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    let id = ReservationId(hold.reservation_id.parse().expect("a UUID"));
    let still_held = async || {
        let reservation = world.ports.reservations.find(id).await.expect("the store answers").expect("a reservation");
        assert_eq!(reservation.state, ReservationState::Held);
        assert!(matches!(fan.position().await, Ok(QueueStatus::Admitted(_))));
    };
    let right = RunningClock::new(&world);
    let store = Store::new(&right);
    let clock = Arc::new(WrongClock { right, ahead_ms: AtomicI64::new(FAR_AHEAD_MS) });
    let store_clocks = StoreClocks { records: Some(store.clone() as Arc<dyn StoreClock>), live: None };
    let ports = Ports { clock: clock.clone(), store_clocks, ..world.ports.clone() };
    let instance = in_memory::Instance::start(Encore::new(ports, GuardedRpcs::default())).await;
    let channel = &instance.channel;

    until("three looks at the store", || async { store.read.load(Ordering::SeqCst) >= 3 }).await;
    assert_eq!(health(channel, "").await, ServingStatus::NotServing);
    assert_eq!(health(channel, PAYMENT).await, ServingStatus::NotServing);
    assert_eq!(health(channel, LIVENESS).await, ServingStatus::Serving);
    still_held().await;

    clock.ahead_ms.store(0, Ordering::SeqCst);
    for service in ["", PAYMENT, QUEUE] {
        until_health(channel, service, ServingStatus::Serving).await;
    }
    // The sweeps run now, and notice a step of the clock before the next look at the store.
    clock.ahead_ms.store(FAR_AHEAD_MS, Ordering::SeqCst);
    until_health(channel, "", ServingStatus::NotServing).await;
    still_held().await;

    clock.ahead_ms.store(0, Ordering::SeqCst);
    until_health(channel, "", ServingStatus::Serving).await;
    world.instances[0].shut_down();
    world.clock.advance(HOLD_FOR);
    until("an expired hold", || async {
        let reservation = world.ports.reservations.find(id).await.expect("the store answers");
        reservation.is_some_and(|reservation| reservation.state == ReservationState::Expired)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_for_each_service_whether_what_it_needs_can_be_reached() {
    let world = World::embedded().await;
    let clock = RunningClock::new(&world);
    let (records, live) = (Store::new(&clock), Store::new(&clock));
    let store_clocks = StoreClocks {
        records: Some(records.clone() as Arc<dyn StoreClock>),
        live: Some(live.clone() as Arc<dyn StoreClock>),
    };
    let ports = Ports { clock, store_clocks, ..world.ports.clone() };
    let instance = in_memory::Instance::start(Encore::new(ports, GuardedRpcs::default())).await;
    let channel = &instance.channel;
    for service in ["", PAYMENT, QUEUE] {
        until_health(channel, service, ServingStatus::Serving).await;
    }
    let one_inside = QueueSettings { max_active: 1, ..QueueSettings::default() };
    let performance = world.performance(Some(one_inside)).await;
    let (mut inside, mut waiting) = (world.fan(0).await, world.fan(0).await.on(channel));
    inside.enter(performance).await.expect("admitted");
    waiting.join(performance).await.expect("a queue token");
    let mut positions = waiting.watch().await.expect("a stream");
    assert!(matches!(next_status(&mut positions).await, QueueStatus::Waiting(_)));
    let request = HealthCheckRequest { service: QUEUE.to_owned() };
    let mut watched = HealthClient::new(channel.clone()).watch(request).await.expect("a stream").into_inner();
    let mut next = async || {
        let status = timeout(HANG, watched.message()).await.expect("a change");
        status.expect("a status").expect("a status").status()
    };
    assert_eq!(next().await, ServingStatus::Serving);

    live.be_silent(true);
    assert_eq!(next().await, ServingStatus::NotServing);
    for service in ["", PAYMENT, LIVENESS] {
        assert_eq!(health(channel, service).await, ServingStatus::Serving, "{service:?} does not need the queues");
    }

    records.be_silent(true);
    until_health(channel, PAYMENT, ServingStatus::NotServing).await;
    for service in ["", LIVENESS] {
        assert_eq!(health(channel, service).await, ServingStatus::Serving, "{service:?}: the stores are away for all");
    }
    inside.leave().await.expect("left");
    // The stream was open all the time.
    while !matches!(next_status(&mut positions).await, QueueStatus::Admitted(_)) {}

    live.be_silent(false);
    assert_eq!(next().await, ServingStatus::Serving);
    assert_eq!(health(channel, PAYMENT).await, ServingStatus::NotServing);
    records.be_silent(false);
    until_health(channel, PAYMENT, ServingStatus::Serving).await;
}
