//! The cases of [`Catalog`](encore_domain::ports::Catalog).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

mod finding;

use std::time::Duration;

use encore_domain::catalog::search::PerformanceFilter;
use encore_domain::catalog::{Concert, OnSale, OnSaleWindow, Performance, PriceList};
use encore_domain::ids::{ConcertId, PerformanceId};
use encore_domain::page::PageRequest;
use encore_domain::queue::{NoQueue, PatchRefusal, Queue, QueuePatch, QueueRate, QueueSettings};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use uuid::Uuid;

pub use self::finding::{finds_concerts_by_words, finds_performances};
use crate::RecordBench;
use crate::answers::{assert_reused, made, refused, repeated};
use crate::fixtures::{
    LARGE_CHART_SEATS, accessible_chart, act, altered, at_secs, concert, drawn_chart, festival_chart, id, just_before,
    lanes, large_chart, message, performance, pre_queue, queue, queue_settings, request, small_chart, start, venue,
};
use crate::paging::{SIZES, read_all};

mod events;

pub use events::*;

/// Stamps the cases of the port `Catalog`.
#[macro_export]
macro_rules! catalog {
    ($($with:tt)+) => {
        $crate::suite! { catalog [
            keeps_a_venue,
            keeps_a_large_venue,
            keeps_a_concert,
            keeps_a_performance,
            finds_nothing,
            pages_concerts,
            finds_concerts_by_words,
            pages_performances,
            finds_performances,
            starts_a_page_of_performances_anywhere,
            repeats_an_add,
            writes_an_event_of_a_performance,
            finds_an_add_by_its_request,
            refuses_a_reused_request,
            patches_a_queue,
            repeats_a_queue_patch,
            writes_events_of_a_queue,
            refuses_to_patch_without_a_queue,
            refuses_to_move_lanes,
            finds_a_queue,
            lists_what_is_on_sale,
            lists_queues_with_an_open_pre_queue,
        ] $($with)+ }
    };
}

impl RecordBench {
    async fn operator_request(&self) -> RequestKey {
        request(self.sign_up().await)
    }

    async fn settings(&self, performance: PerformanceId) -> QueueSettings {
        self.queue(performance).await.expect("there is a queue").settings
    }

    async fn queue(&self, performance: PerformanceId) -> Option<Queue> {
        self.catalog.queue(performance).await.expect("the store answers")
    }

    async fn all_concerts(&self) -> Vec<Concert> {
        read_all(100, |page| self.catalog.concerts(None, page)).await
    }

    async fn all_performances(&self, concert: ConcertId) -> Vec<Performance> {
        let filter = PerformanceFilter::of_concert(concert);
        read_all(100, |page| self.catalog.performances(&filter, page)).await
    }

    /// The performances on sale, sorted by id.
    async fn on_sale(&self, now: Timestamp) -> Vec<OnSale> {
        let mut on_sale = self.catalog.on_sale(now).await.expect("the store answers");
        on_sale.sort_by_key(|sale| sale.performance);
        on_sale
    }
}

fn sale_of(performance: &Performance, queue: Option<Queue>) -> OnSale {
    OnSale { performance: performance.id, opens_at: performance.on_sale.opens_at, queue }
}

pub async fn keeps_a_venue(bench: RecordBench) {
    for chart in [small_chart(), accessible_chart(), festival_chart(20_000), drawn_chart()] {
        let wanted = venue(chart);
        let request = bench.operator_request().await;
        assert_eq!(made(bench.catalog.add_venue(wanted.clone(), Some(act(request))).await), wanted);
        assert_eq!(bench.catalog.venue(wanted.id).await.expect("the store answers"), Some(wanted));
    }
}

pub async fn keeps_a_large_venue(bench: RecordBench) {
    let stadium = venue(large_chart());
    made(bench.catalog.add_venue(stadium.clone(), None).await);
    let kept = bench.catalog.venue(stadium.id).await.expect("the store answers").expect("the venue is stored");
    assert_eq!(kept.chart.seats().len(), LARGE_CHART_SEATS);
    assert!(kept == stadium, "the venue read back differs from the one added");
}

pub async fn keeps_a_concert(bench: RecordBench) {
    let show = concert();
    let request = bench.operator_request().await;
    assert_eq!(made(bench.catalog.add_concert(show.clone(), Some(act(request))).await), show);
    assert_eq!(bench.catalog.concert(show.id).await.expect("the store answers"), Some(show.clone()));
    assert_eq!(bench.catalog.concerts_by_id(&[show.id]).await.expect("the store answers"), [show]);
}

