//! The cases of [`QueueRecords`](encore_domain::ports::QueueRecords).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::catalog::{OnSaleWindow, Performance};
use encore_domain::ids::PerformanceId;
use encore_domain::queue::{EndReason, EndedToken, Inside, LaneNumber, LaneRecord, QueueRecord, QueueTokenPayload};

use crate::RecordBench;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{at_ms, at_secs, id, just_before, pre_queue, queue, queue_settings};

/// Stamps the cases of the port `QueueRecords`.
#[macro_export]
macro_rules! queue_records {
    ($($with:tt)+) => {
        $crate::suite! { queue_records [
            keeps_a_record,
            begins_once,
            finds_no_record,
            keeps_only_what_is_newer,
            keeps_no_other_run,
            raises_limits,
            raises_limits_under_contention,
            notes_ended_tokens,
            notes_ended_tokens_in_bulk,
            forgets_queues_of_the_past,
        ] $($with)+ }
    };
}

const EPOCH: i64 = 1_780_308_000_123;

impl RecordBench {
    /// A performance with a begun record of this many lanes.
    async fn begun(&self, lanes: usize) -> PerformanceId {
        let sale = self.open_sale().await;
        let performance = self.open_queue(&sale, queue(queue_settings())).await.id;
        let new = QueueRecord::new(EPOCH, lanes, at_secs(1));
        assert_eq!(self.begin(performance, &new).await, new);
        performance
    }

    async fn begin(&self, performance: PerformanceId, record: &QueueRecord) -> QueueRecord {
        self.queue_records.begin(performance, record.clone()).await.expect("the store answers")
    }

    async fn keep_record(&self, performance: PerformanceId, record: &QueueRecord) {
        self.queue_records.keep(performance, record).await.expect("the store answers");
    }

    async fn find_record(&self, performance: PerformanceId) -> Option<QueueRecord> {
        self.queue_records.find(performance).await.expect("the store answers")
    }

    async fn raise_limit(&self, performance: PerformanceId, lane: u8, limit: u64) -> u64 {
        self.queue_records.raise_limit(performance, lane, limit).await.expect("the store answers")
    }
}

fn lane(head: u64, tail: u64, limit: u64) -> LaneRecord {
    LaneRecord { head, tail, limit }
}

/// A called fan, or an active one if the number is odd.
fn inside(lane: u8, number: u64) -> Inside {
    Inside {
        lane_number: LaneNumber { lane, number },
        until: at_ms(600_000 + number),
        active: number % 2 == 1,
        needs_accessible: number % 3 == 1,
    }
}

/// The record of a queue with two lanes, two seconds after it was begun.
fn moved() -> QueueRecord {
    QueueRecord {
        epoch: EPOCH,
        recorded_at: at_ms(3_001),
        lanes: vec![lane(40, 4_000_000_000, 0), lane(7, 9, 0)],
        inside: vec![inside(0, 38), inside(0, 39), inside(1, 7)],
        unspent: 3,
    }
}

pub async fn keeps_a_record(bench: RecordBench) {
    let performance = bench.begun(2).await;
    assert_eq!(bench.find_record(performance).await, Some(QueueRecord::new(EPOCH, 2, at_secs(1))));
    bench.keep_record(performance, &moved()).await;
    assert_eq!(bench.find_record(performance).await, Some(moved()));

    let crowded = QueueRecord {
        recorded_at: at_secs(4),
        inside: (1..=2_000).map(|number| inside(0, number)).collect(),
        unspent: 100_000,
        ..moved()
    };
    bench.keep_record(performance, &crowded).await;
    assert_eq!(bench.find_record(performance).await, Some(crowded.clone()));
    let left = QueueRecord { recorded_at: at_secs(5), inside: vec![], unspent: 0, ..crowded };
    bench.keep_record(performance, &left).await;
    assert_eq!(bench.find_record(performance).await, Some(left));
}

pub async fn begins_once(bench: RecordBench) {
    let performance = bench.begun(1).await;
    let first = QueueRecord::new(EPOCH, 1, at_secs(1));
    let later = QueueRecord { lanes: vec![lane(1, 2, 3)], unspent: 5, ..QueueRecord::new(EPOCH + 1, 2, at_secs(9)) };
    assert_eq!(bench.begin(performance, &later).await, first);
    assert_eq!(bench.find_record(performance).await, Some(first));

    let sale = bench.open_sale().await;
    let contended = bench.open_queue(&sale, queue(queue_settings())).await.id;
    let answers =
        at_once(
            (0..).take(TWENTY).map(|epoch| {
                let records = Arc::clone(&bench.queue_records);
                async move {
                    records.begin(contended, QueueRecord::new(epoch, 3, at_secs(1))).await.expect("the store answers")
                }
            }),
        )
        .await;
    let begun = bench.find_record(contended).await.expect("a begun record");
    assert!(answers.iter().all(|answer| *answer == begun), "{answers:?}");
}

