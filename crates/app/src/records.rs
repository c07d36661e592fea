//! What those who work for the house look up.

use std::sync::Arc;

use encore_domain::audit_log::{AuditCursor, AuditEntry, AuditFilter};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::AuditLog;

use crate::error::AppError;

/// The use cases of `RecordsService`.
#[derive(Clone)]
pub struct RecordsUseCases {
    audit_log: Arc<dyn AuditLog>,
}

impl RecordsUseCases {
    /// The use cases over their ports.
    pub fn new(audit_log: Arc<dyn AuditLog>) -> Self {
        Self { audit_log }
    }

    /// The entries of the audit log that the filter admits, the newest first.
    pub async fn audit_entries(
        &self,
        filter: AuditFilter,
        page: PageRequest<AuditCursor>,
    ) -> Result<Page<AuditEntry, AuditCursor>, AppError> {
        Ok(self.audit_log.list(&filter, page).await?)
    }
}
