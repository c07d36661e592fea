use std::sync::Arc;

use encore_domain::audit_log::{AuditChange, AuditFilter};
use encore_domain::catalog::Performance;
use encore_domain::event::{Event, QueueChange, QueueOpening, StaffCause};
use encore_domain::page::PageRequest;
use encore_domain::payment::refund::OperatorReason;
use encore_domain::queue::{QueuePatch, QueueSettings};

use crate::RecordBench;
use crate::answers::{made, refused, repeated};
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{act, at_secs, id, just_before, lanes, pre_queue, queue, queue_settings, start};

pub async fn writes_an_event_of_a_performance(bench: RecordBench) {
    let plain = bench.open_sale().await;
    let with_pre_queue = Performance { id: id(), has_queue: true, ..plain.clone() };
    let plain = Performance { id: id(), ..plain };
    let acts = [act(bench.operator_request().await), act(bench.operator_request().await)];
    let pre_queue_opens_at = just_before(start());
    for (performance, queue, act) in
        [(&plain, None, &acts[0]), (&with_pre_queue, Some(pre_queue(pre_queue_opens_at)), &acts[1])]
    {
        made(bench.catalog.add_performance(performance.clone(), queue.clone(), Some(act.clone())).await);
        repeated(bench.catalog.add_performance(performance.clone(), queue, Some(act.clone())).await);
    }

    let published = |performance: &Performance, pre_queue_opens_at, cause| Event::PerformancePublished {
        performance: performance.clone(),
        pre_queue_opens_at,
        cause,
    };
    let [first, second] = [0, 1].map(|index| StaffCause::from(&acts[index]));
    let expected = [published(&plain, None, first), published(&with_pre_queue, Some(pre_queue_opens_at), second)];
    assert_eq!(bench.read_events().await, expected);
}

pub async fn writes_events_of_a_queue(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let open = QueueSettings { draining: false, ..queue_settings() };
    let queued = bench.open_queue(&sale, queue(open.clone())).await;
    let patch = |paused, draining| QueuePatch { paused, draining, ..QueuePatch::default() };
    let larger = QueuePatch { batch: Some(9), ..QueuePatch::default() };
    let steps = [
        (patch(Some(true), None), vec![QueueChange::Paused]),
        (patch(Some(true), None), vec![]),
        (patch(None, Some(true)), vec![QueueChange::Drained]),
        (
            QueuePatch { batch: Some(8), ..patch(Some(false), Some(false)) },
            vec![QueueChange::Resumed, QueueChange::Settings],
        ),
        (larger, vec![QueueChange::Settings]),
    ];
    let mut expected = Vec::new();
    for (patch, changes) in steps {
        let act = act(bench.operator_request().await);
        let settings = made(bench.catalog.patch_queue(queued.id, patch.clone(), Some(act.clone())).await);
        repeated(bench.catalog.patch_queue(queued.id, patch, Some(act.clone())).await);
        let event = |change| Event::QueueChanged {
            performance: queued.id,
            change,
            settings: settings.clone(),
            cause: StaffCause::from(&act),
        };
        expected.extend(changes.into_iter().map(event));
    }
    let moved = QueuePatch { lanes: Some(lanes(&[("general", 2)])), ..QueuePatch::default() };
    refused(bench.catalog.patch_queue(queued.id, moved, Some(act(bench.operator_request().await))).await);
    assert_eq!(bench.read_events().await, expected);
}

impl RecordBench {
    async fn assert_nothing_found(&self, performance: &Performance) {
        for scope in [None, Some(performance.id)] {
            let report = self.audit.sweep(scope).await.expect("the store answers");
            assert!(report.is_clean(), "{:?}", report.findings().collect::<Vec<_>>());
        }
    }
}

pub async fn notes_an_opening_once(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let [first, other] = [
        bench.open_queue(&sale, queue(queue_settings())).await,
        bench.open_queue(&sale, queue(queue_settings())).await,
    ];
    let opening = |performance: &Performance, at| QueueOpening {
        performance: performance.id,
        opened_at: just_before(start()),
        calls_from: start(),
        at: at_secs(at),
    };
    let answers = at_once((0..TWENTY).map(|_| {
        let (catalog, opening) = (Arc::clone(&bench.catalog), opening(&first, 1));
        async move { catalog.note_opening(opening).await.expect("the store answers") }
    }))
    .await;
    assert_eq!(answers.into_iter().filter(|is_new| *is_new).count(), 1);
    assert!(bench.catalog.note_opening(opening(&other, 2)).await.expect("the store answers"));
    assert!(!bench.catalog.note_opening(opening(&first, 3)).await.expect("the store answers"));
    let expected = [opening(&first, 1), opening(&other, 2)].map(Event::QueueOpened);
    assert_eq!(bench.read_events().await, expected);
    bench.assert_nothing_found(&first).await;
}

pub async fn notes_a_cancellation_once(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let reason = OperatorReason::parse("the singer is ill").expect("a reason");
    let acts: Vec<_> = (0..TWENTY).map(|_| act(crate::fixtures::request(id()))).collect();
    let answers = at_once(acts.iter().cloned().map(|act| {
        let (catalog, performance, reason) = (Arc::clone(&bench.catalog), sale.id, reason.clone());
        async move {
            let is_new = catalog.note_cancellation(performance, reason, act.clone()).await.expect("the store answers");
            is_new.then_some(act)
        }
    }))
    .await;
    let noted: Vec<_> = answers.into_iter().flatten().collect();
    let [act] = noted.as_slice() else { panic!("{noted:?}") };
    let cause = StaffCause::from(act);
    assert_eq!(bench.read_events().await, [Event::PerformanceCancelled { performance: sale.id, reason, cause }]);
    let entries =
        bench.audit_log.list(&AuditFilter::default(), PageRequest::first(10)).await.expect("the store answers");
    let [entry] = entries.items.as_slice() else { panic!("{entries:?}") };
    assert_eq!((entry.id, entry.target.id()), (act.id, sale.id.0));
    assert_eq!(entry.changes, [AuditChange { field: "cancelled".into(), before: None, after: Some("true".into()) }]);
    bench.assert_nothing_found(&sale).await;
}
