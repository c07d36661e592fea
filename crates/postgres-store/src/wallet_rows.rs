//! Wallets, and the ledger entries of wallets, as rows.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::ids::{EntryId, PaymentId, RefundId, RequestId, TransferId, UserId};
use encore_domain::money::{Currency, Money};
use encore_domain::payment::Payment;
use encore_domain::wallet::{Transfer, WalletEntry, WalletEntryCursor};
use uuid::Uuid;

use crate::codec::{read_money, read_transfer_kind};
use crate::schema::{ledger_entries, transfers, wallets};
use crate::statement::{Cached, sql};

/// Moves the wallet's side of a transfer, whose amount is there. Returns the balance after it.
pub async fn move_money(conn: &AsyncPgConnection, transfer: &Transfer) -> QueryResult<i64> {
    if transfer.wallet_entry.amount_minor >= 0 {
        return pay_back(conn, transfer.user, transfer.amount).await;
    }
    debit_all(conn, &[(transfer.user, transfer.amount)]).await?;
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

/// Adds to wallets, which are created if they do not exist. Returns the new balances. A wallet whose balance would exceed the limit
/// is locked and left out; one for which the amount alone exceeds it is left out.
pub async fn credit_all(
    conn: &AsyncPgConnection,
    amounts: &BTreeMap<WalletKey, i64>,
) -> QueryResult<HashMap<WalletKey, i64>> {
    const CREDIT: &str = "
        INSERT INTO wallets (user_id, currency, balance_minor)
        SELECT user_id, $3, amount_minor FROM unnest($1, $2) AS credit (user_id, amount_minor)
        WHERE amount_minor <= $4
        ORDER BY user_id
        ON CONFLICT (user_id, currency) DO UPDATE
        SET balance_minor = wallets.balance_minor + excluded.balance_minor
        WHERE wallets.balance_minor <= $4 - excluded.balance_minor
        RETURNING user_id, balance_minor";
    let mut balances = HashMap::with_capacity(amounts.len());
    for (currency, credits) in by_currency(amounts) {
        let (users, amounts): (Vec<Uuid>, Vec<i64>) = credits.into_iter().unzip();
        let query = sql(CREDIT)
            .bind::<Array<SqlUuid>, _>(users)
            .bind::<Array<BigInt>, _>(amounts)
            .bind::<Text, _>(currency.code())
            .bind::<BigInt, _>(currency.balance_max_minor());
        let rows: Vec<BalanceOf> = Cached(query).load(&mut &*conn).await?;
        balances.extend(rows.into_iter().map(|row| row.of(currency)));
    }
    Ok(balances)
}

#[derive(QueryableByName)]
struct Balance {
    #[diesel(sql_type = BigInt)]
    balance_minor: i64,
}

#[derive(QueryableByName)]
#[diesel(table_name = wallets)]
struct BalanceOf {
    user_id: Uuid,
    balance_minor: i64,
}

impl BalanceOf {
    fn of(self, currency: Currency) -> (WalletKey, i64) {
        (WalletKey { currency, user: UserId(self.user_id) }, self.balance_minor)
    }
}

/// Locks a wallet until the end of the transaction. Returns its balance, 0 if there is no wallet.
pub async fn lock(conn: &AsyncPgConnection, user: UserId, currency: Currency) -> QueryResult<Money> {
    let wallet = wallets::table.find((user.0, currency.code()));
    let query = wallet.select(wallets::balance_minor).for_update();
    let balance_minor: Option<i64> = query.first(&mut &*conn).await.optional()?;
    Ok(Money { minor: balance_minor.unwrap_or(0), currency })
}

/// One wallet. The order is that in which wallets are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalletKey {
    pub currency: Currency,
    pub user: UserId,
}

/// What there is for the wallets of each currency, both in order.
fn by_currency<T: Copy>(wallets: &BTreeMap<WalletKey, T>) -> BTreeMap<Currency, Vec<(Uuid, T)>> {
    let mut by_currency: BTreeMap<Currency, Vec<(Uuid, T)>> = BTreeMap::new();
    for (key, value) in wallets {
        by_currency.entry(key.currency).or_default().push((key.user.0, *value));
    }
    by_currency
}

/// Locks wallets until the end of the transaction, in the order of their keys. Those that are marked are created if they do not exist:
/// where nothing is debited, there would be nothing to lock. Returns the balances of those that exist.
pub async fn lock_all(
    conn: &AsyncPgConnection,
    keys: &BTreeMap<WalletKey, bool>,
) -> QueryResult<HashMap<WalletKey, i64>> {
    const LOCK: &str = "
        SELECT user_id, balance_minor FROM wallets WHERE user_id = ANY($1) AND currency = $2 ORDER BY user_id FOR UPDATE";
    // One statement, so that wallets that exist and wallets that are created are locked in one order.
    const LOCK_OR_CREATE: &str = "
        INSERT INTO wallets (user_id, currency, balance_minor)
        SELECT wanted.user_id, $2, 0 FROM unnest($1, $3) AS wanted (user_id, is_created)
        WHERE is_created OR EXISTS (SELECT FROM wallets WHERE wallets.user_id = wanted.user_id AND currency = $2)
        ORDER BY wanted.user_id
        ON CONFLICT (user_id, currency) DO UPDATE SET balance_minor = wallets.balance_minor
        RETURNING user_id, balance_minor";
    let mut balances = HashMap::with_capacity(keys.len());
    for (currency, wanted) in by_currency(keys) {
        let (users, are_created): (Vec<Uuid>, Vec<bool>) = wanted.into_iter().unzip();
        let creates = are_created.contains(&true);
        let query = sql(if creates { LOCK_OR_CREATE } else { LOCK })
            .bind::<Array<SqlUuid>, _>(users)
            .bind::<Text, _>(currency.code());
        let rows: Vec<BalanceOf> = if creates {
            Cached(query.bind::<Array<Bool>, _>(are_created)).load(&mut &*conn).await?
        } else {
            Cached(query).load(&mut &*conn).await?
        };
        balances.extend(rows.into_iter().map(|row| row.of(currency)));
    }
    Ok(balances)
}

