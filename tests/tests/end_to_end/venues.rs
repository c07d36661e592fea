//! Halls that others made: what their plans say and do not say, and what operators add afterwards.

use encore_domain::catalog::{Performance, PriceList};
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Clock;
use encore_port_tests::fixtures::{PIT_UNITS, drawn_chart, festival_chart};
use encore_proto::admin::v1::{
    CreateConcertRequest, CreatePerformanceRequest, ImportVenueRequest, NewGeneralAdmissionArea, ReviseVenueRequest,
    SectionFocalPoint, Venue,
};
use encore_proto::booking::v1::BestAvailable;
use encore_proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use encore_proto::catalog::v1::chart_shape::Outline;
use encore_proto::catalog::v1::{
    GetPerformanceRequest, GetSeatChartRequest, GetSeatChartResponse, GetVenueRequest, GradePrice,
    ListPerformancesRequest, Location, PlanPoint, PlanSize, SeatStatus,
};
use encore_proto::common::v1::Money;
use encore_tests::audit::found;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, violated_fields};
use encore_tests::world::World;
use tonic::{Code, Status};

/// A hall whose front row stands last in the file, with a stage at the top, a wheelchair space, and a grade without seats.
const PLAN: &str = r##"{
  "name": "Town Hall", "size": { "width": 400, "height": 300 },
  "categories": [{ "name": "Seats", "color": "#7f4a91" }, { "name": "Standing" }, { "name": "Not available" }],
  "zones": [
    { "position": { "x": 0, "y": 0 }, "rows": [], "areas": [
      { "shape": "rectangle", "rectangle": { "width": 100, "height": 20 }, "position": { "x": 10, "y": 0 },
        "text": { "text": "Stage", "position": { "x": 50, "y": 10 } } } ] },
    { "name": "Stalls", "position": { "x": 0, "y": 100 }, "rows": [
      { "row_number": "B", "position": { "x": 0, "y": 50 }, "seats": [
        { "seat_guid": "b1", "seat_number": "1", "position": { "x": 30, "y": 0 }, "category": "Seats" },
        { "seat_guid": "b2", "seat_number": "2", "position": { "x": 60, "y": 0 }, "category": "Seats", "note": "?" },
        { "seat_guid": "b3", "seat_number": "3", "position": { "x": 90, "y": 0 }, "category": "Not available" } ] },
      { "row_number": "A", "seats": [
        { "seat_guid": "a1", "seat_number": "1", "position": { "x": 30, "y": 0 }, "category": "Seats", "wheelchair": true },
        { "seat_guid": "a2", "seat_number": "2", "position": { "x": 60, "y": 0 }, "category": "Seats" },
        { "seat_guid": "a3", "seat_number": "3", "position": { "x": 90, "y": 0 }, "category": "Seats" } ] } ] } ] }"##;

async fn imported(operator: &Fan) -> (Venue, Vec<String>) {
    let message = ImportVenueRequest { request_id: request_id(), plan_json: PLAN.to_owned(), location: None };
    let first = operator.admin().import_venue(operator.request(message.clone())).await.expect("imported").into_inner();
    let again = operator.admin().import_venue(operator.request(message)).await.expect("imported").into_inner();
    assert_eq!(first, again, "a repeat is told the same");
    let warnings = first.warnings.iter().map(|warning| format!("{} {}", warning.path, warning.text)).collect();
    (first.venue.expect("a venue"), warnings)
}

async fn revised(operator: &Fan, message: ReviseVenueRequest) -> Result<Venue, Status> {
    let revised = operator.admin().revise_venue(operator.request(message)).await?.into_inner();
    Ok(revised.venue.expect("a venue"))
}

