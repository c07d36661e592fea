use std::time::Duration;

use encore_domain::ports::{Joining, Presence};
use encore_domain::queue::snapshot::{NumberStatus, QueueSnapshot};
use encore_domain::queue::{
    EndReason, LaneNumber, QueueRate, QueueRecord, QueueSettings, QueueToken, QueueTokenPayload, RestoredQueue,
};
use encore_port_tests::fixtures::{at_secs, id, start};

use super::Queue;

const MILLION: u64 = 1_000_000;

fn settings() -> QueueSettings {
    QueueSettings {
        rate: QueueRate { admissions: 10, period: Duration::from_secs(1) },
        batch: 5,
        max_active: 100,
        ..QueueSettings::default()
    }
}

fn new_queue() -> RestoredQueue {
    QueueRecord::new(1, 1, start()).restored(None, &[], &[], &settings(), start())
}

fn presence_at(secs: u64) -> Presence {
    Presence { now: at_secs(secs), grace: settings().grace }
}

fn token(payload: QueueTokenPayload) -> QueueToken {
    payload.token(None)
}

fn number(number: u64) -> LaneNumber {
    LaneNumber { lane: 0, number }
}

#[test]
fn a_snapshot_of_a_million_waiting_numbers_has_the_position_of_each() {
    let mut queue = Queue::open(id(), &new_queue());
    queue.extend(0, MILLION);
    let join = |queue: &mut Queue| {
        let joining = Joining {
            performance: id(),
            user: id(),
            lane: 0,
            needs_accessible: false,
            may_enter: true,
            token: None,
            presence: presence_at(0),
            request: None,
            entry: None,
        };
        queue.join(&joining).expect("a number is left").payload
    };
    let payloads: Vec<QueueTokenPayload> = (0..MILLION).map(|_| join(&mut queue)).collect();
    for payload in payloads.iter().step_by(3) {
        queue.end(&token(*payload), EndReason::Left, start()).expect("the token is known");
    }
    let left = MILLION.div_ceil(3);

    assert_eq!(queue.admit(&settings().terms(None, start(), at_secs(1)), at_secs(1)), 5);
    let snapshot = QueueSnapshot::from(queue.copy());
    let lane = &snapshot.lanes[0];
    assert_eq!((lane.head, lane.tail, snapshot.waiting()), (8, MILLION, MILLION - left - 5));
    assert_eq!(snapshot.status(number(MILLION - 1)), NumberStatus::waiting_at(MILLION - left - 5));
    assert_eq!(snapshot.status(number(MILLION)), NumberStatus::Ended);
    assert_eq!(queue.abandon_absent(presence_at(1_000)).numbers.len() as u64, MILLION - left - 5);
}