pub async fn keeps_a_performance(bench: RecordBench) {
    let plain = bench.open_sale().await;
    let prices = PriceList { minor_by_grade: vec![None, Some(0)], ..plain.prices.clone() };
    let queued = Performance { id: id(), has_queue: true, prices, ..plain.clone() };
    let request = bench.operator_request().await;
    let added = bench.catalog.add_performance(queued.clone(), Some(queue(queue_settings())), Some(act(request))).await;
    assert_eq!(made(added), queued);

    let far = |millis| Timestamp::from_timestamp_millis(millis).expect("a time");
    let (first, last) = (far(-62_135_596_800_000), far(253_402_300_799_999));
    let on_sale = OnSaleWindow { opens_at: first, closes_at: last };
    let farthest = Performance { id: id(), starts_at: last, on_sale, ..plain.clone() };
    made(bench.catalog.add_performance(farthest.clone(), None, None).await);

    for performance in [plain, queued.clone(), farthest] {
        let kept = bench.catalog.performance(performance.id).await.expect("the store answers");
        assert_eq!(kept.as_ref(), Some(&performance));
        let kept = bench.catalog.performances_by_id(&[performance.id]).await.expect("the store answers");
        assert_eq!(kept, [performance]);
    }
    assert_eq!(bench.settings(queued.id).await, queue_settings());
}

pub async fn finds_nothing(bench: RecordBench) {
    let known = bench.open_sale().await;
    assert_eq!(bench.catalog.venue(id()).await.expect("the store answers"), None);
    assert_eq!(bench.catalog.concert(id()).await.expect("the store answers"), None);
    assert_eq!(bench.catalog.performance(id()).await.expect("the store answers"), None);

    let found = bench.catalog.performances_by_id(&[id(), known.id, id()]).await.expect("the store answers");
    assert_eq!(found.as_slice(), std::slice::from_ref(&known));
    assert_eq!(bench.catalog.performances_by_id(&[]).await.expect("the store answers"), []);
    let found = bench.catalog.concerts_by_id(&[id(), known.concert, id()]).await.expect("the store answers");
    assert_eq!(found.iter().map(|concert| concert.id).collect::<Vec<_>>(), [known.concert]);
    assert_eq!(bench.catalog.concerts_by_id(&[]).await.expect("the store answers"), []);
    assert_eq!(bench.all_performances(id()).await, []);
}

pub async fn pages_concerts(bench: RecordBench) {
    assert_eq!(bench.all_concerts().await, []);
    let concerts: Vec<Concert> = (0..6).map(|_| concert()).collect();
    for index in [3, 0, 5, 1, 4, 2] {
        made(bench.catalog.add_concert(concerts[index].clone(), None).await);
    }
    for size in SIZES {
        assert_eq!(read_all(size, |page| bench.catalog.concerts(None, page)).await, concerts, "by {size}");
    }
}

pub async fn pages_performances(bench: RecordBench) {
    let other = bench.open_sale().await;
    let show = made(bench.catalog.add_concert(concert(), None).await);
    // Performances with later ids start earlier, and every two start at the same time.
    let dates: Vec<Performance> = (0..6)
        .map(|n| Performance { starts_at: at_secs(9_000 - n / 2), ..performance(show.id, other.venue) })
        .collect();
    for index in [3, 0, 5, 1, 4, 2] {
        made(bench.catalog.add_performance(dates[index].clone(), None, None).await);
    }

    let expected: Vec<Performance> = [4, 5, 2, 3, 0, 1].map(|index: usize| dates[index].clone()).into();
    for size in SIZES {
        let filter = PerformanceFilter::of_concert(show.id);
        let listed = read_all(size, |page| bench.catalog.performances(&filter, page)).await;
        assert_eq!(listed, expected, "by {size}");
    }
    assert_eq!(bench.all_performances(other.concert).await, [other]);
}

