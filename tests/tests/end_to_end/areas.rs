//! Standing areas: sold by count.

use encore_port_tests::fixtures::{PIT_SPOTS, festival_chart};
use encore_proto::catalog::v1::{
    AreaStock, ChartArea, GetSeatChartRequest, ListPerformancesRequest, ListSeatsRequest, ListSeatsResponse,
};
use encore_tests::fan::{Fan, violated_fields};
use encore_tests::world::World;

use encore_domain::ids::PerformanceId;

const FLOOR: u32 = 300;

fn stock(section: &str, grade: &str, capacity: u32, left: u32) -> AreaStock {
    AreaStock { section: section.into(), grade: grade.into(), capacity, left }
}

async fn listed(fan: &Fan, performance: PerformanceId, sections: &[&str]) -> ListSeatsResponse {
    let sections = sections.iter().map(|&section| section.to_owned()).collect();
    let message = ListSeatsRequest { performance_id: performance.to_string(), sections, ..Default::default() };
    fan.catalog().list_seats(fan.request(message)).await.expect("seats").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn areas_are_told_beside_seats_and_not_spot_by_spot() {
    for world in [World::durable(1).await, World::embedded().await] {
        let performance = world.performance_in(festival_chart(FLOOR), None, |performance| performance).await;
        let fan = world.fan(0).await;
        let page = async |page_size, page_token: &str| {
            let (performance_id, page_token) = (performance.to_string(), page_token.to_owned());
            let message = GetSeatChartRequest { performance_id, page_size, page_token, ..Default::default() };
            fan.catalog().get_seat_chart(message).await.expect("a chart").into_inner()
        };
        let area = |section: &str, grade, capacity| ChartArea { section: section.into(), grade, capacity };
        let first = page(20, "").await;
        assert_eq!(first.areas, [area("Floor", 1, FLOOR), area("Pit", 0, PIT_SPOTS)]);
        assert_eq!(first.seats_total, 26);
        assert_eq!(page(20, &first.next_page_token).await.areas, []);

        let all = listed(&fan, performance, &[]).await;
        assert_eq!(all.areas, [stock("Floor", "Rear", FLOOR, FLOOR), stock("Pit", "Front", PIT_SPOTS, PIT_SPOTS)]);
        let seats: usize = all.sections.iter().flat_map(|section| &section.rows).map(|row| row.seats.len()).sum();
        assert_eq!(seats, 26);
        let some = listed(&fan, performance, &["Pit", "Stalls"]).await;
        assert_eq!(some.areas, [stock("Pit", "Front", PIT_SPOTS, PIT_SPOTS)]);
        assert_eq!(some.sections.len(), 1);

        let hall = world.ports.catalog.performance(performance).await.expect("Postgres").expect("a performance");
        let message = ListPerformancesRequest { concert_id: hall.concert.to_string(), ..Default::default() };
        let dates = fan.catalog().list_performances(message).await.expect("dates").into_inner();
        let total = 26 + FLOOR + PIT_SPOTS;
        assert_eq!((dates.performances[0].seats_total, dates.performances[0].seats_left), (total, total));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spot_is_not_had_by_name() {
    let world = World::embedded().await;
    let performance = world.performance_in(festival_chart(FLOOR), None, |performance| performance).await;
    let fan = world.fan(0).await;
    let spot = format!("spot-{}", festival_chart(FLOOR).areas()[0].first.0);
    let refusal = fan.hold(performance, &["S-A-1", &spot]).await.expect_err("a spot is sold by count");
    assert_eq!(violated_fields(&refusal), ["seat_ids"]);
    let left = listed(&fan, performance, &["Floor"]).await.areas;
    assert_eq!(left, [stock("Floor", "Rear", FLOOR, FLOOR)]);
}
