//! Invalid requests are refused with every violation and change nothing.

use encore_domain::ids::PerformanceId;
use encore_proto::booking::v1::{HoldSeatsRequest, ListReservationsRequest};
use encore_proto::catalog::v1::{
    GetConcertRequest, ListConcertsRequest, ListPerformancesRequest, ListSeatsRequest, ListVenuesRequest,
};
use encore_proto::common::v1::Money;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::identity::v1::{LogInRequest, SignUpRequest};
use encore_proto::wallet::v1::TopUpRequest;
use encore_tests::fan::{Fan, reason, request_id, violated_fields};
use encore_tests::world::World;
use tonic::{Code, Status};

const UNKNOWN: &str = "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6";

fn assert_invalid(refusal: &Status, fields: &[&str]) {
    assert_eq!((refusal.code(), reason(refusal).as_str()), (Code::InvalidArgument, "INVALID_REQUEST"));
    assert_eq!(violated_fields(refusal), fields);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_sign_up_lists_every_field() {
    let world = World::embedded().await;
    let mut identity = IdentityServiceClient::new(world.channel(0).clone());
    let bad = SignUpRequest {
        request_id: "1".into(),
        email: "nobody".into(),
        password: "short".into(),
        display_name: " \t".into(),
        ..SignUpRequest::default()
    };
    let refusal = identity.sign_up(bad).await.expect_err("every field is invalid");
    assert_invalid(&refusal, &["request_id", "email", "password", "display_name"]);

    let unknown = LogInRequest {
        email: "nobody@example.com".into(),
        password: "correct horse".into(),
        ..LogInRequest::default()
    };
    let refusal = identity.log_in(unknown).await.expect_err("an unknown address");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Unauthenticated, "LOG_IN_FAILED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_hold_lists_every_field() {
    let world = World::embedded().await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let hold = |request_id: &str, performance: &str, seats: &[&str]| {
        let message = HoldSeatsRequest {
            request_id: request_id.into(),
            performance_id: performance.into(),
            seat_ids: seats.iter().map(|&seat| seat.to_owned()).collect(),
            ..Default::default()
        };
        let request = fan.request(message);
        let mut booking = fan.booking();
        async move { booking.hold_seats(request).await.expect_err("refused") }
    };
    assert_invalid(&hold("", "x", &[]).await, &["request_id", "performance_id", "seat_ids"]);
    let id = performance.to_string();
    let twice = ["S-A-1", "S-A-2", "S-A-1"];
    assert_invalid(&hold(&request_id(), &id, &twice).await, &["seat_ids[2]"]);
    let nine = ["S-A-1", "S-A-2", "S-A-3", "S-A-4", "S-A-5", "S-A-6", "S-A-7", "S-A-8", "S-B-1"];
    assert_invalid(&hold(&request_id(), &id, &nine).await, &["seat_ids"]);
    assert_eq!(reason(&hold(&request_id(), UNKNOWN, &["S-A-1"]).await), "NOT_FOUND");
    let unknown = hold(&request_id(), &id, &["S-A-1", "S-Z-9"]).await;
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::NotFound, "NOT_FOUND"));
    assert!(unknown.message().contains("S-Z-9") && !unknown.message().contains("S-A-1"), "{}", unknown.message());

    let seats = fan.seats(performance).await.expect("seats");
    assert!(seats.iter().all(|seat| seat.status() == encore_proto::catalog::v1::SeatStatus::Free));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_amounts_are_refused() {
    let world = World::embedded().await;
    let fan = world.fan(0).await;
    let top_up = |amount: Option<Money>| {
        let request = fan.request(TopUpRequest { request_id: request_id(), amount, card: None });
        let mut wallet = fan.wallet();
        async move { wallet.top_up(request).await.expect_err("refused") }
    };
    for amount_minor in [i64::MIN, -1, 0, 10_000_001, i64::MAX] {
        let amount = Some(Money { amount_minor, currency_code: "EUR".into() });
        assert_invalid(&top_up(amount).await, &["amount.amount_minor"]);
    }
    for currency_code in ["", "eur", "EURO", "€", "EUX", "XAU"] {
        let amount = Some(Money { amount_minor: 5, currency_code: currency_code.into() });
        assert_invalid(&top_up(amount).await, &["amount.currency_code"]);
    }
    assert_invalid(&top_up(None).await, &["amount"]);
    assert_eq!(fan.balance().await.expect("a balance"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_ids_are_not_found_and_malformed_ones_invalid() {
    let world = World::durable(2).await;
    let mut fan = world.fan(0).await;
    let unknown: PerformanceId = UNKNOWN.parse().expect("a UUID");
    let refusals = [
        fan.join(unknown).await.map(drop),
        fan.hold(unknown, &["S-A-1"]).await.map(drop),
        fan.seats(unknown).await.map(drop),
        fan.pay(UNKNOWN).await.map(drop),
        fan.release(UNKNOWN).await.map(drop),
        fan.reservation(UNKNOWN).await.map(drop),
        fan.catalog().get_concert(GetConcertRequest { concert_id: UNKNOWN.into() }).await.map(drop),
    ];
    for refusal in refusals {
        let refusal = refusal.expect_err("an unknown id");
        assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
    for malformed in ["", "1", "not-a-uuid", &"9".repeat(36), "{0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6}"] {
        assert_invalid(&fan.reservation(malformed).await.expect_err("malformed"), &["reservation_id"]);
        assert_invalid(&fan.pay(malformed).await.expect_err("malformed"), &["reservation_id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_bounded_and_their_tokens_checked() {
    let world = World::embedded().await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let list = |page_size, page_token: &str| {
        let message = ListReservationsRequest { page_size, page_token: page_token.into(), states: vec![] };
        let request = fan.request(message);
        let mut booking = fan.booking();
        async move { booking.list_reservations(request).await }
    };
    assert_invalid(&list(101, "no token").await.expect_err("both fields are invalid"), &["page_size", "page_token"]);
    let no_time = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    let message = ListPerformancesRequest {
        concert_id: "x".into(),
        page_size: 101,
        page_token: "x".into(),
        search: "!".into(),
        venue_id: "x".into(),
        starts_from: no_time,
        starts_before: no_time,
        on_sale_at: no_time,
        city: "-".into(),
        country_code: "Austria".into(),
        order: 9,
    };
    let refusal = fan.catalog().list_performances(message).await.expect_err("every field is invalid");
    let conditions =
        ["concert_id", "search", "venue_id", "city", "country_code", "starts_from", "starts_before", "on_sale_at"];
    assert_invalid(&refusal, &[&conditions[..], &["order", "page_size", "page_token"]].concat());
    let message = ListConcertsRequest { search: "a".repeat(101), ..ListConcertsRequest::default() };
    assert_invalid(&fan.catalog().list_concerts(message).await.expect_err("too long"), &["search"]);
    let [city, country_code] = ["-", "UK"].map(str::to_owned);
    let message = ListVenuesRequest { city, country_code, starts_from: no_time, ..ListVenuesRequest::default() };
    let refusal = fan.catalog().list_venues(message).await.expect_err("no such locations");
    assert_invalid(&refusal, &["city", "country_code", "starts_from"]);

    for seat in ["S-A-1", "S-A-2", "S-A-3"] {
        fan.hold(performance, &[seat]).await.expect("a hold");
        world.clock.advance(std::time::Duration::from_secs(1));
    }
    let first = list(2, "").await.expect("a page").into_inner();
    let second = list(2, &first.next_page_token).await.expect("a page").into_inner();
    assert!(second.next_page_token.is_empty());
    let seats = first.reservations.iter().chain(&second.reservations).flat_map(|it| &it.seats);
    let seats: Vec<_> = seats.map(|seat| seat.seat_id.as_str()).collect();
    assert_eq!(seats, ["S-A-3", "S-A-2", "S-A-1"], "newest first, each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_are_listed_by_section_and_page() {
    let world = World::embedded().await;
    let performance = world.performance(None).await;
    let fan: Fan = world.fan(0).await;
    fan.hold(performance, &["C-A-2"]).await.expect("a hold");
    let list = |sections: &[&str], page_size, page_token: &str| {
        let message = ListSeatsRequest {
            performance_id: performance.to_string(),
            sections: sections.iter().map(|&section| section.to_owned()).collect(),
            free_only: true,
            page_size,
            page_token: page_token.to_owned(),
        };
        let request = fan.request(message);
        let mut catalog = fan.catalog();
        async move { catalog.list_seats(request).await.map(tonic::Response::into_inner) }
    };
    let mut ids = Vec::new();
    let mut token = String::new();
    loop {
        let page = list(&["Balcony"], 5, &token).await.expect("a page");
        assert!(page.sections.iter().all(|section| section.section == "Balcony"));
        let seats = page.sections.iter().flat_map(|section| &section.rows).flat_map(|row| &row.seats);
        ids.extend(seats.map(|seat| seat.seat_id.clone()));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let row_b = (1..=9).map(|number| format!("C-B-{number}"));
    let expected: Vec<String> = ["C-A-1", "C-A-3", "C-A-4"].map(str::to_owned).into_iter().chain(row_b).collect();
    assert_eq!(ids, expected);
    let refusal = list(&["Balcony", "Moon"], 5, "").await.expect_err("no such section");
    assert!(refusal.message().contains("Moon"), "{}", refusal.message());
}
