//! What becomes of payments by card, and of refunds to cards.

use uuid::Uuid;

use crate::ids::{PaymentId, PerformanceId, RefundId, RequestId, ReservationId, TransferId, UserId};
use crate::money::Money;
use crate::payment::card::Purpose;
use crate::payment::gateway::FailureReason;
use crate::payment::refund::RefundCause;
use crate::time::Timestamp;

/// The payment by card that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardPaymentRef {
    /// The payment.
    pub id: PaymentId,
    /// Who pays.
    pub user: UserId,
    /// What for.
    pub purpose: Purpose,
    /// How much.
    pub amount: Money,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The request that began the attempt. None if that was not recorded.
    pub request: Option<RequestId>,
}

impl CardPaymentRef {
    /// The reservation that is paid; none for a top-up.
    pub fn reservation(&self) -> Option<ReservationId> {
        match self.purpose {
            Purpose::Seats { reservation, .. } => Some(reservation),
            Purpose::TopUp => None,
        }
    }

    /// The performance whose seats are paid; none for a top-up.
    pub fn performance(&self) -> Option<PerformanceId> {
        match self.purpose {
            Purpose::Seats { performance, .. } => Some(performance),
            Purpose::TopUp => None,
        }
    }

    /// The key of its events: the performance as for the events of the reservation, or the user.
    pub(super) fn key(&self) -> Uuid {
        self.performance().map_or(self.user.0, |performance| performance.0)
    }
}

/// What became of a payment by card. Each kind is an event of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentChange {
    /// The amount is reserved on the card.
    Authorized,
    /// The amount was taken.
    Captured,
    /// The attempt ended, and nothing was taken.
    Failed(PaymentFailure),
    /// Money is on its way back to the card.
    Refunded {
        /// The refund.
        refund: RefundToCard,
        /// Whether it went by a dispute that was lost, and not by a refund of the gateway.
        by_dispute: bool,
    },
    /// Money could not be given back to the card, and was credited to the wallet.
    RefundFailed {
        /// The refund.
        refund: RefundToCard,
        /// The transfer to the wallet.
        transfer: TransferId,
    },
    /// The cardholder disputes the charge, as the gateway says.
    Disputed {
        /// The number of the dispute of this charge, from 1.
        dispute: u32,
    },
    /// A dispute was decided.
    DisputeClosed {
        /// Its number.
        dispute: u32,
        /// Whether the cardholder got the money back.
        is_lost: bool,
    },
}

/// A refund to a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundToCard {
    /// Which.
    pub id: RefundId,
    /// What goes back.
    pub amount: Money,
    /// Why.
    pub cause: RefundCause,
}

/// Why nothing was taken, as a fan may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentFailure {
    /// The gateway refused.
    Refused(FailureReason),
    /// The time to pay was over.
    Expired,
    /// The reserved amount was given up before the time was over.
    Voided,
}

impl PaymentChange {
    /// The kind of its event.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Authorized => "payment.authorized",
            Self::Captured => "payment.captured",
            Self::Failed(_) => "payment.failed",
            Self::Refunded { .. } => "payment.refunded",
            Self::RefundFailed { .. } => "payment.refund_failed",
            Self::Disputed { .. } => "payment.disputed",
            Self::DisputeClosed { .. } => "payment.dispute_closed",
        }
    }

    /// The id of its event. A step of an attempt is made once, a refund has one end of each kind, and disputes of a charge are counted.
    pub(super) fn event_id(&self, payment: &CardPaymentRef) -> String {
        let kind = self.kind();
        match self {
            Self::Authorized | Self::Captured | Self::Failed(_) => format!("{kind}/{}/{}", payment.id, payment.attempt),
            Self::Refunded { refund, .. } | Self::RefundFailed { refund, .. } => format!("{kind}/{}", refund.id),
            Self::Disputed { dispute } | Self::DisputeClosed { dispute, .. } => {
                format!("{kind}/{}/{dispute}", payment.id)
            }
        }
    }
}

/// A step of a payment by card, with when it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentStep {
    /// Of which payment.
    pub payment: CardPaymentRef,
    /// What became of it.
    pub change: PaymentChange,
    /// When.
    pub at: Timestamp,
}
