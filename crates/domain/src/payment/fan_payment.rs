//! Payments as their fans see them: each with its state, how it came about, and what was given back.

use crate::ids::{PaymentId, PerformanceId, UserId};
use crate::money::Money;
use crate::payment::card::{CardPayment, PaymentState, Purpose};
use crate::payment::refund::Refund;
use crate::payment::{Paid, Payment};
use crate::time::Timestamp;

/// A payment from the wallet. It is its own and only attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidFromWallet {
    /// The payment.
    pub payment: Payment,
    /// The balance of the wallet right after it.
    pub balance_after: Money,
    /// What was given back of it, oldest first.
    pub refunds: Vec<Refund>,
}

impl From<Paid> for PaidFromWallet {
    /// The payment right after it was made.
    fn from(Paid { payment, balance_after, .. }: Paid) -> Self {
        Self { payment, balance_after, refunds: Vec::new() }
    }
}

impl PaidFromWallet {
    /// What was given back of it.
    pub fn refunded(&self) -> Money {
        let minor = self.refunds.iter().map(|refund| refund.amount().minor).sum();
        Money { minor, ..self.payment.amount }
    }

    /// The state, which follows from what was given back.
    pub fn state(&self) -> PaymentState {
        match self.refunded().minor {
            0 => PaymentState::Paid,
            refunded if refunded >= self.payment.amount.minor => PaymentState::Refunded,
            _ => PaymentState::PartlyRefunded,
        }
    }
}

/// The position in a listing of payments of many fans. The listing continues with those begun earlier, or at the same time with a lower id.
pub type FanPaymentCursor = (Timestamp, PaymentId);

/// A payment of a fan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FanPayment {
    /// From the wallet, of seats.
    Wallet(PaidFromWallet),
    /// By card, of seats or into the wallet; whether or not it was made.
    Card(CardPayment),
}

impl FanPayment {
    /// Its id.
    pub fn id(&self) -> PaymentId {
        match self {
            Self::Wallet(paid) => paid.payment.id,
            Self::Card(card) => card.id,
        }
    }

    /// When it was begun. One from the wallet is made at once.
    pub fn begun_at(&self) -> Timestamp {
        match self {
            Self::Wallet(paid) => paid.payment.paid_at,
            Self::Card(card) => card.made_at,
        }
    }

    /// See [`FanPaymentCursor`].
    pub fn cursor(&self) -> FanPaymentCursor {
        (self.begun_at(), self.id())
    }

    /// The state.
    pub fn state(&self) -> PaymentState {
        match self {
            Self::Wallet(paid) => paid.state(),
            Self::Card(card) => card.state(),
        }
    }

    /// The performance whose seats it pays for. None for a top-up.
    pub fn performance(&self) -> Option<PerformanceId> {
        match self {
            Self::Wallet(paid) => Some(paid.payment.performance),
            Self::Card(card) => match card.purpose {
                Purpose::Seats { performance, .. } => Some(performance),
                Purpose::TopUp => None,
            },
        }
    }

    /// Who pays.
    pub fn user(&self) -> UserId {
        match self {
            Self::Wallet(paid) => paid.payment.user,
            Self::Card(card) => card.user,
        }
    }
}
