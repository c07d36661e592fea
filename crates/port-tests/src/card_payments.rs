//! The cases of [`CardPayments`](encore_domain::ports::CardPayments).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::hold_change::{ExtendRefusal, Extension, ReleaseRefusal};
use encore_domain::booking::{Claim, Reservation, ReservationState};
use encore_domain::ids::{PaymentId, UserId};
use encore_domain::money::Money;
use encore_domain::payment::PayRefusal;
use encore_domain::payment::attempt::{Outcome, Progress, Step};
use encore_domain::payment::card::{CardPayment, PAYING_FOR, PaymentState, Purpose};
use encore_domain::payment::card_change::{CardChange, CardChangeIds, CardEffects, Change, SeatsChange, TakeUp};
use encore_domain::payment::card_plan::CardPlan;
use encore_domain::payment::fan_payment::FanPayment;
use encore_domain::payment::gateway::{FailureReason, MethodToken};
use encore_domain::queue::QueueTokenPayload;
use encore_domain::time::Timestamp;
use encore_domain::wallet::{TransferIds, TransferKind};

use crate::RecordBench;
use crate::answers::{assert_reused, made, made_and_refused, refused, repeated};
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{altered, at_secs, euros, hold, id, payment, request, start};

mod giving_back;
mod taking_up;
mod telling;

pub use giving_back::*;
pub use taking_up::*;
pub use telling::*;

/// Stamps the cases of the port `CardPayments`.
#[macro_export]
macro_rules! card_payments {
    ($($with:tt)+) => {
        $crate::suite! { card_payments [
            starts_a_payment,
            a_paying_hold_is_left_alone,
            starts_only_on_a_live_hold,
            starts_once_under_contention,
            repeats_a_start,
            refuses_a_reused_request,
            gives_a_refused_card_s_hold_back,
            confirms_a_payment,
            confirms_once_under_contention,
            expires_at_the_bound,
            sells_late_if_the_seats_are_free,
            gives_up_if_the_seats_are_taken,
            credits_a_top_up_that_was_captured,
            revokes_what_was_never_taken,
            refunds_a_card,
            takes_up_what_is_due,
            hastens_what_a_hint_names,
            keeps_a_hint_for_the_end_of_the_lease,
            hears_of_a_dispute,
            hears_of_another_dispute,
            gives_back_once_after_a_lost_dispute,
            writes_an_event_of_each_step,
            writes_events_of_what_goes_wrong,
            ignores_old_reports,
            audits_card_payments,
        ] $($with)+ }
    };
}

const DECLINED: Outcome = Outcome::Failed(FailureReason::Declined);

pub(crate) fn plan_for(user: UserId, purpose: Purpose, amount: Money, revision: u32, at: Timestamp) -> CardPlan {
    CardPlan {
        payment: id(),
        user,
        purpose,
        amount,
        attempt: id(),
        method: MethodToken::parse("card").expect("a token"),
        token: None,
        revision,
        at,
        lease_until: at + Duration::from_secs(30),
    }
}

/// An attempt to pay this hold by card.
pub(crate) fn plan(hold: &Reservation, at: Timestamp) -> CardPlan {
    let purpose = Purpose::Seats { reservation: hold.id, performance: hold.performance };
    plan_for(hold.user, purpose, hold.total, hold.revision, at)
}

pub(crate) fn change(what: Change, at: Timestamp) -> CardChange {
    let transfers = [(); 2].map(|()| TransferIds { transfer: id(), wallet_entry: id(), counter_entry: id() });
    CardChange { what, at, ids: CardChangeIds { refund: id(), transfers } }
}

pub(crate) fn report(reports: &[(Step, Outcome)], at: Timestamp) -> CardChange {
    change(Change::Report(reports.to_vec()), at)
}

impl RecordBench {
    pub(crate) async fn start(&self, plan: &CardPlan) -> CardPayment {
        let started = self.card_payments.start(plan.clone(), request(plan.user)).await;
        made(started).0
    }

