//! The cases of [`Reconciliations`](encore_domain::ports::Reconciliations).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use encore_domain::audit::Promise;
use encore_domain::ids::AttemptId;
use encore_domain::payment::attempt::{Outcome, Progress, Step};
use encore_domain::payment::card::CardPayment;
use encore_domain::payment::card_change::TakeUp;
use encore_domain::payment::reconciliation::{Difference, Unreconciled};

use crate::RecordBench;
use crate::answers::made;
use crate::card_payments::report;
use crate::fixtures::{at_secs, request};

/// Stamps the cases of the port `Reconciliations`.
#[macro_export]
macro_rules! reconciliations {
    ($($with:tt)+) => {
        $crate::suite! { reconciliations [
            takes_what_has_come_to_rest,
            compares_each_attempt_once,
            a_difference_is_a_finding,
        ] $($with)+ }
    };
}

fn attempt(card: &CardPayment) -> AttemptId {
    card.attempt().expect("an attempt").id
}

impl RecordBench {
    async fn unreconciled(&self, before: u64, limit: u32) -> Vec<Unreconciled> {
        self.reconciliations.unreconciled(at_secs(before), limit).await.expect("the store answers")
    }

    async fn compared(&self, card: &CardPayment, difference: Option<Difference>) {
        let recorded = self.reconciliations.record(attempt(card), difference, at_secs(100)).await;
        recorded.expect("the store answers");
    }
}

pub async fn takes_what_has_come_to_rest(bench: RecordBench) {
    let (_, open) = bench.authorized(&[0]).await;
    let (_, first) = bench.charged(&[0]).await;
    let (_, second) = bench.charged(&[0]).await;
    let begun = first.attempt().expect("an attempt").made_at;
    assert_eq!(begun, second.attempt().expect("an attempt").made_at);
    assert_eq!(bench.unreconciled(1, 10).await, [], "begun at that time, not before");
    let taken = bench.unreconciled(2, 10).await;
    let mut attempts: Vec<AttemptId> = taken.iter().map(|it| it.charge.attempt).collect();
    attempts.sort_unstable();
    let mut expected = [attempt(&first), attempt(&second)];
    expected.sort_unstable();
    assert_eq!(attempts, expected, "and not {open:?}");
    assert!(taken.iter().all(|it| it.state.capture == Progress::Succeeded));
    assert!(taken.iter().any(|it| Some(&it.charge) == first.charge().as_ref()));
    assert_eq!(bench.unreconciled(2, 1).await.len(), 1);
}

pub async fn compares_each_attempt_once(bench: RecordBench) {
    let (bought, card) = bench.charged(&[0]).await;
    bench.compared(&card, None).await;
    assert_eq!(bench.unreconciled(99, 10).await, []);
    let plan = crate::refunds::plan(&bought, &[], at_secs(5));
    let refund = made(bench.cancel(&plan, request(bought.user)).await).refund;
    assert_eq!(bench.unreconciled(99, 10).await, [], "the refund is under way");
    let failed = Outcome::Failed(encore_domain::payment::gateway::FailureReason::RefundRefused);
    let change = report(&[(Step::Refund(refund.id), failed)], at_secs(6));
    bench.card_payments.apply(card.id, change, TakeUp::Due(None)).await.expect("the store answers");
    assert_eq!(bench.unreconciled(99, 10).await.len(), 1);
}

pub async fn a_difference_is_a_finding(bench: RecordBench) {
    let (bought, card) = bench.charged(&[0]).await;
    let findings = async || {
        let report = bench.audit.sweep(Some(bought.performance)).await.expect("the store answers");
        let of_money = report.findings().filter(|finding| finding.promise == Promise::MoneyMadeOrLost);
        of_money.map(|finding| finding.subject.clone()).collect::<Vec<_>>()
    };
    assert_eq!(findings().await, Vec::<String>::new());
    for _ in 0..2 {
        bench.compared(&card, Some(Difference::RecordedNotTaken)).await;
        assert_eq!(findings().await, [format!("attempt {}", attempt(&card))]);
    }
    bench.compared(&card, None).await;
    assert_eq!(findings().await, Vec::<String>::new());
}
