use std::convert::Infallible;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::error::RequestError;
use encore_domain::event::Event;
use encore_domain::payment::refund::Refund;
use encore_domain::payment::withdrawal::{WithdrawRefusal, WithdrawalPart, WithdrawalPlan, refundable_minor};
use encore_domain::ports::Withdrawals;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::wallet::WalletEntry;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::database::Database;
use crate::error::{TxError, corrupt};
use crate::requests::{self, Operation, Remembered};
use crate::schema::card_payments;
use crate::{card_rows, ledger, outbox, refund_rows, wallet_rows};

/// The most top-ups of a fan that one withdrawal looks at, the newest first.
const TOP_UPS_MAX: i64 = 200;

/// [`Withdrawals`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresWithdrawals {
    database: Database,
}

impl PostgresWithdrawals {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_withdraw(
        &self,
        plan: &WithdrawalPlan,
        request: &RequestKey,
    ) -> Result<Applied<Vec<Refund>>, TxError<RequestError<WithdrawRefusal>>> {
        let mut conn = self.database.connection().await?;
        let withdrawing = conn.transaction(async |conn| {
            let (operation, first) = (Operation::Withdraw, plan.parts[0].0.0);
            if let Some(known) = requests::remember(conn, operation, Some(request), first, Some(plan.at)).await? {
                return Ok(Applied::Before(recorded_answer(conn, known).await?));
            }
            // Payments are locked before the wallet, as everywhere, and in the order of their ids.
            let mut top_ups = Vec::new();
            for id in top_ups_of(conn, plan).await? {
                top_ups.extend(card_rows::load(conn, id, true).await?.filter(|card| refundable_minor(card) > 0));
            }
            top_ups.reverse();
            let balance = wallet_rows::lock(conn, plan.user, plan.amount.currency).await?;
            let parts = plan.decide(balance, &top_ups).map_err(TxError::refused)?;
            let mut events = Vec::with_capacity(parts.len());
            for WithdrawalPart { refund, transfer } in &parts {
                refund_rows::insert(conn, refund).await?;
                let transfer = transfer.clone().for_request(request.id);
                let balance_minor = wallet_rows::move_money(conn, &transfer).await?;
                ledger::record(conn, &[(&transfer, balance_minor)]).await?;
                let entry = WalletEntry::of(&transfer, balance_minor);
                events.push(Event::WalletWithdrawn { user: transfer.user, entry });
                let card = top_ups.iter().find(|card| card.id == refund.payment);
                if let Some(attempt) = card.and_then(|card| card.attempt()) {
                    card_rows::add_events(conn, attempt.id, attempt.events.len(), &[refund.requested()]).await?;
                }
                card_rows::reopen(conn, refund.payment.0, plan.at).await?;
            }
            let refunds: Vec<Refund> = parts.into_iter().map(|part| part.refund).collect();
            let ids: Vec<String> = refunds.iter().map(|refund| refund.id.to_string()).collect();
            requests::keep_answer(conn, request, json!(ids)).await?;
            outbox::append(conn, &events).await?;
            Ok(Applied::Now(refunds))
        });
        withdrawing.await
    }

    async fn try_find_withdrawn(
        &self,
        request: &RequestKey,
    ) -> Result<Option<Vec<Refund>>, TxError<RequestError<Infallible>>> {
        let mut conn = self.database.connection().await?;
        match requests::find(&conn, &[Operation::Withdraw], request).await? {
            Some(known) => Ok(Some(recorded_answer(&mut conn, known).await?)),
            None => Ok(None),
        }
    }
}

/// The ids of the fan's top-ups by card, oldest first.
async fn top_ups_of(conn: &mut AsyncPgConnection, plan: &WithdrawalPlan) -> QueryResult<Vec<Uuid>> {
    let of_user = card_payments::table.filter(card_payments::user_id.eq(plan.user.0));
    let top_ups = of_user.filter(card_payments::reservation_id.is_null());
    let of_currency = top_ups.filter(card_payments::currency.eq(plan.amount.currency.code()));
    let query = of_currency.order(card_payments::id.desc()).limit(TOP_UPS_MAX).select(card_payments::id);
    let mut ids: Vec<Uuid> = query.load(conn).await?;
    ids.reverse();
    Ok(ids)
}

/// The refunds of an earlier withdrawal.
async fn recorded_answer(conn: &mut AsyncPgConnection, known: Remembered) -> QueryResult<Vec<Refund>> {
    let Some(Value::Array(ids)) = known.answer else { return Err(corrupt("answer of a withdrawal", "none")) };
    let mut refunds = Vec::with_capacity(ids.len());
    for id in ids {
        let id = id.as_str().and_then(|id| id.parse().ok()).ok_or_else(|| corrupt("id of a refund", "no UUID"))?;
        refunds.push(refund_rows::find(conn, id).await?);
    }
    Ok(refunds)
}

#[async_trait]
impl Withdrawals for PostgresWithdrawals {
    async fn withdraw(
        &self,
        plan: WithdrawalPlan,
        request: RequestKey,
    ) -> Result<Applied<Vec<Refund>>, RequestError<WithdrawRefusal>> {
        self.database.transact("withdrawals.withdraw", || self.try_withdraw(&plan, &request)).await
    }

    async fn find_withdrawn(&self, request: RequestKey) -> Result<Option<Vec<Refund>>, RequestError<Infallible>> {
        self.database.transact("withdrawals.find_withdrawn", || self.try_find_withdrawn(&request)).await
    }
}
