//! `RecordsService`.

use encore_app::records::RecordsUseCases;
use encore_domain::audit_log::{AuditChange, AuditEntry, AuditFilter, AuditTarget};
use encore_domain::time::Timestamp;
use encore_proto::admin::v1::{self as pb, records_service_server::RecordsService};
use tonic::{Request, Response, Status};

use crate::authenticate::caller;
use crate::calls::Calls;
use crate::fields::Fields;
use crate::identity::role_to_proto;
use crate::page_token::Listings;
use crate::to_proto::timestamp;

pub(crate) struct RecordsApi {
    pub(crate) records: RecordsUseCases,
    pub(crate) listings: Listings,
    pub(crate) calls: Calls,
}

#[tonic::async_trait]
impl RecordsService for RecordsApi {
    async fn list_audit_entries(
        &self,
        request: Request<pb::ListAuditEntriesRequest>,
    ) -> Result<Response<pb::ListAuditEntriesResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let by = fields.optional_id("user_id", &message.user_id);
        let target = fields.optional_id("target_id", &message.target_id);
        let since = optional_time(&mut fields, "since", message.since.as_ref());
        let until = optional_time(&mut fields, "until", message.until.as_ref());
        let moment = |at: Option<Timestamp>| at.map(|at| at.timestamp_millis().to_string()).unwrap_or_default();
        let times = [moment(since), moment(until)];
        let filter = [message.user_id.as_str(), message.target_id.as_str(), times[0].as_str(), times[1].as_str()];
        let listing = self.listings.of("ListAuditEntries", Some(caller.user), filter);
        let page = fields.page(&listing, message.page_size, &message.page_token);
        let Some(page) = page else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let entries = self.records.audit_entries(AuditFilter { by, target, since, until }, page);
        let page = self.calls.read(entries).await?;
        Ok(Response::new(pb::ListAuditEntriesResponse {
            next_page_token: listing.next_page_token(page.next.as_ref()),
            entries: page.items.into_iter().map(entry_to_proto).collect(),
        }))
    }
}

/// A point in time that may be absent.
fn optional_time(fields: &mut Fields, field: &str, value: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    value.and_then(|value| fields.timestamp(field, Some(value)))
}

fn entry_to_proto(entry: AuditEntry) -> pb::AuditEntry {
    let AuditEntry { id, by, rpc, target, changes, reason, request, at } = entry;
    let kind = match target {
        AuditTarget::Venue(_) => pb::AuditTargetKind::Venue,
        AuditTarget::Concert(_) => pb::AuditTargetKind::Concert,
        AuditTarget::Performance(_) => pb::AuditTargetKind::Performance,
        AuditTarget::Reservation(_) => pb::AuditTargetKind::Reservation,
        AuditTarget::User(_) => pb::AuditTargetKind::User,
        AuditTarget::SalesSwitch => pb::AuditTargetKind::SalesSwitch,
    };
    let target_id = if target == AuditTarget::SalesSwitch { String::new() } else { target.id().to_string() };
    let change = |AuditChange { field, before, after }| pb::AuditChange { field, before, after };
    pb::AuditEntry {
        entry_id: id.to_string(),
        user_id: by.user.to_string(),
        role: role_to_proto(by.role).into(),
        rpc,
        target_kind: kind.into(),
        target_id,
        changes: changes.into_iter().map(change).collect(),
        reason: reason.unwrap_or_default(),
        request_id: request.map(|request| request.to_string()).unwrap_or_default(),
        occurred_at: Some(timestamp(at)),
    }
}
