//! The guard: which calls need an active queue token.

use std::time::Duration;

use encore_domain::identity::Role;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::{QueueRate, QueueSettings};
use encore_grpc::{GUARDED_BY_DEFAULT, GuardedRpcs};
use encore_proto::catalog::v1::WatchSeatsRequest;
use encore_server::encore::Encore;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id};
use encore_tests::in_memory::Instance;
use encore_tests::ledger;
use encore_tests::world::World;
use tonic::{Code, Status};

/// The refusals of every guarded call of a fan.
async fn guarded_calls(fan: &Fan, performance: PerformanceId, hold: &str) -> Vec<Status> {
    let outcomes = [
        fan.seats(performance).await.map(drop),
        fan.hold(performance, &["S-A-8"]).await.map(drop),
        fan.pay(hold).await.map(drop),
    ];
    outcomes.into_iter().map(|outcome| outcome.expect_err("the guard refuses")).collect()
}

fn assert_all(refusals: &[Status], expected: &str) {
    for refusal in refusals {
        assert_eq!((refusal.code(), reason(refusal)), (Code::FailedPrecondition, expected.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_active_token_of_the_fan_and_the_performance_passes() {
    let world = World::durable(2).await;
    let settings = QueueSettings { active_duration: Duration::from_mins(3), ..QueueSettings::default() };
    let performance = world.performance(Some(settings.clone())).await;
    let elsewhere = world.performance(Some(settings.clone())).await;
    let mut fan = world.fan(0).await;
    fan.enter(performance).await.expect("admitted");
    fan.top_up(50_000).await.expect("a credit");
    let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold").reservation_id;

    assert_all(&guarded_calls(&fan.showing(""), performance, &hold).await, "QUEUE_TOKEN_MISSING");
    assert_all(&guarded_calls(&fan.showing("garbage"), performance, &hold).await, "QUEUE_TOKEN_INVALID");
    let mut forged = fan.queue_token.clone();
    forged.replace_range(forged.len() - 6.., "AAAAAA");
    assert_all(&guarded_calls(&fan.showing(&forged), performance, &hold).await, "QUEUE_TOKEN_INVALID");

    let mut other = world.fan(1).await;
    other.enter(performance).await.expect("admitted");
    assert_all(&guarded_calls(&fan.showing(&other.queue_token), performance, &hold).await, "QUEUE_TOKEN_INVALID");

    let mut there = fan.clone();
    there.enter(elsewhere).await.expect("admitted");
    assert_all(&guarded_calls(&there, performance, &hold).await, "QUEUE_TOKEN_INVALID");

    world.clock.advance(settings.active_duration);
    let refusals = guarded_calls(&fan.on(world.channel(1)), performance, &hold).await;
    assert_all(&refusals, "QUEUE_TOKEN_ENDED");
    assert_eq!(reason_metadata(&refusals[0], "ended").as_deref(), Some("EXPIRED"));

    assert_eq!(fan.balance().await.expect("a balance"), 50_000);
    assert_eq!(ledger::payments(world.database()).await, 0);
    assert_eq!(ledger::events(world.database(), "booking.hold_placed").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_fan_is_not_authorized() {
    let world = World::durable(2).await;
    let rate = QueueRate { admissions: 1, period: Duration::from_hours(1) };
    let performance = world.performance(Some(QueueSettings { rate, batch: 1, ..QueueSettings::default() })).await;
    let (mut first, mut second) = (world.fan(0).await, world.fan(1).await);
    first.enter(performance).await.expect("admitted");
    second.join(performance).await.expect("a queue token");

    let refusal = second.seats(performance).await.expect_err("not admitted");
    assert_eq!(reason(&refusal), "NOT_ADMITTED");
    first.seats(performance).await.expect("admitted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_ends_the_token_on_every_instance() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(QueueSettings::default())).await;
    let mut fan = world.fan(0).await;
    fan.enter(performance).await.expect("admitted");
    fan.top_up(50_000).await.expect("a credit");
    let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold").reservation_id;
    fan.pay(&hold).await.expect("a payment");

    for turn in 0..2 {
        let refusal = fan.on(world.channel(turn)).hold(performance, &["S-A-2"]).await.expect_err("the token is used");
        assert_eq!(reason(&refusal), "QUEUE_TOKEN_ENDED");
        assert_eq!(reason_metadata(&refusal, "ended").as_deref(), Some("USED"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_rpc_can_be_guarded() {
    let world = World::durable(1).await;
    let guarded = ["encore.wallet.v1.WalletService/TopUp", "encore.booking.v1.BookingService/GetReservation"];
    let guarded = GuardedRpcs::parse(guarded).expect("both can be guarded");
    let strict = Instance::start(Encore::new(world.ports.clone(), guarded)).await;
    let rate = QueueRate { admissions: 1, period: Duration::from_hours(1) };
    let settings =
        QueueSettings { rate, batch: 2, active_duration: Duration::from_mins(3), ..QueueSettings::default() };
    let performance = world.performance(Some(settings.clone())).await;
    let (mut fan, mut other, mut third) = (world.fan(0).await, world.fan(0).await, world.fan(0).await);
    fan.enter(performance).await.expect("admitted");
    other.enter(performance).await.expect("admitted");
    third.join(performance).await.expect("a queue token");
    let fan = fan.on(&strict.channel);

    let without_token = fan.showing("");
    let hold = without_token.hold(performance, &["S-A-1"]).await.expect("holding is not guarded here").reservation_id;
    without_token.balance().await.expect("reading the balance is not guarded here");
    let guarded_calls = async |caller: &Fan| {
        let outcomes = [caller.top_up(1_000).await.map(drop), caller.reservation(&hold).await.map(drop)];
        outcomes.map(|outcome| outcome.expect_err("the guard refuses"))
    };
    assert_all(&guarded_calls(&without_token).await, "QUEUE_TOKEN_MISSING");
    assert_all(&guarded_calls(&fan.showing("garbage")).await, "QUEUE_TOKEN_INVALID");
    assert_all(&guarded_calls(&fan.showing(&other.queue_token)).await, "QUEUE_TOKEN_INVALID");
    assert_all(&guarded_calls(&third.on(&strict.channel)).await, "NOT_ADMITTED");
    let stranger = Fan { access_token: String::new(), ..fan.clone() };
    assert_eq!(reason(&stranger.top_up(1_000).await.expect_err("no credentials")), "CREDENTIALS_MISSING");

    fan.top_up(1_000).await.expect("the token is active");
    assert_eq!(fan.reservation(&hold).await.expect("the token is active").reservation_id, hold);

    world.clock.advance(settings.active_duration);
    let refusals = guarded_calls(&fan).await;
    assert_all(&refusals, "QUEUE_TOKEN_ENDED");
    assert_eq!(reason_metadata(&refusals[0], "ended").as_deref(), Some("EXPIRED"));
    assert_eq!(fan.balance().await.expect("a balance"), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_cannot_queue_need_no_token() {
    let world = World::embedded().await;
    let guarded = [GUARDED_BY_DEFAULT[0], GUARDED_BY_DEFAULT[1], "encore.booking.v1.BookingService/GetReservation"];
    let guarded = GuardedRpcs::parse(guarded).expect("all three can be guarded");
    let strict = Instance::start(Encore::new(world.ports.clone(), guarded)).await;
    let performance = world.performance(Some(QueueSettings::default())).await;
    let watch = WatchSeatsRequest { performance_id: performance.to_string(), ..Default::default() };
    for role in Role::ALL {
        let user = world.user(0, role).await.on(&strict.channel);
        let seats = user.seats(performance).await.map(|seats| seats.len());
        let watched = user.catalog().watch_seats(user.request(watch.clone())).await.map(drop);
        let unknown = user.reservation(&request_id()).await.expect_err("nobody's reservation");
        if matches!(role, Role::Support | Role::Auditor | Role::CheckIn) {
            assert_eq!(seats.expect("seats"), 26, "{role:?}");
            watched.expect("a stream of seats");
            assert_eq!(reason(&unknown), "NOT_FOUND", "{role:?}");
        } else {
            let refusals = [seats.map(drop), watched].map(|outcome| outcome.expect_err("the guard refuses"));
            assert_all(&refusals, "QUEUE_TOKEN_MISSING");
            assert_all(&[unknown], "QUEUE_TOKEN_MISSING");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_call_that_is_a_repeat_needs_no_token_any_more() {
    let world = World::durable(1).await;
    let guarded = ["encore.wallet.v1.WalletService/TopUp", "encore.booking.v1.BookingService/ReleaseHold"];
    let guarded = GuardedRpcs::parse(guarded).expect("both can be guarded");
    let strict = Instance::start(Encore::new(world.ports.clone(), guarded)).await;
    let performance = world.performance(Some(QueueSettings::default())).await;
    let mut fan = world.fan(0).await;
    fan.enter(performance).await.expect("admitted");
    let fan = fan.on(&strict.channel);
    let hold = fan.hold(performance, &["S-A-1", "S-A-2"]).await.expect("a hold").reservation_id;
    let [credit, partly, wholly] = [(); 3].map(|()| request_id());
    let entry = fan.top_up_as(&credit, 1_000).await.expect("a credit");
    let left = fan.release_as(&partly, &hold, &["S-A-1"]).await.expect("one seat released");
    let released = fan.release_as(&wholly, &hold, &[]).await.expect("released");
    fan.leave().await.expect("left");

    for fan in [&fan, &fan.showing(""), &fan.showing("garbage")] {
        assert_eq!(fan.top_up_as(&credit, 1_000).await.expect("a repeat"), entry);
        assert_eq!(fan.release_as(&partly, &hold, &["S-A-1"]).await.expect("a repeat"), left);
        assert_eq!(fan.release_as(&wholly, &hold, &[]).await.expect("a repeat"), released);
        let refusal = fan.top_up_as(&credit, 2_000).await.expect_err("another body");
        assert_eq!(reason(&refusal), "REQUEST_ID_REUSED");
    }
    assert_all(&[fan.top_up(1_000).await.expect_err("guarded")], "QUEUE_TOKEN_ENDED");
    assert_all(&[fan.release(&hold).await.expect_err("guarded")], "QUEUE_TOKEN_ENDED");
    assert_eq!(fan.balance().await.expect("a balance"), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_required_and_checked() {
    let world = World::embedded().await;
    let fan = world.fan(0).await;
    let without = Fan { access_token: String::new(), ..fan.clone() };
    let refusal = without.balance().await.expect_err("no credentials");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Unauthenticated, "CREDENTIALS_MISSING"));

    let forged = Fan { access_token: format!("{}x", fan.access_token), ..fan.clone() };
    let refusal = forged.balance().await.expect_err("forged");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Unauthenticated, "CREDENTIALS_INVALID"));

    world.clock.advance(Duration::from_hours(24 * 366));
    let refusal = fan.balance().await.expect_err("expired");
    assert_eq!(reason(&refusal), "CREDENTIALS_INVALID");
}
