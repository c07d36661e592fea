//! A clock that a test advances.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use encore_domain::identity::session::Secret;
use encore_domain::ports::{Clock, Ids};
use encore_domain::queue::DrawKey;
use encore_domain::time::Timestamp;
use encore_port_tests::fixtures;
use uuid::Uuid;

/// The clock that all instances of a world share.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl Default for TestClock {
    fn default() -> Self {
        Self(AtomicI64::new(fixtures::start().timestamp_millis()))
    }
}

impl TestClock {
    /// Advances the clock.
    pub fn advance(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).expect("a duration that fits");
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp_millis(self.0.load(Ordering::SeqCst)).expect("in range")
    }
}

/// Ids in ascending order.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingIds;

impl Ids for CountingIds {
    fn next(&self) -> Uuid {
        fixtures::id()
    }

    fn draw_key(&self) -> DrawKey {
        let mut key = [0; 32];
        key[..16].copy_from_slice(self.next().as_bytes());
        DrawKey(key)
    }

    fn secret(&self) -> Secret {
        Secret(self.draw_key().0)
    }
}