/// A performance at this venue in which these grades have a price.
async fn performance(world: &World, operator: &Fan, venue: &Venue, grades: &[&str]) -> PerformanceId {
    let message = CreateConcertRequest { title: "Recital".into(), artist: "A Pianist".into(), ..Default::default() };
    let created = operator.admin().create_concert(operator.request(message)).await.expect("created").into_inner();
    let at = |hours: i64| prost_types::Timestamp { seconds: world.clock.now().timestamp() + hours * 3_600, nanos: 0 };
    let price = |grade: &&str| GradePrice {
        grade: (*grade).to_owned(),
        price: Some(Money { amount_minor: 1_500, currency_code: "EUR".into() }),
    };
    let message = CreatePerformanceRequest {
        concert_id: created.concert.expect("a concert").concert_id,
        venue_id: venue.venue_id.clone(),
        starts_at: Some(at(48)),
        on_sale_opens_at: Some(at(-1)),
        on_sale_closes_at: Some(at(24)),
        prices: grades.iter().map(price).collect(),
        ..Default::default()
    };
    let created = operator.admin().create_performance(operator.request(message)).await.expect("created").into_inner();
    created.performance.expect("a performance").performance_id.parse().expect("a UUID")
}

async fn chart(fan: &Fan, performance: PerformanceId, page_size: u32, page_token: &str) -> GetSeatChartResponse {
    let (performance_id, page_token) = (performance.to_string(), page_token.to_owned());
    let message = GetSeatChartRequest { performance_id, page_size, page_token, ..Default::default() };
    fan.catalog().get_seat_chart(message).await.expect("a chart").into_inner()
}

