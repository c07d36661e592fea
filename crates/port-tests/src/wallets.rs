//! The cases of [`Wallets`](encore_domain::ports::Wallets).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::collections::BTreeMap;
use std::sync::Arc;

use encore_domain::event::Event;
use encore_domain::ids::{TransferId, UserId};
use encore_domain::money::Currency;
use encore_domain::payment::attempt::{Outcome, Step};
use encore_domain::payment::card::Purpose;
use encore_domain::payment::card_change::{Change, TakeUp};
use encore_domain::wallet::{LedgerEntry, TopUpRefusal, Transfer, WalletEntry};

use crate::answers::{assert_reused, made, made_once, refused, repeated};
use crate::bench::identity_of;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{altered, at_secs, euros, hold, id, money, payment, request, top_up};
use crate::paging::{SIZES, read_all};
use crate::{RecordBench, card_payments};

/// The highest balance in euros.
fn balance_max_minor() -> i64 {
    euros(0).currency.balance_max_minor()
}

/// Stamps the cases of the port `Wallets`.
#[macro_export]
macro_rules! wallets {
    ($($with:tt)+) => {
        $crate::suite! { wallets [
            tops_up,
            tops_up_under_contention,
            keeps_currencies_apart,
            repeats_a_top_up,
            repeats_a_top_up_under_contention,
            finds_a_top_up_by_its_request,
            refuses_a_reused_request,
            refuses_a_full_wallet,
            keeps_both_sides,
            lists_newest_first,
            keeps_a_running_balance,
            names_the_request,
            starts_empty,
            writes_events,
        ] $($with)+ }
    };
}

impl RecordBench {
    /// All entries of a user's wallets, newest first.
    pub(crate) async fn entries(&self, user: UserId) -> Vec<WalletEntry> {
        read_all(100, |page| self.wallets.entries(user, page)).await
    }

    /// The ledger entries of a transfer, in the order of their ids.
    pub(crate) async fn ledger_entries(&self, transfer: TransferId) -> Vec<LedgerEntry> {
        let mut entries = self.wallets.ledger_entries(transfer).await.expect("the store answers");
        entries.sort_by_key(|entry| entry.id);
        entries
    }
}

pub async fn tops_up(bench: RecordBench) {
    let (fan, other) = (bench.sign_up().await, bench.sign_up().await);
    let (first, second) = (top_up(fan, euros(500)), top_up(fan, euros(1)));
    let (first_key, second_key) = (request(fan), request(fan));
    let first_entry = made(bench.wallets.top_up(first.clone(), first_key).await);
    assert_eq!(first_entry, WalletEntry::of(&first.for_request(first_key.id), 500));
    let second_entry = made(bench.wallets.top_up(second.clone(), second_key).await);
    assert_eq!(second_entry, WalletEntry::of(&second.for_request(second_key.id), 501));

    assert_eq!(bench.balances(fan).await, [euros(501)]);
    assert_eq!(bench.entries(fan).await, [second_entry, first_entry]);
    assert_eq!(bench.balances(other).await, []);
}

pub async fn tops_up_under_contention(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let transfers: Vec<Transfer> = (1..=20).map(|minor| top_up(fan, euros(minor))).collect();
    let answers = at_once(transfers.iter().cloned().map(|transfer| {
        let wallets = Arc::clone(&bench.wallets);
        async move { wallets.top_up(transfer, request(fan)).await }
    }))
    .await;

    let mut entries: Vec<WalletEntry> = answers.into_iter().map(made).collect();
    for (entry, transfer) in entries.iter().zip(&transfers) {
        let request = entry.request.expect("a request");
        assert_eq!(entry, &WalletEntry::of(&transfer.clone().for_request(request), entry.balance_after_minor));
    }
    assert_eq!(bench.balances(fan).await, [euros(210)]);
    let mut listed = bench.entries(fan).await;
    listed.sort_by_key(|entry| entry.balance_after_minor);
    entries.sort_by_key(|entry| entry.balance_after_minor);
    assert_eq!(listed, entries);
    let mut balance = 0;
    for entry in entries {
        balance += entry.amount.minor;
        assert_eq!(entry.balance_after_minor, balance, "each credit adds to the balance before it");
    }
}

pub async fn keeps_currencies_apart(bench: RecordBench) {
    let fan = bench.sign_up().await;
    for (amount, after) in
        [(money(3, "USD"), 3), (money(5_000, "KRW"), 5_000), (euros(7), 7), (money(4, "USD"), 7), (euros(1), 8)]
    {
        assert_eq!(bench.top_up(fan, amount).await.balance_after_minor, after);
    }
    assert_eq!(bench.balances(fan).await, [euros(8), money(5_000, "KRW"), money(7, "USD")]);
}

