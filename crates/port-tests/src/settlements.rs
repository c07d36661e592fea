//! The cases of [`Settlements`](encore_domain::ports::Settlements).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use encore_domain::booking::Reservation;
use encore_domain::catalog::Performance;
use encore_domain::payment::attempt::{Outcome, Step};
use encore_domain::payment::card_change::TakeUp;
use encore_domain::payment::gateway::FailureReason;
use encore_domain::payment::settlement::{Settlement, SettlementItem};
use encore_domain::wallet::Account;

use crate::RecordBench;
use crate::answers::made;
use crate::card_payments::report;
use crate::fixtures::{at_secs, euros, hold, request};

/// Stamps the cases of the port `Settlements`.
#[macro_export]
macro_rules! settlements {
    ($($with:tt)+) => {
        $crate::suite! { settlements [
            settles_nothing,
            settles_by_method,
            settles_what_the_ledger_says,
            counts_open_refunds,
            counts_disputes,
        ] $($with)+ }
    };
}

impl RecordBench {
    async fn settlement(&self, sale: &Performance) -> Settlement {
        let settled = self.settlements.of(sale.id, sale.prices.currency).await;
        settled.expect("the store answers")
    }

    /// A fan who paid these seats from the wallet.
    async fn sold(&self, sale: &Performance, seats: &[usize]) -> Reservation {
        let hold = hold(self.sign_up().await, sale, seats);
        self.buy(&hold).await;
        self.stored(&hold).await.expect("a reservation")
    }
}

pub async fn settles_nothing(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let held = hold(bench.sign_up().await, &sale, &[0]);
    bench.place(&held).await;
    assert_eq!(bench.settlement(&sale).await, Settlement::of(sale.id, euros(0).currency));
}

pub async fn settles_by_method(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let elsewhere = bench.open_sale().await;
    bench.sold(&elsewhere, &[0]).await;
    let first = bench.sold(&sale, &[0, 1]).await;
    let second = bench.sold(&sale, &[2]).await;
    let mut some = crate::refunds::plan(&first, &first.slots()[..1], at_secs(5));
    some.policy.fee_percent = 10;
    let refund = made(bench.cancel(&some, request(first.user)).await).refund;
    let wallet = bench.settlement(&sale).await.wallet;
    assert_eq!((wallet.payments, wallet.sold_minor), (2, first.total.minor + second.total.minor));
    assert_eq!((wallet.refunds, wallet.refunded_minor), (1, refund.amount().minor));
    assert_eq!(wallet.fees_minor, refund.fee_minor);
    assert_eq!(wallet.due_minor(), first.total.minor + second.total.minor - refund.amount().minor);
}

pub async fn settles_what_the_ledger_says(bench: RecordBench) {
    let (bought, _) = bench.charged(&[0, 1]).await;
    let plan = crate::refunds::plan(&bought, &bought.slots()[..1], at_secs(5));
    let refund = made(bench.cancel(&plan, request(bought.user)).await).refund;
    let settled = bench.settlements.of(bought.performance, bought.total.currency).await.expect("the store answers");
    assert_eq!((settled.card.payments, settled.card.sold_minor), (1, bought.total.minor));
    assert_eq!((settled.card.refunds, settled.card.refunded_minor), (1, refund.amount().minor));
    assert_eq!(settled.wallet, SettlementItem::default());
    let first = encore_domain::page::PageRequest::first(100);
    let entries = bench.wallets.entries(bought.user, first).await.expect("the store answers").items;
    let mut sales = 0;
    for entry in entries {
        let sides = bench.wallets.ledger_entries(entry.transfer).await.expect("the store answers");
        let of_sales = sides.iter().filter(|side| side.account == Account::Sales(bought.performance));
        sales += of_sales.map(|side| side.amount_minor).sum::<i64>();
    }
    assert_eq!(settled.sum().due_minor(), sales);
}

pub async fn counts_open_refunds(bench: RecordBench) {
    let (bought, card) = bench.charged(&[0, 1]).await;
    let of = async || {
        let settled = bench.settlements.of(bought.performance, bought.total.currency).await;
        settled.expect("the store answers").open_refunds
    };
    assert_eq!(of().await, 0);
    let plan = crate::refunds::plan(&bought, &[], at_secs(5));
    let refund = made(bench.cancel(&plan, request(bought.user)).await).refund;
    assert_eq!(of().await, 1);
    let failed = Outcome::Failed(FailureReason::RefundRefused);
    for (outcome, open) in [(Outcome::Unknown, 1), (Outcome::Succeeded, 0), (failed, 0)] {
        let change = report(&[(Step::Refund(refund.id), outcome)], at_secs(6));
        bench.card_payments.apply(card.id, change, TakeUp::Due(None)).await.expect("the store answers");
        assert_eq!(of().await, open);
    }
}

pub async fn counts_disputes(bench: RecordBench) {
    let heard = (Step::Dispute, Outcome::Requested);
    let lost = (Step::Dispute, Outcome::Succeeded);
    let won = (Step::Dispute, Outcome::Failed(FailureReason::DisputeWon));
    for (decided, counts) in [(lost, (0, 1)), (won, (0, 0))] {
        let (bought, card) = bench.charged(&[0]).await;
        let of = async || {
            let settled = bench.settlements.of(bought.performance, bought.total.currency).await;
            let settled = settled.expect("the store answers");
            (settled.open_disputes, settled.lost_disputes)
        };
        assert_eq!(of().await, (0, 0));
        for (event, counts) in [(heard.clone(), (1, 0)), ((Step::Dispute, Outcome::Unknown), (1, 0)), (decided, counts)]
        {
            bench.reported(&card, &[event], at_secs(6)).await;
            assert_eq!(of().await, counts);
        }
    }
}
