use std::sync::Arc;

use encore_domain::booking::Reservation;
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::ids::UserId;
use encore_domain::payment::{Paid, PaymentPlan};
use encore_domain::ports::PlaceRefusal;
use encore_domain::queue::{EndReason, QueueTokenPayload};
use encore_domain::request::Applied;
use encore_domain::time::Timestamp;

use super::payload;
use crate::RecordBench;
use crate::answers::{made, refused};
use crate::contention::{at_once, meet};
use crate::fixtures::{at_secs, euros, hold, id, just_before, payment, request};

/// Enough rounds for the calls of a race to run in each order.
const RACES: u64 = 40;

fn with_token(hold: &Reservation, now: Timestamp, token: QueueTokenPayload) -> PaymentPlan {
    PaymentPlan { payload: Some(token), ..payment(hold, now) }
}

impl RecordBench {
    /// A fan with a full wallet, and a sale.
    async fn rich_fan(&self) -> (Performance, UserId) {
        let (sale, fan) = (self.open_sale().await, self.sign_up().await);
        self.top_up(fan, euros(100_000_000)).await;
        (sale, fan)
    }

    /// Another performance, whose seats are all free.
    pub(super) async fn copy_of(&self, sale: &Performance) -> Performance {
        let copy = Performance { id: id(), ..sale.clone() };
        made(self.catalog.add_performance(copy, None, None).await)
    }

    /// Pays a hold with a token. Returns whether the payment ended the token.
    async fn ends(&self, hold: &Reservation, now: Timestamp, token: QueueTokenPayload) -> bool {
        let Paid { payment, ended_token, .. } =
            made(self.try_pay(&with_token(hold, now, token), request(hold.user)).await);
        assert_eq!(ended_token.unwrap_or(token), token);
        let pending = self.pending(hold.performance, now, 100).await;
        let settlement = pending.iter().find(|settlement| settlement.payment == payment.id).expect("it is pending");
        assert_eq!(settlement.payload, ended_token.map(QueueTokenPayload::bare));
        assert_eq!(self.ended(token).await, ended_token.is_some());
        ended_token.is_some()
    }
}

pub async fn ends_the_token_with_the_last_hold(bench: RecordBench) {
    let (sale, fan) = bench.rich_fan().await;
    let (other_sale, other_fan) = bench.rich_fan().await;
    // Holds of another performance and of another fan do not count.
    bench.place(&hold(fan, &other_sale, &[0])).await;
    bench.place(&hold(other_fan, &sale, &[20])).await;
    let [first, second, released, expired] = [0, 1, 2, 3].map(|seat| hold(fan, &sale, &[seat]));
    let expired = Reservation { expires_at: at_secs(5), ..expired };
    for hold in [&first, &second, &released, &expired] {
        bench.place(hold).await;
    }
    let token = payload(sale.id, fan, 0, 7);
    assert!(!bench.ends(&first, just_before(at_secs(5)), token).await, "three live holds are left");
    made(bench.reservations.release(released.id, at_secs(4), None).await);
    assert!(bench.ends(&second, at_secs(5), token).await, "one is released, and the deadline of one has passed");

    let token = payload(sale.id, fan, 0, 8);
    let [first, second] = [4, 5].map(|seat| hold(fan, &sale, &[seat]));
    bench.place(&first).await;
    bench.place(&second).await;
    assert!(!bench.ends(&first, at_secs(6), token).await);
    made(bench.reservations.release(second.id, at_secs(7), None).await);
    assert!(!bench.ended(token).await, "a release does not end the token");
}

pub async fn ends_the_token_under_contention(bench: RecordBench) {
    let (sale, fan) = bench.rich_fan().await;
    for round in 0..RACES {
        let matinee = bench.copy_of(&sale).await;
        let holds: Vec<Reservation> = (0..4).map(|seat| hold(fan, &matinee, &[seat])).collect();
        for hold in &holds {
            bench.place(hold).await;
        }
        let token = payload(matinee.id, fan, 0, 1 + round);
        let answers = at_once(holds.iter().map(|hold| {
            let (payments, plan) = (Arc::clone(&bench.payments), with_token(hold, at_secs(1), token));
            async move { payments.pay_from_wallet(plan, request(fan)).await }
        }))
        .await;
        let ended: Vec<QueueTokenPayload> = answers.into_iter().filter_map(|answer| made(answer).ended_token).collect();
        assert_eq!(ended, [token], "round {round}");
        assert!(bench.ended(token).await);
    }
}

pub async fn payment_and_hold_exclude_each_other(bench: RecordBench) {
    let (sale, fan) = bench.rich_fan().await;
    let (mut placed, mut refusals) = (0, 0);
    for round in 0..RACES {
        let matinee = bench.copy_of(&sale).await;
        let (last, next) = (hold(fan, &matinee, &[0]), hold(fan, &matinee, &[1]));
        bench.place(&last).await;
        let token = payload(matinee.id, fan, 0, 1 + round);
        let (payments, reservations) = (Arc::clone(&bench.payments), Arc::clone(&bench.reservations));
        let (plan, wanted) = (with_token(&last, at_secs(1), token), next.clone());
        let paying = async move { payments.pay_from_wallet(plan, request(fan)).await };
        let holding = async move { reservations.place(wanted, SEATS_PER_FAN_MAX, Some(token), request(fan)).await };
        let (paid, held) = meet(paying, holding, round % 2 == 0).await;

        let ended = made(paid).ended_token.is_some();
        assert_eq!(bench.ended(token).await, ended, "round {round}");
        if let Ok(Applied::Now(_)) = &held {
            assert!(!ended, "round {round}: a hold that cannot be paid");
            placed += 1;
            assert!(bench.ends(&next, at_secs(2), token).await);
        } else {
            assert_eq!(refused(held), PlaceRefusal::TokenEnded(EndReason::Used));
            assert!(ended, "round {round}: a refusal although the token has not ended");
            refusals += 1;
        }
    }
    assert_eq!(placed + refusals, RACES);
}
