use std::sync::Arc;

use encore_domain::ids::PerformanceId;
use encore_domain::line_snapshot::{LaneSnapshot, Standing};
use encore_domain::ports::{JoinRefusal, Joining, LineLost};
use encore_domain::queue::{EndReason, LineSettings, QueueTicket, RestoredLine, TokenState};

use super::{ACTIVE_FOR, EPOCH, LANES, LIMIT, assert_lost, joining, new_line, number, open_doors};
use crate::SpeedBench;
use crate::answers::refused;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{at_secs, id, start};

const REPLACED: TokenState = TokenState::Ended(EndReason::Replaced);

pub async fn is_lost_until_it_is_open(bench: SpeedBench) {
    bench.line(2).await;
    let performance = id();
    let (user, epoch) = (id(), EPOCH);
    let ticket = QueueTicket { performance, user, epoch, lane: 0, index: 1, admitted_until: None };
    assert_lost(&*bench.lines, &ticket, start()).await;

    bench.put_in_place(performance, &new_line()).await;
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.epoch, snapshot.restored_at, snapshot.draws), (EPOCH, start(), false));
    assert_eq!(snapshot.lanes, vec![LaneSnapshot::default(); LANES.into()]);
    assert!(snapshot.called.is_empty() && snapshot.active.is_empty());
    assert_eq!(bench.admit_to(performance, &open_doors(), start()).await, 0);
    assert_eq!(bench.abandon_absent(performance, start()).await, 0);
    bench.extend(performance, 0, LIMIT).await;
    assert_eq!(bench.join(performance, user, start()).await, ticket);
}

pub async fn opens_once(bench: SpeedBench) {
    let line = bench.line(2).await;
    let performance = line[0].performance;
    bench.end(&line[1], EndReason::Left, start()).await;
    let before = bench.snapshot(performance).await;
    let other = RestoredLine { epoch: EPOCH + 1, restored_at: at_secs(9), ..new_line() };
    for again in [&new_line(), &other] {
        assert!(!bench.lines.open(performance, again).await.expect("the store answers"));
        assert_eq!(bench.snapshot(performance).await, before);
    }
    assert_eq!(bench.join(performance, line[0].user, start()).await, line[0]);

    let contended: PerformanceId = id();
    let answers = at_once((0..TWENTY).map(|_| {
        let lines = Arc::clone(&bench.lines);
        async move { lines.open(contended, &new_line()).await.expect("the store answers") }
    }))
    .await;
    assert_eq!(answers.into_iter().filter(|opened| *opened).count(), 1);
}

pub async fn joins_in_order(bench: SpeedBench) {
    let performance = bench.opened(&new_line()).await;
    for (lane, index) in [(0, 1), (0, 2), (2, 1), (0, 3), (2, 2)] {
        let user = id();
        let ticket = bench.join_lane(performance, user, lane, start()).await;
        assert_eq!(ticket, QueueTicket { performance, user, epoch: EPOCH, lane, index, admitted_until: None });
        assert_eq!(bench.state(&ticket, start()).await, TokenState::Waiting);
    }
    let snapshot = bench.snapshot(performance).await;
    let ends: Vec<(u64, u64)> = snapshot.lanes.iter().map(|lane| (lane.head, lane.tail)).collect();
    assert_eq!((ends, snapshot.waiting()), (vec![(0, 3), (0, 0), (0, 2)], 5));
}

pub async fn joins_once(bench: SpeedBench) {
    let line = bench.line(2).await;
    let again = async |now| bench.join(line[0].performance, line[0].user, now).await;
    assert_eq!(again(at_secs(1)).await, line[0], "waiting");
    bench.admit(&line, &open_doors(), at_secs(1)).await;
    assert_eq!(again(at_secs(1)).await, line[0], "called");
    bench.claim(&line[0], at_secs(1)).await;
    assert_eq!(again(at_secs(2)).await, line[0], "active");
    assert_eq!(bench.snapshot(line[0].performance).await.lanes[0].tail, 2);
    assert_eq!(bench.join(line[0].performance, id(), at_secs(2)).await.index, 3);
}

pub async fn joins_under_contention(bench: SpeedBench) {
    let performance = bench.opened(&new_line()).await;
    let tickets = at_once((0..100).map(|_| {
        let (lines, user) = (Arc::clone(&bench.lines), id());
        async move { lines.join(joining(performance, user, start())).await.expect("a number is left") }
    }))
    .await;
    let mut indexes: Vec<u64> = tickets.iter().map(|ticket| ticket.index).collect();
    indexes.sort_unstable();
    assert_eq!(indexes, (1..=100).collect::<Vec<u64>>());
    assert_eq!(bench.snapshot(performance).await.waiting(), 100);

    let user = id();
    let tickets = at_once((0..TWENTY).map(|_| {
        let lines = Arc::clone(&bench.lines);
        async move { lines.join(joining(performance, user, start())).await.expect("a number is left") }
    }))
    .await;
    assert!(tickets.iter().all(|ticket| ticket.index == 101), "one fan has one place: {tickets:?}");
}

pub async fn joins_again_at_the_end(bench: SpeedBench) {
    let line = bench.line(5).await;
    let performance = line[0].performance;
    bench.admit(&line, &LineSettings { cap: 3, ..open_doors() }, start()).await;
    bench.claim(&line[0], start()).await;
    bench.claim(&line[1], start()).await;
    bench.end(&line[0], EndReason::Used, at_secs(1)).await;
    bench.end(&line[3], EndReason::Left, at_secs(1)).await;

    // The deadlines of numbers 2 (active) and 3 (called) are over by then, though no admission has ended them.
    let late = start() + ACTIVE_FOR;
    let ended = [
        (line[3], at_secs(2), EndReason::Left),
        (line[0], at_secs(2), EndReason::Used),
        (line[2], late, EndReason::Abandoned),
        (line[1], late, EndReason::Expired),
    ];
    for (index, (before, now, reason)) in (6..).zip(ended) {
        let again = bench.join(performance, before.user, now).await;
        assert_eq!(again, QueueTicket { index, ..before });
        assert_eq!(bench.state(&again, now).await, TokenState::Waiting);
        assert_eq!(bench.state(&before, now).await, TokenState::Ended(reason));
    }
    assert_eq!(bench.state(&line[4], late).await, TokenState::Waiting);
}

