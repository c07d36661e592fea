//! The cases of [`Outbox`](encore_domain::ports::Outbox).

use encore_domain::event::{Backlog, Event, OutboxPage, OutboxPlace, OutboxRecord};
use encore_domain::ids::UserId;
use encore_domain::webhook::{DeliveryState, Disabled, WebhookDelivery, WebhookProgress, WhyDisabled};

use crate::RecordBench;
use crate::bench::{EventIdentity, identity_of};
use crate::fixtures::{at_secs, euros, hold, hold_at, start as start_time};
use crate::webhook_deliveries::progress;

/// Stamps the cases of the port `Outbox`.
#[macro_export]
macro_rules! outbox {
    ($($with:tt)+) => {
        $crate::suite! { outbox [
            reading, reading_a_key, finding, ending, closing, counting, forgetting, telling_what_was_forgotten, waiting_for_transactions,
            keeping_for_endpoints,
        ] $($with)+ }
    };
}

impl RecordBench {
    async fn page(&self, after: OutboxPlace, limit: u32) -> OutboxPage {
        self.outbox.after(after, limit).await.expect("the store answers")
    }

    async fn ids_after(&self, after: OutboxPlace) -> Vec<String> {
        self.page(after, 100).await.records.into_iter().map(|record| record.id).collect()
    }

    async fn write_event(&self, fan: UserId) -> Event {
        let entry = self.top_up(fan, euros(1)).await;
        Event::WalletToppedUp { user: fan, entry }
    }
}

/// Records come in the order of their places, after the one given, at most `limit`, each with its event; the page ends with the last
/// of them, or behind what is known to be empty.
pub async fn reading(bench: RecordBench) {
    let start = OutboxPlace::default();
    assert_eq!(bench.page(start, 100).await.records, []);
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let mut expected: Vec<Event> = Vec::new();
    for seat in 0..2 {
        let hold = hold(fan, &sale, &[seat]);
        bench.place(&hold).await;
        expected.push(Event::HoldPlaced(hold));
        expected.push(bench.write_event(fan).await);
        // The second time round there are two windows.
        bench.close_window().await;
    }

    let all = bench.page(start, 100).await;
    let records = &all.records;
    assert!(records.is_sorted_by(|a, b| a.place < b.place), "in order: {records:?}");
    assert!(records.last().is_some_and(|last| last.place <= all.end), "{all:?}");
    let identities: Vec<EventIdentity> =
        records.iter().map(|record: &OutboxRecord| (record.id.clone(), record.kind.clone(), record.key)).collect();
    assert_eq!(identities, expected.iter().map(identity_of).collect::<Vec<_>>());
    let events: Vec<Event> = records.iter().map(|record| record.event.clone().expect("a readable event")).collect();
    assert_eq!(events, expected);

    let first = bench.page(start, 3).await;
    assert_eq!((first.records.as_slice(), first.end), (&records[..3], records[2].place));
    assert_eq!(bench.page(first.end, 100).await.records, records[3..]);
    assert_eq!(bench.page(records[0].place, 2).await.records, records[1..3]);
    assert_eq!(bench.page(all.end, 100).await, OutboxPage { records: Vec::new(), end: all.end });

    let next = bench.write_event(fan).await;
    bench.close_window().await;
    let page = bench.page(all.end, 100).await;
    assert_eq!(page.records.iter().map(|record| &record.id).collect::<Vec<_>>(), [&next.id()]);
}

/// So do the records of one key, up to a place.
pub async fn reading_a_key(bench: RecordBench) {
    let fans = [bench.sign_up().await, bench.sign_up().await];
    let mut of_first = Vec::new();
    for _ in 0..3 {
        for fan in fans {
            let event = bench.write_event(fan).await;
            of_first.extend((fan == fans[0]).then(|| event.id()));
        }
        bench.close_window().await;
    }
    let start = OutboxPlace::default();
    let records = bench.page(start, 100).await.records;
    let end = bench.page(start, 100).await.end;
    let read = async |after, until, limit| {
        let page = bench.outbox.of_key_after(fans[0].0, after, until, limit).await.expect("the store answers");
        (page.records.into_iter().map(|record| record.id).collect::<Vec<_>>(), page.end)
    };
    assert_eq!(read(start, end, 100).await, (of_first.clone(), end));
    assert_eq!(read(start, end, 2).await.0, of_first[..2]);
    assert_eq!(read(records[0].place, end, 100).await.0, of_first[1..]);
    assert_eq!(read(records[0].place.before(), end, 100).await.0, of_first, "the place before a record");
    let (until_third, reached) = read(start, records[2].place, 100).await;
    assert_eq!((until_third.as_slice(), reached), (&of_first[..2], records[2].place));
    assert_eq!(read(end, end, 100).await, (vec![], end));
}

