use std::sync::Arc;

use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::event::Event;

use super::{held, settled};
use crate::RecordBench;
use crate::answers::made;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{at_secs, hold, hold_at, just_before, slots};

pub async fn expires_due_holds(bench: RecordBench) {
    let (sale, fan, rival) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let third = hold_at(fan, &sale, &[0], at_secs(3));
    let first = hold_at(fan, &sale, &[1, 2], at_secs(1));
    let second = hold_at(rival, &sale, &[3], at_secs(2));
    let later = hold_at(fan, &sale, &[4], at_secs(4));
    let released = hold(fan, &sale, &[5]);
    for hold in [&third, &first, &second, &later, &released] {
        bench.place(hold).await;
    }
    made(bench.release(&released, at_secs(1)).await);
    bench.buy(&hold(fan, &sale, &[6])).await;
    let sold = bench.reservations.claims_on(sale.id, &slots(&[6])).await.expect("the store answers");

    assert_eq!(bench.expire(just_before(first.expires_at), 100).await, []);
    let now = third.expires_at;
    let expired = |hold: &Reservation| settled(hold, ReservationState::Expired, now);
    assert_eq!(bench.expire(now, 2).await, [expired(&first), expired(&second)]);
    bench.place(&hold_at(rival, &sale, &[1], now)).await;
    assert_eq!(bench.expire(now, 2).await, [expired(&third)]);
    assert_eq!(bench.expire(now, 2).await, []);

    for hold in [&first, &second, &third] {
        assert_eq!(bench.stored(hold).await, Some(expired(hold)));
    }
    assert_eq!(bench.stored(&later).await.as_ref(), Some(&later));
    let left = bench.reservations.claims_on(sale.id, &slots(&[0, 2, 3, 4, 5, 6])).await.expect("the store answers");
    assert_eq!(left, [held([&later]), sold].concat());
}

pub async fn expires_each_hold_once(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let mut holds = Vec::new();
    for seat in 0..TWENTY {
        let hold = hold(fan, &sale, &[seat]);
        bench.place(&hold).await;
        holds.push(hold);
    }
    let now = holds[0].expires_at;
    let sweeps = at_once((0..2).map(|_| {
        let reservations = Arc::clone(&bench.reservations);
        async move { reservations.expire_due(now, 100).await.expect("the store answers") }
    }))
    .await;

    let mut reported = sweeps.concat();
    reported.sort_by_key(|reservation| reservation.id);
    let expected: Vec<Reservation> = holds.iter().map(|hold| settled(hold, ReservationState::Expired, now)).collect();
    assert_eq!(reported, expected);
    assert_eq!(bench.claims(sale.id).await, []);
    let of_kind = |event: &(String, String, _)| event.1 == Event::HoldExpired(holds[0].clone()).kind();
    assert_eq!(bench.events().await.into_iter().filter(of_kind).count(), TWENTY);
}
