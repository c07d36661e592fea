//! The copies of performances follow what was changed.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_domain::catalog::Performance;
use encore_domain::error::Unavailable;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::MockCatalog;
use encore_domain::time::Timestamp;
use encore_port_tests::fixtures::{self, at_secs, id, start};
use encore_seat_map::contexts::PerformanceContexts;

/// A catalogue with this performance and what was changed of it, and the moments since when it was asked for changes.
fn catalog(stored: &Performance, changed: &Arc<Mutex<Vec<Performance>>>) -> (MockCatalog, Arc<Mutex<Vec<Timestamp>>>) {
    let (mut catalog, asked) = (MockCatalog::new(), Arc::new(Mutex::new(Vec::new())));
    let (stored, changed, asking) = (stored.clone(), Arc::clone(changed), Arc::clone(&asked));
    catalog.expect_performance().returning(move |_| Ok(Some(stored.clone())));
    catalog.expect_changed_performances().returning(move |since, page: PageRequest<_>| {
        asking.lock().expect("not poisoned").push(since);
        let changed = changed.lock().expect("not poisoned");
        let first = usize::from(page.after.is_some());
        // Pages of one, whatever is asked for.
        let items: Vec<Performance> = changed.iter().skip(first).take(1).cloned().collect();
        let next = items.first().filter(|_| changed.len() > first + 1).map(|item| (start(), item.id));
        Ok(Page { items, next })
    });
    (catalog, asked)
}

fn performance() -> Performance {
    fixtures::performance(id(), id())
}

/// The same performance after so many changes.
fn changed(of: &Performance, revision: u32) -> Performance {
    let mut performance = Performance { seats_per_fan: 90 + revision, ..of.clone() };
    performance.amended.revision = revision;
    performance
}

#[tokio::test]
async fn a_copy_is_replaced_by_what_was_changed() {
    let (one, two) = (performance(), performance());
    let changes = Arc::new(Mutex::new(vec![]));
    let (catalog, asked) = catalog(&one, &changes);
    let contexts = PerformanceContexts::new(Arc::new(catalog));
    assert_eq!(*contexts.performance(one.id).await.expect("it is stored"), one);
    contexts.refresh(at_secs(100)).await.expect("nothing was changed");
    assert_eq!(*contexts.performance(one.id).await.expect("it is known"), one);

    *changes.lock().expect("not poisoned") = vec![changed(&two, 1), changed(&one, 2)];
    contexts.refresh(at_secs(200)).await.expect("two pages");
    for performance in [changed(&one, 2), changed(&two, 1)] {
        assert_eq!(*contexts.performance(performance.id).await.expect("it is known"), performance);
    }
    let minute = Duration::from_mins(1);
    let since = [at_secs(100) - minute, at_secs(100) - minute, at_secs(100) - minute];
    assert_eq!(*asked.lock().expect("not poisoned"), since, "since a minute before the last refresh");
}

#[tokio::test]
async fn an_older_revision_does_not_replace_a_newer_one() {
    let stored = performance();
    let changes = Arc::new(Mutex::new(vec![changed(&stored, 1)]));
    let (catalog, _) = catalog(&stored, &changes);
    let contexts = PerformanceContexts::new(Arc::new(catalog));
    contexts.replace(changed(&stored, 2)).await;
    contexts.refresh(at_secs(1)).await.expect("one page");
    assert_eq!(*contexts.performance(stored.id).await.expect("it is known"), changed(&stored, 2));
    // A read that began before the change, and is kept after it, is put right by the next refresh.
    let late = PerformanceContexts::new(Arc::new(self::catalog(&stored, &changes).0));
    late.refresh(at_secs(1)).await.expect("one page");
    assert_eq!(*late.replace(stored.clone()).await, changed(&stored, 1));
}

#[tokio::test]
async fn a_refresh_that_fails_is_made_up_for_by_the_next() {
    let stored = performance();
    let (mut catalog, asked) = (MockCatalog::new(), Arc::new(Mutex::new(Vec::new())));
    let asking = Arc::clone(&asked);
    catalog.expect_changed_performances().returning(move |since, _| {
        let mut asked = asking.lock().expect("not poisoned");
        asked.push(since);
        if asked.len() == 2 { Err(Unavailable::of("postgres")) } else { Ok(Page { items: vec![], next: None }) }
    });
    let contexts = PerformanceContexts::new(Arc::new(catalog));
    contexts.refresh(at_secs(100)).await.expect("it answers");
    contexts.refresh(at_secs(5_000)).await.expect_err("it is unavailable");
    contexts.replace(stored).await;
    contexts.refresh(at_secs(9_000)).await.expect("it answers again");
    let before = at_secs(40);
    assert_eq!(*asked.lock().expect("not poisoned"), [before; 3], "all since the last that succeeded");
}
