use std::sync::Arc;

use encore_domain::ids::PerformanceId;
use encore_domain::ports::{JoinRefusal, Joining, QueueLost};
use encore_domain::queue::snapshot::{LaneSnapshot, NumberStatus};
use encore_domain::queue::{EndReason, QueueSettings, QueueTokenPayload, RestoredQueue, TokenState};

use super::{ACTIVE_DURATION, EPOCH, LANES, LIMIT, a_payload, assert_lost, joining, new_queue, number, open_doors};
use crate::SpeedBench;
use crate::answers::refused;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{at_secs, id, start};

const REPLACED: TokenState = TokenState::Ended(EndReason::Replaced);

pub async fn is_lost_until_it_is_open(bench: SpeedBench) {
    bench.queue(2).await;
    let performance = id();
    let (user, epoch) = (id(), EPOCH);
    let payload = QueueTokenPayload { performance, user, epoch, lane: 0, index: 1, ..a_payload() };
    assert_lost(&*bench.queues, &payload, start()).await;

    bench.open_new(performance, &new_queue()).await;
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.epoch, snapshot.restored_at, snapshot.draws), (EPOCH, start(), false));
    assert_eq!(snapshot.lanes, vec![LaneSnapshot::default(); LANES.into()]);
    assert!(snapshot.called.is_empty() && snapshot.active.is_empty());
    assert_eq!(bench.admit_to(performance, &open_doors(), start()).await, 0);
    assert_eq!(bench.abandon_absent(performance, start()).await, 0);
    bench.extend(performance, 0, LIMIT).await;
    assert_eq!(bench.join(performance, user, start()).await, payload);
}

pub async fn opens_once(bench: SpeedBench) {
    let queue = bench.queue(2).await;
    let performance = queue[0].performance;
    bench.end(&queue[1], EndReason::Left, start()).await;
    let before = bench.snapshot(performance).await;
    let other = RestoredQueue { epoch: EPOCH + 1, restored_at: at_secs(9), ..new_queue() };
    for again in [&new_queue(), &other] {
        assert!(!bench.queues.open(performance, again).await.expect("the store answers"));
        assert_eq!(bench.snapshot(performance).await, before);
    }
    assert_eq!(bench.join(performance, queue[0].user, start()).await, queue[0]);

    let contended: PerformanceId = id();
    let answers = at_once((0..TWENTY).map(|_| {
        let queues = Arc::clone(&bench.queues);
        async move { queues.open(contended, &new_queue()).await.expect("the store answers") }
    }))
    .await;
    assert_eq!(answers.into_iter().filter(|opened| *opened).count(), 1);
}

pub async fn joins_in_order(bench: SpeedBench) {
    let performance = bench.opened(&new_queue()).await;
    for (lane, index) in [(0, 1), (0, 2), (2, 1), (0, 3), (2, 2)] {
        let user = id();
        let payload = bench.join_lane(performance, user, lane, start()).await;
        assert_eq!(payload, QueueTokenPayload { performance, user, lane, index, ..a_payload() });
        assert_eq!(bench.state(&payload, start()).await, TokenState::Waiting);
    }
    let snapshot = bench.snapshot(performance).await;
    let ends: Vec<(u64, u64)> = snapshot.lanes.iter().map(|lane| (lane.head, lane.tail)).collect();
    assert_eq!((ends, snapshot.waiting()), (vec![(0, 3), (0, 0), (0, 2)], 5));
}

pub async fn joins_once(bench: SpeedBench) {
    let queue = bench.queue(2).await;
    let again = async |now| bench.join(queue[0].performance, queue[0].user, now).await;
    assert_eq!(again(at_secs(1)).await, queue[0], "waiting");
    bench.admit(&queue, &open_doors(), at_secs(1)).await;
    assert_eq!(again(at_secs(1)).await, queue[0], "called");
    bench.accept(&queue[0], at_secs(1)).await;
    assert_eq!(again(at_secs(2)).await, queue[0], "active");
    assert_eq!(bench.snapshot(queue[0].performance).await.lanes[0].tail, 2);
    assert_eq!(bench.join(queue[0].performance, id(), at_secs(2)).await.index, 3);
}