pub async fn repeats_a_top_up(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let request = request(fan);
    let (first, again) = (top_up(fan, euros(500)), top_up(fan, euros(500)));
    let entry = made(bench.wallets.top_up(first, request).await);
    let later = bench.top_up(fan, euros(20)).await;

    assert_eq!(repeated(bench.wallets.top_up(again.clone(), request).await), entry);
    assert_eq!(bench.balances(fan).await, [euros(520)]);
    assert_eq!(bench.entries(fan).await, [later, entry]);
    assert_eq!(bench.ledger_entries(again.id).await, []);
}

pub async fn repeats_a_top_up_under_contention(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let request = request(fan);
    let answers = at_once((0..TWENTY).map(|_| {
        let wallets = Arc::clone(&bench.wallets);
        let transfer = top_up(fan, euros(500));
        async move { wallets.top_up(transfer, request).await }
    }))
    .await;

    let entry = made_once(answers);
    assert_eq!(entry.balance_after_minor, 500);
    assert_eq!(bench.balances(fan).await, [euros(500)]);
    assert_eq!(bench.entries(fan).await, [entry]);
}

pub async fn finds_a_top_up_by_its_request(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let [crediting, full] = [request(fan), request(fan)];
    assert_eq!(bench.wallets.find_topped_up(crediting).await.expect("no reuse"), None);
    let entry = made(bench.wallets.top_up(top_up(fan, euros(500)), crediting).await);
    bench.top_up(fan, euros(20)).await;
    refused(bench.wallets.top_up(top_up(fan, euros(balance_max_minor())), full).await);
    assert_eq!(bench.wallets.find_topped_up(crediting).await.expect("no reuse"), Some(entry));
    assert_eq!(bench.wallets.find_topped_up(full).await.expect("no reuse"), None);
    assert_reused(&bench.wallets.find_topped_up(altered(crediting)).await);
}

pub async fn refuses_a_reused_request(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let request = request(fan);
    let entry = made(bench.wallets.top_up(top_up(fan, euros(500)), request).await);

    let other = top_up(fan, euros(9_000));
    assert_reused(&bench.wallets.top_up(other.clone(), altered(request)).await);
    assert_eq!(bench.balances(fan).await, [euros(500)]);
    assert_eq!(bench.entries(fan).await, [entry]);
    assert_eq!(bench.ledger_entries(other.id).await, []);
}

pub async fn refuses_a_full_wallet(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let entry = bench.top_up(fan, euros(balance_max_minor() - 100)).await;

    let over = top_up(fan, euros(101));
    assert_eq!(
        refused(bench.wallets.top_up(over.clone(), request(fan)).await),
        TopUpRefusal::WalletFull(over.amount.currency)
    );
    assert_eq!(bench.balances(fan).await, [euros(balance_max_minor() - 100)]);
    assert_eq!(bench.entries(fan).await, [entry]);
    assert_eq!(bench.ledger_entries(over.id).await, []);

    assert_eq!(bench.top_up(fan, euros(100)).await.balance_after_minor, balance_max_minor());
    assert_eq!(bench.top_up(fan, money(101, "USD")).await.balance_after_minor, 101);
    let won = money(0, "KRW");
    let first_over = top_up(fan, money(won.currency.balance_max_minor() + 1, "KRW"));
    assert_eq!(refused(bench.wallets.top_up(first_over, request(fan)).await), TopUpRefusal::WalletFull(won.currency));
    assert_eq!(bench.balances(fan).await, [euros(balance_max_minor()), money(101, "USD")]);
}

pub async fn keeps_both_sides(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let transfer = top_up(fan, euros(500));
    made(bench.wallets.top_up(transfer.clone(), request(fan)).await);
    bench.top_up(fan, euros(1)).await;

    let entries = bench.ledger_entries(transfer.id).await;
    assert_eq!(entries, [transfer.wallet_entry, transfer.counter_entry]);
    assert_eq!(entries.iter().map(|entry| entry.amount_minor).sum::<i64>(), 0);
    assert_eq!(bench.ledger_entries(id()).await, []);
}

