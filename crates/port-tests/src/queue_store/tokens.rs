use encore_domain::queue::snapshot::NumberStatus;
use encore_domain::queue::{EndReason, QueueSettings, QueueTokenPayload, TokenState};
use encore_domain::time::Timestamp;

use super::{ACTIVE_DURATION, EPOCH, LANES, number, open_doors, token};
use crate::SpeedBench;
use crate::fixtures::{at_secs, just_before, queue_settings, start};

const RESET: TokenState = TokenState::Ended(EndReason::Reset);

impl SpeedBench {
    async fn spend(&self, payload: &QueueTokenPayload, tries: u32, now: Timestamp) -> bool {
        self.queues.spend_hold_try(&token(payload), tries, now).await.expect("the queue knows the token")
    }
}

pub async fn accepts_a_call(bench: SpeedBench) {
    let queue = bench.queue(2).await;
    bench.admit(&queue, &open_doors(), start()).await;
    let active = TokenState::Active { until: at_secs(5) + ACTIVE_DURATION };
    assert_eq!(bench.accept(&queue[0], at_secs(5)).await, active);
    assert_eq!(bench.accept(&queue[0], at_secs(9)).await, active);
    assert_eq!(bench.state(&queue[0], at_secs(9)).await, active);

    let snapshot = bench.snapshot(queue[0].performance).await;
    assert_eq!(snapshot.active.into_iter().collect::<Vec<_>>(), [(number(1), at_secs(5) + ACTIVE_DURATION)]);
    let accept_by = start() + open_doors().accept_window;
    assert_eq!(snapshot.called.into_iter().collect::<Vec<_>>(), [(number(2), accept_by)]);
}

pub async fn accepts_only_a_call(bench: SpeedBench) {
    let queue = bench.queue(2).await;
    bench.end(&queue[1], EndReason::Left, start()).await;
    let before = bench.snapshot(queue[0].performance).await;
    assert_eq!(bench.accept(&queue[0], start()).await, TokenState::Waiting);
    assert_eq!(bench.accept(&queue[1], start()).await, TokenState::Ended(EndReason::Left));
    assert_eq!(bench.snapshot(queue[0].performance).await, before);
}

pub async fn a_missed_call_is_abandoned(bench: SpeedBench) {
    let queue = bench.queue(2).await;
    let settings = QueueSettings { max_active: 1, ..queue_settings() };
    bench.admit(&queue, &settings, start()).await;
    let accept_by = start() + settings.accept_window;
    let abandoned = TokenState::Ended(EndReason::Abandoned);
    assert_eq!(bench.state(&queue[0], just_before(accept_by)).await, TokenState::Called { accept_by });
    assert_eq!(bench.admit(&queue, &settings, just_before(accept_by)).await, 0);
    assert_eq!(bench.state(&queue[0], accept_by).await, abandoned);
    assert_eq!(bench.accept(&queue[0], accept_by).await, abandoned);
    assert_eq!(bench.end(&queue[0], EndReason::Left, accept_by).await, abandoned);

    assert_eq!(bench.admit(&queue, &settings, accept_by).await, 1);
    let next = TokenState::Called { accept_by: accept_by + settings.accept_window };
    assert_eq!(bench.states(&queue, accept_by).await, [abandoned, next]);
}

pub async fn an_active_token_expires(bench: SpeedBench) {
    let queue = bench.queue(2).await;
    let settings = QueueSettings { max_active: 1, ..queue_settings() };
    bench.admit(&queue, &settings, start()).await;
    bench.accept(&queue[0], at_secs(1)).await;
    let until = at_secs(1) + ACTIVE_DURATION;
    let expired = TokenState::Ended(EndReason::Expired);
    assert_eq!(bench.state(&queue[0], just_before(until)).await, TokenState::Active { until });
    assert_eq!(bench.admit(&queue, &settings, just_before(until)).await, 0);
    assert_eq!(bench.state(&queue[0], until).await, expired);
    assert_eq!(bench.accept(&queue[0], until).await, expired);
    assert_eq!(bench.end(&queue[0], EndReason::Used, until).await, expired);

    assert_eq!(bench.admit(&queue, &settings, until).await, 1);
    let next = TokenState::Called { accept_by: until + settings.accept_window };
    assert_eq!(bench.states(&queue, until).await, [expired, next]);
}