    async fn apply(&self, card: &CardPayment, change: CardChange) -> (CardPayment, CardEffects) {
        self.card_payments.apply(card.id, change, TakeUp::Due(None)).await.expect("the store answers")
    }

    pub(crate) async fn reported(&self, card: &CardPayment, reports: &[(Step, Outcome)], at: Timestamp) -> CardEffects {
        self.apply(card, report(reports, at)).await.1
    }

    /// A fan with a live hold on these seats of a new sale.
    async fn live(&self, seats: &[usize]) -> Reservation {
        let hold = hold(self.sign_up().await, &self.open_sale().await, seats);
        self.place(&hold).await;
        hold
    }

    /// A hold that is being paid, with its authorized payment.
    pub(crate) async fn authorized(&self, seats: &[usize]) -> (Reservation, CardPayment) {
        let hold = self.live(seats).await;
        let card = self.start(&plan(&hold, at_secs(1))).await;
        self.reported(&card, &[(Step::Authorize, Outcome::Succeeded)], at_secs(2)).await;
        (hold, card)
    }

    /// A reservation that was paid by card, and its payment.
    pub(crate) async fn charged(&self, seats: &[usize]) -> (Reservation, CardPayment) {
        let (hold, card) = self.authorized(seats).await;
        self.apply(&card, change(Change::Confirm, at_secs(3))).await;
        self.reported(&card, &[(Step::Capture, Outcome::Succeeded)], at_secs(4)).await;
        (self.stored(&hold).await.expect("a reservation"), self.card(card.id).await)
    }

    pub(crate) async fn card(&self, id: PaymentId) -> CardPayment {
        self.card_payments.find(id).await.expect("the store answers").expect("a payment")
    }

    async fn kinds(&self, user: UserId) -> Vec<(TransferKind, i64, i64)> {
        let first = encore_domain::page::PageRequest::first(100);
        let entries = self.wallets.entries(user, first).await.expect("the store answers").items;
        entries.iter().rev().map(|it| (it.kind, it.amount.minor, it.balance_after_minor)).collect()
    }
}

pub async fn starts_a_payment(bench: RecordBench) {
    let hold = bench.live(&[0, 1]).await;
    let plan = plan(&hold, at_secs(1));
    let (card, paying) = made(bench.card_payments.start(plan.clone(), request(hold.user)).await);
    let bound = hold.expires_at.max(at_secs(1) + PAYING_FOR);
    let expected = Reservation { state: ReservationState::Paying, expires_at: bound, revision: 1, ..hold.clone() };
    assert_eq!(paying.as_ref(), Some(&expected));
    assert_eq!(bench.stored(&hold).await, Some(expected));
    let claims = bench.reservations.claims(hold.performance).await.expect("the store answers");
    assert_eq!(
        claims,
        hold.slots().into_iter().map(|slot| Claim::held(slot, hold.id, hold.user, bound)).collect::<Vec<_>>()
    );
    assert_eq!((card.id, card.amount, card.attempts.len()), (plan.payment, hold.total, 1));
    assert_eq!((card.latest().authorize, card.state()), (Progress::Requested, PaymentState::Processing));
    assert_eq!(bench.card(card.id).await, card);
    let kinds: Vec<String> = bench.events().await.into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, ["booking.hold_placed", "booking.hold_changed"]);
}

