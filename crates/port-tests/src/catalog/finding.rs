//! Concerts and performances that are found by words and other conditions.

use encore_domain::catalog::listing::{ConcertFilter, ConcertOrder, PerformanceFilter, PerformanceOrder};
use encore_domain::catalog::search::Search;
use encore_domain::catalog::{Concert, OnSaleWindow, Performance, Title};

use crate::RecordBench;
use crate::answers::made;
use crate::fixtures::{at_secs, concert, performance, small_chart, venue};
use crate::paging::{SIZES, read_all};

/// A concert with another title and artist.
pub(super) fn named(title: &str, artist: &str) -> Concert {
    let title_of = |text| Title::parse(text).expect("a title");
    Concert { title: title_of(title), artist: title_of(artist), ..concert() }
}

pub(super) fn search(text: &str) -> Search {
    Search::parse(text).expect("words")
}

pub async fn finds_concerts_by_words(bench: RecordBench) {
    let names = [
        ("The Wall", "Roger Waters"),
        ("Live at the Wall's End", "Beyoncé"),
        ("O'Brien & Söhne: 'Wallpaper'", "Сплин"),
        ("ﬁnale 2026", "방탄소년단"),
    ];
    let concerts = names.map(|(title, artist)| named(title, artist));
    for show in &concerts {
        made(bench.catalog.add_concert(show.clone(), None).await);
    }
    for (text, found) in [
        ("wall", &[0, 1, 2][..]),
        ("WALL the", &[0, 1]),
        ("the rog", &[0]),
        ("beyonce", &[1]),
        ("sohne o", &[2]),
        ("сплин", &[2]),
        ("FINALE 20", &[3]),
        ("방탄", &[3]),
        ("all", &[]),
        ("wall zappa", &[]),
    ] {
        let expected: Vec<Concert> = found.iter().map(|index: &usize| concerts[*index].clone()).collect();
        for size in SIZES {
            let filter = ConcertFilter::of_search(search(text));
            let listed = read_all(size, |page| bench.catalog.concerts(&filter, ConcertOrder::Creation, page)).await;
            assert_eq!(listed, expected, "{text:?} by {size}");
        }
    }
}

pub async fn finds_performances(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let elsewhere = made(bench.catalog.add_venue(venue(small_chart()), None).await);
    let show = made(bench.catalog.add_concert(named("Renaissance", "Beyoncé"), None).await);
    let on_sale = |opens: u64, closes: u64| OnSaleWindow { opens_at: at_secs(opens), closes_at: at_secs(closes) };
    let date = |starts: u64, on_sale: OnSaleWindow, venue| Performance {
        starts_at: at_secs(starts),
        on_sale,
        ..performance(show.id, venue)
    };
    let dates = [
        date(50_000, on_sale(0, 40_000), sale.venue),
        date(60_000, on_sale(10_000, 50_000), elsewhere.id),
        date(70_000, on_sale(40_000, 60_000), sale.venue),
    ];
    for date in &dates {
        made(bench.catalog.add_performance(date.clone(), None, None).await);
    }
    let wanted = PerformanceFilter { search: Some(search("beyonce ren")), ..PerformanceFilter::default() };
    let of_venue = |venue| PerformanceFilter { venue: Some(venue), ..wanted.clone() };
    let from = |secs| PerformanceFilter { starts_from: Some(at_secs(secs)), ..wanted.clone() };
    let before = |secs| PerformanceFilter { starts_before: Some(at_secs(secs)), ..wanted.clone() };
    let on_sale_at = |secs| PerformanceFilter { on_sale_at: Some(at_secs(secs)), ..wanted.clone() };
    for (filter, found) in [
        (wanted.clone(), &[0, 1, 2][..]),
        (of_venue(sale.venue), &[0, 2]),
        (of_venue(elsewhere.id), &[1]),
        (from(60_000), &[1, 2]),
        (before(60_000), &[0]),
        (PerformanceFilter { starts_before: Some(at_secs(60_001)), ..from(60_000) }, &[1]),
        (on_sale_at(10_000), &[0, 1]),
        (on_sale_at(40_000), &[1, 2]),
        (on_sale_at(60_000), &[]),
        (PerformanceFilter { concert: Some(show.id), ..wanted.clone() }, &[0, 1, 2]),
        (PerformanceFilter { concert: Some(sale.concert), ..wanted.clone() }, &[]),
    ] {
        let expected: Vec<Performance> = found.iter().map(|index: &usize| dates[*index].clone()).collect();
        for size in SIZES {
            let listed =
                read_all(size, |page| bench.catalog.performances(&filter, PerformanceOrder::Start, page)).await;
            assert_eq!(listed, expected, "{filter:?} by {size}");
        }
    }
    let everything = PerformanceFilter::default();
    let all = read_all(100, |page| bench.catalog.performances(&everything, PerformanceOrder::Start, page)).await;
    assert_eq!(all.len(), dates.len() + 1);
    assert!(all.is_sorted_by_key(|performance| (performance.starts_at, performance.id)));
}