pub async fn joins_under_contention(bench: SpeedBench) {
    let performance = bench.opened(&new_queue()).await;
    let payloads = at_once((0..100).map(|_| {
        let (queues, user) = (Arc::clone(&bench.queues), id());
        async move { queues.join(joining(performance, user, start())).await.expect("a number is left").payload }
    }))
    .await;
    let mut indexes: Vec<u64> = payloads.iter().map(|payload| payload.index).collect();
    indexes.sort_unstable();
    assert_eq!(indexes, (1..=100).collect::<Vec<u64>>());
    assert_eq!(bench.snapshot(performance).await.waiting(), 100);

    let user = id();
    let payloads = at_once((0..TWENTY).map(|_| {
        let queues = Arc::clone(&bench.queues);
        async move { queues.join(joining(performance, user, start())).await.expect("a number is left").payload }
    }))
    .await;
    assert!(payloads.iter().all(|payload| payload.index == 101), "one fan has one token: {payloads:?}");
}

pub async fn joins_again_at_the_end(bench: SpeedBench) {
    let queue = bench.queue(5).await;
    let performance = queue[0].performance;
    bench.admit(&queue, &QueueSettings { max_active: 3, ..open_doors() }, start()).await;
    bench.accept(&queue[0], start()).await;
    bench.accept(&queue[1], start()).await;
    bench.end(&queue[0], EndReason::Used, at_secs(1)).await;
    bench.end(&queue[3], EndReason::Left, at_secs(1)).await;

    // The deadlines of numbers 2 (active) and 3 (called) have passed, although no call of `admit` has ended them.
    let late = start() + ACTIVE_DURATION;
    let ended = [
        (queue[3], at_secs(2), EndReason::Left),
        (queue[0], at_secs(2), EndReason::Used),
        (queue[2], late, EndReason::Abandoned),
        (queue[1], late, EndReason::Expired),
    ];
    for (index, (before, now, reason)) in (6..).zip(ended) {
        let again = bench.join(performance, before.user, now).await;
        assert_eq!(again, QueueTokenPayload { index, issued_at: again.issued_at, ..before });
        assert_eq!(bench.state(&again, now).await, TokenState::Waiting);
        assert_eq!(bench.state(&before, now).await, TokenState::Ended(reason));
    }
    assert_eq!(bench.state(&queue[4], late).await, TokenState::Waiting);
}

pub async fn joins_up_to_the_limit(bench: SpeedBench) {
    let performance = id();
    bench.open_new(performance, &new_queue()).await;
    let join = async |user, lane| bench.try_join(Joining { lane, ..joining(performance, user, start()) }).await;
    assert_eq!(refused(join(id(), 1).await), JoinRefusal::NumbersSpent);
    bench.extend(performance, 1, 2).await;
    let fan = id();
    assert_eq!(join(fan, 1).await.expect("two are left").index, 1);
    assert_eq!(join(id(), 1).await.expect("one is left").index, 2);
    assert_eq!(refused(join(id(), 1).await), JoinRefusal::NumbersSpent);
    assert_eq!(join(fan, 1).await.expect("the fan has a token").index, 1);
    assert_eq!(refused(join(id(), 0).await), JoinRefusal::NumbersSpent, "each lane has its own");

    bench.extend(performance, 1, 1).await;
    assert_eq!(bench.snapshot(performance).await.lanes[1].limit, 2);
    bench.extend(performance, 1, 3).await;
    assert_eq!(join(id(), 1).await.expect("one is left").index, 3);
    assert_eq!(refused(join(id(), 1).await), JoinRefusal::NumbersSpent);

    for epoch in [EPOCH - 1, EPOCH + 1] {
        let extended = bench.queues.extend(performance, epoch, 1, 100).await;
        assert_eq!(refused(extended), QueueLost, "the queue is not open in another epoch");
    }
    let snapshot = bench.snapshot(performance).await;
    assert_eq!(snapshot.lanes.iter().map(|lane| lane.limit).collect::<Vec<u64>>(), [0, 3, 0]);
}

