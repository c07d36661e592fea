//! The cases of [`Reservations`](encore_domain::ports::Reservations).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use encore_domain::booking::{Claim, Reservation, ReservationState};
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::error::PortError;
use encore_domain::event::Event;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{PlaceRefusal, ReleaseRefusal};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::seat_chart::Slot;
use encore_domain::time::Timestamp;

use crate::RecordBench;
use crate::answers::{assert_reused, made, made_and_refused, made_once, refused, repeated};
use crate::bench::told;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{altered, at_secs, hold, hold_at, id, just_before, request, slots};
use crate::paging::{SIZES, read_all};

/// Stamps the cases of the port `Reservations`.
#[macro_export]
macro_rules! reservations {
    ($($with:tt)+) => {
        $crate::suite! { reservations [
            places_a_hold,
            refuses_taken_seats,
            refuses_taken_seats_under_contention,
            same_seats_of_another_performance_are_free,
            refuses_over_the_limit,
            refuses_taken_seats_before_the_limit,
            refuses_over_the_limit_under_contention,
            repeats_a_hold,
            repeats_a_hold_under_contention,
            refuses_a_reused_request,
            answers_each_of_many_at_once,
            releases_a_hold,
            releases_only_a_live_hold,
            repeats_a_release,
            expires_due_holds,
            expires_each_hold_once,
            lists_newest_first,
            writes_events,
        ] $($with)+ }
    };
}

type PlaceAnswer = Result<Applied<Reservation>, PortError<PlaceRefusal>>;
type ReleaseAnswer = Result<Applied<Reservation>, PortError<ReleaseRefusal>>;

impl RecordBench {
    async fn try_place(&self, hold: &Reservation, limit: u32) -> PlaceAnswer {
        self.reservations.place(hold.clone(), limit, request(hold.user)).await
    }

    async fn place_again(&self, hold: Reservation, request: RequestKey) -> PlaceAnswer {
        self.reservations.place(hold, SEATS_PER_FAN_MAX, request).await
    }

    async fn find_placed(&self, request: RequestKey) -> Result<Option<Reservation>, PortError<Infallible>> {
        self.reservations.find_placed(request).await
    }

    async fn release(&self, hold: &Reservation, now: Timestamp) -> ReleaseAnswer {
        self.reservations.release(hold.id, now, Some(request(hold.user))).await
    }

    async fn expire(&self, now: Timestamp, limit: u32) -> Vec<Reservation> {
        self.reservations.expire_due(now, limit).await.expect("the store answers")
    }

    /// All claims on seats of a performance.
    pub(crate) async fn claims(&self, performance: PerformanceId) -> Vec<Claim> {
        self.reservations.claims(performance).await.expect("the store answers")
    }

    async fn reservations_of(&self, user: UserId, page_size: u32) -> Vec<Reservation> {
        read_all(page_size, |page| self.reservations.list(user, page)).await
    }
}

/// The claims of these holds, in the order of their slots.
pub(crate) fn held<'a>(holds: impl IntoIterator<Item = &'a Reservation>) -> Vec<Claim> {
    let claim = |hold: &Reservation, slot| Claim { slot, reservation: hold.id, held_until: Some(hold.expires_at) };
    let mut claims: Vec<Claim> =
        holds.into_iter().flat_map(|hold| hold.slots().into_iter().map(|slot| claim(hold, slot))).collect();
    claims.sort_by_key(|claim| claim.slot);
    claims
}

fn settled(hold: &Reservation, state: ReservationState, at: Timestamp) -> Reservation {
    Reservation { state, settled_at: Some(at), ..hold.clone() }
}

pub async fn places_a_hold(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let first = hold(fan, &sale, &[3, 4, 10]);
    let request = request(fan);
    assert_eq!(made(bench.reservations.place(first.clone(), 3, request).await), first);

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
        // Chains of overlaps: a hold meets the next ones, and those meet others.
        let first = n % 7;
        holds.push(hold(bench.sign_up().await, &sale, &[first, first + 1, first + 2]));
    }
    let answers = at_once(holds.iter().cloned().map(|hold| {
        let reservations = Arc::clone(&bench.reservations);
        async move { reservations.place(hold.clone(), SEATS_PER_FAN_MAX, request(hold.user)).await }
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
        let PlaceRefusal::SeatsTaken { slots } = refused(answer) else { panic!("nobody is over the limit") };
        let others = claims.iter().filter(|claim| claim.reservation != hold.id && hold.slots().contains(&claim.slot));
        let others: BTreeSet<Slot> = others.map(|claim| claim.slot).collect();
        assert!(!slots.is_empty() && slots.iter().all(|slot| others.contains(slot)), "{slots:?} of {others:?}");
        assert_eq!(bench.stored(hold).await, None);
    }
    assert!(!winners.is_empty(), "somebody is first");
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
        async move { reservations.place(hold, LIMIT, request(fan)).await }
    }))
    .await;

    let (placed, refusals) = made_and_refused(answers);
    assert_eq!(placed.len(), LIMIT as usize);
    for refusal in refusals {
        assert_eq!(refusal, PlaceRefusal::OverLimit { limit: LIMIT, owned: LIMIT });
    }
    assert_eq!(bench.claims(sale.id).await, held(&placed));
}

