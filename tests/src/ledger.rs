//! Reads the ledger from the database, past the API.

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use encore_postgres_store::scratch::ScratchDatabase;

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The result of a query with one column, `number`, and one row.
async fn ask(database: &ScratchDatabase, query: &str) -> i64 {
    let mut connection = AsyncPgConnection::establish(&database.url()).await.expect("Postgres is available");
    diesel::sql_query(query).get_result::<Number>(&mut connection).await.expect("a number").number
}

/// Checks that the sum of all entries is zero, that no wallet is negative, and that every balance is the sum of its
/// entries.
pub async fn assert_conserved(database: &ScratchDatabase) {
    let sum = "SELECT coalesce(sum(amount_minor), 0)::bigint AS number FROM ledger_entries";
    assert_eq!(ask(database, sum).await, 0, "the sum of all entries");
    let unbalanced = "SELECT count(*) AS number FROM \
        (SELECT transfer_id FROM ledger_entries GROUP BY transfer_id HAVING sum(amount_minor) <> 0 OR count(*) <> 2) t";
    assert_eq!(ask(database, unbalanced).await, 0, "transfers whose entries do not sum to zero");
    let overdrawn = "SELECT count(*) AS number FROM wallets WHERE balance_minor < 0";
    assert_eq!(ask(database, overdrawn).await, 0, "wallets below zero");
    let differing = "SELECT count(*) AS number FROM wallets FULL JOIN \
        (SELECT owner_id AS user_id, currency, sum(entry.amount_minor) AS balance \
         FROM ledger_entries entry JOIN transfers ON transfers.id = transfer_id \
         WHERE account_kind = 'wallet' GROUP BY owner_id, currency) entries USING (user_id, currency) \
        WHERE wallets.balance_minor IS DISTINCT FROM entries.balance";
    assert_eq!(ask(database, differing).await, 0, "wallets whose balance is not the sum of their entries");
}

/// The number of payments.
pub async fn payments(database: &ScratchDatabase) -> i64 {
    ask(database, "SELECT count(*) AS number FROM payments").await
}

/// The number of events of a kind in the outbox.
pub async fn events(database: &ScratchDatabase, kind: &str) -> i64 {
    ask(database, &format!("SELECT count(*) AS number FROM outbox WHERE kind = '{kind}'")).await
}

/// Executes statements that no port can, to damage records or to move a deadline.
pub async fn damage(database: &ScratchDatabase, statements: &str) {
    let mut connection = AsyncPgConnection::establish(&database.url()).await.expect("Postgres is available");
    connection.batch_execute(statements).await.expect("valid statements");
}
