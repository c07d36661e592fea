//! The cases of [`WalletCredits`](encore_domain::ports::WalletCredits).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use encore_domain::event::Event;
use encore_domain::ids::UserId;
use encore_domain::money::Money;
use encore_domain::payment::refund::OperatorReason;
use encore_domain::wallet::{Account, TopUpAmount, TopUpRefusal, Transfer, TransferIds, TransferKind};

use crate::RecordBench;
use crate::answers::{assert_reused, made, refused, repeated};
use crate::bench::identity_of;
use crate::fixtures::{altered, at_secs, euros, id, request};

/// Stamps the cases of the port `WalletCredits`.
#[macro_export]
macro_rules! wallet_credits {
    ($($with:tt)+) => {
        $crate::suite! { wallet_credits [
            credits_a_wallet,
            repeats_a_credit,
            refuses_a_reused_request,
            refuses_a_full_wallet,
            audits_credits,
        ] $($with)+ }
    };
}

fn reason() -> OperatorReason {
    OperatorReason::parse("a seat that could not be used").expect("a reason")
}

/// A credit of an operator to a fan.
fn credit(user: UserId, operator: UserId, amount: Money) -> Transfer {
    let ids = TransferIds { transfer: id(), wallet_entry: id(), counter_entry: id() };
    Transfer::operator_credit(ids, user, operator, TopUpAmount::parse(amount).expect("an amount"), at_secs(1))
}

pub async fn credits_a_wallet(bench: RecordBench) {
    let (fan, operator) = (bench.sign_up().await, bench.sign_up().await);
    bench.top_up(fan, euros(100)).await;
    let before = bench.events().await.len();
    let transfer = credit(fan, operator, euros(500));
    let entry = made(bench.wallet_credits.credit(transfer.clone(), reason(), request(operator), None).await);
    assert_eq!((entry.kind, entry.amount, entry.balance_after_minor), (TransferKind::OperatorCredit, euros(500), 600));
    assert_eq!(bench.balances(fan).await, [euros(600)]);
    assert_eq!(bench.balances(operator).await, []);
    let sides = bench.wallets.ledger_entries(transfer.id).await.expect("the store answers");
    let sides: Vec<(Account, i64)> = sides.iter().map(|side| (side.account, side.amount_minor)).collect();
    assert_eq!(sides.len(), 2);
    assert!(sides.contains(&(Account::Wallet(fan), 500)) && sides.contains(&(Account::Operator(operator), -500)));
    assert_eq!(bench.events().await[before..], [identity_of(&Event::WalletToppedUp { user: fan, entry })]);
}

pub async fn repeats_a_credit(bench: RecordBench) {
    let (fan, operator) = (bench.sign_up().await, bench.sign_up().await);
    let request = request(operator);
    let find = async || bench.wallet_credits.find_credited(request).await.expect("the store answers");
    assert_eq!(find().await, None);
    let entry = made(bench.wallet_credits.credit(credit(fan, operator, euros(5)), reason(), request, None).await);
    for _ in 0..2 {
        let again = bench.wallet_credits.credit(credit(fan, operator, euros(5)), reason(), request, None).await;
        assert_eq!(repeated(again), entry);
    }
    assert_eq!(find().await, Some(entry));
    assert_eq!(bench.balances(fan).await, [euros(5)]);
}

pub async fn refuses_a_reused_request(bench: RecordBench) {
    let (fan, operator) = (bench.sign_up().await, bench.sign_up().await);
    let request = request(operator);
    made(bench.wallet_credits.credit(credit(fan, operator, euros(5)), reason(), request, None).await);
    let other = bench.wallet_credits.credit(credit(fan, operator, euros(6)), reason(), altered(request), None).await;
    assert_reused(&other);
    assert_eq!(bench.balances(fan).await, [euros(5)]);
}

pub async fn refuses_a_full_wallet(bench: RecordBench) {
    let (fan, operator) = (bench.sign_up().await, bench.sign_up().await);
    let full = euros(euros(0).currency.balance_max_minor());
    bench.top_up(fan, full).await;
    let over = credit(fan, operator, euros(1));
    let refusal = refused(bench.wallet_credits.credit(over.clone(), reason(), request(operator), None).await);
    assert_eq!(refusal, TopUpRefusal::WalletFull(full.currency));
    assert_eq!(bench.balances(fan).await, [full]);
    assert_eq!(bench.wallets.ledger_entries(over.id).await.expect("the store answers"), []);
}

pub async fn audits_credits(bench: RecordBench) {
    let (fan, operator) = (bench.sign_up().await, bench.sign_up().await);
    let request = request(operator);
    for _ in 0..2 {
        let credited = bench.wallet_credits.credit(credit(fan, operator, euros(5)), reason(), request, None).await;
        credited.expect("a credit").into_inner();
    }
    let report = bench.audit.sweep(None).await.expect("the store answers");
    assert!(report.is_clean(), "{:?}", report.findings().collect::<Vec<_>>());
}