/// Records are found by their places, as far as they are kept.
pub async fn finding(bench: RecordBench) {
    let fan = bench.sign_up().await;
    for _ in 0..2 {
        bench.write_event(fan).await;
        bench.write_event(fan).await;
        bench.close_window().await;
    }
    let page = bench.page(OutboxPlace::default(), 100).await;
    let [first, second, third, fourth] = page.records.as_slice() else { panic!("{page:?}") };
    let find = async |places: &[OutboxPlace]| {
        let mut found = bench.outbox.find(places).await.expect("the store answers");
        found.sort_unstable_by_key(|record| record.place);
        found
    };
    assert_eq!(find(&[]).await, []);
    let wanted = [fourth.place, OutboxPlace::default(), second.place, OutboxPlace::END];
    assert_eq!(find(&wanted).await, [second.clone(), fourth.clone()], "each by its own window");
    let next_window = OutboxPlace { window: fourth.place.window + 1, ..fourth.place };
    assert_eq!(find(&[next_window]).await, [], "it is in no later window");
    bench.outbox.forget(third.place, at_secs(60), 100).await.expect("the store answers");
    let kept = bench.ids_after(OutboxPlace::default()).await;
    let found = find(&[first.place, second.place, third.place, fourth.place]).await;
    assert_eq!(found.into_iter().map(|record| record.id).collect::<Vec<_>>(), kept);
}

/// The end is behind everything that can be read, and before everything that comes later.
pub async fn ending(bench: RecordBench) {
    let end = async || bench.outbox.end().await.expect("the store answers");
    assert_eq!(end().await, OutboxPlace::default());
    let fan = bench.sign_up().await;
    bench.write_event(fan).await;
    bench.close_window().await;
    let first = end().await;
    assert_eq!(bench.ids_after(first).await, Vec::<String>::new());
    let next = bench.write_event(fan).await;
    bench.close_window().await;
    assert_eq!(bench.ids_after(first).await, [next.id()]);
    let all = bench.outbox.of_key_after(fan.0, OutboxPlace::default(), OutboxPlace::END, 100).await;
    let all = all.expect("the store answers");
    assert_eq!((all.records.len(), all.end), (2, end().await), "reading without a bound ends there");
}

/// What was committed before a window was closed can be read.
pub async fn closing(bench: RecordBench) {
    let fan = bench.sign_up().await;
    bench.close_window().await;
    let written = bench.write_event(fan).await;
    bench.close_window().await;
    let page = bench.page(OutboxPlace::default(), 100).await;
    assert_eq!(page.records.iter().map(|record| &record.id).collect::<Vec<_>>(), [&written.id()]);
}

/// The backlog counts what was committed after a place, whether or not its window is closed.
pub async fn counting(bench: RecordBench) {
    let backlog = async |place| bench.outbox.backlog(place).await.expect("the store answers");
    let start = OutboxPlace::default();
    assert_eq!(backlog(start).await, Backlog::default());
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    bench.place(&hold_at(fan, &sale, &[0], at_secs(5))).await;
    bench.place(&hold_at(fan, &sale, &[1], at_secs(7))).await;
    assert_eq!(backlog(start).await, Backlog { events: 2, oldest: Some(at_secs(5)) }, "before the window is closed");
    bench.close_window().await;
    assert_eq!(backlog(start).await, Backlog { events: 2, oldest: Some(at_secs(5)) });
    let page = bench.page(start, 100).await;
    let first = page.records[0].place;
    assert_eq!(backlog(first).await, Backlog { events: 1, oldest: Some(at_secs(7)) }, "within a window");
    assert_eq!(backlog(page.end).await, Backlog::default());
    bench.place(&hold_at(fan, &sale, &[2], at_secs(9))).await;
    assert_eq!(backlog(page.end).await, Backlog { events: 1, oldest: Some(at_secs(9)) });
    assert_eq!(backlog(first).await.events, 2);
}

