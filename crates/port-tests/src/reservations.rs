//! The cases of [`Reservations`](encore_domain::ports::Reservations).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use encore_domain::booking::{Claim, Reservation, ReservationState};
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::error::PortError;
use encore_domain::event::Event;
use encore_domain::hold_change::{ExtendRefusal, Extension, HOLD_LIFE_FACTOR, give_back};
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{PlaceRefusal, ReleaseRefusal};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::seat_chart::Slot;
use encore_domain::time::Timestamp;

use crate::RecordBench;
use crate::answers::{assert_reused, made, made_and_refused, made_once, refused, repeated};
use crate::bench::told;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{altered, at_secs, hold, hold_at, id, just_before, payment, request, slots};
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
            gives_some_seats_back,
            gives_the_last_seats_back,
            gives_back_only_what_is_held,
            repeats_a_partial_release,
            extends_a_hold,
            extends_only_a_live_hold,
            repeats_an_extension,
            changes_one_after_the_other,
            expires_due_holds,
            expires_each_hold_once,
            lists_newest_first,
            writes_events,
        ] $($with)+ }
    };
}

type PlaceAnswer = Result<Applied<Reservation>, PortError<PlaceRefusal>>;
type ReleaseAnswer = Result<Applied<Reservation>, PortError<ReleaseRefusal>>;
type ExtendAnswer = Result<Applied<Reservation>, PortError<ExtendRefusal>>;

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

    async fn release_seats(&self, hold: &Reservation, seats: &[usize], now: Timestamp) -> ReleaseAnswer {
        self.reservations.release_seats(hold.id, &slots(seats), now, Some(request(hold.user))).await
    }

    async fn extend(&self, hold: &Reservation, now: Timestamp, sale: &Performance) -> ExtendAnswer {
        self.reservations.extend(hold.id, extension(sale), now, request(hold.user)).await
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

/// A change of a hold, which says whether it was made.
type Change = Pin<Box<dyn Future<Output = bool> + Send>>;

fn extension(sale: &Performance) -> Extension {
    Extension { hold_for: sale.hold_for, token_until: None }
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
    let paid = made(bench.payments.pay_from_wallet(payment(&left, at_secs(6)), request(fan)).await);
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

pub async fn extends_a_hold(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let placed = hold(fan, &sale, &[0, 1]);
    bench.place(&placed).await;
    let extended = extension(&sale).of(&placed, at_secs(60)).expect("live");
    assert_eq!(extended.expires_at, at_secs(60) + sale.hold_for);
    assert_eq!(made(bench.extend(&placed, at_secs(60), &sale).await), extended);
    assert_eq!(bench.stored(&placed).await.as_ref(), Some(&extended));
    assert_eq!(bench.claims(sale.id).await, held([&extended]));

    assert_eq!(bench.expire(just_before(extended.expires_at), 100).await, []);
    let expired = settled(&extended, ReservationState::Expired, extended.expires_at);
    assert_eq!(bench.expire(extended.expires_at, 100).await, [expired]);
    assert_eq!(bench.claims(sale.id).await, []);
}

pub async fn extends_only_a_live_hold(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let placed = hold(fan, &sale, &[0]);
    bench.place(&placed).await;
    let refusal = refused(bench.extend(&placed, placed.held_at, &sale).await);
    assert_eq!(refusal, ExtendRefusal::AtLimit { expires_at: placed.expires_at }, "it gains nothing");
    let refusal = refused(bench.extend(&placed, placed.expires_at, &sale).await);
    assert_eq!(refusal, ExtendRefusal::NotHeld { state: ReservationState::Expired });
    let mut hold = placed.clone();
    let limit = placed.held_at + sale.hold_for * HOLD_LIFE_FACTOR;
    while hold.expires_at < limit {
        hold = made(bench.extend(&placed, just_before(hold.expires_at), &sale).await);
    }
    assert_eq!(hold.expires_at, limit);
    let refusal = refused(bench.extend(&placed, just_before(limit), &sale).await);
    assert_eq!(refusal, ExtendRefusal::AtLimit { expires_at: limit });
    assert_eq!(bench.stored(&placed).await, Some(hold));
}

pub async fn repeats_an_extension(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let placed = hold(fan, &sale, &[0, 1]);
    let place_request = bench.place(&placed).await;
    let request = request(fan);
    let extend = |now, request| bench.reservations.extend(placed.id, extension(&sale), now, request);
    let extended = made(extend(at_secs(10), request).await);
    made(bench.release_seats(&placed, &[0], at_secs(11)).await);
    made(bench.extend(&placed, at_secs(12), &sale).await);
    assert_eq!(repeated(extend(at_secs(13), request).await), extended);
    assert_reused(&extend(at_secs(13), altered(request)).await);
    made(bench.release(&placed, at_secs(14)).await);
    let (repeat, found) = (extend(at_secs(15), request).await, bench.reservations.find_extended(request).await);
    assert_eq!((repeated(repeat), found.expect("no reuse")), (extended.clone(), Some(extended)));
    assert_reused(&bench.reservations.find_extended(altered(request)).await);
    let none = bench.reservations.find_extended(crate::fixtures::request(fan)).await;
    assert_eq!(none.expect("no reuse"), None);
    assert_eq!(bench.find_placed(place_request).await.expect("no reuse"), Some(placed.clone()));
}

pub async fn changes_one_after_the_other(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let placed = hold(fan, &sale, &[0, 1, 2, 3, 4, 5]);
    bench.place(&placed).await;
    let releases = (0..5).map(|seat| {
        let (reservations, id) = (Arc::clone(&bench.reservations), placed.id);
        async move { reservations.release_seats(id, &slots(&[seat]), at_secs(1), Some(request(fan))).await.is_ok() }
    });
    // Who comes after a later one gains nothing, and is refused; the latest is not.
    let extensions = (2..7).map(|now| {
        let (reservations, id, extension) = (Arc::clone(&bench.reservations), placed.id, extension(&sale));
        async move { reservations.extend(id, extension, at_secs(now), request(fan)).await.is_ok() }
    });
    let calls: Vec<Change> =
        releases.map(|it| Box::pin(it) as Change).chain(extensions.map(|it| Box::pin(it) as Change)).collect();
    let done = at_once(calls).await;
    assert_eq!((&done[..5], done[9]), ([true; 5].as_slice(), true));
    let left = bench.stored(&placed).await.expect("there");
    assert_eq!((left.slots(), left.expires_at), (slots(&[5]), at_secs(6) + sale.hold_for));
    assert_eq!(left.revision as usize, done.iter().filter(|done| **done).count());
    assert_eq!(bench.claims(sale.id).await, held([&left]));
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

    let changed = hold(fan, &sale, &[2, 3]);
    bench.place(&changed).await;
    let less = made(bench.release_seats(&changed, &[2], at_secs(1)).await);
    let longer = made(bench.extend(&changed, at_secs(2), &sale).await);
    refused(bench.release_seats(&changed, &[2], at_secs(3)).await);

    bench.expire(missed.expires_at, 100).await;
    bench.expire(missed.expires_at, 100).await;
    let expected = [
        Event::HoldPlaced(given_back.clone()),
        Event::HoldReleased(given_back),
        Event::HoldPlaced(missed.clone()),
        Event::HoldPlaced(changed),
        Event::HoldChanged { hold: less, at: at_secs(1) },
        Event::HoldChanged { hold: longer, at: at_secs(2) },
        Event::HoldExpired(missed),
    ];
    assert_eq!(bench.events().await, expected.map(|event| told(&event)));
}
