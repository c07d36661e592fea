use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use encore_domain::audit_log::{AuditChange, AuditCursor, AuditEntry, AuditFilter, AuditTarget};
use encore_domain::error::Unavailable;
use encore_domain::identity::Caller;
use encore_domain::ids::{AuditEntryId, RequestId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::AuditLog;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::codec::{comparable_time, read_role};
use crate::database::Database;
use crate::error::{corrupt, unavailable};
use crate::schema::audit_entries;

/// [`AuditLog`] on Postgres.
#[derive(Clone, Debug)]
pub struct PostgresAuditLog {
    database: Database,
}

impl PostgresAuditLog {
    /// Uses a database that is migrated.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = audit_entries)]
struct EntryRow {
    id: Uuid,
    at: DateTime<Utc>,
    user_id: Uuid,
    role: String,
    rpc: String,
    target_kind: String,
    target_id: Uuid,
    changes: Value,
    reason: Option<String>,
    request_id: Option<Uuid>,
}

#[derive(Serialize, Deserialize)]
struct ChangeRecord {
    field: String,
    before: Option<String>,
    after: Option<String>,
}

impl EntryRow {
    fn of(entry: AuditEntry) -> QueryResult<Self> {
        let AuditEntry { id, by, rpc, target, changes, reason, request, at } = entry;
        let record = |AuditChange { field, before, after }| ChangeRecord { field, before, after };
        let changes: Vec<ChangeRecord> = changes.into_iter().map(record).collect();
        Ok(Self {
            id: id.0,
            at,
            user_id: by.user.0,
            role: by.role.name().to_owned(),
            rpc,
            target_kind: target.kind().to_owned(),
            target_id: target.id(),
            changes: serde_json::to_value(changes).map_err(|error| corrupt("changes of an audit entry", &error))?,
            reason,
            request_id: request.map(|request| request.0),
        })
    }

    fn into_entry(self) -> QueryResult<AuditEntry> {
        let changes: Vec<ChangeRecord> =
            serde_json::from_value(self.changes).map_err(|error| corrupt("changes of an audit entry", &error))?;
        let change = |ChangeRecord { field, before, after }| AuditChange { field, before, after };
        let target = AuditTarget::of(&self.target_kind, self.target_id);
        Ok(AuditEntry {
            id: AuditEntryId(self.id),
            by: Caller { user: UserId(self.user_id), role: read_role(&self.role)? },
            rpc: self.rpc,
            target: target.map_err(|_| corrupt("target of an audit entry", &self.target_kind))?,
            changes: changes.into_iter().map(change).collect(),
            reason: self.reason,
            request: self.request_id.map(RequestId),
            at: self.at,
        })
    }
}

/// Notes a change of this transaction. None if the server itself makes it.
pub async fn note(conn: &AsyncPgConnection, entry: Option<AuditEntry>) -> QueryResult<()> {
    if let Some(entry) = entry {
        diesel::insert_into(audit_entries::table).values(EntryRow::of(entry)?).execute(&mut &*conn).await?;
    }
    Ok(())
}

#[async_trait]
impl AuditLog for PostgresAuditLog {
    async fn append(&self, entry: AuditEntry) -> Result<(), Unavailable> {
        let conn = self.database.connection().await?;
        note(&conn, Some(entry)).await.map_err(unavailable)
    }

    async fn list(
        &self,
        filter: &AuditFilter,
        page: PageRequest<AuditCursor>,
    ) -> Result<Page<AuditEntry, AuditCursor>, Unavailable> {
        let mut conn = self.database.connection().await?;
        let mut query = audit_entries::table.select(EntryRow::as_select()).into_boxed();
        if let Some(by) = filter.by {
            query = query.filter(audit_entries::user_id.eq(by.0));
        }
        if let Some(target) = filter.target {
            query = query.filter(audit_entries::target_id.eq(target));
        }
        if let Some(since) = filter.since {
            query = query.filter(audit_entries::at.ge(comparable_time(since)));
        }
        if let Some(until) = filter.until {
            query = query.filter(audit_entries::at.lt(comparable_time(until)));
        }
        if let Some((at, id)) = page.after {
            let at = comparable_time(at);
            let same_time = audit_entries::at.eq(at).and(audit_entries::id.lt(id.0));
            query = query.filter(audit_entries::at.lt(at).or(same_time));
        }
        let query = query.order((audit_entries::at.desc(), audit_entries::id.desc())).limit(i64::from(page.size) + 1);
        let rows: Vec<EntryRow> = query.load(&mut conn).await.map_err(unavailable)?;
        let entries = rows.into_iter().map(EntryRow::into_entry).collect::<QueryResult<_>>().map_err(unavailable)?;
        Ok(Page::from_rows(entries, page.size, AuditEntry::cursor))
    }
}
