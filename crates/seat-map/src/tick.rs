//! The state of seats as watchers were last sent it, with what changed since the tick before.

use std::sync::{Arc, OnceLock};

use encore_domain::booking::seat_state::SeatState;
use encore_domain::catalog::seat_chart::SeatChart;

use crate::frames::{AreaLeft, Changes, Part, SeatFrame, SeatRange, areas_left, range};

/// A change takes about as many bytes as the statuses of this many seats.
const SEATS_PER_CHANGE: usize = 12;
/// Up to this number, changes are always sent as a delta.
const DELTA_ALWAYS_MAX: usize = 64;

/// A state, and what changed since the tick before.
#[derive(Debug)]
pub(crate) struct Tick {
    /// The number of the tick in its change log, from 1.
    pub(crate) number: u64,
    /// The state as of this tick.
    pub(crate) state: Arc<SeatState>,
    /// The changes since the tick before, packed; none if any seat may have changed.
    changes: Option<Changes>,
    /// All seats and areas, packed when the first watcher needs them.
    whole: OnceLock<(SeatRange, Arc<[AreaLeft]>)>,
}

impl Tick {
    pub(crate) fn new(number: u64, state: Arc<SeatState>, changes: Option<Changes>) -> Self {
        Self { number, state, changes, whole: OnceLock::new() }
    }

    /// The frame for a watcher who was sent the tick before; none if nothing it watches has changed.
    pub(crate) fn frame(&self, chart: &SeatChart, part: &Part) -> Option<SeatFrame> {
        self.frame_of(self.changes.as_ref(), chart, part)
    }

    /// The frame of these changes: a snapshot if they are unknown, none if none of them is watched.
    pub(crate) fn frame_of(&self, changes: Option<&Changes>, chart: &SeatChart, part: &Part) -> Option<SeatFrame> {
        let Some(changes) = changes else { return Some(self.snapshot(chart, part)) };
        let changes = part.of_changes(changes);
        (!changes.is_empty()).then(|| self.shorter(chart, part, changes))
    }

    /// The changes as a delta, or a snapshot where that is shorter.
    fn shorter(&self, chart: &SeatChart, part: &Part, changes: Changes) -> SeatFrame {
        let seats = part.seats(chart.seats().len());
        if changes.seats.len() > DELTA_ALWAYS_MAX && changes.seats.len() * SEATS_PER_CHANGE > seats {
            return self.snapshot(chart, part);
        }
        SeatFrame::Delta(changes)
    }

    /// All seats and areas that are watched. Those who watch all of them share one packed copy.
    fn snapshot(&self, chart: &SeatChart, part: &Part) -> SeatFrame {
        let all = 0..u32::try_from(chart.seats().len()).unwrap_or(u32::MAX);
        match part {
            Part::Whole => {
                let areas = 0..chart.areas().len();
                let pack = || (range(chart, &self.state, all), areas_left(chart, &self.state, areas));
                let (range, areas) = self.whole.get_or_init(pack);
                SeatFrame::Snapshot(vec![range.clone()], Arc::clone(areas))
            }
            Part::Sections { seats, areas } => {
                let ranges = seats.iter().map(|indices| range(chart, &self.state, indices.clone()));
                let areas = areas.iter().map(|area| *area as usize);
                SeatFrame::Snapshot(ranges.collect(), areas_left(chart, &self.state, areas))
            }
        }
    }
}
