use encore_domain::catalog::Performance;
use encore_domain::event::{Event, StaffCause};

use crate::RecordBench;
use crate::answers::{made, repeated};
use crate::fixtures::{act, id, just_before, pre_queue, start};

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
