//! `QueueService`.

use std::pin::Pin;

use encore_app::queue::{Ending, FanStanding, ObservedStanding, QueueUseCases};
use encore_domain::queue::EndReason;
use encore_proto::queue::v1::{self as pb, queue_service_server::QueueService};
use futures::{Stream, StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::authenticate::caller;
use crate::calls::Calls;
use crate::fields::Fields;
use crate::status::{shutting_down, status};
use crate::to_proto::timestamp;

pub(crate) struct QueueApi {
    pub(crate) queue: QueueUseCases,
    pub(crate) calls: Calls,
    /// Ends the streams when this instance shuts down.
    pub(crate) shutdown: CancellationToken,
}

pub(crate) type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl QueueService for QueueApi {
    async fn join_queue(
        &self,
        request: Request<pb::JoinQueueRequest>,
    ) -> Result<Response<pb::JoinQueueResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, "JoinQueue", &message);
        let performance = fields.id("performance_id", &message.performance_id);
        let (Some(key), Some(performance)) = (key, performance) else {
            return Err(fields.into_status());
        };
        let queue = self.queue.clone();
        let joined = self.calls.write(async move { queue.join_queue(caller, performance, key).await });
        let (queue_token, ticket) = joined.await?;
        Ok(Response::new(pb::JoinQueueResponse { queue_token, number: ticket.number }))
    }

    type WatchPositionStream = Frames<pb::WatchPositionResponse>;

    async fn watch_position(
        &self,
        request: Request<pb::WatchPositionRequest>,
    ) -> Result<Response<Self::WatchPositionStream>, Status> {
        let caller = caller(&request)?;
        let token = &request.get_ref().queue_token;
        let positions = self.calls.read(self.queue.watch_position(caller, token)).await?;
        let frames = stream::iter(1..).zip(positions.frames()).map(|(sequence, observed)| {
            let observed = observed.map_err(status)?;
            Ok(pb::WatchPositionResponse {
                sequence,
                observed_at: Some(timestamp(observed.observed_at)),
                standing: Some(to_proto(observed.standing)),
            })
        });
        Ok(Response::new(end_on_shutdown(frames, self.shutdown.clone())))
    }

    async fn get_position(
        &self,
        request: Request<pb::GetPositionRequest>,
    ) -> Result<Response<pb::GetPositionResponse>, Status> {
        let caller = caller(&request)?;
        let token = &request.get_ref().queue_token;
        let ObservedStanding { observed_at, standing } =
            self.calls.read(self.queue.get_position(caller, token)).await?;
        let observed_at = Some(timestamp(observed_at));
        Ok(Response::new(pb::GetPositionResponse { observed_at, standing: Some(to_proto(standing)) }))
    }

    async fn leave_queue(
        &self,
        request: Request<pb::LeaveQueueRequest>,
    ) -> Result<Response<pb::LeaveQueueResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.optional_request(caller.user, &message.request_id, "LeaveQueue", &message);
        let Some(key) = key else {
            return Err(fields.into_status());
        };
        let queue = self.queue.clone();
        let left = self.calls.write(async move { queue.leave_queue(caller, &message.queue_token, key).await });
        let reason = end_reason_to_proto(left.await?);
        Ok(Response::new(pb::LeaveQueueResponse { reason: reason.into() }))
    }
}

/// The frames until shutdown, and then the status that says where to go on.
pub(crate) fn end_on_shutdown<T: Send + 'static>(
    frames: impl Stream<Item = Result<T, Status>> + Send + 'static,
    shutdown: CancellationToken,
) -> Frames<T> {
    let ended = shutdown.clone();
    let farewell = stream::once(async move { ended.is_cancelled().then(|| Err(shutting_down())) });
    let farewell = farewell.filter_map(|farewell| async move { farewell });
    Box::pin(frames.take_until(shutdown.cancelled_owned()).chain(farewell))
}

fn to_proto(standing: FanStanding) -> pb::Standing {
    let standing = match standing {
        FanStanding::Waiting { position, people_waiting, seats_left, paused } => {
            pb::standing::Standing::Waiting(pb::Waiting { position, people_waiting, seats_left, paused })
        }
        FanStanding::Admitted { until } => {
            pb::standing::Standing::Admitted(pb::Admitted { until: Some(timestamp(until)) })
        }
        FanStanding::Ended(ending) => {
            let reason = match ending {
                Ending::Token(reason) => end_reason_to_proto(reason),
                Ending::SaleClosed => pb::EndReason::SaleClosed,
            };
            pb::standing::Standing::Ended(pb::Ended { reason: reason.into() })
        }
    };
    pb::Standing { standing: Some(standing) }
}

fn end_reason_to_proto(reason: EndReason) -> pb::EndReason {
    match reason {
        EndReason::Used => pb::EndReason::Used,
        EndReason::Left => pb::EndReason::Left,
        EndReason::Expired => pb::EndReason::Expired,
        EndReason::Abandoned => pb::EndReason::Abandoned,
        EndReason::Reset => pb::EndReason::Reset,
    }
}
