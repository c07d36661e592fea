use diesel::QueryResult;
use encore_domain::event::{CardPaymentRef, Event, PaymentChange, PaymentFailure, PaymentStep, RefundToCard};
use encore_domain::payment::card::Purpose;
use encore_domain::payment::gateway::FailureReason;
use serde::{Deserialize, Serialize};

use crate::codec::{cause_text, read_cause, read_money};
use crate::error::corrupt;
use crate::event_record::{id, optional_id, time};

const EXPIRED: &str = "expired";
const VOIDED: &str = "voided";

/// A step of a payment by card. The kind of the event says which, and which of the optional fields it has.
#[derive(Serialize, Deserialize)]
pub struct Stepped {
    id: String,
    user_id: String,
    /// None for a top-up, as is the performance.
    reservation_id: Option<String>,
    performance_id: Option<String>,
    amount_minor: i64,
    currency: String,
    attempt: u32,
    request_id: Option<String>,
    at_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<RefundToCardRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_dispute: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dispute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_lost: Option<bool>,
}

/// The refund of a step. Its currency is that of the payment.
#[derive(Serialize, Deserialize)]
struct RefundToCardRecord {
    id: String,
    amount_minor: i64,
    cause: String,
}

impl From<&PaymentStep> for Stepped {
    fn from(PaymentStep { payment, change, at }: &PaymentStep) -> Self {
        let mut record = Self {
            id: payment.id.to_string(),
            user_id: payment.user.to_string(),
            reservation_id: payment.reservation().map(|id| id.to_string()),
            performance_id: payment.performance().map(|id| id.to_string()),
            amount_minor: payment.amount.minor,
            currency: payment.amount.currency.to_string(),
            attempt: payment.attempt,
            request_id: payment.request.map(|id| id.to_string()),
            at_ms: at.timestamp_millis(),
            failure: None,
            refund: None,
            by_dispute: None,
            transfer_id: None,
            dispute: None,
            is_lost: None,
        };
        match change {
            PaymentChange::Authorized | PaymentChange::Captured => {}
            PaymentChange::Failed(failure) => record.failure = Some(failure_text(*failure).to_owned()),
            PaymentChange::Refunded { refund, by_dispute } => {
                (record.refund, record.by_dispute) = (Some(refund.into()), Some(*by_dispute));
            }
            PaymentChange::RefundFailed { refund, transfer } => {
                (record.refund, record.transfer_id) = (Some(refund.into()), Some(transfer.to_string()));
            }
            PaymentChange::Disputed { dispute } => record.dispute = Some(*dispute),
            PaymentChange::DisputeClosed { dispute, is_lost } => {
                (record.dispute, record.is_lost) = (Some(*dispute), Some(*is_lost));
            }
        }
        record
    }
}

impl Stepped {
    pub fn read(self, kind: &str) -> QueryResult<Event> {
        let purpose = match (optional_id(self.reservation_id.as_deref())?, optional_id(self.performance_id.as_deref())?)
        {
            (Some(reservation), Some(performance)) => Purpose::Seats { reservation, performance },
            (None, None) => Purpose::TopUp,
            (Some(_), None) | (None, Some(_)) => return Err(corrupt("purpose of a payment in an event", &self.id)),
        };
        let payment = CardPaymentRef {
            id: id(&self.id)?,
            user: id(&self.user_id)?,
            purpose,
            amount: read_money(self.amount_minor, &self.currency)?,
            attempt: self.attempt,
            request: optional_id(self.request_id.as_deref())?,
        };
        let at = time(self.at_ms)?;
        Ok(Event::PaymentChanged(PaymentStep { payment, change: self.read_change(kind)?, at }))
    }

    fn read_change(&self, kind: &str) -> QueryResult<PaymentChange> {
        Ok(match kind {
            "payment.authorized" => PaymentChange::Authorized,
            "payment.captured" => PaymentChange::Captured,
            "payment.failed" => PaymentChange::Failed(read_failure(&needed(self.failure.clone(), "failure")?)?),
            "payment.refunded" => {
                let by_dispute = needed(self.by_dispute, "by_dispute")?;
                PaymentChange::Refunded { refund: self.read_refund()?, by_dispute }
            }
            "payment.refund_failed" => {
                let transfer = id(&needed(self.transfer_id.clone(), "transfer_id")?)?;
                PaymentChange::RefundFailed { refund: self.read_refund()?, transfer }
            }
            "payment.disputed" => PaymentChange::Disputed { dispute: needed(self.dispute, "dispute")? },
            "payment.dispute_closed" => {
                let (dispute, is_lost) = (needed(self.dispute, "dispute")?, needed(self.is_lost, "is_lost")?);
                PaymentChange::DisputeClosed { dispute, is_lost }
            }
            unknown => return Err(corrupt("kind of event", unknown)),
        })
    }

    fn read_refund(&self) -> QueryResult<RefundToCard> {
        let refund = self.refund.as_ref().ok_or_else(|| missing("refund"))?;
        Ok(RefundToCard {
            id: id(&refund.id)?,
            amount: read_money(refund.amount_minor, &self.currency)?,
            cause: read_cause(&refund.cause)?,
        })
    }
}

impl From<&RefundToCard> for RefundToCardRecord {
    fn from(it: &RefundToCard) -> Self {
        Self { id: it.id.to_string(), amount_minor: it.amount.minor, cause: cause_text(it.cause).to_owned() }
    }
}

fn needed<T>(value: Option<T>, field: &'static str) -> QueryResult<T> {
    value.ok_or_else(|| missing(field))
}

fn missing(field: &'static str) -> diesel::result::Error {
    corrupt("payment in an event", &format!("no {field}"))
}

fn failure_text(failure: PaymentFailure) -> &'static str {
    match failure {
        PaymentFailure::Refused(reason) => reason.name(),
        PaymentFailure::Expired => EXPIRED,
        PaymentFailure::Voided => VOIDED,
    }
}

fn read_failure(text: &str) -> QueryResult<PaymentFailure> {
    Ok(match text {
        EXPIRED => PaymentFailure::Expired,
        VOIDED => PaymentFailure::Voided,
        reason => {
            let reason =
                FailureReason::named(reason).ok_or_else(|| corrupt("failure of a payment in an event", reason))?;
            PaymentFailure::Refused(reason)
        }
    })
}
