use super::*;
use crate::baselines::postgres::connection::{Manager, TOTAL_MINOR};
use crate::baselines::postgres::fixture::WALLET_MINOR;
use bb8::ManageConnection;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio_postgres::types::FromSqlOwned;
use tokio_util::sync::CancellationToken;

const CALLS: u64 = 150;
const FEW: Saturated = Saturated { in_flight: 12, lasts: Duration::from_mins(1), calls_max: CALLS };

fn load() -> Load {
    Load { stop: CancellationToken::new() }
}

fn url() -> String {
    std::env::var("ENCORE_DATABASE_URL").expect("ENCORE_DATABASE_URL names a Postgres server: run `cargo xtask test`")
}

/// Fewer connections than callers, so that waiting for one is tested too.
async fn baselines() -> PostgresBaselines {
    let redis =
        std::env::var("ENCORE_REDIS_URL").expect("ENCORE_REDIS_URL names a Redis server: run `cargo xtask test`");
    let connected = PostgresBaselines::connect(&url(), 6).await;
    let mut baselines = connected.expect("the server of ENCORE_DATABASE_URL lets a database be made");
    baselines.lock_in_redis(&redis).await.expect("the server of ENCORE_REDIS_URL answers");
    baselines
}

impl PostgresBaselines {
    async fn one<T: FromSqlOwned>(&self, query: &str) -> T {
        let connection = self.pool.get().await.expect("a connection");
        connection.client.query_one(query, &[]).await.expect("an answer").get(0)
    }
}

async fn databases_named(name: &str) -> i64 {
    let client = database::connect(&url().parse().expect("an address")).await.expect("the server answers");
    let query = "SELECT count(*) FROM pg_database WHERE datname = $1";
    client.query_one(query, &[&name]).await.expect("an answer").get(0)
}

fn only_successes(measured: &Counted) {
    assert_eq!((measured.successes(), measured.calls()), (CALLS, CALLS), "{measured:?}");
}

#[tokio::test]
async fn every_commit_leaves_its_row() {
    let baselines = baselines().await;
    for _ in 0..2 {
        only_successes(&baselines.commits(&load(), FEW).await);
    }
    assert_eq!(baselines.one::<i64>("SELECT count(*) FROM commits").await, 300, "each measurement has its own rows");
    baselines.close().await.expect("the database is dropped");
}

#[tokio::test]
async fn every_hold_has_its_two_seats() {
    for way in Way::ALL {
        holds_have_their_seats(way).await;
    }
}

async fn holds_have_their_seats(way: Way) {
    let baselines = baselines().await;
    only_successes(&baselines.hold(way, &load(), FEW).await.expect("it is measured"));
    let whole = "SELECT count(*) FROM reservations WHERE state = 'held' AND total_minor =
        (SELECT sum(price_minor) FROM reservation_seats WHERE reservation_id = reservations.id)";
    assert_eq!(baselines.one::<i64>(whole).await, 150);
    let held = "SELECT count(*) FROM seats JOIN reservation_seats USING (reservation_id, slot) WHERE state = 'held'";
    assert_eq!(baselines.one::<i64>(held).await, 300);
    assert_eq!(baselines.one::<i64>("SELECT count(*) FROM seats WHERE state <> 'held'").await, 0);
    baselines.close().await.expect("the database is dropped");
}

#[tokio::test]
async fn every_payment_is_in_wallet_ledger_and_seats() {
    for way in Way::ALL {
        payments_are_everywhere(way).await;
    }
}

async fn payments_are_everywhere(way: Way) {
    let baselines = baselines().await;
    only_successes(&baselines.pay(way, &load(), FEW).await.expect("it is measured"));
    let left = WALLET_MINOR - TOTAL_MINOR;
    let paid = format!("SELECT count(*) FROM wallets WHERE balance_minor = {left}");
    assert_eq!(baselines.one::<i64>(&paid).await, 150);
    let entered = format!(
        "SELECT count(*) FROM payments JOIN reservations ON reservations.id = reservation_id
         JOIN ledger_entries wallet ON wallet.payment_id = payments.id AND wallet.account_kind = 'wallet'
         JOIN ledger_entries sales ON sales.payment_id = payments.id AND sales.account_kind = 'sales'
         WHERE state = 'confirmed' AND amount_minor = total_minor AND sales.amount_minor = total_minor
             AND wallet.amount_minor = -total_minor AND wallet.owner_id = payments.user_id
             AND sales.owner_id = performance_id AND wallet.balance_after_minor = {left}"
    )
    .replace("AND amount_minor", "AND payments.amount_minor");
    assert_eq!(baselines.one::<i64>(&entered).await, 150);
    assert_eq!(baselines.one::<i64>("SELECT sum(amount_minor)::bigint FROM ledger_entries").await, 0);
    assert_eq!(baselines.one::<i64>("SELECT count(*) FROM seats WHERE state = 'sold'").await, 300);
    assert_eq!(baselines.one::<i64>("SELECT count(*) FROM seats WHERE state <> 'sold'").await, 0);
    baselines.close().await.expect("the database is dropped");
}

