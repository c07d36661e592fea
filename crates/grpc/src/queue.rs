//! `QueueService`.

use encore_app::queue::{DrawResult, Ending, JoinRequest, Position, QueueStatus, QueueUseCases, Waiting};
use encore_app::queue_admin::QueuePhase;
use encore_app::sessions::EndedSessions;
use encore_domain::queue::{Drawn, EndReason, LaneName, QueueMessage};
use encore_proto::queue::v1::{self as pb, queue_service_server::QueueService};
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::authenticate::{caller, watch_session};
use crate::calls::Calls;
use crate::fields::Fields;
use crate::sent_body::sent_body;
use crate::status::status;
use crate::streams::{Frames, end_on_shutdown, end_with_session};
use crate::to_proto::{duration, timestamp};

pub(crate) struct QueueApi {
    pub(crate) queue: QueueUseCases,
    pub(crate) calls: Calls,
    /// Ends the streams of a session with it.
    pub(crate) ended_sessions: EndedSessions,
    /// Ends the streams when this instance shuts down.
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl QueueService for QueueApi {
    async fn join_queue(
        &self,
        request: Request<pb::JoinQueueRequest>,
    ) -> Result<Response<pb::JoinQueueResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("JoinQueue", &message));
        let performance = fields.id("performance_id", &message.performance_id);
        let (Some(key), Some(performance)) = (key, performance) else {
            return Err(fields.into_status());
        };
        let queue = self.queue.clone();
        let joined = self.calls.write(async move {
            let lane_grant = Some(message.lane_grant.as_str()).filter(|grant| !grant.is_empty());
            let join = JoinRequest { lane_grant, needs_accessible: message.needs_accessible };
            queue.join_queue(caller, performance, join, key).await
        });
        let joined = joined.await?;
        Ok(Response::new(pb::JoinQueueResponse {
            queue_token: joined.queue_token,
            join_index: joined.payload.index,
            lane: joined.lane.to_string(),
            issued_at: Some(timestamp(joined.payload.issued_at)),
            needs_accessible: joined.payload.needs_accessible,
            observed_at: joined.position.as_ref().map(|position| timestamp(position.observed_at)),
            status: joined.position.map(to_proto),
        }))
    }

    type WatchPositionStream = Frames<pb::WatchPositionResponse>;

    async fn watch_position(
        &self,
        request: Request<pb::WatchPositionRequest>,
    ) -> Result<Response<Self::WatchPositionStream>, Status> {
        let (caller, session) = (caller(&request)?, watch_session(&request, &self.ended_sessions));
        let token = &request.get_ref().queue_token;
        let positions = self.calls.read(self.queue.watch_position(caller, token)).await?;
        let frames = stream::iter(1..).zip(positions).map(|(sequence, position)| {
            let position = position.map_err(status)?;
            Ok(pb::WatchPositionResponse {
                sequence,
                observed_at: Some(timestamp(position.observed_at)),
                status: Some(to_proto(position)),
            })
        });
        Ok(Response::new(end_on_shutdown(end_with_session(frames, session), self.shutdown.clone())))
    }

    async fn get_position(
        &self,
        request: Request<pb::GetPositionRequest>,
    ) -> Result<Response<pb::GetPositionResponse>, Status> {
        let caller = caller(&request)?;
        let token = &request.get_ref().queue_token;
        let position = self.calls.read(self.queue.get_position(caller, token)).await?;
        let (observed_at, issued_at) = (Some(timestamp(position.observed_at)), Some(timestamp(position.issued_at)));
        Ok(Response::new(pb::GetPositionResponse { observed_at, status: Some(to_proto(position)), issued_at }))
    }

    async fn leave_queue(
        &self,
        request: Request<pb::LeaveQueueRequest>,
    ) -> Result<Response<pb::LeaveQueueResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, &sent.of("LeaveQueue", &message));
        let Some(key) = key else {
            return Err(fields.into_status());
        };
        let queue = self.queue.clone();
        let left = self.calls.write(async move { queue.leave_queue(caller, &message.queue_token, key).await });
        let reason = end_reason_to_proto(left.await?);
        Ok(Response::new(pb::LeaveQueueResponse { reason: reason.into() }))
    }

    async fn get_draw(&self, request: Request<pb::GetDrawRequest>) -> Result<Response<pb::GetDrawResponse>, Status> {
        let mut fields = Fields::default();
        let Some(performance) = fields.id("performance_id", &request.get_ref().performance_id) else {
            return Err(fields.into_status());
        };
        let draw = self.calls.read(self.queue.get_draw(performance)).await?;
        Ok(Response::new(draw_to_proto(draw)))
    }
}

fn draw_to_proto(draw: DrawResult) -> pb::GetDrawResponse {
    let (key, lanes) = draw.drawn.map_or((Vec::new(), Vec::new()), |(key, lanes)| (key.0.to_vec(), lanes));
    let lane = |(name, drawn): (LaneName, Drawn)| pb::LaneDraw {
        lane: name.to_string(),
        joined: drawn.count,
        numbers_sha256: drawn.digest.to_vec(),
    };
    pb::GetDrawResponse {
        opens_at: Some(timestamp(draw.opens_at)),
        key_sha256: draw.commitment.to_vec(),
        key,
        lanes: lanes.into_iter().map(lane).collect(),
    }
}

fn to_proto(position: Position) -> pb::QueueStatus {
    let status = match position.status {
        QueueStatus::PreQueued { opens_at, people_waiting, message } => {
            let (opens_at, message) = (Some(timestamp(opens_at)), text(message.as_deref()));
            pb::queue_status::Status::PreQueued(pb::PreQueued { opens_at, people_waiting, message })
        }
        QueueStatus::Waiting(waiting) => pb::queue_status::Status::Waiting(waiting_to_proto(&waiting)),
        QueueStatus::Admitted { until } => pb::queue_status::Status::Admitted(pb::Admitted {
            until: Some(timestamp(until)),
            queue_token: position.admitted_token.unwrap_or_default(),
        }),
        QueueStatus::Ended(ending) => {
            let reason = match ending {
                Ending::Token(reason) => end_reason_to_proto(reason),
                Ending::SaleClosed => pb::EndReason::SaleClosed,
            };
            pb::queue_status::Status::Ended(pb::Ended { reason: reason.into() })
        }
    };
    pb::QueueStatus { status: Some(status) }
}

fn waiting_to_proto(waiting: &Waiting) -> pb::Waiting {
    pb::Waiting {
        position: waiting.position,
        people_waiting: waiting.people_waiting,
        seats_left: waiting.seats_left,
        paused: waiting.phase == QueuePhase::Paused,
        wait_p50: waiting.wait.p50.map(duration),
        wait_p90: waiting.wait.p90.map(duration),
        message: text(waiting.message.as_deref()),
        sold_out: waiting.phase == QueuePhase::SoldOut,
    }
}

fn text(message: Option<&QueueMessage>) -> String {
    message.map(|message| message.as_str().to_owned()).unwrap_or_default()
}

fn end_reason_to_proto(reason: EndReason) -> pb::EndReason {
    match reason {
        EndReason::Used => pb::EndReason::Used,
        EndReason::Left => pb::EndReason::Left,
        EndReason::Expired => pb::EndReason::Expired,
        EndReason::Abandoned => pb::EndReason::Abandoned,
        EndReason::Replaced => pb::EndReason::Replaced,
        EndReason::LimitReached => pb::EndReason::SeatLimitReached,
        EndReason::Reset => pb::EndReason::Reset,
    }
}
