use std::sync::Arc;

use encore_domain::booking::ReservationState;
use encore_domain::booking::hold_change::{ExtendRefusal, HOLD_LIFE_FACTOR};

use super::{Change, extension, held, settled};
use crate::RecordBench;
use crate::answers::{assert_reused, made, refused, repeated};
use crate::contention::at_once;
use crate::fixtures::{altered, at_secs, hold, just_before, request, slots};

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
    assert_eq!(refusal, ExtendRefusal::AtLimit { expires_at: placed.expires_at }, "the deadline would not change");
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
    let (repeat, found) = (extend(at_secs(15), request).await, bench.reservations.find_changed(request).await);
    assert_eq!((repeated(repeat), found.expect("no reuse")), (extended.clone(), Some(extended)));
    assert_reused(&bench.reservations.find_changed(altered(request)).await);
    let none = bench.reservations.find_changed(crate::fixtures::request(fan)).await;
    assert_eq!(none.expect("no reuse"), None);
    assert_eq!(bench.find_placed(place_request).await.expect("no reuse"), Some(placed.clone()));
}

pub async fn finds_a_change_by_its_request(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let placed = hold(fan, &sale, &[0, 1]);
    let placing = bench.place(&placed).await;
    let find = |request| bench.reservations.find_changed(request);
    let [partly, wholly, refused_one] = [request(fan), request(fan), request(fan)];
    let left = made(bench.reservations.release_seats(placed.id, &slots(&[0]), at_secs(1), Some(partly)).await);
    assert_eq!(find(wholly).await.expect("no reuse"), None);
    let released = made(bench.reservations.release(placed.id, at_secs(2), Some(wholly)).await);
    refused(bench.reservations.release(placed.id, at_secs(3), Some(refused_one)).await);
    assert_eq!(find(partly).await.expect("no reuse"), Some(left));
    assert_eq!(find(wholly).await.expect("no reuse"), Some(released));
    assert_eq!(find(refused_one).await.expect("no reuse"), None);
    assert_reused(&find(altered(partly)).await);
    assert_reused(&find(placing).await);
}

pub async fn changes_one_after_the_other(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let placed = hold(fan, &sale, &[0, 1, 2, 3, 4, 5]);
    bench.place(&placed).await;
    let releases = (0..5).map(|seat| {
        let (reservations, id) = (Arc::clone(&bench.reservations), placed.id);
        async move { reservations.release_seats(id, &slots(&[seat]), at_secs(1), Some(request(fan))).await.is_ok() }
    });
    // An extension after a later one would not change the deadline and is refused. The latest extension is not refused.
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
