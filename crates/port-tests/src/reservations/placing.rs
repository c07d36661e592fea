use std::collections::BTreeSet;
use std::sync::Arc;

use encore_domain::booking::{Claim, Reservation};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::ports::PlaceRefusal;
use encore_domain::request::Applied;

use super::held;
use crate::RecordBench;
use crate::answers::{made, made_and_refused, refused};
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{hold, id, request, slots};

pub async fn places_a_hold(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let first = hold(fan, &sale, &[3, 4, 10]);
    let request = request(fan);
    assert_eq!(made(bench.reservations.place(first.clone(), 3, None, request).await), first);

    assert_eq!(bench.stored(&first).await.as_ref(), Some(&first));
    assert_eq!(bench.find_placed(request).await.expect("no reuse"), Some(first.clone()));
    assert_eq!(bench.claims(sale.id).await, held([&first]));
    let asked = slots(&[10, 5, 3]);
    let claims = bench.reservations.claims_on(sale.id, &asked).await.expect("the store answers");
    let expected: Vec<Claim> = held([&first]).into_iter().filter(|claim| asked.contains(&claim.slot)).collect();
    assert_eq!(claims, expected);
    assert_eq!(claims.len(), 2);

    assert_eq!(bench.reservations.find(id()).await.expect("the store answers"), None);
    assert_eq!(bench.find_placed(crate::fixtures::request(fan)).await.expect("no reuse"), None);
    assert_eq!(bench.claims(id()).await, []);
}

pub async fn refuses_taken_seats(bench: RecordBench) {
    let (sale, fan, rival) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let held_seats = hold(fan, &sale, &[1, 2]);
    bench.place(&held_seats).await;
    bench.buy(&hold(fan, &sale, &[4])).await;
    let before = bench.claims(sale.id).await;

    let overlapping = hold(rival, &sale, &[0, 1, 2, 3, 4, 5]);
    let refusal = refused(bench.try_place(&overlapping, SEATS_PER_FAN_MAX).await);
    assert_eq!(refusal, PlaceRefusal::SeatsTaken { slots: slots(&[1, 2, 4]) });
    assert_eq!(bench.claims(sale.id).await, before);
    assert_eq!(bench.stored(&overlapping).await, None);
    assert_eq!(bench.reservations_of(rival, 100).await, []);

    bench.place(&hold(rival, &sale, &[0, 3, 5])).await;
    assert_eq!(bench.stored(&held_seats).await, Some(held_seats));
}

pub async fn refuses_taken_seats_under_contention(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let mut holds = Vec::new();
    for n in 0..TWENTY {
        // A chain of overlaps: each hold shares seats with the next ones.
        let first = n % 7;
        holds.push(hold(bench.sign_up().await, &sale, &[first, first + 1, first + 2]));
    }
    let answers = at_once(holds.iter().cloned().map(|hold| {
        let reservations = Arc::clone(&bench.reservations);
        async move { reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, request(hold.user)).await }
    }))
    .await;

    let claims = bench.claims(sale.id).await;
    let mut winners = Vec::new();
    for (hold, answer) in holds.iter().zip(answers) {
        if let Ok(Applied::Now(placed)) = &answer {
            assert_eq!(placed, hold);
            assert_eq!(bench.stored(hold).await.as_ref(), Some(hold));
            winners.push(hold);
            continue;
        }
        let PlaceRefusal::SeatsTaken { slots } = refused(answer) else { panic!("no fan is over the limit") };
        let others = claims
            .iter()
            .filter(|claim| claim.owner.reservation() != Some(hold.id) && hold.slots().contains(&claim.slot));
        let others: BTreeSet<Slot> = others.map(|claim| claim.slot).collect();
        assert!(!slots.is_empty() && slots.iter().all(|slot| others.contains(slot)), "{slots:?} of {others:?}");
        assert_eq!(bench.stored(hold).await, None);
    }
    assert!(!winners.is_empty(), "at least one hold is placed");
    assert_eq!(claims, held(winners), "each seat is claimed once, by a hold that was placed");
}

pub async fn same_seats_of_another_performance_are_free(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let matinee = Performance { id: id(), ..sale.clone() };
    made(bench.catalog.add_performance(matinee.clone(), None, None).await);
    let (evening, afternoon) = (hold(fan, &sale, &[0, 1]), hold(fan, &matinee, &[0, 1]));

    bench.place(&evening).await;
    bench.place(&afternoon).await;
    assert_eq!(bench.claims(sale.id).await, held([&evening]));
    assert_eq!(bench.claims(matinee.id).await, held([&afternoon]));
}

pub async fn refuses_over_the_limit(bench: RecordBench) {
    let (sale, fan, other) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let too_large = hold(fan, &sale, &[0, 1, 2, 3, 5]);
    let refusal = refused(bench.try_place(&too_large, 4).await);
    assert_eq!(refusal, PlaceRefusal::OverLimit { limit: 4, owned: 0 });

    bench.buy(&hold(fan, &sale, &[0, 1])).await;
    let held_seat = hold(fan, &sale, &[2]);
    bench.place(&held_seat).await;
    let before = bench.claims(sale.id).await;
    let over = hold(fan, &sale, &[10, 11]);
    let refusal = refused(bench.try_place(&over, 4).await);
    assert_eq!(refusal, PlaceRefusal::OverLimit { limit: 4, owned: 3 });
    assert_eq!(bench.claims(sale.id).await, before);
    assert_eq!(bench.stored(&over).await, None);

    made(bench.try_place(&hold(other, &sale, &[20, 21]), 4).await);
    let matinee = Performance { id: id(), ..sale.clone() };
    made(bench.catalog.add_performance(matinee.clone(), None, None).await);
    made(bench.try_place(&hold(fan, &matinee, &[0, 1, 2, 3]), 4).await);

    made(bench.release(&held_seat, held_seat.held_at).await);
    made(bench.try_place(&over, 4).await);
}

pub async fn refuses_taken_seats_before_the_limit(bench: RecordBench) {
    let (sale, fan, rival) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    bench.place(&hold(rival, &sale, &[0])).await;
    let refusal = refused(bench.try_place(&hold(fan, &sale, &[0, 1]), 1).await);
    assert_eq!(refusal, PlaceRefusal::SeatsTaken { slots: slots(&[0]) });
}

pub async fn refuses_over_the_limit_under_contention(bench: RecordBench) {
    const LIMIT: u32 = 3;
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let holds: Vec<Reservation> = (0..TWENTY).map(|seat| hold(fan, &sale, &[seat])).collect();
    let answers = at_once(holds.into_iter().map(|hold| {
        let reservations = Arc::clone(&bench.reservations);
        async move { reservations.place(hold, LIMIT, None, request(fan)).await }
    }))
    .await;

    let (placed, refusals) = made_and_refused(answers);
    assert_eq!(placed.len(), LIMIT as usize);
    for refusal in refusals {
        assert_eq!(refusal, PlaceRefusal::OverLimit { limit: LIMIT, owned: LIMIT });
    }
    assert_eq!(bench.claims(sale.id).await, held(&placed));
}
