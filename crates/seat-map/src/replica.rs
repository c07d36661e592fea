//! A replica of the seats of one performance on this instance, which everybody who reads them here shares.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_domain::booking::seat_copy::{SeatCopy, Step};
use encore_domain::booking::seat_state::{SeatChange, SeatState, SeatStock, StockAt, StockByNeed};
use encore_domain::error::Unavailable;
use encore_domain::ids::UserId;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use crate::change_log::ChangeLog;
use crate::contexts::PerformanceContext;
use crate::error::SeatMapError;
use crate::frames::{Part, SeatFrame};
use crate::mutex::lock;
use crate::reader::SeatReader;
use crate::tick::Tick;

/// How often a replica is compared with the counts of the locks, and how often it is read while these are unavailable.
pub(crate) const COMPARE_EVERY: Duration = Duration::from_secs(1);
/// Watchers are sent changes together, at most this often.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// How many streams of a performance one fan may have on an instance: a few devices, and reconnections that overlap.
const STREAMS_PER_FAN_MAX: usize = 8;
/// How long a reader waits for a change that the locks count already. After that the replica is read again.
const CHANGE_TIMEOUT: Duration = Duration::from_millis(200);
/// How long a reader waits until the replica is read.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Counts of a replica that was not confirmed for this long are not used.
const STOCK_STALE_AFTER: Duration = Duration::from_secs(3);

/// A replica, which its updater keeps up to date.
pub(crate) struct Replica {
    pub(crate) context: PerformanceContext,
    contents: watch::Sender<Contents>,
    /// Requests the updater to read the state now.
    pub(crate) read_requested: Notify,
    /// How many checks that the replica is up to date have begun.
    checks: AtomicU64,
    /// The latest check that succeeded. Locked during a check, so that concurrent readers share one.
    checked: tokio::sync::Mutex<u64>,
    used_at: Mutex<Instant>,
    change_log: Mutex<ChangeLog>,
    ticks: watch::Sender<Option<Arc<Tick>>>,
    /// How many streams each fan has open.
    watchers: Mutex<HashMap<UserId, usize>>,
}

/// What a replica has.
#[derive(Debug, Default)]
struct Contents {
    copy: Option<SeatCopy>,
    /// Whether it is a copy of the locks. Otherwise they are unavailable, and it is a copy of the claims.
    live: bool,
    /// How many reads have begun.
    reads: u64,
    /// The latest read that succeeded; 0 for none.
    succeeded: u64,
    /// The latest read that failed; 0 for none.
    failed: u64,
    /// When it was last known to be up to date.
    confirmed_at: Option<Instant>,
}

impl Contents {
    fn version(&self) -> Option<u64> {
        self.copy.as_ref().map(|copy| copy.state().version)
    }
}

/// A read in progress.
#[derive(Clone, Copy)]
pub(crate) struct Read {
    number: u64,
    began: Instant,
}

/// How a replica compares with the counts of the locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// It has the version and the counts of the locks.
    Equal,
    /// The locks are at this later version. Its changes may not have arrived yet.
    Behind(u64),
    /// It is wrong.
    Differs,
}

impl Replica {
    pub(crate) fn new(context: PerformanceContext) -> Self {
        Self {
            context,
            contents: watch::Sender::default(),
            read_requested: Notify::new(),
            checks: AtomicU64::new(0),
            checked: tokio::sync::Mutex::new(0),
            used_at: Mutex::new(Instant::now()),
            change_log: Mutex::default(),
            ticks: watch::Sender::default(),
            watchers: Mutex::default(),
        }
    }

    /// Notes that the replica is used.
    pub(crate) fn touch(&self) {
        *lock(&self.used_at) = Instant::now();
    }

    /// Whether the replica has a watcher, or was used within a time.
    pub(crate) fn is_used_within(&self, time: Duration) -> bool {
        !lock(&self.watchers).is_empty() || lock(&self.used_at).elapsed() < time
    }

    /// Whether the replica was known to be up to date within a time.
    pub(crate) fn is_confirmed_within(&self, time: Duration) -> bool {
        self.contents.borrow().confirmed_at.is_some_and(|at| at.elapsed() < time)
    }

