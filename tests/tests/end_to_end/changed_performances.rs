//! Performances that are postponed, changed and withdrawn while fans can see them.

use std::time::Duration;

use encore_domain::ids::PerformanceId;
use encore_domain::payment::refund::CancellationPolicy;
use encore_domain::time::Timestamp;
use encore_payment_gateway::APPROVE;
use encore_port_tests::fixtures::queue_settings;
use encore_proto::admin::v1 as pb;
use encore_proto::admin::v1::performance_service_client::PerformanceServiceClient;
use encore_proto::booking::v1::Reservation;
use encore_proto::catalog::v1 as catalog;
use encore_proto::common::v1::Money;
use encore_tests::audit::found;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, violated_fields};
use encore_tests::ledger;
use encore_tests::world::{World, until};
use tonic::Status;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn in_proto(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.timestamp(), nanos: 0 }
}

fn price(grade: &str, amount_minor: i64, currency_code: &str) -> catalog::GradePrice {
    let price = Some(Money { amount_minor, currency_code: currency_code.into() });
    catalog::GradePrice { grade: grade.into(), price }
}

/// The message that postpones to one time, with refunds until another.
fn to(id: PerformanceId, starts_at: Timestamp, refunds_until: Timestamp) -> pb::PostponePerformanceRequest {
    pb::PostponePerformanceRequest {
        request_id: String::new(),
        performance_id: id.to_string(),
        starts_at: Some(in_proto(starts_at)),
        refunds_until: Some(in_proto(refunds_until)),
        reason: "illness".into(),
    }
}

fn update(id: PerformanceId) -> pb::UpdatePerformanceRequest {
    pb::UpdatePerformanceRequest { performance_id: id.to_string(), ..pb::UpdatePerformanceRequest::default() }
}

fn withdrawal(id: PerformanceId) -> pb::WithdrawPerformanceRequest {
    pb::WithdrawPerformanceRequest {
        request_id: String::new(),
        performance_id: id.to_string(),
        reason: "published by mistake".into(),
    }
}

async fn postpone(by: &Fan, message: pb::PostponePerformanceRequest) -> Result<catalog::Performance, Status> {
    let mut client = PerformanceServiceClient::new(by.channel.clone());
    let reply = client.postpone_performance(by.request(message)).await?.into_inner();
    Ok(reply.performance.expect("a performance"))
}

async fn change(by: &Fan, message: pb::UpdatePerformanceRequest) -> Result<catalog::Performance, Status> {
    let mut client = PerformanceServiceClient::new(by.channel.clone());
    let reply = client.update_performance(by.request(message)).await?.into_inner();
    Ok(reply.performance.expect("a performance"))
}

async fn withdraw(by: &Fan, message: pb::WithdrawPerformanceRequest) -> Result<catalog::Performance, Status> {
    let mut client = PerformanceServiceClient::new(by.channel.clone());
    let reply = client.withdraw_performance(by.request(message)).await?.into_inner();
    Ok(reply.performance.expect("a performance"))
}

async fn look(fan: &Fan, id: PerformanceId) -> Result<catalog::Performance, Status> {
    let message = catalog::GetPerformanceRequest { performance_id: id.to_string() };
    let reply = fan.catalog().get_performance(fan.request(message)).await?.into_inner();
    Ok(reply.performance.expect("a performance"))
}

async fn listed(fan: &Fan) -> Vec<catalog::Performance> {
    let message = catalog::ListPerformancesRequest { page_size: 100, ..Default::default() };
    fan.catalog().list_performances(fan.request(message)).await.expect("a page").into_inner().performances
}

async fn chart(fan: &Fan, id: PerformanceId, version: &str) -> catalog::GetSeatChartResponse {
    let performance_id = id.to_string();
    let message = catalog::GetSeatChartRequest { performance_id, version: version.into(), ..Default::default() };
    fan.catalog().get_seat_chart(fan.request(message)).await.expect("a chart").into_inner()
}

