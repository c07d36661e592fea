use std::convert::Infallible;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{EntryId, PaymentId, RefundId, TransferId, UserId};
use encore_domain::money::{Currency, Money};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::Wallets;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::wallet::{LedgerEntry, TopUpRefusal, Transfer, TransferKind, WalletEntry};
use futures::try_join;
use uuid::Uuid;

use crate::codec::{read_money, read_transfer_kind, transfer_kind_text};
use crate::database::Database;
use crate::error::{TxError, unavailable};
use crate::requests::{self, Operation};
use crate::schema::{ledger_entries, transfers, wallets};
use crate::statement::{Cached, sql};
use crate::{ledger, outbox};

/// [`Wallets`] on Postgres: wallets and the ledger.
#[derive(Clone, Debug)]
pub struct PostgresWallets {
    database: Database,
}

impl PostgresWallets {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn try_top_up(
        &self,
        transfer: &Transfer,
        request: &RequestKey,
    ) -> Result<Applied<WalletEntry>, TxError<RequestError<TopUpRefusal>>> {
        let mut conn = self.database.connection().await?;
        let topping_up = conn.transaction(async |conn| {
            let (entry, at) = (transfer.wallet_entry.id.0, transfer.at);
            if let Some(known) = requests::remember(conn, Operation::TopUp, Some(request), entry, Some(at)).await? {
                return Ok(Applied::Before(load(conn, known.result_id).await?));
            }
            let Some(balance_minor) = credit(conn, transfer.user, transfer.amount).await? else {
                return Err(TxError::refused(TopUpRefusal::WalletFull(transfer.amount.currency)));
            };
            let entry = WalletEntry::of(transfer, balance_minor);
            let event = [Event::WalletToppedUp { user: transfer.user, entry: entry.clone() }];
            try_join!(ledger::record(conn, transfer, balance_minor), outbox::append(conn, &event))?;
            Ok(Applied::Now(entry))
        });
        topping_up.await
    }

    async fn try_find_topped_up(
        &self,
        request: &RequestKey,
    ) -> Result<Option<WalletEntry>, TxError<RequestError<Infallible>>> {
        let mut conn = self.database.connection().await?;
        match requests::find(&conn, &[Operation::TopUp], request).await? {
            Some(known) => Ok(Some(load(&mut conn, known.result_id).await?)),
            None => Ok(None),
        }
    }
}

async fn load(conn: &mut AsyncPgConnection, entry: Uuid) -> QueryResult<WalletEntry> {
    let query = wallet_entries().filter(ledger_entries::id.eq(entry));
    query.first::<EntryRow>(conn).await?.into_entry()
}

#[async_trait]
impl Wallets for PostgresWallets {
    async fn top_up(
        &self,
        transfer: Transfer,
        request: RequestKey,
    ) -> Result<Applied<WalletEntry>, RequestError<TopUpRefusal>> {
        self.database.transact("wallets.top_up", || self.try_top_up(&transfer, &request)).await
    }

    async fn find_topped_up(&self, request: RequestKey) -> Result<Option<WalletEntry>, RequestError<Infallible>> {
        self.database.transact("wallets.find_topped_up", || self.try_find_topped_up(&request)).await
    }

    async fn find_charged(&self, user: UserId, payment: PaymentId) -> Result<Option<WalletEntry>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let of_user = wallet_entries().filter(ledger_entries::owner_id.eq(user.0));
        let of_payment = of_user.filter(transfers::payment_id.eq(payment.0));
        let query = of_payment.filter(transfers::kind.eq(transfer_kind_text(TransferKind::TopUp)));
        let row: Option<EntryRow> = query.first(&mut conn).await.optional().map_err(unavailable)?;
        row.map(EntryRow::into_entry).transpose().map_err(unavailable)
    }

    async fn balances(&self, user: UserId) -> Result<Vec<Money>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let rows: Vec<(i64, String)> = wallets::table
            .filter(wallets::user_id.eq(user.0))
            .order(wallets::currency)
            .select((wallets::balance_minor, wallets::currency))
            .load(&mut conn)
            .await
            .map_err(unavailable)?;
        let balances = rows.into_iter().map(|(minor, currency)| read_money(minor, &currency));
        balances.collect::<QueryResult<_>>().map_err(unavailable)
    }

    async fn entries(
        &self,
        user: UserId,
        page: PageRequest<EntryId>,
    ) -> Result<Page<WalletEntry, EntryId>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let mut query = wallet_entries().filter(ledger_entries::owner_id.eq(user.0)).into_boxed();
        if let Some(after) = page.after {
            query = query.filter(ledger_entries::id.lt(after.0));
        }
        let query = query.order(ledger_entries::id.desc()).limit(i64::from(page.size) + 1);
        let rows: Vec<EntryRow> = query.load(&mut conn).await.map_err(unavailable)?;
        let entries = rows.into_iter().map(EntryRow::into_entry).collect::<QueryResult<_>>().map_err(unavailable)?;
        Ok(Page::from_rows(entries, page.size, |entry| entry.id))
    }

    async fn ledger_entries(&self, transfer: TransferId) -> Result<Vec<LedgerEntry>, Unavailable> {
        let mut conn = self.database.connection().await?;
        ledger::of_transfer(&mut conn, transfer.0).await.map_err(unavailable)
    }
}

