//! The limit of seats per fan, and repeats: a call that is refused for them never makes a seat look taken.

use std::time::Duration;

use encore_domain::catalog::Performance;
use encore_domain::ids::PerformanceId;
use encore_port_tests::fixtures;
use encore_proto::booking::v1::BestAvailable;
use encore_proto::catalog::v1::SeatStatus;
use encore_proto::catalog::v1::watch_seats_response::Frame;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id};
use encore_tests::seat_truth::settled_map;
use encore_tests::watched_seats::WatchedSeats;
use encore_tests::world::World;
use futures::future::join_all;
use tonic::Status;

fn two_each(performance: Performance) -> Performance {
    Performance { seats_per_fan: 2, ..performance }
}

fn best(count: u32) -> BestAvailable {
    BestAvailable { count, ..BestAvailable::default() }
}

/// The version of the seats. Each lock that is taken and each that is freed increments it.
async fn version(world: &World, performance: PerformanceId) -> u64 {
    let state = world.ports.seat_locks.snapshot(performance).await.expect("an answer");
    state.expect("loaded").version
}

fn assert_over_limit(refusal: &Status, owned: &str) {
    assert_eq!(reason(refusal), "SEAT_LIMIT_EXCEEDED");
    assert_eq!(reason_metadata(refusal, "limit").as_deref(), Some("2"));
    assert_eq!(reason_metadata(refusal, "owned").as_deref(), Some(owned));
}

