//! How to test what is built on Encore: start the real gRPC server, layers and all, on ports of your choice, and call it
//! over an in-memory connection. Copy what you need.
//!
//! - Start from [`embedded_ports`], which keep everything in this process: what your test does not care about just works.
//! - Replace the ports that your test is about with mocks (`encore_domain::ports::Mock…`, made by mockall): a refusal that is
//!   hard to bring about, a store that is away.
//! - Call the server with the generated clients of `encore-proto`, and assert on what a client sees.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::{PortError, RequestError, Unavailable};
use encore_domain::identity::{Caller, Role};
use encore_domain::ids::{EntryId, TransferId, UserId};
use encore_domain::money::{Currency, Money};
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::PayRefusal;
use encore_domain::ports::{
    MockCatalog, MockPayments, MockQueueStore, MockReservations, MockSeatLocks, MockUsers, MockWallets, PlaceRefusal,
    QueueStore, TakeRefusal, Wallets,
};
use encore_domain::queue::{EndReason, QueueTokenPayload, TokenState};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::wallet::{LedgerEntry, TopUpRefusal, Transfer, WalletEntry};
use encore_grpc::GuardedRpcs;
use encore_port_tests::fixtures;
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::fan::{Fan, reason, reason_metadata, seats_taken};
use encore_tests::in_memory::Instance;
use encore_tests::world::embedded_ports;
use tonic::Code;
use tonic_types::StatusExt;

/// A fan with a good access token, calling a server on these ports.
async fn fan_on(ports: &Ports) -> (Fan, Instance) {
    let instance = Instance::start_without_workers(Encore::new(ports.clone(), GuardedRpcs::default())).await;
    let user: UserId = fixtures::id();
    let caller = Caller { user, role: Role::Fan };
    let access_token = ports.access_tokens.issue(caller, ports.clock.now()).token;
    let fan = Fan { user, access_token, queue_token: String::new(), channel: instance.channel.clone() };
    (fan, instance)
}

/// A catalogue that knows one performance, without a queue, in the small venue of the fixtures.
fn one_performance() -> (MockCatalog, encore_domain::catalog::Performance) {
    let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
    let performance = fixtures::performance(concert.id, venue.id);
    let mut catalog = MockCatalog::new();
    let known = performance.clone();
    catalog.expect_performance().returning(move |id| Ok((id == known.id).then(|| known.clone())));
    catalog.expect_concert().returning(move |_| Ok(Some(concert.clone())));
    catalog.expect_venue().returning(move |_| Ok(Some(venue.clone())));
    (catalog, performance)
}

#[tokio::test]
async fn a_refusal_of_the_seat_locks_names_the_taken_seats() {
    let (catalog, performance) = one_performance();
    let taken = fixtures::slots(&[1]);
    let mut seat_locks = MockSeatLocks::new();
    seat_locks.expect_take().returning(move |_, _, _, _, _| {
        Err(PortError::Refused(TakeRefusal::Taken { slots: taken.clone(), version: 7 }))
    });
    // What is offered instead is looked for in the live seats, or else in the claims.
    seat_locks.expect_snapshot().returning(|_| Err(Unavailable::of("redis")));
    seat_locks.expect_stock().returning(|_| Err(Unavailable::of("redis")));
    let mut reservations = MockReservations::new();
    reservations.expect_claims().returning(|_| Ok(vec![]));
    reservations.expect_find_placed().returning(|_| Ok(None));
    // No expectation for `place`: if the server went on to it, the mock would panic.
    let ports = Ports {
        catalog: Arc::new(catalog),
        seat_locks: Arc::new(seat_locks),
        reservations: Arc::new(reservations),
        ..embedded_ports(Arc::new(TestClock::default()))
    };
    let (fan, _instance) = fan_on(&ports).await;

    let refusal = fan.hold(performance.id, &["S-A-1", "S-A-2"]).await.expect_err("a seat is taken");

    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refusal), "SEATS_TAKEN");
    assert_eq!(reason_metadata(&refusal, "seat_ids").as_deref(), Some("S-A-2"));
    let taken = seats_taken(&refusal).expect("a detail");
    assert_eq!((taken.version, taken.alternatives.len()), (7, 3));
}