pub async fn starts_a_page_of_performances_anywhere(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let (nil, max) = (PerformanceId(Uuid::nil()), PerformanceId(Uuid::max()));
    let before = [(Timestamp::MIN_UTC, max), (just_before(sale.starts_at), max), (sale.starts_at, nil)];
    let behind = [(sale.starts_at, sale.id), (sale.starts_at, max), (Timestamp::MAX_UTC, nil)];
    let found = async |after| {
        let page = PageRequest { after: Some(after), size: 10 };
        bench
            .catalog
            .performances(&PerformanceFilter::of_concert(sale.concert), page)
            .await
            .expect("the store answers")
            .items
    };
    for after in before {
        assert_eq!(found(after).await.as_slice(), std::slice::from_ref(&sale), "{after:?}");
    }
    for after in behind {
        assert_eq!(found(after).await, [], "{after:?}");
    }
}

pub async fn repeats_an_add(bench: RecordBench) {
    let request = bench.operator_request().await;
    let (first, again) = (venue(small_chart()), venue(small_chart()));
    made(bench.catalog.add_venue(first.clone(), Some(act(request))).await);
    assert_eq!(repeated(bench.catalog.add_venue(again.clone(), Some(act(request))).await), first);
    assert_eq!(bench.catalog.venue(again.id).await.expect("the store answers"), None);

    let request = bench.operator_request().await;
    let show = concert();
    made(bench.catalog.add_concert(show.clone(), Some(act(request))).await);
    assert_eq!(repeated(bench.catalog.add_concert(concert(), Some(act(request))).await), show);
    assert_eq!(bench.all_concerts().await.as_slice(), std::slice::from_ref(&show));

    let request = bench.operator_request().await;
    let date = Performance { has_queue: true, ..performance(show.id, first.id) };
    let again = Performance { id: id(), ..date.clone() };
    made(bench.catalog.add_performance(date.clone(), Some(queue(queue_settings())), Some(act(request))).await);
    let other = pre_queue(just_before(start()));
    let repeat = bench.catalog.add_performance(again, Some(other), Some(act(request))).await;
    assert_eq!(repeated(repeat), date);
    assert_eq!(bench.all_performances(show.id).await.as_slice(), std::slice::from_ref(&date));
    assert_eq!(bench.on_sale(start()).await, [sale_of(&date, Some(queue(queue_settings())))]);
}

pub async fn finds_an_add_by_its_request(bench: RecordBench) {
    let (of_venue, of_performance) = (bench.operator_request().await, bench.operator_request().await);
    assert_eq!(bench.catalog.find_added_venue(of_venue).await.expect("no reuse"), None);
    assert_eq!(bench.catalog.find_added_performance(of_performance).await.expect("no reuse"), None);
    let added = made(bench.catalog.add_venue(venue(small_chart()), Some(act(of_venue))).await);
    let show = made(bench.catalog.add_concert(concert(), None).await);
    let date = Performance { has_queue: true, ..performance(show.id, added.id) };
    made(bench.catalog.add_performance(date.clone(), Some(queue(queue_settings())), Some(act(of_performance))).await);
    assert_eq!(bench.catalog.find_added_venue(of_venue).await.expect("no reuse"), Some(added));
    assert_eq!(bench.catalog.find_added_performance(of_performance).await.expect("no reuse"), Some(date));
    assert_reused(&bench.catalog.find_added_venue(altered(of_venue)).await);
    assert_reused(&bench.catalog.find_added_venue(of_performance).await);
    assert_reused(&bench.catalog.find_added_performance(altered(of_performance)).await);
    assert_reused(&bench.catalog.find_added_performance(of_venue).await);
}

pub async fn refuses_a_reused_request(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let queued = bench.open_queue(&sale, queue(queue_settings())).await;
    let request = bench.operator_request().await;
    let show = made(bench.catalog.add_concert(concert(), Some(act(request))).await);
    let reused = || Some(act(altered(request)));

    let other_venue = venue(small_chart());
    assert_reused(&bench.catalog.add_venue(other_venue.clone(), reused()).await);
    assert_eq!(bench.catalog.venue(other_venue.id).await.expect("the store answers"), None);

    let other = concert();
    assert_reused(&bench.catalog.add_concert(other.clone(), reused()).await);
    assert_eq!(bench.catalog.concert(other.id).await.expect("the store answers"), None);

    assert_reused(&bench.catalog.add_performance(performance(show.id, sale.venue), None, reused()).await);
    assert_eq!(bench.all_performances(show.id).await, []);

    let patch = QueuePatch { max_active: Some(1), ..QueuePatch::default() };
    assert_reused(&bench.catalog.patch_queue(queued.id, patch, reused()).await);
    assert_eq!(bench.settings(queued.id).await, queue_settings());
}

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
