//! The cases of [`Withdrawals`](encore_domain::ports::Withdrawals).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::event::Event;
use encore_domain::ids::UserId;
use encore_domain::money::Money;
use encore_domain::payment::attempt::{Outcome, Step};
use encore_domain::payment::card::{CardPayment, Purpose};
use encore_domain::payment::card_change::{Change, TakeUp};
use encore_domain::payment::gateway::FailureReason;
use encore_domain::payment::refund::{Refund, RefundCause};
use encore_domain::payment::withdrawal::{WithdrawRefusal, WithdrawalPlan};
use encore_domain::wallet::TransferIds;

use crate::RecordBench;
use crate::answers::{assert_reused, made, made_and_refused, refused, repeated};
use crate::card_payments::{change, plan_for, report};
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{altered, at_secs, euros, id, request};

/// Stamps the cases of the port `Withdrawals`.
#[macro_export]
macro_rules! withdrawals {
    ($($with:tt)+) => {
        $crate::suite! { withdrawals [
            withdraws_to_the_card,
            withdraws_from_several_top_ups,
            withdraws_only_what_is_there,
            repeats_a_withdrawal,
            refuses_a_reused_request,
            withdraws_once_under_contention,
            writes_an_event_for_each_card,
            audits_withdrawals,
        ] $($with)+ }
    };
}

pub(crate) fn plan(user: UserId, amount: Money) -> WithdrawalPlan {
    let part = || (id(), TransferIds { transfer: id(), wallet_entry: id(), counter_entry: id() });
    WithdrawalPlan { user, amount, parts: std::array::from_fn(|_| part()), at: at_secs(50) }
}

impl RecordBench {
    /// A top-up by card that is captured and credited.
    async fn topped_up(&self, user: UserId, minor: i64) -> CardPayment {
        let started = plan_for(user, Purpose::TopUp, euros(minor), 0, at_secs(1));
        let card = made(self.card_payments.start(started, request(user)).await).0;
        let captured = [(Step::Authorize, Outcome::Succeeded), (Step::Capture, Outcome::Succeeded)];
        for change in [report(&captured, at_secs(2)), change(Change::Confirm, at_secs(3))] {
            self.card_payments.apply(card.id, change, TakeUp::Due(None)).await.expect("the store answers");
        }
        card
    }

    async fn withdraw(&self, user: UserId, minor: i64) -> Vec<Refund> {
        made(self.withdrawals.withdraw(plan(user, euros(minor)), request(user)).await)
    }

    async fn assert_clean(&self) {
        let report = self.audit.sweep(None).await.expect("the store answers");
        assert!(report.is_clean(), "{:?}", report.findings().collect::<Vec<_>>());
    }
}

pub async fn withdraws_to_the_card(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let card = bench.topped_up(fan, 700).await;
    let refunds = bench.withdraw(fan, 300).await;
    let [refund] = &refunds[..] else { panic!("{refunds:?}") };
    assert_eq!((refund.payment, refund.amount(), refund.cause), (card.id, euros(300), RefundCause::Withdrawn));
    assert_eq!(bench.balances(fan).await, [euros(400)]);
    let due = bench.card_payments.take_due(at_secs(50), at_secs(80), 10).await.expect("the store answers");
    assert_eq!(due.iter().map(|card| card.latest().open_refund()).collect::<Vec<_>>(), [Some(refund.id)]);
    let failed = Outcome::Failed(FailureReason::RefundRefused);
    for _ in 0..2 {
        let change = report(&[(Step::Refund(refund.id), failed.clone())], at_secs(60));
        bench.card_payments.apply(card.id, change, TakeUp::Due(None)).await.expect("the store answers");
        assert_eq!(bench.balances(fan).await, [euros(700)], "it came back");
    }
    bench.assert_clean().await;
}

pub async fn withdraws_from_several_top_ups(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let first = bench.topped_up(fan, 500).await;
    let second = bench.topped_up(fan, 200).await;
    let amounts = |refunds: Vec<Refund>| -> Vec<_> {
        refunds.iter().map(|refund| (refund.payment, refund.amount().minor)).collect()
    };
    assert_eq!(amounts(bench.withdraw(fan, 150).await), [(second.id, 150)]);
    for (card, refund) in [(&second, bench.card_payments.find(second.id).await.expect("an answer"))] {
        let refund = refund.expect("a payment").refunds[0].id;
        let change = report(&[(Step::Refund(refund), Outcome::Succeeded)], at_secs(55));
        bench.card_payments.apply(card.id, change, TakeUp::Due(None)).await.expect("the store answers");
    }
    assert_eq!(amounts(bench.withdraw(fan, 300).await), [(second.id, 50), (first.id, 250)]);
    assert_eq!(bench.balances(fan).await, [euros(250)]);
    bench.assert_clean().await;
}