#[tokio::test]
async fn without_seat_locks_the_claims_decide() {
    let (catalog, performance) = one_performance();
    let mut seat_locks = MockSeatLocks::new();
    seat_locks.expect_take().returning(|_, _, _, _, _| Err(Unavailable::of("redis").into()));
    seat_locks.expect_release().returning(|_, _, _| Err(Unavailable::of("redis")));
    seat_locks.expect_mark().returning(|_, _| Err(Unavailable::of("redis")));
    seat_locks.expect_snapshot().returning(|_| Err(Unavailable::of("redis")));
    seat_locks.expect_stock().returning(|_| Err(Unavailable::of("redis")));
    let taken = fixtures::slots(&[0]);
    let mut reservations = MockReservations::new();
    reservations
        .expect_place()
        .returning(move |_, _, _| Err(RequestError::Refused(PlaceRefusal::SeatsTaken { slots: taken.clone() })));
    reservations.expect_find_placed().returning(|_| Ok(None));
    reservations.expect_claims_on().returning(|_, _| Ok(vec![]));
    reservations.expect_claims().returning(|_| Ok(vec![]));
    let ports = Ports {
        catalog: Arc::new(catalog),
        seat_locks: Arc::new(seat_locks),
        reservations: Arc::new(reservations),
        ..embedded_ports(Arc::new(TestClock::default()))
    };
    let (fan, _instance) = fan_on(&ports).await;

    let refusal = fan.hold(performance.id, &["S-A-1"]).await.expect_err("the claims say no");

    assert_eq!(reason(&refusal), "SEATS_TAKEN");
    assert_eq!(reason_metadata(&refusal, "seat_ids").as_deref(), Some("S-A-1"));
}

#[tokio::test]
async fn a_store_that_is_away_says_when_to_try_again() {
    let mut wallets = MockWallets::new();
    wallets.expect_top_up().returning(|_, _| Err(Unavailable::of("postgres").into()));
    wallets.expect_balances().returning(|_| Err(Unavailable::of("postgres")));
    let mut users = MockUsers::new();
    users.expect_find_by_email().returning(|_| Err(Unavailable::of("postgres")));
    let ports =
        Ports { wallets: Arc::new(wallets), users: Arc::new(users), ..embedded_ports(Arc::new(TestClock::default())) };
    let (fan, _instance) = fan_on(&ports).await;

    for refusal in [fan.top_up(500).await.map(drop), fan.balance().await.map(drop)] {
        let refusal = refusal.expect_err("the store is away");
        assert_eq!(refusal.code(), Code::Unavailable);
        assert_eq!(reason(&refusal), "STORE_UNAVAILABLE");
        let retry = refusal.get_error_details().retry_info().and_then(|info| info.retry_delay);
        assert_eq!(retry, Some(Duration::from_secs(1)));
    }
}

/// Waits for ever, as a store does that takes a question and is then cut off.
struct SilentWallets;

#[async_trait::async_trait]
impl Wallets for SilentWallets {
    async fn top_up(&self, _: Transfer, _: RequestKey) -> Result<Applied<WalletEntry>, RequestError<TopUpRefusal>> {
        std::future::pending().await
    }

    async fn balances(&self, _: UserId) -> Result<Vec<Money>, Unavailable> {
        std::future::pending().await
    }

    async fn entries(&self, _: UserId, _: PageRequest<EntryId>) -> Result<Page<WalletEntry, EntryId>, Unavailable> {
        std::future::pending().await
    }

    async fn ledger_entries(&self, _: TransferId) -> Result<Vec<LedgerEntry>, Unavailable> {
        std::future::pending().await
    }
}

/// The runtime's clock is paused: it jumps ahead when nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_store_that_says_nothing_is_given_up() {
    let ports = Ports { wallets: Arc::new(SilentWallets), ..embedded_ports(Arc::new(TestClock::default())) };
    let (fan, _instance) = fan_on(&ports).await;

    for refusal in [fan.top_up(500).await.map(drop), fan.balance().await.map(drop)] {
        let refusal = refusal.expect_err("there is no answer");
        assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
        assert!(refusal.get_error_details().retry_info().is_some());
    }
}

