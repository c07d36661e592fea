//! The cases of [`Refunds`](encore_domain::ports::Refunds).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::booking::{Claim, Reservation, ReservationState};
use encore_domain::catalog::SEATS_PER_FAN_MAX;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::RequestError;
use encore_domain::event::Event;
use encore_domain::payment::refund::{
    CancelPlan, CancelRefusal, CancellationPolicy, Cancelled, CancelledBy, OperatorReason,
};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use encore_domain::wallet::{TransferIds, TransferKind, WalletEntry};

use crate::RecordBench;
use crate::answers::{assert_reused, made, made_and_refused, refused, repeated};
use crate::bench::identity_of;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{altered, at_secs, euros, hold, id, payment, request};

/// Stamps the cases of the port `Refunds`.
#[macro_export]
macro_rules! refunds {
    ($($with:tt)+) => {
        $crate::suite! { refunds [
            cancels_a_reservation,
            cancels_some_seats,
            keeps_a_fee,
            cancels_only_what_is_confirmed,
            repeats_a_cancellation,
            refuses_a_reused_request,
            cancels_once_under_contention,
            audits_cancellations,
        ] $($with)+ }
    };
}

/// A cancellation of seats of this reservation, of all if there are none, without a fee.
pub(crate) fn plan(reservation: &Reservation, slots: &[Slot], at: Timestamp) -> CancelPlan {
    CancelPlan {
        reservation: reservation.id,
        slots: (!slots.is_empty()).then(|| slots.to_vec()),
        refund: id(),
        transfers: [(); 2].map(|()| TransferIds { transfer: id(), wallet_entry: id(), counter_entry: id() }),
        policy: CancellationPolicy::default(),
        by: CancelledBy::Fan,
        act: None,
        at,
    }
}

impl RecordBench {
    pub(crate) async fn cancel(
        &self,
        plan: &CancelPlan,
        request: RequestKey,
    ) -> Result<Applied<Cancelled>, RequestError<CancelRefusal>> {
        self.refunds.cancel(plan.clone(), request).await
    }

    /// A fan with a reservation that is paid, and an empty wallet.
    pub(crate) async fn bought(&self, seats: &[usize]) -> Reservation {
        let hold = hold(self.sign_up().await, &self.open_sale().await, seats);
        self.buy(&hold).await;
        self.stored(&hold).await.expect("a reservation")
    }

    pub(crate) async fn assert_audited(&self, bought: &Reservation) {
        for scope in [None, Some(bought.performance)] {
            let report = self.audit.sweep(scope).await.expect("the store answers");
            assert!(report.is_clean(), "{:?}", report.findings().collect::<Vec<_>>());
        }
    }

    async fn wallet_entries(&self, reservation: &Reservation) -> Vec<WalletEntry> {
        let first = encore_domain::page::PageRequest::first(100);
        self.wallets.entries(reservation.user, first).await.expect("the store answers").items
    }

    /// Cancels what must be refused, and checks that it changed nothing.
    async fn refused_cancellation(&self, plan: &CancelPlan, of: &Reservation) -> CancelRefusal {
        let state = async || {
            let claims = self.reservations.claims(of.performance).await.expect("the store answers");
            (self.stored(of).await, claims, self.balances(of.user).await, self.events().await)
        };
        let before = state().await;
        let refusal = refused(self.cancel(plan, request(of.user)).await);
        assert_eq!(state().await, before);
        refusal
    }
}

