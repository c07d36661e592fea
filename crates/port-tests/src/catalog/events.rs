use encore_domain::catalog::Performance;
use encore_domain::event::{Event, QueueChange, StaffCause};
use encore_domain::queue::{QueuePatch, QueueSettings};

use crate::RecordBench;
use crate::answers::{made, refused, repeated};
use crate::fixtures::{act, id, just_before, lanes, pre_queue, queue, queue_settings, start};

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
