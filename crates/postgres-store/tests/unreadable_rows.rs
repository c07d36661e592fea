//! A row that this version cannot read concerns nothing else.
#![expect(clippy::expect_used, reason = "tests")]

mod common;

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use encore_domain::event::OutboxPlace;
use encore_domain::ids::{EndpointId, UserId};
use encore_domain::ports::{Outbox, Users, Wallets, WebhookDeliveries, WebhookEndpoints};
use encore_domain::webhook::{
    EndpointSecret, EndpointSecrets, EndpointUrl, SealedSecret, WebhookEndpoint, WebhookFilter,
};
use encore_port_tests::fixtures::{self, act, at_secs, id, request, start};
use encore_postgres_store::scratch::ScratchDatabase;
use encore_postgres_store::{
    Database, PostgresOutbox, PostgresUsers, PostgresWallets, PostgresWebhookDeliveries, PostgresWebhookEndpoints,
};

/// Executes statements on a connection of their own.
async fn execute(scratch: &ScratchDatabase, statements: &str) {
    let mut conn =
        AsyncPgConnection::establish(&scratch.url()).await.expect("the scratch database accepts connections");
    conn.batch_execute(statements).await.expect("the statements are executed");
}

async fn connect(scratch: &ScratchDatabase) -> Database {
    Database::connect(&scratch.config()).await.expect("the scratch database accepts connections")
}

async fn sign_up(database: &Database) -> UserId {
    let account = fixtures::account();
    let user = account.user.id;
    PostgresUsers::new(database.clone()).add_all(vec![account]).await.expect("a user is created");
    user
}

#[tokio::test]
async fn an_event_that_cannot_be_read_hides_no_other() {
    // A number that no float can be; a form that no version has written; a kind that a later version writes.
    for damage in [r#"payload = '{"n": 1e400}'"#, "payload = '[]'", "kind = 'booking.hold_dreamt_of'"] {
        let scratch = common::scratch().await;
        let database = connect(&scratch).await;
        let (fan, wallets) = (sign_up(&database).await, PostgresWallets::new(database.clone()));
        for _ in 0..2 {
            let top_up = fixtures::top_up(fan, fixtures::euros(1));
            wallets.top_up(top_up, request(fan)).await.expect("a top-up");
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

#[tokio::test]
async fn an_endpoint_that_cannot_be_read_keeps_no_other_from_being_held() {
    let scratch = common::scratch().await;
    let database = connect(&scratch).await;
    let operator = sign_up(&database).await;
    let endpoints = PostgresWebhookEndpoints::new(database.clone());
    let add = async || {
        let secret = EndpointSecret { id: id(), sealed: SealedSecret(vec![1; 80]) };
        let endpoint = WebhookEndpoint {
            id: id(),
            url: EndpointUrl::parse("https://hooks.example.com/").expect("a URL"),
            filter: WebhookFilter::default(),
            secrets: EndpointSecrets { current: secret, previous: None },
            made_by: operator,
            made_at: start(),
            disabled: None,
            failing_since: None,
        };
        let added = endpoints.add(endpoint, OutboxPlace::default(), request(operator), None).await;
        added.expect("an endpoint is added").into_inner().id
    };
    let [damaged, other]: [EndpointId; 2] = [add().await, add().await];
    execute(&scratch, &format!("UPDATE webhook_endpoints SET url = 'hooks' WHERE id = '{damaged}'")).await;
    let deliveries = PostgresWebhookDeliveries::new(database);
    let held = deliveries.acquire(id(), at_secs(0), at_secs(5), at_secs(10)).await.expect("the database is available");
    assert_eq!(held.into_iter().map(|held| held.endpoint.id).collect::<Vec<_>>(), [other]);
    assert!(endpoints.remove(damaged, at_secs(1), Some(act(request(operator)))).await.expect("it is removed"));
}
