//! The cases of [`Outbox`](encore_domain::ports::Outbox).

use encore_domain::event::{Event, OutboxPage, OutboxPlace, OutboxRecord};
use encore_domain::ids::UserId;

use crate::RecordBench;
use crate::bench::{EventIdentity, identity_of};
use crate::fixtures::{euros, hold};

/// Stamps the cases of the port `Outbox`.
#[macro_export]
macro_rules! outbox {
    ($($with:tt)+) => {
        $crate::suite! { outbox [reading, closing] $($with)+ }
    };
}

impl RecordBench {
    async fn page(&self, after: OutboxPlace, limit: u32) -> OutboxPage {
        self.outbox.after(after, limit).await.expect("the store answers")
    }

    async fn write_event(&self, fan: UserId) -> EventIdentity {
        let entry = self.top_up(fan, euros(1)).await;
        identity_of(&Event::WalletToppedUp { user: fan, entry })
    }
}

/// Records come in the order of their places, after the one given, at most `limit`; the page ends with the last of them, or behind
/// what is known to be empty.
pub async fn reading(bench: RecordBench) {
    let start = OutboxPlace::default();
    assert_eq!(bench.page(start, 100).await.records, []);
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let mut expected: Vec<EventIdentity> = Vec::new();
    for seat in 0..2 {
        let hold = hold(fan, &sale, &[seat]);
        bench.place(&hold).await;
        expected.push(identity_of(&Event::HoldPlaced(hold)));
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
    assert_eq!(identities, expected);

    let first = bench.page(start, 3).await;
    assert_eq!((first.records.as_slice(), first.end), (&records[..3], records[2].place));
    assert_eq!(bench.page(first.end, 100).await.records, records[3..]);
    assert_eq!(bench.page(records[0].place, 2).await.records, records[1..3]);
    assert_eq!(bench.page(all.end, 100).await, OutboxPage { records: Vec::new(), end: all.end });

    let next = bench.write_event(fan).await;
    bench.close_window().await;
    let page = bench.page(all.end, 100).await;
    assert_eq!(page.records.iter().map(|record| &record.id).collect::<Vec<_>>(), [&next.0]);
}

/// What was committed before a window was closed can be read.
pub async fn closing(bench: RecordBench) {
    let fan = bench.sign_up().await;
    bench.close_window().await;
    let written = bench.write_event(fan).await;
    bench.close_window().await;
    let page = bench.page(OutboxPlace::default(), 100).await;
    assert_eq!(page.records.iter().map(|record| &record.id).collect::<Vec<_>>(), [&written.0]);
}