#[tokio::test]
async fn an_insufficient_balance_says_what_is_missing() {
    let (catalog, performance) = one_performance();
    let euros = |minor| Money { minor, currency: Currency::parse("EUR").expect("a currency") };
    let clock = Arc::new(TestClock::default());
    let mut payments = MockPayments::new();
    payments.expect_pay_from_wallet().returning(move |plan, _| {
        Err(RequestError::Refused(PayRefusal::InsufficientBalance { balance: euros(1), needed: plan.payment.amount }))
    });
    payments.expect_find_paid().returning(|_| Ok(None));
    let ports = Ports { catalog: Arc::new(catalog), payments: Arc::new(payments), ..embedded_ports(clock) };
    let (fan, _instance) = fan_on(&ports).await;
    let mut reservations = MockReservations::new();
    let hold = fixtures::hold(fan.user, &performance, &[0]);
    let found = hold.clone();
    reservations.expect_find().returning(move |_| Ok(Some(found.clone())));
    let ports = Ports { reservations: Arc::new(reservations), ..ports };
    let instance = Instance::start_without_workers(Encore::new(ports, GuardedRpcs::default())).await;

    let refusal = fan.on(&instance.channel).pay(&hold.id.to_string()).await.expect_err("the balance is short");

    assert_eq!(reason(&refusal), "INSUFFICIENT_BALANCE");
    assert_eq!(reason_metadata(&refusal, "balance_minor").as_deref(), Some("1"));
    assert_eq!(reason_metadata(&refusal, "needed_minor").as_deref(), Some("12000"));
}

#[tokio::test]
async fn a_used_queue_token_is_told_as_such() {
    let (mut catalog, mut performance) = one_performance();
    performance.has_queue = true;
    let with_queue = performance.clone();
    catalog.checkpoint();
    catalog.expect_performance().returning(move |_| Ok(Some(with_queue.clone())));
    catalog.expect_concert().returning(|_| Ok(Some(fixtures::concert())));
    catalog.expect_venue().returning(|_| Ok(Some(fixtures::venue(fixtures::small_chart()))));
    let mut queues = MockQueueStore::new();
    queues.expect_state().returning(|_, _| Ok(TokenState::Ended(EndReason::Used)));
    let queues: Arc<dyn QueueStore> = Arc::new(queues);
    let ports = Ports { catalog: Arc::new(catalog), queues, ..embedded_ports(Arc::new(TestClock::default())) };
    let (fan, _instance) = fan_on(&ports).await;
    let payload = QueueTokenPayload {
        performance: performance.id,
        user: fan.user,
        epoch: 1,
        lane: 0,
        index: 1,
        admitted_until: None,
    };
    let fan = fan.showing(&ports.queue_tokens.sign(&payload));

    let refusal = fan.seats(performance.id).await.expect_err("the token is used");

    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refusal), "QUEUE_TOKEN_ENDED");
    assert_eq!(reason_metadata(&refusal, "ended").as_deref(), Some("USED"));
}

#[tokio::test]
async fn on_no_mock_at_all_a_seat_can_be_bought() {
    let clock = Arc::new(TestClock::default());
    let ports = embedded_ports(clock);
    let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
    let performance = fixtures::performance(concert.id, venue.id);
    ports.catalog.add_venue(venue, None).await.expect("a new venue");
    ports.catalog.add_concert(concert, None).await.expect("a new concert");
    ports.catalog.add_performance(performance.clone(), None, None).await.expect("a new performance");
    let (fan, _instance) = fan_on(&ports).await;

    fan.top_up(20_000).await.expect("a credit");
    let reservation = fan.hold(performance.id, &["S-A-1"]).await.expect("a hold");
    let payment = fan.pay(&reservation.reservation_id).await.expect("a payment");

    assert_eq!(payment.reservation_id, reservation.reservation_id);
    assert_eq!(fan.balance().await.expect("a balance"), 8_000);
}
