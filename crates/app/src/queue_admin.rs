//! Administration of queues: their settings, their reports and lane grants.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::audit_log::StaffCall;
use encore_domain::ids::{AuditEntryId, PerformanceId, UserId};
use encore_domain::ports::{AuditLog, Catalog, Clock, Ids, LaneGrants, Users};
use encore_domain::queue::ceilings::QueueCeilings;
use encore_domain::queue::{LaneName, LanePass, QueuePatch, QueueSettings};
use encore_domain::time::Timestamp;
use encore_waiting_room::WaitingRoom;
pub use encore_waiting_room::{LaneReport, QueuePhase, QueueReport};
use futures::Stream;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::contexts::PerformanceContexts;
use crate::error::{AppError, Violation};
use crate::queue::QueueParts;
use crate::queue_ceilings::RequestedThroughput;
use crate::repeats::or_first_result_of;

/// How often a watched queue is reported.
pub const REPORT_EVERY: Duration = Duration::from_secs(1);

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
    room: WaitingRoom,
    audit_log: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    ceilings: QueueCeilings,
}

impl QueueAdminUseCases {
    /// The use cases over their ports and the parts of the queue's use cases, without ceilings.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        users: Arc<dyn Users>,
        audit_log: Arc<dyn AuditLog>,
        ids: Arc<dyn Ids>,
        queue: &QueueParts,
    ) -> Self {
        let QueueParts { room, lane_grants, contexts, clock, .. } = queue.clone();
        let ceilings = QueueCeilings::default();
        Self { catalog, users, lane_grants, contexts, room, audit_log, clock, ids, ceilings }
    }

    /// The same use cases with these ceilings.
    pub fn under(self, ceilings: QueueCeilings) -> Self {
        Self { ceilings, ..self }
    }

    /// Changes the settings of a queue. This instance applies them at once, the others within
    /// [`WaitingRoom::REFRESH_EVERY`]. A rate or `max_active` that exceeds its ceiling is refused unless the ceilings
    /// are overridden.
    pub async fn change(
        &self,
        performance: PerformanceId,
        patch: QueuePatch,
        override_ceiling: bool,
        call: StaffCall,
    ) -> Result<QueueSettings, AppError> {
        let changed = self.patch(performance, patch, override_ceiling, call).await;
        or_first_result_of(call.request, changed, |request| self.catalog.find_patched(request)).await
    }

    async fn patch(
        &self,
        performance: PerformanceId,
        patch: QueuePatch,
        override_ceiling: bool,
        call: StaffCall,
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
        let act = call.act(AuditEntryId(self.ids.next()), self.clock.now(), None);
        let settings = self.catalog.patch_queue(performance, patch, Some(act)).await?.into_inner();
        if let Err(unavailable) = self.room.refresh_open_queues().await {
            warn!(
                error = &unavailable as &dyn std::error::Error,
                "cannot refresh the open queues; this instance applies the changed settings at its next refresh"
            );
        }
        Ok(settings)
    }

    /// The current report of a queue.
    pub async fn report(&self, performance: PerformanceId) -> Result<QueueReport, AppError> {
        self.contexts.performance(performance).await?;
        Ok(self.room.report(performance).await?)
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

    /// Grants a fan a lane that is not open to everybody. The grant is valid for `valid_for`. It is signed and not stored, so the audit
    /// log notes it before it is given out.
    pub async fn grant_lane(
        &self,
        call: StaffCall,
        performance: PerformanceId,
        user: UserId,
        lane: LaneName,
        valid_for: Duration,
    ) -> Result<GrantedLane, AppError> {
        self.contexts.performance(performance).await?;
        let queue = self.room.queue(performance).await?;
        if queue.settings.lanes.find(&lane).is_none() {
            return Err(AppError::Invalid(vec![Violation::new("lane", "must be a lane of the queue")]));
        }
        self.users.find(user).await?.ok_or_else(|| AppError::not_found("user", user))?;
        let now = self.clock.now();
        let until = now + valid_for;
        let pass = LanePass { performance, user, lane, until };
        self.audit_log.append(call.act(AuditEntryId(self.ids.next()), now, None).granted_lane(&pass)).await?;
        let grant = self.lane_grants.sign(&pass);
        Ok(GrantedLane { grant, until })
    }
}
