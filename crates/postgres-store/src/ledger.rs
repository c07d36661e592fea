//! Transfers and their ledger entries.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::ids::{EntryId, PerformanceId, UserId};
use encore_domain::wallet::{Account, LedgerEntry, Transfer};
use uuid::Uuid;

use crate::codec::transfer_kind_text;
use crate::error::corrupt;
use crate::schema::ledger_entries;
use crate::statement::{Cached, sql};

/// Writes a transfer with its two ledger entries.
pub async fn record(conn: &AsyncPgConnection, transfer: &Transfer, balance_after_minor: i64) -> QueryResult<()> {
    const RECORD: &str = "
        WITH transfer AS (
            INSERT INTO transfers (id, kind, user_id, amount_minor, currency, payment_id, made_at, refund_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $17)
        )
        INSERT INTO ledger_entries (id, transfer_id, account_kind, owner_id, amount_minor, balance_after_minor)
        VALUES ($8, $1, $9, $10, $11, $12), ($13, $1, $14, $15, $16, NULL)";
    let Transfer { wallet_entry, counter_entry, .. } = transfer;
    let (wallet_kind, wallet_owner) = account_columns(wallet_entry.account);
    let (counter_kind, counter_owner) = account_columns(counter_entry.account);
    let query = sql(RECORD)
        .bind::<SqlUuid, _>(transfer.id.0)
        .bind::<Text, _>(transfer_kind_text(transfer.kind))
        .bind::<SqlUuid, _>(transfer.user.0)
        .bind::<BigInt, _>(transfer.amount.minor)
        .bind::<Text, _>(transfer.amount.currency.code())
        .bind::<Nullable<SqlUuid>, _>(transfer.payment.map(|id| id.0))
        .bind::<Timestamptz, _>(transfer.at)
        .bind::<SqlUuid, _>(wallet_entry.id.0)
        .bind::<Text, _>(wallet_kind)
        .bind::<Nullable<SqlUuid>, _>(wallet_owner)
        .bind::<BigInt, _>(wallet_entry.amount_minor)
        .bind::<BigInt, _>(balance_after_minor)
        .bind::<SqlUuid, _>(counter_entry.id.0)
        .bind::<Text, _>(counter_kind)
        .bind::<Nullable<SqlUuid>, _>(counter_owner)
        .bind::<BigInt, _>(counter_entry.amount_minor)
        .bind::<Nullable<SqlUuid>, _>(transfer.refund.map(|id| id.0));
    Cached(query).execute(&mut &*conn).await?;
    Ok(())
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
    }
}

fn read_account(kind: &str, owner: Option<Uuid>) -> QueryResult<Account> {
    match (kind, owner) {
        ("gateway", None) => Ok(Account::Gateway),
        ("wallet", Some(owner)) => Ok(Account::Wallet(UserId(owner))),
        ("sales", Some(owner)) => Ok(Account::Sales(PerformanceId(owner))),
        _ => Err(corrupt("ledger account", kind)),
    }
}