pub async fn joins_only_who_may_enter(bench: SpeedBench) {
    let queue = bench.queue(1).await;
    let (performance, fan) = (queue[0].performance, queue[0].user);
    let join = async |user, lane| {
        let joining = Joining { lane, may_enter: false, ..joining(performance, user, start()) };
        bench.try_join(joining).await
    };
    assert_eq!(join(fan, 0).await.expect("the fan has a token"), queue[0]);
    assert_eq!(join(fan, 1).await.expect("the fan has a token"), queue[0], "the fan may not enter another lane either");
    assert_eq!(refused(join(id(), 0).await), JoinRefusal::NoToken);
    bench.end(&queue[0], EndReason::Left, start()).await;
    assert_eq!(refused(join(fan, 0).await), JoinRefusal::NoToken);
    assert_eq!(bench.snapshot(performance).await.lanes[0].tail, 1);

    let second = bench.join(performance, fan, start()).await;
    let nowhere = Joining { lane: LANES, ..joining(performance, fan, start()) };
    assert_eq!(bench.try_join(nowhere).await.expect("the fan has a token"), second, "there is no such lane");
    bench.end(&second, EndReason::Left, start()).await;
    assert_eq!(refused(bench.try_join(nowhere).await), JoinRefusal::NoToken);
}

pub async fn moves_to_another_lane(bench: SpeedBench) {
    let queue = bench.queue(4).await;
    let (performance, fan) = (queue[0].performance, queue[1].user);
    let others = bench.join_all(performance, 1, 2).await;
    let moved = bench.join_lane(performance, fan, 1, start()).await;
    assert_eq!(moved, QueueTokenPayload { lane: 1, index: 3, ..queue[1] });
    assert_eq!(bench.state(&queue[1], start()).await, REPLACED);
    assert_eq!(bench.state(&moved, start()).await, TokenState::Waiting);
    let snapshot = bench.snapshot(performance).await;
    assert_eq!(snapshot.status(number(3)), NumberStatus::waiting_at(2), "those behind move up");
    assert_eq!((snapshot.waiting(), snapshot.flow.left), (6, 1));

    assert_eq!(bench.join(performance, fan, start()).await, moved, "nobody moves to lane 0");
    assert_eq!(bench.join_lane(performance, fan, 1, start()).await, moved);
    let again = bench.join_lane(performance, fan, 2, start()).await;
    assert_eq!((again.lane, again.index), (2, 1));
    assert_eq!(bench.state(&moved, start()).await, REPLACED);

    bench.admit(&queue, &QueueSettings { max_active: 3, ..open_doors() }, start()).await;
    let inside = [queue[0], others[0], again];
    bench.accept(&inside[0], start()).await;
    for payload in inside {
        let elsewhere = if payload.lane == 1 { 2 } else { 1 };
        assert_eq!(
            bench.join_lane(performance, payload.user, elsewhere, start()).await,
            payload,
            "a called or active fan stays in the lane"
        );
    }

    // If the new lane has no number left, the old token stays valid.
    let full = id();
    bench.open_new(full, &new_queue()).await;
    bench.extend(full, 0, 1).await;
    let payload = bench.join(full, id(), start()).await;
    let elsewhere = Joining { lane: 1, ..joining(full, payload.user, start()) };
    assert_eq!(refused(bench.try_join(elsewhere).await), JoinRefusal::NumbersSpent);
    assert_eq!(bench.state(&payload, start()).await, TokenState::Waiting);
    assert_eq!(bench.join(full, payload.user, start()).await, payload);
}
