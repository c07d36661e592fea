//! The cases of [`Payments`](encore_domain::ports::Payments).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::convert::Infallible;

use encore_domain::booking::{Claim, Reservation, ReservationState};
use encore_domain::error::RequestError;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::money::Money;
use encore_domain::payment::fan_payment::FanPayment;
use encore_domain::payment::{Paid, PayRefusal, Payment, PaymentPlan, Settlement};
use encore_domain::queue::{EndedToken, QueueTokenPayload};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use encore_domain::wallet::WalletEntry;

use crate::RecordBench;
use crate::answers::refused;
use crate::bench::EventIdentity;
use crate::fixtures::{at_secs, hold, payment, request, start};
use crate::paging::read_all;

mod once;
mod paying;
mod remembering;
mod together;
mod token_ends;

pub use once::*;
pub use paying::*;
pub use remembering::*;
pub use together::*;
pub use token_ends::*;

/// Stamps the cases of the port `Payments`.
#[macro_export]
macro_rules! payments {
    ($($with:tt)+) => {
        $crate::suite! { payments [
            pays_from_the_wallet,
            pays_what_is_free,
            refuses_an_insufficient_balance,
            refuses_without_a_wallet,
            refuses_an_expired_hold,
            refuses_what_is_not_held,
            refuses_what_was_changed,
            repeats_a_payment,
            repeats_a_payment_under_contention,
            pays_once_under_contention,
            never_overdraws_under_contention,
            finds_a_payment_by_its_request,
            refuses_a_reused_request,
            payment_and_expiry_exclude_each_other,
            lists_newest_first,
            lists_payments_by_card_among_them,
            tells_what_became_of_a_payment,
            remembers_used_payloads,
            remembers_what_to_propagate,
            keeps_pending_performances_apart,
            ends_the_token_with_the_last_hold,
            ends_the_token_under_contention,
            payment_and_hold_exclude_each_other,
            decides_each_of_those_together,
            pays_as_often_as_the_wallet_allows,
        ] $($with)+ }
    };
}

/// Enough rounds for a payment and a sweep to run in either order.
const ROUNDS: usize = 10;

/// Everything that a payment can change.
#[derive(Debug, PartialEq)]
struct Audit {
    reservation: Option<Reservation>,
    claims: Vec<Claim>,
    balances: Vec<Money>,
    entries: Vec<WalletEntry>,
    payments: Vec<Payment>,
    pending: Vec<Settlement>,
    events: Vec<EventIdentity>,
}

impl RecordBench {
    async fn try_pay(
        &self,
        plan: &PaymentPlan,
        request: RequestKey,
    ) -> Result<Applied<Paid>, RequestError<PayRefusal>> {
        self.payments.pay_from_wallet(plan.clone(), request).await
    }

    /// The same without the queue token that the payment ended.
    async fn pay(&self, plan: &PaymentPlan, request: RequestKey) -> Result<Applied<Payment>, RequestError<PayRefusal>> {
        Ok(match self.try_pay(plan, request).await? {
            Applied::Now(paid) => Applied::Now(paid.payment),
            Applied::Before(paid) => Applied::Before(paid.payment),
        })
    }

    async fn find_paid(&self, request: RequestKey) -> Result<Option<Payment>, RequestError<Infallible>> {
        Ok(self.payments.find_paid(request).await?.map(|paid| paid.payment))
    }

    async fn all_payments_of(&self, user: UserId, page_size: u32) -> Vec<FanPayment> {
        read_all(page_size, |page| self.payments.list(user, page)).await
    }

    /// The payments of a fan who pays from the wallet only.
    async fn payments_of(&self, user: UserId, page_size: u32) -> Vec<Payment> {
        self.all_payments_of(user, page_size).await.into_iter().map(from_wallet).collect()
    }

    async fn pending(&self, performance: PerformanceId, before: Timestamp, limit: u32) -> Vec<Settlement> {
        self.payments.pending(performance, before, limit).await.expect("the store answers")
    }

    /// The ended queue tokens of a queue, in order.
    async fn ended_queue_tokens(&self, performance: PerformanceId, epoch: i64) -> Vec<EndedToken> {
        let mut ended = self.queue_records.ended(performance, epoch).await.expect("the store answers");
        ended.sort_by_key(|token| (token.lane, token.index));
        ended
    }

    async fn ended(&self, payload: QueueTokenPayload) -> bool {
        self.queue_records.find_ended(&payload).await.expect("the store answers").is_some()
    }

    async fn audit(&self, hold: &Reservation) -> Audit {
        Audit {
            reservation: self.stored(hold).await,
            claims: self.claims(hold.performance).await,
            balances: self.balances(hold.user).await,
            entries: self.entries(hold.user).await,
            payments: self.payments_of(hold.user, 100).await,
            pending: self.pending(hold.performance, at_secs(1_000_000), 100).await,
            events: self.events().await,
        }
    }

    /// Makes a payment that must be refused, and checks that it changed nothing.
    async fn refused_payment(&self, hold: &Reservation, now: Timestamp) -> PayRefusal {
        let before = self.audit(hold).await;
        let plan = payment(hold, now);
        let refusal = refused(self.pay(&plan, request(hold.user)).await);
        assert_eq!(self.audit(hold).await, before);
        assert_eq!(self.ledger_entries(plan.transfer.id).await, []);
        assert_eq!(self.payments.find(plan.payment.id).await.expect("the store answers"), None);
        refusal
    }

    /// A fan with a hold on seats of a new sale.
    async fn held(&self, seats: &[usize]) -> Reservation {
        let hold = hold(self.sign_up().await, &self.open_sale().await, seats);
        self.place(&hold).await;
        hold
    }
}

/// The payload of a queue token, in the epoch that these cases use.
fn payload(performance: PerformanceId, user: UserId, lane: u8, index: u64) -> QueueTokenPayload {
    QueueTokenPayload {
        performance,
        user,
        epoch: 1_780_308_000_123,
        lane,
        index,
        issued_at: start(),
        needs_accessible: false,
        admitted_until: None,
    }
}

/// A payment that was made from the wallet.
fn from_wallet(payment: FanPayment) -> Payment {
    match payment {
        FanPayment::Wallet(paid) => paid.payment,
        FanPayment::Card(card) => panic!("by card: {card:?}"),
    }
}

fn confirmed(hold: &Reservation, payment: &Payment) -> Reservation {
    Reservation {
        state: ReservationState::Confirmed,
        settled_at: Some(payment.paid_at),
        payment: Some(payment.id),
        ..hold.clone()
    }
}

fn sold(hold: &Reservation) -> Vec<Claim> {
    hold.slots().into_iter().map(|slot| Claim::sold(slot, hold.id, hold.user)).collect()
}
