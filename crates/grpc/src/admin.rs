//! `AdminService`.

use std::sync::Arc;

use encore_app::admin::AdminUseCases;
use encore_app::audit::AuditUseCases;
use encore_app::cancellation::CancellationUseCases;
use encore_app::identity::IdentityUseCases;
use encore_app::performance_cancellation::PerformanceCancellations;
use encore_app::queue_admin::QueueAdminUseCases;
use encore_app::seat_blocks::SeatBlockUseCases;
use encore_app::sessions::EndedSessions;
use encore_domain::audit_log::StaffCall;
use encore_domain::booking::seat_block::BlockReason;
use encore_domain::catalog::Title;
use encore_domain::ids::PerformanceId;
use encore_domain::payment::refund::OperatorReason;
use encore_domain::ports::Clock;
use encore_domain::queue::{LaneName, QueueMessage, QueuePatch};
use encore_proto::admin::v1::{self as pb, admin_service_server::AdminService};
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::audit::report_to_proto;
use crate::authenticate::{access_ends_at, caller, watch_session};
use crate::calls::Calls;
use crate::catalog::{concert_to_proto, summary_to_proto};
use crate::fields::Fields;
use crate::identity::role_from_proto;
use crate::locations::optional_location;
use crate::new_performance::new_performance;
use crate::page_token::Listings;
use crate::queue_admin::{self, grant_time, queue_patch, queue_to_change, settings_to_proto};
use crate::seat_blocks::{BLOCKED_PAGE_MAX, block_to_proto, blocked_to_proto, seat_list, unblock_to_proto};
use crate::sent_body::sent_body;
use crate::status::status;
use crate::streams::{Frames, end_on_shutdown, end_with_access, end_with_session};
use crate::to_proto::{money, timestamp};
use crate::user_messages::user_to_proto;
use crate::venues::{imported_to_proto, revision, venue_to_proto};