/// Subtracts amounts from locked wallets whose balances are sufficient.
pub async fn debit_all(conn: &AsyncPgConnection, debits: &[(UserId, Money)]) -> QueryResult<()> {
    // No join: a planner that knows nothing of the table yet may read all of it for one.
    const DEBIT: &str = "
        UPDATE wallets SET balance_minor = balance_minor - ($2::bigint[])[array_position($1, user_id)]
        WHERE user_id = ANY($1) AND currency = $3
          AND balance_minor >= ($2::bigint[])[array_position($1, user_id)]";
    let mut totals: BTreeMap<WalletKey, i64> = BTreeMap::new();
    // A debit of zero changes no row.
    for (user, amount) in debits.iter().filter(|(_, amount)| amount.minor != 0) {
        *totals.entry(WalletKey { currency: amount.currency, user: *user }).or_default() += amount.minor;
    }
    for (currency, debits) in by_currency(&totals) {
        let (users, totals): (Vec<Uuid>, Vec<i64>) = debits.into_iter().unzip();
        let wallets = users.len();
        let query = sql(DEBIT)
            .bind::<Array<SqlUuid>, _>(users)
            .bind::<Array<BigInt>, _>(totals)
            .bind::<Text, _>(currency.code());
        if Cached(query).execute(&mut &*conn).await? != wallets {
            return Err(diesel::result::Error::NotFound);
        }
    }
    Ok(())
}

/// The ledger entries of wallets with these ids.
pub async fn find_entries(conn: &AsyncPgConnection, ids: &[Uuid]) -> QueryResult<HashMap<Uuid, WalletEntry>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let query = wallet_entries().filter(ledger_entries::id.eq_any(ids));
    let rows: Vec<EntryRow> = Cached(query).load(&mut &*conn).await?;
    rows.into_iter().map(|row| Ok((row.id, row.into_entry()?))).collect()
}

/// The balances right after payments from wallets, by payment. It reads all entries of a wallet that are newer than the payment, so only
/// payments that were written without their balance are looked for.
pub async fn balances_after(conn: &AsyncPgConnection, payments: &[&Payment]) -> QueryResult<HashMap<Uuid, Money>> {
    // A payment is looked for from the newest entry of its wallet on.
    const FIND: &str = "
        SELECT wanted.payment_id, entry.balance_after_minor, entry.currency
        FROM unnest($1, $2) AS wanted (user_id, payment_id)
        CROSS JOIN LATERAL (
            SELECT e.balance_after_minor, t.currency
            FROM ledger_entries e JOIN transfers t ON t.id = e.transfer_id
            WHERE e.owner_id = wanted.user_id AND e.balance_after_minor IS NOT NULL
              AND t.payment_id = wanted.payment_id AND t.kind = 'payment'
            ORDER BY e.position DESC, e.id DESC LIMIT 1
        ) AS entry";
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = SqlUuid)]
        payment_id: Uuid,
        #[diesel(sql_type = BigInt)]
        balance_after_minor: i64,
        #[diesel(sql_type = Text)]
        currency: String,
    }
    if payments.is_empty() {
        return Ok(HashMap::new());
    }
    let query = sql(FIND)
        .bind::<Array<SqlUuid>, _>(payments.iter().map(|payment| payment.user.0).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(payments.iter().map(|payment| payment.id.0).collect::<Vec<_>>());
    let rows: Vec<Found> = query.load(&mut &*conn).await?;
    rows.into_iter().map(|row| Ok((row.payment_id, read_money(row.balance_after_minor, &row.currency)?))).collect()
}

/// The ledger entries of wallets, which are those with a balance, as columns of [`EntryRow`].
#[diesel::dsl::auto_type]
pub fn wallet_entries() -> _ {
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
        transfers::request_id,
        transfers::made_at,
        ledger_entries::position,
    ))
}

#[derive(Queryable)]
pub struct EntryRow {
    id: Uuid,
    transfer_id: Uuid,
    amount_minor: i64,
    balance_after_minor: i64,
    kind: String,
    currency: String,
    payment_id: Option<Uuid>,
    refund_id: Option<Uuid>,
    request_id: Option<Uuid>,
    made_at: DateTime<Utc>,
    position: i64,
}

impl EntryRow {
    /// Where it is in the listing of its wallets' owner.
    pub fn cursor(&self) -> WalletEntryCursor {
        (self.position, EntryId(self.id))
    }

    pub fn into_entry(self) -> QueryResult<WalletEntry> {
        Ok(WalletEntry {
            id: EntryId(self.id),
            transfer: TransferId(self.transfer_id),
            kind: read_transfer_kind(&self.kind)?,
            amount: read_money(self.amount_minor, &self.currency)?,
            balance_after_minor: self.balance_after_minor,
            payment: self.payment_id.map(PaymentId),
            refund: self.refund_id.map(RefundId),
            request: self.request_id.map(RequestId),
            at: self.made_at,
        })
    }
}
