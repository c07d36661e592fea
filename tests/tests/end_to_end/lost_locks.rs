//! Seats are sold while Redis is flushed, and while it is unavailable. No seat is sold twice, and the map is correct
//! afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use encore_domain::catalog::Performance;
use encore_domain::catalog::seat_chart::SeatChart;
use encore_domain::ids::PerformanceId;
use encore_port_tests::fixtures;
use encore_proto::booking::v1::BestAvailable;
use encore_proto::catalog::v1::{ListSeatsRequest, Seat, SeatStatus};
use encore_tests::audit::found;
use encore_tests::fan::{Fan, reason, request_id};
use encore_tests::ledger;
use encore_tests::seat_truth::{claimed_map, settled_map};
use encore_tests::watched_seats::WatchedSeats;
use encore_tests::world::{World, until};
use futures::future::join_all;
use tokio::sync::watch;

use crate::lost_redis::{ask, start};

const HOLD_FOR: Duration = Duration::from_mins(5);

fn five_minutes(performance: Performance) -> Performance {
    Performance { hold_for: HOLD_FOR, ..performance }
}

fn best(count: u32) -> BestAvailable {
    BestAvailable { count, ..BestAvailable::default() }
}

async fn listed(fan: &Fan, performance: PerformanceId) -> Vec<SeatStatus> {
    let message =
        ListSeatsRequest { performance_id: performance.to_string(), page_size: 10_000, ..ListSeatsRequest::default() };
    let listed = fan.catalog().list_seats(fan.request(message)).await.expect("seats").into_inner();
    let rows = listed.sections.iter().flat_map(|section| &section.rows);
    rows.flat_map(|row| &row.seats).map(Seat::status).collect()
}

/// Waits until the locks match the claims, and then checks the audit, the listed seats and the watched maps.
async fn settled_and_checked(
    world: &World,
    performance: PerformanceId,
    chart: &SeatChart,
    watching: Vec<WatchedSeats>,
) -> Vec<SeatStatus> {
    let truth = settled_map(world, performance, chart).await;
    let operator = world.operator().await;
    assert_eq!(found(&operator, performance).await, []);
    for turn in 0..2 {
        assert_eq!(listed(&operator.on(world.channel(turn)), performance).await, truth);
    }
    for mut seats in watching {
        seats.until(|seats| seats == truth).await;
    }
    truth
}

