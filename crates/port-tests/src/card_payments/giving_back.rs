use std::time::Duration;

use encore_domain::booking::{Claim, Reservation, ReservationState};
use encore_domain::catalog::SEATS_PER_FAN_MAX;
use encore_domain::payment::attempt::{Outcome, Progress, Step};
use encore_domain::payment::card::{NextStep, PaymentState};
use encore_domain::payment::card_change::{CardEffects, Change, SeatsChange};
use encore_domain::payment::gateway::{ChargeStatus, FailureReason, GatewayView};
use encore_domain::payment::reconciliation::difference;
use encore_domain::wallet::TransferKind;

use super::{DECLINED, change, late, plan};
use crate::RecordBench;
use crate::answers::{made, repeated};
use crate::fixtures::{at_secs, euros, hold, id, request};

pub async fn gives_a_refused_card_s_hold_back(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let hold = hold(bench.sign_up().await, &sale, &[0]);
    let placing = bench.place(&hold).await;
    let card = bench.start(&plan(&hold, at_secs(1))).await;
    let effects = bench.reported(&card, &[(Step::Authorize, DECLINED)], at_secs(2)).await;
    let held = Reservation { revision: 2, ..hold.clone() };
    assert_eq!(effects.seats, Some(SeatsChange::HeldAgain(held.clone())));
    assert_eq!(bench.stored(&hold).await, Some(held.clone()));
    let refused = bench.card(card.id).await;
    assert_eq!((refused.state(), refused.failure()), (PaymentState::Failed, Some(FailureReason::Declined)));
    let again = bench.reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, placing).await;
    assert_eq!(repeated(again), hold);

    let second = bench.start(&plan(&held, at_secs(3))).await;
    assert_eq!((second.id, second.attempts.len()), (card.id, 2));
    assert_ne!(second.attempts[0].id, second.attempts[1].id);
    assert_eq!((second.state(), second.failure()), (PaymentState::Processing, None));
    bench.reported(&second, &[(Step::Authorize, DECLINED)], at_secs(4)).await;
    let expired = bench.reservations.expire_due(hold.expires_at, 100).await.expect("the store answers");
    assert_eq!(expired.len(), 1, "its own deadline counts again");
}

pub async fn gives_up_if_the_seats_are_taken(bench: RecordBench) {
    let (hold, card) = late(&bench).await;
    let other = Reservation { seats: hold.seats[..1].to_vec(), id: id(), user: bench.sign_up().await, ..hold.clone() };
    let other = Reservation { total: euros(12_000), ..other };
    bench.place(&other).await;
    let at = card.attempts[0].bound + Duration::from_secs(2);
    let (after, effects) = bench.apply(&card, change(Change::Confirm, at)).await;
    assert_eq!((effects.seats, effects.paid), (None, None));
    assert_eq!(after.latest().void, Progress::Requested);
    let claims = bench.reservations.claims(hold.performance).await.expect("the store answers");
    assert_eq!(claims, [Claim::held(other.slots()[0], other.id, other.user, other.expires_at)]);
    bench.reported(&card, &[(Step::Void, Outcome::Succeeded)], at).await;
    // Sweeps end the hold of the other fan, whose deadline has passed too.
    let expire = async || bench.reservations.expire_due(at, 100).await.expect("the store answers").len();
    assert_eq!(expire().await, 1);
    bench.assert_audited(&hold).await;

    // A gateway that takes the money at once has to give it back.
    let (hold, card) = late(&bench).await;
    bench.place(&Reservation { id: id(), user: bench.sign_up().await, ..hold.clone() }).await;
    bench.reported(&card, &[(Step::Capture, Outcome::Succeeded)], at).await;
    let (after, effects) = bench.apply(&card, change(Change::Confirm, at)).await;
    let refund = effects.refund.expect("a refund");
    assert_eq!((refund.amount(), after.latest().refunds.len()), (hold.total, 1));
    bench.apply(&card, change(Change::Confirm, at)).await;
    let (charge, back) = (TransferKind::Charge, TransferKind::CardRefund);
    assert_eq!(bench.kinds(hold.user).await, [(charge, 24_000, 24_000), (back, -24_000, 0)]);
    bench.reported(&card, &[(Step::Refund(refund.id), Outcome::Succeeded)], at).await;
    assert_eq!(expire().await, 1);
    bench.assert_audited(&hold).await;
}

