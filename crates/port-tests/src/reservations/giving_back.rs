use std::sync::Arc;

use encore_domain::booking::ReservationState;
use encore_domain::booking::hold_change::{ReleaseRefusal, give_back};
use encore_domain::ports::PlaceRefusal;

use super::{held, settled};
use crate::RecordBench;
use crate::answers::{assert_reused, made, refused, repeated};
use crate::fixtures::{altered, at_secs, hold, hold_at, just_before, payment, request, slots};

pub async fn releases_a_hold(bench: RecordBench) {
    let (sale, fan, rival) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let (given_back, kept) = (hold(fan, &sale, &[0, 1]), hold(fan, &sale, &[2]));
    bench.place(&given_back).await;
    bench.place(&kept).await;

    let released = settled(&given_back, ReservationState::Released, at_secs(5));
    assert_eq!(made(bench.release(&given_back, at_secs(5)).await), released);
    assert_eq!(bench.stored(&given_back).await, Some(released));
    assert_eq!(bench.claims(sale.id).await, held([&kept]));
    bench.place(&hold(rival, &sale, &[0, 1])).await;

    let last_moment = just_before(kept.expires_at);
    let released = settled(&kept, ReservationState::Released, last_moment);
    assert_eq!(made(bench.reservations.release(kept.id, last_moment, None).await), released);
}

pub async fn releases_only_a_live_hold(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let released = hold(fan, &sale, &[0]);
    bench.place(&released).await;
    made(bench.release(&released, at_secs(1)).await);
    let confirmed = hold(fan, &sale, &[1]);
    bench.buy(&confirmed).await;
    let swept = hold_at(fan, &sale, &[2], at_secs(1));
    bench.place(&swept).await;
    bench.expire(swept.expires_at, 100).await;
    let due = hold_at(fan, &sale, &[3], at_secs(2));
    bench.place(&due).await;

    let expected = [
        (released, at_secs(2), ReservationState::Released),
        (confirmed, at_secs(2), ReservationState::Confirmed),
        (swept.clone(), swept.expires_at, ReservationState::Expired),
        (due.clone(), due.expires_at, ReservationState::Expired),
    ];
    for (hold, now, state) in expected {
        let (stored, claims) = (bench.stored(&hold).await, bench.claims(sale.id).await);
        assert_eq!(refused(bench.release(&hold, now).await), ReleaseRefusal::NotHeld { state });
        assert_eq!(bench.stored(&hold).await, stored);
        assert_eq!(bench.claims(sale.id).await, claims);
    }
}

pub async fn repeats_a_release(bench: RecordBench) {
    let (sale, fan, rival) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let given_back = hold(fan, &sale, &[0, 1]);
    bench.place(&given_back).await;
    let request = request(fan);
    let released = made(bench.reservations.release(given_back.id, at_secs(5), Some(request)).await);
    let next = hold(rival, &sale, &[0, 1]);
    bench.place(&next).await;

    for now in [at_secs(5), given_back.expires_at] {
        let repeat = bench.reservations.release(given_back.id, now, Some(request)).await;
        assert_eq!(repeated(repeat), released);
    }
    assert_eq!(released, settled(&given_back, ReservationState::Released, at_secs(5)));
    assert_eq!(bench.stored(&given_back).await, Some(released));
    assert_eq!(bench.claims(sale.id).await, held([&next]));
}

pub async fn gives_some_seats_back(bench: RecordBench) {
    let (sale, fan, rival) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let placed = hold(fan, &sale, &[0, 1, 12]);
    bench.place(&placed).await;

    let left = give_back(&placed, &slots(&[1]), at_secs(5)).expect("its seat");
    assert_eq!((left.slots(), left.total.minor), (slots(&[0, 12]), 12_000 + 7_500));
    assert_eq!(made(bench.release_seats(&placed, &[1], at_secs(5)).await), left);
    assert_eq!(bench.stored(&placed).await.as_ref(), Some(&left));
    assert_eq!(bench.claims(sale.id).await, held([&left]));
    made(bench.try_place(&hold(rival, &sale, &[1]), 1).await);
    made(bench.try_place(&hold(fan, &sale, &[2]), 3).await);
    let refusal = refused(bench.try_place(&hold(fan, &sale, &[3]), 3).await);
    assert_eq!(refusal, PlaceRefusal::OverLimit { limit: 3, owned: 3 });

    bench.top_up(fan, left.total).await;
    let paid = made(bench.payments.pay_from_wallet(payment(&left, at_secs(6)), request(fan)).await).payment;
    assert_eq!(paid.amount, left.total);
    assert_eq!(bench.stored(&placed).await.map(|it| it.slots()), Some(left.slots()));
}

pub async fn gives_the_last_seats_back(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let placed = hold(fan, &sale, &[0, 1, 2]);
    bench.place(&placed).await;
    let left = made(bench.release_seats(&placed, &[0], at_secs(5)).await);
    let released = settled(&left, ReservationState::Released, at_secs(6));
    assert_eq!(made(bench.release_seats(&placed, &[1, 2], at_secs(6)).await), released);
    assert_eq!(bench.stored(&placed).await, Some(released));
    assert_eq!(bench.claims(sale.id).await, []);
}

pub async fn gives_back_only_what_is_held(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let placed = hold(fan, &sale, &[0, 1, 2]);
    bench.place(&placed).await;
    let left = made(bench.release_seats(&placed, &[1], at_secs(5)).await);
    let refusal = refused(bench.release_seats(&placed, &[0, 1, 3], at_secs(5)).await);
    assert_eq!(refusal, ReleaseRefusal::NotItsSeats { slots: slots(&[1, 3]) });
    let refusal = refused(bench.release_seats(&placed, &[0], placed.expires_at).await);
    assert_eq!(refusal, ReleaseRefusal::NotHeld { state: ReservationState::Expired });
    assert_eq!(bench.stored(&placed).await.as_ref(), Some(&left));
    assert_eq!(bench.claims(sale.id).await, held([&left]));
}

pub async fn repeats_a_partial_release(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let placed = hold(fan, &sale, &[0, 1, 2]);
    let place_request = bench.place(&placed).await;
    let [first, second] = [request(fan), request(fan)];
    let release = |seats: &[usize], now, request| {
        let (reservations, slots) = (Arc::clone(&bench.reservations), slots(seats));
        async move { reservations.release_seats(placed.id, &slots, now, Some(request)).await }
    };
    let after_first = made(release(&[0], at_secs(1), first).await);
    let after_second = made(release(&[1], at_secs(2), second).await);
    assert_eq!(repeated(release(&[0], at_secs(3), first).await), after_first);
    assert_reused(&release(&[0], at_secs(3), altered(first)).await);
    made(bench.reservations.release(placed.id, at_secs(4), None).await);
    assert_eq!(repeated(release(&[0], at_secs(5), first).await), after_first);
    assert_eq!(repeated(release(&[1], placed.expires_at, second).await), after_second);
    assert_eq!(bench.find_placed(place_request).await.expect("no reuse").as_ref(), Some(&placed));
    assert_eq!(repeated(bench.place_again(hold(fan, &sale, &[0, 1, 2]), place_request).await), placed);
    assert_eq!(bench.claims(sale.id).await, []);
}