pub async fn ends_a_waiting_number(bench: SpeedBench) {
    let queue = bench.queue(5).await;
    let left = TokenState::Ended(EndReason::Left);
    assert_eq!(bench.end(&queue[1], EndReason::Left, start()).await, left);
    assert_eq!(bench.end(&queue[1], EndReason::Abandoned, start()).await, left);

    let snapshot = bench.snapshot(queue[0].performance).await;
    let statuses: Vec<NumberStatus> = (1..=5).map(|n| snapshot.status(number(n))).collect();
    let at = NumberStatus::waiting_at;
    assert_eq!(statuses, [at(1), NumberStatus::Ended, at(2), at(3), at(4)]);
    assert_eq!(snapshot.waiting(), 4);
    assert_eq!(bench.admit(&queue, &open_doors(), at_secs(1)).await, 4);
    assert_eq!(bench.state(&queue[1], at_secs(1)).await, left);
    assert!(!bench.snapshot(queue[0].performance).await.called.contains_key(&number(2)));
}

pub async fn ends_an_active_number(bench: SpeedBench) {
    let queue = bench.queue(3).await;
    let settings = QueueSettings { max_active: 1, ..queue_settings() };
    bench.admit(&queue, &settings, start()).await;
    bench.accept(&queue[0], start()).await;
    let used = TokenState::Ended(EndReason::Used);
    assert_eq!(bench.end(&queue[0], EndReason::Used, at_secs(1)).await, used);
    assert_eq!(bench.end(&queue[0], EndReason::Left, at_secs(2)).await, used);
    assert_eq!(bench.accept(&queue[0], at_secs(2)).await, used);
    assert_eq!(
        bench.state(&queue[0], start() + ACTIVE_DURATION).await,
        used,
        "the reason does not change at its deadline"
    );

    assert_eq!(bench.admit(&queue, &settings, at_secs(2)).await, 1);
    assert_eq!(bench.end(&queue[1], EndReason::Left, at_secs(2)).await, TokenState::Ended(EndReason::Left));
    assert_eq!(bench.admit(&queue, &settings, at_secs(2)).await, 1);
    let snapshot = bench.snapshot(queue[0].performance).await;
    assert_eq!(snapshot.called.into_keys().collect::<Vec<_>>(), [number(3)]);
    assert!(snapshot.active.is_empty());
}

pub async fn ends_a_called_number(bench: SpeedBench) {
    let queue = bench.queue(3).await;
    let performance = queue[0].performance;
    let settings = QueueSettings { max_active: 1, ..queue_settings() };
    bench.admit(&queue, &settings, start()).await;
    assert!(matches!(bench.state(&queue[0], start()).await, TokenState::Called { .. }));
    let over = TokenState::Ended(EndReason::LimitReached);
    assert_eq!(bench.end(&queue[0], EndReason::LimitReached, start()).await, over);
    assert_eq!(bench.end(&queue[0], EndReason::Left, start()).await, over);
    assert_eq!(bench.accept(&queue[0], start()).await, over);
    let snapshot = bench.snapshot(performance).await;
    assert!(snapshot.called.is_empty() && snapshot.active.is_empty(), "{snapshot:?}");
    assert_eq!(snapshot.flow.left, 1);

    assert_eq!(bench.admit(&queue, &settings, at_secs(1)).await, 1);
    assert!(matches!(bench.state(&queue[1], at_secs(1)).await, TokenState::Called { .. }));
    let again = bench.join_lane(performance, queue[0].user, 0, at_secs(1)).await;
    assert_eq!(again.index, 4);
    assert_eq!(bench.state(&queue[0], at_secs(1)).await, over);
}