#[tokio::test]
async fn of_those_who_contend_one_wins() {
    for way in Way::ALL {
        one_wins(way).await;
    }
}

async fn one_wins(way: Way) {
    let baselines = baselines().await;
    let measured = baselines.contend(way, &load(), 200).await.expect("it is measured").measurement("at once", "hold");
    let refused = ["SEATS_TAKEN", "LOCKED"].map(|reason| measured.refusals.get(reason).copied().unwrap_or_default());
    assert_eq!((measured.successes, refused.iter().sum::<u64>(), measured.errors.len()), (1, 199, 0), "{way:?}");
    assert_eq!(baselines.one::<i64>("SELECT count(*) FROM seats WHERE state = 'held'").await, 2);
    assert_eq!(baselines.one::<i64>("SELECT count(*) FROM reservation_seats").await, 2);
    assert_eq!(baselines.one::<i64>("SELECT count(*) FROM reservations").await, 1);
    baselines.close().await.expect("the database is dropped");
}

#[tokio::test]
async fn who_cannot_pay_or_has_no_hold_is_refused_and_nothing_changes() {
    let baselines = baselines().await;
    let fixture = baselines.next_fixture();
    baselines.fill(&load(), fixture, 2, Fill::HeldSeats).await.expect("it is prepared");
    {
        let mut connection = baselines.pool.get().await.expect("a connection");
        let sql = format!("UPDATE wallets SET balance_minor = 1 WHERE user_id = '{}'", fixture.payment(0).fan);
        connection.client.batch_execute(&sql).await.expect("it is poor now");
        let insufficient = Outcome::Refused("INSUFFICIENT_BALANCE".into());
        assert_eq!(connection.pay(&fixture.payment(0)).await.expect("an answer"), insufficient);
        let (unlocked, again) = connection.pay_unlocked(&fixture.payment(0)).await.expect("an answer");
        assert_eq!((unlocked, again), (insufficient, 0));
        assert_eq!(connection.pay(&fixture.payment(1)).await.expect("an answer"), Outcome::Success);
        for number in [1, 2] {
            let unheld = connection.pay(&fixture.payment(number)).await.expect("an answer");
            assert_eq!(unheld, Outcome::Refused("RESERVATION_NOT_HELD".into()), "paid already, or never made");
        }
        assert!(!Manager { config: baselines.database.config() }.has_broken(&mut connection), "it can be used again");
    }
    assert_eq!(baselines.one::<i64>("SELECT count(*) FROM payments").await, 1);
    assert_eq!(baselines.one::<i64>("SELECT min(balance_minor) FROM wallets").await, 1);
    baselines.close().await.expect("the database is dropped");
}

#[tokio::test]
async fn a_connection_that_was_left_in_a_transaction_is_thrown_away() {
    let baselines = baselines().await;
    let fixture = baselines.next_fixture();
    baselines.fill(&load(), fixture, 1, Fill::FreeSeats).await.expect("it is prepared");
    let caller = baselines.caller(Way::ForUpdate, |tried_again| &tried_again.hold);
    assert_eq!(caller.hold(&fixture.hold(0, 0)).await, Outcome::Success);
    let sql = "UPDATE seats SET state = 'free', reservation_id = NULL";
    baselines.pool.get().await.expect("a connection").client.batch_execute(sql).await.expect("they are free");
    // The same id once more: a failure between the round trips, after which nothing is held and nothing is locked.
    assert_eq!(caller.hold(&fixture.hold(0, 0)).await, Outcome::Failed("23505".into()));
    assert_eq!(caller.hold(&fixture.hold(1, 0)).await, Outcome::Success);
    assert_eq!(baselines.pool.closed_broken(), 1);
    baselines.close().await.expect("the database is dropped");
}

