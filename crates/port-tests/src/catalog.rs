//! The cases of [`Catalog`](encore_domain::ports::Catalog).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::time::Duration;

use encore_domain::catalog::{Concert, OnSale, OnSaleWindow, Performance};
use encore_domain::ids::{ConcertId, PerformanceId};
use encore_domain::queue::{Line, LinePatch, LineRate, LineSettings, NoLine, PatchRefusal};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;

use crate::RecordBench;
use crate::answers::{assert_reused, made, refused, repeated};
use crate::fixtures::{
    LARGE_CHART_SEATS, accessible_chart, altered, at_secs, collecting_line, concert, festival_chart, id, just_before,
    lanes, large_chart, line, line_settings, message, performance, request, small_chart, start, venue,
};
use crate::paging::{SIZES, read_all};

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
            pages_performances,
            repeats_an_add,
            refuses_a_reused_request,
            patches_a_line,
            repeats_a_line_patch,
            refuses_to_patch_without_a_line,
            refuses_to_move_lanes,
            finds_a_line,
            lists_what_is_on_sale,
            lists_lines_that_collect,
        ] $($with)+ }
    };
}

impl RecordBench {
    async fn operator_request(&self) -> RequestKey {
        request(self.sign_up().await)
    }

    async fn settings(&self, performance: PerformanceId) -> LineSettings {
        self.line(performance).await.expect("there is a line").settings
    }

    async fn line(&self, performance: PerformanceId) -> Option<Line> {
        self.catalog.line(performance).await.expect("the store answers")
    }

    async fn all_concerts(&self) -> Vec<Concert> {
        read_all(100, |page| self.catalog.concerts(page)).await
    }

    async fn all_performances(&self, concert: ConcertId) -> Vec<Performance> {
        read_all(100, |page| self.catalog.performances(concert, page)).await
    }

    /// What is on sale, by id.
    async fn on_sale(&self, now: Timestamp) -> Vec<OnSale> {
        let mut on_sale = self.catalog.on_sale(now).await.expect("the store answers");
        on_sale.sort_by_key(|sale| sale.performance);
        on_sale
    }
}

fn sale_of(performance: &Performance, line: Option<Line>) -> OnSale {
    OnSale { performance: performance.id, opens_at: performance.on_sale.opens_at, line }
}

pub async fn keeps_a_venue(bench: RecordBench) {
    for hall in [venue(small_chart()), venue(accessible_chart()), venue(festival_chart(20_000))] {
        let request = bench.operator_request().await;
        assert_eq!(made(bench.catalog.add_venue(hall.clone(), Some(request)).await), hall);
        assert_eq!(bench.catalog.venue(hall.id).await.expect("the store answers"), Some(hall));
    }
}

pub async fn keeps_a_large_venue(bench: RecordBench) {
    let stadium = venue(large_chart());
    made(bench.catalog.add_venue(stadium.clone(), None).await);
    let kept = bench.catalog.venue(stadium.id).await.expect("the store answers").expect("the venue is there");
    assert_eq!(kept.chart.seats().len(), LARGE_CHART_SEATS);
    assert!(kept == stadium, "the venue read back differs from the one added");
}

pub async fn keeps_a_concert(bench: RecordBench) {
    let show = concert();
    let request = bench.operator_request().await;
    assert_eq!(made(bench.catalog.add_concert(show.clone(), Some(request)).await), show);
    assert_eq!(bench.catalog.concert(show.id).await.expect("the store answers"), Some(show.clone()));
    assert_eq!(bench.catalog.concerts_by_id(&[show.id]).await.expect("the store answers"), [show]);
}

