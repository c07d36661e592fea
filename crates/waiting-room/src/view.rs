//! A queue as everybody on an instance sees it.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::seat_state::SeatStock;
use encore_domain::queue::snapshot::{NumberStatus, QueueSnapshot};
use encore_domain::queue::{AdmissionMeter, LaneNumber, QueueMessage, QueueRate, QueueToken, Wait};
use encore_domain::time::Timestamp;
use tokio::time::Instant;

use crate::open_queues::OpenQueue;

/// What a queue is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePhase {
    /// PreQueue joiners, whose numbers are drawn at the opening.
    PreQueue,
    /// Calling people.
    Open,
    /// An operator has paused it.
    Paused,
    /// Nothing is left, neither free nor held. It goes on, in order, if seats come back.
    SoldOut,
    /// The sale is over.
    Closed,
}

/// A queue as everybody on this instance sees it.
#[derive(Clone, Debug)]
pub struct QueueView {
    /// When it was read.
    pub observed_at: Timestamp,
    /// The same on a clock that only runs forward, to tell the view's age.
    pub read_at: Instant,
    /// The queue; none if nobody has joined.
    pub snapshot: Option<QueueSnapshot>,
    /// How it admits; none if the sale is not open.
    pub open: Option<OpenQueue>,
    /// Seats of the performance that are free, and that are held.
    pub stock: SeatStock,
    /// How fast each lane is called, by index.
    pub meters: Vec<AdmissionMeter>,
    /// What those waiting are told by operators.
    pub message: Option<Arc<QueueMessage>>,
    /// How long the tick that made it took, to admit and to read the queue; none if it was made between ticks.
    pub tick: Option<Duration>,
}

/// What everybody who waits must learn at once when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    phase: Option<QueuePhase>,
    message: Option<Arc<QueueMessage>>,
    /// Who is called soon depends on these.
    pace: Option<(QueueRate, u32, u32)>,
    /// A queue that was restored has other positions.
    restored_at: Option<Timestamp>,
    drawn: bool,
}

impl QueueView {
    /// What the queue is doing.
    pub fn phase(&self) -> QueuePhase {
        match &self.open {
            None => QueuePhase::Closed,
            Some(open) if self.observed_at < open.opens_at => QueuePhase::PreQueue,
            Some(open) if open.queue.settings.paused => QueuePhase::Paused,
            Some(_) if self.stock == SeatStock::default() => QueuePhase::SoldOut,
            Some(_) => QueuePhase::Open,
        }
    }

    /// Whether the queue was restored just now: not everybody has shown themselves, so no position is right yet.
    pub(crate) fn is_quiet(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|queue| self.observed_at < queue.quiet_until)
    }

    /// Whether the queue was read after this token was given out.
    pub(crate) fn knows(&self, token: &QueueToken) -> bool {
        let lane = self.snapshot_of(token).and_then(|queue| queue.lanes.get(usize::from(token.payload.lane)));
        lane.is_some_and(|lane| lane.tail >= token.payload.index)
    }

    /// Where a token stands, and how many wait beside it; none if the view is of another run of the queue.
    pub(crate) fn status(&self, token: &QueueToken) -> Option<(NumberStatus, u64)> {
        self.snapshot_of(token).map(|queue| (queue.status(token.lane_number()), queue.waiting()))
    }

    /// How long a token of this lane may have to wait.
    pub(crate) fn wait(&self, token: LaneNumber, position: u64) -> Wait {
        let calls = matches!(self.phase(), QueuePhase::Open);
        let meter = self.meters.get(usize::from(token.lane)).filter(|_| calls);
        meter.map(|meter| meter.wait(position)).unwrap_or_default()
    }

    /// How long nobody at this position will be called, whatever lane the admissions go to: at once no more come in than the batch and
    /// the maximum allow, and in a second no more than the rate, or everybody inside once over.
    pub(crate) fn safe_for(&self, position: u64) -> Duration {
        let Some(open) = &self.open else { return Duration::ZERO };
        let settings = &open.queue.settings;
        let at_once = settings.batch.min(settings.max_active);
        let ahead = u32::try_from(position.saturating_sub(1)).unwrap_or(u32::MAX).saturating_sub(at_once);
        let by_rate = settings.rate.period.saturating_mul(ahead) / settings.rate.admissions.max(1);
        let by_turnover = Duration::from_secs(1).saturating_mul(ahead) / settings.max_active.max(1);
        by_rate.max(by_turnover)
    }

    pub(crate) fn notice(&self) -> Notice {
        let settings = self.open.as_ref().map(|open| &open.queue.settings);
        Notice {
            phase: Some(self.phase()),
            message: self.message.clone(),
            pace: settings.map(|settings| (settings.rate, settings.batch, settings.max_active)),
            restored_at: self.snapshot.as_ref().map(|queue| queue.restored_at),
            drawn: self.snapshot.as_ref().is_some_and(|queue| queue.lanes.iter().any(|lane| lane.drawn.is_some())),
        }
    }

    fn snapshot_of(&self, token: &QueueToken) -> Option<&QueueSnapshot> {
        self.snapshot.as_ref().filter(|queue| queue.epoch == token.payload.epoch)
    }
}
