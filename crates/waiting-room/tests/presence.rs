//! When absent fans lose their tokens, and when nobody may.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use encore_domain::error::Unavailable;
use encore_domain::ports::{Absent, MockClock};
use encore_port_tests::fixtures;
use encore_waiting_room::WaitingRoom;
use support::Mocks;

const GRACE_SECS: i64 = 120;

/// A waiting room with one open queue, a clock, and a queue store that can be unavailable.
struct Environment {
    room: WaitingRoom,
    now_secs: Arc<AtomicI64>,
    unavailable: Arc<AtomicBool>,
    sweeps: Arc<AtomicUsize>,
}

impl Environment {
    async fn new() -> Self {
        let (now_secs, unavailable, sweeps) =
            (Arc::<AtomicI64>::default(), Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut mocks = Mocks::default();
        let (is_unavailable, swept) = (Arc::clone(&unavailable), Arc::clone(&sweeps));
        mocks.queues.expect_abandon_absent().returning(move |_, _| {
            if is_unavailable.load(Ordering::SeqCst) {
                return Err(Unavailable::of("redis").into());
            }
            swept.fetch_add(1, Ordering::SeqCst);
            Ok(Absent::default())
        });
        let mut clock = MockClock::new();
        let reading = Arc::clone(&now_secs);
        clock.expect_now().returning(move || {
            fixtures::at_secs(reading.load(Ordering::SeqCst).try_into().expect("time goes forward"))
        });
        let room = mocks.room(fixtures::id(), Arc::new(clock)).await;
        Self { room, now_secs, unavailable, sweeps }
    }

    /// Keeps presence at a moment. Returns how many sweeps have ended absent fans so far.
    async fn sweeps_at(&self, secs: i64) -> usize {
        self.now_secs.store(secs, Ordering::SeqCst);
        let outcome = self.room.keep_presence().await;
        assert!(outcome.is_ok() || self.unavailable.load(Ordering::SeqCst), "{outcome:?}");
        self.sweeps.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn after_a_start_nobody_is_absent_for_a_whole_grace() {
    let environment = Environment::new().await;
    assert_eq!(environment.sweeps_at(0).await, 0);
    assert_eq!(environment.sweeps_at(GRACE_SECS - 1).await, 0);
    assert_eq!(environment.sweeps_at(GRACE_SECS).await, 1);
    assert_eq!(environment.sweeps_at(GRACE_SECS + 1).await, 2);
}

#[tokio::test]
async fn after_an_outage_nobody_is_absent_for_a_whole_grace() {
    let environment = Environment::new().await;
    environment.sweeps_at(0).await;
    assert_eq!(environment.sweeps_at(GRACE_SECS).await, 1);
    environment.unavailable.store(true, Ordering::SeqCst);
    environment.sweeps_at(GRACE_SECS + 1).await;
    environment.unavailable.store(false, Ordering::SeqCst);
    let back = 3 * GRACE_SECS;
    assert_eq!(environment.sweeps_at(back).await, 1, "nobody could report during the outage");
    assert_eq!(environment.sweeps_at(back + GRACE_SECS - 1).await, 1);
    assert_eq!(environment.sweeps_at(back + GRACE_SECS).await, 2);
}
