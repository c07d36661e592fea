//! What those who work for the house look up.

use std::sync::Arc;

use encore_domain::audit_log::{AuditCursor, AuditEntry, AuditFilter};
use encore_domain::identity::{Email, User};
use encore_domain::ids::UserId;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::{AuditLog, Users};

use crate::error::AppError;

/// The use cases of `RecordsService`.
#[derive(Clone)]
pub struct RecordsUseCases {
    audit_log: Arc<dyn AuditLog>,
    users: Arc<dyn Users>,
}

impl RecordsUseCases {
    /// The use cases over their ports.
    pub fn new(audit_log: Arc<dyn AuditLog>, users: Arc<dyn Users>) -> Self {
        Self { audit_log, users }
    }

    /// The user of this id.
    pub async fn user(&self, id: UserId) -> Result<User, AppError> {
        let account = self.users.find(id).await?;
        account.map(|account| account.user).ok_or_else(|| AppError::not_found("user", id))
    }

    /// The user with this e-mail address. The refusal does not repeat it.
    pub async fn user_by_email(&self, email: &Email) -> Result<User, AppError> {
        let account = self.users.find_by_email(email).await?;
        account.map(|account| account.user).ok_or_else(|| AppError::not_found("user", "with this e-mail address"))
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