    /// The counts, if the replica is recent enough.
    pub(crate) fn stock(&self) -> Option<SeatStock> {
        let stock = || self.contents.borrow().copy.as_ref().map(|copy| copy.stock().stock);
        self.is_confirmed_within(STOCK_STALE_AFTER).then(stock).flatten()
    }

    /// The counts by who may buy, if the replica is recent enough.
    pub(crate) fn stock_by_need(&self) -> Option<StockByNeed> {
        if !self.is_confirmed_within(STOCK_STALE_AFTER) {
            return None;
        }
        let contents = self.contents.borrow();
        let copy = contents.copy.as_ref()?;
        Some(copy.state().stock_by_need(&self.context.venue.chart, copy.stock().stock))
    }

    /// The state with every change that was made before this call.
    pub(crate) async fn current(&self, reader: &SeatReader) -> Result<Arc<SeatState>, SeatMapError> {
        let begun_before = self.checks.load(Ordering::SeqCst);
        self.first_read().await?;
        let mut checked = self.checked.lock().await;
        if *checked <= begun_before {
            let check = self.checks.fetch_add(1, Ordering::SeqCst) + 1;
            self.check(reader).await?;
            *checked = check;
        }
        Ok(self.state().ok_or_else(|| Unavailable::of("the seat map"))?)
    }

    /// Makes sure that the replica has the version that the locks have now.
    async fn check(&self, reader: &SeatReader) -> Result<(), Unavailable> {
        let (live, reads, confirmed_at) = {
            let contents = self.contents.borrow();
            (contents.live, contents.reads, contents.confirmed_at)
        };
        // The claims are read once per interval, however many readers there are.
        if !live && confirmed_at.is_some_and(|at| at.elapsed() < COMPARE_EVERY) {
            return Ok(());
        }
        let up_to_date = match reader.counted(self.context.performance.id).await {
            Ok(Some(count)) if live => self.reaches(count.version).await,
            Ok(_) | Err(_) => false,
        };
        if up_to_date { Ok(()) } else { self.read_after(reads).await }
    }

    /// Waits for the changes up to a version. Whether they arrived in time is returned.
    async fn reaches(&self, version: u64) -> bool {
        let mut contents = self.contents.subscribe();
        let reached = contents.wait_for(|contents| contents.version().is_some_and(|here| here >= version));
        matches!(timeout(CHANGE_TIMEOUT, reached).await, Ok(Ok(_)))
    }