pub async fn keeps_a_performance(bench: RecordBench) {
    let plain = bench.open_sale().await;
    let lined = Performance { id: id(), has_line: true, ..plain.clone() };
    let request = bench.operator_request().await;
    let added = bench.catalog.add_performance(lined.clone(), Some(line(line_settings())), Some(request)).await;
    assert_eq!(made(added), lined);

    for performance in [plain, lined.clone()] {
        let kept = bench.catalog.performance(performance.id).await.expect("the store answers");
        assert_eq!(kept.as_ref(), Some(&performance));
        let kept = bench.catalog.performances_by_id(&[performance.id]).await.expect("the store answers");
        assert_eq!(kept, [performance]);
    }
    assert_eq!(bench.settings(lined.id).await, line_settings());
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
        assert_eq!(read_all(size, |page| bench.catalog.concerts(page)).await, concerts, "by {size}");
    }
}

pub async fn pages_performances(bench: RecordBench) {
    let other = bench.open_sale().await;
    let show = made(bench.catalog.add_concert(concert(), None).await);
    // Later ids start earlier, and of each date there are two.
    let dates: Vec<Performance> = (0..6)
        .map(|n| Performance { starts_at: at_secs(9_000 - n / 2), ..performance(show.id, other.venue) })
        .collect();
    for index in [3, 0, 5, 1, 4, 2] {
        made(bench.catalog.add_performance(dates[index].clone(), None, None).await);
    }

    let expected: Vec<Performance> = [4, 5, 2, 3, 0, 1].map(|index: usize| dates[index].clone()).into();
    for size in SIZES {
        let listed = read_all(size, |page| bench.catalog.performances(show.id, page)).await;
        assert_eq!(listed, expected, "by {size}");
    }
    assert_eq!(bench.all_performances(other.concert).await, [other]);
}

pub async fn repeats_an_add(bench: RecordBench) {
    let request = bench.operator_request().await;
    let (hall, again) = (venue(small_chart()), venue(small_chart()));
    made(bench.catalog.add_venue(hall.clone(), Some(request)).await);
    assert_eq!(repeated(bench.catalog.add_venue(again.clone(), Some(request)).await), hall);
    assert_eq!(bench.catalog.venue(again.id).await.expect("the store answers"), None);

    let request = bench.operator_request().await;
    let show = concert();
    made(bench.catalog.add_concert(show.clone(), Some(request)).await);
    assert_eq!(repeated(bench.catalog.add_concert(concert(), Some(request)).await), show);
    assert_eq!(bench.all_concerts().await.as_slice(), std::slice::from_ref(&show));

    let request = bench.operator_request().await;
    let date = Performance { has_line: true, ..performance(show.id, hall.id) };
    let again = Performance { id: id(), ..date.clone() };
    made(bench.catalog.add_performance(date.clone(), Some(line(line_settings())), Some(request)).await);
    let other = collecting_line(just_before(start()));
    let repeat = bench.catalog.add_performance(again, Some(other), Some(request)).await;
    assert_eq!(repeated(repeat), date);
    assert_eq!(bench.all_performances(show.id).await.as_slice(), std::slice::from_ref(&date));
    assert_eq!(bench.on_sale(start()).await, [sale_of(&date, Some(line(line_settings())))]);
}

pub async fn refuses_a_reused_request(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let lined = bench.open_line(&sale, line(line_settings())).await;
    let request = bench.operator_request().await;
    let show = made(bench.catalog.add_concert(concert(), Some(request)).await);
    let reused = Some(altered(request));

    let hall = venue(small_chart());
    assert_reused(&bench.catalog.add_venue(hall.clone(), reused).await);
    assert_eq!(bench.catalog.venue(hall.id).await.expect("the store answers"), None);

    let other = concert();
    assert_reused(&bench.catalog.add_concert(other.clone(), reused).await);
    assert_eq!(bench.catalog.concert(other.id).await.expect("the store answers"), None);

    assert_reused(&bench.catalog.add_performance(performance(show.id, sale.venue), None, reused).await);
    assert_eq!(bench.all_performances(show.id).await, []);

    let patch = LinePatch { cap: Some(1), ..LinePatch::default() };
    assert_reused(&bench.catalog.patch_line(lined.id, patch, reused).await);
    assert_eq!(bench.settings(lined.id).await, line_settings());
}

