use std::sync::Arc;

use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::event::Event;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::payment::PaymentPlan;
use encore_domain::ports::PlaceRefusal;
use encore_domain::queue::{EndReason, QueueTokenPayload};
use encore_domain::request::Applied;
use encore_domain::time::Timestamp;

use super::{held, settled};
use crate::RecordBench;
use crate::answers::{made, refused, repeated};
use crate::bench::identity_of;
use crate::contention::meet;
use crate::fixtures::{at_secs, hold, id, payment, request};

/// Enough rounds for a hold and a leave to run in either order.
const RACES: u64 = 40;

fn token(performance: PerformanceId, user: UserId, index: u64) -> QueueTokenPayload {
    QueueTokenPayload {
        performance,
        user,
        epoch: 5,
        lane: 0,
        index,
        issued_at: at_secs(0),
        needs_accessible: false,
        admitted_until: None,
    }
}

impl RecordBench {
    async fn leave(&self, token: QueueTokenPayload, now: Timestamp) -> Vec<Reservation> {
        let mut released = self.reservations.leave(token, now).await.expect("the store answers");
        released.sort_by_key(|hold| hold.id);
        released
    }
}

pub async fn refuses_an_ended_token(bench: RecordBench) {
    let (sale, fan, rival) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    bench.place(&hold(rival, &sale, &[5])).await;
    let paid_with = QueueTokenPayload { admitted_until: Some(at_secs(60)), ..token(sale.id, fan, 1) };
    let first = hold(fan, &sale, &[0]);
    let first_request = request(fan);
    let place =
        |hold: &Reservation, limit, token, request| bench.reservations.place(hold.clone(), limit, Some(token), request);
    made(place(&first, 8, paid_with, first_request).await);
    bench.top_up(fan, first.total).await;
    let plan = PaymentPlan { payload: Some(paid_with), ..payment(&first, at_secs(1)) };
    made(bench.payments.pay_from_wallet(plan, request(fan)).await);
    let left_with = token(sale.id, fan, 2);
    assert_eq!(bench.leave(left_with, at_secs(2)).await, []);

    // The seat is taken and the limit reached too.
    let taken = hold(fan, &sale, &[5]);
    for (ended, reason) in [(paid_with, EndReason::Used), (left_with, EndReason::Left)] {
        let refusal = refused(place(&taken, 1, ended, request(fan)).await);
        assert_eq!(refusal, PlaceRefusal::TokenEnded(reason));
    }
    assert_eq!(repeated(place(&first, 8, paid_with, first_request).await), first);
    for live in [
        token(sale.id, fan, 3),
        QueueTokenPayload { lane: 1, ..token(sale.id, fan, 1) },
        QueueTokenPayload { epoch: 6, ..token(sale.id, fan, 1) },
    ] {
        let next = hold(fan, &sale, &[1]);
        made(place(&next, 8, live, request(fan)).await);
        made(bench.release(&next, at_secs(3)).await);
    }
}

pub async fn releases_the_holds_of_who_leaves(bench: RecordBench) {
    let (sale, fan, other) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let matinee = Performance { id: id(), ..sale.clone() };
    made(bench.catalog.add_performance(matinee.clone(), None, None).await);
    let bought = hold(fan, &sale, &[0]);
    bench.buy(&bought).await;
    let (mut first, mut second) = (hold(fan, &sale, &[1, 2]), hold(fan, &sale, &[3]));
    if second.id < first.id {
        (first, second) = (second, first);
    }
    let overdue = Reservation { expires_at: at_secs(9), ..hold(fan, &sale, &[4]) };
    let (elsewhere, of_another) = (hold(fan, &matinee, &[1]), hold(other, &sale, &[6]));
    for hold in [&first, &second, &overdue, &elsewhere, &of_another] {
        bench.place(hold).await;
    }

    let released = [&first, &second].map(|hold| settled(hold, ReservationState::Released, at_secs(9)));
    let before = bench.events().await.len();
    assert_eq!(bench.leave(token(sale.id, fan, 1), at_secs(9)).await, released);
    let mut events = bench.events().await.split_off(before);
    events.sort();
    let mut expected = released.clone().map(|hold| identity_of(&Event::HoldReleased(hold)));
    expected.sort();
    assert_eq!(events, expected);
    for hold in released {
        assert_eq!(bench.stored(&hold).await.as_ref(), Some(&hold));
    }
    for hold in [overdue.clone(), elsewhere.clone(), of_another.clone()] {
        assert_eq!(bench.stored(&hold).await.as_ref(), Some(&hold));
    }
    assert_eq!(bench.claims(matinee.id).await, held([&elsewhere]));
    let claimed: Vec<_> = bench.claims(sale.id).await.iter().filter_map(|claim| claim.owner.reservation()).collect();
    assert_eq!(claimed, [bought.id, overdue.id, of_another.id]);
    let end = bench.queue_records.find_ended(&token(sale.id, fan, 1)).await.expect("the store answers");
    assert_eq!(end, Some(EndReason::Left));
}

pub async fn leaves_once(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let first = hold(fan, &sale, &[0]);
    bench.place(&first).await;
    assert_eq!(bench.leave(token(sale.id, fan, 1), at_secs(1)).await.len(), 1);
    // The fan joins again and holds seats with the next token.
    let second = hold(fan, &sale, &[0]);
    bench.place(&second).await;
    assert_eq!(bench.leave(token(sale.id, fan, 1), at_secs(2)).await, []);
    assert_eq!(bench.stored(&second).await.as_ref(), Some(&second));
    assert_eq!(bench.leave(token(sale.id, fan, 2), at_secs(3)).await.len(), 1);
}

pub async fn leave_and_hold_exclude_each_other(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    for round in 0..RACES {
        let (hold, token) = (hold(fan, &sale, &[0]), token(sale.id, fan, 1 + round));
        let (leaving, holding) = (Arc::clone(&bench.reservations), Arc::clone(&bench.reservations));
        let wanted = hold.clone();
        let leave = async move { leaving.leave(token, at_secs(1)).await };
        let place = async move { holding.place(wanted, SEATS_PER_FAN_MAX, Some(token), request(fan)).await };
        let (left, placed) = meet(leave, place, round % 2 == 0).await;

        let left = left.expect("the store answers");
        if let Ok(Applied::Now(_)) = &placed {
            assert_eq!(left.as_slice(), [settled(&hold, ReservationState::Released, at_secs(1))], "round {round}");
        } else {
            assert_eq!(refused(placed), PlaceRefusal::TokenEnded(EndReason::Left));
            assert_eq!(left, [], "round {round}");
        }
        assert_eq!(bench.claims(sale.id).await, [], "round {round}");
    }
}
