//! Watches the stores: whether they answer, and whether the instance's clock agrees with theirs.

mod verdict;

use std::sync::Arc;
use std::time::Duration;

use encore_domain::clock_reading::ClockReading;
use encore_domain::ports::{Clock, StoreClock};
use encore_domain::time::Timestamp;
use encore_grpc::Availability;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use self::verdict::{Answer, Verdict};

/// How often the stores are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a store may take to answer. Its own client gives up earlier, unless all its connections are busy.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// By how much the clock may differ from that of a store, unless configured.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// The clocks of the stores that an instance uses. None for what it keeps in memory.
#[derive(Clone, Default)]
pub struct StoreClocks {
    /// Of the store of durable records.
    pub records: Option<Arc<dyn StoreClock>>,
    /// Of the store of queues and seat locks.
    pub live: Option<Arc<dyn StoreClock>>,
}

impl StoreClocks {
    fn is_empty(&self) -> bool {
        self.records.is_none() && self.live.is_none()
    }
}

/// What was found at the stores. Clones share it.
#[derive(Clone)]
pub(crate) struct StoreWatch {
    clocks: StoreClocks,
    clock: Arc<dyn Clock>,
    tolerance: Duration,
    verdict: Arc<Mutex<Verdict>>,
    available: watch::Sender<Availability>,
    /// The clock when it agreed last.
    agreed_at: watch::Sender<Option<(Timestamp, Instant)>>,
}

impl StoreWatch {
    /// An instance without stores is ready at once, any other when they have been looked at.
    pub(crate) fn new(clocks: StoreClocks, clock: Arc<dyn Clock>) -> Self {
        let available = Availability { ready: clocks.is_empty(), ..Availability::default() };
        Self {
            clocks,
            clock,
            tolerance: CLOCK_TOLERANCE,
            verdict: Arc::default(),
            available: watch::Sender::new(available),
            agreed_at: watch::Sender::default(),
        }
    }

    /// The same, with another bound on the difference of the clocks.
    pub(crate) fn tolerating(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// What the instance can do.
    pub(crate) fn availability(&self) -> watch::Receiver<Availability> {
        self.available.subscribe()
    }

    /// Whether work that ends what is past its deadline may be done: the clock agrees with the stores. A clock that was stepped
    /// since the last look is noticed here, before it ends anything.
    pub(crate) fn may_sweep(&self) -> bool {
        if self.clocks.is_empty() {
            return true;
        }
        let Some((agreed, at)) = *self.agreed_at.borrow() else { return false };
        let expected = agreed + at.elapsed();
        let now = self.clock.now();
        ClockReading { before: now, other: expected, after: now }.agrees_within(self.tolerance)
    }

    /// Looks at the stores.
    pub(crate) async fn look(&self) {
        if self.clocks.is_empty() {
            return;
        }
        let mut verdict = self.verdict.lock().await;
        let (records, live) =
            tokio::join!(self.ask(self.clocks.records.as_deref()), self.ask(self.clocks.live.as_deref()));
        let found = verdict.note(records, live, self.tolerance);
        if !verdict.clock_agrees() {
            self.agreed_at.send_replace(None);
        } else if verdict.clock_was_compared() {
            self.agreed_at.send_replace(Some((self.clock.now(), Instant::now())));
        }
        self.available.send_if_modified(|before| std::mem::replace(before, found) != found);
    }

    async fn ask(&self, store: Option<&dyn StoreClock>) -> Answer {
        let Some(store) = store else { return Answer::NoStore };
        let before = self.clock.now();
        match timeout(ANSWER_TIMEOUT, store.now()).await {
            Ok(Ok(other)) => Answer::Time(ClockReading { before, other, after: self.clock.now() }),
            Ok(Err(_)) | Err(_) => Answer::Silence,
        }
    }
}
