use crate::audit_log::StaffAct;
use crate::ids::{AuditEntryId, RequestId, UserId};
use crate::time::Timestamp;

/// Who of the house made a change, and by which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaffCause {
    /// The entry of the change in the audit log. Each change has its own.
    pub entry: AuditEntryId,
    /// Who made it; the nil id if the server itself did.
    pub operator: UserId,
    /// The request, if the call had an id.
    pub request: Option<RequestId>,
    /// When.
    pub at: Timestamp,
}

impl From<&StaffAct> for StaffCause {
    fn from(act: &StaffAct) -> Self {
        let StaffAct { id, by, request, at, .. } = act;
        Self { entry: *id, operator: by.user, request: request.map(|request| request.id), at: *at }
    }
}
