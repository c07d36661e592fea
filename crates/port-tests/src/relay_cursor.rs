//! The cases of [`RelayCursor`](encore_domain::ports::RelayCursor).

use encore_domain::event::OutboxPlace;
use encore_domain::event::relay::{HeldBackKey, RelayPosition};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::RecordBench;
use crate::fixtures::{at_secs, id, just_before};

/// Stamps the cases of the port `RelayCursor`.
#[macro_export]
macro_rules! relay_cursor {
    ($($with:tt)+) => {
        $crate::suite! { relay_cursor [holding, renewing, saving] $($with)+ }
    };
}

impl RecordBench {
    async fn acquire(&self, holder: Uuid, now: Timestamp, until: Timestamp) -> Option<RelayPosition> {
        self.relay_cursor.acquire(holder, now, until).await.expect("the store answers")
    }

    async fn save_position(&self, holder: Uuid, position: &RelayPosition) -> bool {
        self.relay_cursor.save(holder, position).await.expect("the store answers")
    }
}

/// A position with a key that is held back.
fn position(sequence: i64) -> RelayPosition {
    let place = |sequence| OutboxPlace { window: 3, sequence };
    let held = HeldBackKey {
        key: id(),
        published: place(sequence - 5),
        event_id: "wallet.topped_up/7".to_owned(),
        reason: "its data has 2000000 bytes\0".replace('\0', " "),
        failures: 4,
        next_try_at: at_secs(70),
    };
    RelayPosition { cursor: place(sequence), held_back: vec![held] }
}

/// One holder at a time: another acquires the lease after it was released, or when its time is over.
pub async fn holding(bench: RecordBench) {
    let [first, second, third] = [id(), id(), id()];
    assert_eq!(bench.acquire(first, at_secs(0), at_secs(3)).await, Some(RelayPosition::default()));
    assert_eq!(bench.acquire(second, at_secs(0), at_secs(3)).await, None);
    assert_eq!(bench.acquire(second, just_before(at_secs(3)), at_secs(6)).await, None);
    assert_eq!(bench.acquire(second, at_secs(3), at_secs(6)).await, Some(RelayPosition::default()));
    assert_eq!(bench.acquire(first, at_secs(3), at_secs(6)).await, None, "it was taken over");

    bench.relay_cursor.release(first).await.expect("the store answers");
    assert_eq!(bench.acquire(third, at_secs(3), at_secs(6)).await, None, "only its holder releases it");
    bench.relay_cursor.release(second).await.expect("the store answers");
    assert_eq!(bench.acquire(third, at_secs(3), at_secs(6)).await, Some(RelayPosition::default()));
}

/// The holder may acquire it again, which prolongs it.
pub async fn renewing(bench: RecordBench) {
    let [first, second] = [id(), id()];
    bench.acquire(first, at_secs(0), at_secs(3)).await.expect("a free lease");
    assert_eq!(bench.acquire(first, at_secs(2), at_secs(5)).await, Some(RelayPosition::default()));
    assert_eq!(bench.acquire(second, at_secs(4), at_secs(7)).await, None);
    assert!(bench.acquire(first, at_secs(6), at_secs(9)).await.is_some(), "also late, if nobody took it");
    assert_eq!(bench.acquire(second, at_secs(7), at_secs(10)).await, None);
}

/// What the holder saved is found by whoever acquires the lease next; others save nothing.
pub async fn saving(bench: RecordBench) {
    let [first, second] = [id(), id()];
    let [early, late, stale] = [position(10), position(20), position(15)];
    assert!(!bench.save_position(first, &early).await, "nobody has the lease");
    bench.acquire(first, at_secs(0), at_secs(3)).await.expect("a free lease");
    assert!(bench.save_position(first, &early).await);
    assert_eq!(bench.relay_cursor.position().await.expect("the store answers"), early);
    assert_eq!(bench.acquire(first, at_secs(1), at_secs(4)).await, Some(early.clone()));

    assert_eq!(bench.acquire(second, at_secs(4), at_secs(7)).await, Some(early));
    assert!(!bench.save_position(first, &stale).await, "it was taken over");
    assert!(bench.save_position(second, &late).await);
    bench.relay_cursor.release(second).await.expect("the store answers");
    assert!(!bench.save_position(second, &stale).await, "it was released");
    assert_eq!(bench.acquire(first, at_secs(4), at_secs(7)).await, Some(late.clone()));

    let nothing_held = RelayPosition { held_back: vec![], ..late };
    assert!(bench.save_position(first, &nothing_held).await);
    assert_eq!(bench.relay_cursor.position().await.expect("the store answers"), nothing_held);
}
