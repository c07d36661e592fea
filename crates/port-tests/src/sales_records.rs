//! The cases of [`SalesRecords`](encore_domain::ports::SalesRecords).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::cmp::Reverse;

use encore_domain::booking::{Reservation, ReservationFilter, ReservationState};
use encore_domain::ids::{PaymentId, ReservationId};
use encore_domain::page::PageRequest;
use encore_domain::payment::attempt::{Outcome, Step};
use encore_domain::payment::card::Purpose;
use encore_domain::payment::fan_payment::FanPayment;
use encore_domain::payment::gateway::FailureReason;
use encore_domain::sales_records::{RecordsOf, TimeRange};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::answers::made;
use crate::fixtures::{at_secs, euros, hold, hold_at, payment, request};
use crate::paging::{SIZES, read_all};
use crate::{RecordBench, card_payments};

/// Stamps the cases of the port `SalesRecords`.
#[macro_export]
macro_rules! sales_records {
    ($($with:tt)+) => {
        $crate::suite! { sales_records [
            lists_the_reservations_of_a_performance,
            lists_the_reservations_of_a_fan,
            lists_reservations_by_state_and_time,
            lists_the_payments_of_a_performance,
            lists_the_payments_of_a_fan,
            lists_payments_by_time,
            starts_a_page_of_records_anywhere,
        ] $($with)+ }
    };
}

/// Without limits.
const ALWAYS: TimeRange = TimeRange { since: None, until: None };

impl RecordBench {
    async fn listed(&self, of: RecordsOf, filter: &ReservationFilter, held: TimeRange, size: u32) -> Vec<Reservation> {
        read_all(size, |page| self.sales_records.reservations(of, held, filter, page)).await
    }

    async fn paid_in(&self, of: RecordsOf, begun: TimeRange, size: u32) -> Vec<FanPayment> {
        read_all(size, |page| self.sales_records.payments(of, begun, page)).await
    }

    async fn release_all(&self, hold: &Reservation, at: Timestamp) -> Reservation {
        made(self.reservations.release(hold.id, at, Some(request(hold.user))).await)
    }
}

fn payment_ids(payments: &[FanPayment]) -> Vec<PaymentId> {
    payments.iter().map(FanPayment::id).collect()
}

pub async fn lists_the_reservations_of_a_performance(bench: RecordBench) {
    let (sale, another) = (bench.open_sale().await, bench.open_sale().await);
    let of = RecordsOf::Performance(sale.id);
    let all = ReservationFilter::all(at_secs(2));
    assert_eq!(bench.listed(of, &all, ALWAYS, 100).await, []);
    let mut expected = Vec::new();
    for seat in 0..6 {
        // Every two holds have the same time.
        let hold = hold_at(bench.sign_up().await, &sale, &[seat, seat + 10], at_secs(seat as u64 / 2));
        if seat == 1 {
            bench.buy(&hold).await;
        } else {
            bench.place(&hold).await;
        }
        if seat == 2 {
            bench.release_all(&hold, at_secs(2)).await;
        }
        expected.push(bench.stored(&hold).await.expect("a reservation"));
    }
    bench.place(&hold(bench.sign_up().await, &another, &[0])).await;
    expected.sort_by_key(|reservation| Reverse(reservation.cursor()));
    for size in SIZES {
        assert_eq!(bench.listed(of, &all, ALWAYS, size).await, expected, "by {size}");
    }
}

pub async fn lists_the_reservations_of_a_fan(bench: RecordBench) {
    let (sale, another, fan) = (bench.open_sale().await, bench.open_sale().await, bench.sign_up().await);
    let first = hold_at(fan, &sale, &[0], at_secs(1));
    let second = hold_at(fan, &another, &[0], at_secs(2));
    let third = hold_at(fan, &sale, &[1], at_secs(3));
    for hold in [&third, &first, &second] {
        bench.place(hold).await;
    }
    bench.place(&hold(bench.sign_up().await, &sale, &[2])).await;
    let all = ReservationFilter::all(at_secs(4));
    for size in SIZES {
        let of_fan = bench.listed(RecordsOf::Fan(fan), &all, ALWAYS, size).await;
        assert_eq!(of_fan, [third.clone(), second.clone(), first.clone()], "by {size}");
        let in_sale = bench.listed(RecordsOf::FanIn(fan, sale.id), &all, ALWAYS, size).await;
        assert_eq!(in_sale, [third.clone(), first.clone()], "by {size}");
    }
}