pub async fn patches_a_line(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let lined = bench.open_line(&sale, line(line_settings())).await;
    let bystander = bench.open_line(&sale, line(line_settings())).await;

    let narrowed = LineSettings { cap: 42, ..line_settings() };
    let patch = LinePatch { cap: Some(42), ..LinePatch::default() };
    assert_eq!(made(bench.catalog.patch_line(lined.id, patch, None).await), narrowed);
    assert_eq!(bench.settings(lined.id).await, narrowed);

    let turned = LineSettings {
        rate: LineRate { admissions: 3, period: Duration::from_millis(1_500) },
        batch: 7,
        cap: 8,
        paused: true,
        draining: false,
        claim_window: Duration::from_millis(5_001),
        active_for: Duration::from_hours(2),
        grace: Duration::from_secs(90),
        hold_tries: None,
        message: message("Back in ten minutes"),
        lanes: lanes(&[("general", 1_000), ("fan-club", 1), ("press", 7)]),
    };
    let patch = LinePatch {
        rate: Some(turned.rate),
        batch: Some(turned.batch),
        cap: Some(turned.cap),
        paused: Some(turned.paused),
        draining: Some(turned.draining),
        claim_window: Some(turned.claim_window),
        active_for: Some(turned.active_for),
        grace: Some(turned.grace),
        hold_tries: Some(turned.hold_tries),
        message: Some(turned.message.clone()),
        lanes: Some(turned.lanes.clone()),
    };
    assert_eq!(made(bench.catalog.patch_line(lined.id, patch, None).await), turned);
    let silent = LineSettings { message: None, hold_tries: Some(1), ..turned };
    let patch = LinePatch { message: Some(None), hold_tries: Some(Some(1)), ..LinePatch::default() };
    assert_eq!(made(bench.catalog.patch_line(lined.id, patch, None).await), silent);
    let expected = [(&sale, None), (&lined, Some(line(silent))), (&bystander, Some(line(line_settings())))];
    assert_eq!(bench.on_sale(start()).await, expected.map(|(performance, line)| sale_of(performance, line)));
}

pub async fn repeats_a_line_patch(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let lined = bench.open_line(&sale, line(line_settings())).await;
    let (first, second) = (bench.operator_request().await, bench.operator_request().await);
    let pause = LinePatch { paused: Some(true), ..LinePatch::default() };
    let resume = LinePatch { paused: Some(false), cap: Some(9), ..LinePatch::default() };

    let paused = made(bench.catalog.patch_line(lined.id, pause.clone(), Some(first)).await);
    let resumed = made(bench.catalog.patch_line(lined.id, resume, Some(second)).await);
    assert_eq!(repeated(bench.catalog.patch_line(lined.id, pause, Some(first)).await), paused);
    assert_eq!(paused, LineSettings { paused: true, ..line_settings() });
    assert_eq!(bench.settings(lined.id).await, resumed);
    assert_eq!(resumed, LineSettings { cap: 9, ..line_settings() });
}

pub async fn refuses_to_patch_without_a_line(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let patch = LinePatch { cap: Some(1), ..LinePatch::default() };
    let no_line = PatchRefusal::NoLine(NoLine);
    for performance in [sale.id, id()] {
        let request = bench.operator_request().await;
        assert_eq!(refused(bench.catalog.patch_line(performance, patch.clone(), Some(request)).await), no_line);
    }
    assert_eq!(bench.on_sale(start()).await, [sale_of(&sale, None)]);
    assert_eq!(bench.catalog.performance(sale.id).await.expect("the store answers"), Some(sale));
}

pub async fn refuses_to_move_lanes(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let lined = bench.open_line(&sale, line(line_settings())).await;
    let others: [&[(&str, u32)]; 4] = [
        &[("general", 2), ("press", 3), ("fan-club", 1)],
        &[("general", 2), ("fan-club", 3)],
        &[("general", 2), ("fan-club", 3), ("press", 1), ("sponsors", 1)],
        &[("general", 2), ("fans", 3), ("press", 1)],
    ];
    for moved in others {
        let request = bench.operator_request().await;
        let patch = LinePatch { lanes: Some(lanes(moved)), cap: Some(1), ..LinePatch::default() };
        let refusal = refused(bench.catalog.patch_line(lined.id, patch, Some(request)).await);
        assert_eq!(refusal, PatchRefusal::LanesMoved, "{moved:?}");
        assert_eq!(bench.settings(lined.id).await, line_settings());

        // A request that was refused left no trace: its repeat is a first attempt.
        let look = LinePatch::default();
        assert_eq!(made(bench.catalog.patch_line(lined.id, look, Some(request)).await), line_settings());
    }
}

