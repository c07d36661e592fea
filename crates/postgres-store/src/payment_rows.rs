//! Payments as rows.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::ids::{PaymentId, PerformanceId, ReservationId, UserId};
use encore_domain::money::Money;
use encore_domain::payment::fan_payment::PaidFromWallet;
use encore_domain::payment::{Paid, Payment, PaymentMethod, Settlement};
use encore_domain::queue::QueueTokenPayload;
use uuid::Uuid;

use crate::codec::{lane_column, method_text, read_lane, read_method, read_money};
use crate::schema::payments;
use crate::statement::{Cached, sql};
use crate::{refund_rows, wallet_rows};

/// The payment of this id, if it is from a wallet.
pub async fn find_from_wallet(conn: &AsyncPgConnection, id: Uuid) -> QueryResult<Option<PaidFromWallet>> {
    let from_wallet = payments::table.find(id).filter(payments::method.eq(method_text(PaymentMethod::Wallet)));
    let row: Option<PaymentRow> = from_wallet.select(PaymentRow::as_select()).first(&mut &*conn).await.optional()?;
    Ok(paid_from_wallets(conn, row.into_iter().collect()).await?.pop())
}

/// The payments of a user from the wallet with ids below `before`, newest first, at most `limit`.
pub async fn list_from_wallet(
    conn: &AsyncPgConnection,
    user: Uuid,
    before: Option<Uuid>,
    limit: i64,
) -> QueryResult<Vec<PaidFromWallet>> {
    let of_user = payments::table.filter(payments::user_id.eq(user));
    let from_wallet = of_user.filter(payments::method.eq(method_text(PaymentMethod::Wallet)));
    let mut query = from_wallet.select(PaymentRow::as_select()).into_boxed();
    if let Some(before) = before {
        query = query.filter(payments::id.lt(before));
    }
    let rows: Vec<PaymentRow> = query.order(payments::id.desc()).limit(limit).load(&mut &*conn).await?;
    paid_from_wallets(conn, rows).await
}

/// The payments of these rows with what was given back of them.
pub async fn paid_from_wallets(conn: &AsyncPgConnection, rows: Vec<PaymentRow>) -> QueryResult<Vec<PaidFromWallet>> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut refunds = refund_rows::of_payments(conn, &ids).await?;
    let paid = |paid: Paid| {
        let refunds = refunds.remove(&paid.payment.id.0).unwrap_or_default();
        PaidFromWallet { refunds, ..PaidFromWallet::from(paid) }
    };
    Ok(into_paid(conn, rows).await?.into_iter().map(paid).collect())
}

/// The payments of these rows from wallets. The ledger is asked for the balance only where the row has none.
async fn into_paid(conn: &AsyncPgConnection, rows: Vec<PaymentRow>) -> QueryResult<Vec<Paid>> {
    let read = |row: PaymentRow| Ok((row.balance_after_minor, row.payload()?, row.into_payment()?));
    let read: Vec<(Option<i64>, Option<QueueTokenPayload>, Payment)> =
        rows.into_iter().map(read).collect::<QueryResult<_>>()?;
    let without: Vec<&Payment> = read.iter().filter(|(minor, ..)| minor.is_none()).map(|(.., it)| it).collect();
    let balances = wallet_rows::balances_after(conn, &without).await?;
    let paid = |(minor, ended_token, payment): (Option<i64>, Option<QueueTokenPayload>, Payment)| {
        let stored = minor.map(|minor| Money { minor, ..payment.amount });
        let balance_after = stored.or_else(|| balances.get(&payment.id.0).copied());
        let balance_after = balance_after.ok_or(diesel::result::Error::NotFound)?;
        Ok(Paid { payment, balance_after, ended_token })
    };
    read.into_iter().map(paid).collect()
}

/// The payments of these ids from wallets, with the queue tokens that they ended.
pub async fn find_all(conn: &AsyncPgConnection, ids: &[Uuid]) -> QueryResult<HashMap<Uuid, Paid>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let query = payments::table.filter(payments::id.eq_any(ids)).select(PaymentRow::as_select());
    let rows: Vec<PaymentRow> = Cached(query).load(&mut &*conn).await?;
    Ok(into_paid(conn, rows).await?.into_iter().map(|paid| (paid.payment.id.0, paid)).collect())
}

/// A payment to be written.
pub struct NewPayment<'a> {
    pub payment: &'a Payment,
    /// The queue token that it ended.
    pub ended_token: Option<&'a QueueTokenPayload>,
    /// The balance of the wallet right after it, if it is from a wallet.
    pub balance_after_minor: Option<i64>,
}

/// Writes payments.
pub async fn insert(conn: &AsyncPgConnection, paid: &[NewPayment<'_>]) -> QueryResult<()> {
    const INSERT: &str = "
        INSERT INTO payments (
            id, reservation_id, user_id, performance_id, amount_minor, currency, paid_at, method,
            token_epoch, token_lane, token_index, balance_after_minor
        )
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let token = |column: fn(&QueueTokenPayload) -> i64| paid.iter().map(move |it| it.ended_token.map(column));
    let query = sql(INSERT)
        .bind::<Array<SqlUuid>, _>(each(paid, |payment| payment.id.0))
        .bind::<Array<SqlUuid>, _>(each(paid, |payment| payment.reservation.0))
        .bind::<Array<SqlUuid>, _>(each(paid, |payment| payment.user.0))
        .bind::<Array<SqlUuid>, _>(each(paid, |payment| payment.performance.0))
        .bind::<Array<BigInt>, _>(each(paid, |payment| payment.amount.minor))
        .bind::<Array<Text>, _>(each(paid, |payment| payment.amount.currency.code().to_owned()))
        .bind::<Array<Timestamptz>, _>(each(paid, |payment| payment.paid_at))
        .bind::<Array<Text>, _>(each(paid, |payment| method_text(payment.method)))
        .bind::<Array<Nullable<BigInt>>, _>(token(|token| token.epoch).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(
            paid.iter().map(|it| it.ended_token.map_or(0, |token| lane_column(token.lane))).collect::<Vec<_>>(),
        )
        .bind::<Array<Nullable<BigInt>>, _>(token(|token| token.index.cast_signed()).collect::<Vec<_>>())
        .bind::<Array<Nullable<BigInt>>, _>(paid.iter().map(|it| it.balance_after_minor).collect::<Vec<_>>());
    Cached(query).execute(&mut &*conn).await?;
    Ok(())
}

fn each<T>(paid: &[NewPayment<'_>], column: impl Fn(&Payment) -> T) -> Vec<T> {
    paid.iter().map(|it| column(it.payment)).collect()
}

#[derive(Queryable, QueryableByName, Selectable)]
#[diesel(table_name = payments)]
pub struct PaymentRow {
    id: Uuid,
    pub reservation_id: Uuid,
    user_id: Uuid,
    performance_id: Uuid,
    amount_minor: i64,
    currency: String,
    paid_at: DateTime<Utc>,
    method: String,
    token_epoch: Option<i64>,
    token_index: Option<i64>,
    token_lane: i16,
    balance_after_minor: Option<i64>,
}

impl PaymentRow {
    pub fn into_payment(self) -> QueryResult<Payment> {
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

    /// What is to be propagated of the payment for these seats.
    pub fn into_settlement(self, slots: Vec<Slot>) -> QueryResult<Settlement> {
        Ok(Settlement {
            payment: PaymentId(self.id),
            reservation: ReservationId(self.reservation_id),
            user: UserId(self.user_id),
            performance: PerformanceId(self.performance_id),
            slots,
            payload: self.payload()?,
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
