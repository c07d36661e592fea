//! Payments by card, at the sandbox gateway.

use std::sync::Arc;
use std::time::Duration;

use encore_app::reconciliation::Reconciler;
use encore_domain::ports::PaymentGateway;
use encore_payment_gateway::{
    ANSWER_LATE, APPROVE, CAPTURE_REFUSED, DECLINE, INSUFFICIENT_FUNDS, LOSE_ANSWER, NEEDS_ACTION, REFUND_FAILS_LATER,
    REFUND_REFUSED, SandboxGateway, TIME_OUT,
};
use encore_proto::booking::v1::{Reservation, ReservationState};
use encore_proto::catalog::v1::SeatStatus;
use encore_proto::common::v1::Money;
use encore_proto::payment::v1::{Payment, PaymentFailure, PaymentMethod, PaymentState};
use encore_proto::wallet::v1::WithdrawRequest;
use encore_tests::audit::found;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, violated_fields};
use encore_tests::ledger;
use encore_tests::world::{World, until};
use futures::future::join_all;
use tonic::Status;

/// A fan with a hold on these seats of a new performance.
async fn held(world: &World, seats: &[&str]) -> (Fan, Reservation) {
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let hold = fan.hold(performance, seats).await.expect("a hold");
    (fan, hold)
}

async fn state(fan: &Fan, hold: &Reservation) -> ReservationState {
    fan.reservation(&hold.reservation_id).await.expect("the reservation").state()
}

/// Waits until a payment has this state, which workers bring about.
async fn reaches(world: &World, fan: &Fan, payment: &Payment, state: PaymentState) {
    until("the end of a payment", || async {
        world.clock.advance(Duration::from_millis(500));
        fan.payment_of(&payment.payment_id).await.expect("the payment").state() == state
    })
    .await;
}

