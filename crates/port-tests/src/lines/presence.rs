use std::time::Duration;

use encore_domain::line_snapshot::Standing;
use encore_domain::ports::Presence;
use encore_domain::queue::{EndReason, LaneNumber, LineSettings, QueueTicket, TokenState};
use futures::stream::{self, StreamExt};

use super::{ACTIVE_FOR, joining, new_line, number, open_doors, period, seen_at};
use crate::SpeedBench;
use crate::fixtures::{id, just_before, line_settings, start};

/// How many joins of a long line are under way at a time.
const JOINS_IN_FLIGHT: usize = 64;
/// How many numbers one report carries.
const BULK: u64 = 10_000;

pub async fn abandons_who_is_away(bench: SpeedBench) {
    let line = bench.line(6).await;
    let performance = line[0].performance;
    let one = LineSettings { batch: 1, claim_window: Duration::from_hours(1), ..line_settings() };
    bench.admit(&line, &one, start()).await;
    bench.claim(&line[0], start()).await;
    // Number 3 is reported, number 5 joins again; 2, 4 and 6 are away.
    bench.report(&line, [3], period(1)).await;
    assert_eq!(bench.join(performance, line[4].user, period(1)).await, line[4]);

    let last_moment = just_before(period(Presence::PERIODS + 1));
    assert_eq!(bench.abandon_absent(performance, last_moment).await, 0);
    let gone_at = period(Presence::PERIODS + 1);
    assert_eq!(bench.abandon_absent(performance, gone_at).await, 3);
    assert_eq!(bench.abandon_absent(performance, gone_at).await, 0, "counted once");
    let states = bench.states(&line, gone_at).await;
    let abandoned = TokenState::Ended(EndReason::Abandoned);
    let active = TokenState::Active { until: start() + ACTIVE_FOR };
    assert_eq!(states, [active, abandoned, TokenState::Waiting, abandoned, TokenState::Waiting, abandoned]);
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.waiting(), snapshot.standing(number(5))), (2, Standing::Waiting { position: 2 }));

    assert_eq!(bench.admit(&line, &open_doors(), gone_at).await, 2);
    assert_eq!(bench.abandon_absent(performance, period(100)).await, 0, "nobody waits");
}

pub async fn keeps_who_was_seen_later(bench: SpeedBench) {
    let line = bench.line(2).await;
    bench.report(&line, [1], period(Presence::PERIODS + 2)).await;
    let gone_at = period(Presence::PERIODS + 1);
    assert_eq!(bench.abandon_absent(line[0].performance, gone_at).await, 1);
    let states = bench.states(&line, gone_at).await;
    assert_eq!(states, [TokenState::Waiting, TokenState::Ended(EndReason::Abandoned)]);
}

pub async fn reports_presence_in_bulk(bench: SpeedBench) {
    let performance = bench.opened(&new_line()).await;
    let joins = (0..=BULK).map(|_| bench.lines.join(joining(performance, id(), start())));
    let tickets: Vec<QueueTicket> = stream::iter(joins)
        .buffer_unordered(JOINS_IN_FLIGHT)
        .map(|ticket| ticket.expect("a number is left"))
        .collect()
        .await;
    let others = bench.join_all(performance, 2, 3).await;
    let absent = BULK / 2;
    let in_lane_0 = (1..=BULK + 1).filter(|n| *n != absent).map(number);
    let numbers: Vec<LaneNumber> = in_lane_0.chain([LaneNumber { lane: 2, number: 2 }]).collect();
    let reported = bench.lines.report_present(performance, &numbers, false, seen_at(period(2))).await;
    reported.expect("the line is in place");

    let now = period(Presence::PERIODS + 1);
    assert_eq!(bench.abandon_absent(performance, now).await, 3, "one of lane 0, two of lane 2");
    let snapshot = bench.snapshot(performance).await;
    assert_eq!(snapshot.waiting(), BULK + 1);
    assert_eq!(snapshot.standing(number(absent)), Standing::Ended);
    assert_eq!(snapshot.standing(number(BULK + 1)), Standing::Waiting { position: BULK });
    assert_eq!(bench.state(&others[1], now).await, TokenState::Waiting);

    // Numbers that were not given out, and lanes that the line has not, are nobody's.
    let strangers = [number(0), number(BULK * 2), number(u64::MAX), LaneNumber { lane: 9, number: 1 }];
    let later = period(Presence::PERIODS + 3);
    bench.lines.report_present(performance, &strangers, false, seen_at(later)).await.expect("the line is in place");
    assert_eq!(bench.abandon_absent(performance, later).await, BULK + 1);
    assert_eq!(bench.abandon_absent(performance, period(100)).await, 0);
    assert_eq!(tickets.len() as u64, BULK + 1);
}
