//! Refunds as rows.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{PaymentId, PerformanceId, RefundId, ReservationId, UserId};
use encore_domain::payment::refund::{CancelledBy, OperatorReason, Refund};
use uuid::Uuid;

use crate::codec::{cause_text, read_cause, read_money};
use crate::error::corrupt;
use crate::schema::refunds;
use crate::statement::Cached;

/// Writes a refund.
pub async fn insert(conn: &AsyncPgConnection, refund: &Refund) -> QueryResult<()> {
    Cached(diesel::insert_into(refunds::table).values(RefundRow::of(refund))).execute(&mut &*conn).await?;
    Ok(())
}

/// The refunds of a payment, oldest first.
pub async fn of_payment(conn: &mut AsyncPgConnection, payment: Uuid) -> QueryResult<Vec<Refund>> {
    let of_payment = refunds::table.filter(refunds::payment_id.eq(payment));
    let query = of_payment.order((refunds::made_at, refunds::id)).select(RefundRow::as_select());
    let rows: Vec<RefundRow> = query.load(conn).await?;
    rows.into_iter().map(RefundRow::into_refund).collect()
}

/// The refunds of payments, each oldest first.
pub async fn of_payments(conn: &AsyncPgConnection, payments: &[Uuid]) -> QueryResult<HashMap<Uuid, Vec<Refund>>> {
    let of_payments = refunds::table.filter(refunds::payment_id.eq_any(payments));
    let query = of_payments.order((refunds::made_at, refunds::id)).select(RefundRow::as_select());
    let rows: Vec<RefundRow> = query.load(&mut &*conn).await?;
    let mut found: HashMap<Uuid, Vec<Refund>> = HashMap::new();
    for row in rows {
        found.entry(row.payment_id).or_default().push(row.into_refund()?);
    }
    Ok(found)
}

/// The refund of this id, which must exist.
pub async fn find(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Refund> {
    let row: RefundRow = refunds::table.find(id).select(RefundRow::as_select()).first(conn).await?;
    row.into_refund()
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = refunds)]
struct RefundRow {
    id: Uuid,
    payment_id: Uuid,
    reservation_id: Option<Uuid>,
    user_id: Uuid,
    performance_id: Option<Uuid>,
    slots: Vec<i32>,
    is_whole: bool,
    price_minor: i64,
    fee_minor: i64,
    currency: String,
    operator_id: Option<Uuid>,
    reason: Option<String>,
    cause: String,
    to_card: bool,
    made_at: DateTime<Utc>,
}

impl RefundRow {
    fn of(refund: &Refund) -> Self {
        let (operator_id, reason) = match &refund.by {
            CancelledBy::Fan => (None, None),
            CancelledBy::Operator(operator, reason) => (Some(operator.0), Some(reason.as_str().to_owned())),
        };
        Self {
            id: refund.id.0,
            payment_id: refund.payment.0,
            reservation_id: refund.reservation.map(|id| id.0),
            user_id: refund.user.0,
            performance_id: refund.performance.map(|id| id.0),
            slots: refund.slots.iter().map(|slot| slot.0.cast_signed()).collect(),
            is_whole: refund.is_whole,
            price_minor: refund.price.minor,
            fee_minor: refund.fee_minor,
            currency: refund.price.currency.code().to_owned(),
            operator_id,
            reason,
            cause: cause_text(refund.cause).to_owned(),
            to_card: refund.to_card,
            made_at: refund.at,
        }
    }

    fn into_refund(self) -> QueryResult<Refund> {
        let by = match (self.operator_id, self.reason) {
            (Some(operator), Some(reason)) => {
                let reason = OperatorReason::parse(&reason).map_err(|_| corrupt("reason", &reason))?;
                CancelledBy::Operator(UserId(operator), reason)
            }
            _ => CancelledBy::Fan,
        };
        Ok(Refund {
            id: RefundId(self.id),
            payment: PaymentId(self.payment_id),
            reservation: self.reservation_id.map(ReservationId),
            user: UserId(self.user_id),
            performance: self.performance_id.map(PerformanceId),
            slots: self.slots.into_iter().map(|slot| Slot(slot.cast_unsigned())).collect(),
            is_whole: self.is_whole,
            price: read_money(self.price_minor, &self.currency)?,
            fee_minor: self.fee_minor,
            by,
            cause: read_cause(&self.cause)?,
            to_card: self.to_card,
            at: self.made_at,
        })
    }
}
