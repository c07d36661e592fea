use std::sync::Arc;

use encore_domain::booking::alternatives::Orphans;
use encore_domain::booking::search::Search;
use encore_domain::booking::seat_state::{SeatLock, SeatOwner};
use encore_domain::booking::unit_search::UnitSearch;
use encore_domain::catalog::area::Area;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::PortError;
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::ports::{ChooseRefusal, LockTerms, RESERVATIONS_REMEMBERED, TakeRefusal};

use super::{HUNDRED, blocked, search};
use crate::SpeedBench;
use crate::answers::refused;
use crate::contention::at_once;
use crate::fixtures::{SMALL_CHART_SEATS, at_secs, festival_chart, id, lock_terms, slots};

/// The limit of seats per fan in these cases.
const LIMIT: u32 = 4;

/// Terms of a new reservation of a fan.
fn terms(user: UserId) -> LockTerms {
    terms_of(id(), user)
}

fn terms_of(reservation: ReservationId, user: UserId) -> LockTerms {
    LockTerms { user, seats_per_fan: LIMIT, ..lock_terms(reservation, at_secs(60)) }
}

fn held(seats: &[usize], reservation: ReservationId, user: UserId) -> Vec<SeatLock> {
    slots(seats).into_iter().map(|slot| SeatLock::held(slot, reservation, user, at_secs(60))).collect()
}

fn sold(seats: &[usize], reservation: ReservationId, user: UserId) -> Vec<SeatLock> {
    slots(seats).into_iter().map(|slot| SeatLock::sold(slot, reservation, user)).collect()
}

/// A search for units of the first area of the festival venue.
fn units(count: usize) -> Search {
    let area: Area = festival_chart(20).areas()[0];
    Search::Units(UnitSearch { first: area.first, capacity: area.capacity, from: area.first, count })
}

impl SpeedBench {
    async fn take_on(
        &self,
        performance: PerformanceId,
        seats: &[usize],
        terms: LockTerms,
    ) -> Result<u64, PortError<TakeRefusal>> {
        self.seat_locks.take(performance, &slots(seats), Orphans::Allow, terms).await
    }

    /// How many seats a fan has, as a refusal says it, which changes nothing.
    async fn owned(&self, performance: PerformanceId, user: UserId) -> u32 {
        let before = self.seats(performance).await;
        let none = LockTerms { seats_per_fan: 0, ..terms(user) };
        let refusal = refused(self.choose(performance, &Search::Seats(search(1, &[0, 1], &[0, 1], false)), none).await);
        assert_eq!(self.seats(performance).await, before);
        let ChooseRefusal::OverLimit { owned } = refusal else { panic!("{refusal:?}") };
        owned
    }
}

pub async fn refuses_over_the_limit(bench: SpeedBench) {
    let (performance, fan) = (bench.loaded().await, id());
    bench.take_on(performance, &[0, 1, 2], terms(fan)).await.expect("three of four");
    bench.take_on(performance, &[5], terms(id())).await.expect("another fan");
    let before = bench.seats(performance).await;

    let two = refused(bench.take_on(performance, &[3, 4], terms(fan)).await);
    assert_eq!(two, TakeRefusal::OverLimit { owned: 3 });
    let taken = refused(bench.take_on(performance, &[4, 5], terms(fan)).await);
    assert!(matches!(taken, TakeRefusal::Taken { .. }), "taken seats are refused first: {taken:?}");
    for (count, allow_split) in [(2, false), (2, true), (8, false)] {
        let best = Search::Seats(search(count, &[0, 1], &[0, 1], allow_split));
        let refusal = refused(bench.choose(performance, &best, terms(fan)).await);
        assert_eq!(refusal, ChooseRefusal::OverLimit { owned: 3 }, "{count}, {allow_split}");
    }
    let nothing = Search::Seats(search(2, &[0, 1], &[], false));
    let refusal = refused(bench.choose(performance, &nothing, terms(fan)).await);
    assert_eq!(refusal, ChooseRefusal::OverLimit { owned: 3 }, "before anything is searched");
    assert_eq!(bench.seats(performance).await, before, "no seat and no version changed");

    let one = Search::Seats(search(1, &[0, 1], &[0, 1], false));
    bench.choose(performance, &one, terms(fan)).await.expect("the fourth of four");
    let fifth = refused(bench.take_on(performance, &[20], terms(fan)).await);
    assert_eq!(fifth, TakeRefusal::OverLimit { owned: 4 });

    let (festival, [floor, _]) = bench.festival(20, |_| false).await;
    let three = terms(fan);
    let chosen = bench.choose(festival, &units(3), three).await.expect("the fan has nothing of this performance");
    let before = bench.seats(festival).await;
    let refusal = refused(bench.choose(festival, &units(2), terms(fan)).await);
    assert_eq!(refusal, ChooseRefusal::OverLimit { owned: 3 });
    let again = bench.choose(festival, &units(3), three).await.expect("its own units, which are counted once");
    assert_eq!(again.slots, chosen.slots);
    assert_eq!(bench.seats(festival).await, before);
    bench.choose(festival, &units(1), terms(fan)).await.expect("the fourth of four");
    assert_eq!(before.expect("loaded").free_units(&floor), 17);
}

