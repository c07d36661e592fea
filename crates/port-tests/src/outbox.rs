//! The cases of [`Outbox`](encore_domain::ports::Outbox).

use encore_domain::event::{Event, OutboxRecord};

use crate::RecordBench;
use crate::bench::{EventIdentity, identity_of};
use crate::fixtures::{euros, hold};

/// Stamps the cases of the port `Outbox`.
#[macro_export]
macro_rules! outbox {
    ($($with:tt)+) => {
        $crate::suite! { outbox [reads_in_order_up_to_a_limit] $($with)+ }
    };
}

impl RecordBench {
    async fn records(&self, after: i64, limit: u32) -> Vec<OutboxRecord> {
        self.outbox.after(after, limit).await.expect("the store answers")
    }
}

/// Records come in the order of their sequence, after the one given, at most `limit`.
pub async fn reads_in_order_up_to_a_limit(bench: RecordBench) {
    assert_eq!(bench.records(0, 100).await, []);
    let (sale, fan) = (bench.open_sale().await, bench.sign_up().await);
    let mut expected: Vec<EventIdentity> = Vec::new();
    for seat in 0..2 {
        let hold = hold(fan, &sale, &[seat]);
        bench.place(&hold).await;
        expected.push(identity_of(&Event::HoldPlaced(hold)));
        let entry = bench.top_up(fan, euros(1)).await;
        expected.push(identity_of(&Event::WalletToppedUp { user: fan, entry }));
    }

    let all = bench.records(0, 100).await;
    assert!(all.iter().all(|record| record.sequence > 0), "every sequence is greater than 0: {all:?}");
    assert!(all.is_sorted_by(|a, b| a.sequence < b.sequence), "in order: {all:?}");
    let identities: Vec<EventIdentity> =
        all.iter().map(|record| (record.id.clone(), record.kind.clone(), record.key)).collect();
    assert_eq!(identities, expected);

    assert_eq!(bench.records(0, 3).await, all[..3]);
    assert_eq!(bench.records(all[0].sequence, 2).await, all[1..3]);
    assert_eq!(bench.records(all[2].sequence, 2).await, all[3..]);
    assert_eq!(bench.records(all[3].sequence, 2).await, []);
}
