//! Values that would break other people's clients, or that look like other values, are refused or normalized.

use encore_proto::admin::v1 as admin;
use encore_proto::booking::v1::ListReservationsRequest;
use encore_proto::catalog::v1::{ListConcertsRequest, ListPerformancesRequest, ListSeatsRequest};
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::identity::v1::{LogInRequest, SignUpRequest};
use encore_proto::payment::v1::ListPaymentsRequest;
use encore_tests::fan::{Fan, reason, request_id, violated_fields};
use encore_tests::world::World;
use prost_types::{Duration, Timestamp};
use tonic::{Code, Status};

fn assert_invalid(refusal: &Status, fields: &[&str]) {
    assert_eq!((refusal.code(), reason(refusal).as_str()), (Code::InvalidArgument, "INVALID_REQUEST"));
    assert_eq!(violated_fields(refusal), fields);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_outside_protobuf_are_refused_wherever_they_are_taken() {
    let world = World::embedded().await;
    let operator = world.operator().await;
    let create = async |change: fn(&mut admin::CreatePerformanceRequest)| {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let mut message = admin::CreatePerformanceRequest {
            concert_id: request_id(),
            venue_id: request_id(),
            starts_at: at(3_000),
            on_sale_opens_at: at(1_000),
            on_sale_closes_at: at(2_000),
            pre_queue_opens_at: at(500),
            prices: vec![encore_proto::catalog::v1::GradePrice {
                grade: "Stalls".into(),
                price: Some(encore_proto::common::v1::Money { amount_minor: 1, currency_code: "EUR".into() }),
            }],
            queue: Some(admin::QueueSettings::default()),
            ..Default::default()
        };
        change(&mut message);
        operator.admin().create_performance(operator.request(message)).await.expect_err("refused")
    };
    assert_eq!(reason(&create(|_| {}).await), "NOT_FOUND", "every field is valid");
    // The last second of a minute, in which chrono takes a leap second.
    let refusal = create(|it| it.starts_at = Some(Timestamp { seconds: 2_999_999_999, nanos: 1_500_000_000 })).await;
    assert_invalid(&refusal, &["starts_at"]);
    let refusal = create(|it| it.on_sale_opens_at = Some(Timestamp { seconds: 59, nanos: 1_000_000_000 })).await;
    assert_invalid(&refusal, &["on_sale_opens_at"]);
    let refusal = create(|it| it.on_sale_closes_at = Some(Timestamp { seconds: i64::MAX, nanos: 0 })).await;
    assert_invalid(&refusal, &["on_sale_closes_at"]);
    let refusal = create(|it| it.pre_queue_opens_at = Some(Timestamp { seconds: 59, nanos: -1 })).await;
    assert_invalid(&refusal, &["pre_queue_opens_at"]);
    let long = Some(Duration { seconds: 315_576_000_001, nanos: 0 });
    let set = async |settings: admin::QueueSettings| {
        let message =
            admin::UpdateQueueRequest { performance_id: request_id(), settings: Some(settings), ..Default::default() };
        operator.admin().update_queue(operator.request(message)).await.expect_err("refused")
    };
    let rate = admin::QueueRate { admissions: 1, period: Some(Duration { seconds: 1, nanos: 1_000_000_000 }) };
    let settings = admin::QueueSettings {
        rate: Some(rate),
        accept_window: Some(Duration { seconds: 10, nanos: -1 }),
        active_duration: long,
        grace: long,
        ..Default::default()
    };
    let fields = ["settings.rate.period", "settings.accept_window", "settings.active_duration", "settings.grace"];
    assert_invalid(&set(settings).await, &fields);
    let grant = admin::GrantLaneRequest {
        performance_id: request_id(),
        user_id: request_id(),
        lane: "fan-club".into(),
        valid_for: Some(Duration { seconds: 3_600, nanos: i32::MAX }),
    };
    let refusal = operator.admin().grant_lane(operator.request(grant)).await.expect_err("refused");
    assert_invalid(&refusal, &["valid_for"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_one_however_its_address_and_password_are_typed() {
    let world = World::durable(1).await;
    let mut identity = IdentityServiceClient::new(world.channel(0).clone());
    let message = |email: &str, name: &str| SignUpRequest {
        request_id: String::new(),
        email: email.into(),
        password: "pass-zo\u{EB}-word".into(),
        display_name: name.into(),
        ..SignUpRequest::default()
    };
    let user = identity.sign_up(message("zo\u{EB}@example.com", " Zoe\u{308}  R. ")).await.expect("a new user");
    assert_eq!(user.into_inner().user.map(|user| user.display_name).as_deref(), Some("Zo\u{EB} R."));
    let refusal = identity.sign_up(message("Zoe\u{308}@Example.com", "Zoe")).await.expect_err("the same address");
    assert_eq!(reason(&refusal), "EMAIL_TAKEN");
    let log_in = LogInRequest {
        email: "ZOE\u{308}@example.com ".into(),
        password: "pass-zoe\u{308}-word".into(),
        ..LogInRequest::default()
    };
    identity.log_in(log_in).await.expect("the same password");

    for unseen in ['\u{200B}', '\u{FEFF}', '\u{AD}', '\u{202E}', '\u{378}', '\u{E000}', '\0'] {
        let refusal = identity.sign_up(message(&format!("a{unseen}@example.com"), &format!("A{unseen}a"))).await;
        assert_invalid(&refusal.expect_err("two invalid fields"), &["email", "display_name"]);
    }
    let refusal = identity.sign_up(message("<a@b.c>", "A")).await.expect_err("not an address");
    assert_invalid(&refusal, &["email"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_write_text_that_people_can_see() {
    let world = World::embedded().await;
    let operator = world.operator().await;
    let hidden = "Two\u{202E}s".to_owned();
    let concert =
        admin::CreateConcertRequest { request_id: String::new(), title: hidden.clone(), artist: hidden.clone() };
    let refusal = operator.admin().create_concert(operator.request(concert)).await.expect_err("refused");
    assert_invalid(&refusal, &["title", "artist"]);
    let message =
        admin::SetQueueMessageRequest { performance_id: request_id(), message: hidden.clone(), ..Default::default() };
    let refusal = operator.admin().set_queue_message(operator.request(message)).await.expect_err("refused");
    assert_invalid(&refusal, &["message"]);
    let block = admin::BlockSeatsRequest {
        performance_id: request_id(),
        seat_ids: vec![hidden.clone()],
        reason: hidden,
        ..Default::default()
    };
    let refusal = operator.admin().block_seats(operator.request(block)).await.expect_err("refused");
    assert_invalid(&refusal, &["reason", "seat_ids[0]"]);
}

/// A fan's two pages of one reservation each: the token of the second.
async fn reservations_token(world: &World, fan: &Fan) -> String {
    let performance = world.performance(None).await;
    for seat in ["S-A-1", "S-A-2"] {
        fan.hold(performance, &[seat]).await.expect("a hold");
    }
    let message = ListReservationsRequest { page_size: 1, ..Default::default() };
    fan.booking().list_reservations(fan.request(message)).await.expect("a page").into_inner().next_page_token
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_belongs_to_its_list_filter_and_caller() {
    let world = World::durable(2).await;
    let (fan, other) = (world.fan(0).await, world.fan(1).await);
    let token = reservations_token(&world, &fan).await;
    let list = async |fan: &Fan, page_token: &str| {
        let message = ListReservationsRequest { page_size: 5, page_token: page_token.into(), states: vec![] };
        fan.booking().list_reservations(fan.request(message)).await
    };
    let there = fan.on(world.channel(1));
    assert_eq!(list(&there, &token).await.expect("a page of any size").into_inner().reservations.len(), 1);
    assert_invalid(&list(&other, &token).await.expect_err("another fan's page"), &["page_token"]);
    let message = ListPaymentsRequest { page_size: 1, page_token: token.clone() };
    let refusal = fan.payment().list_payments(fan.request(message)).await.expect_err("another list");
    assert_invalid(&refusal, &["page_token"]);
    let message = ListConcertsRequest { page_size: 1, page_token: token.clone(), ..ListConcertsRequest::default() };
    assert_invalid(&fan.catalog().list_concerts(message).await.expect_err("another list"), &["page_token"]);

    let performance = world.performance(None).await;
    let seats = async |sections: &[&str], page_token: &str| {
        let message = ListSeatsRequest {
            performance_id: performance.to_string(),
            sections: sections.iter().map(|&section| section.to_owned()).collect(),
            page_size: 2,
            page_token: page_token.into(),
            ..Default::default()
        };
        fan.catalog().list_seats(fan.request(message)).await.map(tonic::Response::into_inner)
    };
    let first = seats(&["Stalls"], "").await.expect("a page");
    assert!(seats(&["Stalls "], &first.next_page_token).await.is_ok(), "the same section");
    assert_invalid(&seats(&["Balcony"], &first.next_page_token).await.expect_err("another filter"), &["page_token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_page_token_is_no_outage() {
    for world in [World::embedded().await, World::durable(1).await] {
        let fan = world.fan(0).await;
        let performance = world.performance(None).await;
        let known = world.ports.catalog.performance(performance).await.expect("the store answers");
        let concert = known.expect("the performance").concert.to_string();
        // A time of the year -200,000, which no store keeps, as page tokens were written before they were signed.
        let forged = ["_-lbyk7YsAAAAAAAAAAAAAAAAAAAAAAA", "AAAA", "e30.e30.e30", ""];
        for page_token in forged {
            let message = ListPerformancesRequest {
                concert_id: concert.clone(),
                page_size: 1,
                page_token: page_token.into(),
                ..ListPerformancesRequest::default()
            };
            let listed = fan.catalog().list_performances(message).await;
            if page_token.is_empty() {
                listed.expect("the first page");
            } else {
                assert_invalid(&listed.expect_err("a forged token"), &["page_token"]);
            }
        }
    }
}