#[tokio::test]
async fn who_gave_a_connection_back_takes_it_again_after_those_who_wait() {
    let baselines = PostgresBaselines::connect(&url(), 1).await.expect("a database is made");
    let held = baselines.pool.get().await.expect("a connection");
    let (pool, served) = (baselines.pool.clone(), Arc::new(AtomicBool::new(false)));
    let serving = Arc::clone(&served);
    let waiting = tokio::spawn(async move {
        let _connection = pool.get().await.expect("a connection");
        serving.store(true, Ordering::Relaxed);
    });
    tokio::task::yield_now().await;
    drop(held);
    drop(baselines.pool.get().await.expect("a connection"));
    assert!(served.load(Ordering::Relaxed), "they came first");
    waiting.await.expect("it was served");
    baselines.close().await.expect("the database is dropped");
}

#[tokio::test]
async fn a_statement_that_hangs_ends() {
    let baselines = PostgresBaselines::connect(&url(), 1).await.expect("a database is made");
    assert_eq!(baselines.one::<String>("SHOW statement_timeout").await, "5s");
    baselines.close().await.expect("the database is dropped");
}

#[tokio::test]
async fn the_database_is_gone_afterwards_also_if_nobody_closes_it() {
    let closed = baselines().await;
    let name = closed.database.name().to_owned();
    assert_eq!(databases_named(&name).await, 1);
    closed.close().await.expect("the database is dropped");
    assert_eq!(databases_named(&name).await, 0);
    let dropped = baselines().await;
    let name = dropped.database.name().to_owned();
    drop(dropped);
    assert_eq!(databases_named(&name).await, 0);
}

#[tokio::test]
async fn a_server_that_may_forget_is_told_of() {
    let mut baselines = baselines().await;
    baselines.forgetful.clear();
    let about = baselines.about(Kind::Commits).expect("it is on Postgres");
    assert!(about.ends_with("which favours it."), "{about}");
    {
        let connection = baselines.pool.get().await.expect("a connection");
        connection.client.batch_execute("SET synchronous_commit = off").await.expect("it is set");
        baselines.forgetful = connection.forgetful().await.expect("an answer");
    }
    let about = baselines.about(Kind::Commits).expect("it is on Postgres");
    assert!(about.contains("synchronous_commit is off"), "{about}");
    baselines.close().await.expect("the database is dropped");
}

#[tokio::test]
async fn a_load_that_is_stopped_prepares_no_more() {
    let baselines = baselines().await;
    let load = load();
    load.stop.cancel();
    let measured = baselines.hold(Way::ForUpdate, &load, FEW).await.expect("it is measured");
    assert_eq!(measured.calls(), 0);
    assert_eq!(baselines.one::<i64>("SELECT count(*) FROM seats").await, 0);
    baselines.close().await.expect("the database is dropped");
}

#[tokio::test]
async fn without_a_server_there_is_no_baseline() {
    let nobody = PostgresBaselines::connect("postgres://nobody@127.0.0.1:1/none", 1).await;
    assert!(matches!(nobody, Err(BaselineError::Postgres(_))));
}

#[test]
fn no_more_is_prepared_than_can_be_needed() {
    let lasting = |seconds, calls_max| Saturated { in_flight: 1, lasts: Duration::from_secs(seconds), calls_max };
    assert_eq!(prepared(lasting(3, u64::MAX)), 30_000);
    assert_eq!(prepared(lasting(3, 70)), 70);
    assert_eq!(prepared(lasting(3_600, u64::MAX)), PREPARED_MAX);
}

#[tokio::test]
async fn who_was_late_reads_again_and_leaves_nothing_behind() {
    let baselines = baselines().await;
    let fixture = baselines.next_fixture();
    baselines.fill(&load(), fixture, 1, Fill::FreeSeats).await.expect("it is prepared");
    {
        let (mut late, other) =
            (baselines.pool.get().await.expect("a connection"), baselines.pool.get().await.expect("another"));
        // Another changes a seat between the read and the write: their transaction waits for that one to end.
        other
            .client
            .batch_execute("BEGIN; UPDATE seats SET version = version + 1 WHERE slot = 0")
            .await
            .expect("changed");
        let hold = fixture.hold(0, 0);
        let late = async { late.hold_unlocked(&hold).await.expect("an answer") };
        let ending = async {
            let waiting =
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while other.client.query_one(waiting, &[]).await.expect("a count").get::<_, i64>(0) == 0 {
                tokio::task::yield_now().await;
            }
            other.client.batch_execute("COMMIT").await.expect("committed");
        };
        let (tried, ()) = futures::join!(late, ending);
        assert_eq!(tried, (Outcome::Success, 1));
    }
    assert_eq!(baselines.one::<i64>("SELECT count(*) FROM reservations").await, 1);
    assert_eq!(baselines.one::<i64>("SELECT count(*) FROM seats WHERE state = 'held'").await, 2);
    baselines.close().await.expect("the database is dropped");
}
