use std::convert::Infallible;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{PaymentId, PerformanceId, RefundId, ReservationId, UserId};
use encore_domain::payment::refund::{
    CancelPlan, CancelRefusal, Cancellation, Cancelled, CancelledBy, OperatorReason, Refund,
};
use encore_domain::ports::Refunds;
use encore_domain::request::{Applied, RequestKey};
use futures::try_join;
use uuid::Uuid;

use crate::codec::read_money;
use crate::database::Database;
use crate::error::{TxError, corrupt, unavailable};
use crate::hold_record::{as_recorded, record};
use crate::requests::{self, Operation, Remembered};
use crate::schema::refunds;
use crate::statement::Cached;
use crate::{claims, ledger, outbox, reservation_rows, wallets};

/// [`Refunds`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresRefunds {
    database: Database,
}

impl PostgresRefunds {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_cancel(
        &self,
        plan: &CancelPlan,
        request: &RequestKey,
    ) -> Result<Applied<Cancelled>, TxError<RequestError<CancelRefusal>>> {
        let mut conn = self.database.connection().await?;
        let cancelling = conn.transaction(async |conn| {
            let operation = operation_of(&plan.by);
            let id = plan.refund.0;
            if let Some(known) = requests::remember(conn, operation, Some(request), id, Some(plan.at)).await? {
                return Ok(Applied::Before(recorded_answer(conn, known).await?));
            }
            let before = reservation_rows::lock(conn, plan.reservation.0).await?;
            let Cancellation { reservation, refund, transfer } = plan.decide(&before).map_err(TxError::refused)?;
            write_seats(conn, &before, &reservation, &refund).await?;
            let balance_minor = wallets::pay_back(conn, refund.user, refund.amount()).await?;
            insert(conn, &refund).await?;
            ledger::record(conn, &transfer, balance_minor).await?;
            requests::keep_answer(conn, request, record(&reservation)?).await?;
            let event = Event::SeatsCancelled { reservation: reservation.clone(), refund: refund.clone() };
            outbox::append(conn, &[event]).await?;
            Ok(Applied::Now(Cancelled { reservation, refund }))
        });
        cancelling.await
    }

    async fn try_find_cancelled(
        &self,
        request: &RequestKey,
    ) -> Result<Option<Cancelled>, TxError<RequestError<Infallible>>> {
        let mut conn = self.database.connection().await?;
        match requests::find(&conn, &[Operation::Cancel, Operation::CancelAsOperator], request).await? {
            Some(known) => Ok(Some(recorded_answer(&mut conn, known).await?)),
            None => Ok(None),
        }
    }
}

fn operation_of(by: &CancelledBy) -> Operation {
    match by {
        CancelledBy::Fan => Operation::Cancel,
        CancelledBy::Operator(..) => Operation::CancelAsOperator,
    }
}

/// Frees the cancelled seats. A cancelled reservation still lists those that it had last.
async fn write_seats(
    conn: &mut AsyncPgConnection,
    before: &Reservation,
    after: &Reservation,
    refund: &Refund,
) -> QueryResult<()> {
    if refund.is_whole {
        claims::delete(conn, &[before.id.0]).await?;
        reservation_rows::cancel(conn, before, after).await
    } else {
        try_join!(reservation_rows::cancel(conn, before, after), claims::give_back(conn, after, &refund.slots))?;
        Ok(())
    }
}

/// The answer to an earlier cancellation: the reservation as that call left it.
async fn recorded_answer(conn: &mut AsyncPgConnection, known: Remembered) -> QueryResult<Cancelled> {
    let row: RefundRow = refunds::table.find(known.result_id).select(RefundRow::as_select()).first(conn).await?;
    let refund = row.into_refund()?;
    let now = reservation_rows::find(conn, refund.reservation.0).await?.ok_or(diesel::result::Error::NotFound)?;
    let left = match known.answer {
        Some(answer) => as_recorded(&now, answer)?,
        None => now.clone(),
    };
    let (state, cancelled_at) = if refund.is_whole {
        (ReservationState::Cancelled, Some(refund.at))
    } else {
        (ReservationState::Confirmed, None)
    };
    let reservation = Reservation { state, cancelled_at, settled_at: now.settled_at, payment: now.payment, ..left };
    Ok(Cancelled { reservation, refund })
}

async fn insert(conn: &AsyncPgConnection, refund: &Refund) -> QueryResult<()> {
    Cached(diesel::insert_into(refunds::table).values(RefundRow::of(refund))).execute(&mut &*conn).await?;
    Ok(())
}

#[async_trait]
impl Refunds for PostgresRefunds {
    async fn cancel(
        &self,
        plan: CancelPlan,
        request: RequestKey,
    ) -> Result<Applied<Cancelled>, RequestError<CancelRefusal>> {
        self.database.transact("refunds.cancel", || self.try_cancel(&plan, &request)).await
    }

    async fn find_cancelled(&self, request: RequestKey) -> Result<Option<Cancelled>, RequestError<Infallible>> {
        self.database.transact("refunds.find_cancelled", || self.try_find_cancelled(&request)).await
    }

    async fn of_payment(&self, payment: PaymentId) -> Result<Vec<Refund>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let of_payment = refunds::table.filter(refunds::payment_id.eq(payment.0));
        let query = of_payment.order((refunds::made_at, refunds::id)).select(RefundRow::as_select());
        let rows: Vec<RefundRow> = query.load(&mut conn).await.map_err(unavailable)?;
        rows.into_iter().map(RefundRow::into_refund).collect::<QueryResult<_>>().map_err(unavailable)
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = refunds)]
struct RefundRow {
    id: Uuid,
    payment_id: Uuid,
    reservation_id: Uuid,
    user_id: Uuid,
    performance_id: Uuid,
    slots: Vec<i32>,
    is_whole: bool,
    price_minor: i64,
    fee_minor: i64,
    currency: String,
    operator_id: Option<Uuid>,
    reason: Option<String>,
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
            reservation_id: refund.reservation.0,
            user_id: refund.user.0,
            performance_id: refund.performance.0,
            slots: refund.slots.iter().map(|slot| slot.0.cast_signed()).collect(),
            is_whole: refund.is_whole,
            price_minor: refund.price.minor,
            fee_minor: refund.fee_minor,
            currency: refund.price.currency.code().to_owned(),
            operator_id,
            reason,
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
            reservation: ReservationId(self.reservation_id),
            user: UserId(self.user_id),
            performance: PerformanceId(self.performance_id),
            slots: self.slots.into_iter().map(|slot| Slot(slot.cast_unsigned())).collect(),
            is_whole: self.is_whole,
            price: read_money(self.price_minor, &self.currency)?,
            fee_minor: self.fee_minor,
            by,
            at: self.made_at,
        })
    }
}