/// A fan holds, extends, releases and pays seats that others want too, while the locks are lost repeatedly. Returns the
/// paid seats.
async fn buy_through(
    world: &World,
    performance: PerformanceId,
    turn: usize,
    steps: &watch::Sender<usize>,
) -> Vec<String> {
    let fan = world.fan(turn).await;
    fan.top_up(1_000_000).await.expect("a credit");
    let mut bought = Vec::new();
    for round in 0..6 {
        // There are enough seats for all fans at any time.
        let held = fan.hold_best(performance, best(2)).await.expect("free seats");
        if (turn + round).is_multiple_of(3) && bought.len() <= 2 {
            fan.pay(&held.reservation_id).await.expect("paid");
            bought.extend(held.seats.into_iter().map(|seat| seat.seat_id));
        } else {
            // The extension is refused unless the clock has advanced.
            if let Err(refusal) = fan.extend_as(&request_id(), &held.reservation_id).await {
                assert_eq!(reason(&refusal), "HOLD_AT_LIMIT");
            }
            let one = [held.seats[0].seat_id.as_str()];
            let left = fan.release_as(&request_id(), &held.reservation_id, &one).await.expect("one seat released");
            assert_eq!(left.seats.len(), 1);
            fan.release(&held.reservation_id).await.expect("the other seat released");
        }
        let wanted = format!("7-19-{}", (turn * 7 + round) % 20 + 1);
        match fan.hold(performance, &[&wanted]).await {
            Ok(hold) if round % 2 == 0 && bought.len() < 4 => {
                fan.pay(&hold.reservation_id).await.expect("paid");
                bought.push(wanted);
            }
            Ok(hold) => drop(fan.release(&hold.reservation_id).await.expect("released")),
            Err(refusal) => assert_eq!(reason(&refusal), "SEATS_TAKEN"),
        }
        steps.send_modify(|steps| *steps += 1);
    }
    bought
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_are_sold_while_redis_is_flushed_repeatedly() {
    const FANS: usize = 20;
    let (world, chart) = (World::durable(2).await, fixtures::arena_chart());
    let performance = world.performance_in(chart.clone(), None, |performance| performance).await;
    let mut watching = Vec::new();
    for turn in 0..4 {
        let sections: &[&str] = if turn < 2 { &[] } else { &["Block 7"] };
        let watcher = world.fan_without_account(world.channel(turn));
        let seats = WatchedSeats::open(&watcher, performance, sections).await.expect("a stream");
        watching.extend((turn < 2).then_some(seats));
    }
    let steps = watch::Sender::new(0);
    let buying = join_all((0..FANS).map(|turn| buy_through(&world, performance, turn, &steps)));
    let flushing = async {
        for flush in 1..10 {
            let mut taken = steps.subscribe();
            taken.wait_for(|taken| *taken >= flush * FANS * 6 / 10).await.expect("the fans continue");
            world.clock.advance(Duration::from_millis(1));
            world.lose_redis().await;
        }
    };
    let (bought, ()) = tokio::join!(buying, flushing);
    let mut sold = BTreeSet::new();
    for seat in bought.into_iter().flatten() {
        assert!(sold.insert(seat.clone()), "{seat} was sold twice");
    }
    let map = settled_and_checked(&world, performance, &chart, watching).await;
    assert_eq!(map.iter().filter(|status| **status == SeatStatus::Sold).count(), sold.len());
    ledger::assert_conserved(world.database()).await;
}

/// The data of Redis after its restart.
#[derive(Clone, Copy, Debug)]
enum Return {
    AsItWas,
    Empty,
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_are_sold_while_redis_is_unavailable_and_the_map_is_correct_afterwards() {
    for way in [Return::AsItWas, Return::Empty] {
        let mut redis = start(&format!("away-{way:?}"));
        let (world, chart) = (World::durable_on(2, &redis.url()).await, fixtures::small_chart());
        let performance = world.performance_with(None, five_minutes).await;
        let mut fans = Vec::new();
        for turn in 0..8 {
            let fan = world.fan(turn).await;
            fan.top_up(500_000).await.expect("a credit");
            fans.push(fan);
        }
        let [keeps, pays, gives, buys, first, second, late, other] = &fans[..] else { panic!("eight") };
        let mut watching = Vec::new();
        for turn in 0..2 {
            let watcher = world.fan_without_account(world.channel(turn));
            watching.push(WatchedSeats::open(&watcher, performance, &[]).await.expect("a stream"));
        }
        let kept = keeps.hold(performance, &["S-A-1", "S-A-2", "S-A-3"]).await.expect("a hold");
        let to_pay = pays.hold(performance, &["S-B-1"]).await.expect("a hold");
        let to_give = gives.hold(performance, &["C-A-1", "C-A-2"]).await.expect("a hold");
        let bought = buys.hold(performance, &["C-B-9"]).await.expect("a hold");
        buys.pay(&bought.reservation_id).await.expect("paid");
        assert_eq!(ask(&redis, "SAVE"), "OK");
        redis.kill();

        pays.pay(&to_pay.reservation_id).await.expect("paid without locks");
        world.clock.advance(Duration::from_mins(4));
        keeps.extend_as(&request_id(), &kept.reservation_id).await.expect("extended without locks");
        let left = keeps.release_as(&request_id(), &kept.reservation_id, &["S-A-3"]).await.expect("one seat released");
        assert_eq!(left.seats.len(), 2);
        gives.release(&to_give.reservation_id).await.expect("released without locks");
        first.hold(performance, &["S-A-3"]).await.expect("the released seat");
        let best_two = second.hold_best(performance, best(2)).await.expect("the best available seats by the claims");
        second.pay(&best_two.reservation_id).await.expect("paid without locks");
        for fan in [late, other] {
            let refusal = fan.hold(performance, &["S-A-2"]).await.expect_err("kept");
            assert_eq!(reason(&refusal), "SEATS_TAKEN");
        }
        let rivals = join_all([late, other].map(|fan| fan.hold(performance, &["C-B-1", "C-B-2"]))).await;
        assert_eq!(rivals.iter().filter(|held| held.is_ok()).count(), 1, "the claims decide");
        let map = claimed_map(&world, performance, &chart).await;
        for turn in 0..2 {
            let there = late.on(world.channel(turn));
            until("a map that matches the claims", || async { listed(&there, performance).await == map }).await;
        }
        for seats in &mut watching {
            seats.until(|seats| seats == map).await;
        }

        redis.start_again().expect("Redis starts");
        if matches!(way, Return::Empty) {
            assert_eq!(ask(&redis, "FLUSHALL"), "OK");
        }
        // The deadline in the old locks has long passed.
        world.clock.advance(Duration::from_mins(2));
        settled_and_checked(&world, performance, &chart, watching).await;
        let refusal = late.hold(performance, &["S-A-1"]).await.expect_err("the claims refuse the seat");
        assert_eq!(reason(&refusal), "SEATS_TAKEN");
        let free_again = late.hold(performance, &["C-A-1", "C-A-2"]).await.expect("released seats");
        late.release(&free_again.reservation_id).await.expect("released seats");
        let refusal = keeps.release_as(&request_id(), &kept.reservation_id, &["S-A-3"]).await.expect_err("not theirs");
        assert_eq!(reason(&refusal), "NOT_FOUND");
        keeps.pay(&kept.reservation_id).await.expect("extended, and paid");
        settled_and_checked(&world, performance, &chart, vec![]).await;
        ledger::assert_conserved(world.database()).await;
    }
}