pub async fn finds_no_record(bench: RecordBench) {
    bench.begun(2).await;
    let sale = bench.open_sale().await;
    let other = bench.open_queue(&sale, queue(queue_settings())).await.id;
    for performance in [other, id()] {
        bench.keep_record(performance, &moved()).await;
        assert_eq!(bench.raise_limit(performance, 0, 100).await, 0);
        assert_eq!(bench.find_record(performance).await, None);
    }
}

pub async fn keeps_only_what_is_newer(bench: RecordBench) {
    let performance = bench.begun(2).await;
    bench.keep_record(performance, &moved()).await;
    let earlier = QueueRecord { recorded_at: at_secs(3), lanes: vec![lane(41, 60, 0); 2], inside: vec![], ..moved() };
    bench.keep_record(performance, &earlier).await;
    assert_eq!(bench.find_record(performance).await, Some(moved()));

    let lanes = vec![lane(39, 50, 0), lane(8, 8, 0)];
    let behind = QueueRecord { recorded_at: at_ms(3_002), lanes, inside: vec![inside(1, 8)], unspent: 1, ..moved() };
    bench.keep_record(performance, &behind).await;
    let expected = QueueRecord { lanes: vec![lane(40, 4_000_000_000, 0), lane(8, 9, 0)], ..behind };
    assert_eq!(bench.find_record(performance).await, Some(expected));
}

pub async fn keeps_no_other_run(bench: RecordBench) {
    let performance = bench.begun(2).await;
    bench.keep_record(performance, &moved()).await;
    for epoch in [EPOCH - 1, EPOCH + 1] {
        let lanes = vec![lane(100, 200, 300); 2];
        let other = QueueRecord { epoch, recorded_at: at_secs(9), lanes, inside: vec![], unspent: 9 };
        bench.keep_record(performance, &other).await;
        assert_eq!(bench.find_record(performance).await, Some(moved()));
    }
}

pub async fn raises_limits(bench: RecordBench) {
    let (performance, bystander) = (bench.begun(2).await, bench.begun(2).await);
    assert_eq!(bench.raise_limit(performance, 1, 4_000_000_000).await, 4_000_000_000);
    assert_eq!(bench.raise_limit(performance, 1, 1_000).await, 4_000_000_000);
    assert_eq!(bench.raise_limit(performance, 0, 7).await, 7);
    assert_eq!(bench.raise_limit(performance, 2, 9).await, 0, "there is no such lane");

    // Keeping a record does not change the limits, whatever the record contains.
    let lanes = vec![lane(1, 2, 3), lane(4, 5, 6)];
    let record = QueueRecord { lanes, ..moved() };
    bench.keep_record(performance, &record).await;
    let expected = QueueRecord { lanes: vec![lane(1, 2, 7), lane(4, 5, 4_000_000_000)], ..record };
    assert_eq!(bench.find_record(performance).await, Some(expected));
    assert_eq!(bench.find_record(bystander).await, Some(QueueRecord::new(EPOCH, 2, at_secs(1))));
}

pub async fn raises_limits_under_contention(bench: RecordBench) {
    let performance = bench.begun(2).await;
    let answers = at_once((1..=TWENTY as u64).map(|n| {
        let records = Arc::clone(&bench.queue_records);
        async move { (n, records.raise_limit(performance, 1, n * 1_000).await.expect("the store answers")) }
    }))
    .await;
    assert!(answers.iter().all(|(n, limit)| *limit >= n * 1_000), "{answers:?}");
    let kept = bench.find_record(performance).await.expect("a begun record");
    assert_eq!(kept.lanes, [lane(0, 0, 0), lane(0, 0, 20_000)]);
}

