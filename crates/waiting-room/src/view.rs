//! An immutable copy of a queue, shared by all who read it on an instance.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::seat_state::SeatStock;
use encore_domain::queue::snapshot::{NumberStatus, QueueSnapshot};
use encore_domain::queue::{AdmissionMeter, LaneNumber, QueueMessage, QueueRate, QueueToken, Wait, burst};
use encore_domain::time::Timestamp;
use tokio::time::Instant;

use crate::open_queues::OpenQueue;

/// What a queue does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePhase {
    /// Fans join. Their numbers are drawn at the opening.
    PreQueue,
    /// Fans are called.
    Open,
    /// An operator has paused it.
    Paused,
    /// No seat is free or held. If seats come back, it calls the next fans in order.
    SoldOut,
    /// The sale is over.
    Closed,
}

/// A queue at a moment.
#[derive(Debug)]
pub(crate) struct QueueView {
    /// When it was read.
    pub(crate) observed_at: Timestamp,
    /// The same moment on a monotonic clock, from which the view's age is computed.
    pub(crate) read_at: Instant,
    /// The state of the queue; none if nobody has joined.
    pub(crate) snapshot: Option<QueueSnapshot>,
    /// Its settings; none if the sale is not open.
    pub(crate) open: Option<OpenQueue>,
    /// The seats of the performance that are free, and those that are held.
    pub(crate) stock: SeatStock,
    /// The rate at which each lane is called, by index.
    pub(crate) meters: Vec<AdmissionMeter>,
    /// The operators' message to waiting fans.
    pub(crate) message: Option<Arc<QueueMessage>>,
    /// How long the tick took that made this view: admission and read. None if it was made between ticks.
    pub(crate) tick: Option<Duration>,
}

/// The part of a view whose changes every fan is sent at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    phase: Option<QueuePhase>,
    message: Option<Arc<QueueMessage>>,
    /// These decide how soon a fan may be called.
    pace: Option<(QueueRate, u32, u32)>,
    /// Positions change when a queue is restored.
    restored_at: Option<Timestamp>,
    drawn: bool,
}

impl QueueView {
    pub(crate) fn phase(&self) -> QueuePhase {
        match &self.open {
            None => QueuePhase::Closed,
            Some(open) if self.observed_at < open.opens_at => QueuePhase::PreQueue,
            Some(open) if open.queue.settings.paused => QueuePhase::Paused,
            Some(_) if self.stock == SeatStock::default() => QueuePhase::SoldOut,
            Some(_) => QueuePhase::Open,
        }
    }

    /// Whether the queue was restored a moment ago. Not all fans have shown their tokens again, so positions are wrong.
    pub(crate) fn is_quiet(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|queue| self.observed_at < queue.quiet_until)
    }

    /// Whether the view was read after this token was given out.
    pub(crate) fn knows(&self, token: &QueueToken) -> bool {
        let lane = self.snapshot_of(token).and_then(|queue| queue.lanes.get(usize::from(token.payload.lane)));
        lane.is_some_and(|lane| lane.tail >= token.payload.index)
    }

    /// The status of a token's number, and how many fans wait in all lanes. None if the view is of another epoch of the queue, or of
    /// another draw than the number.
    pub(crate) fn status(&self, token: &QueueToken) -> Option<(NumberStatus, u64)> {
        self.snapshot_of(token)
            .filter(|queue| queue.is_of_draw(token))
            .map(|queue| (queue.status(token.lane_number()), queue.waiting()))
    }

    /// How long a number at this position of its lane may wait.
    pub(crate) fn wait(&self, number: LaneNumber, position: u64) -> Wait {
        let calls = matches!(self.phase(), QueuePhase::Open);
        let meter = self.meters.get(usize::from(number.lane)).filter(|_| calls);
        meter.map(|meter| meter.wait(position)).unwrap_or_default()
    }

    /// A lower bound of the time until a number at this position is called, whatever lane is called. At once, no more fans are
    /// called than the bucket and the maximum allow. Per second, no more are called than the rate allows, or than the maximum if every
    /// active fan is replaced.
    pub(crate) fn safe_for(&self, position: u64) -> Duration {
        let Some(open) = &self.open else { return Duration::ZERO };
        let settings = &open.queue.settings;
        let burst = u32::try_from(burst(settings.rate, settings.batch)).unwrap_or(u32::MAX);
        let at_once = burst.min(settings.max_active);
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
