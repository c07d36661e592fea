//! Operators create performances and control queues.

use encore_domain::queue::QueueSettings;
use encore_proto::admin::v1::admin_service_client::AdminServiceClient;
use encore_proto::admin::v1::{
    self as admin, CreateConcertRequest, CreatePerformanceRequest, ImportVenueRequest, UpdateQueueRequest,
};
use encore_proto::catalog::v1::GradePrice;
use encore_proto::common::v1::Money;
use encore_proto::queue::v1::LeaveQueueRequest;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_server::demo::VENUE_JSON;
use encore_tests::fan::{Fan, reason, request_id, violated_fields};
use encore_tests::world::{ACCESS_TOKEN_LIFETIME, World, until};
use tonic::transport::Channel;
use tonic::{Code, Status};

fn client(operator: &Fan) -> AdminServiceClient<Channel> {
    AdminServiceClient::new(operator.channel.clone())
}

fn at(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}

async fn import(operator: &Fan, request_id: &str, plan_json: &str) -> Result<admin::Venue, Status> {
    let message =
        ImportVenueRequest { request_id: request_id.to_owned(), plan_json: plan_json.to_owned(), location: None };
    let imported = client(operator).import_venue(operator.request(message)).await?.into_inner();
    Ok(imported.venue.expect("a venue"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_puts_a_concert_on_sale_and_a_fan_buys_a_seat() {
    let world = World::durable(2).await;
    let operator = world.operator().await;
    let venue = import(&operator, &request_id(), VENUE_JSON).await.expect("a venue");
    assert!(venue.seats_total >= 1_900 && venue.grades.len() >= 3, "{venue:?}");
    let message =
        CreateConcertRequest { request_id: request_id(), title: "Matinée".into(), artist: "The Understudies".into() };
    let created = client(&operator).create_concert(operator.request(message)).await.expect("a concert").into_inner();
    let concert = created.concert.expect("a concert");
    let now = encore_port_tests::fixtures::start().timestamp();
    let price = |grade: &admin::Grade| GradePrice {
        grade: grade.name.clone(),
        price: Some(Money { amount_minor: 4_200, currency_code: "KRW".into() }),
    };
    let message = CreatePerformanceRequest {
        request_id: request_id(),
        concert_id: concert.concert_id,
        venue_id: venue.venue_id.clone(),
        starts_at: Some(at(now + 86_400)),
        on_sale_opens_at: Some(at(now)),
        on_sale_closes_at: Some(at(now + 86_400)),
        prices: venue.grades.iter().map(price).collect(),
        queue: Some(admin::QueueSettings::default()),
        ..Default::default()
    };
    let priced = async |amount_minor: i64, code: &str| {
        let mut message = CreatePerformanceRequest { request_id: request_id(), ..message.clone() };
        for price in &mut message.prices {
            price.price = Some(Money { amount_minor, currency_code: code.into() });
        }
        client(&operator).create_performance(operator.request(message)).await
    };
    let fields = violated_fields(&priced(100, "EUX").await.expect_err("no currency"));
    assert!(fields.contains(&"prices[0].price.currency_code".to_owned()), "{fields:?}");
    let fields = violated_fields(&priced(1_100_000_000, "EUR").await.expect_err("too much"));
    assert!(fields.contains(&"prices[0].price.amount_minor".to_owned()), "{fields:?}");
    priced(1_100_000_000, "IDR").await.expect("an ordinary seat");
    let request = || operator.request(message.clone());
    let created = client(&operator).create_performance(request()).await.expect("a performance").into_inner();
    let repeated = client(&operator).create_performance(request()).await.expect("the same again").into_inner();
    assert_eq!(created, repeated);
    let performance = created.performance.expect("a performance");
    assert_eq!(performance.seats_left, venue.seats_total);

    let id = performance.performance_id.parse().expect("a UUID");
    let mut fan = world.fan(1).await;
    fan.enter(id).await.expect("admitted");
    let seats = fan.seats(id).await.expect("seats");
    let hold = fan.hold(id, &[&seats[0].seat_id]).await.expect("a hold");
    assert_eq!(hold.total, Some(Money { amount_minor: 4_200, currency_code: "KRW".into() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn fans_cannot_call_rpcs_for_operators() {
    let world = World::embedded().await;
    let fan = world.fan(0).await;
    let refusal = import(&fan, "", VENUE_JSON).await.expect_err("a fan");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::PermissionDenied, "ROLE_NOT_ALLOWED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_plan_is_refused_with_every_violation() {
    let world = World::durable(2).await;
    let operator = world.operator().await;
    let plan = r#"{"name":"Bad","categories":[{"name":"A"}],"zones":[
        {"name":"Z","position":{"x":0,"y":0},"rows":[{"row_number":"1","seats":[
            {"seat_guid":"a","seat_number":"1","position":{"x":0,"y":0},"category":"A"},
            {"seat_guid":"a","seat_number":"1","position":{"x":1,"y":0},"category":"B"}]}]},
        {"name":"Empty","position":{"x":0,"y":0}}]}"#;
    let refusal = import(&operator, "", plan).await.expect_err("a bad plan");
    let fields = violated_fields(&refusal);
    for path in [
        "plan_json$.zones[0].rows[0].seats[1].seat_guid",
        "plan_json$.zones[0].rows[0].seats[1].seat_number",
        "plan_json$.zones[0].rows[0].seats[1].category",
        "plan_json$.zones[1].rows",
    ] {
        assert!(fields.iter().any(|field| field == path), "{path} is missing from {fields:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_an_operator_ends_with_the_access_token() {
    let world = World::embedded().await;
    let operator = world.operator().await;
    let performance = world.performance(Some(QueueSettings::default())).await;
    let message = admin::WatchQueueRequest { performance_id: performance.to_string() };
    let watching = client(&operator).watch_queue(operator.request(message)).await.expect("a stream");
    let mut reports = watching.into_inner();
    reports.message().await.expect("a report").expect("the stream goes on");

    world.clock.advance(ACCESS_TOKEN_LIFETIME);
    let refusal = loop {
        match reports.message().await {
            Ok(report) => assert!(report.is_some(), "the stream ends with a status"),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Unauthenticated, "CREDENTIALS_INVALID"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pausing_and_resuming_a_queue_reaches_every_instance() {
    let world = World::durable(2).await;
    let operator = world.operator().await;
    // One fan is active, so that no other fan is admitted before the pause takes effect.
    let performance = world.performance(Some(QueueSettings { max_active: 1, ..QueueSettings::default() })).await;
    let mut inside = world.fan(0).await;
    inside.enter(performance).await.expect("admitted");
    let mut fan = world.fan(1).await;
    fan.join(performance).await.expect("a queue token");
    let set = |settings: admin::QueueSettings| {
        let message = UpdateQueueRequest {
            request_id: request_id(),
            performance_id: performance.to_string(),
            settings: Some(settings),
            ..Default::default()
        };
        let request = operator.request(message);
        let mut client = client(&operator);
        async move { client.update_queue(request).await.expect("settings").into_inner().settings.expect("settings") }
    };

    let paused = set(admin::QueueSettings { paused: Some(true), ..Default::default() }).await;
    assert_eq!((paused.paused, paused.max_active), (Some(true), Some(1)), "fields that are not set do not change");
    for turn in 0..2 {
        let there = fan.on(world.channel(turn));
        until("the pause on every instance", || async {
            matches!(there.position().await, Ok(QueueStatus::Waiting(waiting)) if waiting.paused)
        })
        .await;
    }
    let leave = LeaveQueueRequest { request_id: String::new(), queue_token: inside.queue_token.clone() };
    inside.queue().leave_queue(inside.request(leave)).await.expect("left");
    // A view that contains the newcomer was made after the active fan had left.
    let mut newcomer = world.fan(0).await;
    newcomer.join(performance).await.expect("a queue token");
    until("a view of the newcomer", || async {
        matches!(fan.position().await, Ok(QueueStatus::Waiting(waiting)) if waiting.people_waiting == 2)
    })
    .await;

    set(admin::QueueSettings { paused: Some(false), ..Default::default() }).await;
    until("admission", || async { matches!(fan.position().await, Ok(QueueStatus::Admitted(_))) }).await;
}
