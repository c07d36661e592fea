//! Requests that cannot be forgotten are looked at once.
#![expect(clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/sale.rs"]
mod sale;

use diesel_async::SimpleAsyncConnection;
use encore_domain::catalog::SEATS_PER_FAN_MAX;
use encore_domain::ports::{RequestRecords, Reservations};
use encore_domain::request::ForgottenRequests;
use encore_port_tests::fixtures::at_secs;
use encore_postgres_store::{Database, PostgresRequestRecords};

use self::sale::Sale;

#[tokio::test]
async fn requests_of_one_moment_are_looked_at_once_whether_or_not_they_have_a_hold() {
    let sale = Sale::open().await;
    let database = Database::connect(&sale.scratch.config()).await.expect("the scratch database accepts connections");
    let records = PostgresRequestRecords::new(database);
    let (hold, placing) = sale.placement(&[0]).await;
    sale.reservations.place(hold, SEATS_PER_FAN_MAX, None, placing).await.expect("a hold");
    let without_a_hold = "
        INSERT INTO requests (user_id, request_id, operation, fingerprint, result_id, created_at)
        SELECT gen_random_uuid(), gen_random_uuid(), operation, fingerprint, gen_random_uuid(), created_at
        FROM requests CROSS JOIN generate_series(1, 3)";
    sale.connect().await.batch_execute(without_a_hold).await.expect("written");
    let mut steps = Vec::new();
    for _ in 0..3 {
        steps.push(records.forget(at_secs(1_000), 2).await.expect("the database is available"));
    }
    assert_eq!(steps.pop(), Some(ForgottenRequests::default()), "after {steps:?}");
    assert_eq!(steps.iter().map(|step| step.forgotten).sum::<u64>(), 1);
    assert_eq!(steps.iter().map(|step| step.kept).sum::<u64>(), 3);
    assert_eq!(sale.count("SELECT count(*) FROM requests").await, 3);
}
