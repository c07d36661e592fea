use std::time::Duration;

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::TokenRefusal;
use encore_domain::queue::snapshot::NumberStatus;
use encore_domain::queue::{
    EndReason, EndedToken, Inside, LaneRecord, QueueRate, QueueRecord, QueueSettings, QueueTokenPayload, RESTORE_QUIET,
    RestoredQueue, TokenState,
};
use encore_domain::time::Timestamp;

use super::{ACTIVE_DURATION, EPOCH, LANES, a_payload, number, open_doors, seen_at, token};
use crate::SpeedBench;
use crate::answers::refused;
use crate::fixtures::{at_secs, id, just_before, queue_settings, start};

/// The last record of a queue whose lane 0 has called two of ten numbers and may have given out twenty.
fn record() -> QueueRecord {
    let mut lanes = vec![LaneRecord::default(); LANES.into()];
    lanes[0] = LaneRecord { head: 2, tail: 10, limit: 20 };
    QueueRecord { lanes, ..QueueRecord::new(EPOCH, LANES.into(), start()) }
}

fn restored(record: &QueueRecord, ended: &[EndedToken]) -> RestoredQueue {
    record.restored(None, &[], ended, &queue_settings(), start())
}

/// A time at which a queue that was restored at the start admits again.
fn after_the_quiet() -> Timestamp {
    start() + RESTORE_QUIET + Duration::from_secs(1)
}

fn payload(performance: PerformanceId, user: UserId, index: u64) -> QueueTokenPayload {
    QueueTokenPayload { performance, user, index, ..a_payload() }
}

/// The queue without reserved admissions.
fn no_reserve(queue: RestoredQueue) -> RestoredQueue {
    RestoredQueue { reserved: 0, ..queue }
}

impl SpeedBench {
    async fn show(&self, payloads: &[QueueTokenPayload], now: Timestamp) {
        let tokens: Vec<_> = payloads.iter().map(token).collect();
        let shown = self.queues.show(payloads[0].performance, &tokens, seen_at(now)).await;
        shown.expect("the queue is open");
    }

    /// A queue that was restored from the record, and the payloads of its first ten numbers.
    async fn lost_queue(&self) -> Vec<QueueTokenPayload> {
        let performance = self.opened(&no_reserve(restored(&record(), &[]))).await;
        (1..=10).map(|index| payload(performance, id(), index)).collect()
    }
}

pub async fn a_restored_queue_calls_only_who_was_seen(bench: SpeedBench) {
    let queue = bench.lost_queue().await;
    let unseen = queue[3];
    assert_eq!(refused(bench.queues.state(&token(&unseen), start()).await), TokenRefusal::Unseen);
    assert_eq!(refused(bench.queues.accept(&token(&unseen), ACTIVE_DURATION, start()).await), TokenRefusal::Unseen);
    assert_eq!(refused(bench.queues.end(&token(&unseen), EndReason::Left, start()).await), TokenRefusal::Unseen);
    bench.show(&[queue[4], queue[7]], start()).await;
    let snapshot = bench.snapshot(queue[0].performance).await;
    assert_eq!((snapshot.waiting(), snapshot.lanes[0].tail), (2, 20));
    assert_eq!(snapshot.status(number(8)), NumberStatus::waiting_at(2));
    assert_eq!(snapshot.status(number(4)), NumberStatus::Ended);
    let newcomer = bench.join(queue[0].performance, id(), start()).await;
    assert_eq!(newcomer.index, 21, "no number is given out again");
    let again = bench.join(queue[0].performance, queue[4].user, start()).await;
    assert_eq!(again, queue[4], "a fan whose token was shown keeps it");

    let now = after_the_quiet();
    assert_eq!(bench.admit(&queue, &open_doors(), now).await, 3);
    let called = TokenState::Called { accept_by: now + open_doors().accept_window };
    for payload in [&queue[4], &queue[7], &newcomer] {
        assert_eq!(bench.state(payload, now).await, called);
    }
    assert_eq!(refused(bench.queues.state(&token(&unseen), now).await), TokenRefusal::Unseen);
}

