use std::convert::Infallible;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{PaymentId, PerformanceId, ReservationId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::{Paid, PayRefusal, Payment, PaymentPlan, Settlement};
use encore_domain::ports::Payments;
use encore_domain::queue::{EndReason, QueueTokenPayload};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use futures::{TryFutureExt, try_join};
use uuid::Uuid;

use crate::codec::{lane_column, method_text, read_lane, read_method, read_money};
use crate::database::Database;
use crate::error::{TxError, unavailable};
use crate::requests::{self, Operation};
use crate::reservation_rows;
use crate::schema::payments;
use crate::statement::{Cached, sql};
use crate::{ended_tokens, ledger, outbox, wallets};

/// [`Payments`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresPayments {
    database: Database,
}

impl PostgresPayments {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_pay(
        &self,
        plan: &PaymentPlan,
        request: &RequestKey,
    ) -> Result<Applied<Paid>, TxError<RequestError<PayRefusal>>> {
        let mut conn = self.database.connection().await?;
        let paying = conn.transaction(async |conn| {
            let Payment { id, reservation, user, amount, paid_at, .. } = plan.payment;
            let (known, has_another_hold, reservation, balance) = try_join!(
                requests::remember(conn, Operation::Pay, Some(request), id.0, Some(paid_at)),
                ended_tokens::lock_and_look_for_another_hold(conn, plan).err_into(),
                reservation_rows::lock(conn, reservation.0).err_into(),
                wallets::lock(conn, user, amount.currency).err_into(),
            )?;
            if let Some(known) = known {
                let first = find_row(conn, known.result_id).await?.ok_or(diesel::result::Error::NotFound)?;
                return Ok(Applied::Before(first.into_paid()?));
            }
            plan.check(&reservation).map_err(TxError::refused)?;
            if balance.minor < amount.minor {
                return Err(TxError::refused(PayRefusal::InsufficientBalance { balance, needed: amount }));
            }
            let confirmed = Reservation {
                state: ReservationState::Confirmed,
                settled_at: Some(paid_at),
                payment: Some(id),
                ..reservation
            };
            let ended_token = plan.ended_token(has_another_hold);
            let event = [Event::ReservationConfirmed { reservation: confirmed.clone(), payment: plan.payment.clone() }];
            try_join!(
                wallets::debit(conn, user, amount),
                insert(conn, &plan.payment, ended_token.as_ref()),
                end_token(conn, ended_token.as_ref()),
                reservation_rows::settle(conn, &confirmed),
                ledger::record(conn, &plan.transfer, balance.minor - amount.minor),
                outbox::append(conn, &event),
            )?;
            Ok(Applied::Now(Paid { payment: plan.payment.clone(), ended_token }))
        });
        paying.await
    }

    async fn try_find_paid(&self, request: &RequestKey) -> Result<Option<Payment>, TxError<RequestError<Infallible>>> {
        let mut conn = self.database.connection().await?;
        let Some(known) = requests::find(&conn, &[Operation::Pay], request).await? else {
            return Ok(None);
        };
        Ok(load(&mut conn, known.result_id).await?)
    }
}

