//! Encodes the domain's enums and numbers as column values.
//!
//! Postgres has no unsigned integers. The domain limits its `u32` and `u64` values far below the sign bit, and check
//! constraints refuse negative values. So `cast_signed` and `cast_unsigned` are lossless.

use std::time::Duration;

use diesel::QueryResult;
use encore_domain::booking::ReservationState;
use encore_domain::catalog::Title;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::identity::Role;
use encore_domain::money::{Currency, Money};
use encore_domain::payment::PaymentMethod;
use encore_domain::payment::refund::RefundCause;
use encore_domain::queue::EndReason;
use encore_domain::time::Timestamp;
use encore_domain::wallet::TransferKind;

use crate::error::corrupt;

pub fn read_role(text: &str) -> QueryResult<Role> {
    Role::of_name(text).ok_or_else(|| corrupt("role", text))
}

pub fn state_text(state: ReservationState) -> &'static str {
    match state {
        ReservationState::Held => "held",
        ReservationState::Paying => "paying",
        ReservationState::Confirmed => "confirmed",
        ReservationState::Expired => "expired",
        ReservationState::Released => "released",
        ReservationState::Cancelled => "cancelled",
    }
}

pub fn read_state(text: &str) -> QueryResult<ReservationState> {
    match text {
        "held" => Ok(ReservationState::Held),
        "paying" => Ok(ReservationState::Paying),
        "confirmed" => Ok(ReservationState::Confirmed),
        "expired" => Ok(ReservationState::Expired),
        "released" => Ok(ReservationState::Released),
        "cancelled" => Ok(ReservationState::Cancelled),
        _ => Err(corrupt("reservation state", text)),
    }
}

/// The reason of an ended queue token. A token of another run of the queue is never noted.
pub fn end_reason_text(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Used => "used",
        EndReason::Left => "left",
        EndReason::Expired => "expired",
        EndReason::Replaced => "replaced",
        EndReason::LimitReached => "limit_reached",
        EndReason::Abandoned | EndReason::Reset => "abandoned",
    }
}

pub fn read_end_reason(text: &str) -> QueryResult<EndReason> {
    match text {
        "used" => Ok(EndReason::Used),
        "left" => Ok(EndReason::Left),
        "expired" => Ok(EndReason::Expired),
        "replaced" => Ok(EndReason::Replaced),
        "limit_reached" => Ok(EndReason::LimitReached),
        "abandoned" => Ok(EndReason::Abandoned),
        _ => Err(corrupt("end reason", text)),
    }
}

pub fn method_text(method: PaymentMethod) -> &'static str {
    match method {
        PaymentMethod::Wallet => "wallet",
        PaymentMethod::Card => "card",
    }
}

pub fn read_method(text: &str) -> QueryResult<PaymentMethod> {
    match text {
        "wallet" => Ok(PaymentMethod::Wallet),
        "card" => Ok(PaymentMethod::Card),
        _ => Err(corrupt("payment method", text)),
    }
}

pub fn cause_text(cause: RefundCause) -> &'static str {
    match cause {
        RefundCause::Cancelled => "cancelled",
        RefundCause::Unsold => "unsold",
        RefundCause::NotTaken => "not_taken",
        RefundCause::Withdrawn => "withdrawn",
    }
}

pub fn read_cause(text: &str) -> QueryResult<RefundCause> {
    match text {
        "cancelled" => Ok(RefundCause::Cancelled),
        "unsold" => Ok(RefundCause::Unsold),
        "not_taken" => Ok(RefundCause::NotTaken),
        "withdrawn" => Ok(RefundCause::Withdrawn),
        _ => Err(corrupt("cause of a refund", text)),
    }
}

pub fn transfer_kind_text(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::TopUp => "top_up",
        TransferKind::Payment => "payment",
        TransferKind::Refund => "refund",
        TransferKind::Charge => "charge",
        TransferKind::CardRefund => "card_refund",
        TransferKind::Returned => "returned",
        TransferKind::OperatorCredit => "operator_credit",
    }
}

pub fn read_transfer_kind(text: &str) -> QueryResult<TransferKind> {
    match text {
        "top_up" => Ok(TransferKind::TopUp),
        "payment" => Ok(TransferKind::Payment),
        "refund" => Ok(TransferKind::Refund),
        "charge" => Ok(TransferKind::Charge),
        "card_refund" => Ok(TransferKind::CardRefund),
        "returned" => Ok(TransferKind::Returned),
        "operator_credit" => Ok(TransferKind::OperatorCredit),
        _ => Err(corrupt("transfer kind", text)),
    }
}

pub fn read_currency(code: &str) -> QueryResult<Currency> {
    Currency::parse(code).map_err(|_| corrupt("currency", code))
}

pub fn read_money(minor: i64, code: &str) -> QueryResult<Money> {
    Ok(Money { minor, currency: read_currency(code)? })
}

pub fn read_title(text: &str) -> QueryResult<Title> {
    Title::parse(text).map_err(|_| corrupt("title", text))
}

/// The earliest time that Postgres can represent, in seconds since 1970. It can represent all later times of the domain.
const EARLIEST_SECONDS: i64 = -210_866_803_200;

/// A time to compare with, which may be any of the domain.
pub fn comparable_time(time: Timestamp) -> Timestamp {
    Timestamp::from_timestamp(EARLIEST_SECONDS, 0).map_or(time, |earliest| time.max(earliest))
}

/// A slot to compare with, which may be any of the domain.
pub fn comparable_slot(slot: Slot) -> i32 {
    i32::try_from(slot.0).unwrap_or(i32::MAX)
}

/// A duration in whole milliseconds, the precision of the domain.
pub fn duration_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub fn read_duration_ms(ms: i64) -> Duration {
    Duration::from_millis(ms.cast_unsigned())
}

/// An index of a seat chart, which has 16 bits.
pub fn read_index(ordinal: i32) -> QueryResult<u16> {
    u16::try_from(ordinal).map_err(|_| corrupt("chart index", &ordinal))
}

/// The index of a lane as a column value.
pub fn lane_column(lane: u8) -> i16 {
    i16::from(lane)
}

pub fn read_lane(index: i16) -> QueryResult<u8> {
    u8::try_from(index).map_err(|_| corrupt("lane", &index))
}
