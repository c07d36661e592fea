//! A new attempt to pay by card, as it is planned before a store begins it.

use crate::booking::{Reservation, ReservationState};
use crate::ids::{AttemptId, PaymentId, RequestId, UserId};
use crate::money::Money;
use crate::payment::attempt::{AttemptEvent, Outcome, Step};
use crate::payment::card::{Attempt, CardPayment, PAYING_FOR, Purpose};
use crate::payment::gateway::MethodToken;
use crate::queue::QueueTokenPayload;
use crate::time::Timestamp;

/// A new attempt to pay by card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardPlan {
    /// The id of the payment, if this is its first attempt.
    pub payment: PaymentId,
    /// Who pays.
    pub user: UserId,
    /// What for.
    pub purpose: Purpose,
    /// How much. For seats, the total of the hold.
    pub amount: Money,
    /// The id of the attempt.
    pub attempt: AttemptId,
    /// What is charged.
    pub method: MethodToken,
    /// The queue token with which the fan pays.
    pub token: Option<QueueTokenPayload>,
    /// The revision of the hold for which it was planned.
    pub revision: u32,
    /// When.
    pub at: Timestamp,
    /// Until when this instance drives it. Then any instance takes it up.
    pub lease_until: Timestamp,
}

impl CardPlan {
    /// The attempt that a request begins, given the deadline of the hold. The bound is later than any deadline that the fan had.
    pub fn attempt(&self, hold_until: Timestamp, request: RequestId) -> Attempt {
        let requested = AttemptEvent { step: Step::Authorize, outcome: Outcome::Requested, at: self.at };
        Attempt {
            id: self.attempt,
            method: self.method.clone(),
            made_at: self.at,
            hold_until,
            bound: hold_until.max(self.at + PAYING_FOR),
            token: self.token,
            request: Some(request),
            events: vec![requested],
        }
    }

    /// The hold while it is being paid.
    pub fn paying(&self, hold: &Reservation, attempt: &Attempt) -> Reservation {
        Reservation {
            state: ReservationState::Paying,
            expires_at: attempt.bound,
            revision: hold.revision + 1,
            ..hold.clone()
        }
    }

    /// The payment with its first attempt.
    pub fn first(&self, attempt: Attempt) -> CardPayment {
        CardPayment {
            id: self.payment,
            user: self.user,
            purpose: self.purpose,
            amount: self.amount,
            made_at: self.at,
            attempts: vec![attempt],
            refunds: Vec::new(),
            tries: 0,
        }
    }
}