async fn load(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<Payment>> {
    find_row(conn, id).await?.map(PaymentRow::into_payment).transpose()
}

async fn find_row(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<PaymentRow>> {
    payments::table.find(id).select(PaymentRow::as_select()).first(conn).await.optional()
}

pub async fn insert(
    conn: &AsyncPgConnection,
    payment: &Payment,
    ended_token: Option<&QueueTokenPayload>,
) -> QueryResult<()> {
    let inserted = diesel::insert_into(payments::table).values(PaymentRow::of(payment, ended_token));
    Cached(inserted).execute(&mut &*conn).await?;
    Ok(())
}

/// Records that a payment ended this queue token, if it ended one.
pub async fn end_token(conn: &AsyncPgConnection, ended_token: Option<&QueueTokenPayload>) -> QueryResult<()> {
    if let Some(token) = ended_token {
        ended_tokens::insert(conn, token, EndReason::Used).await?;
    }
    Ok(())
}

#[async_trait]
impl Payments for PostgresPayments {
    async fn pay_from_wallet(
        &self,
        plan: PaymentPlan,
        request: RequestKey,
    ) -> Result<Applied<Paid>, RequestError<PayRefusal>> {
        self.database.transact("payments.pay_from_wallet", || self.try_pay(&plan, &request)).await
    }

    async fn find_paid(&self, request: RequestKey) -> Result<Option<Payment>, RequestError<Infallible>> {
        self.database.transact("payments.find_paid", || self.try_find_paid(&request)).await
    }

    async fn find(&self, id: PaymentId) -> Result<Option<Payment>, Unavailable> {
        let mut conn = self.database.connection().await?;
        load(&mut conn, id.0).await.map_err(unavailable)
    }

    async fn list(&self, user: UserId, page: PageRequest<PaymentId>) -> Result<Page<Payment, PaymentId>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let of_user = payments::table.filter(payments::user_id.eq(user.0));
        let mut query = of_user.select(PaymentRow::as_select()).into_boxed();
        if let Some(after) = page.after {
            query = query.filter(payments::id.lt(after.0));
        }
        let query = query.order(payments::id.desc()).limit(i64::from(page.size) + 1);
        let rows = query.load(&mut conn).await.map_err(unavailable)?;
        let found = rows.into_iter().map(PaymentRow::into_payment).collect::<QueryResult<_>>().map_err(unavailable)?;
        Ok(Page::from_rows(found, page.size, |payment| payment.id))
    }

    async fn performances_pending(&self, before: Timestamp) -> Result<Vec<PerformanceId>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let query = payments::table
            .filter(diesel::dsl::not(payments::propagated))
            .filter(payments::paid_at.le(before))
            .select(payments::performance_id)
            .distinct();
        let performances: Vec<Uuid> = query.load(&mut conn).await.map_err(unavailable)?;
        Ok(performances.into_iter().map(PerformanceId).collect())
    }

    async fn pending(
        &self,
        performance: PerformanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Settlement>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let query = payments::table
            .filter(diesel::dsl::not(payments::propagated))
            .filter(payments::performance_id.eq(performance.0))
            .filter(payments::paid_at.le(before))
            .order((payments::paid_at, payments::id))
            .limit(i64::from(limit))
            .select(PaymentRow::as_select());
        let rows = query.load(&mut conn).await.map_err(unavailable)?;
        let reservations: Vec<Uuid> = rows.iter().map(|row| row.reservation_id).collect();
        let mut seats = reservation_rows::load_seats(&conn, &reservations).await.map_err(unavailable)?;
        let settlement = |row: PaymentRow| {
            let seats = seats.remove(&row.reservation_id).unwrap_or_default();
            Ok(Settlement {
                payment: PaymentId(row.id),
                reservation: ReservationId(row.reservation_id),
                user: UserId(row.user_id),
                performance: PerformanceId(row.performance_id),
                slots: seats.iter().map(|seat| seat.slot).collect(),
                payload: row.payload()?,
            })
        };
        rows.into_iter().map(settlement).collect::<QueryResult<_>>().map_err(unavailable)
    }

    async fn mark_propagated(&self, payments: &[PaymentId]) -> Result<(), Unavailable> {
        // Rows are locked in the order of their ids, so that two instances that mark the same payments do not deadlock.
        const MARK: &str = "
            WITH due AS (SELECT id FROM payments WHERE id = ANY($1) AND NOT propagated ORDER BY id FOR UPDATE)
            UPDATE payments SET propagated = true FROM due WHERE payments.id = due.id";
        let ids: Vec<Uuid> = payments.iter().map(|id| id.0).collect();
        let mut conn = self.database.connection().await?;
        Cached(sql(MARK).bind::<Array<SqlUuid>, _>(ids)).execute(&mut conn).await.map_err(unavailable)?;
        Ok(())
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = payments)]
struct PaymentRow {
    id: Uuid,
    reservation_id: Uuid,
    user_id: Uuid,
    performance_id: Uuid,
    amount_minor: i64,
    currency: String,
    paid_at: DateTime<Utc>,
    method: String,
    token_epoch: Option<i64>,
    token_index: Option<i64>,
    token_lane: i16,
}

impl PaymentRow {
    fn of(payment: &Payment, ended_token: Option<&QueueTokenPayload>) -> Self {
        let Payment { id, reservation, user, performance, amount, paid_at, method } = *payment;
        Self {
            id: id.0,
            reservation_id: reservation.0,
            user_id: user.0,
            performance_id: performance.0,
            amount_minor: amount.minor,
            currency: amount.currency.code().to_owned(),
            paid_at,
            method: method_text(method).to_owned(),
            token_epoch: ended_token.map(|token| token.epoch),
            token_index: ended_token.map(|token| token.index.cast_signed()),
            token_lane: ended_token.map_or(0, |token| lane_column(token.lane)),
        }
    }

    fn into_paid(self) -> QueryResult<Paid> {
        let ended_token = self.payload()?;
        Ok(Paid { payment: self.into_payment()?, ended_token })
    }

    fn into_payment(self) -> QueryResult<Payment> {
        Ok(Payment {
            id: PaymentId(self.id),
            reservation: ReservationId(self.reservation_id),
            user: UserId(self.user_id),
            performance: PerformanceId(self.performance_id),
            amount: read_money(self.amount_minor, &self.currency)?,
            paid_at: self.paid_at,
            method: read_method(&self.method)?,
        })
    }

    /// The payload of the queue token that the payment ended. Only what says which token it was is stored.
    fn payload(&self) -> QueryResult<Option<QueueTokenPayload>> {
        let Some((epoch, index)) = self.token_epoch.zip(self.token_index) else {
            return Ok(None);
        };
        let (performance, user) = (PerformanceId(self.performance_id), UserId(self.user_id));
        let (lane, index) = (read_lane(self.token_lane)?, index.cast_unsigned());
        Ok(Some(QueueTokenPayload {
            performance,
            user,
            epoch,
            lane,
            index,
            issued_at: DateTime::UNIX_EPOCH,
            needs_accessible: false,
            admitted_until: None,
        }))
    }
}
