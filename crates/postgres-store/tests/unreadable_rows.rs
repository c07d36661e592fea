//! A row that this version cannot read concerns nothing else.
#![expect(clippy::expect_used, reason = "tests")]

mod common;

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use encore_domain::event::OutboxPlace;
use encore_domain::ports::{Outbox, Users, Wallets};
use encore_port_tests::fixtures;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_postgres_store::{Database, PostgresOutbox, PostgresUsers, PostgresWallets};

/// Executes statements on a connection of their own.
async fn execute(scratch: &ScratchDatabase, statements: &str) {
    let mut conn =
        AsyncPgConnection::establish(&scratch.url()).await.expect("the scratch database accepts connections");
    conn.batch_execute(statements).await.expect("the statements are executed");
}

async fn connect(scratch: &ScratchDatabase) -> Database {
    Database::connect(&scratch.config()).await.expect("the scratch database accepts connections")
}

#[tokio::test]
async fn an_event_that_cannot_be_read_hides_no_other() {
    // A number that no float can be; a form that no version has written; a kind that a later version writes.
    for damage in [r#"payload = '{"n": 1e400}'"#, "payload = '[]'", "kind = 'booking.hold_dreamt_of'"] {
        let scratch = common::scratch().await;
        let database = connect(&scratch).await;
        let (users, wallets) = (PostgresUsers::new(database.clone()), PostgresWallets::new(database.clone()));
        let account = fixtures::account();
        let fan = account.user.id;
        users.create(account, None).await.expect("a user is created");
        for _ in 0..2 {
            let top_up = fixtures::top_up(fan, fixtures::euros(1));
            wallets.top_up(top_up, fixtures::request(fan)).await.expect("a top-up");
        }
        let outbox = PostgresOutbox::new(database);
        outbox.close_window().await.expect("the database is available");
        execute(&scratch, &format!("UPDATE outbox SET {damage} WHERE sequence = 1")).await;

        let page = outbox.after(OutboxPlace::default(), 10).await.expect("the page is read");
        let readable: Vec<bool> = page.records.iter().map(|record| record.event.is_ok()).collect();
        assert_eq!(readable, [false, true], "{damage}");
        let found = outbox.find(&[page.records[0].place]).await.expect("the record is read");
        assert_eq!(found, page.records[..1], "{damage}");
    }
}