pub async fn finds_a_line(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let kept = [
        line(line_settings()),
        line(LineSettings::default()),
        line(LineSettings { hold_tries: None, message: None, paused: true, draining: false, ..line_settings() }),
        collecting_line(just_before(start())),
    ];
    for line in kept {
        let lined = bench.open_line(&sale, line.clone()).await;
        assert_eq!(bench.line(lined.id).await, Some(line.clone()));

        let patch = LinePatch { cap: Some(3), ..LinePatch::default() };
        let settings = made(bench.catalog.patch_line(lined.id, patch, None).await);
        assert_eq!(bench.line(lined.id).await, Some(Line { settings, ..line }), "its draw stays");
    }
    assert_eq!(bench.line(sale.id).await, None);
    assert_eq!(bench.line(id()).await, None);
}

pub async fn lists_what_is_on_sale(bench: RecordBench) {
    let hall = bench.open_sale().await;
    let day_later = hall.on_sale.closes_at;
    let later = |secs| OnSaleWindow { opens_at: day_later, closes_at: day_later + Duration::from_secs(secs) };
    let plain = Performance { id: id(), on_sale: later(100), ..hall.clone() };
    made(bench.catalog.add_performance(plain.clone(), None, None).await);
    let long = Performance { on_sale: later(200), ..hall.clone() };
    let running = bench.open_line(&long, line(line_settings())).await;
    let paused = line(LineSettings { paused: true, ..line_settings() });
    let halted = bench.open_line(&plain, paused.clone()).await;

    assert_eq!(bench.on_sale(just_before(start())).await, []);
    for now in [start(), just_before(day_later)] {
        assert_eq!(bench.on_sale(now).await, [sale_of(&hall, None)]);
    }
    let running = sale_of(&running, Some(line(line_settings())));
    let expected = [sale_of(&plain, None), running.clone(), sale_of(&halted, Some(paused))];
    for now in [day_later, just_before(plain.on_sale.closes_at)] {
        assert_eq!(bench.on_sale(now).await, expected);
    }
    for now in [plain.on_sale.closes_at, just_before(long.on_sale.closes_at)] {
        assert_eq!(bench.on_sale(now).await.as_slice(), std::slice::from_ref(&running));
    }
    assert_eq!(bench.on_sale(long.on_sale.closes_at).await, []);
}

pub async fn lists_lines_that_collect(bench: RecordBench) {
    let hall = bench.open_sale().await;
    let opens_at = hall.on_sale.closes_at;
    let later = OnSaleWindow { opens_at, closes_at: opens_at + Duration::from_secs(100) };
    let later = Performance { on_sale: later, ..hall.clone() };
    let collects_from = at_secs(3_600);
    let drawing = bench.open_line(&later, collecting_line(collects_from)).await;
    let plain = bench.open_line(&later, line(line_settings())).await;

    let hall = sale_of(&hall, None);
    let drawing = sale_of(&drawing, Some(collecting_line(collects_from)));
    assert_eq!(drawing.opens_at, opens_at, "collecting is not selling");
    assert_eq!(bench.on_sale(just_before(collects_from)).await.as_slice(), std::slice::from_ref(&hall));
    for now in [collects_from, just_before(opens_at)] {
        assert_eq!(bench.on_sale(now).await, [hall.clone(), drawing.clone()]);
    }
    let plain = sale_of(&plain, Some(line(line_settings())));
    assert_eq!(bench.on_sale(opens_at).await, [drawing, plain]);
    assert_eq!(bench.on_sale(later.on_sale.closes_at).await, []);
}