pub async fn a_paying_hold_is_left_alone(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let hold = hold(bench.sign_up().await, &sale, &[0]);
    bench.place(&hold).await;
    bench.top_up(hold.user, euros(50_000)).await;
    let card = bench.start(&plan(&hold, at_secs(1))).await;
    let paying = bench.stored(&hold).await.expect("a reservation");
    let state = ReservationState::Paying;

    let far = at_secs(10_000_000);
    assert_eq!(bench.reservations.expire_due(far, 100).await.expect("the store answers"), []);
    let released = bench.reservations.release(hold.id, at_secs(2), None).await;
    assert_eq!(refused(released), ReleaseRefusal::NotHeld { state });
    let extension = Extension { hold_for: sale.hold_for, starts_at: sale.starts_at, token_until: None };
    let extended = bench.reservations.extend(hold.id, extension, at_secs(2), request(hold.user)).await;
    assert_eq!(refused(extended), ExtendRefusal::NotHeld { state });
    let paid = bench.payments.pay_from_wallet(payment(&paying, at_secs(2)), request(hold.user)).await;
    assert_eq!(refused(paid), PayRefusal::NotHeld { state });
    let again = bench.card_payments.start(plan(&paying, at_secs(2)), request(hold.user)).await;
    assert_eq!(refused(again), PayRefusal::NotHeld { state });

    let token = QueueTokenPayload {
        performance: sale.id,
        user: hold.user,
        epoch: 1,
        lane: 0,
        index: 1,
        issued_at: start(),
        needs_accessible: false,
        admitted_until: None,
    };
    let other = Reservation { id: id(), ..crate::fixtures::hold(hold.user, &sale, &[2]) };
    bench.place(&other).await;
    let mut paying_other = payment(&other, at_secs(2));
    paying_other.payload = Some(token);
    let paid = made(bench.payments.pay_from_wallet(paying_other, request(hold.user)).await);
    assert_eq!(paid.ended_token, None, "the card may be refused, and then the fan needs the token");
    assert_eq!(bench.reservations.leave(token, at_secs(3)).await.expect("the store answers"), []);
    assert_eq!(bench.stored(&hold).await, Some(paying));
    assert_eq!(bench.card(card.id).await, card);
}

pub async fn starts_only_on_a_live_hold(bench: RecordBench) {
    let hold = bench.live(&[0, 1]).await;
    let before = (bench.stored(&hold).await, bench.events().await);
    let stale = CardPlan { revision: 7, ..plan(&hold, at_secs(1)) };
    let refusal = refused(bench.card_payments.start(stale, request(hold.user)).await);
    assert_eq!(refusal, PayRefusal::HoldChanged);
    let late = plan(&hold, hold.expires_at);
    let refusal = refused(bench.card_payments.start(late, request(hold.user)).await);
    assert_eq!(refusal, PayRefusal::HoldExpired { expired_at: hold.expires_at });
    assert_eq!((bench.stored(&hold).await, bench.events().await), before);
    made(bench.reservations.release(hold.id, at_secs(1), None).await);
    let released = plan(&hold, at_secs(2));
    let refusal = refused(bench.card_payments.start(released.clone(), request(hold.user)).await);
    assert_eq!(refusal, PayRefusal::NotHeld { state: ReservationState::Released });
    assert_eq!(bench.card_payments.find(released.payment).await.expect("the store answers"), None);
}

pub async fn starts_once_under_contention(bench: RecordBench) {
    let hold = bench.live(&[0]).await;
    let answers = at_once((0..TWENTY).map(|_| {
        let (cards, plan, request) = (Arc::clone(&bench.card_payments), plan(&hold, at_secs(1)), request(hold.user));
        async move { cards.start(plan, request).await }
    }))
    .await;
    let (made, refusals) = made_and_refused(answers);
    assert_eq!((made.len(), refusals.len()), (1, TWENTY - 1));
    let is_known = |refusal: &PayRefusal| {
        matches!(refusal, PayRefusal::NotHeld { state: ReservationState::Paying } | PayRefusal::HoldChanged)
    };
    assert!(refusals.iter().all(is_known), "{refusals:?}");
}

pub async fn repeats_a_start(bench: RecordBench) {
    let hold = bench.live(&[0]).await;
    let key = request(hold.user);
    let (card, _) = made(bench.card_payments.start(plan(&hold, at_secs(1)), key).await);
    let again = repeated(bench.card_payments.start(plan(&hold, at_secs(2)), key).await);
    assert_eq!(again, (card.clone(), None));
    bench.reported(&card, &[(Step::Authorize, Outcome::Succeeded)], at_secs(3)).await;
    let now = bench.card(card.id).await;
    let found = bench.card_payments.find_started(key).await.expect("the store answers");
    assert_eq!(found, Some(now));
    assert_eq!(bench.card_payments.find_started(request(hold.user)).await.expect("the store answers"), None);
}

