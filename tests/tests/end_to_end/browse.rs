//! Finding concerts and dates as a shop's front page does, without an account.

use encore_domain::catalog::{Concert, OnSaleWindow, Performance, Title, Venue};
use encore_domain::ids::PerformanceId;
use encore_port_tests::fixtures;
use encore_proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use encore_proto::catalog::v1::{
    self as pb, ConcertOrder, GetPerformanceRequest, ListConcertsRequest, ListPerformancesRequest,
    ListPerformancesResponse, ListVenuesRequest, PerformanceOrder,
};
use encore_tests::fan::{reason, violated_fields};
use encore_tests::world::World;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// Two concerts with two dates each, a day apart from each other in turns.
struct Programme {
    titles: [&'static str; 2],
    concerts: [Concert; 2],
    dates: [Performance; 4],
    venues: [Venue; 2],
}

const DAY: std::time::Duration = std::time::Duration::from_hours(24);

impl Programme {
    async fn announce(world: &World) -> Self {
        let catalog = &world.ports.catalog;
        let titles = ["Renaissance Tour", "Cowboy Nights"];
        let concerts = titles.map(|title| Concert {
            title: Title::parse(title).expect("a title"),
            artist: Title::parse("Beyoncé").expect("a name"),
            ..fixtures::concert()
        });
        let locations = [("Köln", "DE", "Europe/Berlin"), ("Frankfurt", "US", "America/Indiana/Indianapolis")];
        let venues = locations.map(|(city, country, time_zone)| Venue {
            location: Some(fixtures::location(city, country, time_zone)),
            ..fixtures::venue(fixtures::small_chart())
        });
        for (venue, concert) in venues.iter().zip(&concerts) {
            catalog.add_venue(venue.clone(), None).await.expect("a new venue");
            catalog.add_concert(concert.clone(), None).await.expect("a new concert");
        }
        let dates = [0, 1, 2, 3].map(|day: usize| {
            let date = fixtures::performance(concerts[day % 2].id, venues[day / 2].id);
            let day = u32::try_from(day).expect("small");
            let OnSaleWindow { opens_at, closes_at } = date.on_sale;
            // What starts later goes on sale earlier.
            let on_sale = OnSaleWindow { opens_at: opens_at - DAY * day / 100, closes_at };
            Performance { starts_at: date.starts_at + DAY * day, on_sale, ..date }
        });
        for date in &dates {
            catalog.add_performance(date.clone(), None, None).await.expect("a new performance");
        }
        Self { titles, concerts, dates, venues }
    }

