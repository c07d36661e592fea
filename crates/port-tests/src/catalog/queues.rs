//! Queues of performances, and what is on sale.

use std::time::Duration;

use encore_domain::catalog::{OnSaleWindow, Performance};
use encore_domain::queue::{NoQueue, PatchRefusal, Queue, QueuePatch, QueueRate, QueueSettings};

use super::sale_of;
use crate::RecordBench;
use crate::answers::{assert_reused, made, refused, repeated};
use crate::fixtures::{
    act, altered, at_secs, id, just_before, lanes, message, pre_queue, queue, queue_settings, request, start,
};

pub async fn patches_a_queue(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let queued = bench.open_queue(&sale, queue(queue_settings())).await;
    let bystander = bench.open_queue(&sale, queue(queue_settings())).await;

    let narrowed = QueueSettings { max_active: 42, ..queue_settings() };
    let patch = QueuePatch { max_active: Some(42), ..QueuePatch::default() };
    assert_eq!(made(bench.catalog.patch_queue(queued.id, patch, None).await), narrowed);
    assert_eq!(bench.settings(queued.id).await, narrowed);

    let turned = QueueSettings {
        rate: QueueRate { admissions: 3, period: Duration::from_millis(1_500) },
        batch: 7,
        max_active: 8,
        paused: true,
        draining: false,
        accept_window: Duration::from_millis(5_001),
        active_duration: Duration::from_hours(2),
        grace: Duration::from_secs(90),
        hold_tries: None,
        message: message("Back in ten minutes"),
        lanes: lanes(&[("general", 1_000), ("fan-club", 1), ("press", 7)]),
    };
    let patch = QueuePatch {
        rate: Some(turned.rate),
        batch: Some(turned.batch),
        max_active: Some(turned.max_active),
        paused: Some(turned.paused),
        draining: Some(turned.draining),
        accept_window: Some(turned.accept_window),
        active_duration: Some(turned.active_duration),
        grace: Some(turned.grace),
        hold_tries: Some(turned.hold_tries),
        message: Some(turned.message.clone()),
        lanes: Some(turned.lanes.clone()),
    };
    assert_eq!(made(bench.catalog.patch_queue(queued.id, patch, None).await), turned);
    let silent = QueueSettings { message: None, hold_tries: Some(1), ..turned };
    let patch = QueuePatch { message: Some(None), hold_tries: Some(Some(1)), ..QueuePatch::default() };
    assert_eq!(made(bench.catalog.patch_queue(queued.id, patch, None).await), silent);
    let expected = [(&sale, None), (&queued, Some(queue(silent))), (&bystander, Some(queue(queue_settings())))];
    assert_eq!(bench.on_sale(start()).await, expected.map(|(performance, queue)| sale_of(performance, queue)));
}

pub async fn repeats_a_queue_patch(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let queued = bench.open_queue(&sale, queue(queue_settings())).await;
    let (first, second) = (bench.operator_request().await, bench.operator_request().await);
    let pause = QueuePatch { paused: Some(true), ..QueuePatch::default() };
    let resume = QueuePatch { paused: Some(false), max_active: Some(9), ..QueuePatch::default() };

    let paused = made(bench.catalog.patch_queue(queued.id, pause.clone(), Some(act(first))).await);
    let resumed = made(bench.catalog.patch_queue(queued.id, resume, Some(act(second))).await);
    assert_eq!(repeated(bench.catalog.patch_queue(queued.id, pause, Some(act(first))).await), paused);
    assert_eq!(bench.catalog.find_patched(first).await.expect("no reuse"), Some(paused.clone()));
    assert_eq!(bench.catalog.find_patched(request(first.user)).await.expect("no reuse"), None);
    assert_reused(&bench.catalog.find_patched(altered(first)).await);
    assert_eq!(paused, QueueSettings { paused: true, ..queue_settings() });
    assert_eq!(bench.settings(queued.id).await, resumed);
    assert_eq!(resumed, QueueSettings { max_active: 9, ..queue_settings() });
}

pub async fn refuses_to_patch_without_a_queue(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let patch = QueuePatch { max_active: Some(1), ..QueuePatch::default() };
    let no_queue = PatchRefusal::NoQueue(NoQueue);
    for performance in [sale.id, id()] {
        let request = bench.operator_request().await;
        assert_eq!(refused(bench.catalog.patch_queue(performance, patch.clone(), Some(act(request))).await), no_queue);
    }
    assert_eq!(bench.on_sale(start()).await, [sale_of(&sale, None)]);
    assert_eq!(bench.catalog.performance(sale.id).await.expect("the store answers"), Some(sale));
}