    /// Waits until the first read has succeeded or failed.
    async fn first_read(&self) -> Result<(), Unavailable> {
        let mut contents = self.contents.subscribe();
        let read = contents.wait_for(|contents| contents.succeeded.max(contents.failed) > 0);
        match timeout(READ_TIMEOUT, read).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Unavailable::of("the seat map")),
        }
    }

    /// Requests a read, and waits for one that began after the read of this number.
    async fn read_after(&self, read: u64) -> Result<(), Unavailable> {
        self.read_requested.notify_one();
        let mut contents = self.contents.subscribe();
        let done = contents.wait_for(|contents| contents.succeeded.max(contents.failed) > read);
        match timeout(READ_TIMEOUT, done).await {
            Ok(Ok(contents)) if contents.succeeded > read => Ok(()),
            _ => Err(Unavailable::of("the seat map")),
        }
    }

    /// Notes that a read begins.
    pub(crate) fn begin_read(&self) -> Read {
        let mut number = 0;
        self.contents.send_modify(|contents| {
            contents.reads += 1;
            number = contents.reads;
        });
        Read { number, began: Instant::now() }
    }

    /// Replaces the copy by the result of a read; `live` says whether of the locks.
    pub(crate) fn install(&self, state: SeatState, live: bool, read: Read) {
        self.contents.send_modify(|contents| {
            // The version of a copy of the claims means nothing on other instances.
            let before = contents.copy.as_ref().map(|copy| &**copy.state());
            lock(&self.change_log).record_read(before, &state, live && (contents.live || before.is_none()));
            contents.copy = Some(SeatCopy::new(state));
            contents.live = live;
            contents.succeeded = read.number;
            contents.confirmed_at = Some(read.began);
        });
    }

    /// Notes that a read failed.
    pub(crate) fn fail(&self, read: Read) {
        self.contents.send_modify(|contents| contents.failed = read.number);
    }

    /// Applies a change. A copy of the claims has other versions and applies none.
    pub(crate) fn apply(&self, change: &SeatChange) -> Step {
        let mut step = Step::Gap;
        self.contents.send_if_modified(|contents| {
            step = contents.copy.as_mut().filter(|_| contents.live).map_or(Step::Gap, |copy| copy.follow(change));
            if step == Step::Taken {
                lock(&self.change_log).record(change);
            }
            step == Step::Taken
        });
        step
    }

    /// Whether watchers were not sent the latest state yet.
    pub(crate) fn is_tick_due(&self) -> bool {
        let state = self.state();
        state.is_some_and(|state| lock(&self.change_log).is_due(&state))
    }

    /// Publishes the latest state to the watchers.
    pub(crate) fn tick(&self) {
        if let Some(state) = self.state() {
            let tick = lock(&self.change_log).tick(&self.context.venue.chart, &state);
            self.ticks.send_replace(Some(Arc::new(tick)));
        }
    }

    /// The latest tick, and those that follow.
    pub(crate) fn ticks(&self) -> watch::Receiver<Option<Arc<Tick>>> {
        self.ticks.subscribe()
    }

    /// Waits until the latest tick has this state or a later one: one tick at most.
    pub(crate) async fn ticked(&self, state: &SeatState) {
        let mut ticks = self.ticks();
        let ticked = ticks.wait_for(|tick| tick.as_ref().is_some_and(|tick| tick.state.version >= state.version));
        let _in_time = timeout(TICK * 2, ticked).await;
    }

    /// The first frame for a watcher who has the state of a version, or none.
    pub(crate) fn first_frame(&self, after_version: Option<u64>, part: &Part, tick: &Tick) -> SeatFrame {
        lock(&self.change_log).first_frame(after_version, &self.context.venue.chart, tick, part)
    }

    /// The frame for a watcher who was sent the tick of a number; none if nothing it watches has changed.
    pub(crate) fn next_frame(&self, sent: u64, part: &Part, tick: &Tick) -> Option<SeatFrame> {
        let chart = &self.context.venue.chart;
        if sent == tick.number {
            None
        } else if sent + 1 == tick.number {
            tick.frame(chart, part)
        } else {
            lock(&self.change_log).frame_since(sent, chart, tick, part)
        }
    }

    /// Counts a stream of a fan, unless the fan has as many as allowed.
    pub(crate) fn open_stream(&self, user: UserId) -> Result<(), SeatMapError> {
        let mut watchers = lock(&self.watchers);
        let streams = watchers.entry(user).or_default();
        if *streams >= STREAMS_PER_FAN_MAX {
            return Err(SeatMapError::Overloaded);
        }
        *streams += 1;
        Ok(())
    }

    /// Ends the count of a stream.
    pub(crate) fn close_stream(&self, user: UserId) {
        let mut watchers = lock(&self.watchers);
        if let Some(streams) = watchers.get_mut(&user) {
            *streams -= 1;
            if *streams == 0 {
                watchers.remove(&user);
            }
        }
    }

    fn state(&self) -> Option<Arc<SeatState>> {
        self.contents.borrow().copy.as_ref().map(|copy| Arc::clone(copy.state()))
    }

    /// Compares the replica with what the locks counted, in a query that began at `at`.
    pub(crate) fn compare(&self, count: StockAt, at: Instant) -> Compared {
        let mut compared = Compared::Differs;
        self.contents.send_if_modified(|contents| {
            compared = match contents.copy.as_ref().filter(|_| contents.live).map(SeatCopy::stock) {
                Some(here) if here == count => Compared::Equal,
                Some(here) if here.version < count.version => Compared::Behind(count.version),
                Some(_) | None => Compared::Differs,
            };
            if compared != Compared::Differs {
                contents.confirmed_at = Some(at);
            }
            false
        });
        compared
    }

    /// The version of the copy.
    pub(crate) fn version(&self) -> Option<u64> {
        self.contents.borrow().version()
    }
}
