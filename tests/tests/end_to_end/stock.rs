//! Admission depends on the free seats.

use std::time::Duration;

use encore_domain::catalog::Performance;
use encore_domain::queue::QueueSettings;
use encore_port_tests::fixtures::accessible_chart;
use encore_proto::booking::v1::BestAvailable;
use encore_proto::queue::v1::JoinQueueRequest;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_tests::fan::{Fan, next_status};
use encore_tests::world::{World, until};

/// The 26 seats of the small venue. Five fans take all of them in holds of at most six seats.
fn all_seats() -> Vec<String> {
    let chart = encore_port_tests::fixtures::small_chart();
    chart.seats().iter().map(|seat| seat.id.clone()).collect()
}

async fn hold_all(fans: &[Fan], performance: encore_domain::ids::PerformanceId) -> Vec<String> {
    let seats = all_seats();
    let mut holds = Vec::new();
    for (fan, seats) in fans.iter().zip(seats.chunks(6)) {
        let seats: Vec<&str> = seats.iter().map(String::as_str).collect();
        holds.push(fan.hold(performance, &seats).await.expect("a hold").reservation_id);
    }
    holds
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fan_is_admitted_without_seats_and_admission_resumes() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(QueueSettings::default())).await;
    let mut buyers = Vec::new();
    for turn in 0..5 {
        let mut fan = world.fan(turn).await;
        fan.enter(performance).await.expect("admitted");
        fan.top_up(100_000).await.expect("a credit");
        buyers.push(fan);
    }
    let holds = hold_all(&buyers, performance).await;
    let (mut first, mut second) = (world.fan(0).await, world.fan(1).await);
    first.join(performance).await.expect("a queue token");
    second.join(performance).await.expect("a queue token");
    let mut frames = second.watch().await.expect("a stream");
    assert!(
        matches!(next_status(&mut frames).await, QueueStatus::Waiting(waiting) if !waiting.sold_out),
        "held seats are not sold"
    );
    for (buyer, hold) in buyers.iter().zip(&holds).skip(1) {
        buyer.pay(hold).await.expect("paid");
    }
    // Six seats are held and none is free. The held seats may be released.
    world.clock.advance(Duration::from_secs(20));
    assert!(
        matches!(first.position().await, Ok(QueueStatus::Waiting(waiting)) if waiting.position == 1 && !waiting.sold_out)
    );

    buyers[0].pay(&holds[0]).await.expect("paid");
    loop {
        if let QueueStatus::Waiting(waiting) = next_status(&mut frames).await
            && waiting.sold_out
        {
            assert_eq!((waiting.position, waiting.seats_left), (2, 0));
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn released_seats_go_to_waiting_fans_in_order() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(QueueSettings { max_active: 6, ..QueueSettings::default() })).await;
    let mut holders = Vec::new();
    for turn in 0..5 {
        let mut fan = world.fan(turn).await;
        fan.enter(performance).await.expect("admitted");
        holders.push(fan);
    }
    let holds = hold_all(&holders, performance).await;
    let (mut first, mut second) = (world.fan(0).await, world.fan(1).await);
    first.join(performance).await.expect("a queue token");
    second.join(performance).await.expect("a queue token");
    let streams = (first.watch().await.expect("a stream"), second.watch().await.expect("a stream"));
    // Six seats are released. Five fans are active, so one more is admitted.
    holders[3].release(&holds[3]).await.expect("released");
    until("the first fan admitted", || async { matches!(first.position().await, Ok(QueueStatus::Admitted(_))) }).await;
    // The replica of the second fan's instance may be one tick old.
    let is_next =
        async || matches!(second.position().await, Ok(QueueStatus::Waiting(waiting)) if waiting.position == 1);
    until("the second fan at the first position", || async { is_next().await }).await;
    world.clock.advance(Duration::from_secs(5));
    assert!(is_next().await, "six fans are active");
    holders[0].leave().await.expect("left");
    until("the second fan admitted", || async { matches!(second.position().await, Ok(QueueStatus::Admitted(_))) })
        .await;
    drop(streams);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_admitted_for_whom_no_seat_is_left() {
    for world in [World::durable(2).await, World::embedded().await] {
        let many = |performance| Performance { seats_per_fan: 26, ..performance };
        let settings = Some(QueueSettings::default());
        let performance = world.performance_in(accessible_chart(), settings, many).await;
        // All seats for everybody are sold. Five accessible seats are left.
        let chart = accessible_chart();
        let ordinary = chart.seats().iter().filter(|seat| !seat.accessible).map(|seat| seat.id.as_str());
        let ordinary: Vec<&str> = ordinary.collect();
        let mut buyer = world.fan(0).await;
        buyer.top_up(1_000_000).await.expect("a credit");
        for seats in ordinary.chunks(6) {
            buyer.enter(performance).await.expect("admitted");
            let hold = buyer.hold(performance, seats).await.expect("a hold");
            buyer.pay(&hold.reservation_id).await.expect("paid");
        }

        let (mut other, mut needs) = (world.fan(0).await, world.fan(1).await);
        other.join(performance).await.expect("a queue token");
        let message = JoinQueueRequest {
            performance_id: performance.to_string(),
            needs_accessible: true,
            ..JoinQueueRequest::default()
        };
        assert!(needs.send_join(message).await.expect("a queue token").needs_accessible);
        needs.wait().await.expect("admitted: an accessible seat is left");
        let status = other.position().await.expect("a status");
        let QueueStatus::Waiting(waiting) = status else { panic!("{status:?}") };
        assert_eq!((waiting.position, waiting.seats_left, waiting.sold_out), (1, 0, true));
        let best = BestAvailable { count: 1, accessible_count: 1, ..BestAvailable::default() };
        needs.hold_best(performance, best).await.expect("an accessible seat");
    }
}
