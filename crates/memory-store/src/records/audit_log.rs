use std::collections::BTreeMap;

use encore_domain::audit_log::{AuditCursor, AuditEntry};

/// The entries of the audit log.
#[derive(Default)]
pub struct AuditLogRecords {
    /// In the order of time.
    pub entries: BTreeMap<AuditCursor, AuditEntry>,
}

impl AuditLogRecords {
    /// Notes a change. None if the server itself makes it.
    pub fn note(&mut self, entry: Option<AuditEntry>) {
        self.entries.extend(entry.map(|entry| (entry.cursor(), entry)));
    }
}
