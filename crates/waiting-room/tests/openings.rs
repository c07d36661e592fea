//! The opening of a queue is noted once by each instance.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other test files use the rest")]
mod support;

use std::sync::{Arc, Mutex};

use encore_domain::catalog::OnSale;
use encore_domain::error::Unavailable;
use encore_domain::event::QueueOpening;
use encore_domain::ports::{MockCatalog, MockClock};
use encore_domain::queue::Queue;
use encore_port_tests::fixtures::{self, at_secs, just_before, pre_queue, start};
use support::Mocks;

/// What the catalog answers, and what it was asked to note.
#[derive(Default)]
struct Asked {
    on_sale: Vec<OnSale>,
    is_away: bool,
    noted: Vec<QueueOpening>,
}

fn catalog(asked: &Arc<Mutex<Asked>>) -> MockCatalog {
    let mut catalog = MockCatalog::new();
    let shared = Arc::clone(asked);
    catalog.expect_on_sale().returning(move |_| Ok(shared.lock().expect("no panic").on_sale.clone()));
    let shared = Arc::clone(asked);
    catalog.expect_note_opening().returning(move |opening| {
        let mut asked = shared.lock().expect("no panic");
        asked.noted.push(opening);
        if asked.is_away { Err(Unavailable::of("postgres")) } else { Ok(asked.noted.len() == 1) }
    });
    catalog
}

#[tokio::test]
async fn an_opening_is_noted_until_the_catalog_has_it_and_then_no_more() {
    let asked = Arc::<Mutex<Asked>>::default();
    let mut mocks = Mocks::default();
    // The queues are lost from their store, and were never begun: that delays no note.
    mocks.queues.expect_snapshot().returning(|_| Err(Unavailable::of("redis")));
    let mut clock = MockClock::new();
    clock.expect_now().returning(|| at_secs(3));
    let room = mocks.room_on(catalog(&asked), Arc::new(clock));
    let work = async |on_sale: &[OnSale], is_away| {
        {
            let mut asked = asked.lock().expect("no panic");
            (asked.on_sale, asked.is_away) = (on_sale.to_vec(), is_away);
        }
        room.refresh_open_queues().await.expect("the catalog answers");
        drop(room.checkpoint().await);
        std::mem::take(&mut asked.lock().expect("no panic").noted)
    };
    let sale = |queue| OnSale { performance: fixtures::id(), opens_at: start(), queue };
    let (plain, free) = (sale(Some(Queue::default())), sale(None));
    let early = OnSale { opens_at: at_secs(60), ..sale(Some(pre_queue(just_before(start())))) };
    let opening = |sale: &OnSale, opened_at| QueueOpening {
        performance: sale.performance,
        opened_at,
        calls_from: sale.opens_at,
        at: at_secs(3),
    };

    let noted = [opening(&plain, start())];
    assert_eq!(work(&[plain.clone(), free], true).await, noted, "there is no queue in front of the other");
    assert_eq!(work(std::slice::from_ref(&plain), false).await, noted, "it failed before");
    assert_eq!(work(std::slice::from_ref(&plain), false).await, []);
    let noted = [opening(&early, just_before(start()))];
    assert_eq!(work(&[plain.clone(), early], false).await, noted, "its pre-queue is open");
    assert_eq!(work(&[], false).await, []);
    assert_eq!(work(std::slice::from_ref(&plain), false).await, [opening(&plain, start())], "it was forgotten");
}