pub async fn notes_ended_tokens(bench: RecordBench) {
    let records = &bench.queue_records;
    let (performance, other) = (bench.begun(2).await, bench.begun(2).await);
    let ended = |lane, index, reason| EndedToken { lane, index, reason };
    let noted = [
        ended(0, 7, EndReason::Left),
        ended(0, 8, EndReason::Abandoned),
        ended(1, 7, EndReason::Replaced),
        ended(1, 8, EndReason::LimitReached),
        ended(1, 4_000_000_000, EndReason::Expired),
    ];
    let note = async |ended: &[EndedToken]| {
        records.note_ended(performance, EPOCH, ended).await.expect("the store answers");
    };
    note(&noted[..2]).await;
    note(&noted[1..]).await;
    note(&[ended(0, 7, EndReason::Abandoned)]).await;
    note(&[]).await;
    let list = async |performance, epoch| {
        let mut noted = records.ended(performance, epoch).await.expect("the store answers");
        noted.sort_unstable();
        noted
    };
    assert_eq!(list(performance, EPOCH).await, noted, "the first reason of each stays");
    assert_eq!((list(performance, EPOCH + 1).await, list(other, EPOCH).await), (Vec::new(), Vec::new()));

    let payload = QueueTokenPayload {
        performance,
        user: id(),
        epoch: EPOCH,
        lane: 0,
        index: 7,
        issued_at: at_secs(1),
        needs_accessible: false,
        admitted_until: Some(at_secs(60)),
    };
    let find = async |payload| records.find_ended(&payload).await.expect("the store answers");
    assert_eq!(find(payload).await, Some(EndReason::Left));
    assert_eq!(find(QueueTokenPayload { lane: 1, ..payload }).await, Some(EndReason::Replaced));
    for stranger in [
        QueueTokenPayload { index: 9, ..payload },
        QueueTokenPayload { epoch: EPOCH + 1, ..payload },
        QueueTokenPayload { performance: other, ..payload },
    ] {
        assert_eq!(find(stranger).await, None, "{stranger:?}");
    }
}

pub async fn notes_ended_tokens_in_bulk(bench: RecordBench) {
    let performance = bench.begun(1).await;
    let ended: Vec<EndedToken> =
        (1..=10_000).map(|index| EndedToken { lane: 0, index, reason: EndReason::Abandoned }).collect();
    bench.queue_records.note_ended(performance, EPOCH, &ended).await.expect("the store answers");
    let mut noted = bench.queue_records.ended(performance, EPOCH).await.expect("the store answers");
    noted.sort_unstable();
    assert!(noted == ended, "{} are noted", noted.len());
}

pub async fn forgets_queues_of_the_past(bench: RecordBench) {
    let records = &bench.queue_records;
    let sale = bench.open_sale().await;
    let mut queues = Vec::new();
    for closes_at in [at_secs(100), at_secs(200), at_secs(201)] {
        let like = Performance { on_sale: OnSaleWindow { opens_at: at_secs(1), closes_at }, ..sale.clone() };
        let performance = bench.open_queue(&like, pre_queue(at_secs(0))).await.id;
        bench.begin(performance, &QueueRecord::new(EPOCH, 1, at_secs(1))).await;
        let ended: Vec<EndedToken> =
            (1..=7).map(|index| EndedToken { lane: 0, index, reason: EndReason::Left }).collect();
        for epoch in [EPOCH, EPOCH + 1] {
            records.note_ended(performance, epoch, &ended).await.expect("the store answers");
        }
        for _ in 0..3 {
            bench.draws.enter(performance, EPOCH + 2, id(), 0).await.expect("the draw is open");
        }
        queues.push(performance);
    }
    let forget = async |closed_by, limit| {
        let mut steps = Vec::new();
        loop {
            match records.forget_past(closed_by, limit).await.expect("the store answers") {
                0 => return steps,
                step => steps.push(step),
            }
        }
    };
    let left = async |performance| {
        let mut counts = Vec::new();
        for epoch in [EPOCH, EPOCH + 1] {
            counts.push(records.ended(performance, epoch).await.expect("the store answers").len());
        }
        counts
    };
    assert_eq!(forget(just_before(at_secs(100)), 100).await, Vec::<u64>::new());
    let steps = forget(at_secs(200), 5).await;
    assert!(steps.iter().all(|step| *step <= 5), "{steps:?}");
    assert_eq!(steps.iter().sum::<u64>(), 2 * (7 + 7 + 3));
    for past in &queues[..2] {
        assert_eq!(left(*past).await, [0, 0]);
        assert!(bench.find_record(*past).await.is_some(), "the record stays");
        assert_eq!(bench.draws.close(*past).await.expect("the store answers")[0], 3, "the counts of a draw stay");
    }
    assert_eq!(left(queues[2]).await, [7, 7]);
    let fourth = bench.draws.enter(queues[2], EPOCH + 2, id(), 0).await.expect("the draw is open");
    assert_eq!(fourth, 4, "the entries of a sale that is not past stay");
    assert_eq!(forget(at_secs(201), 1_000).await.iter().sum::<u64>(), 7 + 7 + 4);
}
