//! Payments: what settles a hold.

use thiserror::Error;

use crate::booking::{Reservation, ReservationState};
use crate::catalog::seat_chart::Slot;
use crate::ids::{PaymentId, PerformanceId, ReservationId, UserId};
use crate::money::Money;
use crate::queue::QueueTokenPayload;
use crate::time::Timestamp;
use crate::wallet::{Transfer, TransferIds};

/// A hold that was paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Made when it was asked for.
    pub id: PaymentId,
    /// What it paid for.
    pub reservation: ReservationId,
    /// Who paid.
    pub user: UserId,
    /// What they will see.
    pub performance: PerformanceId,
    /// The total of the reservation.
    pub amount: Money,
    /// When.
    pub paid_at: Timestamp,
}

/// Everything that a wallet payment commits at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentPlan {
    /// The payment to be.
    pub payment: Payment,
    /// Its movement of money.
    pub transfer: Transfer,
    /// The revision of the reservation that it was planned on: what is paid is what was seen.
    pub revision: u32,
    /// The queue token that it uses up, remembered so that its end is not lost.
    pub payload: Option<QueueTokenPayload>,
}

/// Why a hold cannot be paid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PayRefusal {
    /// The deadline passed.
    #[error("the hold expired at {expired_at}")]
    HoldExpired {
        /// When.
        expired_at: Timestamp,
    },
    /// The reservation was confirmed or released before.
    #[error("the reservation is {state:?}, not held")]
    NotHeld {
        /// What it is instead.
        state: ReservationState,
    },
    /// The reservation was changed after the payment was planned: it is to be planned again.
    #[error("the hold was changed meanwhile")]
    HoldChanged,
    /// The wallet does not hold enough.
    #[error("the balance is short")]
    InsufficientBalance {
        /// What the wallet holds.
        balance: Money,
        /// What the reservation costs.
        needed: Money,
    },
}

/// Says whether a reservation can be paid at `now`, as far as the reservation itself goes.
pub fn check_payable(reservation: &Reservation, now: Timestamp) -> Result<(), PayRefusal> {
    match reservation.state_at(now) {
        ReservationState::Held => Ok(()),
        ReservationState::Expired => Err(PayRefusal::HoldExpired { expired_at: reservation.expires_at }),
        state @ (ReservationState::Confirmed | ReservationState::Released) => Err(PayRefusal::NotHeld { state }),
    }
}

impl PaymentPlan {
    /// Says whether it can be made, as far as the reservation itself goes: live, and not changed since it was planned.
    pub fn check(&self, reservation: &Reservation) -> Result<(), PayRefusal> {
        check_payable(reservation, self.payment.paid_at)?;
        if reservation.revision == self.revision { Ok(()) } else { Err(PayRefusal::HoldChanged) }
    }
}

/// Plans a payment from the wallet of the reservation's owner. Whether the hold is live is decided where it is
/// applied, so that a repeat of a payment made before is answered and not refused.
pub fn plan_wallet_payment(
    reservation: &Reservation,
    id: PaymentId,
    ids: TransferIds,
    payload: Option<QueueTokenPayload>,
    now: Timestamp,
) -> PaymentPlan {
    let Reservation { user, performance, total, revision, .. } = *reservation;
    let payment = Payment { id, reservation: reservation.id, user, performance, amount: total, paid_at: now };
    PaymentPlan { payment, transfer: Transfer::payment(ids, user, performance, total, id, now), revision, payload }
}

/// What the stores of speed must be told after a payment: the seats are sold, the queue token is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which payment.
    pub payment: PaymentId,
    /// Whose seats.
    pub reservation: ReservationId,
    /// Of which performance.
    pub performance: PerformanceId,
    /// Now sold.
    pub slots: Vec<Slot>,
    /// Now used up.
    pub payload: Option<QueueTokenPayload>,
}