pub async fn lists_reservations_by_state_and_time(bench: RecordBench) {
    use ReservationState::{Cancelled, Confirmed, Expired, Held, Released};

    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let mut holds: Vec<Reservation> = (0..4).map(|seat| hold_at(fan, &sale, &[seat], at_secs(seat as u64))).collect();
    holds[1].expires_at = at_secs(60);
    for held in &holds[..3] {
        bench.place(held).await;
    }
    bench.buy(&holds[3]).await;
    bench.release_all(&holds[2], at_secs(4)).await;
    for of in [RecordsOf::Fan(fan), RecordsOf::Performance(sale.id), RecordsOf::FanIn(fan, sale.id)] {
        let listed = async |states: &[ReservationState], now, held| {
            let filter = ReservationFilter { states: states.to_vec(), now };
            let found = bench.listed(of, &filter, held, 1).await;
            found.iter().map(|found| holds.iter().position(|hold| hold.id == found.id)).collect::<Vec<_>>()
        };
        let (early, late) = (at_secs(59), at_secs(60));
        assert_eq!(listed(&[Held], early, ALWAYS).await, [Some(1), Some(0)], "{of:?}");
        assert_eq!(listed(&[Held], late, ALWAYS).await, [Some(0)], "{of:?}");
        assert_eq!(listed(&[Expired], early, ALWAYS).await, [], "{of:?}");
        assert_eq!(listed(&[Expired, Released], late, ALWAYS).await, [Some(2), Some(1)], "{of:?}");
        assert_eq!(listed(&[Held, Confirmed], late, ALWAYS).await, [Some(3), Some(0)], "{of:?}");
        assert_eq!(listed(&[Cancelled], late, ALWAYS).await, [], "{of:?}");
        let since = |secs| TimeRange { since: Some(at_secs(secs)), until: None };
        let until = |secs| TimeRange { since: None, until: Some(at_secs(secs)) };
        assert_eq!(listed(&[], late, since(2)).await, [Some(3), Some(2)], "{of:?}");
        assert_eq!(listed(&[], late, until(2)).await, [Some(1), Some(0)], "{of:?}");
        let one = TimeRange { since: Some(at_secs(1)), until: Some(at_secs(2)) };
        assert_eq!(listed(&[], late, one).await, [Some(1)], "{of:?}");
    }
}

pub async fn lists_the_payments_of_a_performance(bench: RecordBench) {
    let (sale, another) = (bench.open_sale().await, bench.open_sale().await);
    let of = RecordsOf::Performance(sale.id);
    let mut expected = Vec::new();
    for seat in 0..3 {
        let fan = bench.sign_up().await;
        let bought = bench.buy(&hold_at(fan, &sale, &[seat], at_secs(seat as u64 / 2))).await;
        if seat == 0 {
            bench.payments.mark_propagated(&[bought.id]).await.expect("the store answers");
        }
        expected.push(bought.id);
        let held = hold(fan, &sale, &[seat + 3]);
        bench.place(&held).await;
        let refused = bench.start(&card_payments::plan(&held, at_secs(1))).await;
        if seat == 1 {
            let declined = (Step::Authorize, Outcome::Failed(FailureReason::Declined));
            bench.reported(&refused, &[declined], at_secs(2)).await;
        }
        expected.push(refused.id);
        bench.start(&card_payments::plan_for(fan, Purpose::TopUp, euros(5), 0, at_secs(1))).await;
    }
    bench.buy(&hold(bench.sign_up().await, &another, &[0])).await;
    let mut all = Vec::new();
    for id in &expected {
        all.push(bench.payments.find(*id).await.expect("the store answers").expect("a payment"));
    }
    all.sort_by_key(|payment| Reverse(payment.cursor()));
    for size in SIZES {
        assert_eq!(bench.paid_in(of, ALWAYS, size).await, all, "by {size}");
    }
    let (sold, card) = bench.charged(&[0]).await;
    let of_charged = bench.paid_in(RecordsOf::Performance(sold.performance), ALWAYS, 10).await;
    assert_eq!(of_charged, [FanPayment::Card(card)], "once");
}