    fn ids(&self, days: &[usize]) -> Vec<String> {
        days.iter().map(|day| self.dates[*day].id.to_string()).collect()
    }
}

fn ids(page: &ListPerformancesResponse) -> Vec<String> {
    page.performances.iter().map(|performance| performance.performance_id.clone()).collect()
}

async fn list(channel: &Channel, message: ListPerformancesRequest) -> Result<ListPerformancesResponse, Status> {
    CatalogServiceClient::new(channel.clone()).list_performances(message).await.map(tonic::Response::into_inner)
}

async fn get(channel: &Channel, id: PerformanceId) -> Result<pb::GetPerformanceResponse, Status> {
    let message = GetPerformanceRequest { performance_id: id.to_string() };
    CatalogServiceClient::new(channel.clone()).get_performance(message).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_finds_concerts_and_dates() {
    for world in [World::embedded().await, World::durable(1).await] {
        let programme = Programme::announce(&world).await;
        let channel = world.channel(0);
        let message = ListConcertsRequest { search: "COWB beyonce".into(), ..ListConcertsRequest::default() };
        let found = CatalogServiceClient::new(channel.clone()).list_concerts(message).await.expect("concerts");
        let titles: Vec<String> = found.into_inner().concerts.into_iter().map(|concert| concert.title).collect();
        assert_eq!(titles, [programme.titles[1]]);

        let all = ListPerformancesRequest { search: "beyonce".into(), ..ListPerformancesRequest::default() };
        let page = list(channel, all.clone()).await.expect("dates");
        assert_eq!(ids(&page), programme.ids(&[0, 1, 2, 3]));
        let concerts: Vec<_> = page.concerts.iter().map(|concert| concert.concert_id.clone()).collect();
        assert_eq!(concerts, programme.concerts.each_ref().map(|concert| concert.id.to_string()));
        let moment = |day: usize| {
            let at = programme.dates[day].starts_at;
            Some(prost_types::Timestamp { seconds: at.timestamp(), nanos: 0 })
        };
        for (conditions, days) in [
            (ListPerformancesRequest { search: "renai".into(), ..all.clone() }, &[0, 2][..]),
            (ListPerformancesRequest { venue_id: programme.dates[3].venue.to_string(), ..all.clone() }, &[2, 3]),
            (ListPerformancesRequest { starts_from: moment(1), starts_before: moment(3), ..all.clone() }, &[1, 2]),
            (ListPerformancesRequest { on_sale_at: moment(3), ..all.clone() }, &[]),
            (ListPerformancesRequest { city: "KOLN".into(), ..all.clone() }, &[0, 1]),
            (ListPerformancesRequest { country_code: "US".into(), ..all.clone() }, &[2, 3]),
            (ListPerformancesRequest { city: "Frankfurt".into(), country_code: "DE".into(), ..all.clone() }, &[]),
            (ListPerformancesRequest { order: PerformanceOrder::OnSale.into(), ..all.clone() }, &[3, 2, 1, 0]),
            (ListPerformancesRequest { order: PerformanceOrder::Title.into(), ..all.clone() }, &[1, 3, 0, 2]),
        ] {
            let page = list(channel, conditions.clone()).await.expect("dates");
            assert_eq!(ids(&page), programme.ids(days), "{conditions:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_dates_belongs_to_its_conditions() {
    let world = World::durable(2).await;
    let programme = Programme::announce(&world).await;
    let first =
        ListPerformancesRequest { search: "beyonce".into(), page_size: 3, ..ListPerformancesRequest::default() };
    let page = list(world.channel(0), first.clone()).await.expect("dates");
    assert_eq!(ids(&page), programme.ids(&[0, 1, 2]));
    let next = ListPerformancesRequest { page_token: page.next_page_token, ..first };
    let page = list(world.channel(1), next.clone()).await.expect("dates");
    assert_eq!((ids(&page), page.next_page_token.as_str()), (programme.ids(&[3]), ""));
    let moment = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    for other in [
        ListPerformancesRequest { search: "renai".into(), ..next.clone() },
        ListPerformancesRequest { venue_id: programme.dates[0].venue.to_string(), ..next.clone() },
        ListPerformancesRequest { starts_from: moment, ..next.clone() },
        ListPerformancesRequest { starts_before: moment, ..next.clone() },
        ListPerformancesRequest { on_sale_at: moment, ..next.clone() },
        ListPerformancesRequest { city: "Köln".into(), ..next.clone() },
        ListPerformancesRequest { country_code: "DE".into(), ..next.clone() },
        ListPerformancesRequest { order: PerformanceOrder::Title.into(), ..next.clone() },
    ] {
        let refusal = list(world.channel(0), other).await.expect_err("other conditions");
        assert_eq!(violated_fields(&refusal), ["page_token"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_a_date_with_its_concert() {
    let world = World::durable(1).await;
    let programme = Programme::announce(&world).await;
    let date = &programme.dates[1];
    let found = get(world.channel(0), date.id).await.expect("the date");
    assert_eq!(found.concert.map(|concert| concert.title).as_deref(), Some(programme.titles[1]));
    let performance = found.performance.expect("the date");
    assert_eq!(performance.performance_id, date.id.to_string());
    assert_eq!((performance.seats_total, performance.seats_left), (26, 26));
    world.fan(0).await.hold(date.id, &["S-A-1"]).await.expect("a hold");
    let performance = get(world.channel(0), date.id).await.expect("the date").performance.expect("the date");
    assert_eq!(performance.seats_left, 25);
    let message = GetPerformanceRequest { performance_id: "31".into() };
    let refusal = CatalogServiceClient::new(world.channel(0).clone()).get_performance(message).await;
    assert_eq!(violated_fields(&refusal.expect_err("no UUID")), ["performance_id"]);
    let refusal = get(world.channel(0), fixtures::id()).await.expect_err("no such date");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::NotFound, "NOT_FOUND"));
}

async fn titles(channel: &Channel, message: ListConcertsRequest) -> Result<(Vec<String>, String), Status> {
    let page = CatalogServiceClient::new(channel.clone()).list_concerts(message).await?.into_inner();
    Ok((page.concerts.into_iter().map(|concert| concert.title).collect(), page.next_page_token))
}

#[tokio::test(flavor = "multi_thread")]
async fn concerts_are_listed_by_location_and_title() {
    for world in [World::embedded().await, World::durable(1).await] {
        let programme = Programme::announce(&world).await;
        let [renaissance, cowboy] = programme.titles;
        let channel = world.channel(0);
        let all = ListConcertsRequest { search: "beyonce".into(), ..ListConcertsRequest::default() };
        let at = programme.dates[3].starts_at.timestamp();
        let last_start = Some(prost_types::Timestamp { seconds: at, nanos: 0 });
        for (conditions, expected) in [
            (all.clone(), &[renaissance, cowboy][..]),
            (ListConcertsRequest { order: ConcertOrder::Title.into(), ..all.clone() }, &[cowboy, renaissance]),
            (ListConcertsRequest { city: "köln".into(), ..all.clone() }, &[renaissance, cowboy]),
            (ListConcertsRequest { country_code: "FR".into(), ..all.clone() }, &[]),
            (ListConcertsRequest { starts_from: last_start, ..all.clone() }, &[cowboy]),
            (ListConcertsRequest { starts_from: last_start, country_code: "DE".into(), ..all.clone() }, &[]),
        ] {
            let (found, _) = titles(channel, conditions.clone()).await.expect("concerts");
            assert_eq!(found, expected, "{conditions:?}");
        }
        let first = ListConcertsRequest { order: ConcertOrder::Title.into(), page_size: 1, ..all };
        let (found, page_token) = titles(channel, first.clone()).await.expect("concerts");
        assert_eq!(found, [cowboy]);
        let next = ListConcertsRequest { page_token, ..first };
        assert_eq!(
            titles(channel, next.clone()).await.expect("concerts"),
            (vec![renaissance.to_owned()], String::new())
        );
        for other in [
            ListConcertsRequest { order: 0, ..next.clone() },
            ListConcertsRequest { city: "Köln".into(), ..next.clone() },
            ListConcertsRequest { country_code: "DE".into(), ..next.clone() },
            ListConcertsRequest { starts_from: last_start, ..next.clone() },
        ] {
            let refusal = titles(channel, other).await.expect_err("other conditions");
            assert_eq!(violated_fields(&refusal), ["page_token"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn venues_with_dates_are_listed_with_their_locations() {
    for world in [World::embedded().await, World::durable(1).await] {
        let programme = Programme::announce(&world).await;
        let unused = fixtures::venue(fixtures::small_chart());
        world.ports.catalog.add_venue(unused, None).await.expect("a new venue");
        let mut catalog = CatalogServiceClient::new(world.channel(0).clone());
        let ids = programme.venues.each_ref().map(|venue| venue.id.to_string());
        let all = ListVenuesRequest::default();
        for (conditions, expected) in [
            (all.clone(), &ids[..]),
            (ListVenuesRequest { search: "haus koln".into(), ..all.clone() }, &ids[..1]),
            (ListVenuesRequest { city: "Frankfurt".into(), ..all.clone() }, &ids[1..]),
            (ListVenuesRequest { country_code: "DE".into(), ..all.clone() }, &ids[..1]),
            (ListVenuesRequest { city: "Wien".into(), ..all.clone() }, &[]),
        ] {
            let found = catalog.list_venues(conditions.clone()).await.expect("venues").into_inner().venues;
            let found: Vec<String> = found.into_iter().map(|venue| venue.venue_id).collect();
            assert_eq!(found, expected, "{conditions:?}");
        }
        let first = ListVenuesRequest { page_size: 1, ..all };
        let page = catalog.list_venues(first.clone()).await.expect("venues").into_inner();
        let location = page.venues[0].location.as_ref().expect("a location");
        assert_eq!([&location.city, &location.country_code, &location.time_zone], ["Köln", "DE", "Europe/Berlin"]);
        let next = ListVenuesRequest { page_token: page.next_page_token, ..first };
        let page = catalog.list_venues(next.clone()).await.expect("venues").into_inner();
        assert_eq!((page.venues[0].venue_id.as_str(), page.next_page_token.as_str()), (ids[1].as_str(), ""));
        let other = ListVenuesRequest { country_code: "DE".into(), ..next };
        assert_eq!(violated_fields(&catalog.list_venues(other).await.expect_err("others")), ["page_token"]);
    }
}