pub async fn limits_hold_tries(bench: SpeedBench) {
    let queue = bench.queue(4).await;
    assert!(!bench.spend(&queue[0], 2, start()).await, "it waits");
    bench.admit(&queue, &QueueSettings { max_active: 3, ..open_doors() }, start()).await;
    assert!(!bench.spend(&queue[0], 2, start()).await, "it is called and has not accepted");
    for payload in &queue[..2] {
        bench.accept(payload, start()).await;
        assert!(bench.spend(payload, 2, start()).await);
        assert!(bench.spend(payload, 2, at_secs(1)).await);
        assert!(!bench.spend(payload, 2, at_secs(1)).await);
    }
    assert!(bench.spend(&queue[0], 3, at_secs(2)).await, "the limit was raised");
    assert!(!bench.spend(&queue[0], 3, at_secs(2)).await);
    assert!(!bench.spend(&queue[3], 2, at_secs(2)).await, "it waits still");

    bench.end(&queue[0], EndReason::Left, at_secs(3)).await;
    assert!(!bench.spend(&queue[0], 100, at_secs(3)).await);
    assert!(bench.spend(&queue[1], 100, just_before(start() + ACTIVE_DURATION)).await);
    assert!(!bench.spend(&queue[1], 100, start() + ACTIVE_DURATION).await, "its admission is over");
}

pub async fn returns_a_hold_try(bench: SpeedBench) {
    let queue = bench.queue(2).await;
    let give_back = async |payload: &QueueTokenPayload, now| {
        bench.queues.return_hold_try(&token(payload), now).await.expect("the queue knows the token");
    };
    bench.admit(&queue, &QueueSettings { max_active: 1, ..open_doors() }, start()).await;
    bench.accept(&queue[0], start()).await;
    give_back(&queue[0], start()).await;
    assert!(bench.spend(&queue[0], 2, start()).await);
    assert!(bench.spend(&queue[0], 2, start()).await);
    assert!(!bench.spend(&queue[0], 2, start()).await, "nothing was spent that could be returned");
    give_back(&queue[0], at_secs(1)).await;
    assert!(bench.spend(&queue[0], 2, at_secs(1)).await);
    assert!(!bench.spend(&queue[0], 2, at_secs(1)).await, "one was returned");

    give_back(&queue[1], at_secs(1)).await;
    assert!(!bench.spend(&queue[1], 2, at_secs(1)).await, "it waits still");
    bench.end(&queue[0], EndReason::Left, at_secs(2)).await;
    give_back(&queue[0], at_secs(2)).await;
    assert!(!bench.spend(&queue[0], 2, at_secs(2)).await, "it has ended");
}

/// Checks that every operation reports a token as reset.
async fn assert_reset(bench: &SpeedBench, payload: &QueueTokenPayload) {
    assert_eq!(bench.state(payload, start()).await, RESET, "{payload:?}");
    assert_eq!(bench.accept(payload, start()).await, RESET, "{payload:?}");
    assert_eq!(bench.end(payload, EndReason::Left, start()).await, RESET, "{payload:?}");
    assert!(!bench.spend(payload, 100, start()).await, "{payload:?}");
}

pub async fn a_payload_of_another_epoch_has_ended(bench: SpeedBench) {
    let queue = bench.queue(3).await;
    bench.admit(&queue, &QueueSettings { batch: 2, ..queue_settings() }, start()).await;
    bench.accept(&queue[0], start()).await;
    let (before, states) = (bench.snapshot(queue[0].performance).await, bench.states(&queue, start()).await);
    for payload in &queue {
        for epoch in [EPOCH - 1, EPOCH + 1] {
            assert_reset(&bench, &QueueTokenPayload { epoch, ..*payload }).await;
        }
    }
    assert_eq!(bench.snapshot(queue[0].performance).await, before);
    assert_eq!(bench.states(&queue, start()).await, states);
}

pub async fn a_number_never_given_out_has_ended(bench: SpeedBench) {
    let queue = bench.queue(2).await;
    let never = [
        QueueTokenPayload { index: 3, ..queue[0] },
        QueueTokenPayload { index: 0, ..queue[0] },
        QueueTokenPayload { lane: 1, ..queue[0] },
        QueueTokenPayload { lane: LANES, ..queue[0] },
    ];
    for payload in never {
        assert_reset(&bench, &payload).await;
    }
    let third = bench.join_all(queue[0].performance, 0, 1).await;
    assert_eq!(
        bench.states(&third, start()).await,
        [TokenState::Waiting],
        "ending a number that was not given out has no effect on it"
    );
}