pub async fn who_shows_late_is_called_first(bench: SpeedBench) {
    let queue = bench.lost_queue().await;
    bench.show(&queue[7..], start()).await;
    let rate = QueueRate { admissions: 1, period: RESTORE_QUIET };
    let one = QueueSettings { rate, batch: 1, ..open_doors() };
    let now = after_the_quiet();
    assert_eq!(bench.admit(&queue, &one, now).await, 1);
    assert!(matches!(bench.state(&queue[7], now).await, TokenState::Called { .. }));

    // Numbers 5 and 4 were passed over. They are called before 9 and 10, in their order.
    bench.show(&[queue[4], queue[3]], now).await;
    let snapshot = bench.snapshot(queue[0].performance).await;
    assert_eq!(snapshot.lanes[0].late, [4, 5]);
    let positions = [4, 5, 9, 10].map(|at| snapshot.status(number(at)));
    assert_eq!(positions, [1, 2, 3, 4].map(NumberStatus::waiting_at));
    assert_eq!(bench.state(&queue[3], now).await, TokenState::Waiting);
    for (expected, turn) in [3, 4, 8, 9].into_iter().zip(1..) {
        let now = now + RESTORE_QUIET * turn;
        assert_eq!(bench.admit(&queue, &one, now).await, 1);
        assert!(matches!(bench.state(&queue[expected], now).await, TokenState::Called { .. }), "{expected}");
    }
    assert!(bench.snapshot(queue[0].performance).await.lanes[0].late.is_empty());

    let left = bench.lost_queue().await;
    bench.show(&left[9..], start()).await;
    assert_eq!(bench.admit(&left, &one, now).await, 1);
    bench.show(&left[4..5], now).await;
    assert_eq!(bench.end(&left[4], EndReason::Left, now).await, TokenState::Ended(EndReason::Left));
    assert_eq!(bench.admit(&left, &open_doors(), now + Duration::from_secs(5)).await, 0, "a late fan can leave");
}

pub async fn a_restored_queue_keeps_who_is_inside(bench: SpeedBench) {
    let until = at_secs(100);
    let mut record = record();
    let inside = |at, active| Inside { lane_number: number(at), until, active, needs_accessible: false };
    record.inside = vec![inside(1, true), inside(2, false)];
    let performance = bench.opened(&no_reserve(restored(&record, &[]))).await;
    let payloads: Vec<_> = (1..=6).map(|index| payload(performance, id(), index)).collect();
    assert_eq!(bench.state(&payloads[0], start()).await, TokenState::Active { until });
    assert_eq!(bench.state(&payloads[1], start()).await, TokenState::Called { accept_by: until });

    // Number 5 was admitted after the record was made, so 3 and 4 were called before it. The admission of 6 has
    // expired.
    let admitted = QueueTokenPayload { admitted_until: Some(until), ..payloads[4] };
    let expired = QueueTokenPayload { admitted_until: Some(start()), ..payloads[5] };
    bench.show(&[payloads[2], admitted, expired], start()).await;
    assert_eq!(bench.state(&admitted, start()).await, TokenState::Active { until });
    assert_eq!(bench.state(&expired, start()).await, TokenState::Ended(EndReason::Expired));
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.active.len(), snapshot.called.len(), snapshot.lanes[0].head), (2, 1, 5));
    assert_eq!(snapshot.status(number(3)), NumberStatus::waiting_at(1));
    bench.show(&[payloads[3]], start()).await;
    assert_eq!(bench.snapshot(performance).await.status(number(4)), NumberStatus::waiting_at(2));
    assert_eq!(bench.state(&admitted, until).await, TokenState::Ended(EndReason::Expired));
    assert_eq!(bench.accept(&payloads[1], start()).await, TokenState::Active { until: start() + ACTIVE_DURATION });
}

