//! Performances that are planned and not public yet.

use std::sync::Arc;

use encore_domain::audit_log::{StaffAct, StaffCall};
use encore_domain::catalog::draft::{Draft, DraftQueue, DraftRefusal, DraftState};
use encore_domain::error::PortError;
use encore_domain::ids::{AuditEntryId, PerformanceId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{Clock, Drafts, Ids};
use encore_domain::queue::QueueDraw;
use encore_domain::queue::ceilings::QueueCeilings;

use crate::admin::{AdminUseCases, NewPerformance};
use crate::catalog::PerformanceSummary;
use crate::contexts::{PerformanceContext, PerformanceContexts};
use crate::error::{AppError, Violation};
use crate::repeats::or_first_result_of;

/// A draft with its concert and venue.
#[derive(Clone, Debug)]
pub struct DraftView {
    /// The draft.
    pub draft: Draft,
    /// The performance as it will be, with the number of seats that will be for sale.
    pub summary: PerformanceSummary,
}

/// What [`DraftUseCases`] is made of.
#[derive(Clone)]
pub struct DraftParts {
    /// The drafts.
    pub drafts: Arc<dyn Drafts>,
    /// Checks performances.
    pub admin: AdminUseCases,
    /// The concerts and venues.
    pub contexts: PerformanceContexts,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// The use cases of `DraftService`.
#[derive(Clone)]
pub struct DraftUseCases(DraftParts);

impl DraftUseCases {
    /// The use cases over their ports.
    pub fn new(parts: DraftParts) -> Self {
        Self(parts)
    }

    /// The same use cases with these ceilings.
    pub fn under(self, ceilings: QueueCeilings) -> Self {
        let admin = self.0.admin.clone().under(ceilings);
        Self(DraftParts { admin, ..self.0 })
    }

    /// Creates a draft.
    pub async fn create(&self, new: NewPerformance, call: StaffCall) -> Result<DraftView, AppError> {
        let added = self.add(new, call).await;
        let draft = or_first_result_of(call.request, added, |request| self.0.drafts.find_added(request)).await?;
        self.view(draft).await
    }

    async fn add(&self, new: NewPerformance, call: StaffCall) -> Result<Draft, AppError> {
        let draft = self.draft(PerformanceId(self.0.ids.next()), new).await?;
        Ok(self.0.drafts.add(draft, self.act(call)).await?.into_inner())
    }

    /// A draft of any state.
    pub async fn get(&self, id: PerformanceId) -> Result<DraftView, AppError> {
        self.view(self.find(id).await?).await
    }

    /// The open drafts.
    pub async fn list(&self, page: PageRequest<PerformanceId>) -> Result<Page<DraftView, PerformanceId>, AppError> {
        let Page { items, next } = self.0.drafts.open(page).await?;
        let mut views = Vec::with_capacity(items.len());
        for draft in items {
            views.push(self.view(draft).await?);
        }
        Ok(Page { items: views, next })
    }

    /// Replaces the terms of an open draft.
    pub async fn change(&self, id: PerformanceId, new: NewPerformance, call: StaffCall) -> Result<DraftView, AppError> {
        self.find(id).await?.check_open()?;
        let draft = self.draft(id, new).await?;
        self.0.drafts.change(draft.clone(), self.act(call)).await?;
        self.view(draft).await
    }

    /// Publishes an open draft, if it can work. One that is published already is returned, also if an overlapping call has just done it.
    pub async fn publish(
        &self,
        id: PerformanceId,
        not_for_sale: &[String],
        call: StaffCall,
    ) -> Result<DraftView, AppError> {
        let draft = self.find(id).await?;
        if draft.state == DraftState::Published {
            return self.view(draft).await;
        }
        draft.check_open()?;
        let venue = self.0.contexts.venue(draft.performance.venue).await?;
        check_grades(not_for_sale, |name| venue.chart.grades().iter().any(|grade| grade.name == name))?;
        let obstacles = draft.obstacles(&venue.chart, self.0.clock.now(), not_for_sale);
        if !obstacles.is_empty() {
            return Err(AppError::NotPublishable(obstacles));
        }
        let opens_at = draft.queue.as_ref().and_then(|queue| queue.pre_queue_opens_at);
        let draw = opens_at.map(|pre_queue_opens_at| QueueDraw { pre_queue_opens_at, key: self.0.ids.draw_key() });
        let published = self.0.drafts.publish(&draft, draw, self.act(call)).await;
        unless_ended_before(published, DraftState::Published)?;
        self.get(id).await
    }

    /// Gives up an open draft. One that was given up already is returned, also if an overlapping call has just done it.
    pub async fn withdraw(&self, id: PerformanceId, call: StaffCall) -> Result<DraftView, AppError> {
        let draft = self.find(id).await?;
        if draft.state != DraftState::Withdrawn {
            let withdrawn = self.0.drafts.withdraw(id, self.act(call)).await;
            unless_ended_before(withdrawn, DraftState::Withdrawn)?;
        }
        self.get(id).await
    }

    async fn find(&self, id: PerformanceId) -> Result<Draft, AppError> {
        self.0.drafts.find(id).await?.ok_or_else(|| AppError::not_found("draft", id))
    }

    async fn draft(&self, id: PerformanceId, new: NewPerformance) -> Result<Draft, AppError> {
        let (performance, queue) = self.0.admin.checked(id, new).await?;
        let queue =
            queue.map(|queue| DraftQueue { settings: queue.settings, pre_queue_opens_at: queue.pre_queue_opens_at });
        Ok(Draft { performance, queue, state: DraftState::Open })
    }

    fn act(&self, call: StaffCall) -> StaffAct {
        call.act(AuditEntryId(self.0.ids.next()), self.0.clock.now(), None)
    }

    async fn view(&self, draft: Draft) -> Result<DraftView, AppError> {
        let concert = self.0.contexts.concert(draft.performance.concert).await?;
        let venue = self.0.contexts.venue(draft.performance.venue).await?;
        let context = PerformanceContext { performance: Arc::new(draft.performance.clone()), concert, venue };
        Ok(DraftView { draft, summary: PerformanceSummary::unsold(context) })
    }
}

/// The outcome of a call that ends a draft. A call that was overtaken by another of the same kind has succeeded as well.
fn unless_ended_before(
    outcome: Result<(), PortError<DraftRefusal>>,
    state: DraftState,
) -> Result<(), PortError<DraftRefusal>> {
    match outcome {
        Err(PortError::Refused(DraftRefusal::Ended(before))) if before == state => Ok(()),
        outcome => outcome,
    }
}

fn check_grades(names: &[String], is_known: impl Fn(&str) -> bool) -> Result<(), AppError> {
    let unknown = names.iter().enumerate().filter(|(_, name)| !is_known(name));
    let violations: Vec<Violation> = unknown
        .map(|(index, _)| Violation::new(format!("grades_not_for_sale[{index}]"), "must be a grade of the venue"))
        .collect();
    if violations.is_empty() { Ok(()) } else { Err(AppError::Invalid(violations)) }
}
