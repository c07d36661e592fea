//! Running a line: changing how it admits, seeing what becomes of it, and granting its lanes.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::line_ceilings::LineCeilings;
use encore_domain::line_snapshot::LineFlow;
use encore_domain::ports::{Catalog, Clock, LaneGrants, Users};
use encore_domain::queue::{Lane, LaneName, LanePass, LinePatch, LineSettings};
use encore_domain::request::RequestKey;
use encore_domain::seat_state::SeatStock;
use encore_domain::time::Timestamp;
use futures::Stream;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::error::{AppError, Violation};
use crate::halls::Halls;
use crate::line_board::LineBoards;
use crate::line_ceilings::TurnedUp;
use crate::line_view::{LinePhase, LineView};
use crate::open_lines::OpenLines;
use crate::queue::QueueParts;

/// How often a watched line is told of.
pub const REPORT_EVERY: Duration = Duration::from_secs(1);

/// A line as operators see it.
#[derive(Clone, Debug, PartialEq)]
pub struct LineReport {
    /// As of when.
    pub observed_at: Timestamp,
    /// How it admits.
    pub settings: LineSettings,
    /// What it is doing.
    pub phase: LinePhase,
    /// Its lanes, in order.
    pub lanes: Vec<LaneReport>,
    /// Called, and not yet come.
    pub called: u64,
    /// Inside.
    pub active: u64,
    /// What became of all who joined.
    pub flow: LineFlow,
    /// Seats that are free, and that are held.
    pub stock: SeatStock,
    /// See [`LineView::tick`].
    pub tick: Option<Duration>,
}

/// A lane as operators see it.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneReport {
    /// Its name and weight.
    pub lane: Lane,
    /// How many wait in it.
    pub waiting: u64,
    /// Admissions a second over the last minute; none if too little was measured.
    pub per_second: Option<f64>,
}

/// A lane grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedLane {
    /// What the fan shows when joining.
    pub grant: String,
    /// From this moment on it is no good.
    pub until: Timestamp,
}

/// The use cases of `AdminService` that are about lines.
#[derive(Clone)]
pub struct LineAdminUseCases {
    catalog: Arc<dyn Catalog>,
    users: Arc<dyn Users>,
    lane_grants: Arc<dyn LaneGrants>,
    halls: Halls,
    open_lines: OpenLines,
    boards: LineBoards,
    clock: Arc<dyn Clock>,
    ceilings: LineCeilings,
}

impl LineAdminUseCases {
    /// Puts the use cases on their ports, and on the parts of those of the line. There are no ceilings.
    pub fn new(catalog: Arc<dyn Catalog>, users: Arc<dyn Users>, line: &QueueParts) -> Self {
        let QueueParts { lane_grants, halls, open_lines, boards, clock, .. } = line.clone();
        let ceilings = LineCeilings::default();
        Self { catalog, users, lane_grants, halls, open_lines, boards, clock, ceilings }
    }

    /// The same with these ceilings.
    pub fn under(self, ceilings: LineCeilings) -> Self {
        Self { ceilings, ..self }
    }

    /// Changes how a line admits. This instance follows at once, the others within [`OpenLines::REFRESH_EVERY`]. A rate or cap beyond
    /// its ceiling is refused unless the ceilings are overridden.
    pub async fn change(
        &self,
        performance: PerformanceId,
        patch: LinePatch,
        override_ceiling: bool,
        request: Option<RequestKey>,
    ) -> Result<LineSettings, AppError> {
        if !self.halls.performance(performance).await?.has_line {
            return Err(AppError::NoLine);
        }
        let turned_up = TurnedUp { settings: "settings", rate: patch.rate, cap: patch.cap, is_meant: override_ceiling };
        turned_up.check(self.ceilings)?;
        let settings = self.catalog.patch_line(performance, patch, request).await?.into_inner();
        if let Err(weather) = self.open_lines.refresh().await {
            warn!(
                error = &weather as &dyn std::error::Error,
                "this instance follows a change of the line a moment later"
            );
        }
        Ok(settings)
    }

    /// A line now.
    pub async fn report(&self, performance: PerformanceId) -> Result<LineReport, AppError> {
        self.halls.performance(performance).await?;
        let line = self.open_lines.line_ever(performance).await?.ok_or(AppError::NoLine)?;
        let view = self.boards.view_of(performance).await?;
        Ok(report(&line.settings, &view))
    }

    /// A line now and every [`REPORT_EVERY`].
    pub async fn watch(
        &self,
        performance: PerformanceId,
    ) -> Result<impl Stream<Item = Result<LineReport, AppError>> + Send + 'static, AppError> {
        let first = self.report(performance).await?;
        let admin = self.clone();
        let reports = futures::stream::unfold(Instant::now() + REPORT_EVERY, move |due| {
            let admin = admin.clone();
            async move {
                sleep_until(due).await;
                Some((admin.report(performance).await, due + REPORT_EVERY))
            }
        });
        Ok(futures::StreamExt::chain(futures::stream::iter([Ok(first)]), reports))
    }

    /// Lets a fan join a lane that is not open to everybody, within this time.
    pub async fn grant_lane(
        &self,
        performance: PerformanceId,
        user: UserId,
        lane: LaneName,
        valid_for: Duration,
    ) -> Result<GrantedLane, AppError> {
        self.halls.performance(performance).await?;
        let line = self.open_lines.line_ever(performance).await?.ok_or(AppError::NoLine)?;
        if line.settings.lanes.find(&lane).is_none() {
            return Err(AppError::Invalid(vec![Violation::new("lane", "must be a lane of the line")]));
        }
        self.users.find(user).await?.ok_or_else(|| AppError::not_found("user", user))?;
        let until = self.clock.now() + valid_for;
        let grant = self.lane_grants.sign(&LanePass { performance, user, lane, until });
        Ok(GrantedLane { grant, until })
    }
}

fn report(settings: &LineSettings, view: &LineView) -> LineReport {
    let snapshot = view.snapshot.as_ref();
    let lanes = settings.lanes.as_slice().iter().enumerate().map(|(index, lane)| LaneReport {
        lane: lane.clone(),
        waiting: snapshot
            .and_then(|line| line.lanes.get(index))
            .map_or(0, encore_domain::line_snapshot::LaneSnapshot::waiting),
        per_second: view.meters.get(index).and_then(encore_domain::queue::AdmissionMeter::per_second),
    });
    let live = |until: &&Timestamp| **until > view.observed_at;
    let count = |inside: usize| u64::try_from(inside).unwrap_or(u64::MAX);
    LineReport {
        observed_at: view.observed_at,
        settings: settings.clone(),
        phase: view.phase(),
        lanes: lanes.collect(),
        called: snapshot.map_or(0, |line| count(line.called.values().filter(live).count())),
        active: snapshot.map_or(0, |line| count(line.active.values().filter(live).count())),
        flow: snapshot.map(|line| line.flow).unwrap_or_default(),
        stock: view.stock,
        tick: view.tick,
    }
}
