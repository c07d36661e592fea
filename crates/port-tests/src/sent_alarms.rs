//! The cases of [`SentAlarms`](encore_domain::ports::SentAlarms).

use std::time::Duration;

use encore_domain::time::Timestamp;
use futures::future::join_all;

use crate::RecordBench;
use crate::fixtures::at_secs;

/// Stamps the cases of the port `SentAlarms`.
#[macro_export]
macro_rules! sent_alarms {
    ($($with:tt)+) => {
        $crate::suite! { sent_alarms [sending_once, forgetting_sent_alarms] $($with)+ }
    };
}

impl RecordBench {
    /// Claims an alarm that was not sent in the last ten seconds.
    async fn claim_alarm(&self, name: &str, subject: &str, now: Timestamp) -> bool {
        let unless_since = now - Duration::from_secs(10);
        self.sent_alarms.claim(name, subject, now, unless_since).await.expect("the store answers")
    }
}

/// Of several claims of an alarm one succeeds, and none until the moment that is given is past; another name or subject is another alarm.
pub async fn sending_once(bench: RecordBench) {
    let claims = join_all((0..5).map(|_| bench.claim_alarm("refund_failed", "payment=1", at_secs(100)))).await;
    assert_eq!(claims.iter().filter(|claimed| **claimed).count(), 1);
    assert!(!bench.claim_alarm("refund_failed", "payment=1", at_secs(110)).await, "it was sent ten seconds ago");
    assert!(bench.claim_alarm("refund_failed", "payment=2", at_secs(110)).await);
    assert!(bench.claim_alarm("dispute_lost", "payment=1", at_secs(110)).await);
    assert!(bench.claim_alarm("refund_failed", "payment=1", at_secs(111)).await);
    assert!(!bench.claim_alarm("refund_failed", "payment=1", at_secs(120)).await, "it was sent again");
}

/// What was sent before a moment goes, and nothing else.
pub async fn forgetting_sent_alarms(bench: RecordBench) {
    for second in [100, 200, 300] {
        assert!(bench.claim_alarm("clock_wrong", &format!("store={second}"), at_secs(second)).await);
    }
    let forget = async |before| bench.sent_alarms.forget(before).await.expect("the store answers");
    assert_eq!(forget(at_secs(300)).await, 2);
    assert_eq!(forget(at_secs(300)).await, 0);
    assert!(!bench.claim_alarm("clock_wrong", "store=300", at_secs(301)).await);
    assert!(bench.claim_alarm("clock_wrong", "store=200", at_secs(200)).await);
}
