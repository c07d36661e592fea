//! Locks that one call could not take or free: nothing looks sold out for long, and nothing looks free.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::hold_change::{ExtendRefusal, Extension, ReleaseRefusal};
use encore_domain::booking::seat_state::{Locker, SeatStatus};
use encore_domain::booking::{Claim, Reservation, ReservationCursor, ReservationFilter, SoldSeat};
use encore_domain::catalog::Performance;
use encore_domain::catalog::seat_chart::{SeatChart, Slot};
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{LockTerms, MockSeatLocks, PlaceRefusal, Reservations, SeatLocks};
use encore_domain::queue::QueueTokenPayload;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use encore_grpc::GuardedRpcs;
use encore_port_tests::fixtures;
use encore_proto::booking::v1::BestAvailable;
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_tests::fan::reason;
use encore_tests::in_memory::Instance;
use encore_tests::world::{World, until};
use futures::FutureExt;
use tonic::Code;

/// Reservations on a disk that can be full: reads go on.
struct Disk {
    reservations: Arc<dyn Reservations>,
    full: AtomicBool,
}

#[async_trait]
impl Reservations for Disk {
    async fn place(
        &self,
        hold: Reservation,
        seats_per_fan: u32,
        token: Option<QueueTokenPayload>,
        request: RequestKey,
    ) -> Result<Applied<Reservation>, RequestError<PlaceRefusal>> {
        if self.full.load(Ordering::SeqCst) {
            return Err(Unavailable::of("the disk").into());
        }
        self.reservations.place(hold, seats_per_fan, token, request).await
    }

    async fn find_placed(
        &self,
        request: RequestKey,
    ) -> Result<Option<Reservation>, RequestError<std::convert::Infallible>> {
        self.reservations.find_placed(request).await
    }