pub async fn cancels_a_reservation(bench: RecordBench) {
    let bought = bench.bought(&[0, 13]).await;
    let plan = plan(&bought, &[], at_secs(60));
    let Cancelled { reservation, refund } = made(bench.cancel(&plan, request(bought.user)).await);

    let expected =
        Reservation { state: ReservationState::Cancelled, cancelled_at: Some(at_secs(60)), ..bought.clone() };
    assert_eq!(reservation, expected);
    assert_eq!(bench.stored(&bought).await, Some(expected.clone()));
    assert_eq!((refund.amount(), refund.slots.clone(), refund.is_whole), (euros(19_500), bought.slots(), true));
    assert_eq!(bench.balances(bought.user).await, [euros(19_500)]);
    assert_eq!(bench.reservations.claims(bought.performance).await.expect("the store answers"), []);

    let sides = bench.wallets.ledger_entries(plan.transfers[0].transfer).await.expect("the store answers");
    assert_eq!(sides.iter().map(|side| side.amount_minor).collect::<Vec<_>>(), [19_500, -19_500]);
    let entries = bench.wallet_entries(&bought).await;
    let (kind, payment, about) = (entries[0].kind, entries[0].payment, entries[0].refund);
    assert_eq!((kind, payment, about), (TransferKind::Refund, bought.payment, Some(refund.id)));
    let paid = bought.payment.expect("a payment");
    assert_eq!(bench.refunds.of_payment(paid).await.expect("the store answers"), std::slice::from_ref(&refund));
    let event = Event::SeatsCancelled { reservation: expected, refund };
    assert_eq!(bench.events().await.last(), Some(&identity_of(&event)));

    // The seats no longer count against the limit.
    let again = Reservation { id: id(), state: ReservationState::Held, settled_at: None, payment: None, ..bought };
    made(bench.reservations.place(again.clone(), 2, None, request(again.user)).await);
}

pub async fn cancels_some_seats(bench: RecordBench) {
    let bought = bench.bought(&[0, 1, 13]).await;
    let [first, second, third] = bought.slots()[..] else { panic!("three seats") };
    let cancelled = made(bench.cancel(&plan(&bought, &[second], at_secs(1)), request(bought.user)).await);
    assert_eq!((cancelled.reservation.state, cancelled.refund.is_whole), (ReservationState::Confirmed, false));
    assert_eq!((cancelled.reservation.total, cancelled.reservation.slots()), (euros(19_500), vec![first, third]));
    assert_eq!(bench.balances(bought.user).await, [euros(12_000)]);
    let claims = bench.reservations.claims(bought.performance).await.expect("the store answers");
    assert_eq!(claims, [first, third].map(|slot| Claim::sold(slot, bought.id, bought.user)));
    assert_eq!(bench.stored(&bought).await, Some(cancelled.reservation.clone()));

    let gone = bench.refused_cancellation(&plan(&bought, &[second], at_secs(2)), &bought).await;
    assert_eq!(gone, CancelRefusal::NotItsSeats { slots: vec![second] });
    let last = made(bench.cancel(&plan(&bought, &[first, third], at_secs(3)), request(bought.user)).await);
    assert_eq!((last.reservation.state, last.refund.is_whole), (ReservationState::Cancelled, true));
    assert_eq!(bench.balances(bought.user).await, [euros(31_500)]);
    assert_eq!(bench.refunds.of_payment(bought.payment.expect("paid")).await.expect("the store answers").len(), 2);
}

pub async fn keeps_a_fee(bench: RecordBench) {
    let bought = bench.bought(&[0]).await;
    let policy = CancellationPolicy { fee_percent: 15, ..CancellationPolicy::default() };
    let plan = CancelPlan { policy, ..plan(&bought, &[], at_secs(1)) };
    let refund = made(bench.cancel(&plan, request(bought.user)).await).refund;
    assert_eq!((refund.price, refund.fee_minor, refund.amount()), (euros(12_000), 1_800, euros(10_200)));
    assert_eq!(bench.balances(bought.user).await, [euros(10_200)]);
    bench.assert_audited(&bought).await;
}

pub async fn cancels_only_what_is_confirmed(bench: RecordBench) {
    let bought = bench.bought(&[0]).await;
    let foreign = plan(&bought, &[Slot(25)], at_secs(1));
    let refusal = bench.refused_cancellation(&foreign, &bought).await;
    assert_eq!(refusal, CancelRefusal::NotItsSeats { slots: vec![Slot(25)] });
    made(bench.cancel(&plan(&bought, &[], at_secs(1)), request(bought.user)).await);
    let refusal = bench.refused_cancellation(&plan(&bought, &[], at_secs(2)), &bought).await;
    assert_eq!(refusal, CancelRefusal::NotConfirmed { state: ReservationState::Cancelled });

    let sale = bench.open_sale().await;
    let held = hold(bench.sign_up().await, &sale, &[0]);
    bench.place(&held).await;
    for (at, state) in [(at_secs(1), ReservationState::Held), (held.expires_at, ReservationState::Expired)] {
        let refusal = bench.refused_cancellation(&plan(&held, &[], at), &held).await;
        assert_eq!(refusal, CancelRefusal::NotConfirmed { state });
    }
    made(bench.reservations.release(held.id, at_secs(1), None).await);
    let refusal = bench.refused_cancellation(&plan(&held, &[], at_secs(2)), &held).await;
    assert_eq!(refusal, CancelRefusal::NotConfirmed { state: ReservationState::Released });
}