/// A fan who has paid for a seat of 120 euros from the wallet, and has nothing left.
async fn bought(world: &World, turn: usize, id: PerformanceId, seat: &str) -> (Fan, Reservation) {
    let fan = world.fan(turn).await;
    fan.top_up(12_000).await.expect("a credit");
    let hold = fan.hold(id, &[seat]).await.expect("a hold");
    fan.pay(&hold.reservation_id).await.expect("a payment");
    (fan, hold)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_before_a_show_is_postponed_is_refunded_in_full() {
    let policy = CancellationPolicy { fee_percent: 10, ..CancellationPolicy::default() };
    let world = World::embedded_as(|encore| encore.cancelling(policy)).await;
    let (operator, id, start) = (world.operator().await, world.performance(None).await, world.now());
    let (early, bought_early) = bought(&world, 0, id, "S-A-1").await;
    let (by_card, last) = (world.fan(0).await, bought(&world, 0, id, "S-A-3").await);
    let of_card = by_card.hold(id, &["S-A-2"]).await.expect("a hold");
    by_card.pay_by_card(&of_card.reservation_id, APPROVE).await.expect("a payment");
    let held = world.fan(0).await;
    held.top_up(12_000).await.expect("a credit");
    let hold = held.hold(id, &["S-A-4"]).await.expect("a hold");

    world.clock.advance(Duration::from_secs(1));
    let (starts_at, refunds_until) = (start + DAY * 40, start + DAY * 40 - HOUR);
    let postponed = postpone(&operator, to(id, starts_at, refunds_until)).await.expect("postponed");
    assert_eq!(postponed.starts_at, Some(in_proto(starts_at)));
    assert_eq!(postponed.postponed_from, Some(in_proto(start + DAY * 30)));
    assert_eq!(postponed.refunds_until, Some(in_proto(refunds_until)));
    let (late, bought_late) = bought(&world, 0, id, "S-A-5").await;
    let (too_late, bought_too_late) = bought(&world, 0, id, "S-A-6").await;
    held.pay(&hold.reservation_id).await.expect("a payment");

    early.cancel(&bought_early.reservation_id, &[]).await.expect("cancelled");
    assert_eq!(early.balance().await.expect("a balance"), 12_000, "without a fee");
    let refund = by_card.cancel(&of_card.reservation_id, &[]).await.expect("cancelled").refund.expect("a refund");
    assert_eq!(refund.amount.map(|amount| amount.amount_minor), Some(12_000));
    assert_eq!(by_card.balance().await.expect("a balance"), 0, "it goes to the card");
    late.cancel(&bought_late.reservation_id, &[]).await.expect("cancelled");
    assert_eq!(late.balance().await.expect("a balance"), 10_800, "it was bought afterwards");

    // The deadline of the policy is a day before the new start.
    world.clock.advance(DAY * 39 + HOUR);
    let closed = too_late.cancel(&bought_too_late.reservation_id, &[]).await.expect_err("it was held afterwards");
    assert_eq!(reason(&closed), "CANCELLATION_CLOSED");
    let (last, bought_last) = last;
    for (fan, id, why) in [(last, bought_last.reservation_id, "paid"), (held, hold.reservation_id, "held")] {
        fan.cancel(&id, &[]).await.expect("cancelled");
        assert_eq!(fan.balance().await.expect("a balance"), 12_000, "it was {why} before");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_a_refund_ends_when_fans_were_told() {
    let world = World::embedded().await;
    let (operator, id, start) = (world.operator().await, world.performance(None).await, world.now());
    let (fan, paid) = bought(&world, 0, id, "S-A-1").await;
    world.clock.advance(DAY * 29 + HOUR);
    let until = world.now() + HOUR;
    let message = to(id, start + DAY * 30 + HOUR, until);
    postpone(&operator, message).await.expect("postponed");
    world.clock.advance(HOUR);
    let closed = fan.cancel(&paid.reservation_id, &[]).await.expect_err("it is too late");
    assert_eq!(reason(&closed), "CANCELLATION_CLOSED");
    let again = to(id, start + DAY * 33, start + DAY * 32);
    let postponed = postpone(&operator, again).await.expect("postponed again");
    assert_eq!(postponed.postponed_from, Some(in_proto(start + DAY * 30)));
    fan.cancel(&paid.reservation_id, &[]).await.expect("cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postponed_show_is_postponed_on_every_instance() {
    let world = World::durable(2).await;
    let (operator, id, start) = (world.operator().await, world.performance(None).await, world.now());
    let (fan, paid) = bought(&world, 1, id, "S-A-1").await;
    assert_eq!(look(&fan, id).await.expect("it").postponed_from, None);
    world.clock.advance(DAY * 29 + HOUR);
    let closed = fan.cancel(&paid.reservation_id, &[]).await.expect_err("the show is near");
    assert_eq!(reason(&closed), "CANCELLATION_CLOSED");

    let message =
        pb::PostponePerformanceRequest { request_id: request_id(), ..to(id, start + DAY * 45, start + DAY * 40) };
    let first = postpone(&operator, message.clone()).await.expect("postponed");
    let again = postpone(&operator.on(world.channel(1)), message.clone()).await.expect("repeated");
    assert_eq!(again, first);
    let other = pb::PostponePerformanceRequest { reason: "fire".into(), ..message };
    assert_eq!(reason(&postpone(&operator, other).await.expect_err("another body")), "REQUEST_ID_REUSED");

    // The right holds at once on the other instance, whatever it has cached. Listings are read from the store.
    let listed = listed(&fan).await;
    let dates = listed.iter().map(|it| (it.starts_at, it.postponed_from, it.refunds_until));
    let expected =
        (Some(in_proto(start + DAY * 45)), Some(in_proto(start + DAY * 30)), Some(in_proto(start + DAY * 40)));
    assert_eq!(dates.collect::<Vec<_>>(), [expected]);
    fan.cancel(&paid.reservation_id, &[]).await.expect("cancelled");
    assert_eq!(fan.balance().await.expect("a balance"), 12_000);
    let follows = || async { look(&fan, id).await.is_ok_and(|it| it.starts_at == Some(in_proto(start + DAY * 45))) };
    until("the other instance to follow", follows).await;
    assert_eq!(ledger::events(world.database(), "catalog.performance_postponed").await, 1);
    assert_eq!(found(&operator, id).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_and_limits_change_for_what_is_not_held_yet() {
    let world = World::durable(2).await;
    let (operator, id) = (world.operator().await, world.performance(None).await);
    let fan = world.fan(1).await;
    fan.top_up(50_000).await.expect("a credit");
    let dear = fan.hold(id, &["S-A-1", "S-A-2"]).await.expect("a hold");
    let known = chart(&fan, id, "").await.version;
    assert!(chart(&fan, id, &known).await.not_modified);

    let message = pb::UpdatePerformanceRequest {
        request_id: request_id(),
        prices: vec![price("Front", 9_900, "EUR")],
        seats_per_fan: Some(3),
        hold_duration: Some(prost_types::Duration { seconds: 90, nanos: 0 }),
        ..update(id)
    };
    let changed = change(&operator, message.clone()).await.expect("changed");
    assert_eq!(changed.prices, [price("Front", 9_900, "EUR"), price("Rear", 7_500, "EUR")]);
    assert_eq!((changed.seats_per_fan, changed.hold_duration.map(|it| it.seconds)), (3, Some(90)));
    assert_eq!(change(&operator.on(world.channel(1)), message).await.expect("repeated"), changed);
    let follows = || async { look(&fan, id).await.is_ok_and(|it| it.seats_per_fan == 3) };
    until("the other instance to follow", follows).await;

    let cheap = fan.hold(id, &["S-A-3"]).await.expect("a hold");
    assert_eq!(cheap.total.as_ref().map(|total| total.amount_minor), Some(9_900));
    let over = fan.hold(id, &["S-A-4"]).await.expect_err("it would be the fourth");
    assert_eq!(
        (reason(&over).as_str(), reason_metadata(&over, "limit").as_deref()),
        ("SEAT_LIMIT_EXCEEDED", Some("3"))
    );
    for hold in [&dear, &cheap] {
        fan.pay(&hold.reservation_id).await.expect("a payment");
    }
    assert_eq!(fan.balance().await.expect("a balance"), 50_000 - 24_000 - 9_900, "each costs what its hold said");
    let new = chart(&fan, id, &known).await;
    assert!(!new.not_modified && new.version != known, "{}", new.version);
    assert_eq!(new.prices, changed.prices);

    let message = pb::PreviewPerformanceCancellationRequest { performance_id: id.to_string() };
    let preview = operator.admin().preview_performance_cancellation(operator.request(message)).await;
    let amount = preview.expect("a preview").into_inner().amount.map(|amount| amount.amount_minor);
    assert_eq!(amount, Some(33_900), "what was paid, and not what it would cost now");
    fan.cancel(&dear.reservation_id, &["S-A-1"]).await.expect("cancelled");
    assert_eq!(fan.balance().await.expect("a balance"), 50_000 - 12_000 - 9_900);
    assert_eq!(ledger::events(world.database(), "catalog.performance_changed").await, 1);
    ledger::assert_conserved(world.database()).await;
    assert_eq!(found(&operator, id).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_opens_and_closes_when_operators_say() {
    let world = World::durable(2).await;
    let start = world.now();
    let later = |mut performance: encore_domain::catalog::Performance| {
        performance.on_sale.opens_at = start + HOUR;
        performance
    };
    let (operator, id) = (world.operator().await, world.performance_with(None, later).await);
    let fan = world.fan(1).await;
    assert_eq!(reason(&fan.hold(id, &["S-A-1"]).await.expect_err("not yet")), "SALE_NOT_OPEN");
    let sooner = pb::UpdatePerformanceRequest { on_sale_opens_at: Some(in_proto(start + HOUR / 2)), ..update(id) };
    change(&operator, sooner).await.expect("changed");
    world.clock.advance(HOUR / 2);
    until("the sale to open on the other instance", || async { fan.hold(id, &["S-A-1"]).await.is_ok() }).await;

    let fixed = pb::UpdatePerformanceRequest { on_sale_opens_at: Some(in_proto(start + HOUR * 2)), ..update(id) };
    assert_eq!(violated_fields(&change(&operator, fixed).await.expect_err("it is open")), ["on_sale_opens_at"]);
    world.clock.advance(DAY);
    assert_eq!(reason(&fan.hold(id, &["S-A-2"]).await.expect_err("it is over")), "SALE_CLOSED");
    let longer = pb::UpdatePerformanceRequest { on_sale_closes_at: Some(in_proto(start + DAY * 3)), ..update(id) };
    change(&operator, longer).await.expect("changed");
    until("the sale to go on", || async { fan.hold(id, &["S-A-2"]).await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_by_its_field_and_changes_nothing() {
    let world = World::embedded().await;
    let (operator, id, start) = (world.operator().await, world.performance(None).await, world.now());
    let before = look(&operator, id).await.expect("it");
    for (message, fields) in [
        (to(id, start + DAY * 30, start + DAY), vec!["starts_at"]),
        (to(id, start + DAY * 40, start), vec!["refunds_until"]),
        (to(id, start + DAY * 40, start + DAY * 41), vec!["refunds_until"]),
        (pb::PostponePerformanceRequest::default(), vec!["performance_id", "starts_at", "refunds_until", "reason"]),
    ] {
        let refused = postpone(&operator, message.clone()).await.expect_err("it cannot work");
        assert_eq!(violated_fields(&refused), fields, "{message:?}");
    }
    let priced = |prices| pb::UpdatePerformanceRequest { prices, ..update(id) };
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    for (message, fields) in [
        (pb::UpdatePerformanceRequest { seats_per_fan: Some(0), ..update(id) }, vec!["seats_per_fan"]),
        (pb::UpdatePerformanceRequest { seats_per_fan: Some(101), ..update(id) }, vec!["seats_per_fan"]),
        (pb::UpdatePerformanceRequest { hold_duration: seconds(9), ..update(id) }, vec!["hold_duration"]),
        (
            pb::UpdatePerformanceRequest { on_sale_closes_at: Some(in_proto(start + DAY * 31)), ..update(id) },
            vec!["on_sale_closes_at"],
        ),
        (priced(vec![price("Side", 1, "EUR")]), vec!["prices[0].grade"]),
        (priced(vec![price("Rear", 1, "EUR"), price("Rear", 2, "EUR")]), vec!["prices[1].grade"]),
        (priced(vec![price("Rear", 1, "USD")]), vec!["prices[0].price.currency_code"]),
        (priced(vec![price("Rear", -1, "EUR")]), vec!["prices[0].price.amount_minor"]),
        (priced(vec![catalog::GradePrice { grade: "Rear".into(), price: None }]), vec!["prices[0].price"]),
        (pb::UpdatePerformanceRequest { reason: "x".repeat(201), ..update(id) }, vec!["reason"]),
    ] {
        let refused = change(&operator, message.clone()).await.expect_err("it cannot work");
        assert_eq!(violated_fields(&refused), fields, "{message:?}");
    }
    let unknown = encore_port_tests::fixtures::id();
    assert_eq!(reason(&change(&operator, update(unknown)).await.expect_err("unknown")), "NOT_FOUND");
    assert_eq!(reason(&withdraw(&operator, withdrawal(unknown)).await.expect_err("unknown")), "NOT_FOUND");
    let later = to(unknown, start + DAY * 40, start + DAY);
    assert_eq!(reason(&postpone(&operator, later).await.expect_err("unknown")), "NOT_FOUND");
    assert_eq!(look(&operator, id).await.expect("it"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_performance_is_withdrawn_while_nobody_has_seats_of_it() {
    let world = World::durable(2).await;
    let operator = world.operator().await;
    let (id, queued) = (world.performance(None).await, world.performance(Some(queue_settings())).await);
    let mut fan = world.fan(1).await;
    let held = fan.hold(id, &["S-A-1", "S-A-2"]).await.expect("a hold");
    let in_use = withdraw(&operator, withdrawal(id)).await.expect_err("a fan holds seats");
    assert_eq!(
        (reason(&in_use).as_str(), reason_metadata(&in_use, "seats").as_deref()),
        ("PERFORMANCE_IN_USE", Some("2"))
    );
    fan.release(&held.reservation_id).await.expect("released");

    let message = pb::WithdrawPerformanceRequest { request_id: request_id(), ..withdrawal(id) };
    let withdrawn = withdraw(&operator, message.clone()).await.expect("withdrawn");
    assert_eq!(withdrawn.seats_left, 0);
    // The other instance may not know yet, and still sells nothing.
    let late = reason(&fan.hold(id, &["S-A-1"]).await.expect_err("it is withdrawn"));
    assert!(["SEATS_TAKEN", "SALE_CLOSED"].contains(&late.as_str()), "{late}");
    assert_eq!(listed(&fan).await.iter().map(|it| it.performance_id.clone()).collect::<Vec<_>>(), [queued.to_string()]);
    assert_eq!(withdraw(&operator, message).await.expect("repeated").performance_id, id.to_string());
    withdraw(&operator, withdrawal(queued)).await.expect("withdrawn");
    for id in [id, queued] {
        until("the other instance to follow", || async {
            look(&fan, id).await.is_err_and(|refused| reason(&refused) == "NOT_FOUND")
        })
        .await;
    }
    assert_eq!(reason(&fan.join(queued).await.expect_err("it is withdrawn")), "SALE_CLOSED");
    let kept = fan.reservation(&held.reservation_id).await.expect("what was released is still told");
    assert_eq!(kept.performance_id, id.to_string());

    for refused in [
        change(&operator, pb::UpdatePerformanceRequest { seats_per_fan: Some(1), ..update(id) }).await,
        postpone(&operator, to(id, world.now() + DAY * 40, world.now() + DAY)).await,
    ] {
        assert_eq!(reason(&refused.expect_err("it is withdrawn")), "PERFORMANCE_WITHDRAWN");
    }
    assert_eq!(ledger::events(world.database(), "catalog.performance_withdrawn").await, 2);
    assert_eq!(found(&operator, id).await, []);
}