pub async fn withdraws_only_what_is_there(bench: RecordBench) {
    let fan = bench.sign_up().await;
    bench.topped_up(fan, 500).await;
    bench.top_up(fan, euros(100)).await;
    let refusal = async |minor| refused(bench.withdrawals.withdraw(plan(fan, euros(minor)), request(fan)).await);
    let (balance, needed) = (euros(600), euros(601));
    assert_eq!(refusal(601).await, WithdrawRefusal::InsufficientBalance { balance, needed });
    assert_eq!(refusal(501).await, WithdrawRefusal::NotFromCards { refundable: euros(500) });
    assert_eq!(bench.balances(fan).await, [euros(600)]);
    assert_eq!(bench.withdraw(fan, 500).await.len(), 1);
    assert_eq!(refusal(1).await, WithdrawRefusal::NotFromCards { refundable: euros(0) });
    bench.assert_clean().await;
}

pub async fn repeats_a_withdrawal(bench: RecordBench) {
    let fan = bench.sign_up().await;
    bench.topped_up(fan, 500).await;
    bench.topped_up(fan, 100).await;
    let request = request(fan);
    let find = async || bench.withdrawals.find_withdrawn(request).await.expect("the store answers");
    assert_eq!(find().await, None);
    let refunds = made(bench.withdrawals.withdraw(plan(fan, euros(400)), request).await);
    for _ in 0..2 {
        assert_eq!(repeated(bench.withdrawals.withdraw(plan(fan, euros(400)), request).await), refunds);
    }
    assert_eq!(find().await, Some(refunds));
    assert_eq!(bench.balances(fan).await, [euros(200)]);
}

pub async fn refuses_a_reused_request(bench: RecordBench) {
    let fan = bench.sign_up().await;
    bench.topped_up(fan, 500).await;
    let request = request(fan);
    made(bench.withdrawals.withdraw(plan(fan, euros(400)), request).await);
    assert_reused(&bench.withdrawals.withdraw(plan(fan, euros(1)), altered(request)).await);
    assert_eq!(bench.balances(fan).await, [euros(100)]);
}

pub async fn withdraws_once_under_contention(bench: RecordBench) {
    let fan = bench.sign_up().await;
    bench.topped_up(fan, 500).await;
    let outcomes = at_once((0..TWENTY).map(|_| {
        let withdrawals = Arc::clone(&bench.withdrawals);
        async move { withdrawals.withdraw(plan(fan, euros(500)), request(fan)).await }
    }))
    .await;
    let (withdrawn, refusals) = made_and_refused(outcomes);
    assert_eq!((withdrawn.len(), refusals.len()), (1, TWENTY - 1));
    assert_eq!(bench.balances(fan).await, [euros(0)]);
    bench.assert_clean().await;
}

pub async fn writes_an_event_for_each_card(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let cards = [bench.topped_up(fan, 500).await, bench.topped_up(fan, 200).await];
    let before = bench.events().await.len();
    let request = request(fan);
    let refunds = made(bench.withdrawals.withdraw(plan(fan, euros(300)), request).await);
    repeated(bench.withdrawals.withdraw(plan(fan, euros(300)), request).await);
    refused(bench.withdrawals.withdraw(plan(fan, euros(500)), crate::fixtures::request(fan)).await);

    let withdrawn: Vec<_> = bench.read_events().await[before..]
        .iter()
        .map(|event| {
            let Event::WalletWithdrawn { user, entry } = event else { panic!("{event:?}") };
            assert_eq!(*user, fan);
            (entry.amount, entry.payment, entry.refund, entry.request, entry.at)
        })
        .collect();
    let parts = [(200, &cards[1], &refunds[0]), (100, &cards[0], &refunds[1])];
    let expected = parts
        .map(|(minor, card, refund)| (euros(-minor), Some(card.id), Some(refund.id), Some(request.id), at_secs(50)));
    assert_eq!(withdrawn, expected);
}

pub async fn audits_withdrawals(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let card = bench.topped_up(fan, 500).await;
    let refunds = bench.withdraw(fan, 500).await;
    bench.assert_clean().await;
    let change = report(&[(Step::Refund(refunds[0].id), Outcome::Succeeded)], at_secs(55));
    bench.card_payments.apply(card.id, change, TakeUp::Due(None)).await.expect("the store answers");
    bench.assert_clean().await;
}