pub(crate) struct AdminApi {
    pub(crate) admin: AdminUseCases,
    pub(crate) identity: IdentityUseCases,
    pub(crate) queue_admin: QueueAdminUseCases,
    pub(crate) seat_blocks: SeatBlockUseCases,
    pub(crate) cancellations: Arc<CancellationUseCases>,
    pub(crate) performance_cancellations: PerformanceCancellations,
    pub(crate) audit: AuditUseCases,
    pub(crate) listings: Listings,
    pub(crate) calls: Calls,
    pub(crate) clock: Arc<dyn Clock>,
    /// Ends the streams of a session with it.
    pub(crate) ended_sessions: EndedSessions,
    /// Ends the streams when this instance shuts down.
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl AdminService for AdminApi {
    async fn import_venue(
        &self,
        request: Request<pb::ImportVenueRequest>,
    ) -> Result<Response<pb::ImportVenueResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("ImportVenue", &message));
        let location = optional_location(&mut fields, message.location.as_ref());
        let (Some(key), Some(location)) = (key, location) else {
            return Err(fields.into_status());
        };
        let admin = self.admin.clone();
        let call = StaffCall { caller, rpc: "AdminService.ImportVenue", request: key };
        let importing = async move { admin.import_venue(message.plan_json, location, Some(call)).await };
        let imported = self.calls.write(importing).await?;
        Ok(Response::new(imported_to_proto(&imported)))
    }

    async fn revise_venue(
        &self,
        request: Request<pb::ReviseVenueRequest>,
    ) -> Result<Response<pb::ReviseVenueResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("ReviseVenue", &message));
        let venue = fields.id("venue_id", &message.venue_id);
        let revision = revision(&mut fields, message);
        let (Some(key), Some(venue), Some(revision)) = (key, venue, revision) else {
            return Err(fields.into_status());
        };
        let admin = self.admin.clone();
        let call = StaffCall { caller, rpc: "AdminService.ReviseVenue", request: key };
        let venue = self.calls.write(async move { admin.revise_venue(venue, revision, Some(call)).await }).await?;
        Ok(Response::new(pb::ReviseVenueResponse { venue: Some(venue_to_proto(&venue)) }))
    }

    async fn create_concert(
        &self,
        request: Request<pb::CreateConcertRequest>,
    ) -> Result<Response<pb::CreateConcertResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("CreateConcert", &message));
        let title = fields.read("title", Title::parse(&message.title));
        let artist = fields.read("artist", Title::parse(&message.artist));
        let (Some(key), Some(title), Some(artist)) = (key, title, artist) else {
            return Err(fields.into_status());
        };
        let admin = self.admin.clone();
        let call = StaffCall { caller, rpc: "AdminService.CreateConcert", request: key };
        let concert = self.calls.write(async move { admin.create_concert(title, artist, call).await }).await?;
        Ok(Response::new(pb::CreateConcertResponse { concert: Some(concert_to_proto(&concert)) }))
    }

    async fn create_performance(
        &self,
        request: Request<pb::CreatePerformanceRequest>,
    ) -> Result<Response<pb::CreatePerformanceResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("CreatePerformance", &message));
        let new = new_performance(&mut fields, &message);
        let (Some(key), Some(new)) = (key, new) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let admin = self.admin.clone();
        let call = StaffCall { caller, rpc: "AdminService.CreatePerformance", request: key };
        let offer = self.calls.write(async move { admin.create_performance(new, call).await }).await?;
        Ok(Response::new(pb::CreatePerformanceResponse { performance: Some(summary_to_proto(&offer)) }))
    }

    async fn block_seats(
        &self,
        request: Request<pb::BlockSeatsRequest>,
    ) -> Result<Response<pb::BlockSeatsResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("BlockSeats", &message));
        let performance = fields.id("performance_id", &message.performance_id);
        let reason = fields.read("reason", BlockReason::parse(&message.reason));
        let seats = seat_list(&mut fields, message.seat_ids);
        let (Some(key), Some(performance), Some(reason), Some(seats)) = (key, performance, reason, seats) else {
            return Err(fields.into_status());
        };
        let seat_blocks = self.seat_blocks.clone();
        let call = StaffCall { caller, rpc: "AdminService.BlockSeats", request: key };
        let blocking = async move { seat_blocks.block(call, performance, &seats, reason).await };
        Ok(Response::new(block_to_proto(&self.calls.write(blocking).await?)))
    }

    async fn unblock_seats(
        &self,
        request: Request<pb::UnblockSeatsRequest>,
    ) -> Result<Response<pb::UnblockSeatsResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("UnblockSeats", &message));
        let performance = fields.id("performance_id", &message.performance_id);
        let seats = seat_list(&mut fields, message.seat_ids);
        let (Some(key), Some(performance), Some(seats)) = (key, performance, seats) else {
            return Err(fields.into_status());
        };
        let seat_blocks = self.seat_blocks.clone();
        let call = StaffCall { caller, rpc: "AdminService.UnblockSeats", request: key };
        let unblocking = async move { seat_blocks.unblock(call, performance, &seats).await };
        Ok(Response::new(unblock_to_proto(&self.calls.write(unblocking).await?)))
    }

    async fn list_blocked_seats(
        &self,
        request: Request<pb::ListBlockedSeatsRequest>,
    ) -> Result<Response<pb::ListBlockedSeatsResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let performance = fields.id("performance_id", &message.performance_id);
        let listing = self.listings.of("ListBlockedSeats", Some(caller.user), [message.performance_id.as_str()]);
        let sizes = BLOCKED_PAGE_MAX..=BLOCKED_PAGE_MAX;
        let page = fields.page_of(&listing, message.page_size, &message.page_token, sizes);
        let (Some(performance), Some(page)) = (performance, page) else {
            return Err(fields.into_status());
        };
        let blocked = self.calls.read(self.seat_blocks.blocked(performance, page)).await?;
        Ok(Response::new(blocked_to_proto(&blocked, &listing)))
    }

    async fn cancel_reservation(
        &self,
        request: Request<pb::CancelReservationRequest>,
    ) -> Result<Response<pb::CancelReservationResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.request(caller.user, &message.request_id, &sent.of("AdminCancelReservation", &message));
        let id = fields.id("reservation_id", &message.reservation_id);
        let reason = fields.read("reason", OperatorReason::parse(&message.reason));
        let (Some(key), Some(id), Some(reason)) = (key, id, reason) else {
            return Err(fields.into_status());
        };
        let cancellations = Arc::clone(&self.cancellations);
        let call = StaffCall { caller, rpc: "AdminService.CancelReservation", request: Some(key) };
        let cancelling = async move { cancellations.cancel_for_operator(call, id, reason, key).await };
        let refund = self.calls.write(cancelling).await?.refund;
        Ok(Response::new(pb::CancelReservationResponse {
            refund_id: refund.id.to_string(),
            amount: Some(money(refund.amount())),
            cancelled_at: Some(timestamp(refund.at)),
        }))
    }

    async fn preview_performance_cancellation(
        &self,
        request: Request<pb::PreviewPerformanceCancellationRequest>,
    ) -> Result<Response<pb::PreviewPerformanceCancellationResponse>, Status> {
        let mut fields = Fields::default();
        let Some(performance) = fields.id("performance_id", &request.get_ref().performance_id) else {
            return Err(fields.into_status());
        };
        let left = self.calls.read(self.performance_cancellations.preview(performance)).await?;
        Ok(Response::new(pb::PreviewPerformanceCancellationResponse {
            reservations: left.reservations,
            amount: Some(money(left.amount)),
            held_seats: left.held_seats,
        }))
    }

    type CancelPerformanceStream = Frames<pb::CancelPerformanceResponse>;

    async fn cancel_performance(
        &self,
        request: Request<pb::CancelPerformanceRequest>,
    ) -> Result<Response<Self::CancelPerformanceStream>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let performance = fields.id("performance_id", &message.performance_id);
        let reason = fields.read("reason", OperatorReason::parse(&message.reason));
        let amount = fields.money("confirmed_amount", message.confirmed_amount.as_ref());
        let (Some(performance), Some(reason), Some(amount)) = (performance, reason, amount) else {
            return Err(fields.into_status());
        };
        let confirmed = (message.confirmed_reservations, amount);
        let call = StaffCall { caller, rpc: "AdminService.CancelPerformance", request: None };
        let running = self.performance_cancellations.run(call, performance, reason, confirmed);
        let reports = self.calls.read(running).await?.map(|left| {
            let left = left.map_err(status)?;
            Ok(pb::CancelPerformanceResponse {
                reservations: left.reservations,
                amount: Some(money(left.amount)),
                held_seats: left.held_seats,
            })
        });
        Ok(Response::new(end_on_shutdown(reports, self.shutdown.clone())))
    }

    async fn update_queue(
        &self,
        request: Request<pb::UpdateQueueRequest>,
    ) -> Result<Response<pb::UpdateQueueResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("UpdateQueue", &message));
        let performance = fields.id("performance_id", &message.performance_id);
        if message.settings.is_none() {
            fields.refuse("settings", "must be set");
        }
        let override_ceiling = message.override_ceiling;
        let patch = queue_patch(&mut fields, "settings", &message.settings.unwrap_or_default());
        let (Some(key), Some(performance)) = (key, performance) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let call = StaffCall { caller, rpc: "AdminService.UpdateQueue", request: key };
        let settings = self.change_queue(performance, patch, override_ceiling, call).await?;
        Ok(Response::new(pb::UpdateQueueResponse { settings }))
    }

    async fn pause_queue(
        &self,
        request: Request<pb::PauseQueueRequest>,
    ) -> Result<Response<pb::PauseQueueResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let ids = (message.request_id.as_str(), message.performance_id.as_str());
        let (key, performance) = queue_to_change(caller, ids, &sent.of("PauseQueue", &message))?;
        let patch = QueuePatch { paused: Some(true), ..QueuePatch::default() };
        let call = StaffCall { caller, rpc: "AdminService.PauseQueue", request: key };
        let settings = self.change_queue(performance, patch, false, call).await?;
        Ok(Response::new(pb::PauseQueueResponse { settings }))
    }

    async fn resume_queue(
        &self,
        request: Request<pb::ResumeQueueRequest>,
    ) -> Result<Response<pb::ResumeQueueResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let ids = (message.request_id.as_str(), message.performance_id.as_str());
        let (key, performance) = queue_to_change(caller, ids, &sent.of("ResumeQueue", &message))?;
        let patch = QueuePatch { paused: Some(false), draining: Some(false), ..QueuePatch::default() };
        let call = StaffCall { caller, rpc: "AdminService.ResumeQueue", request: key };
        let settings = self.change_queue(performance, patch, false, call).await?;
        Ok(Response::new(pb::ResumeQueueResponse { settings }))
    }

    async fn drain_queue(
        &self,
        request: Request<pb::DrainQueueRequest>,
    ) -> Result<Response<pb::DrainQueueResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let ids = (message.request_id.as_str(), message.performance_id.as_str());
        let (key, performance) = queue_to_change(caller, ids, &sent.of("DrainQueue", &message))?;
        let patch = QueuePatch { draining: Some(true), ..QueuePatch::default() };
        let call = StaffCall { caller, rpc: "AdminService.DrainQueue", request: key };
        let settings = self.change_queue(performance, patch, false, call).await?;
        Ok(Response::new(pb::DrainQueueResponse { settings }))
    }

    async fn set_queue_message(
        &self,
        request: Request<pb::SetQueueMessageRequest>,
    ) -> Result<Response<pb::SetQueueMessageResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("SetQueueMessage", &message));
        let performance = fields.id("performance_id", &message.performance_id);
        let said = fields.read("message", QueueMessage::parse(&message.message));
        let (Some(key), Some(performance), Some(said)) = (key, performance, said) else {
            return Err(fields.into_status());
        };
        let patch = QueuePatch { message: Some(said), ..QueuePatch::default() };
        let call = StaffCall { caller, rpc: "AdminService.SetQueueMessage", request: key };
        let settings = self.change_queue(performance, patch, false, call).await?;
        Ok(Response::new(pb::SetQueueMessageResponse { settings }))
    }

    async fn get_queue(&self, request: Request<pb::GetQueueRequest>) -> Result<Response<pb::GetQueueResponse>, Status> {
        let mut fields = Fields::default();
        let Some(performance) = fields.id("performance_id", &request.get_ref().performance_id) else {
            return Err(fields.into_status());
        };
        let report = self.calls.read(self.queue_admin.report(performance)).await?;
        Ok(Response::new(pb::GetQueueResponse { queue: Some(queue_admin::report_to_proto(&report)) }))
    }

    type WatchQueueStream = Frames<pb::WatchQueueResponse>;

    async fn watch_queue(
        &self,
        request: Request<pb::WatchQueueRequest>,
    ) -> Result<Response<Self::WatchQueueStream>, Status> {
        let (ends_at, session) = (access_ends_at(&request), watch_session(&request, &self.ended_sessions));
        let mut fields = Fields::default();
        let Some(performance) = fields.id("performance_id", &request.get_ref().performance_id) else {
            return Err(fields.into_status());
        };
        let reports = self.calls.read(self.queue_admin.watch(performance)).await?;
        let frames = stream::iter(1..).zip(reports).map(|(sequence, report)| {
            let queue = Some(queue_admin::report_to_proto(&report.map_err(status)?));
            Ok(pb::WatchQueueResponse { sequence, queue })
        });
        let frames = end_with_access(frames, ends_at, Arc::clone(&self.clock));
        let frames = end_with_session(frames, session);
        Ok(Response::new(end_on_shutdown(frames, self.shutdown.clone())))
    }

    async fn grant_lane(
        &self,
        request: Request<pb::GrantLaneRequest>,
    ) -> Result<Response<pb::GrantLaneResponse>, Status> {
        let (caller, message) = (caller(&request)?, request.into_inner());
        let mut fields = Fields::default();
        let performance = fields.id("performance_id", &message.performance_id);
        let user = fields.id("user_id", &message.user_id);
        let lane = fields.read("lane", LaneName::parse(&message.lane));
        let valid_for = grant_time(&mut fields, message.valid_for.as_ref());
        let (Some(performance), Some(user), Some(lane), Some(valid_for)) = (performance, user, lane, valid_for) else {
            return Err(fields.into_status());
        };
        let call = StaffCall { caller, rpc: "AdminService.GrantLane", request: None };
        let queue_admin = self.queue_admin.clone();
        let granting = async move { queue_admin.grant_lane(call, performance, user, lane, valid_for).await };
        let granted = self.calls.write(granting).await?;
        let until = Some(timestamp(granted.until));
        Ok(Response::new(pb::GrantLaneResponse { lane_grant: granted.grant, until }))
    }

    async fn set_user_role(
        &self,
        request: Request<pb::SetUserRoleRequest>,
    ) -> Result<Response<pb::SetUserRoleResponse>, Status> {
        let (caller, message) = (caller(&request)?, request.into_inner());
        let mut fields = Fields::default();
        let user = fields.id("user_id", &message.user_id);
        let role = fields.read("role", role_from_proto(message.role()).ok_or("must be a role"));
        let (Some(user), Some(role)) = (user, role) else {
            return Err(fields.into_status());
        };
        let identity = self.identity.clone();
        let call = StaffCall { caller, rpc: "AdminService.SetUserRole", request: None };
        let user = self.calls.write(async move { identity.set_role(call, user, role).await }).await?;
        Ok(Response::new(pb::SetUserRoleResponse { user: Some(user_to_proto(&user)) }))
    }

    async fn verify_performance(
        &self,
        request: Request<pb::VerifyPerformanceRequest>,
    ) -> Result<Response<pb::VerifyPerformanceResponse>, Status> {
        let mut fields = Fields::default();
        let Some(performance) = fields.id("performance_id", &request.get_ref().performance_id) else {
            return Err(fields.into_status());
        };
        let report = self.calls.read(self.audit.verify(Some(performance))).await?;
        Ok(Response::new(report_to_proto(&report)))
    }
}

impl AdminApi {
    async fn change_queue(
        &self,
        performance: PerformanceId,
        patch: QueuePatch,
        override_ceiling: bool,
        call: StaffCall,
    ) -> Result<Option<pb::QueueSettings>, Status> {
        let queue_admin = self.queue_admin.clone();
        let changed =
            self.calls.write(async move { queue_admin.change(performance, patch, override_ceiling, call).await });
        Ok(Some(settings_to_proto(&changed.await?)))
    }
}
