//! Looking behind the API at the money: every entry, every wallet.

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use encore_postgres_store::scratch::ScratchDatabase;

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The answer of a query that answers one number, named `number`.
async fn ask(database: &ScratchDatabase, query: &str) -> i64 {
    let mut connection = AsyncPgConnection::establish(&database.url()).await.expect("Postgres is there");
    diesel::sql_query(query).get_result::<Number>(&mut connection).await.expect("a number").number
}

/// No money was made or lost, no wallet is below zero, and every wallet holds what its entries say.
pub async fn assert_conserved(database: &ScratchDatabase) {
    let sum = "SELECT coalesce(sum(amount_minor), 0)::bigint AS number FROM ledger_entries";
    assert_eq!(ask(database, sum).await, 0, "the sum of all entries");
    let unbalanced = "SELECT count(*) AS number FROM \
        (SELECT transfer_id FROM ledger_entries GROUP BY transfer_id HAVING sum(amount_minor) <> 0 OR count(*) <> 2) t";
    assert_eq!(ask(database, unbalanced).await, 0, "transfers whose sides do not sum to zero");
    let overdrawn = "SELECT count(*) AS number FROM wallets WHERE balance_minor < 0";
    assert_eq!(ask(database, overdrawn).await, 0, "wallets below zero");
    let differing = "SELECT count(*) AS number FROM wallets FULL JOIN \
        (SELECT owner_id AS user_id, currency, sum(entry.amount_minor) AS balance \
         FROM ledger_entries entry JOIN transfers ON transfers.id = transfer_id \
         WHERE account_kind = 'wallet' GROUP BY owner_id, currency) entries USING (user_id, currency) \
        WHERE wallets.balance_minor IS DISTINCT FROM entries.balance";
    assert_eq!(ask(database, differing).await, 0, "wallets that do not hold what their entries say");
}

/// How many payments there are.
pub async fn payments(database: &ScratchDatabase) -> i64 {
    ask(database, "SELECT count(*) AS number FROM payments").await
}

/// How many events of a kind are in the outbox.
pub async fn events(database: &ScratchDatabase, kind: &str) -> i64 {
    ask(database, &format!("SELECT count(*) AS number FROM outbox WHERE kind = '{kind}'")).await
}

/// Does what no port can do, as damage to be found.
pub async fn damage(database: &ScratchDatabase, statements: &str) {
    let mut connection = AsyncPgConnection::establish(&database.url()).await.expect("Postgres is there");
    connection.batch_execute(statements).await.expect("the damage is done");
}