pub async fn refuses_a_reused_request(bench: RecordBench) {
    let hold = bench.live(&[0]).await;
    let key = request(hold.user);
    made(bench.card_payments.start(plan(&hold, at_secs(1)), key).await);
    assert_reused(&bench.card_payments.start(plan(&hold, at_secs(1)), altered(key)).await);
    assert_reused(&bench.card_payments.find_started(altered(key)).await);
}

pub async fn confirms_a_payment(bench: RecordBench) {
    let (hold, card) = bench.authorized(&[0, 13]).await;
    bench.top_up(hold.user, euros(500)).await;
    let (after, effects) = bench.apply(&card, change(Change::Confirm, at_secs(3))).await;
    let sold = bench.stored(&hold).await.expect("a reservation");
    assert_eq!((sold.state, sold.payment), (ReservationState::Confirmed, Some(card.id)));
    assert_eq!(sold.settled_at, Some(at_secs(3)));
    assert_eq!(effects.seats, Some(SeatsChange::Sold(sold.clone())));
    assert_eq!((after.state(), after.paid_at()), (PaymentState::Paid, Some(at_secs(3))));
    let claims = bench.reservations.claims(hold.performance).await.expect("the store answers");
    assert_eq!(claims, hold.slots().into_iter().map(|slot| Claim::sold(slot, hold.id, hold.user)).collect::<Vec<_>>());
    let (charge, pay) = (TransferKind::Charge, TransferKind::Payment);
    let expected = [(TransferKind::TopUp, 500, 500), (charge, 19_500, 20_000), (pay, -19_500, 500)];
    assert_eq!(bench.kinds(hold.user).await, expected);
    let pending = bench.payments.pending(hold.performance, at_secs(3), 10).await.expect("the store answers");
    assert_eq!(pending.iter().map(|it| it.payment).collect::<Vec<_>>(), [card.id]);
    let paid = bench.payments.find(card.id).await.expect("the store answers");
    assert_eq!(paid, Some(FanPayment::Card(bench.card(card.id).await)));
    assert_eq!(bench.events().await.last().map(|(_, kind, _)| kind.as_str()), Some("booking.reservation_confirmed"));
}

pub async fn confirms_once_under_contention(bench: RecordBench) {
    let (hold, card) = bench.authorized(&[0]).await;
    let answers = at_once((0..TWENTY).map(|_| {
        let (cards, id, change) = (Arc::clone(&bench.card_payments), card.id, change(Change::Confirm, at_secs(3)));
        async move { cards.apply(id, change, TakeUp::Due(None)).await.expect("the store answers").1 }
    }))
    .await;
    assert_eq!(answers.iter().filter(|effects| effects.paid.is_some()).count(), 1);
    assert_eq!(bench.balances(hold.user).await, [euros(0)]);
    assert_eq!(bench.kinds(hold.user).await.len(), 2);
}

pub async fn expires_at_the_bound(bench: RecordBench) {
    let hold = bench.live(&[0]).await;
    let card = bench.start(&plan(&hold, at_secs(1))).await;
    bench.reported(&card, &[(Step::Authorize, Outcome::Unknown)], at_secs(2)).await;
    let bound = card.attempts[0].bound;
    let (after, effects) = bench.apply(&card, change(Change::Expire, bound)).await;
    assert!(matches!(effects.seats, Some(SeatsChange::Expired(_))), "{effects:?}");
    assert_eq!(bench.stored(&hold).await.map(|it| it.state), Some(ReservationState::Expired));
    assert_eq!(bench.reservations.claims(hold.performance).await.expect("the store answers"), []);
    assert_eq!(after.state(), PaymentState::Processing, "the gateway may still take the money");
    let other = Reservation { id: id(), user: bench.sign_up().await, ..hold };
    made(bench.reservations.place(other.clone(), 1, None, request(other.user)).await);
}

