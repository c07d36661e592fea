//! What events say of reservations, their payments and refunds, and of blocks.

use diesel::QueryResult;
use encore_domain::booking::seat_block::{BlockReason, SeatBlock, SeatUnblock};
use encore_domain::booking::{Reservation, ReservedSeat};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::payment::Payment;
use encore_domain::payment::refund::{CancelledBy, OperatorReason, Refund};
use serde::{Deserialize, Serialize};

use super::{id, optional_id, optional_time, time};
use crate::codec::{cause_text, method_text, read_cause, read_method, read_money, read_state, state_text};
use crate::error::corrupt;

#[derive(Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) reservation: ReservationRecord,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Changed {
    pub(super) reservation: ReservationRecord,
    /// Rows of before do not have it.
    #[serde(default)]
    pub(super) released: Vec<u32>,
    pub(super) at_ms: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Confirmed {
    pub(super) reservation: ReservationRecord,
    pub(super) payment: PaymentRecord,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Cancelled {
    pub(super) reservation: ReservationRecord,
    pub(super) refund: RefundRecord,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ReservationRecord {
    id: String,
    user_id: String,
    performance_id: String,
    /// The slot and price of each seat.
    seats: Vec<(u32, i64)>,
    total_minor: i64,
    currency: String,
    state: String,
    held_at_ms: i64,
    expires_at_ms: i64,
    settled_at_ms: Option<i64>,
    payment_id: Option<String>,
    cancelled_at_ms: Option<i64>,
    revision: u32,
}

impl From<&Reservation> for Held {
    fn from(hold: &Reservation) -> Self {
        Self { reservation: hold.into() }
    }
}

impl From<&Reservation> for ReservationRecord {
    fn from(it: &Reservation) -> Self {
        Self {
            id: it.id.to_string(),
            user_id: it.user.to_string(),
            performance_id: it.performance.to_string(),
            seats: it.seats.iter().map(|seat| (seat.slot.0, seat.price_minor)).collect(),
            total_minor: it.total.minor,
            currency: it.total.currency.to_string(),
            state: state_text(it.state).to_owned(),
            held_at_ms: it.held_at.timestamp_millis(),
            expires_at_ms: it.expires_at.timestamp_millis(),
            settled_at_ms: it.settled_at.map(|at| at.timestamp_millis()),
            payment_id: it.payment.map(|id| id.to_string()),
            cancelled_at_ms: it.cancelled_at.map(|at| at.timestamp_millis()),
            revision: it.revision,
        }
    }
}

impl ReservationRecord {
    pub(super) fn read(self) -> QueryResult<Reservation> {
        let seat = |(slot, price_minor)| ReservedSeat { slot: Slot(slot), price_minor };
        Ok(Reservation {
            id: id(&self.id)?,
            user: id(&self.user_id)?,
            performance: id(&self.performance_id)?,
            seats: self.seats.into_iter().map(seat).collect(),
            total: read_money(self.total_minor, &self.currency)?,
            state: read_state(&self.state)?,
            held_at: time(self.held_at_ms)?,
            expires_at: time(self.expires_at_ms)?,
            settled_at: optional_time(self.settled_at_ms)?,
            payment: optional_id(self.payment_id.as_deref())?,
            cancelled_at: optional_time(self.cancelled_at_ms)?,
            revision: self.revision,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct PaymentRecord {
    id: String,
    reservation_id: String,
    user_id: String,
    performance_id: String,
    amount_minor: i64,
    currency: String,
    paid_at_ms: i64,
    method: String,
}

impl From<&Payment> for PaymentRecord {
    fn from(it: &Payment) -> Self {
        Self {
            id: it.id.to_string(),
            reservation_id: it.reservation.to_string(),
            user_id: it.user.to_string(),
            performance_id: it.performance.to_string(),
            amount_minor: it.amount.minor,
            currency: it.amount.currency.to_string(),
            paid_at_ms: it.paid_at.timestamp_millis(),
            method: method_text(it.method).to_owned(),
        }
    }
}

impl PaymentRecord {
    pub(super) fn read(self) -> QueryResult<Payment> {
        Ok(Payment {
            id: id(&self.id)?,
            reservation: id(&self.reservation_id)?,
            user: id(&self.user_id)?,
            performance: id(&self.performance_id)?,
            amount: read_money(self.amount_minor, &self.currency)?,
            paid_at: time(self.paid_at_ms)?,
            method: read_method(&self.method)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct RefundRecord {
    id: String,
    payment_id: String,
    reservation_id: Option<String>,
    user_id: String,
    performance_id: Option<String>,
    slots: Vec<u32>,
    is_whole: bool,
    price_minor: i64,
    fee_minor: i64,
    currency: String,
    /// None if the fan cancelled.
    operator_id: Option<String>,
    reason: Option<String>,
    cause: String,
    to_card: bool,
    at_ms: i64,
}

impl From<&Refund> for RefundRecord {
    fn from(it: &Refund) -> Self {
        let (operator_id, reason) = match &it.by {
            CancelledBy::Fan => (None, None),
            CancelledBy::Operator(operator, reason) => (Some(operator.to_string()), Some(reason.as_str().to_owned())),
        };
        Self {
            id: it.id.to_string(),
            payment_id: it.payment.to_string(),
            reservation_id: it.reservation.map(|id| id.to_string()),
            user_id: it.user.to_string(),
            performance_id: it.performance.map(|id| id.to_string()),
            slots: it.slots.iter().map(|slot| slot.0).collect(),
            is_whole: it.is_whole,
            price_minor: it.price.minor,
            fee_minor: it.fee_minor,
            currency: it.price.currency.to_string(),
            operator_id,
            reason,
            cause: cause_text(it.cause).to_owned(),
            to_card: it.to_card,
            at_ms: it.at.timestamp_millis(),
        }
    }
}

impl RefundRecord {
    pub(super) fn read(self) -> QueryResult<Refund> {
        let by = match self.operator_id {
            None => CancelledBy::Fan,
            Some(operator) => {
                let reason = self.reason.unwrap_or_default();
                let reason = OperatorReason::parse(&reason).map_err(|_| corrupt("reason in an event", &reason))?;
                CancelledBy::Operator(id(&operator)?, reason)
            }
        };
        Ok(Refund {
            id: id(&self.id)?,
            payment: id(&self.payment_id)?,
            reservation: optional_id(self.reservation_id.as_deref())?,
            user: id(&self.user_id)?,
            performance: optional_id(self.performance_id.as_deref())?,
            slots: self.slots.into_iter().map(Slot).collect(),
            is_whole: self.is_whole,
            price: read_money(self.price_minor, &self.currency)?,
            fee_minor: self.fee_minor,
            by,
            cause: read_cause(&self.cause)?,
            to_card: self.to_card,
            at: time(self.at_ms)?,
        })
    }
}

/// A block, or an unblock, which has no reason.
#[derive(Serialize, Deserialize)]
pub(super) struct BlockRecord {
    id: String,
    performance_id: String,
    operator_id: String,
    reason: Option<String>,
    slots: Vec<u32>,
    at_ms: i64,
}

impl From<&SeatBlock> for BlockRecord {
    fn from(it: &SeatBlock) -> Self {
        Self {
            id: it.id.to_string(),
            performance_id: it.performance.to_string(),
            operator_id: it.operator.to_string(),
            reason: Some(it.reason.as_str().to_owned()),
            slots: it.slots.iter().map(|slot| slot.0).collect(),
            at_ms: it.at.timestamp_millis(),
        }
    }
}

impl From<&SeatUnblock> for BlockRecord {
    fn from(it: &SeatUnblock) -> Self {
        Self {
            id: it.id.to_string(),
            performance_id: it.performance.to_string(),
            operator_id: it.operator.to_string(),
            reason: None,
            slots: it.slots.iter().map(|slot| slot.0).collect(),
            at_ms: it.at.timestamp_millis(),
        }
    }
}

impl BlockRecord {
    pub(super) fn read_block(self) -> QueryResult<SeatBlock> {
        let reason = self.reason.as_deref().unwrap_or_default();
        let reason = BlockReason::parse(reason).map_err(|_| corrupt("reason in an event", reason))?;
        let SeatUnblock { id, performance, operator, slots, at } = self.read_unblock()?;
        Ok(SeatBlock { id, performance, operator, reason, slots, at })
    }

    pub(super) fn read_unblock(self) -> QueryResult<SeatUnblock> {
        Ok(SeatUnblock {
            id: id(&self.id)?,
            performance: id(&self.performance_id)?,
            operator: id(&self.operator_id)?,
            slots: self.slots.into_iter().map(Slot).collect(),
            at: time(self.at_ms)?,
        })
    }
}
