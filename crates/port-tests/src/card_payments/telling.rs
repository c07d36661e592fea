use encore_domain::event::{CardPaymentRef, Event, PaymentChange, PaymentFailure, PaymentStep as Told, RefundToCard};
use encore_domain::payment::attempt::{Outcome, Step};
use encore_domain::payment::card::{CardPayment, Purpose};
use encore_domain::payment::card_change::Change;
use encore_domain::payment::gateway::FailureReason;
use encore_domain::time::Timestamp;
use encore_domain::wallet::TransferKind;

use super::{DECLINED, change, plan, plan_for};
use crate::RecordBench;
use crate::answers::made;
use crate::fixtures::{at_secs, euros, request};

const SUCCEEDED: Outcome = Outcome::Succeeded;

impl RecordBench {
    /// What the events say of payments by card, so far.
    async fn told(&self) -> Vec<Told> {
        let steps = self
            .read_events()
            .await
            .into_iter()
            .filter_map(|event| if let Event::PaymentChanged(step) = event { Some(step) } else { None });
        steps.collect()
    }

    async fn assert_no_gap(&self) {
        let report = self.audit.sweep(None).await.expect("the store answers");
        assert!(report.is_clean(), "{:?}", report.findings().collect::<Vec<_>>());
    }
}

/// What an event says of a step of the latest attempt of a payment.
fn step_of(card: &CardPayment, change: PaymentChange, at: Timestamp) -> Told {
    let attempt = card.attempt().expect("an attempt");
    let number = u32::try_from(card.attempts.len()).expect("a small number");
    let CardPayment { id, user, purpose, amount, .. } = *card;
    let payment = CardPaymentRef { id, user, purpose, amount, attempt: number, request: attempt.request };
    Told { payment, change, at }
}

pub async fn writes_an_event_of_each_step(bench: RecordBench) {
    let hold = bench.live(&[0, 1]).await;
    let first = bench.start(&plan(&hold, at_secs(1))).await;
    bench.reported(&first, &[(Step::Authorize, DECLINED)], at_secs(2)).await;
    let held = bench.stored(&hold).await.expect("a reservation");
    let card = bench.start(&plan(&held, at_secs(3))).await;
    for _ in 0..2 {
        bench.reported(&card, &[(Step::Authorize, SUCCEEDED)], at_secs(4)).await;
    }
    bench.apply(&card, change(Change::Confirm, at_secs(5))).await;
    for _ in 0..2 {
        bench.reported(&card, &[(Step::Capture, SUCCEEDED)], at_secs(6)).await;
    }
    let failed = PaymentChange::Failed(PaymentFailure::Refused(FailureReason::Declined));
    let mut expected = vec![
        step_of(&first, failed, at_secs(2)),
        step_of(&card, PaymentChange::Authorized, at_secs(4)),
        step_of(&card, PaymentChange::Captured, at_secs(6)),
    ];
    assert_eq!(bench.told().await, expected);

    let bought = bench.stored(&hold).await.expect("a reservation");
    let some = crate::refunds::plan(&bought, &bought.slots()[..1], at_secs(7));
    let refund = made(bench.cancel(&some, request(bought.user)).await).refund;
    let refused = Outcome::Failed(FailureReason::RefundRefused);
    for (outcome, at) in [(SUCCEEDED, 8), (refused.clone(), 9), (refused, 10)] {
        bench.reported(&card, &[(Step::Refund(refund.id), outcome)], at_secs(at)).await;
    }
    let entries = bench.wallets.entries(hold.user, encore_domain::page::PageRequest::first(100)).await;
    let entries = entries.expect("the store answers").items;
    let returned = entries.iter().find(|it| it.kind == TransferKind::Returned).expect("a transfer to the wallet");
    let refund = RefundToCard::from(&refund);
    let transfer = returned.transfer;
    expected.push(step_of(&card, PaymentChange::Refunded { refund, by_dispute: false }, at_secs(8)));
    expected.push(step_of(&card, PaymentChange::RefundFailed { refund, transfer }, at_secs(9)));
    assert_eq!(bench.told().await, expected);
    let keys = bench.events().await.into_iter().map(|(_, _, key)| key);
    assert!(keys.into_iter().all(|key| key == hold.performance.0), "all in the order of the performance");
    bench.assert_no_gap().await;
}

pub async fn writes_events_of_what_goes_wrong(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let late = bench.start(&plan_for(fan, Purpose::TopUp, euros(700), 0, at_secs(1))).await;
    let bound = late.attempts[0].bound;
    bench.apply(&late, change(Change::Expire, bound)).await;
    bench.reported(&late, &[(Step::Void, SUCCEEDED)], bound).await;
    let mut expected = vec![step_of(&late, PaymentChange::Failed(PaymentFailure::Expired), bound)];

    let card = bench.start(&plan_for(fan, Purpose::TopUp, euros(700), 0, at_secs(1))).await;
    bench.reported(&card, &[(Step::Capture, SUCCEEDED)], at_secs(2)).await;
    bench.apply(&card, change(Change::Confirm, at_secs(3))).await;
    expected.push(step_of(&card, PaymentChange::Captured, at_secs(2)));
    let won = Outcome::Failed(FailureReason::DisputeWon);
    for (outcome, at) in [
        (Outcome::Requested, 4),
        (Outcome::Unknown, 5),
        (won.clone(), 6),
        (Outcome::Requested, 7),
        (won, 8),
        (Outcome::Requested, 9),
        (SUCCEEDED, 10),
    ] {
        bench.reported(&card, &[(Step::Dispute, outcome)], at_secs(at)).await;
    }
    let closed = |dispute, is_lost| PaymentChange::DisputeClosed { dispute, is_lost };
    for (change, at) in [
        (PaymentChange::Disputed { dispute: 1 }, 5),
        (closed(1, false), 6),
        (PaymentChange::Disputed { dispute: 2 }, 10),
        (closed(2, true), 10),
    ] {
        expected.push(step_of(&card, change, at_secs(at)));
    }
    assert_eq!(bench.told().await, expected);
    assert!(bench.events().await.into_iter().all(|(_, _, key)| key == fan.0), "all in the order of the user");
    bench.assert_no_gap().await;

    // What was never taken is not refunded.
    let (hold, card) = bench.authorized(&[0]).await;
    bench.apply(&card, change(Change::Confirm, at_secs(3))).await;
    let refused = Outcome::Failed(FailureReason::CaptureRefused);
    bench.reported(&card, &[(Step::Capture, refused)], at_secs(4)).await;
    bench.apply(&card, change(Change::Revoke, at_secs(5))).await;
    let refused = PaymentChange::Failed(PaymentFailure::Refused(FailureReason::CaptureRefused));
    expected.push(step_of(&card, PaymentChange::Authorized, at_secs(2)));
    expected.push(step_of(&card, refused, at_secs(4)));
    assert_eq!(bench.told().await, expected);
    bench.assert_audited(&hold).await;
}