pub async fn refuses_over_the_limit_under_contention(bench: SpeedBench) {
    for kind in 0..3 {
        let (performance, fan) = match kind {
            2 => (bench.festival(20, |_| false).await.0, id()),
            _ => (bench.loaded().await, id()),
        };
        let answers = at_once((0..HUNDRED).map(|turn| {
            let (seat_locks, terms) = (Arc::clone(&bench.seat_locks), terms(fan));
            async move {
                let chosen = match kind {
                    0 => {
                        let seat = slots(&[turn % SMALL_CHART_SEATS]);
                        return is_taken(seat_locks.take(performance, &seat, Orphans::Allow, terms).await);
                    }
                    1 => Search::Seats(search(1, &[0, 1], &[0, 1], false)),
                    _ => units(1),
                };
                match seat_locks.take_chosen(performance, &chosen, terms).await {
                    Ok(_) => true,
                    Err(PortError::Refused(ChooseRefusal::OverLimit { owned: LIMIT })) => false,
                    Err(other) => panic!("{other:?}"),
                }
            }
        }))
        .await;
        assert_eq!(answers.into_iter().filter(|taken| *taken).count(), LIMIT as usize);
        assert_eq!(bench.seats(performance).await.expect("loaded").stock().held, LIMIT);
        assert_eq!(bench.owned(performance, fan).await, LIMIT);
    }
}

/// Whether one of many takes of one fan was made; otherwise it was over the limit, or another of them has the seat.
fn is_taken(take: Result<u64, PortError<TakeRefusal>>) -> bool {
    use TakeRefusal::{OverLimit, Taken};
    match take {
        Ok(_) => true,
        Err(PortError::Refused(OverLimit { owned: LIMIT } | Taken { .. })) => false,
        Err(other) => panic!("{other:?}"),
    }
}

pub async fn counts_what_a_fan_has(bench: SpeedBench) {
    let (performance, fan, other) = (bench.loaded().await, id(), id());
    let owned = async |of_fan: u32, of_other: u32, what: &str| {
        let counts = (bench.owned(performance, fan).await, bench.owned(performance, other).await);
        assert_eq!(counts, (of_fan, of_other), "{what}");
    };
    owned(0, 0, "nothing yet").await;
    let first = terms(fan);
    bench.take_on(performance, &[0, 1, 2], first).await.expect("free");
    bench.take_on(performance, &[0, 1, 2], first).await.expect("its own");
    owned(3, 0, "taken, and taken again").await;
    bench.mark(performance, &held(&[0, 1, 2], first.reservation, fan)).await;
    owned(3, 0, "marked as it is").await;
    bench.release_seats(performance, &slots(&[0, 9]), first.reservation).await;
    bench.release_seats(performance, &slots(&[1]), id()).await;
    owned(2, 0, "one released").await;
    bench.mark(performance, &sold(&[1, 2], first.reservation, fan)).await;
    owned(2, 0, "held and then sold").await;
    bench.release_seats(performance, &slots(&[1, 2]), first.reservation).await;
    owned(2, 0, "a sold seat is not released").await;
    bench.mark(performance, &sold(&[10], id(), fan)).await;
    bench.mark(performance, &held(&[11, 12], id(), other)).await;
    owned(3, 2, "marked over free seats").await;
    bench.mark(performance, &held(&[1, 10], id(), other)).await;
    owned(1, 4, "marked over the seats of another").await;
    bench.mark(performance, &[blocked(2), blocked(11)]).await;
    owned(0, 3, "blocked").await;
    bench.seat_locks.unblock(performance, &slots(&[2, 11])).await.expect("the store answers");
    owned(0, 3, "unblocked").await;
    let operators = SeatLock { slot: Slot(u32::MAX), owner: SeatOwner::Operators { block: id() } };
    bench.mark(performance, &[operators, SeatLock::held(Slot(u32::MAX), id(), fan, at_secs(60))]).await;
    owned(0, 3, "no seat").await;
    bench.take_on(performance, &[0, 1, 2, 4], terms(fan)).await.expect_err("another fan has one of them");
    bench.take_on(performance, &[0, 2, 4, 5], terms(fan)).await.expect("all four");
    owned(4, 3, "as many as one fan may have").await;
}

pub async fn says_what_fans_bought(bench: SpeedBench) {
    let (performance, unknown, fan, other) = (bench.loaded().await, id(), id(), id());
    let bought = async |performance, fans: &[UserId]| {
        bench.seat_locks.bought(performance, fans).await.expect("the store answers")
    };
    bench.take_on(performance, &[0, 1, 2], terms(fan)).await.expect("free");
    assert_eq!(bought(performance, &[fan, other]).await, [0, 0], "held is not bought");
    bench.mark(performance, &sold(&[0, 1], id(), fan)).await;
    bench.mark(performance, &sold(&[5], id(), other)).await;
    assert_eq!(bought(performance, &[other, id(), fan]).await, [1, 0, 2]);
    bench.mark(performance, &held(&[1], id(), other)).await;
    assert_eq!(bought(performance, &[other, fan]).await, [1, 1]);
    assert_eq!(bought(unknown, &[fan, other]).await, [0, 0], "nothing is loaded");
    assert_eq!(bought(performance, &[]).await, [0; 0]);
}

