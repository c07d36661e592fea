//! The contract of the port on the Stripe adapter, against localstripe: within the day in which Stripe knows idempotency keys.
#![expect(clippy::expect_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use encore_domain::payment::gateway::ChargeStatus;
use encore_domain::ports::PaymentGateway;
use encore_port_tests::fixtures::{euros, id, start};
use encore_port_tests::payment_gateway::GatewayBench;

use self::support::complete::Complete;
use self::support::{gateway, token};

async fn stripe() -> GatewayBench {
    let Complete { url, acting } = Complete::start().await;
    let gateway = Arc::new(gateway(url, Duration::ZERO));
    GatewayBench { gateway, good: token("pm_card_visa"), bad: token("pm_card_chargeCustomerFail"), acting }
}

encore_port_tests::payment_gateway!(stripe);

/// Another instance, or the same one after a restart, days later.
#[tokio::test]
async fn an_attempt_is_found_by_search_after_its_key_is_forgotten() {
    let Complete { url, .. } = Complete::start().await;
    let charge = encore_domain::payment::gateway::Charge {
        attempt: id(),
        payment: id(),
        amount: euros(12_000),
        method: token("pm_card_visa"),
        begun_at: start(),
    };
    let today = gateway(url.clone(), Duration::ZERO);
    assert_eq!(today.authorize(&charge).await.expect("an answer").charge, ChargeStatus::Authorized);
    let later = gateway(url, Duration::from_hours(48));
    let found = later.look_up(&charge).await.expect("an answer").expect("the attempt");
    assert_eq!(found.charge, ChargeStatus::Authorized);
    assert_eq!(later.capture(&charge).await.expect("an answer").charge, ChargeStatus::Captured);
    let refund = id();
    later.refund(&charge, refund, euros(12_000)).await.expect("an answer");
    assert_eq!(later.look_up(&charge).await.expect("an answer").expect("the attempt").refunds.len(), 1);
    let unknown = encore_domain::payment::gateway::Charge { attempt: id(), ..charge };
    assert_eq!(later.look_up(&unknown).await.expect("an answer"), None);
    assert!(later.capture(&unknown).await.is_err(), "nothing is captured for an attempt that never came");
}