pub async fn revokes_what_was_never_taken(bench: RecordBench) {
    let (hold, card) = bench.authorized(&[0]).await;
    bench.apply(&card, change(Change::Confirm, at_secs(3))).await;
    let refused = Outcome::Failed(FailureReason::CaptureRefused);
    bench.reported(&card, &[(Step::Capture, refused)], at_secs(4)).await;
    let (after, effects) = bench.apply(&card, change(Change::Revoke, at_secs(5))).await;
    assert!(matches!(effects.seats, Some(SeatsChange::Cancelled(_))), "{effects:?}");
    assert_eq!(after.state(), PaymentState::Refunded);
    assert_eq!(bench.stored(&hold).await.map(|it| it.state), Some(ReservationState::Cancelled));
    assert_eq!(bench.reservations.claims(hold.performance).await.expect("the store answers"), []);
    assert_eq!(bench.balances(hold.user).await, [euros(0)]);
    let (_, again) = bench.apply(&card, change(Change::Revoke, at_secs(6))).await;
    assert_eq!(again, CardEffects::default());
    bench.assert_audited(&hold).await;
}

pub async fn refunds_a_card(bench: RecordBench) {
    let (bought, card) = bench.charged(&[0, 1]).await;
    let some = crate::refunds::plan(&bought, &bought.slots()[..1], at_secs(5));
    let refund = made(bench.cancel(&some, request(bought.user)).await).refund;
    assert!(refund.to_card);
    assert_eq!(bench.balances(bought.user).await, [euros(0)]);
    let due = bench.card_payments.take_due(at_secs(5), at_secs(35), 10).await.expect("the store answers");
    assert_eq!(due.iter().map(|card| card.latest().open_refund()).collect::<Vec<_>>(), [Some(refund.id)]);
    assert_eq!(bench.card(card.id).await.state(), PaymentState::PartlyRefunded);
    let step = Step::Refund(refund.id);
    bench.reported(&card, &[(step, Outcome::Succeeded)], at_secs(6)).await;
    bench.assert_audited(&bought).await;
    for _ in 0..2 {
        bench.reported(&card, &[(step, Outcome::Failed(FailureReason::RefundRefused))], at_secs(7)).await;
        assert_eq!(bench.balances(bought.user).await, [euros(12_000)]);
    }
    bench.assert_audited(&bought).await;
    let rest = made(bench.cancel(&crate::refunds::plan(&bought, &[], at_secs(8)), request(bought.user)).await).refund;
    bench.reported(&card, &[(Step::Refund(rest.id), Outcome::Succeeded)], at_secs(9)).await;
    assert_eq!(bench.balances(bought.user).await, [euros(12_000)]);
    assert_eq!(bench.card(card.id).await.state(), PaymentState::Refunded);
    bench.assert_audited(&bought).await;

    // Of refunds that come back at once, a change credits two. The others are reported again.
    let (bought, card) = bench.charged(&[2, 3, 4]).await;
    let mut failed = Vec::new();
    for slot in bought.slots() {
        let one = crate::refunds::plan(&bought, &[slot], at_secs(10));
        let refund = made(bench.cancel(&one, request(bought.user)).await).refund;
        failed.push((Step::Refund(refund.id), Outcome::Failed(FailureReason::RefundRefused)));
    }
    for credited in [24_000, 36_000, 36_000] {
        bench.reported(&card, &failed, at_secs(11)).await;
        assert_eq!(bench.balances(bought.user).await, [euros(credited)]);
    }
    bench.assert_audited(&bought).await;
}

pub async fn gives_back_once_after_a_lost_dispute(bench: RecordBench) {
    let (bought, card) = bench.charged(&[0, 1]).await;
    let next = async |at| bench.card(card.id).await.next_step(at_secs(at));
    bench.reported(&card, &[(Step::Dispute, Outcome::Requested), (Step::Dispute, Outcome::Unknown)], at_secs(5)).await;
    let some = crate::refunds::plan(&bought, &bought.slots()[..1], at_secs(6));
    let waiting = made(bench.cancel(&some, request(bought.user)).await).refund;
    assert_eq!(next(7).await, NextStep::AskDispute, "its money may be taken by the bank");
    bench.reported(&card, &[(Step::Dispute, Outcome::Succeeded)], at_secs(8)).await;
    let rest = made(bench.cancel(&crate::refunds::plan(&bought, &[], at_secs(9)), request(bought.user)).await).refund;
    for refund in [waiting.id, rest.id] {
        assert_eq!(next(10).await, NextStep::CloseRefund(refund));
        let step = Step::Refund(refund);
        bench.reported(&card, &[(step, Outcome::Succeeded)], at_secs(10)).await;
        let failed = Outcome::Failed(FailureReason::RefundRefused);
        assert_eq!(bench.reported(&card, &[(step, failed)], at_secs(11)).await, CardEffects::default());
    }
    assert_eq!(next(12).await, NextStep::Done);
    assert_eq!(bench.balances(bought.user).await, [euros(0)]);
    assert_eq!(bench.card(card.id).await.state(), PaymentState::Refunded);
    let compared = bench.reconciliations.unreconciled(at_secs(1_000), 10).await.expect("the store answers");
    let untouched = GatewayView::of(ChargeStatus::Captured);
    let found: Vec<_> = compared.iter().map(|it| difference(&it.state, Some(&untouched))).collect();
    assert_eq!(found, [None]);
    bench.assert_audited(&bought).await;
}