/// A fan calls for more seats than one fan may have, four times at once on both instances, again and again.
async fn call_for_more(world: &World, fan: &Fan, performance: PerformanceId) -> Vec<Status> {
    let mut refusals = Vec::new();
    for round in 0..5 {
        let calls = (0..4).map(|turn| {
            let fan = fan.on(world.channel(turn));
            async move {
                if turn < 2 {
                    let seats = [1, 2].map(|seat| format!("C-B-{}", 1 + (round * 2 + seat + turn) % 9));
                    fan.hold(performance, &seats.each_ref().map(String::as_str)).await
                } else {
                    fan.hold_best(performance, best(2)).await
                }
            }
        });
        refusals.extend(join_all(calls).await.into_iter().map(|hold| hold.expect_err("too many seats")));
    }
    refusals
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_over_the_limit_never_make_a_seat_look_taken() {
    let world = World::durable(2).await;
    let performance = world.performance_with(None, two_each).await;
    let (greedy, buyer, other) = (world.fan(0).await, world.fan(1).await, world.fan(1).await);
    greedy.hold(performance, &["S-A-1", "S-A-2"]).await.expect("two seats");
    buyer.top_up(100_000).await.expect("a credit");
    let bought = buyer.hold(performance, &["S-A-3"]).await.expect("one seat");
    buyer.pay(&bought.reservation_id).await.expect("paid");
    let mut watching = Vec::new();
    for turn in 0..2 {
        let mut seats = WatchedSeats::open(&other.on(world.channel(turn)), performance, &[]).await.expect("a stream");
        seats.next().await.expect("a snapshot");
        seats.until(|seats| seats.contains(&SeatStatus::Sold)).await;
        watching.push(seats);
    }
    let before = version(&world, performance).await;

    let (of_greedy, of_buyer) =
        tokio::join!(call_for_more(&world, &greedy, performance), call_for_more(&world, &buyer, performance));
    for refusal in &of_greedy {
        assert_over_limit(refusal, "2");
    }
    for refusal in &of_buyer {
        assert_over_limit(refusal, "1");
    }
    assert_eq!(version(&world, performance).await, before, "nothing was locked");

    other.hold(performance, &["C-B-9"]).await.expect("free");
    assert_eq!(version(&world, performance).await, before + 1);
    for mut seats in watching {
        loop {
            if let Frame::Delta(delta) = seats.next().await.expect("a frame") {
                assert_eq!(delta.changes.len(), 1, "only the seat that was held");
                break;
            }
        }
        assert_eq!(seats.taken(), (3, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_for_too_many_seats_takes_none_from_others() {
    let world = World::durable(2).await;
    let performance = world.performance_with(None, two_each).await;
    let greedy = world.fan(0).await;
    let calls = (0..8).map(|turn| {
        let greedy = greedy.on(world.channel(turn));
        async move { greedy.hold_best(performance, best(1)).await }
    });
    let held = join_all(calls).await.into_iter().flatten().count();
    assert_eq!(held, 2, "exactly the limit");

    let names: Vec<String> = (1..=9).map(|number| format!("C-B-{number}")).collect();
    let mut fans = Vec::new();
    for turn in 0..names.len() {
        fans.push(world.fan(turn).await);
    }
    let holding =
        join_all(fans.iter().zip(&names).map(async |(fan, name)| fan.hold(performance, &[name.as_str()]).await));
    let (refusals, holds) = tokio::join!(call_for_more(&world, &greedy, performance), holding);
    for refusal in refusals {
        assert!(["SEAT_LIMIT_EXCEEDED", "SEATS_TAKEN"].contains(&reason(&refusal).as_str()), "{refusal:?}");
    }
    for hold in holds {
        hold.expect("a seat that only its fan may have");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_known_after_a_flush() {
    let world = World::durable(2).await;
    let performance = world.performance_with(None, two_each).await;
    let fan = world.fan(0).await;
    fan.top_up(100_000).await.expect("a credit");
    let bought = fan.hold(performance, &["S-A-1"]).await.expect("a seat");
    fan.pay(&bought.reservation_id).await.expect("paid");
    let held = fan.hold(performance, &["S-A-2"]).await.expect("a seat");

    world.lose_redis().await;

    let refusal = fan.hold(performance, &["S-A-3"]).await.expect_err("too many seats");
    assert_over_limit(&refusal, "2");
    let loaded = version(&world, performance).await;
    for refusal in call_for_more(&world, &fan, performance).await {
        assert_over_limit(&refusal, "2");
    }
    assert_eq!(version(&world, performance).await, loaded);

    fan.release(&held.reservation_id).await.expect("released");
    fan.hold(performance, &["S-A-3"]).await.expect("one of two");
    let truth = settled_map(&world, performance, &fixtures::small_chart()).await;
    assert_eq!(truth.iter().filter(|status| **status != SeatStatus::Free).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_or_is_released_counts_no_more() {
    let world = World::durable(2).await;
    let performance = world.performance_with(None, two_each).await;
    let fan = world.fan(0).await;
    for _ in 0..3 {
        fan.hold(performance, &["S-A-1", "S-A-2"]).await.expect("two seats");
        assert_over_limit(&fan.hold_best(performance, best(1)).await.expect_err("too many seats"), "2");
        world.clock.advance(Duration::from_mins(8));
        settled_map(&world, performance, &fixtures::small_chart()).await;
    }
    let held = fan.hold(performance, &["S-A-1", "S-A-2"]).await.expect("two seats");
    let mut release = encore_proto::booking::v1::ReleaseHoldRequest::default();
    release.reservation_id.clone_from(&held.reservation_id);
    release.seat_ids = vec!["S-A-1".to_owned()];
    fan.booking().release_hold(fan.request(release)).await.expect("one seat released");
    fan.hold(performance, &["S-A-5"]).await.expect("two seats again");
    assert_over_limit(&fan.hold(performance, &["S-A-1"]).await.expect_err("too many seats"), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_never_makes_a_seat_look_taken() {
    let world = World::durable(2).await;
    let performance = world.performance_with(None, two_each).await;
    let fan = world.fan(0).await;
    let (named, chosen) = (request_id(), request_id());
    let first = fan.hold_as(&named, performance, &["S-A-1", "S-A-2"]).await.expect("two seats");
    fan.release(&first.reservation_id).await.expect("released");
    let second = fan.hold_best_as(&chosen, performance, best(2)).await.expect("two seats");
    fan.release(&second.reservation_id).await.expect("released");
    let before = version(&world, performance).await;

    for turn in 0..4 {
        let fan = fan.on(world.channel(turn));
        let again = fan.hold_as(&named, performance, &["S-A-1", "S-A-2"]).await.expect("the first result");
        assert_eq!(again, first);
        let again = fan.hold_best_as(&chosen, performance, best(2)).await.expect("the first result");
        assert_eq!(again, second);
        for (id, seats) in [(&named, "S-A-1"), (&chosen, "S-A-5")] {
            let refusal = fan.hold_as(id, performance, &[seats]).await.expect_err("another body");
            assert_eq!(reason(&refusal), "REQUEST_ID_REUSED");
        }
    }
    assert_eq!(version(&world, performance).await, before, "nothing was locked");
    fan.hold(performance, &["S-A-1", "S-A-2"]).await.expect("another request");
}