pub async fn joins_up_to_the_limit(bench: SpeedBench) {
    let performance = id();
    bench.put_in_place(performance, &new_line()).await;
    let join = async |user, lane| bench.try_join(Joining { lane, ..joining(performance, user, start()) }).await;
    assert_eq!(refused(join(id(), 1).await), JoinRefusal::NumbersSpent);
    bench.extend(performance, 1, 2).await;
    let fan = id();
    assert_eq!(join(fan, 1).await.expect("two are left").index, 1);
    assert_eq!(join(id(), 1).await.expect("one is left").index, 2);
    assert_eq!(refused(join(id(), 1).await), JoinRefusal::NumbersSpent);
    assert_eq!(join(fan, 1).await.expect("the fan has a place").index, 1);
    assert_eq!(refused(join(id(), 0).await), JoinRefusal::NumbersSpent, "each lane has its own");

    bench.extend(performance, 1, 1).await;
    assert_eq!(bench.snapshot(performance).await.lanes[1].limit, 2);
    bench.extend(performance, 1, 3).await;
    assert_eq!(join(id(), 1).await.expect("one is left").index, 3);
    assert_eq!(refused(join(id(), 1).await), JoinRefusal::NumbersSpent);

    for epoch in [EPOCH - 1, EPOCH + 1] {
        let extended = bench.lines.extend(performance, epoch, 1, 100).await;
        assert_eq!(refused(extended), LineLost, "another run of the line is not in place");
    }
    let snapshot = bench.snapshot(performance).await;
    assert_eq!(snapshot.lanes.iter().map(|lane| lane.limit).collect::<Vec<u64>>(), [0, 3, 0]);
}

pub async fn joins_only_who_may_enter(bench: SpeedBench) {
    let line = bench.line(1).await;
    let (performance, fan) = (line[0].performance, line[0].user);
    let join = async |user, lane| {
        let joining = Joining { lane, may_enter: false, ..joining(performance, user, start()) };
        bench.try_join(joining).await
    };
    assert_eq!(join(fan, 0).await.expect("the fan has a place"), line[0]);
    assert_eq!(join(fan, 1).await.expect("the fan has a place"), line[0], "nor may the fan enter another lane");
    assert_eq!(refused(join(id(), 0).await), JoinRefusal::NoPlace);
    bench.end(&line[0], EndReason::Left, start()).await;
    assert_eq!(refused(join(fan, 0).await), JoinRefusal::NoPlace);
    assert_eq!(bench.snapshot(performance).await.lanes[0].tail, 1);

    let second = bench.join(performance, fan, start()).await;
    let nowhere = Joining { lane: LANES, ..joining(performance, fan, start()) };
    assert_eq!(bench.try_join(nowhere).await.expect("the fan has a place"), second, "there is no such lane");
    bench.end(&second, EndReason::Left, start()).await;
    assert_eq!(refused(bench.try_join(nowhere).await), JoinRefusal::NoPlace);
}

pub async fn moves_to_another_lane(bench: SpeedBench) {
    let line = bench.line(4).await;
    let (performance, fan) = (line[0].performance, line[1].user);
    let others = bench.join_all(performance, 1, 2).await;
    let moved = bench.join_lane(performance, fan, 1, start()).await;
    assert_eq!(moved, QueueTicket { lane: 1, index: 3, ..line[1] });
    assert_eq!(bench.state(&line[1], start()).await, REPLACED);
    assert_eq!(bench.state(&moved, start()).await, TokenState::Waiting);
    let snapshot = bench.snapshot(performance).await;
    assert_eq!(snapshot.standing(number(3)), Standing::Waiting { position: 2 }, "those behind move up");
    assert_eq!((snapshot.waiting(), snapshot.flow.left), (6, 1));

    assert_eq!(bench.join(performance, fan, start()).await, moved, "nobody moves to lane 0");
    assert_eq!(bench.join_lane(performance, fan, 1, start()).await, moved);
    let again = bench.join_lane(performance, fan, 2, start()).await;
    assert_eq!((again.lane, again.index), (2, 1));
    assert_eq!(bench.state(&moved, start()).await, REPLACED);

    bench.admit(&line, &LineSettings { cap: 3, ..open_doors() }, start()).await;
    let inside = [line[0], others[0], again];
    bench.claim(&inside[0], start()).await;
    for ticket in inside {
        let elsewhere = if ticket.lane == 1 { 2 } else { 1 };
        assert_eq!(bench.join_lane(performance, ticket.user, elsewhere, start()).await, ticket, "who is inside stays");
    }

    // Where the new lane has no number left, the old place stays.
    let full = id();
    bench.put_in_place(full, &new_line()).await;
    bench.extend(full, 0, 1).await;
    let ticket = bench.join(full, id(), start()).await;
    let elsewhere = Joining { lane: 1, ..joining(full, ticket.user, start()) };
    assert_eq!(refused(bench.try_join(elsewhere).await), JoinRefusal::NumbersSpent);
    assert_eq!(bench.state(&ticket, start()).await, TokenState::Waiting);
    assert_eq!(bench.join(full, ticket.user, start()).await, ticket);
}
