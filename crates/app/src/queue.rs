//! Joining the queue, knowing where one stands, and leaving.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::catalog::Performance;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::identity::Caller;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{
    Clock, Joining, LaneGrants, Presence, QueueLost, QueueStore, QueueTokens, Seen, SeenRequests,
};
use encore_domain::queue::snapshot::NumberStatus;
use encore_domain::queue::{DrawKey, Drawn, EndReason, LaneName, Lanes, Queue, QueueTokenPayload, TokenState};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use tokio::time::Instant;

use crate::contexts::PerformanceContexts;
use crate::error::AppError;
use crate::open_queues::{OpenQueue, OpenQueues};
use crate::position_stream::PositionStream;
use crate::queue_recovery::QueueRecovery;
use crate::queue_replica::QueueReplicaRegistry;
use crate::queue_status::{Ending, ObservedStatus, QueueStatus, Waiting};
use crate::queue_view::QueueView;
use crate::seat_map::SeatMap;

/// What the use cases of the queue are made of.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the part of its type")]
pub struct QueueParts {
    pub queues: Arc<dyn QueueStore>,
    pub recovery: QueueRecovery,
    pub tokens: Arc<dyn QueueTokens>,
    pub lane_grants: Arc<dyn LaneGrants>,
    pub seen: Arc<dyn SeenRequests>,
    pub contexts: PerformanceContexts,
    pub seat_map: SeatMap,
    pub open_queues: OpenQueues,
    pub replicas: QueueReplicaRegistry,
    pub clock: Arc<dyn Clock>,
}

/// The use cases of `QueueService`, and what a worker does for the queues.
#[derive(Clone)]
pub struct QueueUseCases {
    parts: Arc<QueueParts>,
    /// By queue the grace, and since when keeping presence has gone well with it.
    well_since: Arc<Mutex<HashMap<PerformanceId, (Duration, Timestamp)>>>,
}

/// Somebody's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedQueue {
    /// What is shown from now on.
    pub queue_token: String,
    /// What it says.
    pub payload: QueueTokenPayload,
    /// The lane.
    pub lane: LaneName,
    /// Whether the number is still to be drawn.
    pub pre_queued: bool,
}

/// What is told of a queue's draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawResult {
    /// When the numbers are drawn.
    pub opens_at: Timestamp,
    /// Published before anybody could join: the SHA-256 of the key.
    pub commitment: [u8; 32],
    /// What was drawn, with the key; none before the draw.
    pub drawn: Option<(DrawKey, Vec<(LaneName, Drawn)>)>,
}

impl QueueUseCases {
    /// Puts the use cases on their parts.
    pub fn new(parts: QueueParts) -> Self {
        Self { parts: Arc::new(parts), well_since: Arc::default() }
    }

    /// Gives the caller a token in a queue, or answers the one they have. A lane grant leads into its lane.
    pub async fn join_queue(
        &self,
        caller: Caller,
        performance: PerformanceId,
        lane_grant: Option<&str>,
        request: Option<RequestKey>,
    ) -> Result<JoinedQueue, AppError> {
        let context = self.parts.contexts.performance(performance).await?;
        if !context.has_queue {
            return Err(AppError::NoQueue);
        }
        let now = self.parts.clock.now();
        let open = self.queue_for_joining(&context, now).await?;
        let settings = &open.queue.settings;
        let lane = self.lane(caller, performance, &settings.lanes, lane_grant, now)?;
        self.refuse_reuse(request).await?;
        let presence = Presence { now, grace: settings.grace };
        let joining =
            Joining { performance, user: caller.user, lane, may_enter: !settings.draining, token: None, presence };
        let payload = self.parts.recovery.join(joining).await?;
        let name = settings.lanes.as_slice().get(usize::from(payload.lane)).map(|lane| lane.name.clone());
        Ok(JoinedQueue {
            queue_token: self.parts.tokens.sign(&payload),
            payload,
            lane: name.ok_or_else(|| AppError::Internal(format!("lane {} has no name", payload.lane)))?,
            pre_queued: now < open.opens_at,
        })
    }

    /// The queue, if it is open or collects joiners.
    async fn queue_for_joining(&self, performance: &Performance, now: Timestamp) -> Result<OpenQueue, AppError> {
        let open = self.parts.open_queues.queue_now(performance.id).await?;
        let has_pre_queue = |open: &OpenQueue| open.queue.draw.is_some() && now < open.opens_at;
        if !open.as_ref().is_some_and(has_pre_queue) {
            performance.on_sale.check(now)?;
        }
        Ok(open.ok_or_else(|| Unavailable::of("the queue"))?)
    }

    /// The index of the lane that somebody may join.
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

    /// A stream of the caller's statuses. While it is open the caller is present.
    pub async fn watch_position(&self, caller: Caller, token: &str) -> Result<PositionStream, AppError> {
        let payload = self.read_own(caller, token)?;
        let watcher = self.parts.replicas.watch(&payload).await?;
        Ok(PositionStream::new(self.clone(), payload, watcher))
    }

