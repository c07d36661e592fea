//! A reader of the outbox does not skip an event that is not committed yet, whatever the numbers of the events are.
#![expect(clippy::expect_used, reason = "tests")]

mod common;

use std::time::Duration;

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use encore_domain::event::OutboxPlace;
use encore_domain::ids::UserId;
use encore_domain::ports::{Outbox, Users, Wallets};
use encore_port_tests::fixtures;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_postgres_store::{Database, PostgresOutbox, PostgresUsers, PostgresWallets};

struct Bench {
    scratch: ScratchDatabase,
    outbox: PostgresOutbox,
    wallets: PostgresWallets,
    fan: UserId,
}

impl Bench {
    async fn start() -> Self {
        let scratch = common::scratch().await;
        let database = Database::connect(&scratch.config()).await.expect("the scratch database accepts connections");
        let (users, wallets) = (PostgresUsers::new(database.clone()), PostgresWallets::new(database.clone()));
        let account = fixtures::account();
        let fan = account.user.id;
        users.create(account, None).await.expect("a user is created");
        Self { scratch, outbox: PostgresOutbox::new(database), wallets, fan }
    }

    /// A transaction that has written an event and is still open.
    async fn open_writer(&self) -> AsyncPgConnection {
        let url = self.scratch.url();
        let mut writer = AsyncPgConnection::establish(&url).await.expect("the scratch database accepts connections");
        let write = "BEGIN;
            INSERT INTO outbox (event_id, kind, key, payload, created_at)
            VALUES ('slow', 'test', '00000000-0000-0000-0000-000000000000', '{}', '2026-06-01T10:00:00Z')";
        writer.batch_execute(write).await.expect("the event is written");
        writer
    }

    async fn top_up(&self) {
        let top_up = fixtures::top_up(self.fan, fixtures::euros(1));
        self.wallets.top_up(top_up, fixtures::request(self.fan)).await.expect("writers do not wait for each other");
    }

    async fn close_window(&self) -> bool {
        self.outbox.close_window().await.expect("the database is available")
    }

    async fn kinds(&self) -> Vec<String> {
        let page = self.outbox.after(OutboxPlace::default(), 10).await.expect("the database is available");
        page.records.into_iter().map(|record| record.kind).collect()
    }

    /// Waits for transactions of other tests on the same server.
    async fn close_all(&self) {
        while !self.close_window().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn an_event_waits_for_earlier_transactions() {
    let bench = Bench::start().await;
    let mut writer = bench.open_writer().await;
    // A later transaction commits first.
    bench.top_up().await;
    assert!(!bench.close_window().await, "an event is left");
    assert_eq!(bench.kinds().await, [""; 0], "the earlier transaction may still commit a lower number");

    writer.batch_execute("COMMIT").await.expect("the event is committed");
    bench.close_all().await;
    assert_eq!(bench.kinds().await, ["test", "wallet.topped_up"]);
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_holds_nothing_back() {
    let bench = Bench::start().await;
    let mut writer = bench.open_writer().await;
    bench.top_up().await;
    writer.batch_execute("ROLLBACK").await.expect("the event is not written");
    bench.close_all().await;
    assert_eq!(bench.kinds().await, ["wallet.topped_up"]);
}

/// An event with a lower transaction id than one that it depends on comes after it all the same.
#[tokio::test]
async fn an_event_comes_after_what_it_depends_on() {
    let bench = Bench::start().await;
    let url = bench.scratch.url();
    let mut later = AsyncPgConnection::establish(&url).await.expect("the scratch database accepts connections");
    // Its transaction id is drawn here, before that of the top-up which it then waits for.
    later.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.expect("a transaction id");
    bench.top_up().await;
    let write = "INSERT INTO outbox (event_id, kind, key, payload, created_at)
        VALUES ('after', 'test', '00000000-0000-0000-0000-000000000000', '{}', '2026-06-01T10:00:00Z');
        COMMIT";
    later.batch_execute(write).await.expect("the event is written");
    bench.close_all().await;
    assert_eq!(bench.kinds().await, ["wallet.topped_up", "test"]);
}

#[tokio::test]
async fn an_idle_system_writes_no_windows() {
    let bench = Bench::start().await;
    bench.top_up().await;
    bench.close_all().await;
    let first = bench.outbox.after(OutboxPlace::default(), 10).await.expect("the database is available").end;
    for _ in 0..3 {
        assert!(bench.close_window().await);
    }
    let end = bench.outbox.after(first, 10).await.expect("the database is available").end;
    assert_eq!(end, first);
}
