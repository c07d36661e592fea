//! Venues, concerts and performances that are added and listed.

use encore_domain::catalog::listing::{
    ConcertFilter, ConcertOrder, ListedVenue, PerformanceCursor, PerformanceFilter, PerformanceOrder,
};
use encore_domain::catalog::location::Location;
use encore_domain::catalog::sort_key::SortKey;
use encore_domain::catalog::{Concert, OnSaleWindow, Performance, PriceList, Venue};
use encore_domain::ids::PerformanceId;
use encore_domain::page::PageRequest;
use encore_domain::queue::QueuePatch;
use encore_domain::time::Timestamp;
use uuid::Uuid;

use super::sale_of;
use crate::RecordBench;
use crate::answers::{assert_reused, made, repeated};
use crate::fixtures::{
    LARGE_CHART_SEATS, accessible_chart, act, altered, at_secs, concert, drawn_chart, festival_chart, id, just_before,
    large_chart, location, performance, pre_queue, queue, queue_settings, small_chart, start, venue,
};
use crate::paging::{SIZES, read_all};

fn seoul() -> Location {
    location("서울", "KR", "Asia/Seoul")
}

pub async fn keeps_a_venue(bench: RecordBench) {
    for chart in [small_chart(), accessible_chart(), festival_chart(20_000), drawn_chart()] {
        let wanted = Venue { location: chart.areas().is_empty().then(seoul), ..venue(chart) };
        let request = bench.operator_request().await;
        assert_eq!(made(bench.catalog.add_venue(wanted.clone(), Some(act(request))).await), wanted);
        let listed = ListedVenue { id: wanted.id, name: wanted.name.clone(), location: wanted.location.clone() };
        assert_eq!(bench.catalog.listed_venue(wanted.id).await.expect("the store answers"), Some(listed));
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
    assert_eq!(bench.catalog.listed_venue(id()).await.expect("the store answers"), None);
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
        let filter = ConcertFilter::default();
        let listed = read_all(size, |page| bench.catalog.concerts(&filter, ConcertOrder::Creation, page)).await;
        assert_eq!(listed, concerts, "by {size}");
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
        let listed = read_all(size, |page| bench.catalog.performances(&filter, PerformanceOrder::Start, page)).await;
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
        let (at, id) = after;
        let page = PageRequest { after: Some(PerformanceCursor { title: SortKey::default(), at, id }), size: 10 };
        bench
            .catalog
            .performances(&PerformanceFilter::of_concert(sale.concert), PerformanceOrder::Start, page)
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
