use async_trait::async_trait;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{DrawClosed, Draws};
use encore_domain::queue::{DrawEntries, DrawEntry, DrawEntryCursor, Drawn};

use crate::records::{MemoryRecords, Records};

/// [`Draws`] in process.
pub struct MemoryDraws(MemoryRecords);

impl MemoryDraws {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Draws for MemoryDraws {
    async fn enter(
        &self,
        performance: PerformanceId,
        epoch: i64,
        user: UserId,
        lane: u8,
    ) -> Result<u64, PortError<DrawClosed>> {
        let Records { draw_entries, ended_tokens, .. } = &mut *self.0.lock();
        let index = draw_entries.enter(performance, user, lane).map_err(PortError::Refused)?;
        ended_tokens.remove(performance, epoch, lane, index);
        Ok(index)
    }

    async fn close(&self, performance: PerformanceId) -> Result<Vec<u64>, Unavailable> {
        Ok(self.0.lock().draw_entries.close(performance))
    }

    async fn entries(&self, performance: PerformanceId) -> Result<DrawEntries, Unavailable> {
        Ok(self.0.lock().draw_entries.counts(performance))
    }

    async fn entries_of(
        &self,
        user: UserId,
        page: PageRequest<DrawEntryCursor>,
    ) -> Result<Page<DrawEntry, DrawEntryCursor>, Unavailable> {
        let own = self.0.lock().draw_entries.of_user(user);
        let after = own.into_iter().filter(|entry| page.after.is_none_or(|after| after < entry.cursor()));
        let rows: Vec<DrawEntry> = after.take(page.size as usize + 1).collect();
        Ok(Page::from_rows(rows, page.size, DrawEntry::cursor))
    }

    async fn keep(&self, performance: PerformanceId, drawn: &[Drawn]) -> Result<Vec<Drawn>, Unavailable> {
        Ok(self.0.lock().draws.entry(performance).or_insert_with(|| drawn.to_vec()).clone())
    }

    async fn find(&self, performance: PerformanceId) -> Result<Option<Vec<Drawn>>, Unavailable> {
        Ok(self.0.lock().draws.get(&performance).cloned())
    }
}
