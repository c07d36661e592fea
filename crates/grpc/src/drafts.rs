//! `DraftService`.

use encore_app::admin::NewPerformance;
use encore_app::drafts::{DraftUseCases, DraftView};
use encore_domain::audit_log::StaffCall;
use encore_domain::catalog::draft::DraftState;
use encore_domain::catalog::seat_chart::GRADES_PER_VENUE_MAX;
use encore_proto::admin::v1::{self as pb, draft_service_server::DraftService};
use tonic::{Request, Response, Status};

use crate::authenticate::caller;
use crate::calls::Calls;
use crate::catalog::summary_to_proto;
use crate::fields::Fields;
use crate::new_performance::new_performance;
use crate::page_token::Listings;
use crate::queue_admin::settings_to_proto;
use crate::sent_body::sent_body;
use crate::to_proto::timestamp;

pub(crate) struct DraftsApi {
    pub(crate) drafts: DraftUseCases,
    pub(crate) listings: Listings,
    pub(crate) calls: Calls,
}

#[tonic::async_trait]
impl DraftService for DraftsApi {
    async fn create_draft(
        &self,
        request: Request<pb::CreateDraftRequest>,
    ) -> Result<Response<pb::CreateDraftResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("CreateDraft", &message));
        let new = terms(&mut fields, message.terms);
        let (Some(request), Some(new)) = (key, new) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let call = StaffCall { caller, rpc: "DraftService.CreateDraft", request };
        let drafts = self.drafts.clone();
        let draft = self.calls.write(async move { drafts.create(new, call).await }).await?;
        Ok(Response::new(pb::CreateDraftResponse { draft: Some(draft_to_proto(&draft)) }))
    }

    async fn get_draft(&self, request: Request<pb::GetDraftRequest>) -> Result<Response<pb::GetDraftResponse>, Status> {
        let mut fields = Fields::default();
        let Some(id) = fields.id("draft_id", &request.get_ref().draft_id) else {
            return Err(fields.into_status());
        };
        let draft = self.calls.read(self.drafts.get(id)).await?;
        Ok(Response::new(pb::GetDraftResponse { draft: Some(draft_to_proto(&draft)) }))
    }

    async fn list_drafts(
        &self,
        request: Request<pb::ListDraftsRequest>,
    ) -> Result<Response<pb::ListDraftsResponse>, Status> {
        let message = request.into_inner();
        let mut fields = Fields::default();
        let listing = self.listings.of("ListDrafts", None, []);
        let Some(page) = fields.page(&listing, message.page_size, &message.page_token) else {
            return Err(fields.into_status());
        };
        let page = self.calls.read(self.drafts.list(page)).await?;
        Ok(Response::new(pb::ListDraftsResponse {
            next_page_token: listing.next_page_token(page.next.as_ref()),
            drafts: page.items.iter().map(draft_to_proto).collect(),
        }))
    }

    async fn change_draft(
        &self,
        request: Request<pb::ChangeDraftRequest>,
    ) -> Result<Response<pb::ChangeDraftResponse>, Status> {
        let (caller, message) = (caller(&request)?, request.into_inner());
        let mut fields = Fields::default();
        let id = fields.id("draft_id", &message.draft_id);
        let new = terms(&mut fields, message.terms);
        let (Some(id), Some(new)) = (id, new) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let call = StaffCall { caller, rpc: "DraftService.ChangeDraft", request: None };
        let drafts = self.drafts.clone();
        let draft = self.calls.write(async move { drafts.change(id, new, call).await }).await?;
        Ok(Response::new(pb::ChangeDraftResponse { draft: Some(draft_to_proto(&draft)) }))
    }

    async fn publish_draft(
        &self,
        request: Request<pb::PublishDraftRequest>,
    ) -> Result<Response<pb::PublishDraftResponse>, Status> {
        let (caller, message) = (caller(&request)?, request.into_inner());
        let mut fields = Fields::default();
        let id = fields.id("draft_id", &message.draft_id);
        let not_for_sale = fields.names("grades_not_for_sale", &message.grades_not_for_sale, GRADES_PER_VENUE_MAX);
        let Some(id) = id else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let call = StaffCall { caller, rpc: "DraftService.PublishDraft", request: None };
        let drafts = self.drafts.clone();
        let draft = self.calls.write(async move { drafts.publish(id, &not_for_sale, call).await }).await?;
        Ok(Response::new(pb::PublishDraftResponse { draft: Some(draft_to_proto(&draft)) }))
    }

    async fn withdraw_draft(
        &self,
        request: Request<pb::WithdrawDraftRequest>,
    ) -> Result<Response<pb::WithdrawDraftResponse>, Status> {
        let (caller, message) = (caller(&request)?, request.into_inner());
        let mut fields = Fields::default();
        let Some(id) = fields.id("draft_id", &message.draft_id) else {
            return Err(fields.into_status());
        };
        let call = StaffCall { caller, rpc: "DraftService.WithdrawDraft", request: None };
        let drafts = self.drafts.clone();
        let draft = self.calls.write(async move { drafts.withdraw(id, call).await }).await?;
        Ok(Response::new(pb::WithdrawDraftResponse { draft: Some(draft_to_proto(&draft)) }))
    }
}

/// The terms of a draft, which are read as those of a performance.
fn terms(fields: &mut Fields, terms: Option<pb::DraftTerms>) -> Option<NewPerformance> {
    let Some(terms) = terms else {
        fields.refuse("terms", "must be set");
        return None;
    };
    let message = pb::CreatePerformanceRequest {
        request_id: String::new(),
        concert_id: terms.concert_id,
        venue_id: terms.venue_id,
        starts_at: terms.starts_at,
        on_sale_opens_at: terms.on_sale_opens_at,
        on_sale_closes_at: terms.on_sale_closes_at,
        prices: terms.prices,
        seats_per_fan: terms.seats_per_fan,
        hold_duration: terms.hold_duration,
        queue: terms.queue,
        pre_queue_opens_at: terms.pre_queue_opens_at,
        override_ceiling: terms.override_ceiling,
    };
    let mut of_terms = Fields::default();
    let new = new_performance(&mut of_terms, &message);
    fields.absorb("terms", of_terms);
    new
}

fn draft_to_proto(view: &DraftView) -> pb::Draft {
    let DraftView { draft, summary } = view;
    let state = match draft.state {
        DraftState::Open => pb::DraftState::Open,
        DraftState::Published => pb::DraftState::Published,
        DraftState::Withdrawn => pb::DraftState::Withdrawn,
    };
    let queue = draft.queue.as_ref();
    pb::Draft {
        performance: Some(summary_to_proto(summary)),
        queue: queue.map(|queue| settings_to_proto(&queue.settings)),
        pre_queue_opens_at: queue.and_then(|queue| queue.pre_queue_opens_at).map(timestamp),
        state: state.into(),
    }
}