    /// The caller's standing now. Asking counts as being there.
    pub async fn get_position(&self, caller: Caller, token: &str) -> Result<ObservedStatus, AppError> {
        let payload = self.read_own(caller, token)?;
        let mut view = self.parts.replicas.view_for(&payload).await?;
        let mut status = self.status(&payload, &view).await?;
        if status.is_none() {
            view = self.parts.replicas.renewed_view(payload.performance).await?;
            status = self.status(&payload, &view).await?;
        }
        let status = status.ok_or_else(|| Unavailable::of("the queue's latest state"))?;
        Ok(self.observed(&payload, view.observed_at, status))
    }

    /// A standing as it is told. Who is admitted gets a token that says so.
    pub(crate) fn observed(
        &self,
        payload: &QueueTokenPayload,
        observed_at: Timestamp,
        status: QueueStatus,
    ) -> ObservedStatus {
        let admitted_token = match status {
            QueueStatus::Admitted { until } => {
                Some(self.parts.tokens.sign(&QueueTokenPayload { admitted_until: Some(until), ..*payload }))
            }
            QueueStatus::PreQueued { .. } | QueueStatus::Waiting(_) | QueueStatus::Ended(_) => None,
        };
        ObservedStatus { observed_at, status, admitted_token }
    }

    /// Gives up the caller's token, or ends their active token.
    pub async fn leave_queue(
        &self,
        caller: Caller,
        token: &str,
        request: Option<RequestKey>,
    ) -> Result<EndReason, AppError> {
        let payload = self.read_own(caller, token)?;
        self.refuse_reuse(request).await?;
        match self.parts.recovery.end(&payload, EndReason::Left).await? {
            TokenState::Ended(reason) => Ok(reason),
            state @ (TokenState::Waiting | TokenState::Called { .. } | TokenState::Active { .. }) => {
                Err(AppError::Internal(format!("a token that was ended is {state:?}")))
            }
        }
    }

    /// The draw of a queue, for everybody to check.
    pub async fn get_draw(&self, performance: PerformanceId) -> Result<DrawResult, AppError> {
        let context = self.parts.contexts.performance(performance).await?;
        let queue: Arc<Queue> = self.parts.open_queues.queue_ever(performance).await?.ok_or(AppError::NoQueue)?;
        let key = queue.draw.map(|draw| draw.key).ok_or(AppError::NoDraw)?;
        let drawn = self.parts.recovery.drawn(performance).await?.map(|drawn| {
            let names = queue.settings.lanes.as_slice().iter().map(|lane| lane.name.clone());
            (key, names.zip(drawn).collect())
        });
        Ok(DrawResult { opens_at: context.on_sale.opens_at, commitment: key.commitment(), drawn })
    }

    /// One tick of every open queue: draws the numbers of one that has opened, ends what is due, calls whom rate, batch, maximum and
    /// stock allow, and renews the copies that fans read. Any instance may do it at any time.
    pub async fn tick(&self) -> Result<(), AppError> {
        let (mut outcome, mut admitted_in) = (Ok(()), HashMap::new());
        for (performance, open) in self.parts.open_queues.queues() {
            let begun = Instant::now();
            outcome = outcome.and(self.admit(performance, &open).await);
            admitted_in.insert(performance, begun.elapsed());
        }
        outcome.and(self.parts.replicas.renew_watched(&admitted_in).await)
    }

    async fn admit(&self, performance: PerformanceId, open: &OpenQueue) -> Result<(), AppError> {
        self.parts.recovery.draw(performance, open).await?;
        // Where the stock is not known the claims decide, as they do in the end.
        let stock = self.parts.seat_map.stock(&[performance]).await.ok();
        let stock = stock.and_then(|stock| stock.first().copied());
        let terms = open.terms(stock, self.parts.clock.now());
        self.parts.recovery.admit(performance, &terms).await.map(drop)
    }

    /// Keeps what every open queue has come to where it lasts.
    pub async fn keep_queues(&self) -> Result<(), AppError> {
        let mut outcome = Ok(());
        for (performance, open) in self.parts.open_queues.queues() {
            outcome = outcome.and(self.parts.recovery.keep(performance, &open.queue.settings).await);
        }
        outcome
    }

    /// Reports who is here, and ends the tokens of those who have been nowhere for longer than the grace. While nobody could
    /// report, everybody seems away: after a start, an outage or a change of the grace, tokens are ended only when all has gone well
    /// for a whole grace again.
    pub async fn keep_presence(&self) -> Result<(), AppError> {
        let kept = match self.parts.replicas.report_present().await {
            Ok(()) => self.end_absent().await,
            Err(unavailable) => Err(unavailable),
        };
        if kept.is_err() {
            self.well_since().clear();
        }
        kept
    }

