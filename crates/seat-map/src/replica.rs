//! One copy of the live seats of a performance on this instance, for everybody who looks at them here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::booking::seat_copy::{SeatCopy, Step};
use encore_domain::booking::seat_state::{SeatChange, SeatState, SeatStock, StockAt};
use encore_domain::error::Unavailable;
use encore_domain::ids::UserId;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use crate::contexts::PerformanceContext;
use crate::error::AppError;
use crate::seat_change_log::{SeatChangeLog, SeatTick};
use crate::seat_frames::SeatFrame;
use crate::seat_reader::SeatReader;
use crate::seat_stream::SeatWatch;

/// How often a copy is compared with what the locks count, and how often it is read anew while nothing is heard of them.
pub(crate) const COMPARE_EVERY: Duration = Duration::from_secs(1);
/// Changes are sent to watchers together, at most this often.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// How many streams of a performance one fan may have open on an instance: a few devices, and reconnections that crossed.
const STREAMS_PER_FAN_MAX: usize = 8;
/// How long a change that the locks count may be on its way to a copy before the copy is read anew for who asks.
const WORD_PATIENCE: Duration = Duration::from_millis(200);
/// How long who asks waits for a copy to be read.
const READ_PATIENCE: Duration = Duration::from_secs(5);
/// A copy that has not been compared for this long is no answer to how many seats are left.
const STOCK_STALE_AFTER: Duration = Duration::from_secs(3);

/// The copy, which its updater keeps.
pub(crate) struct SeatReplica {
    pub(crate) context: PerformanceContext,
    kept: watch::Sender<Kept>,
    /// Asks the updater to read the state now.
    pub(crate) wanted: Notify,
    /// How many checks have begun that the copy is not behind.
    checks: AtomicU64,
    /// The latest check that has ended well. Held while one is made, so that a crowd asking at once causes one check.
    checked: tokio::sync::Mutex<u64>,
    asked_at: Mutex<Instant>,
    change_log: Mutex<SeatChangeLog>,
    ticks: watch::Sender<Option<Arc<SeatTick>>>,
    /// How many streams each fan has open.
    watchers: Mutex<HashMap<UserId, usize>>,
}

/// What is kept of the seats.
#[derive(Debug, Default)]
struct Kept {
    copy: Option<SeatCopy>,
    /// Whether it is a copy of what the locks say; otherwise they are away, and it is of what the claims said.
    live: bool,
    /// How many readings have begun.
    readings: u64,
    /// The latest reading that succeeded; 0 for none.
    read: u64,
    /// The latest reading that failed; 0 for none.
    failed: u64,
    /// When it was last known to be right.
    confirmed_at: Option<Instant>,
}

impl Kept {
    fn version(&self) -> Option<u64> {
        self.copy.as_ref().map(|copy| copy.state().version)
    }
}

/// What a comparison with the locks' counts says of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// It is right.
    Agrees,
    /// The locks are at this version, which the copy has not heard of yet.
    Behind(u64),
    /// It is wrong.
    Differs,
}

impl SeatReplica {
    pub(crate) fn new(context: PerformanceContext) -> Self {
        Self {
            context,
            kept: watch::Sender::default(),
            wanted: Notify::new(),
            checks: AtomicU64::new(0),
            checked: tokio::sync::Mutex::new(0),
            asked_at: Mutex::new(Instant::now()),
            change_log: Mutex::default(),
            ticks: watch::Sender::default(),
            watchers: Mutex::default(),
        }
    }

    /// Notes that somebody asks.
    pub(crate) fn ask(&self) {
        *lock(&self.asked_at) = Instant::now();
    }

    /// Whether somebody watches, or has asked within a time.
    pub(crate) fn is_wanted_within(&self, time: Duration) -> bool {
        !lock(&self.watchers).is_empty() || lock(&self.asked_at).elapsed() < time
    }