pub async fn refuses_to_move_lanes(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let queued = bench.open_queue(&sale, queue(queue_settings())).await;
    let others: [&[(&str, u32)]; 4] = [
        &[("general", 2), ("press", 3), ("fan-club", 1)],
        &[("general", 2), ("fan-club", 3)],
        &[("general", 2), ("fan-club", 3), ("press", 1), ("sponsors", 1)],
        &[("general", 2), ("fans", 3), ("press", 1)],
    ];
    for moved in others {
        let request = bench.operator_request().await;
        let patch = QueuePatch { lanes: Some(lanes(moved)), max_active: Some(1), ..QueuePatch::default() };
        let refusal = refused(bench.catalog.patch_queue(queued.id, patch, Some(act(request))).await);
        assert_eq!(refusal, PatchRefusal::LanesMoved, "{moved:?}");
        assert_eq!(bench.settings(queued.id).await, queue_settings());

        // A refused request is not recorded, so its id can be used again.
        let empty = QueuePatch::default();
        assert_eq!(made(bench.catalog.patch_queue(queued.id, empty, Some(act(request))).await), queue_settings());
    }
}

pub async fn finds_a_queue(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let kept = [
        queue(queue_settings()),
        queue(QueueSettings::default()),
        queue(QueueSettings { hold_tries: None, message: None, paused: true, draining: false, ..queue_settings() }),
        pre_queue(just_before(start())),
    ];
    for queue in kept {
        let queued = bench.open_queue(&sale, queue.clone()).await;
        assert_eq!(bench.queue(queued.id).await, Some(queue.clone()));

        let patch = QueuePatch { max_active: Some(3), ..QueuePatch::default() };
        let settings = made(bench.catalog.patch_queue(queued.id, patch, None).await);
        assert_eq!(bench.queue(queued.id).await, Some(Queue { settings, ..queue }), "a patch does not change the draw");
    }
    assert_eq!(bench.queue(sale.id).await, None);
    assert_eq!(bench.queue(id()).await, None);
}

pub async fn lists_what_is_on_sale(bench: RecordBench) {
    let today = bench.open_sale().await;
    let day_later = today.on_sale.closes_at;
    let later = |secs| OnSaleWindow { opens_at: day_later, closes_at: day_later + Duration::from_secs(secs) };
    let plain = Performance { id: id(), on_sale: later(100), ..today.clone() };
    made(bench.catalog.add_performance(plain.clone(), None, None).await);
    let long = Performance { on_sale: later(200), ..today.clone() };
    let running = bench.open_queue(&long, queue(queue_settings())).await;
    let paused = queue(QueueSettings { paused: true, ..queue_settings() });
    let halted = bench.open_queue(&plain, paused.clone()).await;

    assert_eq!(bench.on_sale(just_before(start())).await, []);
    for now in [start(), just_before(day_later)] {
        assert_eq!(bench.on_sale(now).await, [sale_of(&today, None)]);
    }
    let running = sale_of(&running, Some(queue(queue_settings())));
    let expected = [sale_of(&plain, None), running.clone(), sale_of(&halted, Some(paused))];
    for now in [day_later, just_before(plain.on_sale.closes_at)] {
        assert_eq!(bench.on_sale(now).await, expected);
    }
    for now in [plain.on_sale.closes_at, just_before(long.on_sale.closes_at)] {
        assert_eq!(bench.on_sale(now).await.as_slice(), std::slice::from_ref(&running));
    }
    assert_eq!(bench.on_sale(long.on_sale.closes_at).await, []);
}

pub async fn lists_queues_with_an_open_pre_queue(bench: RecordBench) {
    let selling = bench.open_sale().await;
    let opens_at = selling.on_sale.closes_at;
    let later = OnSaleWindow { opens_at, closes_at: opens_at + Duration::from_secs(100) };
    let later = Performance { on_sale: later, ..selling.clone() };
    let pre_queue_opens_at = at_secs(3_600);
    let drawing = bench.open_queue(&later, pre_queue(pre_queue_opens_at)).await;
    let plain = bench.open_queue(&later, queue(queue_settings())).await;

    let selling = sale_of(&selling, None);
    let drawing = sale_of(&drawing, Some(pre_queue(pre_queue_opens_at)));
    assert_eq!(drawing.opens_at, opens_at, "seats cannot be held while the pre-queue is open");
    assert_eq!(bench.on_sale(just_before(pre_queue_opens_at)).await.as_slice(), std::slice::from_ref(&selling));
    for now in [pre_queue_opens_at, just_before(opens_at)] {
        assert_eq!(bench.on_sale(now).await, [selling.clone(), drawing.clone()]);
    }
    let plain = sale_of(&plain, Some(queue(queue_settings())));
    assert_eq!(bench.on_sale(opens_at).await, [drawing, plain]);
    assert_eq!(bench.on_sale(later.on_sale.closes_at).await, []);
}