async fn assert_audited(world: &World, hold: &Reservation) {
    let performance = hold.performance_id.parse().expect("an id");
    assert_eq!(found(&world.operator().await, performance).await, []);
    ledger::assert_conserved(world.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_pays_once_however_often_it_is_asked() {
    let world = World::durable(2).await;
    let (fan, hold) = held(&world, &["S-A-1", "C-A-1"]).await;
    let request = request_id();
    let payments = join_all((0..10).map(|turn| {
        let (fan, request, id) = (fan.on(world.channel(turn)), request.clone(), hold.reservation_id.clone());
        async move { fan.pay_by_card_as(&request, &id, APPROVE).await.expect("the payment") }
    }))
    .await;
    assert!(payments.iter().all(|payment| payment.payment_id == payments[0].payment_id));
    let paid = fan.payment_of(&payments[0].payment_id).await.expect("the payment");
    reaches(&world, &fan, &paid, PaymentState::Paid).await;
    let paid = fan.payment_of(&paid.payment_id).await.expect("the payment");
    assert_eq!((paid.method(), paid.attempts.len()), (PaymentMethod::Card, 1));
    assert_eq!(paid.amount.map(|amount| amount.amount_minor), Some(19_500));
    assert!(paid.paid_at.is_some());
    assert_eq!(state(&fan, &hold).await, ReservationState::Confirmed);
    assert_eq!(fan.balance().await.expect("a balance"), 0, "it went through the wallet");
    assert_eq!(ledger::payments(world.database()).await, 1);
    assert_eq!(ledger::events(world.database(), "booking.reservation_confirmed").await, 1);
    let seats = fan.seats(hold.performance_id.parse().expect("an id")).await.expect("seats");
    assert_eq!(seats.iter().filter(|seat| seat.status() == SeatStatus::Sold).count(), 2);
    assert_audited(&world, &hold).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_refused_card_the_hold_lives_on_and_another_card_pays() {
    let world = World::durable(2).await;
    let (fan, hold) = held(&world, &["S-A-1"]).await;
    let declined = fan.pay_by_card(&hold.reservation_id, DECLINE).await.expect("an answer");
    assert_eq!(declined.state(), PaymentState::Failed);
    let again = fan.reservation(&hold.reservation_id).await.expect("the hold");
    assert_eq!((again.state(), again.expires_at), (ReservationState::Held, hold.expires_at));
    let poor = fan.pay_by_card(&hold.reservation_id, INSUFFICIENT_FUNDS).await.expect("an answer");
    assert_eq!(poor.payment_id, declined.payment_id, "another attempt of the same payment");
    let failures: Vec<PaymentFailure> =
        poor.attempts.iter().map(encore_proto::payment::v1::PaymentAttempt::failure).collect();
    assert_eq!(failures, [PaymentFailure::Declined, PaymentFailure::InsufficientFunds]);
    let unknown = fan.pay_by_card(&hold.reservation_id, "pm_of_nobody").await.expect("an answer");
    assert_eq!(
        unknown.attempts.last().map(encore_proto::payment::v1::PaymentAttempt::failure),
        Some(PaymentFailure::MethodInvalid)
    );

    let paid = fan.pay_by_card(&hold.reservation_id, APPROVE).await.expect("an answer");
    assert_eq!((paid.state(), paid.attempts.len()), (PaymentState::Paid, 4));
    assert_eq!(state(&fan, &hold).await, ReservationState::Confirmed);
    assert_audited(&world, &hold).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_authenticates_or_gives_up() {
    let world = World::durable(2).await;
    let (fan, hold) = held(&world, &["S-A-1"]).await;
    let waiting = fan.pay_by_card(&hold.reservation_id, NEEDS_ACTION).await.expect("an answer");
    assert_eq!(waiting.state(), PaymentState::NeedsAction);
    assert!(waiting.next_action.is_some_and(|action| action.url.starts_with("https://")));
    assert_eq!(state(&fan, &hold).await, ReservationState::Paying);
    let busy = fan.pay(&hold.reservation_id).await.expect_err("a card is under way");
    assert_eq!(reason(&busy), "RESERVATION_NOT_HELD");
    assert_eq!(reason_metadata(&busy, "state").as_deref(), Some("PAYING"));
    let other = world.fan(1).await;
    let foreign = other.complete_action(&waiting.payment_id, true).await.expect_err("not theirs");
    assert_eq!(reason(&foreign), "NOT_FOUND");

    let paid = fan.on(world.channel(1)).complete_action(&waiting.payment_id, true).await.expect("an answer");
    assert_eq!((paid.state(), paid.next_action), (PaymentState::Paid, None));
    assert_eq!(state(&fan, &hold).await, ReservationState::Confirmed);
    let again = fan.complete_action(&waiting.payment_id, true).await.expect_err("it is paid");
    assert_eq!(reason(&again), "NO_ACTION_NEEDED");

    let performance = hold.performance_id.parse().expect("an id");
    let second = fan.hold(performance, &["S-A-2"]).await.expect("a hold");
    let waiting = fan.pay_by_card(&second.reservation_id, NEEDS_ACTION).await.expect("an answer");
    let failed = fan.complete_action(&waiting.payment_id, false).await.expect("an answer");
    assert_eq!(failed.attempts[0].failure(), PaymentFailure::ActionFailed);
    assert_eq!(state(&fan, &second).await, ReservationState::Held);

    // Who neither authenticates nor fails loses the seats at the bound, and is not charged.
    let idle = fan.pay_by_card(&second.reservation_id, NEEDS_ACTION).await.expect("an answer");
    world.clock.advance(Duration::from_mins(11));
    reaches(&world, &fan, &idle, PaymentState::Expired).await;
    assert_eq!(state(&fan, &second).await, ReservationState::Expired);
    other.hold(performance, &["S-A-2"]).await.expect("free again");
    assert_audited(&world, &hold).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_asked_again_until_it_is_known() {
    for token in [ANSWER_LATE, LOSE_ANSWER, TIME_OUT] {
        let world = World::durable(2).await;
        let (fan, hold) = held(&world, &["S-A-1"]).await;
        let payment = fan.pay_by_card(&hold.reservation_id, token).await.expect("an answer");
        assert_eq!(payment.state(), PaymentState::Processing, "{token}");
        assert_eq!(state(&fan, &hold).await, ReservationState::Paying, "{token}");
        let refusal = fan.release(&hold.reservation_id).await.expect_err("it is being paid");
        assert_eq!(reason(&refusal), "RESERVATION_NOT_HELD");
        reaches(&world, &fan, &payment, PaymentState::Paid).await;
        assert_eq!(state(&fan, &hold).await, ReservationState::Confirmed, "{token}");
        assert_audited(&world, &hold).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_whose_amount_is_never_taken_is_cancelled() {
    let world = World::durable(2).await;
    let (fan, hold) = held(&world, &["S-A-1"]).await;
    let payment = fan.pay_by_card(&hold.reservation_id, CAPTURE_REFUSED).await.expect("an answer");
    assert_eq!(payment.attempts[0].failure(), PaymentFailure::CaptureRefused);
    assert_eq!(state(&fan, &hold).await, ReservationState::Cancelled);
    assert_eq!(fan.balance().await.expect("a balance"), 0);
    let other = world.fan(1).await;
    let performance = hold.performance_id.parse().expect("an id");
    other.hold(performance, &["S-A-1"]).await.expect("free again");
    assert_audited(&world, &hold).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_card_payment_goes_back_to_the_card_or_else_to_the_wallet() {
    let world = World::durable(2).await;
    for token in [APPROVE, REFUND_REFUSED, REFUND_FAILS_LATER] {
        let performance = world.performance(None).await;
        let fan = world.fan(1).await;
        let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
        let paid = fan.pay_by_card(&hold.reservation_id, token).await.expect("an answer");
        assert_eq!(paid.state(), PaymentState::Paid);
        let cancelled = fan.cancel(&hold.reservation_id, &[]).await.expect("a refund");
        assert_eq!(cancelled.reservation.expect("it").state(), ReservationState::Cancelled);
        reaches(&world, &fan, &paid, PaymentState::Refunded).await;
        let expected = if token == APPROVE { 0 } else { 12_000 };
        until("the money", || async {
            // Refunds that succeeded are looked at again for days.
            world.clock.advance(Duration::from_hours(1));
            fan.balance().await.expect("a balance") == expected
        })
        .await;
        let events = match token {
            APPROVE => (1, 0),
            REFUND_REFUSED => (1, 1),
            _ => (2, 2),
        };
        until("the events of the refunds so far", || async {
            let of_kind = async |kind| ledger::events(world.database(), kind).await;
            (of_kind("payment.refunded").await, of_kind("payment.refund_failed").await) == events
        })
        .await;
        assert_audited(&world, &hold).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_moves_nothing() {
    let world = World::durable(2).await;
    let (fan, hold) = held(&world, &["S-A-1"]).await;
    let number = fan.pay_by_card(&hold.reservation_id, "4242424242424242").await.expect_err("a card number");
    assert_eq!(violated_fields(&number), ["card.token"]);
    let other = world.fan(1).await;
    let foreign = other.pay_by_card(&hold.reservation_id, APPROVE).await.expect_err("not theirs");
    assert_eq!(reason(&foreign), "NOT_FOUND");
    let request = request_id();
    fan.pay_by_card_as(&request, &hold.reservation_id, DECLINE).await.expect("an answer");
    let reused = fan.pay_by_card_as(&request, &hold.reservation_id, APPROVE).await.expect_err("another body");
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
    assert_eq!(state(&fan, &hold).await, ReservationState::Held);
    for _ in 0..9 {
        fan.pay_by_card(&hold.reservation_id, DECLINE).await.expect("an answer");
    }
    let tried = fan.pay_by_card(&hold.reservation_id, APPROVE).await.expect_err("too many");
    assert_eq!(reason(&tried), "TOO_MANY_ATTEMPTS");
    fan.top_up(12_000).await.expect("a credit");
    fan.pay(&hold.reservation_id).await.expect("the wallet pays");
    assert_audited(&world, &hold).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_tops_up_a_wallet_once() {
    let world = World::durable(2).await;
    let fan = world.fan(0).await;
    let request = request_id();
    for turn in 0..3 {
        let credited = fan.on(world.channel(turn)).top_up_by_card(&request, 700, APPROVE).await.expect("a credit");
        assert_eq!(credited.payment.expect("a payment").state(), PaymentState::Paid);
        assert_eq!(credited.entry.and_then(|entry| entry.amount).map(|it| it.amount_minor), Some(700));
    }
    assert_eq!(fan.balance().await.expect("a balance"), 700);
    let declined = fan.top_up_by_card(&request_id(), 700, DECLINE).await.expect("an answer");
    assert_eq!(declined.payment.expect("a payment").state(), PaymentState::Failed);
    assert_eq!(declined.entry, None);
    let late = fan.top_up_by_card(&request_id(), 300, LOSE_ANSWER).await.expect("an answer");
    assert_eq!(late.entry, None);
    reaches(&world, &fan, &late.payment.expect("a payment"), PaymentState::Paid).await;
    assert_eq!(fan.balance().await.expect("a balance"), 1_000);
    ledger::assert_conserved(world.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_and_the_records_differ_about_is_a_finding() {
    let world = World::durable(1).await;
    let compare = async |gateway: Arc<dyn PaymentGateway>| {
        world.clock.advance(Duration::from_hours(2));
        let reconciler = Reconciler::new(world.ports.reconciliations.clone(), gateway, world.clock.clone());
        reconciler.compare().await.expect("the gateway answers");
    };
    let (fan, hold) = held(&world, &["S-A-1"]).await;
    let declined = fan.pay_by_card(&hold.reservation_id, DECLINE).await.expect("an answer");
    assert_eq!(declined.state(), PaymentState::Failed);
    let paid = fan.pay_by_card(&hold.reservation_id, APPROVE).await.expect("an answer");
    reaches(&world, &fan, &paid, PaymentState::Paid).await;
    compare(world.ports.gateway.clone().expect("a gateway")).await;
    assert_audited(&world, &hold).await;
    // It is not compared again, so a gateway that has forgotten it is not asked.
    compare(Arc::new(SandboxGateway::default())).await;
    assert_audited(&world, &hold).await;

    let performance = hold.performance_id.parse().expect("an id");
    let second = fan.hold(performance, &["S-A-2"]).await.expect("a hold");
    fan.pay_by_card(&second.reservation_id, APPROVE).await.expect("an answer");
    compare(Arc::new(SandboxGateway::default())).await;
    assert_eq!(found(&world.operator().await, performance).await.len(), 1, "recorded as taken, and not taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_withdraws_to_the_card_that_topped_up() {
    let world = World::durable(2).await;
    let fan = world.fan(0).await;
    let withdraw = async |request: &str, amount_minor: i64| {
        let amount = Some(Money { amount_minor, currency_code: "EUR".into() });
        let message = WithdrawRequest { request_id: request.to_owned(), amount };
        Ok::<_, Status>(fan.wallet().withdraw(fan.request(message)).await?.into_inner())
    };
    fan.top_up(300).await.expect("a credit");
    let card = fan.top_up_by_card(&request_id(), 700, APPROVE).await.expect("a credit").payment.expect("a payment");
    let request = request_id();
    let first = withdraw(&request, 500).await.expect("withdrawn");
    let [part] = &first.parts[..] else { panic!("{first:?}") };
    assert_eq!(
        (part.payment_id.as_str(), part.amount.as_ref().map(|it| it.amount_minor)),
        (card.payment_id.as_str(), Some(500))
    );
    assert_eq!(withdraw(&request, 500).await.expect("the first result"), first);
    assert_eq!(fan.balance().await.expect("a balance"), 500);
    assert_eq!(reason(&withdraw(&request, 501).await.expect_err("another body")), "REQUEST_ID_REUSED");
    assert_eq!(reason(&withdraw(&request_id(), 501).await.expect_err("too much")), "INSUFFICIENT_BALANCE");
    let elsewhere = withdraw(&request_id(), 201).await.expect_err("of no card");
    assert_eq!(reason(&elsewhere), "NOT_FROM_CARDS");
    assert_eq!(reason_metadata(&elsewhere, "refundable_minor").as_deref(), Some("200"));
    assert_eq!(violated_fields(&withdraw(&request_id(), 0).await.expect_err("nothing")), ["amount.amount_minor"]);
    reaches(&world, &fan, &card, PaymentState::PartlyRefunded).await;
    until("the refund", || async {
        world.clock.advance(Duration::from_millis(500));
        let id = card.payment_id.parse().expect("an id");
        let card = world.ports.card_payments.find(id).await.expect("the store answers").expect("the payment");
        card.latest().open_refund().is_none()
    })
    .await;
    assert_eq!(fan.balance().await.expect("a balance"), 500);
    ledger::assert_conserved(world.database()).await;

    // A card that takes nothing back: the money is in the wallet again.
    let other = world.fan(1).await;
    other.top_up_by_card(&request_id(), 700, REFUND_REFUSED).await.expect("a credit");
    let amount = Some(Money { amount_minor: 700, currency_code: "EUR".into() });
    let message = WithdrawRequest { request_id: request_id(), amount };
    other.wallet().withdraw(other.request(message)).await.expect("withdrawn");
    until("the money", || async {
        world.clock.advance(Duration::from_millis(500));
        other.balance().await.expect("a balance") == 700
    })
    .await;
    ledger::assert_conserved(world.database()).await;
}
