use encore_domain::booking::ReservationState;
use encore_domain::event::Event;
use encore_domain::payment::PayRefusal;
use encore_domain::wallet::WalletEntry;

use super::{confirmed, from_wallet, sold};
use crate::RecordBench;
use crate::answers::{made, refused};
use crate::bench::identity_of;
use crate::fixtures::{at_secs, euros, free, hold, id, just_before, money, payment, request};

pub async fn pays_from_the_wallet(bench: RecordBench) {
    let hold = bench.held(&[0, 13]).await;
    assert_eq!(hold.total, euros(19_500));
    let credit = bench.top_up(hold.user, euros(20_000)).await;
    bench.top_up(hold.user, money(1, "USD")).await;

    let plan = payment(&hold, at_secs(3));
    let key = request(hold.user);
    assert_eq!(made(bench.pay(&plan, key).await), plan.payment);
    assert_eq!(bench.balances(hold.user).await, [euros(500), money(1, "USD")]);
    assert_eq!(bench.stored(&hold).await, Some(confirmed(&hold, &plan.payment)));
    assert_eq!(bench.claims(hold.performance).await, sold(&hold));
    let found = bench.payments.find(plan.payment.id).await.expect("the store answers");
    assert_eq!(found.map(from_wallet).as_ref(), Some(&plan.payment));

    let entries = bench.ledger_entries(plan.transfer.id).await;
    assert_eq!(entries, [plan.transfer.wallet_entry, plan.transfer.counter_entry]);
    assert_eq!(entries.iter().map(|entry| entry.amount_minor).sum::<i64>(), 0);
    let entries = bench.entries(hold.user).await;
    assert_eq!(entries.first(), Some(&WalletEntry::of(&plan.transfer.for_request(key.id), 500)));
    assert_eq!(entries.last(), Some(&credit));

    let event =
        Event::ReservationConfirmed { reservation: confirmed(&hold, &plan.payment), payment: plan.payment.clone() };
    let events = bench.events().await;
    assert_eq!(events.last(), Some(&identity_of(&event)));
    assert_eq!(events.len(), 4, "the hold, two top-ups and the payment: {events:?}");
    assert_eq!(bench.payments.find(id()).await.expect("the store answers"), None);
}

pub async fn pays_what_is_free(bench: RecordBench) {
    let free = free(&hold(bench.sign_up().await, &bench.open_sale().await, &[0]));
    bench.place(&free).await;
    let plan = payment(&free, at_secs(1));
    assert_eq!(made(bench.pay(&plan, request(free.user)).await), plan.payment);
    assert_eq!(bench.stored(&free).await, Some(confirmed(&free, &plan.payment)));
    assert_eq!(bench.balances(free.user).await, [euros(0)]);
    bench.assert_audited(&free).await;
}

pub async fn refuses_an_insufficient_balance(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    bench.top_up(hold.user, euros(11_999)).await;
    bench.top_up(hold.user, money(1_000_000, "USD")).await;
    let short = PayRefusal::InsufficientBalance { balance: euros(11_999), needed: euros(12_000) };
    assert_eq!(bench.refused_payment(&hold, at_secs(1)).await, short);

    // A refused request is not recorded, so its id can be used again.
    let (plan, request) = (payment(&hold, at_secs(2)), request(hold.user));
    assert_eq!(refused(bench.pay(&plan, request).await), short);
    bench.top_up(hold.user, euros(1)).await;
    assert_eq!(made(bench.pay(&plan, request).await), plan.payment);
    assert_eq!(bench.balances(hold.user).await, [euros(0), money(1_000_000, "USD")]);
}

pub async fn refuses_without_a_wallet(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    let short = PayRefusal::InsufficientBalance { balance: euros(0), needed: euros(12_000) };
    assert_eq!(bench.refused_payment(&hold, at_secs(1)).await, short);
    bench.top_up(hold.user, money(1_000_000, "USD")).await;
    assert_eq!(bench.refused_payment(&hold, at_secs(1)).await, short);
}

pub async fn refuses_an_expired_hold(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    bench.top_up(hold.user, euros(50_000)).await;
    let expired = PayRefusal::HoldExpired { expired_at: hold.expires_at };
    assert_eq!(bench.refused_payment(&hold, hold.expires_at).await, expired);
    bench.reservations.expire_due(hold.expires_at, 100).await.expect("the store answers");
    assert_eq!(bench.refused_payment(&hold, hold.expires_at).await, expired);

    let last_moment = bench.held(&[0]).await;
    bench.top_up(last_moment.user, euros(12_000)).await;
    let plan = payment(&last_moment, just_before(last_moment.expires_at));
    assert_eq!(made(bench.pay(&plan, request(last_moment.user)).await), plan.payment);
}

pub async fn refuses_what_is_not_held(bench: RecordBench) {
    let bought = hold(bench.sign_up().await, &bench.open_sale().await, &[0]);
    bench.buy(&bought).await;
    bench.top_up(bought.user, euros(50_000)).await;
    let refusal = bench.refused_payment(&bought, at_secs(1)).await;
    assert_eq!(refusal, PayRefusal::NotHeld { state: ReservationState::Confirmed });

    let released = bench.held(&[0]).await;
    bench.top_up(released.user, euros(50_000)).await;
    made(bench.reservations.release(released.id, at_secs(1), None).await);
    let refusal = bench.refused_payment(&released, at_secs(1)).await;
    assert_eq!(refusal, PayRefusal::NotHeld { state: ReservationState::Released });
}

pub async fn refuses_what_was_changed(bench: RecordBench) {
    let hold = bench.held(&[0, 1]).await;
    bench.top_up(hold.user, euros(50_000)).await;
    let one = [hold.slots()[0]];
    let left = made(bench.reservations.release_seats(hold.id, &one, at_secs(1), None).await);
    assert_eq!(bench.refused_payment(&hold, at_secs(2)).await, PayRefusal::HoldChanged);
    let plan = payment(&left, at_secs(2));
    assert_eq!(made(bench.pay(&plan, request(hold.user)).await).amount, left.total);
}
