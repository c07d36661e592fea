//! A reader that follows the sequence of the outbox does not skip an event that is not committed yet.
#![expect(clippy::expect_used, reason = "tests")]

mod common;

use diesel::QueryableByName;
use diesel::sql_types::Bool;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use encore_domain::ports::{Outbox, Users, Wallets};
use encore_port_tests::fixtures;
use encore_postgres_store::{Database, PostgresOutbox, PostgresUsers, PostgresWallets};

/// Whether a connection waits for an advisory lock.
async fn is_lock_awaited(conn: &mut AsyncPgConnection) -> bool {
    #[derive(QueryableByName)]
    struct Answer {
        #[diesel(sql_type = Bool)]
        waits: bool,
    }
    let query = "SELECT EXISTS (
            SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
            WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted
        ) AS waits";
    diesel::sql_query(query).get_result::<Answer>(conn).await.expect("the server lists its locks").waits
}

#[tokio::test]
async fn a_reader_waits_for_drawn_sequence_numbers() {
    let scratch = common::scratch().await;
    let database = Database::connect(&scratch.config()).await.expect("the scratch database accepts connections");
    let (users, wallets) = (PostgresUsers::new(database.clone()), PostgresWallets::new(database.clone()));
    let outbox = PostgresOutbox::new(database);
    let account = fixtures::account();
    let fan = account.user.id;
    users.create(account, None).await.expect("a user is created");

    // A writer has drawn a number and has not committed, as after `outbox::append`.
    let url = scratch.url();
    let mut writer = AsyncPgConnection::establish(&url).await.expect("the scratch database accepts connections");
    let draw = "BEGIN;
        SELECT pg_advisory_xact_lock_shared(x'456e636f'::integer, 2);
        INSERT INTO outbox (event_id, kind, key, payload, created_at)
        VALUES ('slow', 'test', '00000000-0000-0000-0000-000000000000', '{}', '2026-06-01T10:00:00Z')";
    writer.batch_execute(draw).await.expect("the event is written");
    // Another writer commits first.
    let top_up = fixtures::top_up(fan, fixtures::euros(1));
    wallets.top_up(top_up, fixtures::request(fan)).await.expect("writers do not block each other");

    let reading = tokio::spawn(async move { outbox.after(0, 10).await });
    while !reading.is_finished() && !is_lock_awaited(&mut writer).await {
        tokio::task::yield_now().await;
    }
    writer.batch_execute("COMMIT").await.expect("the event is committed");
    let records = reading.await.expect("the reader does not panic").expect("the database is available");
    let kinds: Vec<&str> = records.iter().map(|record| record.kind.as_str()).collect();
    assert_eq!(kinds, ["test", "wallet.topped_up"]);
}
