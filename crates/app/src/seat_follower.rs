//! What keeps a copy of live seats right: it hears of changes, and reads the state where it may have missed one.

use std::sync::Arc;

use encore_domain::ports::{SeatChanges, SeatListener};
use encore_domain::seat_copy::Step;
use encore_domain::seat_state::SeatNews;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tracing::{info, warn};

use crate::seat_board::{COMPARE_EVERY, Compared, SeatBoard, TICK};
use crate::seat_reader::SeatReader;

/// Keeps one board.
pub(crate) struct SeatFollower {
    board: Arc<SeatBoard>,
    reader: SeatReader,
    changes: Arc<dyn SeatChanges>,
    listener: Option<Box<dyn SeatListener>>,
    /// What the locks were ahead of the copy at the last comparison.
    ahead: Option<u64>,
    /// Whether the locks are away, as far as was seen.
    away: bool,
}

impl SeatFollower {
    pub(crate) fn new(board: Arc<SeatBoard>, reader: SeatReader, changes: Arc<dyn SeatChanges>) -> Self {
        Self { board, reader, changes, listener: None, ahead: None, away: false }
    }

    /// Keeps the board until `over` says that nobody needs it.
    pub(crate) async fn keep(mut self, over: impl Fn() -> bool) {
        self.begin().await;
        let mut look = interval_at(Instant::now() + COMPARE_EVERY, COMPARE_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let board = Arc::clone(&self.board);
        let mut told_at = Instant::now();
        board.tick();
        loop {
            tokio::select! {
                () = sleep_until(told_at + TICK), if board.is_tick_due() => {
                    board.tick();
                    told_at = Instant::now();
                }
                news = heard(&mut self.listener) => self.hear(&news).await,
                () = board.wanted.notified() => self.read().await,
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
        self.listener = self.changes.listen(self.board.hall.performance.id).await.ok();
        self.read().await;
    }

    async fn hear(&mut self, news: &SeatNews) {
        let missed = match news {
            SeatNews::Changed(change) => self.board.follow(change) == Step::Gap,
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
        let Ok(Some(count)) = self.reader.counted(self.board.hall.performance.id).await else {
            return self.read().await;
        };
        let was_ahead = self.ahead.take();
        match self.board.compare(count, at) {
            Compared::Agrees => {}
            // It was on its way a whole look ago, and has not come.
            Compared::Behind(_) if was_ahead > self.board.version() => self.read().await,
            Compared::Behind(version) => self.ahead = Some(version),
            Compared::Differs => self.read().await,
        }
    }

    /// Reads the locks, or the claims where the locks are away.
    async fn read(&mut self) {
        let (reading, hall) = ((self.board.begin_reading(), Instant::now()), &self.board.hall);
        let performance = hall.performance.id;
        let live = self.reader.live(hall).await;
        let was_away = std::mem::replace(&mut self.away, live.is_err());
        match live {
            Ok(state) => {
                if was_away {
                    info!(%performance, "seat locks are back; the seat map is theirs again");
                }
                self.board.adopt(state, true, reading);
            }
            Err(weather) => {
                if !was_away {
                    let error = &weather as &dyn std::error::Error;
                    warn!(%performance, error, "seat locks are away; the seat map is of the claims");
                }
                match self.reader.claimed(hall).await {
                    Ok(state) => self.board.adopt(state, false, reading),
                    Err(_) => self.board.miss(reading.0),
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