pub async fn repeats_a_hold(bench: RecordBench) {
    let (sale, fan, rival) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let retry = |hold: &Reservation| Reservation { id: id(), held_at: at_secs(2), ..hold.clone() };

    let live = hold(fan, &sale, &[0, 1]);
    let live_request = request(fan);
    made(bench.reservations.place(live.clone(), 2, live_request).await);
    let repeat = retry(&live);
    // The fan is at the limit and the seats are taken, by the hold that is repeated.
    assert_eq!(repeated(bench.reservations.place(repeat.clone(), 2, live_request).await), live);
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
        async move { reservations.place(attempt, 2, request).await }
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

pub async fn answers_each_of_many_at_once(bench: RecordBench) {
    const LIMIT: u32 = 2;
    let sale = bench.open_sale().await;
    let known = hold(bench.sign_up().await, &sale, &[0]);
    let known_request = bench.place(&known).await;
    let mut calls = vec![(hold(known.user, &sale, &[1]), altered(known_request))];
    for pair in 1..13 {
        // Two rivals for a pair, each of whom asks twice, and one who wants too many.
        for rival in [bench.sign_up().await, bench.sign_up().await] {
            let wish = (hold(rival, &sale, &[2 * pair, 2 * pair + 1]), request(rival));
            calls.extend([wish.clone(), wish]);
        }
        let greedy = bench.sign_up().await;
        calls.push((hold(greedy, &sale, &[1, 2 * pair, 2 * pair + 1]), request(greedy)));
        calls.push((known.clone(), known_request));
    }
    let answers = at_once(calls.iter().cloned().map(|(hold, request)| {
        let reservations = Arc::clone(&bench.reservations);
        async move { reservations.place(hold, LIMIT, request).await }
    }))
    .await;

    let claims = bench.claims(sale.id).await;
    let mut winners = vec![&known];
    for ((hold, request), answer) in calls.iter().zip(answers) {
        let owner = claims.iter().find(|claim| claim.slot == hold.seats[0].slot).map(|claim| claim.reservation);
        match answer {
            Ok(Applied::Now(placed)) => {
                assert_eq!((&placed, Some(placed.id)), (hold, owner));
                winners.push(hold);
            }
            Ok(Applied::Before(placed)) => assert_eq!((&placed, Some(placed.id)), (hold, owner)),
            Err(PortError::Refused(PlaceRefusal::SeatsTaken { slots })) => {
                assert_eq!(slots, hold.slots().split_off(hold.seats.len() - 2));
                assert_ne!(owner, Some(hold.id));
            }
            Err(PortError::Refused(refusal)) => {
                assert_eq!((refusal, hold.seats.len()), (PlaceRefusal::OverLimit { limit: LIMIT, owned: 0 }, 3));
            }
            Err(PortError::RequestReused) => assert_eq!(request.fingerprint, altered(known_request).fingerprint),
            Err(PortError::Unavailable(weather)) => panic!("the store answers: {weather}"),
        }
    }
    assert_eq!(winners.len(), 13, "one of each pair of rivals, once");
    assert_eq!(claims, held(winners));
}

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

pub async fn lists_newest_first(bench: RecordBench) {
    let (sale, fan, other) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    assert_eq!(bench.reservations_of(fan, 100).await, []);
    // Two of each moment; ids grow with each hold made.
    let moment = |seat: usize| at_secs(seat as u64 / 2);
    let mut holds: Vec<Reservation> =
        (0..6).map(|seat| hold_at(fan, &sale, &[seat, seat + 10], moment(seat))).collect();
    let late_id = hold(fan, &sale, &[8]);
    holds.insert(2, late_id);
    let of_another = hold(other, &sale, &[7]);
    for index in [3, 0, 5, 1, 6, 4, 2] {
        bench.place(&holds[index]).await;
    }
    bench.place(&of_another).await;
    holds[4] = made(bench.release(&holds[4], at_secs(1)).await);

    holds.reverse();
    for size in SIZES {
        assert_eq!(bench.reservations_of(fan, size).await, holds, "by {size}");
    }
    assert_eq!(bench.reservations_of(other, 100).await, [of_another]);
}

pub async fn writes_events(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let given_back = hold(fan, &sale, &[0]);
    let missed = hold(fan, &sale, &[1]);
    let place_request = bench.place(&given_back).await;
    let release_request = request(fan);
    made(bench.reservations.release(given_back.id, at_secs(1), Some(release_request)).await);
    bench.place(&missed).await;

    repeated(bench.place_again(hold(fan, &sale, &[0]), place_request).await);
    repeated(bench.reservations.release(given_back.id, at_secs(1), Some(release_request)).await);
    refused(bench.try_place(&hold(fan, &sale, &[1]), SEATS_PER_FAN_MAX).await);
    refused(bench.release(&given_back, at_secs(1)).await);
    assert_reused(&bench.place_again(hold(fan, &sale, &[2]), altered(place_request)).await);

    bench.expire(missed.expires_at, 100).await;
    bench.expire(missed.expires_at, 100).await;
    let expected = [
        Event::HoldPlaced(given_back.clone()),
        Event::HoldReleased(given_back),
        Event::HoldPlaced(missed.clone()),
        Event::HoldExpired(missed),
    ];
    assert_eq!(bench.events().await, expected.map(|event| told(&event)));
}
