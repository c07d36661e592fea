use async_trait::async_trait;

use crate::audit_log::{AuditCursor, AuditEntry, AuditFilter};
use crate::error::Unavailable;
use crate::page::{Page, PageRequest};

/// Keeps the audit log. The other ports write the entries of their changes, each in the transaction of the change: they take a
/// [`StaffAct`](crate::audit_log::StaffAct), and none if the server itself changes something.
///
/// # Contract
/// - `keeps_an_entry`: it is read back as it was appended
/// - `notes_what_is_added`: venues, concerts and performances
/// - `notes_changes_of_queues`: the settings that changed, before and after
/// - `notes_blocked_seats`: blocking and unblocking
/// - `notes_cancellations`: of operators
/// - `notes_roles`: before and after; the role that a user has already is no change
/// - `notes_credits`: the balance before and after
/// - `notes_the_switch`: of all sales
/// - `notes_nothing_of_what_is_refused`: nor of a repeat
/// - `lists_by_who_target_and_time`: the newest first, each once, in pages of any size
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Appends the entry of a change that no store makes, such as a grant that is signed and not stored.
    async fn append(&self, entry: AuditEntry) -> Result<(), Unavailable>;

    /// The entries that the filter admits, the newest first.
    async fn list(
        &self,
        filter: &AuditFilter,
        page: PageRequest<AuditCursor>,
    ) -> Result<Page<AuditEntry, AuditCursor>, Unavailable>;
}
