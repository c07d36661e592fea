use encore_domain::booking::{Reservation, ReservationFilter, ReservationState, ReservedSeat, SoldSeat};
use encore_domain::catalog::{Performance, PriceList, SEATS_PER_FAN_MAX};
use encore_domain::event::Event;
use encore_domain::ids::ReservationId;
use encore_domain::page::PageRequest;
use encore_domain::payment::refund::{CancelPlan, CancellationPolicy, CancelledBy};
use encore_domain::time::Timestamp;
use encore_domain::wallet::TransferIds;
use uuid::Uuid;

use crate::RecordBench;
use crate::answers::{assert_reused, made, refused, repeated};
use crate::bench::identity_of;
use crate::fixtures::{altered, at_secs, hold, hold_at, id, request, slots};
use crate::paging::{SIZES, read_all};

pub async fn lists_newest_first(bench: RecordBench) {
    let (sale, fan, other) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    assert_eq!(bench.reservations_of(fan, 100).await, []);
    // Every two holds have the same time. Ids grow with each hold.
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

pub async fn lists_by_state(bench: RecordBench) {
    use ReservationState::{Confirmed, Expired, Held, Released};

    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let mut holds: Vec<Reservation> = (0..4).map(|seat| hold(fan, &sale, &[seat])).collect();
    holds[1].expires_at = at_secs(60);
    for held in &holds[..3] {
        bench.place(held).await;
    }
    bench.buy(&holds[3]).await;
    made(bench.release(&holds[2], at_secs(1)).await);
    let listed = async |states: &[ReservationState], now| {
        let filter = ReservationFilter { states: states.to_vec(), now };
        let page = bench.reservations.list(fan, &filter, PageRequest::first(10)).await.expect("the store answers");
        page.items.into_iter().map(|found| found.id).collect::<Vec<_>>()
    };
    let id = |index: usize| holds[index].id;
    assert_eq!(listed(&[Held], at_secs(59)).await, [id(1), id(0)]);
    assert_eq!(listed(&[Held], at_secs(60)).await, [id(0)]);
    assert_eq!(listed(&[Expired, Released], at_secs(60)).await, [id(2), id(1)]);
    assert_eq!(listed(&[Confirmed], at_secs(1)).await, [id(3)]);
    assert_eq!(listed(&[], at_secs(1)).await, [id(3), id(2), id(1), id(0)]);
    // The limit of a page is on what is listed.
    let filter = ReservationFilter { states: vec![Held], now: at_secs(1) };
    let page = bench.reservations.list(fan, &filter, PageRequest::first(1)).await.expect("the store answers");
    assert_eq!((page.items.len(), page.next), (1, Some(holds[1].cursor())));
}

pub async fn starts_a_page_of_reservations_anywhere(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let held = hold(fan, &sale, &[0]);
    bench.place(&held).await;
    let (nil, max) = (ReservationId(Uuid::nil()), ReservationId(Uuid::max()));
    let found = async |after| {
        let page = PageRequest { after: Some(after), size: 10 };
        bench.reservations.list(fan, &ReservationFilter::all(at_secs(0)), page).await.expect("the store answers").items
    };
    for after in [(Timestamp::MAX_UTC, nil), (held.held_at, max)] {
        assert_eq!(found(after).await.as_slice(), std::slice::from_ref(&held), "{after:?}");
    }
    for after in [(held.held_at, held.id), (held.held_at, nil), (Timestamp::MIN_UTC, max)] {
        assert_eq!(found(after).await, [], "{after:?}");
    }
}

pub async fn counts_the_seats_of_a_fan(bench: RecordBench) {
    let (sale, fan, other) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let owned = async |performance: &Performance, user| {
        bench.reservations.owned(performance.id, user).await.expect("the store answers")
    };
    assert_eq!(owned(&sale, fan).await, 0);
    bench.buy(&hold(fan, &sale, &[0, 1])).await;
    let held = hold(fan, &sale, &[2]);
    bench.place(&held).await;
    bench.place(&hold(other, &sale, &[3])).await;
    assert_eq!(owned(&sale, fan).await, 3);
    assert_eq!(owned(&Performance { id: id(), ..sale.clone() }, fan).await, 0);
    made(bench.release(&held, held.held_at).await);
    assert_eq!(owned(&sale, fan).await, 2);
}

pub async fn lists_sold_seats(bench: RecordBench) {
    let (sale, fan, other) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let listed = async |size| read_all(size, |page| bench.reservations.sold_seats(sale.id, page)).await;
    assert_eq!(listed(100).await, []);
    let dearer = Performance {
        prices: PriceList { minor_by_grade: vec![Some(20_000), Some(8_000)], ..sale.prices.clone() },
        ..sale.clone()
    };
    let (first, second) = (hold(fan, &sale, &[20, 3]), hold_at(other, &dearer, &[0, 12, 7], at_secs(5)));
    let gone = hold(fan, &sale, &[1, 2]);
    for bought in [&first, &second, &gone] {
        bench.buy(bought).await;
    }
    bench.place(&hold(other, &sale, &[4])).await;
    let plan = CancelPlan {
        reservation: gone.id,
        slots: Some(slots(&[1])),
        refund: id(),
        transfers: [(); 2].map(|()| TransferIds { transfer: id(), wallet_entry: id(), counter_entry: id() }),
        policy: CancellationPolicy::default(),
        by: CancelledBy::Fan,
        act: None,
        at: at_secs(9),
    };
    made(bench.refunds.cancel(plan, request(fan)).await);

    let seats = |of: &Reservation| {
        let (reservation, user, confirmed_at) = (of.id, of.user, of.held_at);
        let sold = |seat: ReservedSeat| SoldSeat {
            slot: seat.slot,
            reservation,
            user,
            confirmed_at,
            price_minor: seat.price_minor,
        };
        of.seats.iter().copied().map(sold).collect::<Vec<_>>()
    };
    let kept = seats(&gone).into_iter().filter(|seat| seat.slot == slots(&[2])[0]).collect();
    let mut expected = [seats(&first), seats(&second), kept].concat();
    expected.sort_by_key(|seat| seat.slot);
    assert_eq!(expected.len(), 6);
    for size in SIZES {
        assert_eq!(listed(size).await, expected, "by {size}");
    }
    let elsewhere = bench.reservations.sold_seats(id(), PageRequest::first(9)).await.expect("the store answers");
    assert_eq!(elsewhere.items, []);
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
        Event::HoldChanged { hold: less, released: slots(&[2]), at: at_secs(1) },
        Event::HoldChanged { hold: longer, released: vec![], at: at_secs(2) },
        Event::HoldExpired(missed),
    ];
    assert_eq!(bench.events().await, expected.map(|event| identity_of(&event)));
    let mut released = Vec::new();
    for event in bench.read_events().await {
        if let Event::HoldChanged { released: slots, .. } = event {
            released.push(slots);
        }
    }
    assert_eq!(released, [slots(&[2]), vec![]]);
}
