//! The report of a queue to operators.

use std::time::Duration;

use encore_domain::booking::seat_state::SeatStock;
use encore_domain::queue::snapshot::{LaneSnapshot, QueueFlow};
use encore_domain::queue::{Lane, QueueSettings, Wait};
use encore_domain::time::Timestamp;

use crate::view::{QueuePhase, QueueView};

/// A queue as operators see it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueReport {
    /// The moment of which the report is.
    pub observed_at: Timestamp,
    /// How the queue admits.
    pub settings: QueueSettings,
    /// What it does.
    pub phase: QueuePhase,
    /// Its lanes, in order.
    pub lanes: Vec<LaneReport>,
    /// How many fans are called and have not accepted.
    pub called: u64,
    /// How many tokens are active.
    pub active: u64,
    /// Totals since the queue was first opened.
    pub flow: QueueFlow,
    /// Seats that are free, and seats that are held.
    pub stock: SeatStock,
    /// Those of them that are accessible.
    pub accessible: SeatStock,
    /// How long the last admission of this instance and the read of the report took. None if there was no tick.
    pub tick: Option<Duration>,
}

/// A lane as operators see it.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneReport {
    /// Its name and weight.
    pub lane: Lane,
    /// How many fans wait in it.
    pub waiting: u64,
    /// Admissions per second over the last minute; none if too little was measured.
    pub per_second: Option<f64>,
    /// The estimated wait of a fan who joins the lane now.
    pub wait: Wait,
}

impl QueueReport {
    pub(crate) fn new(settings: &QueueSettings, view: &QueueView) -> Self {
        let snapshot = view.snapshot.as_ref();
        let lanes = (0_u8..).zip(settings.lanes.as_slice()).map(|(index, lane)| {
            let waiting =
                snapshot.and_then(|queue| queue.lanes.get(usize::from(index))).map_or(0, LaneSnapshot::waiting);
            LaneReport {
                lane: lane.clone(),
                waiting,
                per_second: snapshot.and_then(|queue| queue.lane_per_second(index.into(), view.observed_at)),
                wait: view.wait(index, false, waiting + 1),
            }
        });
        let is_live = |until: &&Timestamp| **until > view.observed_at;
        let count = |fans: usize| u64::try_from(fans).unwrap_or(u64::MAX);
        Self {
            observed_at: view.observed_at,
            settings: settings.clone(),
            phase: view.phase(),
            lanes: lanes.collect(),
            called: snapshot.map_or(0, |queue| count(queue.called.values().filter(is_live).count())),
            active: snapshot.map_or(0, |queue| count(queue.active.values().filter(is_live).count())),
            flow: snapshot.map(|queue| queue.flow).unwrap_or_default(),
            stock: view.stock.total(),
            accessible: view.stock.accessible,
            tick: view.tick,
        }
    }
}
