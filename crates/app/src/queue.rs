//! Joining a queue, reading the position in it, and leaving it.

use std::sync::Arc;

use encore_domain::catalog::{NotOnSale, Performance};
use encore_domain::error::Unavailable;
use encore_domain::identity::Caller;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Clock, LaneGrants, QueueTokens, Reservations};
use encore_domain::queue::{DrawKey, Drawn, EndReason, LaneName, Lanes, QueueTokenPayload};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use encore_seat_map::SeatMap;
pub use encore_waiting_room::{Ending, QueueStatus, Waiting};
use encore_waiting_room::{Entrant, ObservedStatus, OpenQueue, WaitingRoom};
use futures::{Stream, StreamExt};

use crate::contexts::PerformanceContexts;
use crate::error::AppError;
use crate::repeats::or_first_result_of;

/// What the use cases of the queue are made of.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the part of its type")]
pub struct QueueParts {
    pub room: WaitingRoom,
    pub tokens: Arc<dyn QueueTokens>,
    pub lane_grants: Arc<dyn LaneGrants>,
    pub reservations: Arc<dyn Reservations>,
    pub seat_map: SeatMap,
    pub contexts: PerformanceContexts,
    pub clock: Arc<dyn Clock>,
}

/// The use cases of `QueueService`.
#[derive(Clone)]
pub struct QueueUseCases {
    parts: Arc<QueueParts>,
}

/// A token that a fan was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedQueue {
    /// The signed queue token, which the fan shows from now on.
    pub queue_token: String,
    /// What it says.
    pub payload: QueueTokenPayload,
    /// The lane.
    pub lane: LaneName,
    /// The status; none if it is not known at the moment.
    pub position: Option<Position>,
}

/// What a fan who joins asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct JoinRequest<'request> {
    /// A grant of a lane that is not open to everybody.
    pub lane_grant: Option<&'request str>,
    /// Whether the fan needs an accessible seat.
    pub needs_accessible: bool,
}

/// A status as it is sent to the fan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// When the status was true.
    pub observed_at: Timestamp,
    /// When the queue token was issued.
    pub issued_at: Timestamp,
    /// The status.
    pub status: QueueStatus,
    /// For an admitted fan: the queue token that says so. It is accepted even while the queue store is unavailable.
    pub admitted_token: Option<String>,
}

/// The draw of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawResult {
    /// When the numbers are drawn.
    pub opens_at: Timestamp,
    /// The SHA-256 of the key. It is published before anybody can join.
    pub commitment: [u8; 32],
    /// The key and what was drawn; none before the draw.
    pub drawn: Option<(DrawKey, Vec<(LaneName, Drawn)>)>,
}

