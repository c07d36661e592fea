//! A reader of the outbox does not skip an event that is not committed yet, whatever the numbers of the events are.
#![expect(clippy::expect_used, reason = "tests")]

mod common;

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
        users.add_all(vec![account]).await.expect("a user is created");
        Self { scratch, outbox: PostgresOutbox::new(database), wallets, fan }
    }

    async fn top_up(&self) {
        let top_up = fixtures::top_up(self.fan, fixtures::euros(1));
        self.wallets.top_up(top_up, fixtures::request(self.fan)).await.expect("writers do not wait for each other");
    }

    async fn close_window(&self) {
        self.outbox.close_window().await.expect("the database is available");
    }

    async fn kinds(&self) -> Vec<String> {
        let page = self.outbox.after(OutboxPlace::default(), 10).await.expect("the database is available");
        page.records.into_iter().map(|record| record.kind).collect()
    }
}

/// Executes statements on a connection of their own.
async fn connect(bench: &Bench, statements: &str) -> AsyncPgConnection {
    let url = bench.scratch.url();
    let mut conn = AsyncPgConnection::establish(&url).await.expect("the scratch database accepts connections");
    conn.batch_execute(statements).await.expect("the statements are executed");
    conn
}

/// Writes an event with this id.
fn write(id: &str) -> String {
    format!(
        "INSERT INTO outbox (event_id, kind, key, payload, created_at)
         VALUES ('{id}', '{id}', '00000000-0000-0000-0000-000000000000', '{{}}', '2026-06-01T10:00:00Z');"
    )
}

#[tokio::test]
async fn an_event_that_is_not_committed_is_not_skipped() {
    let bench = Bench::start().await;
    let mut slow = connect(&bench, &format!("BEGIN; {}", write("slow"))).await;
    // A later transaction, with a higher number, commits first.
    bench.top_up().await;
    bench.close_window().await;
    assert_eq!(bench.kinds().await, ["wallet.topped_up"]);

    slow.batch_execute("COMMIT").await.expect("the event is committed");
    bench.close_window().await;
    assert_eq!(bench.kinds().await, ["wallet.topped_up", "slow"]);
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_leaves_nothing() {
    let bench = Bench::start().await;
    let mut slow = connect(&bench, &format!("BEGIN; {}", write("slow"))).await;
    bench.top_up().await;
    slow.batch_execute("ROLLBACK").await.expect("the event is not written");
    bench.close_window().await;
    assert_eq!(bench.kinds().await, ["wallet.topped_up"]);
}

/// An event with a lower transaction id than one that it depends on comes after it all the same, also while a transaction with an id
/// between them is open.
#[tokio::test]
async fn an_event_comes_after_what_it_depends_on() {
    let bench = Bench::start().await;
    // Ids are drawn in this order: that of the event that depends on the other is the lowest.
    let mut later = connect(&bench, "BEGIN; SELECT pg_current_xact_id()").await;
    let mut between = connect(&bench, "BEGIN; SELECT pg_current_xact_id()").await;
    bench.top_up().await;
    later.batch_execute(&format!("{} COMMIT", write("later"))).await.expect("the event is written");
    bench.close_window().await;
    assert_eq!(bench.kinds().await, ["wallet.topped_up", "later"]);
    between.batch_execute(&format!("{} COMMIT", write("between"))).await.expect("the event is written");
    bench.close_window().await;
    assert_eq!(bench.kinds().await, ["wallet.topped_up", "later", "between"]);
}

#[tokio::test]
async fn an_idle_system_writes_no_windows() {
    let bench = Bench::start().await;
    bench.top_up().await;
    bench.close_window().await;
    let first = bench.outbox.after(OutboxPlace::default(), 10).await.expect("the database is available").end;
    for _ in 0..3 {
        bench.close_window().await;
    }
    let end = bench.outbox.after(first, 10).await.expect("the database is available").end;
    assert_eq!(end, first);
}

#[tokio::test]
async fn the_oldest_transaction_is_one_that_has_written_and_not_ended() {
    let bench = Bench::start().await;
    let oldest = async || bench.outbox.oldest_transaction().await.expect("the database is available");
    let _reads = connect(&bench, "BEGIN; SELECT 1").await;
    assert_eq!(oldest().await, None, "what only reads holds back nothing");
    let mut slow = connect(&bench, &format!("BEGIN; {}", write("slow"))).await;
    let began = oldest().await.expect("a transaction");
    let _later = connect(&bench, &format!("BEGIN; {}", write("later"))).await;
    assert_eq!(oldest().await, Some(began));
    slow.batch_execute("COMMIT").await.expect("the event is committed");
    assert!(oldest().await.is_some_and(|other| other > began), "the later one is the oldest now");
}
