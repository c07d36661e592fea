use std::sync::Arc;

use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::payment::{PayRefusal, Payment};
use encore_domain::request::RequestKey;

use super::{ROUNDS, confirmed, sold};
use crate::RecordBench;
use crate::answers::{assert_reused, made, made_and_refused, made_once, refused, repeated};
use crate::contention::{TWENTY, at_once, meet};
use crate::fixtures::{altered, at_secs, euros, hold, just_before, payment, request};

pub async fn repeats_a_payment(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    bench.top_up(hold.user, euros(50_000)).await;
    let request = request(hold.user);
    let first = made(bench.pay(&payment(&hold, at_secs(1)), request).await);
    let before = bench.audit(&hold).await;

    for now in [at_secs(2), hold.expires_at] {
        let again = payment(&hold, now);
        assert_eq!(repeated(bench.pay(&again, request).await), first);
        assert_eq!(bench.ledger_entries(again.transfer.id).await, []);
        assert_eq!(bench.payments.find(again.payment.id).await.expect("the store answers"), None);
    }
    assert_eq!(bench.audit(&hold).await, before);
}

pub async fn repeats_a_payment_under_contention(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    bench.top_up(hold.user, euros(500_000)).await;
    let request = request(hold.user);
    let answers = at_once((0..TWENTY).map(|_| {
        let (payments, plan) = (Arc::clone(&bench.payments), payment(&hold, at_secs(1)));
        async move { payments.pay_from_wallet(plan, request).await }
    }))
    .await;

    let paid = made_once(answers).payment;
    assert_eq!(bench.balances(hold.user).await, [euros(488_000)]);
    assert_eq!(bench.stored(&hold).await, Some(confirmed(&hold, &paid)));
    assert_eq!(bench.payments_of(hold.user, 100).await, [paid]);
}

pub async fn pays_once_under_contention(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    bench.top_up(hold.user, euros(500_000)).await;
    let answers = at_once((0..TWENTY).map(|_| {
        let (payments, plan) = (Arc::clone(&bench.payments), payment(&hold, at_secs(1)));
        let request = request(hold.user);
        async move { payments.pay_from_wallet(plan, request).await }
    }))
    .await;

    let (paid, refusals) = made_and_refused(answers);
    let paid: Vec<Payment> = paid.into_iter().map(|paid| paid.payment).collect();
    assert_eq!(paid.len(), 1);
    for refusal in refusals {
        assert_eq!(refusal, PayRefusal::NotHeld { state: ReservationState::Confirmed });
    }
    assert_eq!(bench.balances(hold.user).await, [euros(488_000)]);
    assert_eq!(bench.stored(&hold).await, Some(confirmed(&hold, &paid[0])));
    assert_eq!(bench.payments_of(hold.user, 100).await, paid);
}

pub async fn never_overdraws_under_contention(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let holds = [hold(fan, &sale, &[0]), hold(fan, &sale, &[1])];
    for hold in &holds {
        bench.place(hold).await;
    }
    bench.top_up(fan, euros(23_999)).await;
    let answers = at_once(holds.iter().map(|hold| {
        let (payments, plan) = (Arc::clone(&bench.payments), payment(hold, at_secs(1)));
        async move { payments.pay_from_wallet(plan, request(fan)).await }
    }))
    .await;

    let (paid, refusals) = made_and_refused(answers);
    let paid: Vec<Payment> = paid.into_iter().map(|paid| paid.payment).collect();
    assert_eq!(paid.len(), 1);
    assert_eq!(refusals, [PayRefusal::InsufficientBalance { balance: euros(11_999), needed: euros(12_000) }]);
    assert_eq!(bench.balances(fan).await, [euros(11_999)]);
    for hold in holds {
        let expected = if paid[0].reservation == hold.id { confirmed(&hold, &paid[0]) } else { hold.clone() };
        assert_eq!(bench.stored(&hold).await, Some(expected));
    }
}

pub async fn finds_a_payment_by_its_request(bench: RecordBench) {
    let hold = bench.held(&[0]).await;
    let (paying, short) = (request(hold.user), request(hold.user));
    assert_eq!(bench.find_paid(paying).await.expect("no reuse"), None);
    refused(bench.pay(&payment(&hold, at_secs(1)), short).await);
    assert_eq!(bench.find_paid(short).await.expect("no reuse"), None);

    bench.top_up(hold.user, euros(50_000)).await;
    let paid = made(bench.pay(&payment(&hold, at_secs(1)), paying).await);
    bench.payments.mark_propagated(&[paid.id]).await.expect("the store answers");
    assert_eq!(bench.find_paid(paying).await.expect("no reuse"), Some(paid));
    let of_another = RequestKey { user: bench.sign_up().await, ..paying };
    assert_eq!(bench.find_paid(of_another).await.expect("no reuse"), None);
}

pub async fn refuses_a_reused_request(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let (first, second) = (hold(fan, &sale, &[0]), hold(fan, &sale, &[1]));
    bench.place(&first).await;
    bench.place(&second).await;
    bench.top_up(fan, euros(50_000)).await;
    let request = request(fan);
    made(bench.pay(&payment(&first, at_secs(1)), request).await);

    let before = bench.audit(&second).await;
    let reused = payment(&second, at_secs(1));
    assert_reused(&bench.pay(&reused, altered(request)).await);
    assert_reused(&bench.find_paid(altered(request)).await);
    assert_eq!(bench.audit(&second).await, before);
    assert_eq!(bench.ledger_entries(reused.transfer.id).await, []);
}

pub async fn payment_and_expiry_exclude_each_other(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    for round in 0..ROUNDS {
        let hold = hold(fan, &sale, &[round]);
        bench.place(&hold).await;
        let funds = bench.top_up(fan, hold.total).await.balance_after_minor;
        let (payments, reservations) = (Arc::clone(&bench.payments), Arc::clone(&bench.reservations));
        let (plan, sweep_at) = (payment(&hold, just_before(hold.expires_at)), hold.expires_at);
        let paying = async move { payments.pay_from_wallet(plan, request(fan)).await };
        let sweeping = async move { reservations.expire_due(sweep_at, 100).await };
        let (paying, sweeping) = meet(paying, sweeping, round % 2 == 0).await;

        let swept = sweeping.expect("the store answers");
        let claims = bench.reservations.claims_on(sale.id, &hold.slots()).await.expect("the store answers");
        let balance = bench.balances(fan).await[0];
        if swept.is_empty() {
            let paid = made(paying).payment;
            assert_eq!(bench.stored(&hold).await, Some(confirmed(&hold, &paid)));
            assert_eq!(claims, sold(&hold));
            assert_eq!(balance, euros(funds - hold.total.minor));
        } else {
            assert_eq!(refused(paying), PayRefusal::HoldExpired { expired_at: hold.expires_at });
            let state = ReservationState::Expired;
            let expired = Reservation { state, settled_at: Some(sweep_at), ..hold.clone() };
            assert_eq!(swept.as_slice(), std::slice::from_ref(&expired));
            assert_eq!(bench.stored(&hold).await, Some(expired));
            assert_eq!(claims, []);
            assert_eq!(balance, euros(funds));
        }
    }
}