impl QueueUseCases {
    /// Puts the use cases on their parts.
    pub fn new(parts: QueueParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Gives the caller a token in a queue, or returns the token the caller has. A lane grant leads into its lane.
    /// Idempotent: a repeated request returns its token, whatever has become of token, queue and sale since.
    pub async fn join_queue(
        &self,
        caller: Caller,
        performance: PerformanceId,
        wanted: JoinRequest<'_>,
        request: Option<RequestKey>,
    ) -> Result<JoinedQueue, AppError> {
        let joined = self.join(caller, performance, wanted, request).await;
        if let Err(AppError::NotOnSale(NotOnSale::NotYet { .. })) = joined {
            // Nobody can have joined. The look-up would make the rush before an opening as dear as the opening.
            return self.joined(joined?).await;
        }
        let find_first = |request| self.parts.room.find_join(performance, request);
        self.joined(or_first_result_of(request, joined, find_first).await?).await
    }

    async fn join(
        &self,
        caller: Caller,
        performance: PerformanceId,
        JoinRequest { lane_grant, needs_accessible }: JoinRequest<'_>,
        request: Option<RequestKey>,
    ) -> Result<QueueTokenPayload, AppError> {
        let context = self.parts.contexts.performance(performance).await?;
        if !context.has_queue {
            return Err(AppError::NoQueue);
        }
        let now = self.parts.clock.now();
        let open = self.queue_for_joining(&context, now).await?;
        self.check_limit(caller, &context).await?;
        let lanes = &open.queue.settings.lanes;
        let lane = self.lane(caller, performance, lanes, lane_grant, now)?;
        let fan = Entrant { user: caller.user, lane, needs_accessible };
        Ok(self.parts.room.join(&open, fan, request).await?)
    }

    /// Refuses a fan who has bought as many seats as one fan may, and could buy nothing. While that is not known the fan may join:
    /// it is asked again when the fan is called.
    async fn check_limit(&self, caller: Caller, performance: &Performance) -> Result<(), AppError> {
        if !self.parts.seat_map.any_sold(performance.id).await {
            return Ok(());
        }
        let owned = self.parts.seat_map.bought(performance.id, caller.user).await.unwrap_or_default();
        let limit = performance.seats_per_fan;
        if owned < limit { Ok(()) } else { Err(AppError::OverLimit { limit, owned }) }
    }

    async fn joined(&self, payload: QueueTokenPayload) -> Result<JoinedQueue, AppError> {
        let queue = self.parts.room.queue(payload.performance).await?;
        let name = queue.settings.lanes.as_slice().get(usize::from(payload.lane)).map(|lane| lane.name.clone());
        // The fan has the token, whether or not its status can be read now.
        let observed = self.parts.room.joined_status(&payload).await.ok().flatten();
        Ok(JoinedQueue {
            queue_token: self.parts.tokens.sign(&payload),
            position: observed.map(|observed| position(&*self.parts.tokens, &payload, observed)),
            payload,
            lane: name.ok_or_else(|| AppError::Internal(format!("lane {} has no name", payload.lane)))?,
        })
    }

    /// The queue, if it is open or in its pre-queue. Before and after that the answer comes from memory: many fans try.
    async fn queue_for_joining(&self, performance: &Performance, now: Timestamp) -> Result<OpenQueue, AppError> {
        let Performance { id, on_sale, amended, .. } = performance;
        if let Err(shut) = performance.check_on_sale(now)
            && (amended.withdrawn_at.is_some() || !self.parts.room.is_in_pre_queue(*id, on_sale.opens_at, now).await?)
        {
            return Err(shut.into());
        }
        Ok(self.parts.room.open_queue(*id).await?.ok_or_else(|| Unavailable::of("the queue"))?)
    }

    /// The index of the lane that the caller may join.
    fn lane(
        &self,
        caller: Caller,
        performance: PerformanceId,
        lanes: &Lanes,
        grant: Option<&str>,
        now: Timestamp,
    ) -> Result<u8, AppError> {
        let Some(grant) = grant else { return Ok(0) };
        let pass = self
            .parts
            .lane_grants
            .read(grant)
            .filter(|pass| pass.performance == performance && pass.user == caller.user && now < pass.until);
        pass.and_then(|pass| lanes.find(&pass.lane)).ok_or(AppError::LaneGrantInvalid)
    }

    /// A stream of the caller's positions. While it is open the caller is present.
    pub async fn watch_position(
        &self,
        caller: Caller,
        token: &str,
    ) -> Result<impl Stream<Item = Result<Position, AppError>> + Send + use<>, AppError> {
        let payload = self.read_own(caller, token)?;
        let stream = self.parts.room.watch(&payload).await?;
        let tokens = Arc::clone(&self.parts.tokens);
        Ok(stream.frames().map(move |observed| Ok(position(&*tokens, &payload, observed?))))
    }

    /// The caller's position now. Asking counts as being present.
    pub async fn get_position(&self, caller: Caller, token: &str) -> Result<Position, AppError> {
        let payload = self.read_own(caller, token)?;
        let observed = self.parts.room.position(&payload).await?;
        Ok(position(&*self.parts.tokens, &payload, observed))
    }

    /// Ends the caller's token, and releases the caller's holds of its performance, which could not be paid any more.
    ///
    /// A token ends once, so a repeat returns the reason that the first call returned. Nothing but the request is kept of it, before
    /// anything changes: another call with the same id and another token is refused. The end of the token and the release of the holds
    /// are one transaction, which comes first: a retry finds both or none. A token that has ended has no part in what the fan holds
    /// with another.
    pub async fn leave_queue(
        &self,
        caller: Caller,
        token: &str,
        request: Option<RequestKey>,
    ) -> Result<EndReason, AppError> {
        // The token says in which queue the request is kept. A repeat has the same token.
        let payload = self.read_own(caller, token)?;
        if let Some(reason) = self.parts.room.note_leave(&payload, request).await? {
            return Ok(reason);
        }
        let released = self.parts.reservations.leave(payload, self.parts.clock.now()).await?;
        let reason = self.parts.room.end(&payload, EndReason::Left).await?;
        for hold in released {
            self.parts.seat_map.release(hold.performance, &hold.slots(), hold.id).await;
        }
        Ok(reason)
    }

    /// The draw of a queue, for everybody to check.
    pub async fn get_draw(&self, performance: PerformanceId) -> Result<DrawResult, AppError> {
        let opens_at = self.parts.contexts.performance(performance).await?.on_sale.opens_at;
        let draw = self.parts.room.draw(performance).await?;
        let drawn = draw.drawn.map(|drawn| (draw.key, drawn));
        Ok(DrawResult { opens_at, commitment: draw.key.commitment(), drawn })
    }

    /// The payload of a token that is the caller's own.
    fn read_own(&self, caller: Caller, token: &str) -> Result<QueueTokenPayload, AppError> {
        let payload = self.parts.tokens.read(token).filter(|payload| payload.user == caller.user);
        payload.ok_or(AppError::QueueTokenInvalid)
    }
}

/// A status for the fan. An admitted fan gets a token that says so.
fn position(tokens: &dyn QueueTokens, payload: &QueueTokenPayload, observed: ObservedStatus) -> Position {
    let ObservedStatus { observed_at, status } = observed;
    let admitted_token = match status {
        QueueStatus::Admitted { until } => {
            Some(tokens.sign(&QueueTokenPayload { admitted_until: Some(until), ..*payload }))
        }
        QueueStatus::PreQueued { .. } | QueueStatus::Waiting(_) | QueueStatus::Ended(_) => None,
    };
    Position { observed_at, issued_at: payload.issued_at, status, admitted_token }
}