pub async fn repeats_a_cancellation(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let held = hold(bench.sign_up().await, &sale, &[0, 1]);
    let placing = bench.place(&held).await;
    bench.top_up(held.user, held.total).await;
    let (pay, paying) = (payment(&held, at_secs(1)), request(held.user));
    let paid = made(bench.payments.pay_from_wallet(pay.clone(), paying).await);
    let bought = bench.stored(&held).await.expect("a reservation");

    let (some, all) = (request(held.user), request(held.user));
    let first = made(bench.cancel(&plan(&bought, &bought.slots()[..1], at_secs(2)), some).await);
    let second = made(bench.cancel(&plan(&bought, &[], at_secs(3)), all).await);
    for (request, answer) in [(some, &first), (all, &second)] {
        let again = plan(&bought, &[], at_secs(9));
        assert_eq!(&repeated(bench.cancel(&again, request).await), answer);
        let found = bench.refunds.find_cancelled(request).await.expect("the store answers");
        assert_eq!(found.as_ref(), Some(answer));
    }
    assert_eq!(bench.balances(held.user).await, [held.total]);
    let again = bench.reservations.place(held.clone(), SEATS_PER_FAN_MAX, None, placing).await;
    assert_eq!(repeated(again), held);
    assert_eq!(repeated(bench.payments.pay_from_wallet(pay, paying).await), paid);
    assert_eq!(bench.refunds.find_cancelled(request(held.user)).await.expect("the store answers"), None);
}

pub async fn refuses_a_reused_request(bench: RecordBench) {
    let bought = bench.bought(&[0]).await;
    let request = request(bought.user);
    made(bench.cancel(&plan(&bought, &[], at_secs(1)), request).await);
    assert_reused(&bench.cancel(&plan(&bought, &[], at_secs(2)), altered(request)).await);
    assert_reused(&bench.refunds.find_cancelled(altered(request)).await);
}

pub async fn cancels_once_under_contention(bench: RecordBench) {
    let bought = bench.bought(&[0, 1]).await;
    let answers = at_once((0..TWENTY).map(|_| {
        let (refunds, plan) = (Arc::clone(&bench.refunds), plan(&bought, &[], at_secs(1)));
        let request = request(bought.user);
        async move { refunds.cancel(plan, request).await }
    }))
    .await;
    let (made, refusals) = made_and_refused(answers);
    assert_eq!((made.len(), refusals.len()), (1, TWENTY - 1));
    assert!(refusals.iter().all(|it| *it == CancelRefusal::NotConfirmed { state: ReservationState::Cancelled }));
    assert_eq!(bench.balances(bought.user).await, [bought.total]);
}

pub async fn audits_cancellations(bench: RecordBench) {
    let bought = bench.bought(&[0, 1]).await;
    made(bench.cancel(&plan(&bought, &bought.slots()[..1], at_secs(1)), request(bought.user)).await);
    bench.assert_audited(&bought).await;
    let policy = CancellationPolicy { fee_percent: 100, ..CancellationPolicy::default() };
    made(bench.cancel(&CancelPlan { policy, ..plan(&bought, &[], at_secs(2)) }, request(bought.user)).await);
    bench.assert_audited(&bought).await;

    let other = bench.bought(&[2]).await;
    let reason = OperatorReason::parse("the show is cancelled").expect("a reason");
    let by = CancelledBy::Operator(bench.sign_up().await, reason);
    let plan = CancelPlan { by: by.clone(), ..plan(&other, &[], at_secs(3)) };
    let refund = made(bench.cancel(&plan, request(bench.sign_up().await)).await).refund;
    assert_eq!((refund.amount(), refund.by), (other.total, by));
    bench.assert_audited(&other).await;
}