    /// Whether the copy was known to be right within a time.
    pub(crate) fn is_right_within(&self, time: Duration) -> bool {
        self.kept.borrow().confirmed_at.is_some_and(|at| at.elapsed() < time)
    }

    /// The counts, if the copy is good enough for them.
    pub(crate) fn stock(&self) -> Option<SeatStock> {
        let stock = || self.kept.borrow().copy.as_ref().map(|copy| copy.stock().stock);
        self.is_right_within(STOCK_STALE_AFTER).then(stock).flatten()
    }

    /// The seats, with every change that was made before this was asked.
    pub(crate) async fn seats(&self, reader: &SeatReader) -> Result<Arc<SeatState>, AppError> {
        let begun_before = self.checks.load(Ordering::SeqCst);
        self.tried().await?;
        let mut checked = self.checked.lock().await;
        if *checked <= begun_before {
            let check = self.checks.fetch_add(1, Ordering::SeqCst) + 1;
            self.check(reader).await?;
            *checked = check;
        }
        Ok(self.state().ok_or_else(|| Unavailable::of("the seat map"))?)
    }

    /// Makes sure that the copy is not behind what the locks count now.
    async fn check(&self, reader: &SeatReader) -> Result<(), Unavailable> {
        let (live, readings, confirmed_at) = {
            let kept = self.kept.borrow();
            (kept.live, kept.readings, kept.confirmed_at)
        };
        // The claims are read for everybody, not for each who looks.
        if !live && confirmed_at.is_some_and(|at| at.elapsed() < COMPARE_EVERY) {
            return Ok(());
        }
        let agrees = match reader.counted(self.context.performance.id).await {
            Ok(Some(count)) if live => self.reaches(count.version).await,
            Ok(_) | Err(_) => false,
        };
        if agrees { Ok(()) } else { self.read_after(readings).await }
    }

    /// Waits for changes that are on their way.
    async fn reaches(&self, version: u64) -> bool {
        let mut kept = self.kept.subscribe();
        let reached = kept.wait_for(|kept| kept.version().is_some_and(|here| here >= version));
        matches!(timeout(WORD_PATIENCE, reached).await, Ok(Ok(_)))
    }

