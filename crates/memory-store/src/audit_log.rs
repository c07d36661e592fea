use async_trait::async_trait;
use encore_domain::audit_log::{AuditCursor, AuditEntry, AuditFilter};
use encore_domain::error::Unavailable;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::AuditLog;

use crate::paging::{below, rows};
use crate::records::MemoryRecords;

/// [`AuditLog`] in process.
pub struct MemoryAuditLog(MemoryRecords);

impl MemoryAuditLog {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl AuditLog for MemoryAuditLog {
    async fn append(&self, entry: AuditEntry) -> Result<(), Unavailable> {
        self.0.lock().audit_log.note(Some(entry));
        Ok(())
    }

    async fn list(
        &self,
        filter: &AuditFilter,
        page: PageRequest<AuditCursor>,
    ) -> Result<Page<AuditEntry, AuditCursor>, Unavailable> {
        let entries = &self.0.lock().audit_log.entries;
        let newest = entries.range(below(&page)).rev().map(|(_, entry)| entry).filter(|entry| filter.admits(entry));
        Ok(Page::from_rows(newest.take(rows(&page)).cloned().collect(), page.size, AuditEntry::cursor))
    }
}