async fn best(fan: &Fan, performance: PerformanceId, count: u32, accessible_count: u32) -> Vec<String> {
    let seat_request = BestAvailable { count, accessible_count, ..Default::default() };
    let hold = fan.hold_best(performance, seat_request).await.expect("a hold");
    let seats = hold.seats.into_iter().map(|seat| seat.seat_id).collect();
    fan.release(&hold.reservation_id).await.expect("released");
    seats
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_others_is_imported_with_warnings_and_sold_from_the_front() {
    for world in [World::durable(1).await, World::embedded().await, World::without_redis().await] {
        let (operator, fan) = (world.operator().await, world.fan(0).await);
        let (venue, warnings) = imported(&operator).await;
        let expected = [
            "$.zones[0] sells nothing and is skipped",
            "$.zones[1].rows[0].seats[1].note is not understood and is ignored",
        ];
        assert_eq!(warnings, expected);
        assert_eq!((venue.sections.as_slice(), venue.seats_total), (&["Stalls".to_owned()][..], 6));
        let sale = performance(&world, &operator, &venue, &["Seats"]).await;
        assert_eq!(best(&fan, sale, 2, 0).await, ["a2", "a3"]);
        assert_eq!(best(&fan, sale, 1, 1).await, ["a1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_a_venue_of_its_own() {
    for world in [World::durable(2).await, World::embedded().await] {
        let (operator, fan) = (world.operator().await, world.fan(1).await);
        let (before, _) = imported(&operator).await;
        let point = |x: f64, y: f64| Some(PlanPoint { x, y });
        let message = ReviseVenueRequest {
            request_id: request_id(),
            venue_id: before.venue_id.clone(),
            accessible_seat_ids: vec!["b1".into()],
            ordinary_seat_ids: vec!["a1".into()],
            focal_point: point(90.0, 0.0),
            section_focal_points: vec![SectionFocalPoint { section: "Stalls".into(), focal_point: point(60.0, 200.0) }],
            general_admission_areas: vec![NewGeneralAdmissionArea {
                name: "Floor".into(),
                grade: "Standing".into(),
                capacity: 40,
            }],
            location: None,
        };
        let after = revised(&operator, message.clone()).await.expect("revised");
        assert_eq!(revised(&operator, message).await.expect("a repeat"), after);
        assert_ne!(after.venue_id, before.venue_id);
        assert_eq!((after.sections.len(), after.seats_total), (2, 46));

        let sale = performance(&world, &operator, &after, &["Seats", "Standing"]).await;
        assert_eq!(best(&fan, sale, 1, 0).await, ["b2"], "near the focal point behind the hall");
        assert_eq!(best(&fan, sale, 1, 1).await, ["b1"]);
        fan.hold_units(sale, "Floor", 2).await.expect("units");
        let other = performance(&world, &operator, &before, &["Seats"]).await;
        assert_eq!(best(&fan, other, 1, 1).await, ["a1"], "the other venue is as it was");
        assert_eq!(chart(&fan, other, 0, "").await.areas, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_refused_with_every_violation() {
    let world = World::embedded().await;
    let operator = world.operator().await;
    let (venue, _) = imported(&operator).await;
    let message = ReviseVenueRequest { venue_id: venue.venue_id.clone(), ..Default::default() };
    assert_eq!(violated_fields(&revised(&operator, message.clone()).await.expect_err("nothing changes")), ["revision"]);
    let broken = ReviseVenueRequest { accessible_seat_ids: vec!["z9".into()], ..message.clone() };
    let refusal = revised(&operator, broken).await.expect_err("an unknown seat");
    assert_eq!(violated_fields(&refusal), ["accessible_seat_ids[0]"]);
    let nowhere = Some(PlanPoint { x: f64::NAN, y: 0.0 });
    let broken = ReviseVenueRequest { focal_point: nowhere, ..message };
    assert_eq!(violated_fields(&revised(&operator, broken).await.expect_err("no point")), ["focal_point"]);
    let unknown = ReviseVenueRequest { venue_id: PerformanceId(uuid::Uuid::nil()).to_string(), ..Default::default() };
    assert_eq!(revised(&operator, unknown).await.expect_err("no venue").code(), Code::NotFound);
    let fan = world.fan(0).await;
    let refusal = revised(&fan, ReviseVenueRequest::default()).await.expect_err("a fan");
    assert_eq!(reason(&refusal), "ROLE_NOT_ALLOWED");
}

fn location(city: &str, country_code: &str, time_zone: &str) -> Location {
    let [city, country_code, time_zone] = [city, country_code, time_zone].map(str::to_owned);
    Location { city, country_code, time_zone }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_venue_has_a_location_from_its_import_or_a_revision() {
    for world in [World::durable(2).await, World::embedded().await] {
        let operator = world.operator().await;
        let there = Some(location("Buenos  Aires", "AR", "america/argentina/buenos_aires"));
        let kept = Some(location("Buenos Aires", "AR", "America/Argentina/Buenos_Aires"));
        let message = ImportVenueRequest { request_id: request_id(), plan_json: PLAN.to_owned(), location: there };
        let first = operator.admin().import_venue(operator.request(message)).await.expect("imported").into_inner();
        let with_location = first.venue.expect("a venue");
        assert_eq!(with_location.location, kept);
        let (venue_id, accessible_seat_ids) = (with_location.venue_id, vec!["b1".into()]);
        let message = ReviseVenueRequest { venue_id, accessible_seat_ids, ..Default::default() };
        assert_eq!(revised(&operator, message).await.expect("revised").location, kept, "a revision keeps it");

        let (without, _) = imported(&operator).await;
        assert_eq!(without.location, None);
        let message = ReviseVenueRequest { location: kept.clone(), venue_id: without.venue_id, ..Default::default() };
        let venue = revised(&operator, message.clone()).await.expect("revised");
        assert_eq!(venue.location, kept);
        let sale = performance(&world, &operator, &venue, &["Seats"]).await;
        let message_of_date = GetPerformanceRequest { performance_id: sale.to_string() };
        let mut catalog = CatalogServiceClient::new(world.channel(0).clone());
        let found = catalog.get_performance(message_of_date).await.expect("a date").into_inner();
        assert_eq!(found.performance.expect("a date").location, kept);
        let message_of_venue = GetVenueRequest { venue_id: venue.venue_id.clone() };
        let found = catalog.get_venue(message_of_venue).await.expect("a venue").into_inner().venue.expect("a venue");
        assert_eq!((found.venue_id, found.name, found.location), (venue.venue_id, venue.name, kept));
        let unknown = GetVenueRequest { venue_id: sale.to_string() };
        assert_eq!(catalog.get_venue(unknown).await.expect_err("no venue").code(), Code::NotFound);

        let broken = ReviseVenueRequest { location: Some(location("", "UK", "Mars/Olympus")), ..message };
        let refusal = revised(&operator, broken).await.expect_err("no such location");
        assert_eq!(violated_fields(&refusal), ["location.city", "location.country_code", "location.time_zone"]);
        let broken = ImportVenueRequest {
            request_id: request_id(),
            plan_json: PLAN.to_owned(),
            location: Some(Location::default()),
        };
        let refusal = operator.admin().import_venue(operator.request(broken)).await.expect_err("no location");
        assert_eq!(violated_fields(&refusal), ["location.city", "location.country_code", "location.time_zone"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grade_without_a_price_is_not_for_sale() {
    for world in [World::durable(1).await, World::embedded().await, World::without_redis().await] {
        let only_front = |performance: Performance| {
            let prices = PriceList { minor_by_grade: vec![Some(12_000), None], ..performance.prices.clone() };
            Performance { prices, ..performance }
        };
        // The grade Rear: two seats of the stalls, the whole balcony and the floor.
        let sale = world.performance_in(festival_chart(300), None, only_front).await;
        let (operator, fan) = (world.operator().await, world.fan(0).await);
        let seats = fan.seats(sale).await.expect("seats");
        let blocked = seats.iter().filter(|seat| seat.status() == SeatStatus::Blocked).count();
        assert_eq!((seats.len(), blocked), (26, 15));

        let refusal = fan.hold(sale, &["S-B-3", "S-B-4"]).await.expect_err("one is not for sale");
        assert_eq!(reason(&refusal), "SEATS_TAKEN");
        assert_eq!(reason_metadata(&refusal, "seat_ids").as_deref(), Some("S-B-4"));
        let refusal = fan.hold_units(sale, "Floor", 1).await.expect_err("the floor is not for sale");
        assert_eq!((reason(&refusal), reason_metadata(&refusal, "left")), ("TOO_FEW_LEFT".into(), Some("0".into())));
        fan.hold_units(sale, "Pit", 1).await.expect("the pit is");
        let rear = BestAvailable { count: 1, sections: vec!["Balcony".into()], ..Default::default() };
        assert_eq!(reason(&fan.hold_best(sale, rear).await.expect_err("none")), "NO_SEATS_FIT");

        let concert = world.ports.catalog.performance(sale).await.expect("Postgres").expect("a performance").concert;
        let message = ListPerformancesRequest { concert_id: concert.to_string(), ..Default::default() };
        let listed = fan.catalog().list_performances(message).await.expect("dates").into_inner().performances.remove(0);
        assert_eq!((listed.seats_left, listed.price_min == listed.price_max), (11 + PIT_UNITS - 1, true));
        let priced: Vec<bool> = listed.prices.iter().map(|price| price.price.is_some()).collect();
        assert_eq!(priced, [true, false]);

        // Blocking and unblocking does not put them on sale.
        operator.block("", sale, &["C-A-1"], "guests").await.expect("blocked");
        operator.unblock("", sale, &["C-A-1"]).await.expect("unblocked");
        assert_eq!(reason(&fan.hold(sale, &["C-A-1"]).await.expect_err("not for sale")), "SEATS_TAKEN");
        assert_eq!(found(&operator, sale).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_has_what_a_page_draws() {
    for world in [World::durable(1).await, World::embedded().await] {
        let sale = world.performance_in(drawn_chart(), None, |performance| performance).await;
        let fan = world.fan(0).await;
        let first = chart(&fan, sale, 20, "").await;
        assert_eq!(first.grade_colors, ["#7f4a91", ""]);
        assert_eq!(first.size, Some(PlanSize { width: 800.0, height: 600.5 }));
        let stage = &first.shapes[0];
        assert!(stage.stage && first.shapes[1..].iter().all(|shape| !shape.stage));
        assert_eq!(stage.outline, Some(Outline::Rectangle(PlanSize { width: 80.0, height: 20.0 })));
        assert_eq!((stage.position, stage.rotation), (Some(PlanPoint { x: 10.5, y: -4.25 }), 30.0));
        assert_eq!(stage.text.as_ref().map(|text| (text.text.as_str(), text.size)), Some(("Bühne", None)));
        let drawn: Vec<bool> = first.shapes.iter().map(|shape| shape.outline.is_some()).collect();
        assert_eq!(drawn, [true, false, true, true, true], "the second is only a text");
        let second = chart(&fan, sale, 20, &first.next_page_token).await;
        assert_eq!((second.size, second.shapes.len()), (None, 0), "on the first page only");
        assert_eq!(second.version, first.version);
    }
}