    /// Waits until the updater has tried to read for the first time.
    async fn tried(&self) -> Result<(), Unavailable> {
        let mut kept = self.kept.subscribe();
        let tried = kept.wait_for(|kept| kept.read.max(kept.failed) > 0);
        match timeout(READ_PATIENCE, tried).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Unavailable::of("the seat map")),
        }
    }

    /// Has the state read, and waits for a reading after the one of this number.
    async fn read_after(&self, reading: u64) -> Result<(), Unavailable> {
        self.wanted.notify_one();
        let mut kept = self.kept.subscribe();
        let read = kept.wait_for(|kept| kept.read.max(kept.failed) > reading);
        match timeout(READ_PATIENCE, read).await {
            Ok(Ok(kept)) if kept.read > reading => Ok(()),
            _ => Err(Unavailable::of("the seat map")),
        }
    }

    /// Says that a reading begins, and which.
    pub(crate) fn begin_reading(&self) -> u64 {
        let mut reading = 0;
        self.kept.send_modify(|kept| {
            kept.readings += 1;
            reading = kept.readings;
        });
        reading
    }

    /// Takes over what a reading that began at a moment has read; `live` says whether from the locks.
    pub(crate) fn adopt(&self, state: SeatState, live: bool, (reading, began): (u64, Instant)) {
        self.kept.send_modify(|kept| {
            // What the claims say at a version that this instance made up is of no use to others.
            let before = kept.copy.as_ref().map(|copy| &**copy.state());
            lock(&self.change_log).note_state(before, &state, live && (kept.live || before.is_none()));
            kept.copy = Some(SeatCopy::new(state));
            kept.live = live;
            kept.read = reading;
            kept.confirmed_at = Some(began);
        });
    }

    /// Notes that a reading has failed.
    pub(crate) fn miss(&self, reading: u64) {
        self.kept.send_modify(|kept| kept.failed = reading);
    }

    /// Follows a change. A copy of the claims does not: it knows none of the versions.
    pub(crate) fn follow(&self, change: &SeatChange) -> Step {
        let mut step = Step::Gap;
        self.kept.send_if_modified(|kept| {
            step = kept.copy.as_mut().filter(|_| kept.live).map_or(Step::Gap, |copy| copy.follow(change));
            if step == Step::Taken {
                lock(&self.change_log).note(change);
            }
            step == Step::Taken
        });
        step
    }

    /// Whether watchers have yet to be sent of the latest state.
    pub(crate) fn is_tick_due(&self) -> bool {
        let state = self.state();
        state.is_some_and(|state| lock(&self.change_log).is_due(&state))
    }

    /// Tells watchers what has changed.
    pub(crate) fn tick(&self) {
        if let Some(state) = self.state() {
            let tick = lock(&self.change_log).tick(&self.context.venue.chart, &state);
            self.ticks.send_replace(Some(Arc::new(tick)));
        }
    }

    /// What watchers are sent.
    pub(crate) fn ticks(&self) -> watch::Receiver<Option<Arc<SeatTick>>> {
        self.ticks.subscribe()
    }

    /// Waits until what watchers are sent is this state or a later one, which it is after a tick.
    pub(crate) async fn sent(&self, state: &SeatState) {
        let mut ticks = self.ticks();
        let sent = ticks.wait_for(|tick| tick.as_ref().is_some_and(|tick| tick.state.version >= state.version));
        let _told = timeout(TICK * 2, sent).await;
    }

    /// What to tell a watcher, who was sent the tick of a number or nothing yet.
    pub(crate) fn frame(&self, sent: Option<u64>, watch: &SeatWatch, tick: &SeatTick) -> Option<SeatFrame> {
        let chart = &self.context.venue.chart;
        match sent {
            None => Some(lock(&self.change_log).first(watch.after_version, chart, tick, &watch.part)),
            Some(sent) if sent == tick.number => None,
            Some(sent) if sent + 1 == tick.number => tick.news(chart, &watch.part),
            Some(sent) => lock(&self.change_log).news(sent, chart, tick, &watch.part),
        }
    }

    /// Counts a stream of a fan.
    pub(crate) fn enter(&self, user: UserId) -> Result<(), AppError> {
        let mut watchers = lock(&self.watchers);
        let streams = watchers.entry(user).or_default();
        if *streams >= STREAMS_PER_FAN_MAX {
            return Err(AppError::Overloaded);
        }
        *streams += 1;
        Ok(())
    }

    /// Counts it no more.
    pub(crate) fn leave(&self, user: UserId) {
        let mut watchers = lock(&self.watchers);
        if let Some(streams) = watchers.get_mut(&user) {
            *streams -= 1;
            if *streams == 0 {
                watchers.remove(&user);
            }
        }
    }

    fn state(&self) -> Option<Arc<SeatState>> {
        self.kept.borrow().copy.as_ref().map(|copy| Arc::clone(copy.state()))
    }

    /// Compares the copy with what the locks counted a moment ago, before anything that the copy may still hear of.
    pub(crate) fn compare(&self, count: StockAt, at: Instant) -> Compared {
        let mut compared = Compared::Differs;
        self.kept.send_if_modified(|kept| {
            compared = match kept.copy.as_ref().filter(|_| kept.live).map(SeatCopy::stock) {
                Some(here) if here == count => Compared::Agrees,
                Some(here) if here.version < count.version => Compared::Behind(count.version),
                Some(_) | None => Compared::Differs,
            };
            if compared != Compared::Differs {
                kept.confirmed_at = Some(at);
            }
            false
        });
        compared
    }

    /// The version of the copy.
    pub(crate) fn version(&self) -> Option<u64> {
        self.kept.borrow().version()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
