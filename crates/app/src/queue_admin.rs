//! Administration of queues: their settings, their reports and lane grants.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::seat_state::SeatStock;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{Catalog, Clock, LaneGrants, Users};
use encore_domain::queue::ceilings::QueueCeilings;
use encore_domain::queue::snapshot::QueueFlow;
use encore_domain::queue::{Lane, LaneName, LanePass, QueuePatch, QueueSettings};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use futures::Stream;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::contexts::PerformanceContexts;
use crate::error::{AppError, Violation};
use crate::open_queues::OpenQueues;
use crate::queue::QueueParts;
use crate::queue_ceilings::RequestedThroughput;
use crate::queue_replica::QueueReplicaRegistry;
use crate::queue_view::{QueuePhase, QueueView};

/// The interval of the reports of a watched queue.
pub const REPORT_EVERY: Duration = Duration::from_secs(1);

/// A queue's report for operators.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueReport {
    /// The time of the report.
    pub observed_at: Timestamp,
    /// How the queue admits fans.
    pub settings: QueueSettings,
    /// The phase of the queue.
    pub phase: QueuePhase,
    /// The lanes, in their order.
    pub lanes: Vec<LaneReport>,
    /// The number of fans who are called and have not yet accepted.
    pub called: u64,
    /// The number of active fans.
    pub active: u64,
    /// Totals since the queue was opened or restored.
    pub flow: QueueFlow,
    /// The numbers of free and of held seats.
    pub stock: SeatStock,
    /// See [`QueueView::tick`].
    pub tick: Option<Duration>,
}

/// A lane's report for operators.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneReport {
    /// Its name and weight.
    pub lane: Lane,
    /// The number of fans who wait in it.
    pub waiting: u64,
    /// Admissions per second over the last minute; none if there are too few measurements.
    pub per_second: Option<f64>,
}

/// A lane grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedLane {
    /// The token that the fan sends when joining.
    pub grant: String,
    /// When the grant expires.
    pub until: Timestamp,
}

/// The use cases of `AdminService` that are about queues.
#[derive(Clone)]
pub struct QueueAdminUseCases {
    catalog: Arc<dyn Catalog>,
    users: Arc<dyn Users>,
    lane_grants: Arc<dyn LaneGrants>,
    contexts: PerformanceContexts,
    open_queues: OpenQueues,
    replicas: QueueReplicaRegistry,
    clock: Arc<dyn Clock>,
    ceilings: QueueCeilings,
}

impl QueueAdminUseCases {
    /// The use cases over their ports and the parts of the queue's use cases, without ceilings.
    pub fn new(catalog: Arc<dyn Catalog>, users: Arc<dyn Users>, queue: &QueueParts) -> Self {
        let QueueParts { lane_grants, contexts, open_queues, replicas, clock, .. } = queue.clone();
        let ceilings = QueueCeilings::default();
        Self { catalog, users, lane_grants, contexts, open_queues, replicas, clock, ceilings }
    }

    /// The same use cases with these ceilings.
    pub fn under(self, ceilings: QueueCeilings) -> Self {
        Self { ceilings, ..self }
    }

    /// Changes the settings of a queue. This instance applies them at once, the others within [`OpenQueues::REFRESH_EVERY`]. A
    /// rate or `max_active` that exceeds its ceiling is refused unless the ceilings are overridden.
    pub async fn change(
        &self,
        performance: PerformanceId,
        patch: QueuePatch,
        override_ceiling: bool,
        request: Option<RequestKey>,
    ) -> Result<QueueSettings, AppError> {
        if !self.contexts.performance(performance).await?.has_queue {
            return Err(AppError::NoQueue);
        }
        let requested = RequestedThroughput {
            settings: "settings",
            rate: patch.rate,
            max_active: patch.max_active,
            override_ceiling,
        };
        requested.check(self.ceilings)?;
        let settings = self.catalog.patch_queue(performance, patch, request).await?.into_inner();
        if let Err(unavailable) = self.open_queues.refresh().await {
            warn!(
                error = &unavailable as &dyn std::error::Error,
                "queues not refreshed; this instance applies the change of a queue at the next refresh"
            );
        }
        Ok(settings)
    }

    /// The current report of a queue.
    pub async fn report(&self, performance: PerformanceId) -> Result<QueueReport, AppError> {
        self.contexts.performance(performance).await?;
        let queue = self.open_queues.queue_ever(performance).await?.ok_or(AppError::NoQueue)?;
        let view = self.replicas.view_of(performance).await?;
        Ok(report(&queue.settings, &view))
    }

    /// A stream of reports: one now and one every [`REPORT_EVERY`].
    pub async fn watch(
        &self,
        performance: PerformanceId,
    ) -> Result<impl Stream<Item = Result<QueueReport, AppError>> + Send + 'static, AppError> {
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

    /// Grants a fan a lane that is not open to everybody. The grant is valid for `valid_for`.
    pub async fn grant_lane(
        &self,
        performance: PerformanceId,
        user: UserId,
        lane: LaneName,
        valid_for: Duration,
    ) -> Result<GrantedLane, AppError> {
        self.contexts.performance(performance).await?;
        let queue = self.open_queues.queue_ever(performance).await?.ok_or(AppError::NoQueue)?;
        if queue.settings.lanes.find(&lane).is_none() {
            return Err(AppError::Invalid(vec![Violation::new("lane", "must be a lane of the queue")]));
        }
        self.users.find(user).await?.ok_or_else(|| AppError::not_found("user", user))?;
        let until = self.clock.now() + valid_for;
        let grant = self.lane_grants.sign(&LanePass { performance, user, lane, until });
        Ok(GrantedLane { grant, until })
    }
}

fn report(settings: &QueueSettings, view: &QueueView) -> QueueReport {
    let snapshot = view.snapshot.as_ref();
    let lanes = settings.lanes.as_slice().iter().enumerate().map(|(index, lane)| LaneReport {
        lane: lane.clone(),
        waiting: snapshot
            .and_then(|queue| queue.lanes.get(index))
            .map_or(0, encore_domain::queue::snapshot::LaneSnapshot::waiting),
        per_second: view.meters.get(index).and_then(encore_domain::queue::AdmissionMeter::per_second),
    });
    let live = |until: &&Timestamp| **until > view.observed_at;
    let count = |inside: usize| u64::try_from(inside).unwrap_or(u64::MAX);
    QueueReport {
        observed_at: view.observed_at,
        settings: settings.clone(),
        phase: view.phase(),
        lanes: lanes.collect(),
        called: snapshot.map_or(0, |queue| count(queue.called.values().filter(live).count())),
        active: snapshot.map_or(0, |queue| count(queue.active.values().filter(live).count())),
        flow: snapshot.map(|queue| queue.flow).unwrap_or_default(),
        stock: view.stock,
        tick: view.tick,
    }
}
