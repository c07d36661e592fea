//! The cases of [`RequestRecords`](encore_domain::ports::RequestRecords).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use encore_domain::booking::hold_change::Extension;
use encore_domain::booking::{Reservation, reservation_id};
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::error::RequestError;
use encore_domain::ids::UserId;
use encore_domain::ports::PlaceRefusal;
use encore_domain::request::{Applied, ForgottenRequests, RequestKey};

use crate::RecordBench;
use crate::answers::{assert_reused, made, repeated};
use crate::fixtures::{at_secs, hold_at, id, payment, request, top_up};

/// Stamps the cases of the port `RequestRecords`.
#[macro_export]
macro_rules! request_records {
    ($($with:tt)+) => {
        $crate::suite! { request_records [
            forgets_requests_of_old_holds,
            keeps_requests_that_moved_money,
            never_places_two_holds_for_a_request,
            knows_the_request_of_a_live_hold,
            audits_what_was_forgotten,
        ] $($with)+ }
    };
}

/// A hold of one seat whose id follows from its request, as the use case makes it.
fn hold_of(key: &RequestKey, sale: &Performance, seat: usize, at: u64) -> Reservation {
    Reservation { id: reservation_id(key), ..hold_at(key.user, sale, &[seat], at_secs(at)) }
}

impl RecordBench {
    async fn place_for(
        &self,
        hold: &Reservation,
        key: RequestKey,
    ) -> Result<Applied<Reservation>, RequestError<PlaceRefusal>> {
        self.reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, key).await
    }

    /// A hold of a fan, and the request that placed it.
    async fn placed(&self, fan: UserId, sale: &Performance, seat: usize, at: u64) -> (Reservation, RequestKey) {
        let key = request(fan);
        let hold = hold_of(&key, sale, seat, at);
        (made(self.place_for(&hold, key).await), key)
    }

    /// Forgets requests that were made before this second, and returns how many.
    async fn forget(&self, before: u64, limit: u32) -> u64 {
        let step = self.request_records.forget(at_secs(before), limit).await.expect("the store answers");
        assert_eq!(step, ForgottenRequests { kept: 0, ..step });
        step.forgotten
    }

    async fn is_known(&self, key: RequestKey) -> bool {
        self.reservations.find_placed(key).await.expect("no reuse").is_some()
    }
}

pub async fn forgets_requests_of_old_holds(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    assert_eq!(bench.forget(1_000, 10).await, 0);
    let (first, first_key) = bench.placed(fan, &sale, 0, 1).await;
    let (_, second_key) = bench.placed(fan, &sale, 1, 2).await;
    let (third, third_key) = bench.placed(fan, &sale, 2, 4).await;
    let extending = request(fan);
    let extension = Extension { hold_for: sale.hold_for, starts_at: sale.starts_at, token_until: None };
    made(bench.reservations.extend(first.id, extension, at_secs(3), extending).await);
    assert_eq!(bench.forget(1, 10).await, 0);
    assert_eq!(bench.forget(4, 1).await, 1);
    assert_eq!((bench.is_known(first_key).await, bench.is_known(second_key).await), (false, true));
    assert!(bench.reservations.find_changed(extending).await.expect("no reuse").is_some());
    assert_eq!(bench.forget(4, 10).await, 2);
    assert!(!bench.is_known(second_key).await);
    assert_eq!(bench.reservations.find_changed(extending).await.expect("no reuse"), None);
    assert_eq!(bench.forget(4, 10).await, 0);
    assert_eq!(repeated(bench.place_for(&third, third_key).await), third);
    assert!(bench.stored(&first).await.is_some(), "what it placed stays");
}

pub async fn keeps_requests_that_moved_money(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let (hold, _) = bench.placed(fan, &sale, 0, 1).await;
    let [topping_up, paying, cancelling] = [(); 3].map(|()| request(fan));
    let entry = made(bench.wallets.top_up(top_up(fan, hold.total), topping_up).await);
    let paid = made(bench.payments.pay_from_wallet(payment(&hold, at_secs(2)), paying).await);
    let bought = bench.stored(&hold).await.expect("a reservation");
    let plan = crate::refunds::plan(&bought, &[], at_secs(3));
    let cancelled = made(bench.cancel(&plan, cancelling).await);
    assert_eq!(bench.forget(1_000_000, 10).await, 1);
    assert_eq!(repeated(bench.wallets.top_up(top_up(fan, hold.total), topping_up).await), entry);
    assert_eq!(repeated(bench.payments.pay_from_wallet(payment(&hold, at_secs(4)), paying).await), paid);
    assert_eq!(repeated(bench.cancel(&plan, cancelling).await), cancelled);
}

pub async fn never_places_two_holds_for_a_request(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let (hold, key) = bench.placed(fan, &sale, 0, 1).await;
    made(bench.reservations.release(hold.id, at_secs(2), None).await);
    assert_eq!(bench.forget(1_000_000, 10).await, 1);
    for seat in [0, 1] {
        assert_reused(&bench.place_for(&hold_of(&key, &sale, seat, 5), key).await);
    }
    assert_eq!(bench.reservations.claims(sale.id).await.expect("the store answers"), []);
    let other = |seat| Reservation { id: id(), ..hold_of(&key, &sale, seat, 5) };
    made(bench.place_for(&other(0), request(fan)).await);
    // Those that come together with it are placed.
    let (first, forgotten, second) = (other(1), hold_of(&key, &sale, 3, 5), other(2));
    let (first, forgotten, second) = tokio::join!(
        bench.place_for(&first, request(fan)),
        bench.place_for(&forgotten, key),
        bench.place_for(&second, request(fan)),
    );
    assert_reused(&forgotten);
    made(first);
    made(second);
}

pub async fn knows_the_request_of_a_live_hold(bench: RecordBench) {
    let (sale, fan, other) = (bench.open_sale().await, bench.sign_up().await, bench.sign_up().await);
    let (hold, key) = bench.placed(fan, &sale, 0, 1).await;
    bench.placed(other, &sale, 2, 9).await;
    assert_eq!(bench.forget(9, 10).await, 1);
    for seat in [0, 1, 2] {
        let again = hold_of(&key, &sale, seat, 5);
        for seats_per_fan in [SEATS_PER_FAN_MAX, 1] {
            assert_reused(&bench.reservations.place(again.clone(), seats_per_fan, None, key).await);
        }
        assert!(!bench.is_known(key).await);
    }
    assert_eq!(bench.stored(&hold).await, Some(hold));
}

pub async fn audits_what_was_forgotten(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    for seat in 0..4 {
        bench.placed(fan, &sale, seat, 1 + seat as u64 / 2).await;
    }
    for forgotten in [0, 1, 1, 2] {
        assert_eq!(bench.forget(1_000_000, forgotten).await, forgotten.into());
        for scope in [None, Some(sale.id)] {
            let report = bench.audit.sweep(scope).await.expect("the store answers");
            assert!(report.is_clean(), "{:?}", report.findings().collect::<Vec<_>>());
        }
    }
}