/// What is delivered and older than a moment goes, at most `limit` at once, and nothing else; reading goes on behind it.
pub async fn forgetting(bench: RecordBench) {
    let forget = async |delivered, before, limit| {
        bench.outbox.forget(delivered, before, limit).await.expect("the store answers")
    };
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let start = OutboxPlace::default();
    let mut ids = Vec::new();
    let mut ends = Vec::new();
    for seat in 0..5 {
        let hold = hold_at(fan, &sale, &[seat], at_secs(seat as u64));
        bench.place(&hold).await;
        bench.close_window().await;
        ids.push(Event::HoldPlaced(hold).id());
        ends.push(bench.page(start, 100).await.end);
    }
    assert_eq!(forget(start, at_secs(60), 100).await, 0, "nothing is delivered");
    assert_eq!(forget(ends[3], start_time(), 100).await, 0, "nothing is that old");
    assert_eq!(bench.ids_after(start).await, ids);

    assert_eq!(forget(ends[3], at_secs(3), 2).await, 2, "at most the limit");
    assert_eq!(bench.ids_after(start).await, ids[2..]);
    assert_eq!(forget(ends[3], at_secs(3), 100).await, 1, "what is younger stays");
    assert_eq!(bench.ids_after(start).await, ids[3..]);
    assert_eq!(forget(ends[3], at_secs(60), 100).await, 1, "what is not delivered stays");
    assert_eq!(bench.ids_after(start).await, ids[4..]);
    assert_eq!(bench.ids_after(ends[0]).await, ids[4..], "reading goes on from a place that is gone");
    assert_eq!(bench.ids_after(ends[3]).await, ids[4..]);
    assert_eq!(forget(ends[4], at_secs(60), 100).await, 1);
    assert_eq!(bench.ids_after(ends[4]).await, Vec::<String>::new());

    let next = bench.write_event(fan).await;
    bench.close_window().await;
    assert_eq!(bench.ids_after(ends[4]).await, [next.id()]);
    assert_eq!(bench.ids_after(start).await, [next.id()]);
}

/// The latest moment before which something may have gone.
pub async fn telling_what_was_forgotten(bench: RecordBench) {
    let forgotten = async || bench.outbox.forgotten_before().await.expect("the store answers");
    let fan = bench.sign_up().await;
    bench.write_event(fan).await;
    bench.close_window().await;
    let end = bench.page(OutboxPlace::default(), 100).await.end;
    bench.outbox.forget(end, start_time(), 100).await.expect("the store answers");
    assert_eq!(forgotten().await, None, "nothing went");
    bench.outbox.forget(end, at_secs(1), 100).await.expect("the store answers");
    assert_eq!(forgotten().await, Some(at_secs(1)));
    bench.write_event(fan).await;
    bench.close_window().await;
    let end = bench.page(OutboxPlace::default(), 100).await.end;
    bench.outbox.forget(end, at_secs(9), 100).await.expect("the store answers");
    assert_eq!(forgotten().await, Some(at_secs(9)));
}

/// What has ended is no transaction that windows wait for.
pub async fn waiting_for_transactions(bench: RecordBench) {
    let fan = bench.sign_up().await;
    bench.write_event(fan).await;
    assert_eq!(bench.outbox.oldest_transaction().await.expect("the store answers"), None);
}

/// What an endpoint of webhooks has yet to be sent stays, unless it is disabled or removed.
pub async fn keeping_for_endpoints(bench: RecordBench) {
    let fan = bench.sign_up().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(bench.write_event(fan).await.id());
        bench.close_window().await;
    }
    let page = bench.page(OutboxPlace::default(), 100).await;
    let [first, second, _, fourth] = page.records.as_slice() else { panic!("{page:?}") };
    let behind = bench.add_endpoint(second.place).await;
    let (ahead, holder) = (bench.add_endpoint(fourth.place).await, crate::fixtures::id());
    bench.hold_all(holder, at_secs(0)).await;
    let waiting = RecordBench::waiting_delivery(ahead, first.into(), at_secs(0));
    assert!(bench.record(holder, ahead, &WebhookProgress { deliveries: vec![waiting.clone()], ..progress() }).await);

    let forget = async || bench.outbox.forget(page.end, at_secs(60), 100).await.expect("the store answers");
    assert_eq!(forget().await, 0, "the first event waits for another try");
    let delivered = WebhookDelivery { state: DeliveryState::Delivered, ..waiting };
    bench.record(holder, ahead, &WebhookProgress { deliveries: vec![delivered], ..progress() }).await;
    forget().await;
    let kept = bench.ids_after(OutboxPlace::default()).await;
    assert!(kept.ends_with(&ids[2..]), "what the other endpoint was not sent: {kept:?}");
    let disabled = Some(Disabled { at: at_secs(1), why: WhyDisabled::Failing });
    bench.record(holder, behind, &WebhookProgress { disabled, ..progress() }).await;
    bench.webhook_endpoints.remove(ahead, at_secs(1), None).await.expect("the store answers");
    forget().await;
    assert_eq!(bench.ids_after(OutboxPlace::default()).await, Vec::<String>::new());
}