pub async fn knows_the_limit_after_a_load(bench: SpeedBench) {
    let (performance, fan, other): (PerformanceId, UserId, UserId) = (id(), id(), id());
    let locks = [held(&[0, 1], id(), fan), sold(&[2], id(), fan), sold(&[3, 4, 5], id(), other), vec![blocked(6)]];
    bench.load(performance, &locks.concat()).await;
    assert_eq!((bench.owned(performance, fan).await, bench.owned(performance, other).await), (3, 3));
    assert_eq!(bench.seat_locks.bought(performance, &[fan, other]).await.expect("the store answers"), [1, 3]);
    let refusal = refused(bench.take_on(performance, &[8, 9], terms(fan)).await);
    assert_eq!(refusal, TakeRefusal::OverLimit { owned: 3 });
    bench.mark(performance, &held(&[2], id(), other)).await;
    assert_eq!((bench.owned(performance, fan).await, bench.owned(performance, other).await), (2, 4));
    bench.take_on(performance, &[8, 9], terms(fan)).await.expect("four of four");

    let sold_only = id();
    bench.load(sold_only, &sold(&[0], id(), fan)).await;
    assert_eq!(bench.owned(sold_only, fan).await, 1);
}

pub async fn locks_nothing_for_a_repeat(bench: SpeedBench) {
    let (taken, marked, loaded): (ReservationId, ReservationId, ReservationId) = (id(), id(), id());
    let (performance, fan) = (id(), id());
    bench.load(performance, &sold(&[20], loaded, fan)).await;
    bench.take_on(performance, &[0, 1], terms_of(taken, fan)).await.expect("free");
    bench.release_seats(performance, &slots(&[0, 1]), taken).await;
    bench.mark(performance, &held(&[3], marked, fan)).await;
    bench.release_seats(performance, &slots(&[3]), marked).await;
    let before = bench.seats(performance).await;
    for repeated in [taken, marked, loaded] {
        let terms = terms_of(repeated, fan);
        let refusal = refused(bench.take_on(performance, &[0, 1], terms).await);
        assert_eq!(refusal, TakeRefusal::MayRepeat);
        let best = Search::Seats(search(2, &[0, 1], &[0, 1], false));
        assert_eq!(refused(bench.choose(performance, &best, terms).await), ChooseRefusal::MayRepeat);
    }
    assert_eq!(bench.seats(performance).await, before);
    let over = refused(bench.take_on(performance, &[0, 1, 2, 4], terms_of(taken, fan)).await);
    assert_eq!(over, TakeRefusal::OverLimit { owned: 1 }, "the limit comes first");
    bench.take_on(performance, &[0, 1], terms(fan)).await.expect("another reservation");
    bench.release_seats(performance, &slots(&[0, 1]), id()).await;

    let is_new = LockTerms { is_new: true, ..terms_of(taken, fan) };
    bench.take_on(performance, &[7], is_new).await.expect("it was looked up");
    bench.take_on(performance, &[7], terms_of(taken, fan)).await.expect("it holds exactly this seat");
    assert_eq!(bench.owned(performance, fan).await, 4);

    let (festival, _) = bench.festival(20, |_| false).await;
    let once = terms(fan);
    let chosen = bench.choose(festival, &units(2), once).await.expect("free");
    bench.release_seats(festival, &chosen.slots, once.reservation).await;
    assert_eq!(refused(bench.choose(festival, &units(2), once).await), ChooseRefusal::MayRepeat);
    let is_new = LockTerms { is_new: true, ..once };
    bench.choose(festival, &units(2), is_new).await.expect("it was looked up");
}

pub async fn forgets_no_reservation(bench: SpeedBench) {
    let (performance, fan) = (bench.loaded().await, id());
    let hold_and_release = async |terms: LockTerms| {
        let taken = bench.take_on(performance, &[0], terms).await;
        bench.release_seats(performance, &slots(&[0]), terms.reservation).await;
        taken
    };
    let before: Vec<LockTerms> = (0..RESERVATIONS_REMEMBERED).map(|_| terms(fan)).collect();
    for terms in &before {
        hold_and_release(*terms).await.expect("a new reservation");
    }
    let version = bench.version(performance).await;
    let next = terms(fan);
    for terms in [before[0], before[RESERVATIONS_REMEMBERED - 1], next] {
        assert_eq!(refused(hold_and_release(terms).await), TakeRefusal::MayRepeat);
    }
    assert_eq!(bench.version(performance).await, version);
    let is_new = LockTerms { is_new: true, ..next };
    hold_and_release(is_new).await.expect("it was looked up");
    assert_eq!(refused(hold_and_release(next).await), TakeRefusal::MayRepeat);
    hold_and_release(terms(id())).await.expect("another fan");
}
