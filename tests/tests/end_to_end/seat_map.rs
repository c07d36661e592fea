//! Seat charts and seat streams.

use encore_domain::booking::alternatives::Orphans;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::QueueSettings;
use encore_port_tests::fixtures;
use encore_proto::catalog::v1::watch_seats_response::Frame;
use encore_proto::catalog::v1::{GetSeatChartRequest, GetSeatChartResponse, SeatStatus};
use encore_tests::fan::{Fan, reason, violated_fields};
use encore_tests::watched_seats::WatchedSeats;
use encore_tests::world::World;
use tonic::{Code, Status};
use tonic_types::StatusExt;

async fn chart(fan: &Fan, performance: PerformanceId, version: &str) -> Result<GetSeatChartResponse, Status> {
    page(fan, performance, version, 0, "").await
}

async fn page(
    fan: &Fan,
    performance: PerformanceId,
    version: &str,
    page_size: u32,
    page_token: &str,
) -> Result<GetSeatChartResponse, Status> {
    let (version, page_token) = (version.to_owned(), page_token.to_owned());
    let message = GetSeatChartRequest { performance_id: performance.to_string(), version, page_size, page_token };
    Ok(fan.catalog().get_seat_chart(message).await?.into_inner())
}

/// The ids of a chart's seats by their indexes.
fn ids(chart: &GetSeatChartResponse) -> Vec<String> {
    let mut ids = Vec::new();
    for row in chart.sections.iter().flat_map(|section| &section.rows) {
        assert_eq!(row.first_seat as usize, ids.len());
        ids.extend(row.seats.iter().map(|seat| seat.seat_id.clone()));
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_chart_is_not_sent_again() {
    let world = World::durable(2).await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let whole = chart(&fan, performance, "").await.expect("a chart");
    assert_eq!((whole.seats_total, whole.not_modified, whole.prices.len()), (26, false, 2));
    let listed = fan.seats(performance).await.expect("seats");
    assert_eq!(ids(&whole), listed.iter().map(|seat| seat.seat_id.clone()).collect::<Vec<_>>());
    let seats: Vec<_> = whole.sections.iter().flat_map(|section| &section.rows).flat_map(|row| &row.seats).collect();
    for (seat, listed) in seats.iter().zip(&listed) {
        assert_eq!((&seat.label, &seat.number), (&listed.label, &listed.number));
        assert_eq!(whole.prices[seat.grade as usize].grade, listed.grade);
        assert_eq!((seat.x.to_bits(), seat.y.to_bits()), (listed.x.to_bits(), listed.y.to_bits()));
    }

    fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    let again = chart(&fan.on(world.channel(1)), performance, &whole.version).await.expect("the same chart");
    assert_eq!((again.not_modified, again.version, again.sections), (true, whole.version.clone(), vec![]));
    let other = chart(&fan, performance, "another").await.expect("a chart");
    assert_eq!(other, whole);

    let first = page(&fan, performance, "", 20, "").await.expect("a page");
    let second = page(&fan, performance, "", 20, &first.next_page_token).await.expect("a page");
    assert_eq!((&first.version, &second.version), (&whole.version, &whole.version));
    assert_eq!(second.sections[0].rows[0].first_seat, 20);
    assert!(second.next_page_token.is_empty());
    let count =
        |page: &GetSeatChartResponse| page.sections.iter().flat_map(|it| &it.rows).map(|it| it.seats.len()).sum();
    assert_eq!((count(&first), count(&second)), (20_usize, 6_usize));
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_see_changes_from_every_instance() {
    let world = World::durable(2).await;
    let performance = world.performance(None).await;
    let (fan, other) = (world.fan(0).await, world.fan(1).await);
    let mut seats = WatchedSeats::open(&fan, performance, &[]).await.expect("a stream");
    assert!(matches!(seats.next().await, Ok(Frame::Snapshot(_))));
    assert_eq!((seats.statuses.len(), seats.taken()), (26, (0, 0)));
    assert_eq!(seats.chart_version, chart(&fan, performance, "").await.expect("a chart").version);

    let hold = other.hold(performance, &["S-A-1", "C-B-9"]).await.expect("a hold");
    seats.until(|seats| seats[0] == SeatStatus::Held && seats[25] == SeatStatus::Held).await;
    assert_eq!(seats.taken(), (2, 0));
    other.top_up(50_000).await.expect("a credit");
    other.pay(&hold.reservation_id).await.expect("a payment");
    seats.until(|seats| seats[0] == SeatStatus::Sold && seats[25] == SeatStatus::Sold).await;
    let hold = fan.hold(performance, &["S-A-2"]).await.expect("a hold");
    seats.until(|seats| seats[1] == SeatStatus::Held).await;
    fan.release(&hold.reservation_id).await.expect("released");
    seats.until(|seats| seats[1] == SeatStatus::Free).await;
    assert_eq!((seats.frame_counts[0], seats.taken()), (1, (0, 2)), "deltas, and no second snapshot");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnecting_watcher_receives_missed_changes() {
    let world = World::durable(2).await;
    let performance = world.performance(None).await;
    let (fan, other) = (world.fan(0).await, world.fan(1).await);
    // Both instances have a replica of the seats.
    let mut elsewhere = WatchedSeats::open(&other, performance, &[]).await.expect("a stream");
    elsewhere.next().await.expect("a snapshot");
    let mut seats = WatchedSeats::open(&fan, performance, &[]).await.expect("a stream");
    seats.next().await.expect("a snapshot");
    other.hold(performance, &["S-A-3"]).await.expect("a hold");
    seats.until(|seats| seats[2] == SeatStatus::Held).await;

    // A change while the stream is closed is sent at once by the other instance.
    other.hold(performance, &["S-A-5"]).await.expect("a hold");
    seats.reopen(&fan.on(world.channel(1)), performance, &[]).await.expect("a stream");
    let frame = seats.next().await.expect("a frame");
    let Frame::Delta(delta) = frame else { panic!("{frame:?}") };
    assert!(delta.changes.contains(&(4 * 4 + 2)), "{delta:?}");
    assert_eq!(seats.taken(), (2, 0));

    // There was no change.
    elsewhere.until(|seats| seats[4] == SeatStatus::Held).await;
    seats.reopen(&fan.on(world.channel(1)), performance, &[]).await.expect("a stream");
    assert!(matches!(seats.next().await, Ok(Frame::Heartbeat(_))));
    // An unknown version.
    seats.version = 7;
    seats.reopen(&fan, performance, &[]).await.expect("a stream");
    assert!(matches!(seats.next().await, Ok(Frame::Snapshot(_))));
    assert_eq!(seats.taken(), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_section_can_be_watched_alone() {
    let world = World::durable(1).await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let mut seats = WatchedSeats::open(&fan, performance, &["Balcony"]).await.expect("a stream");
    seats.next().await.expect("a snapshot");
    let unwatched = seats.statuses.iter().filter(|status| **status == SeatStatus::Unspecified).count();
    assert_eq!((seats.statuses.len(), unwatched), (26, 13));

    fan.hold(performance, &["S-A-1"]).await.expect("a hold in the stalls");
    fan.hold(performance, &["C-A-1"]).await.expect("a hold on the balcony");
    seats.until(|seats| seats[13] == SeatStatus::Held).await;
    assert_eq!((seats.taken(), seats.frame_counts), ((1, 0), [1, 1, 0]));

    let refusal = WatchedSeats::open(&fan, performance, &["Pit"]).await.map(drop).expect_err("no such section");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::NotFound, "NOT_FOUND"));
    let refusal = WatchedSeats::open(&fan, performance, &[""]).await.map(drop).expect_err("no name");
    assert_eq!(violated_fields(&refusal), ["sections[0]"]);
    let refusal = WatchedSeats::open(&fan, fixtures::id(), &[]).await.map(drop).expect_err("no such performance");
    assert_eq!(reason(&refusal), "NOT_FOUND");
    let anonymous = Fan { access_token: String::new(), ..fan.clone() };
    let refusal = WatchedSeats::open(&anonymous, performance, &[]).await.map(drop).expect_err("not logged in");
    assert_eq!(reason(&refusal), "CREDENTIALS_MISSING");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_queue_only_admitted_fans_watch_until_their_admission_ends() {
    let world = World::embedded().await;
    let queue = QueueSettings { draining: false, ..fixtures::queue_settings() };
    let performance = world.performance(Some(queue.clone())).await;
    let mut fan = world.fan(0).await;
    let refusal = WatchedSeats::open(&fan, performance, &[]).await.map(drop).expect_err("not in the queue");
    assert_eq!(reason(&refusal), "QUEUE_TOKEN_MISSING");
    fan.enter(performance).await.expect("admitted");
    let mut seats = WatchedSeats::open(&fan, performance, &[]).await.expect("a stream");
    seats.next().await.expect("a snapshot");
    let other = Fan { queue_token: fan.queue_token.clone(), ..world.fan(0).await };
    let refusal = WatchedSeats::open(&other, performance, &[]).await.map(drop).expect_err("another fan's token");
    assert_eq!(reason(&refusal), "QUEUE_TOKEN_INVALID");

    world.clock.advance(queue.active_duration);
    let slots = fixtures::slots(&[0]);
    let held_until = fixtures::start() + queue.active_duration * 2;
    let terms = fixtures::lock_terms(fixtures::id(), held_until);
    world.ports.seat_locks.take(performance, &slots, Orphans::Allow, terms).await.expect("a lock");
    let end = seats.next().await.expect_err("the admission is over");
    assert_eq!(reason(&end), "QUEUE_TOKEN_ENDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_streams_of_a_fan_is_limited() {
    let world = World::embedded().await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(WatchedSeats::open(&fan, performance, &[]).await.expect("a stream"));
    }
    let refusal = WatchedSeats::open(&fan, performance, &[]).await.map(drop).expect_err("one too many");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    WatchedSeats::open(&world.fan(0).await, performance, &[]).await.map(drop).expect("another fan's stream");
    streams.pop();
    let again = || async { WatchedSeats::open(&fan, performance, &[]).await.is_ok() };
    encore_tests::world::until("another allowed stream", again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_seat_streams_with_a_retryable_status() {
    let mut world = World::embedded().await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let mut seats = WatchedSeats::open(&fan, performance, &[]).await.expect("a stream");
    seats.next().await.expect("a snapshot");
    world.instances[0].shut_down();
    let end = seats.next().await.expect_err("the instance is shutting down");
    assert_eq!((end.code(), reason(&end).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    assert!(end.get_error_details().retry_info().is_some());
    world.instances[0].stopped().await;
}
