//! The task that keeps a replica up to date. It applies changes as they arrive, and reads the state where one may be missing.

use std::sync::Arc;

use encore_domain::booking::seat_copy::Step;
use encore_domain::booking::seat_state::SeatNews;
use encore_domain::ports::{SeatChanges, SeatListener};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tracing::{info, warn};

use crate::reader::SeatReader;
use crate::replica::{COMPARE_EVERY, Compared, Replica, TICK};

/// Keeps one replica up to date.
pub(crate) struct Updater {
    replica: Arc<Replica>,
    reader: SeatReader,
    changes: Arc<dyn SeatChanges>,
    listener: Option<Box<dyn SeatListener>>,
    /// The version of the locks at the last comparison, if it was later than that of the replica.
    ahead: Option<u64>,
    /// Whether the locks were unavailable at the last read.
    locks_unavailable: bool,
}

impl Updater {
    pub(crate) fn new(replica: Arc<Replica>, reader: SeatReader, changes: Arc<dyn SeatChanges>) -> Self {
        Self { replica, reader, changes, listener: None, ahead: None, locks_unavailable: false }
    }

    /// Runs until `is_over` returns true, which is asked at every comparison.
    pub(crate) async fn run(mut self, is_over: impl Fn() -> bool) {
        self.start().await;
        let mut comparisons = interval_at(Instant::now() + COMPARE_EVERY, COMPARE_EVERY);
        comparisons.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let replica = Arc::clone(&self.replica);
        let mut ticked_at = Instant::now();
        replica.tick();
        loop {
            tokio::select! {
                () = sleep_until(ticked_at + TICK), if replica.is_tick_due() => {
                    replica.tick();
                    ticked_at = Instant::now();
                }
                news = next_news(&mut self.listener) => self.apply(&news).await,
                () = replica.read_requested.notified() => self.read().await,
                _now = comparisons.tick() => {
                    if is_over() {
                        return;
                    }
                    self.compare().await;
                }
            }
        }
    }

    /// Subscribes first and reads afterwards, so that no change falls in between.
    async fn start(&mut self) {
        self.listener = self.changes.listen(self.replica.context.performance.id).await.ok();
        self.read().await;
    }

    async fn apply(&mut self, news: &SeatNews) {
        let missed = match news {
            SeatNews::Changed(change) => self.replica.apply(change) == Step::Gap,
            SeatNews::Missed => true,
        };
        if missed {
            self.read().await;
        }
    }

    /// Compares the replica with the counts of the locks. This finds changes whose notification was lost, and locks that were
    /// flushed, of which there is no notification.
    async fn compare(&mut self) {
        if self.listener.is_none() {
            return self.start().await;
        }
        let at = Instant::now();
        let Ok(Some(count)) = self.reader.counted(self.replica.context.performance.id).await else {
            return self.read().await;
        };
        let was_ahead = self.ahead.take();
        match self.replica.compare(count, at) {
            Compared::Equal => {}
            // The changes did not arrive within a whole interval.
            Compared::Behind(_) if was_ahead > self.replica.version() => self.read().await,
            Compared::Behind(version) => self.ahead = Some(version),
            Compared::Differs => self.read().await,
        }
    }

    /// Reads the locks, or the claims while the locks are unavailable.
    async fn read(&mut self) {
        let (read, context) = (self.replica.begin_read(), &self.replica.context);
        let performance = context.performance.id;
        let live = self.reader.live(context).await;
        let were_unavailable = std::mem::replace(&mut self.locks_unavailable, live.is_err());
        match live {
            Ok(state) => {
                if were_unavailable {
                    info!(%performance, "seat locks available; seat map shows the locks");
                }
                self.replica.install(state, true, read);
            }
            Err(unavailable) => {
                if !were_unavailable {
                    let error = &unavailable as &dyn std::error::Error;
                    warn!(%performance, error, "seat locks unavailable; seat map shows the claims");
                }
                match self.reader.claimed(context).await {
                    Ok(state) => self.replica.install(state, false, read),
                    Err(_) => self.replica.fail(read),
                }
            }
        }
    }
}

async fn next_news(listener: &mut Option<Box<dyn SeatListener>>) -> SeatNews {
    match listener {
        Some(listener) => listener.next().await,
        None => std::future::pending().await,
    }
}
