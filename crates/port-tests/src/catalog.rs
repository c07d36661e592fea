//! The cases of [`Catalog`](encore_domain::ports::Catalog).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::time::Duration;

use encore_domain::catalog::{Concert, OnSaleWindow, Performance};
use encore_domain::ids::{ConcertId, PerformanceId};
use encore_domain::queue::{LinePatch, LineRate, LineSettings, NoLine};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;

use crate::RecordBench;
use crate::answers::{assert_reused, made, refused, repeated};
use crate::fixtures::{
    LARGE_CHART_SEATS, altered, at_secs, concert, id, just_before, large_chart, line_settings, performance, request,
    small_chart, start, venue,
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
            lists_what_is_on_sale,
        ] $($with)+ }
    };
}

/// Changes nothing, so its answer shows the settings.
const LOOK: LinePatch = LinePatch { rate: None, batch: None, cap: None, paused: None };

impl RecordBench {
    async fn operator_request(&self) -> RequestKey {
        request(self.sign_up().await)
    }

    /// Adds a performance like another, with a line.
    async fn open_line(&self, like: &Performance, settings: LineSettings) -> Performance {
        let performance = Performance { id: id(), has_line: true, ..like.clone() };
        made(self.catalog.add_performance(performance, Some(settings), None).await)
    }

    async fn settings(&self, performance: PerformanceId) -> LineSettings {
        made(self.catalog.patch_line(performance, LOOK, None).await)
    }

    async fn all_concerts(&self) -> Vec<Concert> {
        read_all(100, |page| self.catalog.concerts(page)).await
    }

    async fn all_performances(&self, concert: ConcertId) -> Vec<Performance> {
        read_all(100, |page| self.catalog.performances(concert, page)).await
    }

    /// What is on sale, by id.
    async fn on_sale(&self, now: Timestamp) -> Vec<(PerformanceId, Option<LineSettings>)> {
        let mut on_sale = self.catalog.on_sale(now).await.expect("the store answers");
        on_sale.sort_by_key(|(performance, _)| *performance);
        on_sale
    }
}

pub async fn keeps_a_venue(bench: RecordBench) {
    let hall = venue(small_chart());
    let request = bench.operator_request().await;
    assert_eq!(made(bench.catalog.add_venue(hall.clone(), Some(request)).await), hall);
    assert_eq!(bench.catalog.venue(hall.id).await.expect("the store answers"), Some(hall));
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
    let added = bench.catalog.add_performance(lined.clone(), Some(line_settings()), Some(request)).await;
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
    made(bench.catalog.add_performance(date.clone(), Some(line_settings()), Some(request)).await);
    let repeat = bench.catalog.add_performance(again, Some(line_settings()), Some(request)).await;
    assert_eq!(repeated(repeat), date);
    assert_eq!(bench.all_performances(show.id).await.as_slice(), std::slice::from_ref(&date));
    assert_eq!(bench.on_sale(start()).await, [(date.id, Some(line_settings()))]);
}

pub async fn refuses_a_reused_request(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let lined = bench.open_line(&sale, line_settings()).await;
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

    let patch = LinePatch { cap: Some(1), ..LOOK };
    assert_reused(&bench.catalog.patch_line(lined.id, patch, reused).await);
    assert_eq!(bench.settings(lined.id).await, line_settings());
}

pub async fn patches_a_line(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let lined = bench.open_line(&sale, line_settings()).await;
    let bystander = bench.open_line(&sale, line_settings()).await;

    let narrowed = LineSettings { cap: 42, ..line_settings() };
    let patch = LinePatch { cap: Some(42), ..LOOK };
    assert_eq!(made(bench.catalog.patch_line(lined.id, patch, None).await), narrowed);
    assert_eq!(bench.settings(lined.id).await, narrowed);

    let rate = LineRate { admissions: 3, period: Duration::from_millis(1_500) };
    let patch = LinePatch { rate: Some(rate), batch: Some(7), cap: Some(8), paused: Some(true) };
    let turned = LineSettings { rate, batch: 7, cap: 8, paused: true, ..line_settings() };
    assert_eq!(made(bench.catalog.patch_line(lined.id, patch, None).await), turned);
    let expected = [(sale.id, None), (lined.id, Some(turned)), (bystander.id, Some(line_settings()))];
    assert_eq!(bench.on_sale(start()).await, expected);
}

pub async fn repeats_a_line_patch(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let lined = bench.open_line(&sale, line_settings()).await;
    let (first, second) = (bench.operator_request().await, bench.operator_request().await);
    let pause = LinePatch { paused: Some(true), ..LOOK };
    let resume = LinePatch { paused: Some(false), cap: Some(9), ..LOOK };

    let paused = made(bench.catalog.patch_line(lined.id, pause, Some(first)).await);
    let resumed = made(bench.catalog.patch_line(lined.id, resume, Some(second)).await);
    assert_eq!(repeated(bench.catalog.patch_line(lined.id, pause, Some(first)).await), paused);
    assert_eq!(paused, LineSettings { paused: true, ..line_settings() });
    assert_eq!(bench.settings(lined.id).await, resumed);
    assert_eq!(resumed, LineSettings { cap: 9, ..line_settings() });
}

pub async fn refuses_to_patch_without_a_line(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let patch = LinePatch { cap: Some(1), ..LOOK };
    for performance in [sale.id, id()] {
        let request = bench.operator_request().await;
        assert_eq!(refused(bench.catalog.patch_line(performance, patch, Some(request)).await), NoLine);
    }
    assert_eq!(bench.on_sale(start()).await, [(sale.id, None)]);
    assert_eq!(bench.catalog.performance(sale.id).await.expect("the store answers"), Some(sale));
}

pub async fn lists_what_is_on_sale(bench: RecordBench) {
    let hall = bench.open_sale().await;
    let day_later = hall.on_sale.closes_at;
    let later = |secs| OnSaleWindow { opens_at: day_later, closes_at: day_later + Duration::from_secs(secs) };
    let plain = Performance { id: id(), on_sale: later(100), ..hall.clone() };
    made(bench.catalog.add_performance(plain.clone(), None, None).await);
    let long = Performance { on_sale: later(200), ..hall.clone() };
    let running = bench.open_line(&long, line_settings()).await;
    let paused = LineSettings { paused: true, ..line_settings() };
    let halted = bench.open_line(&plain, paused).await;

    assert_eq!(bench.on_sale(just_before(start())).await, []);
    for now in [start(), just_before(day_later)] {
        assert_eq!(bench.on_sale(now).await, [(hall.id, None)]);
    }
    let expected = [(plain.id, None), (running.id, Some(line_settings())), (halted.id, Some(paused))];
    for now in [day_later, just_before(plain.on_sale.closes_at)] {
        assert_eq!(bench.on_sale(now).await, expected);
    }
    for now in [plain.on_sale.closes_at, just_before(long.on_sale.closes_at)] {
        assert_eq!(bench.on_sale(now).await, [(running.id, Some(line_settings()))]);
    }
    assert_eq!(bench.on_sale(long.on_sale.closes_at).await, []);
}