pub async fn a_restored_queue_lets_in_who_accepted_unrecorded(bench: SpeedBench) {
    // Both were called when the record was made, and accepted after it. When the queue is restored, the accept window
    // of one of them is over.
    let mut record = record();
    let called =
        |at, secs| Inside { lane_number: number(at), until: at_secs(secs), active: false, needs_accessible: false };
    record.inside = vec![called(1, 20), called(2, 40)];
    let now = at_secs(25);
    let queue = record.restored(None, &[], &[], &queue_settings(), now);
    let performance = bench.opened(&RestoredQueue { reserved: 1, ..queue }).await;
    let until = at_secs(301);
    let waiting = [1, 2].map(|index| payload(performance, id(), index));
    let admitted = waiting.map(|payload| QueueTokenPayload { admitted_until: Some(until), ..payload });
    let expired = QueueTokenPayload { admitted_until: Some(now), ..admitted[0] };
    assert_eq!(bench.state(&waiting[0], now).await, TokenState::Ended(EndReason::Abandoned));
    assert_eq!(bench.state(&waiting[1], now).await, TokenState::Called { accept_by: now + queue_settings().grace });
    assert_eq!(bench.state(&expired, now).await, TokenState::Ended(EndReason::Expired));
    for payload in &admitted {
        assert_eq!(refused(bench.queues.state(&token(payload), now).await), TokenRefusal::Unseen);
        assert_eq!(refused(bench.queues.accept(&token(payload), ACTIVE_DURATION, now).await), TokenRefusal::Unseen);
    }

    bench.show(&[waiting[0], expired], now).await;
    bench.show(&admitted, now).await;
    for payload in &admitted {
        assert_eq!(bench.state(payload, now).await, TokenState::Active { until });
    }
    let newcomers = bench.join_all(performance, 0, 5).await;
    let three = QueueSettings { max_active: 3, ..open_doors() };
    let now = now + RESTORE_QUIET + Duration::from_secs(1);
    assert_eq!(bench.admit(&newcomers, &three, now).await, 1, "two are active, and no admission is reserved");

    // A fan has two devices. The one that shows its token first does not have the admitted token.
    let performance = bench.opened(&no_reserve(restored(&record, &[]))).await;
    let devices = [7, 8].map(|index| {
        let waiting = payload(performance, id(), index);
        (waiting, QueueTokenPayload { admitted_until: Some(until), ..waiting })
    });
    for (waiting, admitted) in devices.into_iter().rev() {
        bench.show(&[waiting], start()).await;
        assert_eq!(bench.state(&waiting, start()).await, TokenState::Waiting);
        bench.show(&devices.map(|(waiting, _)| waiting), start()).await;
        bench.show(&[admitted], start()).await;
        assert_eq!(bench.state(&waiting, start()).await, TokenState::Active { until });
    }
    assert_eq!(bench.snapshot(performance).await.waiting(), 0);

    // A fan who shows no token within the grace period is gone, even with an admitted token.
    let performance = bench.opened(&record.restored(None, &[], &[], &queue_settings(), at_secs(25))).await;
    let late = QueueTokenPayload { admitted_until: Some(until), ..payload(performance, id(), 1) };
    let grace_is_over = at_secs(25) + queue_settings().grace;
    bench.abandon_absent(performance, grace_is_over).await;
    bench.show(&[late], grace_is_over).await;
    assert_eq!(bench.state(&late, grace_is_over).await, TokenState::Ended(EndReason::Expired));
}

pub async fn a_restored_queue_ends_who_paid_or_left(bench: SpeedBench) {
    let mut record = record();
    let inside =
        |index| Inside { lane_number: number(index), until: at_secs(100), active: true, needs_accessible: false };
    record.inside = [1, 2].map(inside).to_vec();
    let reasons = [
        (1, EndReason::Used),
        (2, EndReason::Left),
        (3, EndReason::Replaced),
        (4, EndReason::Left),
        (5, EndReason::Used),
        (6, EndReason::Abandoned),
        (7, EndReason::Expired),
    ];
    let ended = reasons.map(|(index, reason)| EndedToken { lane: 0, index, reason });
    let performance = bench.opened(&no_reserve(restored(&record, &ended))).await;
    for (index, reason) in reasons {
        let plain = payload(performance, id(), index);
        let admitted = QueueTokenPayload { admitted_until: Some(at_secs(100)), ..plain };
        for shown in [plain, admitted] {
            bench.show(&[shown], start()).await;
            assert_eq!(bench.state(&shown, start()).await, TokenState::Ended(reason), "{index}");
        }
    }
    let snapshot = bench.snapshot(performance).await;
    assert_eq!((snapshot.active.len(), snapshot.waiting()), (0, 0));
    bench.show(&[payload(performance, id(), 8)], start()).await;
    let position = bench.snapshot(performance).await.status(number(8));
    assert_eq!(position, NumberStatus::waiting_at(1), "a fan whose token has ended does not wait");
}

pub async fn a_restored_queue_is_quiet_at_first(bench: SpeedBench) {
    let queue = bench.lost_queue().await;
    bench.show(&queue[2..], start()).await;
    let quiet_until = start() + RESTORE_QUIET;
    let snapshot = bench.snapshot(queue[0].performance).await;
    assert_eq!((snapshot.restored_at, snapshot.quiet_until), (start(), quiet_until));
    assert_eq!(snapshot.unspent(start(), &queue_settings()), 0);
    assert_eq!(bench.admit(&queue, &open_doors(), just_before(quiet_until)).await, 0);
    // The bucket has been filling since the start, at ten a second.
    let slow = QueueSettings { batch: 1_000, ..queue_settings() };
    assert_eq!(bench.admit(&queue, &slow, quiet_until).await, 8);
    let more = bench.join_all(queue[0].performance, 0, 30).await;
    assert_eq!(bench.admit(&more, &slow, quiet_until).await, 12, "twenty in two seconds, without an initial batch");
}

