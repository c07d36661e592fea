//! The cases of [`Notifications`](encore_domain::ports::Notifications).

use std::collections::HashSet;

use encore_domain::time::Timestamp;

use crate::RecordBench;
use crate::fixtures::at_secs;

/// Stamps the cases of the port `Notifications`.
#[macro_export]
macro_rules! notifications {
    ($($with:tt)+) => {
        $crate::suite! { notifications [noting, forgetting_notes] $($with)+ }
    };
}

impl RecordBench {
    async fn noted(&self, events: &[&str]) -> HashSet<String> {
        let events: Vec<String> = events.iter().map(ToString::to_string).collect();
        self.notifications.noted(&events).await.expect("the store answers")
    }

    async fn note(&self, events: &[&str], at: Timestamp) {
        let events: Vec<String> = events.iter().map(ToString::to_string).collect();
        self.notifications.note(&events, at).await.expect("the store answers");
    }
}

/// Events that were noted together are found by their ids; noting one again changes nothing.
pub async fn noting(bench: RecordBench) {
    assert_eq!(bench.noted(&["a/1", "a/2"]).await, HashSet::new());
    bench.note(&["a/1", "a/3"], at_secs(1)).await;
    bench.note(&["a/4", "a/1", "a/4"], at_secs(9)).await;
    bench.note(&[], at_secs(9)).await;
    assert_eq!(bench.noted(&["a/1", "a/2"]).await, HashSet::from(["a/1".to_owned()]));
    assert_eq!(bench.noted(&["a/3", "a/4"]).await.len(), 2);
    assert_eq!(bench.noted(&[]).await, HashSet::new());
    let forgotten = bench.notifications.forget(at_secs(5), 10).await.expect("the store answers");
    assert_eq!(forgotten, 2, "the first moment counts");
}

/// Old notes go, at most `limit` at once, and no others.
pub async fn forgetting_notes(bench: RecordBench) {
    for (event, secs) in [("a/1", 1), ("a/2", 2), ("a/3", 3), ("a/4", 4)] {
        bench.note(&[event], at_secs(secs)).await;
    }
    let forget = async |before, limit| bench.notifications.forget(before, limit).await.expect("the store answers");
    assert_eq!(forget(at_secs(1), 10).await, 0);
    assert_eq!(forget(at_secs(4), 2).await, 2);
    assert_eq!(forget(at_secs(4), 10).await, 1);
    assert_eq!(bench.noted(&["a/1", "a/2", "a/3", "a/4"]).await, HashSet::from(["a/4".to_owned()]));
}