    async fn end_absent(&self) -> Result<(), AppError> {
        let mut outcome = Ok(());
        for (performance, open) in self.parts.open_queues.queues() {
            let (now, grace) = (self.parts.clock.now(), open.queue.settings.grace);
            let since = self.well_with(performance, grace, now);
            if since + grace <= now {
                let ended = self.parts.queues.abandon_absent(performance, Presence { now, grace }).await;
                outcome = outcome.and(match ended {
                    Ok(_) | Err(PortError::Refused(QueueLost)) => Ok(()),
                    Err(PortError::Unavailable(unavailable)) => Err(unavailable.into()),
                });
            }
        }
        outcome
    }

    /// Since when keeping the presence of a queue has gone well with this grace.
    fn well_with(&self, performance: PerformanceId, grace: Duration, now: Timestamp) -> Timestamp {
        let mut well_since = self.well_since();
        let known = well_since.entry(performance).or_insert((grace, now));
        if known.0 != grace {
            *known = (grace, now);
        }
        known.1
    }

    fn well_since(&self) -> MutexGuard<'_, HashMap<PerformanceId, (Duration, Timestamp)>> {
        self.well_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a standing off a view. A called fan who asks has come: the call is accepted. Wherever the view alone cannot
    /// tell, the queue is asked. None if the queue knows more than the view; the next one will say it.
    pub(crate) async fn status(
        &self,
        payload: &QueueTokenPayload,
        view: &QueueView,
    ) -> Result<Option<QueueStatus>, AppError> {
        let token = self.parts.recovery.token(payload);
        let seen = view.status(&token);
        if let Some((NumberStatus::Active { until }, _)) = seen
            && until > view.observed_at
        {
            return Ok(Some(QueueStatus::Admitted { until }));
        }
        let Some(open) = &view.open else {
            return self.status_after_close(payload).await.map(Some);
        };
        if let Some((NumberStatus::PreQueued | NumberStatus::Waiting { .. }, _)) = seen
            && payload.admitted_until.is_some()
            && let Some(status) = self.accept(payload, open).await?
        {
            // The view is of before the fan was admitted.
            return Ok(Some(status));
        }
        match seen {
            Some((NumberStatus::PreQueued | NumberStatus::Waiting { .. }, _)) if view.is_quiet() => Ok(None),
            Some((NumberStatus::PreQueued, people_waiting)) => {
                let (opens_at, message) = (open.opens_at, view.message.clone());
                Ok(Some(QueueStatus::PreQueued { opens_at, people_waiting, message }))
            }
            Some((NumberStatus::Waiting { position }, people_waiting)) => Ok(Some(QueueStatus::Waiting(Waiting {
                position,
                // A view from before the fan joined does not count them.
                people_waiting: people_waiting.max(position),
                wait: view.wait(token.lane_number(), position),
                seats_left: view.stock.free,
                phase: view.phase(),
                message: view.message.clone(),
            }))),
            Some((NumberStatus::Called | NumberStatus::Active { .. } | NumberStatus::Ended, _)) | None => {
                self.accept(payload, open).await
            }
        }
    }

    /// The position that a drawn number has in a view: 0 for who is past waiting, none while the numbers are not drawn.
    pub(crate) fn drawn_position(&self, payload: &QueueTokenPayload, view: &QueueView) -> Option<u64> {
        match view.status(&self.parts.recovery.token(payload))?.0 {
            NumberStatus::PreQueued => None,
            NumberStatus::Waiting { position } => Some(position),
            NumberStatus::Called | NumberStatus::Active { .. } | NumberStatus::Ended => Some(0),
        }
    }

    async fn accept(&self, payload: &QueueTokenPayload, open: &OpenQueue) -> Result<Option<QueueStatus>, AppError> {
        Ok(match self.parts.recovery.accept(payload, open.queue.settings.active_duration).await? {
            TokenState::Active { until } => Some(QueueStatus::Admitted { until }),
            TokenState::Ended(reason) => Some(QueueStatus::Ended(Ending::Token(reason))),
            TokenState::Waiting | TokenState::Called { .. } => None,
        })
    }

    async fn status_after_close(&self, payload: &QueueTokenPayload) -> Result<QueueStatus, AppError> {
        Ok(match self.parts.recovery.state(payload).await? {
            TokenState::Active { until } => QueueStatus::Admitted { until },
            TokenState::Ended(reason) => QueueStatus::Ended(Ending::Token(reason)),
            TokenState::Waiting | TokenState::Called { .. } => QueueStatus::Ended(Ending::SaleClosed),
        })
    }

    /// The queue token of a token that is the caller's own.
    fn read_own(&self, caller: Caller, token: &str) -> Result<QueueTokenPayload, AppError> {
        let payload = self.parts.tokens.read(token).filter(|payload| payload.user == caller.user);
        payload.ok_or(AppError::QueueTokenInvalid)
    }

    async fn refuse_reuse(&self, request: Option<RequestKey>) -> Result<(), AppError> {
        let Some(request) = request else { return Ok(()) };
        match self.parts.seen.remember(request).await? {
            Seen::First | Seen::Same => Ok(()),
            Seen::Other => Err(AppError::RequestReused),
        }
    }
}
