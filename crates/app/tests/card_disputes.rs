//! What the saga of card payments asks of the gateway while a charge is disputed, on a payment that is kept in memory.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use encore_app::card_saga::{CardSaga, CardSagaParts, Driven};
use encore_app::contexts::PerformanceContexts;
use encore_app::payment::SettlementPropagator;
use encore_domain::booking::seat_state::StockByNeed;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::payment::attempt::{AttemptEvent, AttemptState, Outcome, Progress, Step};
use encore_domain::payment::card::{CardPayment, Purpose};
use encore_domain::payment::card_change::{CardContext, decide};
use encore_domain::payment::card_plan::CardPlan;
use encore_domain::payment::gateway::{ChargeStatus, DisputeStatus, GatewayView, MethodToken, RefundStatus};
use encore_domain::payment::refund::{CancelledBy, Refund, RefundCause};
use encore_domain::ports::{
    Clock, MockCardPayments, MockCatalog, MockClock, MockDraws, MockIds, MockPaymentGateway, MockQueueRecords,
    MockQueueStore, MockReservations, MockSeatChanges, MockSeatLocks,
};
use encore_port_tests::fixtures::{at_secs, euros, id};
use encore_seat_map::{SeatMap, SeatMapParts};
use encore_waiting_room::{Stock, WaitingRoom, WaitingRoomParts};
use uuid::Uuid;

/// A payment into a wallet has no stock.
struct NoStock;

#[async_trait]
impl Stock for NoStock {
    async fn stock(&self, _: PerformanceId) -> Result<StockByNeed, Unavailable> {
        panic!("nothing is for sale")
    }

    async fn may_buy(&self, _: PerformanceId, _: UserId) -> Result<bool, Unavailable> {
        panic!("nothing is for sale")
    }
}

const HEARD: (Step, Outcome) = (Step::Dispute, Outcome::Requested);

/// A top-up of which a refund was begun, after which these outcomes of the refund and of a dispute were recorded.
fn refunding(refund_outcomes: &[Outcome], dispute: &[(Step, Outcome)]) -> CardPayment {
    let at = at_secs(0);
    let plan = CardPlan {
        payment: id(),
        user: id(),
        purpose: Purpose::TopUp,
        amount: euros(700),
        attempt: id(),
        method: MethodToken::parse("card").expect("a token"),
        token: None,
        revision: 0,
        at,
        lease_until: at,
    };
    let mut card = plan.first(plan.attempt(at, id()));
    let refund = Refund {
        id: id(),
        payment: plan.payment,
        reservation: None,
        user: plan.user,
        performance: None,
        slots: Vec::new(),
        is_whole: false,
        price: euros(500),
        fee_minor: 0,
        by: CancelledBy::Fan,
        cause: RefundCause::Withdrawn,
        to_card: true,
        at,
    };
    let mut steps = vec![(Step::Capture, Outcome::Succeeded), (Step::Confirm, Outcome::Succeeded)];
    steps.push((Step::Refund(refund.id), Outcome::Requested));
    steps.extend(refund_outcomes.iter().map(|outcome| (Step::Refund(refund.id), outcome.clone())));
    steps.extend(dispute.iter().cloned());
    card.attempts[0].events.extend(steps.into_iter().map(|(step, outcome)| AttemptEvent { step, outcome, at }));
    card.refunds.push(refund);
    card
}

/// The saga over this payment, which it changes by the rules of the domain.
fn saga(kept: &Arc<Mutex<CardPayment>>, gateway: MockPaymentGateway) -> CardSaga {
    let mut cards = MockCardPayments::new();
    let kept = Arc::clone(kept);
    cards.expect_apply().returning(move |_, change, _| {
        let mut card = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let context =
            CardContext { reservation: None, seats_are_free: false, has_another_hold: false, fits_wallet: true };
        let effects = decide(&card, context, &change);
        card.attempts[0].events.extend(effects.events.iter().cloned());
        Ok((card.clone(), effects))
    });
    let (mut clock, mut ids) = (MockClock::new(), MockIds::new());
    clock.expect_now().returning(|| at_secs(1));
    ids.expect_next().returning(|| Uuid::from_u128(1));
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let catalog = Arc::new(MockCatalog::new());
    let seat_map = SeatMap::new(SeatMapParts {
        locks: Arc::new(MockSeatLocks::new()),
        changes: Arc::new(MockSeatChanges::new()),
        reservations: Arc::new(MockReservations::new()),
        contexts: PerformanceContexts::new(catalog.clone()),
        clock: Arc::clone(&clock),
    });
    let room = WaitingRoom::new(WaitingRoomParts {
        queues: Arc::new(MockQueueStore::new()),
        records: Arc::new(MockQueueRecords::new()),
        draws: Arc::new(MockDraws::new()),
        catalog,
        stock: Arc::new(NoStock),
        clock: Arc::clone(&clock),
    });
    CardSaga::new(CardSagaParts {
        cards: Arc::new(cards),
        gateway: Arc::new(gateway),
        seat_map: seat_map.clone(),
        propagator: SettlementPropagator::new(seat_map, room),
        clock,
        ids: Arc::new(ids),
    })
}