pub async fn lists_newest_first(bench: RecordBench) {
    let (fan, other) = (bench.sign_up().await, bench.sign_up().await);
    let transfers: Vec<Transfer> =
        ["EUR", "USD", "EUR", "EUR", "USD", "EUR"].map(|code| top_up(fan, money(10, code))).into();
    let mut entries = Vec::new();
    for index in [3, 0, 5, 1, 4, 2] {
        entries.push(made(bench.wallets.top_up(transfers[index].clone(), request(fan)).await));
    }
    let of_another = bench.top_up(other, euros(1)).await;

    entries.reverse();
    for size in SIZES {
        assert_eq!(read_all(size, |page| bench.wallets.entries(fan, page)).await, entries, "by {size}");
    }
    assert_eq!(bench.entries(other).await, [of_another]);
}

/// Checks that each entry adds its amount to the balance after the entry before it in the same wallet.
fn assert_running(newest_first: &[WalletEntry]) {
    let mut balances: BTreeMap<Currency, i64> = BTreeMap::new();
    for entry in newest_first.iter().rev() {
        let balance = balances.entry(entry.amount.currency).or_default();
        *balance += entry.amount.minor;
        assert_eq!(entry.balance_after_minor, *balance, "{newest_first:?}");
    }
}

pub async fn keeps_a_running_balance(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let mut transfers: Vec<Transfer> =
        (1..=8).map(|minor| top_up(fan, money(minor, if minor % 3 == 0 { "USD" } else { "EUR" }))).collect();
    // The ids fall while the balances grow.
    transfers.reverse();
    for transfer in &transfers {
        made(bench.wallets.top_up(transfer.clone(), request(fan)).await);
    }
    let at_once = at_once((1..=20).rev().map(|minor| {
        let (wallets, transfer) = (Arc::clone(&bench.wallets), top_up(fan, euros(minor)));
        async move { wallets.top_up(transfer, request(fan)).await }
    }));
    for answer in at_once.await {
        made(answer);
    }
    let (sold, _) = bench.charged(&[0]).await;
    assert_running(&bench.entries(sold.user).await);
    for size in SIZES {
        let entries = read_all(size, |page| bench.wallets.entries(fan, page)).await;
        assert_eq!(entries.len(), 28, "by {size}");
        assert_running(&entries);
    }
}

pub async fn names_the_request(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let hold = hold(fan, &sale, &[0, 1]);
    bench.place(&hold).await;
    let keys = [(); 4].map(|()| request(fan));
    let [top_up_key, pay_key, cancel_key, card_key] = keys;
    made(bench.wallets.top_up(top_up(fan, hold.total), top_up_key).await);
    made(bench.payments.pay_from_wallet(payment(&hold, at_secs(1)), pay_key).await);
    let bought = bench.stored(&hold).await.expect("a reservation");
    made(bench.cancel(&crate::refunds::plan(&bought, &[], at_secs(2)), cancel_key).await);
    let plan = card_payments::plan_for(fan, Purpose::TopUp, euros(700), 0, at_secs(3));
    let (card, _) = made(bench.card_payments.start(plan, card_key).await);
    let captured = card_payments::report(&[(Step::Capture, Outcome::Succeeded)], at_secs(4));
    let confirmed = card_payments::change(Change::Confirm, at_secs(5));
    for change in [captured, confirmed] {
        bench.card_payments.apply(card.id, change, TakeUp::Due(None)).await.expect("the store answers");
    }
    let withdraw_key = request(fan);
    made(bench.withdrawals.withdraw(crate::withdrawals::plan(fan, euros(100)), withdraw_key).await);
    let named: Vec<_> = bench.entries(fan).await.iter().rev().map(|entry| entry.request).collect();
    let expected = [top_up_key, pay_key, cancel_key, card_key, withdraw_key];
    assert_eq!(named, expected.map(|key| Some(key.id)));
}

pub async fn starts_empty(bench: RecordBench) {
    let (fan, other) = (bench.sign_up().await, bench.sign_up().await);
    bench.top_up(other, euros(1)).await;
    assert_eq!(bench.balances(fan).await, []);
    assert_eq!(bench.entries(fan).await, []);
    assert_eq!(bench.balances(id()).await, []);
}

pub async fn writes_events(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let request = request(fan);
    let first = made(bench.wallets.top_up(top_up(fan, euros(500)), request).await);
    repeated(bench.wallets.top_up(top_up(fan, euros(500)), request).await);
    assert_reused(&bench.wallets.top_up(top_up(fan, euros(5)), altered(request)).await);
    let over = top_up(fan, euros(balance_max_minor()));
    refused(bench.wallets.top_up(over, crate::fixtures::request(fan)).await);
    let second = bench.top_up(fan, euros(20)).await;

    let expected = [first, second].map(|entry| identity_of(&Event::WalletToppedUp { user: fan, entry }));
    assert_eq!(bench.events().await, expected);
}
