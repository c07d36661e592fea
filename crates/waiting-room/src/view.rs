//! An immutable copy of a queue, shared by all who read it on an instance.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::seat_state::StockByNeed;
use encore_domain::queue::snapshot::{NumberStatus, QueueSnapshot};
use encore_domain::queue::{
    CallRate, QueueMessage, QueueRate, QueueToken, QueueTokenPayload, Wait, burst, limit_by_stock,
};
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
    /// The seats of the performance that are free, and those that are held, by who may buy them.
    pub(crate) stock: StockByNeed,
    /// How fast fans who wait are called.
    pub(crate) call_rate: CallRate,
    /// For whom nobody is called, because all seats left may be bought by those who are inside.
    pub(crate) held_back: HeldBack,
    /// The operators' message to waiting fans.
    pub(crate) message: Option<Arc<QueueMessage>>,
    /// How long the last admission and the read of this view took. None if there was no tick.
    pub(crate) tick: Option<Duration>,
}

/// For whom a queue calls nobody because of the stock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeldBack {
    general: bool,
    accessible: bool,
}

impl HeldBack {
    pub(crate) fn new(queue: &QueueSnapshot, stock: StockByNeed, now: Timestamp) -> Self {
        let is_held_back = |needs_accessible| {
            let inside = queue.inside_by_need(needs_accessible, now);
            limit_by_stock(Some(stock.of(needs_accessible)), inside) == 0
        };
        Self { general: is_held_back(false), accessible: is_held_back(true) }
    }

    fn of(self, needs_accessible: bool) -> bool {
        if needs_accessible { self.accessible } else { self.general }
    }
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
            Some(_) if self.stock.total().is_sold_out() => QueuePhase::SoldOut,
            Some(_) => QueuePhase::Open,
        }
    }

    /// What the queue does, for a fan who needs an accessible seat or who does not: it is sold out if nothing is left that this fan
    /// may buy.
    pub(crate) fn phase_for(&self, needs_accessible: bool) -> QueuePhase {
        let phase = self.phase();
        let is_sold_out = phase == QueuePhase::Open && self.stock.of(needs_accessible).is_sold_out();
        if is_sold_out { QueuePhase::SoldOut } else { phase }
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

    /// When a token was called that has not accepted yet, by the accept window of now.
    pub(crate) fn called_at(&self, token: &QueueToken) -> Option<Timestamp> {
        let accept_by = self.snapshot_of(token)?.called.get(&token.lane_number())?;
        Some(*accept_by - self.open.as_ref()?.queue.settings.accept_window)
    }

    /// How many fans are ahead of one who joined after the view was read: in the lane, and among those of the lane who want the same
    /// kind of seat. And how many wait in all lanes.
    pub(crate) fn ahead_of_newcomer(&self, payload: &QueueTokenPayload) -> (u64, u64, u64) {
        let queue = self.snapshot.as_ref().filter(|queue| queue.epoch == payload.epoch);
        let lane = queue.and_then(|queue| queue.lanes.get(usize::from(payload.lane)));
        let (waiting, by_need, tail) =
            lane.map_or((0, 0, 0), |lane| (lane.waiting(), lane.waiting_by_need(payload.needs_accessible), lane.tail));
        let joined_between = payload.index.saturating_sub(tail + 1);
        let all = queue.map_or(0, QueueSnapshot::waiting);
        // Those who joined between may all want the same kind of seat.
        (waiting + joined_between, by_need + joined_between, all + joined_between)
    }

    /// How long a number at this position of a lane may wait. It is not known while nobody is called whose fan wants the same kind of
    /// seat: the queue is paused, or the seats left are for those who are inside.
    pub(crate) fn wait(&self, lane: u8, needs_accessible: bool, position: u64) -> Wait {
        let (Some(queue), Some(open)) = (&self.snapshot, &self.open) else { return Wait::default() };
        if self.phase_for(needs_accessible) != QueuePhase::Open || self.held_back.of(needs_accessible) {
            return Wait::default();
        }
        self.call_rate.wait(position, queue.lane_share(&open.queue.settings, lane))
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
