//! What keeps a copy of live seats right: it hears of changes, and reads the state where it may have missed one.

use std::sync::Arc;

use encore_domain::booking::seat_copy::Step;
use encore_domain::booking::seat_state::SeatNews;
use encore_domain::ports::{SeatChanges, SeatListener};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tracing::{info, warn};

use crate::seat_reader::SeatReader;
use crate::seat_replica::{COMPARE_EVERY, Compared, SeatReplica, TICK};

/// Keeps one replica.
pub(crate) struct SeatReplicaUpdater {
    replica: Arc<SeatReplica>,
    reader: SeatReader,
    changes: Arc<dyn SeatChanges>,
    listener: Option<Box<dyn SeatListener>>,
    /// What the locks were ahead of the copy at the last comparison.
    ahead: Option<u64>,
    /// Whether the locks are away, as far as was seen.
    away: bool,
}

impl SeatReplicaUpdater {
    pub(crate) fn new(replica: Arc<SeatReplica>, reader: SeatReader, changes: Arc<dyn SeatChanges>) -> Self {
        Self { replica, reader, changes, listener: None, ahead: None, away: false }
    }

    /// Keeps the replica until `over` says that nobody needs it.
    pub(crate) async fn keep(mut self, over: impl Fn() -> bool) {
        self.begin().await;
        let mut look = interval_at(Instant::now() + COMPARE_EVERY, COMPARE_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let replica = Arc::clone(&self.replica);
        let mut told_at = Instant::now();
        replica.tick();
        loop {
            tokio::select! {
                () = sleep_until(told_at + TICK), if replica.is_tick_due() => {
                    replica.tick();
                    told_at = Instant::now();
                }
                news = heard(&mut self.listener) => self.hear(&news).await,
                () = replica.wanted.notified() => self.read().await,
                _now = look.tick() => {
                    if over() {
                        return;
                    }
                    self.look().await;
                }
            }
        }
    }

    /// Listens first and reads then, so that nothing falls in between.
    async fn begin(&mut self) {
        self.listener = self.changes.listen(self.replica.context.performance.id).await.ok();
        self.read().await;
    }

    async fn hear(&mut self, news: &SeatNews) {
        let missed = match news {
            SeatNews::Changed(change) => self.replica.follow(change) == Step::Gap,
            SeatNews::Missed => true,
        };
        if missed {
            self.read().await;
        }
    }

    /// Words may be lost without a trace, and locks may be flushed without a word.
    async fn look(&mut self) {
        if self.listener.is_none() {
            return self.begin().await;
        }
        let at = Instant::now();
        let Ok(Some(count)) = self.reader.counted(self.replica.context.performance.id).await else {
            return self.read().await;
        };
        let was_ahead = self.ahead.take();
        match self.replica.compare(count, at) {
            Compared::Agrees => {}
            // It was on its way a whole look ago, and has not come.
            Compared::Behind(_) if was_ahead > self.replica.version() => self.read().await,
            Compared::Behind(version) => self.ahead = Some(version),
            Compared::Differs => self.read().await,
        }
    }

    /// Reads the locks, or the claims where the locks are away.
    async fn read(&mut self) {
        let (reading, context) = ((self.replica.begin_reading(), Instant::now()), &self.replica.context);
        let performance = context.performance.id;
        let live = self.reader.live(context).await;
        let was_away = std::mem::replace(&mut self.away, live.is_err());
        match live {
            Ok(state) => {
                if was_away {
                    info!(%performance, "seat locks are back; the seat map is theirs again");
                }
                self.replica.adopt(state, true, reading);
            }
            Err(unavailable) => {
                if !was_away {
                    let error = &unavailable as &dyn std::error::Error;
                    warn!(%performance, error, "seat locks are away; the seat map is of the claims");
                }
                match self.reader.claimed(context).await {
                    Ok(state) => self.replica.adopt(state, false, reading),
                    Err(_) => self.replica.miss(reading.0),
                }
            }
        }
    }
}

async fn heard(listener: &mut Option<Box<dyn SeatListener>>) -> SeatNews {
    match listener {
        Some(listener) => listener.next().await,
        None => std::future::pending().await,
    }
}