/// Moves the wallet's side of a transfer, whose amount is there. Returns the balance after it.
pub async fn move_money(conn: &AsyncPgConnection, transfer: &Transfer) -> QueryResult<i64> {
    if transfer.wallet_entry.amount_minor >= 0 {
        return pay_back(conn, transfer.user, transfer.amount).await;
    }
    debit(conn, transfer.user, transfer.amount).await?;
    Ok(lock(conn, transfer.user, transfer.amount.currency).await?.minor)
}

/// Adds what a fan gets back to a wallet, whatever its balance is: the limit is for top-ups. Returns the new balance.
async fn pay_back(conn: &AsyncPgConnection, user: UserId, amount: Money) -> QueryResult<i64> {
    const PAY_BACK: &str = "
        INSERT INTO wallets (user_id, currency, balance_minor) VALUES ($1, $2, $3)
        ON CONFLICT (user_id, currency) DO UPDATE SET balance_minor = wallets.balance_minor + excluded.balance_minor
        RETURNING balance_minor";
    let query = sql(PAY_BACK)
        .bind::<SqlUuid, _>(user.0)
        .bind::<Text, _>(amount.currency.code())
        .bind::<BigInt, _>(amount.minor);
    let balance: Balance = Cached(query).get_result(&mut &*conn).await?;
    Ok(balance.balance_minor)
}

/// Adds to a wallet, which is created if it does not exist. Returns the new balance, or `None` if it would exceed the limit.
async fn credit(conn: &mut AsyncPgConnection, user: UserId, amount: Money) -> QueryResult<Option<i64>> {
    const CREDIT: &str = "
        INSERT INTO wallets (user_id, currency, balance_minor)
        SELECT $1, $2, $3 WHERE $3 <= $4
        ON CONFLICT (user_id, currency) DO UPDATE
        SET balance_minor = wallets.balance_minor + excluded.balance_minor
        WHERE wallets.balance_minor <= $4 - excluded.balance_minor
        RETURNING balance_minor";
    let query = sql(CREDIT)
        .bind::<SqlUuid, _>(user.0)
        .bind::<Text, _>(amount.currency.code())
        .bind::<BigInt, _>(amount.minor)
        .bind::<BigInt, _>(amount.currency.balance_max_minor());
    let balance: Option<Balance> = Cached(query).get_result(conn).await.optional()?;
    Ok(balance.map(|balance| balance.balance_minor))
}

#[derive(QueryableByName)]
struct Balance {
    #[diesel(sql_type = BigInt)]
    balance_minor: i64,
}

/// Locks a wallet until the end of the transaction. Returns its balance, 0 if there is no wallet.
pub async fn lock(conn: &AsyncPgConnection, user: UserId, currency: Currency) -> QueryResult<Money> {
    let wallet = wallets::table.find((user.0, currency.code()));
    let query = wallet.select(wallets::balance_minor).for_update();
    let balance_minor: Option<i64> = query.first(&mut &*conn).await.optional()?;
    Ok(Money { minor: balance_minor.unwrap_or(0), currency })
}

/// Subtracts an amount from a wallet whose balance is sufficient.
pub async fn debit(conn: &AsyncPgConnection, user: UserId, amount: Money) -> QueryResult<()> {
    // A payment of zero is possible without a wallet, which has no row to change.
    if amount.minor == 0 {
        return Ok(());
    }
    let wallet = wallets::table.find((user.0, amount.currency.code()));
    let enough = wallet.filter(wallets::balance_minor.ge(amount.minor));
    let update = diesel::update(enough).set(wallets::balance_minor.eq(wallets::balance_minor - amount.minor));
    let updated = Cached(update).execute(&mut &*conn).await?;
    if updated == 1 { Ok(()) } else { Err(diesel::result::Error::NotFound) }
}

/// The ledger entries of wallets, which are those with a balance, as columns of [`EntryRow`].
#[diesel::dsl::auto_type]
fn wallet_entries() -> _ {
    let with_transfer = ledger_entries::table.inner_join(transfers::table);
    with_transfer.filter(ledger_entries::balance_after_minor.is_not_null()).select((
        ledger_entries::id,
        ledger_entries::transfer_id,
        ledger_entries::amount_minor,
        ledger_entries::balance_after_minor.assume_not_null(),
        transfers::kind,
        transfers::currency,
        transfers::payment_id,
        transfers::refund_id,
        transfers::made_at,
    ))
}

#[derive(Queryable)]
struct EntryRow {
    id: Uuid,
    transfer_id: Uuid,
    amount_minor: i64,
    balance_after_minor: i64,
    kind: String,
    currency: String,
    payment_id: Option<Uuid>,
    refund_id: Option<Uuid>,
    made_at: DateTime<Utc>,
}

impl EntryRow {
    fn into_entry(self) -> QueryResult<WalletEntry> {
        Ok(WalletEntry {
            id: EntryId(self.id),
            transfer: TransferId(self.transfer_id),
            kind: read_transfer_kind(&self.kind)?,
            amount: read_money(self.amount_minor, &self.currency)?,
            balance_after_minor: self.balance_after_minor,
            payment: self.payment_id.map(PaymentId),
            refund: self.refund_id.map(RefundId),
            at: self.made_at,
        })
    }
}