pub async fn a_restored_queue_keeps_the_maximum(bench: SpeedBench) {
    let mut queue = restored(&record(), &[]);
    (queue.reserved, queue.reserved_until) = (3, at_secs(60));
    let performance = bench.opened(&queue).await;
    let payloads: Vec<_> = (3..=12).map(|index| payload(performance, id(), index)).collect();
    bench.show(&payloads[2..], start()).await;
    let four = QueueSettings { max_active: 4, ..open_doors() };
    let now = after_the_quiet();
    assert_eq!(
        bench.admit(&payloads, &four, now).await,
        1,
        "three admissions are reserved for fans who have not shown their tokens"
    );
    let admitted = QueueTokenPayload { admitted_until: Some(at_secs(100)), ..payloads[0] };
    let reserved = async || bench.snapshot(performance).await.reserved;
    assert_eq!(reserved().await, 3);
    bench.show(&[admitted], now).await;
    assert_eq!(reserved().await, 2);
    assert_eq!(bench.admit(&payloads, &four, now).await, 0, "one of the three has shown its token");
    bench.end(&payloads[2], EndReason::Left, now).await;
    assert_eq!(bench.admit(&payloads, &four, now).await, 1);
    assert_eq!(bench.admit(&payloads, &four, just_before(at_secs(60))).await, 1, "the call was missed");
    bench.end(&payloads[4], EndReason::Left, at_secs(60)).await;
    assert_eq!(bench.admit(&payloads, &four, at_secs(60)).await, 3, "the reservation of the other two is over");
    let snapshot = bench.snapshot(performance).await;
    assert_eq!(snapshot.active.len() + snapshot.called.len(), 4);
}

pub async fn a_user_shows_one_token(bench: SpeedBench) {
    let queue = bench.lost_queue().await;
    let replaced = TokenState::Ended(EndReason::Replaced);
    // A fan who joins before showing the token gets a new one, which ends when the earlier one is shown.
    let newer = bench.join(queue[0].performance, queue[4].user, start()).await;
    bench.show(&queue[4..5], start()).await;
    assert_eq!(
        (bench.state(&queue[4], start()).await, bench.state(&newer, start()).await),
        (TokenState::Waiting, replaced)
    );
    assert_eq!(bench.join(queue[0].performance, queue[4].user, start()).await, queue[4]);

    let later = QueueTokenPayload { user: queue[5].user, ..queue[8] };
    bench.show(&[queue[5], later], start()).await;
    assert_eq!(
        (bench.state(&queue[5], start()).await, bench.state(&later, start()).await),
        (TokenState::Waiting, replaced)
    );

    // The earlier token does not win if the later one was admitted.
    let admitted = QueueTokenPayload { user: queue[3].user, admitted_until: Some(at_secs(100)), ..queue[6] };
    bench.show(&[queue[3]], start()).await;
    bench.show(&[admitted], start()).await;
    assert_eq!(
        (bench.state(&queue[3], start()).await, bench.state(&admitted, start()).await),
        (replaced, TokenState::Active { until: at_secs(100) })
    );
    bench.end(&admitted, EndReason::Left, start()).await;

    // A fan who was admitted with the newer token stays active with it.
    let inside = bench.join(queue[0].performance, queue[7].user, start()).await;
    for payload in [&queue[4], &queue[5]] {
        bench.end(payload, EndReason::Left, start()).await;
    }
    assert_eq!(bench.admit(&queue, &open_doors(), after_the_quiet()).await, 1);
    bench.accept(&inside, after_the_quiet()).await;
    bench.show(&queue[7..8], after_the_quiet()).await;
    assert_eq!(bench.state(&queue[7], after_the_quiet()).await, replaced);
    assert!(matches!(bench.state(&inside, after_the_quiet()).await, TokenState::Active { .. }));
}

pub async fn unseen_numbers_end_with_the_grace(bench: SpeedBench) {
    let queue = bench.lost_queue().await;
    let performance = queue[0].performance;
    let grace = queue_settings().grace;
    bench.show(&queue[9..], start()).await;
    bench.report(&queue, [10], just_before(start() + grace)).await;
    assert_eq!(bench.abandon_absent(performance, just_before(start() + grace)).await, 0);
    assert_eq!(refused(bench.queues.state(&token(&queue[3]), start() + grace).await), TokenRefusal::Unseen);
    assert_eq!(
        bench.abandon_absent(performance, start() + grace).await,
        0,
        "unseen numbers are not counted as waiting"
    );
    for payload in [queue[3], QueueTokenPayload { admitted_until: Some(start() + grace * 2), ..queue[4] }] {
        bench.show(&[payload], start() + grace).await;
        assert!(matches!(bench.state(&payload, start() + grace).await, TokenState::Ended(_)), "{payload:?}");
    }
    assert_eq!(bench.state(&queue[9], start() + grace).await, TokenState::Waiting);
    assert_eq!(bench.snapshot(performance).await.waiting(), 1);
}
