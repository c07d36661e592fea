use std::sync::Arc;

use encore_domain::booking::hold_change::Extension;
use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::error::RequestError;
use encore_domain::payment::PayRefusal;
use futures::future::join_all;

use super::confirmed;
use crate::RecordBench;
use crate::answers::{assert_reused, made, made_and_refused, refused, repeated};
use crate::contention::at_once;
use crate::fixtures::{altered, at_secs, euros, hold, id, just_before, payment, request};

/// What [`pays_as_often_as_the_wallet_allows`] calls at once, and how many of them the wallet allows.
const DEBITS: usize = 1_000;
const AFFORDED: usize = 100;
/// Seats of one price.
const HOLDS_PER_SHOW: usize = 10;

pub async fn decides_each_of_those_together(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let fans = [bench.sign_up().await, bench.sign_up().await, bench.sign_up().await];
    let [rich, poor, late] = fans;
    for (fan, funds) in [(rich, 36_000), (poor, 11_999), (late, 50_000)] {
        bench.top_up(fan, euros(funds)).await;
    }
    let holds: Vec<Reservation> = [rich, rich, rich, poor, late, late, late]
        .into_iter()
        .enumerate()
        .map(|(n, fan)| hold(fan, &sale, &[n]))
        .collect();
    for hold in &holds {
        bench.place(hold).await;
    }
    let before = request(late);
    let paid_before = made(bench.pay(&payment(&holds[4], at_secs(1)), before).await);
    let extension = Extension { hold_for: sale.hold_for, starts_at: sale.starts_at, token_until: None };
    made(bench.reservations.extend(holds[5].id, extension, at_secs(1), request(late)).await);
    let repeat = request(rich);
    let calls = [
        (payment(&holds[0], at_secs(2)), repeat),
        (payment(&holds[3], at_secs(2)), request(poor)),
        (payment(&holds[0], at_secs(2)), request(rich)),
        (payment(&holds[0], at_secs(2)), repeat),
        (payment(&holds[4], at_secs(2)), before),
        (payment(&holds[6], at_secs(2)), altered(before)),
        (payment(&holds[5], at_secs(2)), request(late)),
        (payment(&holds[6], holds[6].expires_at), request(late)),
        (payment(&Reservation { id: id(), ..holds[6].clone() }, at_secs(2)), request(late)),
        (payment(&holds[1], at_secs(2)), request(rich)),
        (payment(&holds[6], just_before(holds[6].expires_at)), request(late)),
        (payment(&holds[2], at_secs(2)), request(rich)),
    ];
    // On one task: so they arrive together.
    let mut answers = join_all(calls.iter().map(|(plan, request)| bench.pay(plan, *request))).await.into_iter();
    let mut next = || answers.next().expect("an answer to each call");

    let paid = made(next());
    assert_eq!(paid, calls[0].0.payment);
    let (balance, needed) = (euros(11_999), euros(12_000));
    assert_eq!(refused(next()), PayRefusal::InsufficientBalance { balance, needed });
    assert_eq!(refused(next()), PayRefusal::NotHeld { state: ReservationState::Confirmed });
    assert_eq!(repeated(next()), paid);
    assert_eq!(repeated(next()), paid_before);
    assert_reused(&next());
    assert_eq!(refused(next()), PayRefusal::HoldChanged);
    assert_eq!(refused(next()), PayRefusal::HoldExpired { expired_at: holds[6].expires_at });
    let unknown = next();
    assert!(matches!(unknown, Err(RequestError::Unavailable(_))), "there is no such reservation: {unknown:?}");
    for of in [9, 10, 11] {
        assert_eq!(made(next()), calls[of].0.payment);
    }

    assert_eq!(bench.balances(rich).await, [euros(0)]);
    assert_eq!(bench.balances(poor).await, [euros(11_999)]);
    assert_eq!(bench.balances(late).await, [euros(26_000)]);
    let after: Vec<i64> = bench.entries(rich).await.iter().rev().map(|entry| entry.balance_after_minor).collect();
    assert_eq!(after, [36_000, 24_000, 12_000, 0], "each entry has the balance after it");
    for (hold, of) in [(0, 0), (1, 9), (2, 11), (6, 10)] {
        assert_eq!(bench.stored(&holds[hold]).await, Some(confirmed(&holds[hold], &calls[of].0.payment)));
    }
    assert_eq!(bench.stored(&holds[3]).await.as_ref(), Some(&holds[3]));
    for (plan, _) in &calls[1..9] {
        assert_eq!(bench.ledger_entries(plan.transfer.id).await, []);
    }
    assert_eq!(bench.events().await.iter().filter(|(_, kind, _)| kind == "booking.reservation_confirmed").count(), 5);
    let report = bench.audit.sweep(None).await.expect("the store answers");
    assert!(report.is_clean(), "{:?}", report.findings().collect::<Vec<_>>());
}

pub async fn pays_as_often_as_the_wallet_allows(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let mut holds = Vec::new();
    for _ in 0..DEBITS / HOLDS_PER_SHOW {
        let matinee = bench.copy_of(&sale).await;
        holds.extend((0..HOLDS_PER_SHOW).map(|seat| hold(fan, &matinee, &[seat])));
    }
    join_all(holds.iter().map(|hold| bench.place(hold))).await;
    bench.top_up(fan, euros(12_000 * 100 + 11_999)).await;
    let answers = at_once(holds.iter().map(|hold| {
        let (payments, plan) = (Arc::clone(&bench.payments), payment(hold, at_secs(1)));
        async move { payments.pay_from_wallet(plan, request(fan)).await }
    }))
    .await;

    let (paid, refusals) = made_and_refused(answers);
    assert_eq!((paid.len(), refusals.len()), (AFFORDED, DEBITS - AFFORDED));
    let (balance, needed) = (euros(11_999), euros(12_000));
    for refusal in refusals {
        assert_eq!(refusal, PayRefusal::InsufficientBalance { balance, needed });
    }
    assert_eq!(bench.balances(fan).await, [balance]);
    assert_eq!(bench.payments_of(fan, 100).await.len(), AFFORDED);
}
