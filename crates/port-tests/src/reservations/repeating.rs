use std::sync::Arc;

use encore_domain::booking::Reservation;
use encore_domain::error::RequestError;
use encore_domain::ports::PlaceRefusal;
use encore_domain::request::{Applied, RequestKey};

use super::held;
use crate::RecordBench;
use crate::answers::{assert_reused, made, made_once, refused, repeated};
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{altered, at_secs, encoded_otherwise, hold, id, request, understood_otherwise};

pub async fn repeats_a_hold(bench: RecordBench) {
    let (sale, fan, rival) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let retry = |hold: &Reservation| Reservation { id: id(), held_at: at_secs(2), ..hold.clone() };

    let live = hold(fan, &sale, &[0, 1]);
    let live_request = request(fan);
    made(bench.reservations.place(live.clone(), 2, None, live_request).await);
    let repeat = retry(&live);
    // The fan is at the limit and the seats are taken, both by the hold of the repeated request.
    assert_eq!(repeated(bench.reservations.place(repeat.clone(), 2, None, live_request).await), live);
    assert_eq!(bench.stored(&repeat).await, None);
    assert_eq!(bench.claims(sale.id).await, held([&live]));

    let released = hold(fan, &sale, &[5]);
    let released_request = bench.place(&released).await;
    made(bench.release(&released, at_secs(1)).await);
    let confirmed = hold(fan, &sale, &[6]);
    let confirmed_request = bench.place(&confirmed).await;
    bench.top_up(fan, confirmed.total).await;
    made(bench.payments.pay_from_wallet(crate::fixtures::payment(&confirmed, at_secs(1)), request(fan)).await);
    let expired = hold(fan, &sale, &[7]);
    let expired_request = bench.place(&expired).await;
    bench.expire(expired.expires_at, 100).await;
    let before = bench.claims(sale.id).await;
    for (hold, request) in
        [(live, live_request), (released, released_request), (confirmed, confirmed_request), (expired, expired_request)]
    {
        let repeat = retry(&hold);
        assert_eq!(repeated(bench.place_again(repeat.clone(), request).await), hold);
        assert_eq!(bench.find_placed(request).await.expect("no reuse"), Some(hold));
        assert_eq!(bench.stored(&repeat).await, None);
    }
    assert_eq!(bench.claims(sale.id).await, before);

    let taken = hold(rival, &sale, &[6, 8]);
    let refused_request = request(rival);
    refused(bench.place_again(taken.clone(), refused_request).await);
    assert_eq!(bench.find_placed(refused_request).await.expect("no reuse"), None);
    assert_eq!(bench.find_placed(altered(refused_request)).await.expect("no reuse"), None);
    let free = hold(rival, &sale, &[8]);
    assert_eq!(made(bench.place_again(free.clone(), refused_request).await), free);
}

pub async fn repeats_a_hold_under_contention(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let request = request(fan);
    let answers = at_once((0..TWENTY).map(|_| {
        let reservations = Arc::clone(&bench.reservations);
        let attempt = hold(fan, &sale, &[0, 1]);
        async move { reservations.place(attempt, 2, None, request).await }
    }))
    .await;

    let placed = made_once(answers);
    assert_eq!(bench.claims(sale.id).await, held([&placed]));
    assert_eq!(bench.reservations_of(fan, 100).await, [placed]);
}

pub async fn refuses_a_reused_request(bench: RecordBench) {
    let (sale, fan, other) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let first = hold(fan, &sale, &[0]);
    let request = bench.place(&first).await;
    let reused = altered(request);

    let second = hold(fan, &sale, &[1]);
    assert_reused(&bench.place_again(second.clone(), reused).await);
    assert_reused(&bench.find_placed(reused).await);
    assert_reused(&bench.reservations.release(first.id, at_secs(1), Some(reused)).await);
    assert_eq!(bench.stored(&second).await, None);
    assert_eq!(bench.stored(&first).await.as_ref(), Some(&first));
    assert_eq!(bench.claims(sale.id).await, held([&first]));

    let of_another = RequestKey { user: other, ..reused };
    let theirs = hold(other, &sale, &[1]);
    assert_eq!(bench.find_placed(of_another).await.expect("no reuse"), None);
    assert_eq!(made(bench.place_again(theirs.clone(), of_another).await), theirs);
}

pub async fn repeats_across_versions(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let placed = hold(fan, &sale, &[0]);
    let placing = bench.place(&placed).await;
    let releasing = request(fan);
    let released = made(bench.reservations.release(placed.id, at_secs(1), Some(releasing)).await);
    for of_a_version in [understood_otherwise, encoded_otherwise] {
        assert_eq!(repeated(bench.place_again(placed.clone(), of_a_version(placing)).await), placed);
        assert_eq!(bench.find_placed(of_a_version(placing)).await.expect("no reuse"), Some(placed.clone()));
        let again = bench.reservations.release(placed.id, at_secs(2), Some(of_a_version(releasing))).await;
        assert_eq!(repeated(again), released);
    }
    assert_reused(&bench.place_again(placed, altered(placing)).await);
}

pub async fn answers_each_of_many_at_once(bench: RecordBench) {
    const LIMIT: u32 = 2;
    let sale = bench.open_sale().await;
    let known = hold(bench.sign_up().await, &sale, &[0]);
    let known_request = bench.place(&known).await;
    let mut calls = vec![(hold(known.user, &sale, &[1]), altered(known_request))];
    for pair in 1..13 {
        // Two fans want the same pair and each sends the request twice. A third fan exceeds the limit.
        for rival in [bench.sign_up().await, bench.sign_up().await] {
            let seat_request = (hold(rival, &sale, &[2 * pair, 2 * pair + 1]), request(rival));
            calls.extend([seat_request.clone(), seat_request]);
        }
        let greedy = bench.sign_up().await;
        calls.push((hold(greedy, &sale, &[1, 2 * pair, 2 * pair + 1]), request(greedy)));
        calls.push((known.clone(), known_request));
    }
    let answers = at_once(calls.iter().cloned().map(|(hold, request)| {
        let reservations = Arc::clone(&bench.reservations);
        async move { reservations.place(hold, LIMIT, None, request).await }
    }))
    .await;

    let claims = bench.claims(sale.id).await;
    let mut winners = vec![&known];
    for ((hold, request), answer) in calls.iter().zip(answers) {
        let owner =
            claims.iter().find(|claim| claim.slot == hold.seats[0].slot).and_then(|claim| claim.owner.reservation());
        match answer {
            Ok(Applied::Now(placed)) => {
                assert_eq!((&placed, Some(placed.id)), (hold, owner));
                winners.push(hold);
            }
            Ok(Applied::Before(placed)) => assert_eq!((&placed, Some(placed.id)), (hold, owner)),
            Err(RequestError::Refused(PlaceRefusal::SeatsTaken { slots })) => {
                assert_eq!(slots, hold.slots().split_off(hold.seats.len() - 2));
                assert_ne!(owner, Some(hold.id));
            }
            Err(RequestError::Refused(refusal)) => {
                assert_eq!((refusal, hold.seats.len()), (PlaceRefusal::OverLimit { limit: LIMIT, owned: 0 }, 3));
            }
            Err(RequestError::Reused) => assert_eq!(request.fingerprint, altered(known_request).fingerprint),
            Err(RequestError::Unavailable(unavailable)) => panic!("the store answers: {unavailable}"),
        }
    }
    assert_eq!(winners.len(), 13, "one of the two fans gets each pair, once");
    assert_eq!(claims, held(winners));
}
