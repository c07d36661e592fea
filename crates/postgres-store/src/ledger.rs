//! Transfers and their ledger entries.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::ids::{EntryId, PerformanceId, TransferId, UserId};
use encore_domain::wallet::{Account, LedgerEntry, Transfer};
use uuid::Uuid;

use crate::codec::transfer_kind_text;
use crate::error::corrupt;
use crate::schema::ledger_entries;
use crate::statement::{Cached, sql};

/// Writes transfers with their ledger entries, each with the balance of the wallet after it. The wallets are locked, and the transfers
/// of each are in the order of its balances: that becomes the order of its entries. Entries of other accounts have no position.
pub async fn record(conn: &AsyncPgConnection, transfers: &[(&Transfer, i64)]) -> QueryResult<()> {
    const RECORD: &str = "
        WITH transfer AS (
            INSERT INTO transfers (id, kind, user_id, amount_minor, currency, payment_id, made_at, refund_id, request_id)
            SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $15)
        )
        INSERT INTO ledger_entries (id, transfer_id, account_kind, owner_id, amount_minor, balance_after_minor, position)
        SELECT entry.*, CASE WHEN balance_after_minor IS NULL THEN 0 ELSE nextval('ledger_positions') END
        FROM unnest($9, $10, $11, $12, $13, $14)
            AS entry (id, transfer_id, account_kind, owner_id, amount_minor, balance_after_minor)";
    if transfers.is_empty() {
        return Ok(());
    }
    let of_wallets = transfers.iter().map(|(it, balance)| (it.id, it.wallet_entry, Some(*balance)));
    let counter_entries = transfers.iter().map(|(it, _)| (it.id, it.counter_entry, None));
    let entries: Vec<(TransferId, LedgerEntry, Option<i64>)> = of_wallets.chain(counter_entries).collect();
    let query = sql(RECORD)
        .bind::<Array<SqlUuid>, _>(each(transfers, |it| it.id.0))
        .bind::<Array<Text>, _>(each(transfers, |it| transfer_kind_text(it.kind)))
        .bind::<Array<SqlUuid>, _>(each(transfers, |it| it.user.0))
        .bind::<Array<BigInt>, _>(each(transfers, |it| it.amount.minor))
        .bind::<Array<Text>, _>(each(transfers, |it| it.amount.currency.code().to_owned()))
        .bind::<Array<Nullable<SqlUuid>>, _>(each(transfers, |it| it.payment.map(|id| id.0)))
        .bind::<Array<Timestamptz>, _>(each(transfers, |it| it.at))
        .bind::<Array<Nullable<SqlUuid>>, _>(each(transfers, |it| it.refund.map(|id| id.0)))
        .bind::<Array<SqlUuid>, _>(entries.iter().map(|(_, entry, _)| entry.id.0).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(entries.iter().map(|(transfer, ..)| transfer.0).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(entries.iter().map(|(_, it, _)| account_columns(it.account).0).collect::<Vec<_>>())
        .bind::<Array<Nullable<SqlUuid>>, _>(
            entries.iter().map(|(_, it, _)| account_columns(it.account).1).collect::<Vec<_>>(),
        )
        .bind::<Array<BigInt>, _>(entries.iter().map(|(_, entry, _)| entry.amount_minor).collect::<Vec<_>>())
        .bind::<Array<Nullable<BigInt>>, _>(entries.iter().map(|(.., balance)| *balance).collect::<Vec<_>>())
        .bind::<Array<Nullable<SqlUuid>>, _>(each(transfers, |it| it.request.map(|id| id.0)));
    Cached(query).execute(&mut &*conn).await?;
    Ok(())
}

fn each<T>(transfers: &[(&Transfer, i64)], column: impl Fn(&Transfer) -> T) -> Vec<T> {
    transfers.iter().map(|(transfer, _)| column(transfer)).collect()
}

/// The ledger entries of a transfer, that of the wallet first.
pub async fn of_transfer(conn: &mut AsyncPgConnection, transfer: Uuid) -> QueryResult<Vec<LedgerEntry>> {
    let rows: Vec<(Uuid, String, Option<Uuid>, i64)> = ledger_entries::table
        .filter(ledger_entries::transfer_id.eq(transfer))
        .order(ledger_entries::account_kind.desc())
        .select((
            ledger_entries::id,
            ledger_entries::account_kind,
            ledger_entries::owner_id,
            ledger_entries::amount_minor,
        ))
        .load(conn)
        .await?;
    let entry = |(id, kind, owner, amount_minor): (Uuid, String, Option<Uuid>, i64)| {
        Ok(LedgerEntry { id: EntryId(id), account: read_account(&kind, owner)?, amount_minor })
    };
    rows.into_iter().map(entry).collect()
}

fn account_columns(account: Account) -> (&'static str, Option<Uuid>) {
    match account {
        Account::Gateway => ("gateway", None),
        Account::Wallet(user) => ("wallet", Some(user.0)),
        Account::Sales(performance) => ("sales", Some(performance.0)),
        Account::Operator(operator) => ("operator", Some(operator.0)),
    }
}

fn read_account(kind: &str, owner: Option<Uuid>) -> QueryResult<Account> {
    match (kind, owner) {
        ("gateway", None) => Ok(Account::Gateway),
        ("wallet", Some(owner)) => Ok(Account::Wallet(UserId(owner))),
        ("sales", Some(owner)) => Ok(Account::Sales(PerformanceId(owner))),
        ("operator", Some(owner)) => Ok(Account::Operator(UserId(owner))),
        _ => Err(corrupt("ledger account", kind)),
    }
}
