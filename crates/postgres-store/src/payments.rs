use std::cmp::Reverse;
use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{Array, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::ids::{PaymentId, PerformanceId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::fan_payment::FanPayment;
use encore_domain::payment::{Paid, PayRefusal, PaymentPlan, Settlement};
use encore_domain::ports::Payments;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::batcher::{BATCH_MAX, Batcher};
use crate::database::Database;
use crate::error::{TxError, unavailable};
use crate::paying::{PayAnswer, WalletPayment, pay_all};
use crate::payment_rows::{self, PaymentRow};
use crate::requests::{self, Operation};
use crate::schema::payments;
use crate::statement::{Cached, sql};
use crate::{card_rows, reservation_rows};

/// [`Payments`] on Postgres. Payments from wallets are batched.
#[derive(Clone, Debug)]
pub struct PostgresPayments {
    database: Database,
    paying: Batcher<WalletPayment, PayAnswer>,
}

impl PostgresPayments {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        let paying = database.clone();
        Self {
            database,
            paying: Batcher::new("pay", BATCH_MAX, move |payments: Arc<[WalletPayment]>| {
                let database = paying.clone();
                Box::pin(async move { pay_all(&database, &payments).await })
            }),
        }
    }

    async fn try_find_paid(&self, request: &RequestKey) -> Result<Option<Paid>, TxError<RequestError<Infallible>>> {
        let conn = self.database.connection().await?;
        let Some(known) = requests::find(&conn, &[Operation::Pay], request).await? else {
            return Ok(None);
        };
        Ok(payment_rows::find_all(&conn, &[known.result_id]).await?.remove(&known.result_id))
    }
}

/// The payments of a user with ids below `before`, newest first, at most `limit`.
async fn list(
    conn: &mut AsyncPgConnection,
    user: Uuid,
    before: Option<Uuid>,
    limit: u32,
) -> QueryResult<Vec<FanPayment>> {
    let from_wallet = payment_rows::list_from_wallet(conn, user, before, i64::from(limit)).await?;
    let by_card = card_rows::list(conn, user, before, i64::from(limit)).await?;
    let mut found: Vec<FanPayment> = from_wallet.into_iter().map(FanPayment::Wallet).collect();
    found.extend(by_card.into_iter().map(FanPayment::Card));
    found.sort_unstable_by_key(|payment| Reverse(payment.id()));
    found.truncate(limit as usize);
    Ok(found)
}

#[async_trait]
impl Payments for PostgresPayments {
    async fn pay_from_wallet(
        &self,
        plan: PaymentPlan,
        request: RequestKey,
    ) -> Result<Applied<Paid>, RequestError<PayRefusal>> {
        let plan = PaymentPlan { transfer: plan.transfer.for_request(request.id), ..plan };
        self.paying.submit(WalletPayment { plan, request }).await?
    }

    async fn find_paid(&self, request: RequestKey) -> Result<Option<Paid>, RequestError<Infallible>> {
        self.database.transact("payments.find_paid", || self.try_find_paid(&request)).await
    }

    async fn find(&self, id: PaymentId) -> Result<Option<FanPayment>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let from_wallet = payment_rows::find_from_wallet(&conn, id.0).await.map_err(unavailable)?;
        if let Some(paid) = from_wallet {
            return Ok(Some(FanPayment::Wallet(paid)));
        }
        let card = card_rows::load(&mut conn, id.0, false).await.map_err(unavailable)?;
        Ok(card.map(FanPayment::Card))
    }

    async fn list(
        &self,
        user: UserId,
        page: PageRequest<PaymentId>,
    ) -> Result<Page<FanPayment, PaymentId>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let found =
            list(&mut conn, user.0, page.after.map(|after| after.0), page.size + 1).await.map_err(unavailable)?;
        Ok(Page::from_rows(found, page.size, FanPayment::id))
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
            row.into_settlement(seats.iter().map(|seat| seat.slot).collect())
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