    async fn release(
        &self,
        id: ReservationId,
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, RequestError<ReleaseRefusal>> {
        self.reservations.release(id, now, request).await
    }

    async fn release_seats(
        &self,
        id: ReservationId,
        slots: &[Slot],
        now: Timestamp,
        request: Option<RequestKey>,
    ) -> Result<Applied<Reservation>, RequestError<ReleaseRefusal>> {
        self.reservations.release_seats(id, slots, now, request).await
    }

    async fn extend(
        &self,
        id: ReservationId,
        extension: Extension,
        now: Timestamp,
        request: RequestKey,
    ) -> Result<Applied<Reservation>, RequestError<ExtendRefusal>> {
        self.reservations.extend(id, extension, now, request).await
    }

    async fn find_changed(
        &self,
        request: RequestKey,
    ) -> Result<Option<Reservation>, RequestError<std::convert::Infallible>> {
        self.reservations.find_changed(request).await
    }

    async fn leave(&self, token: QueueTokenPayload, now: Timestamp) -> Result<Vec<Reservation>, Unavailable> {
        self.reservations.leave(token, now).await
    }

    async fn expire_due(&self, now: Timestamp, limit: u32) -> Result<Vec<Reservation>, Unavailable> {
        self.reservations.expire_due(now, limit).await
    }

    async fn find(&self, id: ReservationId) -> Result<Option<Reservation>, Unavailable> {
        self.reservations.find(id).await
    }

    async fn list(
        &self,
        user: UserId,
        filter: &ReservationFilter,
        page: PageRequest<ReservationCursor>,
    ) -> Result<Page<Reservation, ReservationCursor>, Unavailable> {
        self.reservations.list(user, filter, page).await
    }

    async fn owned(&self, performance: PerformanceId, user: UserId) -> Result<u32, Unavailable> {
        self.reservations.owned(performance, user).await
    }

    async fn sold_seats(
        &self,
        performance: PerformanceId,
        page: PageRequest<Slot>,
    ) -> Result<Page<SoldSeat, Slot>, Unavailable> {
        self.reservations.sold_seats(performance, page).await
    }

    async fn claims(&self, performance: PerformanceId) -> Result<Vec<Claim>, Unavailable> {
        self.reservations.claims(performance).await
    }

    async fn claims_on(&self, performance: PerformanceId, slots: &[Slot]) -> Result<Vec<Claim>, Unavailable> {
        self.reservations.claims_on(performance, slots).await
    }
}

fn best(count: u32) -> BestAvailable {
    BestAvailable { count, ..BestAvailable::default() }
}

/// Locks all seats for a hold that is never placed. The locks are loaded.
async fn lock_all(world: &World, performance: PerformanceId, chart: &SeatChart) {
    let all: Vec<Slot> = chart.seats().iter().map(|seat| seat.slot).collect();
    let until = fixtures::start() + std::time::Duration::from_hours(1);
    let locks = &world.ports.seat_locks;
    let terms = fixtures::lock_terms(fixtures::id(), until);
    locks.take(performance, &all, Orphans::Allow, terms).await.expect("locked");
    assert_eq!(locks.stock(&[performance]).await.expect("an answer")[0].expect("loaded").stock.free, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_that_are_locked_and_not_claimed_are_not_sold_out() {
    let (world, chart) = (World::embedded().await, fixtures::small_chart());
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    fan.seats(performance).await.expect("the seats are loaded");
    lock_all(&world, performance, &chart).await;

    let hold = fan.hold_best(performance, best(2)).await.expect("seats without a claim");

    let id = ReservationId(hold.reservation_id.parse().expect("a UUID"));
    let held = world.ports.reservations.find(id).await.expect("an answer").expect("the reservation").slots();
    let holders = world.ports.seat_locks.holders(performance, &held).await.expect("an answer");
    assert!(holders.len() == 2 && holders.iter().all(|lock| lock.owner.locker() == Locker::Fan(id)), "{holders:?}");

    while world.ports.reservations.claims(performance).await.expect("an answer").len() < chart.seats().len() {
        world.fan(0).await.hold_best(performance, best(1)).await.expect("seats without a claim");
    }
    let refusal = world.fan(0).await.hold_best(performance, best(1)).await.expect_err("all are claimed");
    assert_eq!(reason(&refusal), "NO_SEATS_FIT");
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_that_are_locked_and_not_claimed_do_not_count_against_their_fan() {
    let world = World::embedded().await;
    let two = |performance| Performance { seats_per_fan: 2, ..performance };
    let performance = world.performance_with(None, two).await;
    let fan = world.fan(0).await;
    fan.seats(performance).await.expect("the seats are loaded");
    // Two calls of the fan locked seats, and their instance died.
    let until = fixtures::start() + std::time::Duration::from_hours(1);
    for seat in 0..2 {
        let terms = LockTerms { user: fan.user, seats_per_fan: 2, ..fixtures::lock_terms(fixtures::id(), until) };
        let locked = world.ports.seat_locks.take(performance, &fixtures::slots(&[seat]), Orphans::Allow, terms).await;
        locked.expect("locked");
    }

    fan.hold(performance, &["S-A-3"]).await.expect("the fan owns nothing");
    fan.hold_best(performance, best(1)).await.expect("the fan owns one seat");
    let refusal = fan.hold(performance, &["S-A-5"]).await.expect_err("the fan owns two seats");
    assert_eq!(reason(&refusal), "SEAT_LIMIT_EXCEEDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_locks_of_a_hold_that_failed_are_freed() {
    let world = World::embedded().await;
    let disk = Arc::new(Disk { reservations: world.ports.reservations.clone(), full: AtomicBool::new(true) });
    let ports = Ports { reservations: disk.clone(), ..world.ports.clone() };
    let instance = Instance::start_without_workers(Encore::new(ports, GuardedRpcs::default())).await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await.on(&instance.channel);

    let refusal = fan.hold(performance, &["S-A-1", "S-A-2"]).await.expect_err("the disk is full");
    assert_eq!(refusal.code(), Code::Unavailable);

    // The clock stands still, so that no sweep frees them.
    until("free seats", || async {
        let seats = world.ports.seat_locks.snapshot(performance).await.expect("an answer").expect("loaded");
        seats.statuses.iter().flatten().all(|status| *status == SeatStatus::Free)
    })
    .await;
    disk.full.store(false, Ordering::SeqCst);
    fan.hold(performance, &["S-A-1", "S-A-2"]).await.expect("a hold");
}

/// Locks in process that no call can take, as if every answer came too late. They can be written.
fn locks_that_answer_no_take(locks: &Arc<dyn SeatLocks>) -> MockSeatLocks {
    const IN_PROCESS: &str = "the locks are in this process";
    let mut hanging = MockSeatLocks::new();
    hanging.expect_take().returning(|_, _, _, _| Err(Unavailable::of("redis").into()));
    hanging.expect_snapshot().returning(|_| Err(Unavailable::of("redis")));
    let marked = Arc::clone(locks);
    hanging
        .expect_mark()
        .returning(move |performance, locks| marked.mark(performance, locks).now_or_never().expect(IN_PROCESS));
    hanging
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_on_the_claims_alone_is_shown_as_soon_as_the_locks_answer() {
    let world = World::embedded().await;
    let seat_locks = Arc::new(locks_that_answer_no_take(&world.ports.seat_locks));
    let ports = Ports { seat_locks, ..world.ports.clone() };
    let instance = Instance::start_without_workers(Encore::new(ports, GuardedRpcs::default())).await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    fan.seats(performance).await.expect("the seats are loaded");
    let hasty = fan.on(&instance.channel);

    hasty.hold(performance, &["S-A-1"]).await.expect("a hold of a named seat");
    hasty.hold_best(performance, best(2)).await.expect("a hold of the best seats");

    // The clock stands still, so that no repair locks them.
    until("three locks", || async {
        let seats = world.ports.seat_locks.snapshot(performance).await.expect("an answer").expect("loaded");
        seats.statuses.iter().flatten().filter(|status| **status == SeatStatus::Held).count() == 3
    })
    .await;
}
