//! A line as everybody on an instance sees it.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::line_snapshot::{LineSnapshot, Standing};
use encore_domain::queue::{AdmissionMeter, LaneNumber, LineMessage, LineRate, Place, Wait};
use encore_domain::seat_state::SeatStock;
use encore_domain::time::Timestamp;
use tokio::time::Instant;

use crate::open_lines::OpenLine;

/// What a line is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinePhase {
    /// Collecting joiners, whose numbers are drawn at the opening.
    Collecting,
    /// Calling people.
    Open,
    /// An operator has paused it.
    Paused,
    /// Nothing is left, neither free nor held. It goes on, in order, if seats come back.
    SoldOut,
    /// The sale is over.
    Closed,
}

/// A line as everybody on this instance sees it.
#[derive(Clone, Debug)]
pub struct LineView {
    /// When it was read.
    pub observed_at: Timestamp,
    /// The same on a clock that only runs forward, to tell the view's age.
    pub read_at: Instant,
    /// The line; none if nobody has joined.
    pub snapshot: Option<LineSnapshot>,
    /// How it admits; none if the sale is not open.
    pub open: Option<OpenLine>,
    /// Seats of the performance that are free, and that are held.
    pub stock: SeatStock,
    /// How fast each lane is called, by index.
    pub meters: Vec<AdmissionMeter>,
    /// What those waiting are told by operators.
    pub message: Option<Arc<LineMessage>>,
    /// How long the tick that made it took, to admit and to read the line; none if it was made between ticks.
    pub tick: Option<Duration>,
}

/// What everybody who waits must learn at once when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    phase: Option<LinePhase>,
    message: Option<Arc<LineMessage>>,
    /// Who is called soon depends on these.
    pace: Option<(LineRate, u32, u32)>,
    /// A line that was put in place again has other positions.
    restored_at: Option<Timestamp>,
    drawn: bool,
}

impl LineView {
    /// What the line is doing.
    pub fn phase(&self) -> LinePhase {
        match &self.open {
            None => LinePhase::Closed,
            Some(open) if self.observed_at < open.opens_at => LinePhase::Collecting,
            Some(open) if open.line.settings.paused => LinePhase::Paused,
            Some(_) if self.stock == SeatStock::default() => LinePhase::SoldOut,
            Some(_) => LinePhase::Open,
        }
    }

    /// Whether the line was put in place again just now: not everybody has shown themselves, so no position is right yet.
    pub(crate) fn is_quiet(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|line| self.observed_at < line.quiet_until)
    }

    /// Whether the line was read after this place was given out.
    pub(crate) fn knows(&self, place: &Place) -> bool {
        let lane = self.snapshot_of(place).and_then(|line| line.lanes.get(usize::from(place.ticket.lane)));
        lane.is_some_and(|lane| lane.tail >= place.ticket.index)
    }

    /// Where a place stands, and how many wait beside it; none if the view is of another run of the line.
    pub(crate) fn standing(&self, place: &Place) -> Option<(Standing, u64)> {
        self.snapshot_of(place).map(|line| (line.standing(place.lane_number()), line.waiting()))
    }

    /// How long a place of this lane may have to wait.
    pub(crate) fn wait(&self, place: LaneNumber, position: u64) -> Wait {
        let calls = matches!(self.phase(), LinePhase::Open);
        let meter = self.meters.get(usize::from(place.lane)).filter(|_| calls);
        meter.map(|meter| meter.wait(position)).unwrap_or_default()
    }

    /// How long nobody at this position will be called, whatever lane the admissions go to: at once no more come in than the batch and
    /// the cap allow, and in a second no more than the rate, or everybody inside once over.
    pub(crate) fn safe_for(&self, position: u64) -> Duration {
        let Some(open) = &self.open else { return Duration::ZERO };
        let settings = &open.line.settings;
        let at_once = settings.batch.min(settings.cap);
        let ahead = u32::try_from(position.saturating_sub(1)).unwrap_or(u32::MAX).saturating_sub(at_once);
        let by_rate = settings.rate.period.saturating_mul(ahead) / settings.rate.admissions.max(1);
        let by_turnover = Duration::from_secs(1).saturating_mul(ahead) / settings.cap.max(1);
        by_rate.max(by_turnover)
    }

    pub(crate) fn notice(&self) -> Notice {
        let settings = self.open.as_ref().map(|open| &open.line.settings);
        Notice {
            phase: Some(self.phase()),
            message: self.message.clone(),
            pace: settings.map(|settings| (settings.rate, settings.batch, settings.cap)),
            restored_at: self.snapshot.as_ref().map(|line| line.restored_at),
            drawn: self.snapshot.as_ref().is_some_and(|line| line.lanes.iter().any(|lane| lane.drawn.is_some())),
        }
    }

    fn snapshot_of(&self, place: &Place) -> Option<&LineSnapshot> {
        self.snapshot.as_ref().filter(|line| line.epoch == place.ticket.epoch)
    }
}
