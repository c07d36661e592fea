//! The cases of [`PaymentGateway`](encore_domain::ports::PaymentGateway).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::ids::RefundId;
use encore_domain::payment::gateway::{Charge, ChargeStatus, FailureReason, GatewayView, MethodToken, RefundStatus};
use encore_domain::ports::PaymentGateway;

use crate::fixtures::{euros, id, start};

/// Stamps the cases of the port `PaymentGateway`.
#[macro_export]
macro_rules! payment_gateway {
    ($($with:tt)+) => {
        $crate::suite! { payment_gateway [
            authorizes_and_captures,
            repeats_an_operation,
            declines_a_bad_card,
            asks_for_an_action,
            voids_what_is_authorized,
            refunds_what_is_captured,
            looks_up_what_it_knows,
            refuses_an_unknown_method,
        ] $($with)+ }
    };
}

/// A gateway, and tokens of its test cards.
pub struct GatewayBench {
    /// The port under test.
    pub gateway: Arc<dyn PaymentGateway>,
    /// A card that pays.
    pub good: MethodToken,
    /// A card that is declined.
    pub bad: MethodToken,
    /// A card that needs an action of the fan.
    pub acting: MethodToken,
}

/// A new charge of a card.
fn charge(method: &MethodToken) -> Charge {
    Charge { attempt: id(), payment: id(), amount: euros(12_000), method: method.clone(), begun_at: start() }
}

impl GatewayBench {
    async fn authorize(&self, charge: &Charge) -> GatewayView {
        self.gateway.authorize(charge).await.expect("the gateway answers")
    }

    async fn capture(&self, charge: &Charge) -> GatewayView {
        self.gateway.capture(charge).await.expect("the gateway answers")
    }

    async fn refund(&self, charge: &Charge, refund: RefundId, minor: i64) -> Vec<(RefundId, RefundStatus)> {
        self.gateway.refund(charge, refund, euros(minor)).await.expect("the gateway answers").refunds
    }

    async fn captured(&self) -> Charge {
        let charge = charge(&self.good);
        self.authorize(&charge).await;
        assert_eq!(self.capture(&charge).await.charge, ChargeStatus::Captured);
        charge
    }

    fn authorized(&self) -> ChargeStatus {
        if self.gateway.captures_at_once() { ChargeStatus::Captured } else { ChargeStatus::Authorized }
    }
}

pub async fn authorizes_and_captures(bench: GatewayBench) {
    let charge = charge(&bench.good);
    assert_eq!(bench.authorize(&charge).await, GatewayView::of(bench.authorized()));
    assert_eq!(bench.capture(&charge).await, GatewayView::of(ChargeStatus::Captured));
}

pub async fn repeats_an_operation(bench: GatewayBench) {
    let charge = charge(&bench.good);
    let first = bench.authorize(&charge).await;
    assert_eq!(bench.authorize(&charge).await, first);
    for _ in 0..2 {
        assert_eq!(bench.capture(&charge).await.charge, ChargeStatus::Captured);
    }
    assert_eq!(bench.authorize(&charge).await.charge, ChargeStatus::Captured, "the answer is the state");
    let refund = id();
    for _ in 0..3 {
        assert_eq!(bench.refund(&charge, refund, 12_000).await, [(refund, RefundStatus::Succeeded)]);
    }
}

pub async fn declines_a_bad_card(bench: GatewayBench) {
    let bad = charge(&bench.bad);
    for _ in 0..2 {
        assert!(matches!(bench.authorize(&bad).await.charge, ChargeStatus::Declined(_)));
    }
    let second = charge(&bench.good);
    assert_eq!(bench.authorize(&second).await.charge, bench.authorized());
    assert!(matches!(bench.authorize(&bad).await.charge, ChargeStatus::Declined(_)));
}

pub async fn asks_for_an_action(bench: GatewayBench) {
    let charge = charge(&bench.acting);
    let ChargeStatus::NeedsAction(action) = bench.authorize(&charge).await.charge else { panic!("an action") };
    assert!(action.url.starts_with("https://"), "{action:?}");
    let voided = bench.gateway.void(&charge).await.expect("the gateway answers");
    assert_eq!(voided.charge, ChargeStatus::Voided);
    assert_eq!(bench.authorize(&charge).await.charge, ChargeStatus::Voided);
}

pub async fn voids_what_is_authorized(bench: GatewayBench) {
    let charge = charge(&bench.good);
    bench.authorize(&charge).await;
    let kept = if bench.gateway.captures_at_once() { ChargeStatus::Captured } else { ChargeStatus::Voided };
    for _ in 0..2 {
        assert_eq!(bench.gateway.void(&charge).await.expect("the gateway answers").charge, kept);
    }
    assert_eq!(bench.capture(&charge).await.charge, kept);
    let captured = bench.captured().await;
    let view = bench.gateway.void(&captured).await.expect("the gateway answers");
    assert_eq!(view.charge, ChargeStatus::Captured, "what is taken is not voided");
}

pub async fn refunds_what_is_captured(bench: GatewayBench) {
    let charge = bench.captured().await;
    let [first, second, third] = [id(), id(), id()];
    assert_eq!(bench.refund(&charge, first, 5_000).await, [(first, RefundStatus::Succeeded)]);
    let both = [(first, RefundStatus::Succeeded), (second, RefundStatus::Succeeded)];
    assert_eq!(bench.refund(&charge, second, 7_000).await, both);
    let refunds = bench.refund(&charge, third, 1).await;
    assert_eq!(refunds.last(), Some(&(third, RefundStatus::Failed)), "more than is left");
}

pub async fn looks_up_what_it_knows(bench: GatewayBench) {
    let unknown = charge(&bench.good);
    assert_eq!(bench.gateway.look_up(&unknown).await.expect("the gateway answers"), None);
    let charge = bench.captured().await;
    let refund = id();
    bench.refund(&charge, refund, 1).await;
    let found = bench.gateway.look_up(&charge).await.expect("the gateway answers").expect("a charge");
    let refunds = vec![(refund, RefundStatus::Succeeded)];
    assert_eq!(found, GatewayView { charge: ChargeStatus::Captured, refunds });
}

pub async fn refuses_an_unknown_method(bench: GatewayBench) {
    let charge = charge(&MethodToken::parse("none-of-this-gateway").expect("a token"));
    let view = bench.authorize(&charge).await;
    assert_eq!(view.charge, ChargeStatus::Declined(FailureReason::MethodInvalid));
}