/// A payment whose authorization succeeds after its hold has expired.
async fn late(bench: &RecordBench) -> (Reservation, CardPayment) {
    let hold = bench.live(&[0, 1]).await;
    let card = bench.start(&plan(&hold, at_secs(1))).await;
    let bound = card.attempts[0].bound;
    bench.apply(&card, change(Change::Expire, bound)).await;
    bench.reported(&card, &[(Step::Authorize, Outcome::Succeeded)], bound + Duration::from_secs(1)).await;
    (hold, card)
}

pub async fn sells_late_if_the_seats_are_free(bench: RecordBench) {
    let (hold, card) = late(&bench).await;
    let at = card.attempts[0].bound + Duration::from_secs(2);
    let (after, effects) = bench.apply(&card, change(Change::Confirm, at)).await;
    assert!(matches!(effects.seats, Some(SeatsChange::SoldAgain(_))), "{effects:?}");
    assert_eq!(after.state(), PaymentState::Paid);
    assert_eq!(bench.stored(&hold).await.map(|it| it.state), Some(ReservationState::Confirmed));
    let claims = bench.reservations.claims(hold.performance).await.expect("the store answers");
    assert_eq!(claims, hold.slots().into_iter().map(|slot| Claim::sold(slot, hold.id, hold.user)).collect::<Vec<_>>());
    bench.reported(&card, &[(Step::Capture, Outcome::Succeeded)], at).await;
    bench.assert_audited(&hold).await;
}

pub async fn credits_a_top_up_that_was_captured(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let card = bench.start(&plan_for(fan, Purpose::TopUp, euros(700), 0, at_secs(1))).await;
    bench.reported(&card, &[(Step::Authorize, Outcome::Succeeded)], at_secs(2)).await;
    bench.reported(&card, &[(Step::Capture, Outcome::Succeeded)], at_secs(3)).await;
    assert_eq!(bench.balances(fan).await, []);
    let charged = async || bench.wallets.find_charged(fan, card.id).await.expect("the store answers");
    assert_eq!(charged().await, None);
    for _ in 0..2 {
        bench.apply(&card, change(Change::Confirm, at_secs(4))).await;
        assert_eq!(bench.balances(fan).await, [euros(700)]);
    }
    let kinds: Vec<String> = bench.events().await.into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, ["payment.authorized", "payment.captured", "wallet.topped_up"]);
    let entry = charged().await.expect("an entry");
    assert_eq!((entry.kind, entry.amount, entry.payment), (TransferKind::TopUp, euros(700), Some(card.id)));
    assert_eq!(bench.card(card.id).await.state(), PaymentState::Paid);
    let report = bench.audit.sweep(None).await.expect("the store answers");
    assert!(report.is_clean(), "{:?}", report.findings().collect::<Vec<_>>());
}

pub async fn ignores_old_reports(bench: RecordBench) {
    let (hold, card) = bench.charged(&[0]).await;
    let before = (bench.stored(&hold).await, bench.card(card.id).await, bench.events().await);
    let old = [
        (Step::Authorize, Outcome::Unknown),
        (Step::Authorize, DECLINED),
        (Step::Void, Outcome::Requested),
        (Step::Capture, DECLINED),
        (Step::Refund(id()), Outcome::Succeeded),
    ];
    for what in [Change::Report(old.to_vec()), Change::Expire, Change::Confirm, Change::Revoke] {
        assert_eq!(bench.apply(&card, change(what, at_secs(99))).await.1, CardEffects::default());
    }
    assert_eq!((bench.stored(&hold).await, bench.card(card.id).await, bench.events().await), before);
}

pub async fn audits_card_payments(bench: RecordBench) {
    let hold = bench.live(&[0]).await;
    let card = bench.start(&plan(&hold, at_secs(1))).await;
    bench.assert_audited(&hold).await;
    bench.reported(&card, &[(Step::Authorize, DECLINED)], at_secs(2)).await;
    bench.assert_audited(&hold).await;
    let (sold, _) = bench.charged(&[1, 2]).await;
    bench.assert_audited(&sold).await;
}