/// A gateway that took the charge, knows these refunds and says this of a dispute. It makes no refund that is not expected of it.
fn gateway(card: &CardPayment, refund: Option<RefundStatus>, dispute: Option<DisputeStatus>) -> MockPaymentGateway {
    let refunds = refund.map(|status| (card.refunds[0].id, status)).into_iter().collect();
    let view = GatewayView { charge: ChargeStatus::Captured, refunds };
    let mut gateway = MockPaymentGateway::new();
    gateway.expect_look_up().returning(move |_| Ok(Some(view.clone())));
    gateway.expect_dispute().returning(move |_| Ok(dispute));
    gateway
}

/// A gateway that answers the request for a refund with this status.
fn refunding_gateway(card: &CardPayment, status: RefundStatus, dispute: Option<DisputeStatus>) -> MockPaymentGateway {
    let mut gateway = gateway(card, None, dispute);
    let mut view = GatewayView::of(ChargeStatus::Captured);
    view.refunds.push((card.refunds[0].id, status));
    gateway.expect_refund().times(1).returning(move |_, _, _| Ok(view.clone()));
    gateway
}

/// The state of the payment when it was driven until there was nothing to do but wait.
async fn driven(card: CardPayment, gateway: MockPaymentGateway) -> AttemptState {
    let kept = Arc::new(Mutex::new(card.clone()));
    let driven = saga(&kept, gateway).drive(card, Driven::Again).await;
    driven.expect("the stores answer").latest()
}

fn progress(state: &AttemptState) -> (Progress, Progress) {
    (state.refunds[0].1, state.dispute)
}

#[tokio::test]
async fn a_refund_waits_while_a_dispute_is_open() {
    let card = refunding(&[], &[HEARD]);
    let gateway = gateway(&card, None, Some(DisputeStatus::Open));
    assert_eq!(progress(&driven(card, gateway).await), (Progress::Requested, Progress::Unknown));
}

#[tokio::test]
async fn a_refund_of_what_a_lost_dispute_took_is_not_sent() {
    for before in [vec![HEARD], vec![HEARD, (Step::Dispute, Outcome::Succeeded)]] {
        let card = refunding(&[], &before);
        let gateway = gateway(&card, None, Some(DisputeStatus::Lost));
        assert_eq!(progress(&driven(card, gateway).await), (Progress::Succeeded, Progress::Succeeded));
    }
}

#[tokio::test]
async fn a_refund_is_sent_when_a_dispute_was_won_or_is_not_known() {
    for (dispute, after) in [(Some(DisputeStatus::Won), Progress::Failed), (None, Progress::Requested)] {
        let card = refunding(&[], &[HEARD]);
        let gateway = refunding_gateway(&card, RefundStatus::Succeeded, dispute);
        assert_eq!(progress(&driven(card, gateway).await), (Progress::Succeeded, after));
    }
}

#[tokio::test]
async fn a_refund_that_comes_back_during_a_dispute_is_seen() {
    let card = refunding(&[Outcome::Succeeded], &[HEARD]);
    let gateway = gateway(&card, Some(RefundStatus::Failed), Some(DisputeStatus::Open));
    assert_eq!(progress(&driven(card, gateway).await), (Progress::Failed, Progress::Unknown));
}

#[tokio::test]
async fn a_refund_that_is_refused_for_a_dispute_does_not_fail() {
    for (dispute, expected) in [
        (DisputeStatus::Open, (Progress::Requested, Progress::Unknown)),
        (DisputeStatus::Lost, (Progress::Succeeded, Progress::Succeeded)),
    ] {
        let card = refunding(&[], &[]);
        let gateway = refunding_gateway(&card, RefundStatus::Failed, Some(dispute));
        assert_eq!(progress(&driven(card, gateway).await), expected);
    }
    let card = refunding(&[], &[]);
    let gateway = refunding_gateway(&card, RefundStatus::Failed, None);
    assert_eq!(driven(card, gateway).await.refunds[0].1, Progress::Failed, "nobody disputes it");
}