pub async fn lists_the_payments_of_a_fan(bench: RecordBench) {
    let (sale, another, fan) = (bench.open_sale().await, bench.open_sale().await, bench.sign_up().await);
    let first = bench.buy(&hold_at(fan, &sale, &[0], at_secs(1))).await;
    let second = bench.buy(&hold_at(fan, &another, &[0], at_secs(2))).await;
    let top_up = bench.start(&card_payments::plan_for(fan, Purpose::TopUp, euros(5), 0, at_secs(3))).await;
    let held = hold_at(fan, &sale, &[1], at_secs(3));
    bench.place(&held).await;
    let open = bench.start(&card_payments::plan(&held, at_secs(4))).await;
    bench.buy(&hold(bench.sign_up().await, &sale, &[2])).await;
    for size in SIZES {
        let of_fan = bench.paid_in(RecordsOf::Fan(fan), ALWAYS, size).await;
        assert_eq!(payment_ids(&of_fan), [open.id, top_up.id, second.id, first.id], "by {size}");
        let in_sale = bench.paid_in(RecordsOf::FanIn(fan, sale.id), ALWAYS, size).await;
        assert_eq!(payment_ids(&in_sale), [open.id, first.id], "by {size}");
    }
}

pub async fn lists_payments_by_time(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let from_wallet = bench.buy(&hold_at(fan, &sale, &[0], at_secs(1))).await;
    let held = hold(fan, &sale, &[1]);
    bench.place(&held).await;
    let by_card = bench.start(&card_payments::plan(&held, at_secs(2))).await;
    let later = hold(fan, &sale, &[2]);
    bench.place(&later).await;
    bench.top_up(fan, later.total).await;
    let last = made(bench.payments.pay_from_wallet(payment(&later, at_secs(3)), request(fan)).await).payment;
    bench.payments.mark_propagated(&[last.id]).await.expect("the store answers");
    for of in [RecordsOf::Fan(fan), RecordsOf::Performance(sale.id), RecordsOf::FanIn(fan, sale.id)] {
        let begun = async |since: Option<u64>, until: Option<u64>| {
            let range = TimeRange { since: since.map(at_secs), until: until.map(at_secs) };
            payment_ids(&bench.paid_in(of, range, 1).await)
        };
        assert_eq!(begun(None, None).await, [last.id, by_card.id, from_wallet.id], "{of:?}");
        assert_eq!(begun(Some(2), None).await, [last.id, by_card.id], "{of:?}");
        assert_eq!(begun(None, Some(3)).await, [by_card.id, from_wallet.id], "{of:?}");
        assert_eq!(begun(Some(2), Some(3)).await, [by_card.id], "{of:?}");
    }
}

pub async fn starts_a_page_of_records_anywhere(bench: RecordBench) {
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let bought = bench.buy(&hold(fan, &sale, &[0])).await;
    for of in [RecordsOf::Fan(fan), RecordsOf::Performance(sale.id)] {
        let found = async |after: Timestamp, id| {
            let (all, size) = (ReservationFilter::all(at_secs(0)), 10);
            let page = PageRequest { after: Some((after, ReservationId(id))), size };
            let reservations = bench.sales_records.reservations(of, ALWAYS, &all, page).await;
            let page = PageRequest { after: Some((after, PaymentId(id))), size };
            let payments = bench.sales_records.payments(of, ALWAYS, page).await;
            (reservations.expect("the store answers").items.len(), payments.expect("the store answers").items.len())
        };
        for (after, id) in [(Timestamp::MAX_UTC, Uuid::nil()), (bought.paid_at, Uuid::max())] {
            assert_eq!(found(after, id).await, (1, 1), "{of:?} {after:?}");
        }
        for (after, id) in [(bought.paid_at, Uuid::nil()), (Timestamp::MIN_UTC, Uuid::max())] {
            assert_eq!(found(after, id).await, (0, 0), "{of:?} {after:?}");
        }
    }
}
