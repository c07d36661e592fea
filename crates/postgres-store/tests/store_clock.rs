//! The clock of Postgres.

mod common;

use std::time::{Duration, SystemTime};

use encore_domain::ports::StoreClock;
use encore_domain::time::Timestamp;
use encore_postgres_store::{Database, PostgresClock};

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the server under test is on this machine and has its clock")]
async fn the_clock_is_that_of_the_server() {
    let scratch = common::scratch().await;
    let database = Database::connect(&scratch.config()).await.expect("the scratch database accepts connections");
    let clock = PostgresClock::new(database);
    let before = Timestamp::from(SystemTime::now()) - Duration::from_millis(1);
    let read = clock.now().await.expect("the database is available");
    let after = Timestamp::from(SystemTime::now()) + Duration::from_millis(1);
    assert!(before <= read && read <= after, "{before} {read} {after}");
}
