use std::convert::Infallible;

use async_trait::async_trait;
use encore_domain::audit_log::StaffAct;
use encore_domain::catalog::draft::{Draft, DraftRefusal, DraftState};
use encore_domain::error::{PortError, RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::PerformanceId;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::Drafts;
use encore_domain::queue::QueueDraw;
use encore_domain::request::{Applied, RequestKey};

use crate::paging::{above, rows};
use crate::records::{DraftRecords, MemoryRecords, Records};

/// [`Drafts`] in process.
pub struct MemoryDrafts(MemoryRecords);

impl MemoryDrafts {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

/// The open draft of this id.
fn find_open(drafts: &mut DraftRecords, id: PerformanceId) -> Result<&mut Draft, PortError<DraftRefusal>> {
    let draft = drafts.get_mut(&id).ok_or(PortError::Refused(DraftRefusal::Unknown(id)))?;
    draft.check_open().map_err(PortError::Refused)?;
    Ok(draft)
}

#[async_trait]
impl Drafts for MemoryDrafts {
    async fn add(&self, draft: Draft, act: StaffAct) -> Result<Applied<Draft>, RequestError<Infallible>> {
        let Records { drafts, requests, audit_log, .. } = &mut *self.0.lock();
        let id = draft.performance.id;
        if let Some(first) = requests.before::<PerformanceId, _>(act.request)? {
            return Ok(Applied::Before(drafts.get(&first).cloned().unwrap_or(draft)));
        }
        audit_log.note(Some(act.added_draft(&draft)));
        drafts.insert(id, draft.clone());
        requests.remember(act.request, id);
        Ok(Applied::Now(draft))
    }

    async fn find_added(&self, request: RequestKey) -> Result<Option<Draft>, RequestError<Infallible>> {
        let Records { drafts, requests, .. } = &*self.0.lock();
        let first: Option<PerformanceId> = requests.before(Some(request))?;
        Ok(first.and_then(|id| drafts.get(&id).cloned()))
    }

    async fn find(&self, id: PerformanceId) -> Result<Option<Draft>, Unavailable> {
        Ok(self.0.lock().drafts.get(&id).cloned())
    }

    async fn open(&self, page: PageRequest<PerformanceId>) -> Result<Page<Draft, PerformanceId>, Unavailable> {
        let drafts = &self.0.lock().drafts;
        let open = drafts.range(above(&page)).map(|(_, draft)| draft).filter(|draft| draft.check_open().is_ok());
        Ok(Page::from_rows(open.take(rows(&page)).cloned().collect(), page.size, |draft| draft.performance.id))
    }

    async fn change(&self, draft: Draft, act: StaffAct) -> Result<(), PortError<DraftRefusal>> {
        let Records { drafts, audit_log, .. } = &mut *self.0.lock();
        let stored = find_open(drafts, draft.performance.id)?;
        if *stored != draft {
            audit_log.note(Some(act.changed_draft(stored, &draft)));
            *stored = draft;
        }
        Ok(())
    }

    async fn publish(
        &self,
        looked_at: &Draft,
        draw: Option<QueueDraw>,
        act: StaffAct,
    ) -> Result<(), PortError<DraftRefusal>> {
        let Records { drafts, catalog, audit_log, outbox, .. } = &mut *self.0.lock();
        let stored = find_open(drafts, looked_at.performance.id)?;
        if stored != looked_at {
            return Err(PortError::Refused(DraftRefusal::Changed));
        }
        stored.state = DraftState::Published;
        let queue = stored.queue.as_ref().map(|queue| queue.queue(draw));
        audit_log.note(Some(act.published(&stored.performance, queue.as_ref())));
        outbox.write(&Event::published(&stored.performance, queue.as_ref(), &act));
        catalog.add_performance(stored.performance.clone(), queue);
        Ok(())
    }

    async fn withdraw(&self, id: PerformanceId, act: StaffAct) -> Result<(), PortError<DraftRefusal>> {
        let Records { drafts, audit_log, .. } = &mut *self.0.lock();
        let stored = find_open(drafts, id)?;
        audit_log.note(Some(act.withdrew(stored)));
        stored.state = DraftState::Withdrawn;
        Ok(())
    }
}
