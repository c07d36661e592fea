//! The façade: everything that other crates may ask of the queues.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use encore_bulkhead::Bulkhead;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{Catalog, Clock, Draws, Joining, Presence, QueueRecords, QueueStore};
use encore_domain::queue::fact::QueueFacts;
use encore_domain::queue::snapshot::QueueSnapshot;
use encore_domain::queue::{DrawKey, Drawn, EndReason, LaneName, Queue, QueueTokenPayload, TokenState};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use futures::join;

use crate::absence::AbsenceSweep;
use crate::admission::{self, Admission};
use crate::error::WaitingRoomError;
use crate::open_queues::{self, OpenQueue, OpenQueues};
use crate::openings::Openings;
use crate::recovery::{Recovery, RecoveryPorts};
use crate::registry::{self, ReplicaRegistry};
use crate::report::QueueReport;
use crate::status::{Ending, ObservedStatus, QueueStatus};
use crate::status_reader::StatusReader;
use crate::stock::Stock;
use crate::stream::PositionStream;

/// A checkpoint takes a read of the queue and a few writes.
const CHECKPOINT_DEADLINE: Duration = Duration::from_secs(10);

/// What a waiting room is made of.
#[expect(missing_docs, reason = "each field is the port of its type")]
pub struct WaitingRoomParts {
    pub queues: Arc<dyn QueueStore>,
    pub records: Arc<dyn QueueRecords>,
    pub draws: Arc<dyn Draws>,
    pub catalog: Arc<dyn Catalog>,
    pub stock: Arc<dyn Stock>,
    pub clock: Arc<dyn Clock>,
}

/// The queues of all performances. Clones share everything.
#[derive(Clone)]
pub struct WaitingRoom(Arc<Inner>);

struct Inner {
    open_queues: Arc<OpenQueues>,
    recovery: Arc<Recovery>,
    replicas: Arc<ReplicaRegistry>,
    statuses: StatusReader,
    admission: Arc<Admission>,
    absence: Arc<AbsenceSweep>,
    checkpoints: Bulkhead,
    openings: Arc<Openings>,
    clock: Arc<dyn Clock>,
}

/// A fan who joins.
#[derive(Clone, Copy, Debug)]
pub struct Entrant {
    /// Who.
    pub user: UserId,
    /// The index of the lane.
    pub lane: u8,
    /// Whether the fan needs an accessible seat.
    pub needs_accessible: bool,
}

/// The draw of a queue, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawOutcome {
    /// Its key. It is secret until the numbers are drawn.
    pub key: DrawKey,
    /// What was drawn, by lane; none before the draw.
    pub drawn: Option<Vec<(LaneName, Drawn)>>,
}

/// What fans do.
impl WaitingRoom {
    /// A queue that is open or in its pre-queue; none if it is neither.
    pub async fn open_queue(&self, performance: PerformanceId) -> Result<Option<OpenQueue>, Unavailable> {
        self.0.open_queues.find_now(performance).await
    }

    /// Whether the pre-queue of a queue whose sale opens at `opens_at` is open. It reads the catalog once per queue: a queue whose
    /// time has not come is asked for by many.
    pub async fn is_in_pre_queue(
        &self,
        performance: PerformanceId,
        opens_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Unavailable> {
        Ok(now < opens_at && self.0.open_queues.pre_queue_opens_at(performance).await?.is_some_and(|at| at <= now))
    }

    /// Gives a fan a token in a lane, or returns the token the fan has. The fan is present. A repeated request returns the token of
    /// the first call.
    pub async fn join(
        &self,
        open: &OpenQueue,
        fan: Entrant,
        request: Option<RequestKey>,
    ) -> Result<QueueTokenPayload, WaitingRoomError> {
        let settings = &open.queue.settings;
        let presence = Presence { now: self.0.clock.now(), grace: settings.grace };
        let (performance, may_enter) = (open.performance, !settings.draining);
        let Entrant { user, lane, needs_accessible } = fan;
        let (token, entry) = (None, None);
        let joining = Joining { performance, user, lane, needs_accessible, may_enter, token, presence, request, entry };
        self.0.recovery.join(joining).await
    }

    /// The token of an earlier join with the same request, whether or not the fan could join now.
    pub async fn find_join(
        &self,
        performance: PerformanceId,
        request: RequestKey,
    ) -> Result<Option<QueueTokenPayload>, RequestError<Infallible>> {
        self.0.recovery.find_join(performance, request).await
    }

    /// The status of a token that its fan was just given. It costs no more than reading a shared view: many fans join at once. None
    /// if a moment must pass before the status is known.
    pub async fn joined_status(&self, payload: &QueueTokenPayload) -> Result<Option<ObservedStatus>, WaitingRoomError> {
        let view = self.0.replicas.view_of(payload.performance).await?;
        let status = self.0.statuses.read_joined(payload, &view).await?;
        Ok(status.map(|status| ObservedStatus { observed_at: view.observed_at, status }))
    }

    /// The status of a token now. A call is accepted by it, and the fan is present.
    pub async fn position(&self, payload: &QueueTokenPayload) -> Result<ObservedStatus, WaitingRoomError> {
        let Inner { replicas, statuses, .. } = &*self.0;
        let mut view = replicas.view_for(payload).await?;
        let mut status = statuses.read(payload, &view).await?;
        if status.is_none() {
            view = replicas.renewed_view(payload.performance).await?;
            status = statuses.read(payload, &view).await?;
        }
        let status = status.ok_or_else(|| Unavailable::of("the queue's latest state"))?;
        let status = self.latest(payload, status).await?;
        Ok(ObservedStatus { observed_at: view.observed_at, status })
    }

    /// The status of a token that a view shows as waiting or admitted. The view may be from before a leave or a payment that was
    /// answered already, on any instance, so the store is asked. While it is unavailable the view counts.
    async fn latest(&self, payload: &QueueTokenPayload, seen: QueueStatus) -> Result<QueueStatus, WaitingRoomError> {
        if matches!(seen, QueueStatus::Ended(_)) {
            return Ok(seen);
        }
        match self.0.recovery.state(payload).await {
            Ok(TokenState::Active { until }) => Ok(QueueStatus::Admitted { until }),
            Ok(TokenState::Ended(reason)) => Ok(QueueStatus::Ended(Ending::Token(reason))),
            Ok(TokenState::Waiting | TokenState::Called { .. }) | Err(WaitingRoomError::Unavailable(_)) => Ok(seen),
            Err(error) => Err(error),
        }
    }

    /// A stream of a token's statuses. While it is open the fan is present, and a call is accepted.
    pub async fn watch(&self, payload: &QueueTokenPayload) -> Result<PositionStream, WaitingRoomError> {
        let watcher = self.0.replicas.watch(payload).await?;
        Ok(PositionStream::new(self.0.statuses.clone(), watcher))
    }

    /// Notes the request of a fan to leave, before anything of the token ends. Returns why the token has ended; none if it has not.
    pub async fn note_leave(
        &self,
        payload: &QueueTokenPayload,
        request: Option<RequestKey>,
    ) -> Result<Option<EndReason>, WaitingRoomError> {
        match self.0.recovery.note_leave(payload, request).await? {
            TokenState::Ended(reason) => Ok(Some(reason)),
            TokenState::Waiting | TokenState::Called { .. } | TokenState::Active { .. } => Ok(None),
        }
    }

    /// Ends a token in the queue store, unless it has ended before. Returns why it ended. The caller has noted in the records that
    /// it ends.
    pub async fn end(&self, payload: &QueueTokenPayload, reason: EndReason) -> Result<EndReason, WaitingRoomError> {
        match self.0.recovery.end(payload, reason).await? {
            TokenState::Ended(reason) => Ok(reason),
            state @ (TokenState::Waiting | TokenState::Called { .. } | TokenState::Active { .. }) => {
                Err(WaitingRoomError::Internal(format!("a token that was ended is {state:?}")))
            }
        }
    }

    /// The draw of a queue, open or closed.
    pub async fn draw(&self, performance: PerformanceId) -> Result<DrawOutcome, WaitingRoomError> {
        let queue = self.queue(performance).await?;
        let key = queue.draw.map(|draw| draw.key).ok_or(WaitingRoomError::NoDraw)?;
        let drawn = self.0.recovery.drawn(performance).await?.map(|drawn| {
            let names = queue.settings.lanes.as_slice().iter().map(|lane| lane.name.clone());
            names.zip(drawn).collect()
        });
        Ok(DrawOutcome { key, drawn })
    }
}

/// What guarded calls ask.
impl WaitingRoom {
    /// Until when a token is active. The queue store is asked, not a replica. While the store is unavailable, a token that says it
    /// was admitted is accepted until its deadline, unless it is noted as ended.
    pub async fn authorize(&self, payload: &QueueTokenPayload) -> Result<Timestamp, WaitingRoomError> {
        match self.0.recovery.state(payload).await {
            Ok(TokenState::Active { until }) => Ok(until),
            Ok(TokenState::Waiting | TokenState::Called { .. }) => Err(WaitingRoomError::NotAdmitted),
            Ok(TokenState::Ended(reason)) => Err(WaitingRoomError::TokenEnded(reason)),
            Err(WaitingRoomError::Unavailable(unavailable)) => {
                let until = self.0.recovery.active_without_queue(payload).await?;
                until.ok_or(WaitingRoomError::Unavailable(unavailable))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes one of the hold attempts of an active token, if its queue limits them. While the queue store is unavailable nothing is
    /// taken: the limit stops endless attempts, and a sale does not stop for it. A queue that this instance has not read yet is
    /// looked up in the catalog.
    pub async fn spend_hold_try(&self, payload: &QueueTokenPayload) -> Result<(), WaitingRoomError> {
        let Some(tries) = self.hold_tries(payload.performance).await? else { return Ok(()) };
        match self.0.recovery.spend_hold_try(payload, tries).await {
            Ok(true) | Err(WaitingRoomError::Unavailable(_)) => Ok(()),
            Ok(false) => Err(WaitingRoomError::HoldTriesExhausted { tries }),
            Err(error) => Err(error),
        }
    }

    /// Returns a hold attempt that was taken for a call that costs none.
    pub async fn return_hold_try(&self, payload: &QueueTokenPayload) -> Result<(), WaitingRoomError> {
        match self.hold_tries(payload.performance).await? {
            Some(_) => self.0.recovery.return_hold_try(payload).await,
            None => Ok(()),
        }
    }

    async fn hold_tries(&self, performance: PerformanceId) -> Result<Option<u32>, Unavailable> {
        let queue = self.0.open_queues.find_closed_too(performance).await?;
        Ok(queue.and_then(|queue| queue.settings.hold_tries))
    }
}

/// What operators and the auditor ask.
impl WaitingRoom {
    /// The settings and the draw of a queue, open or closed.
    pub async fn queue(&self, performance: PerformanceId) -> Result<Arc<Queue>, WaitingRoomError> {
        self.0.open_queues.find_closed_too(performance).await?.ok_or(WaitingRoomError::NoQueue)
    }

    /// The report of a queue.
    pub async fn report(&self, performance: PerformanceId) -> Result<QueueReport, WaitingRoomError> {
        let queue = self.queue(performance).await?;
        let view = self.0.replicas.view_of(performance).await?;
        Ok(QueueReport::new(&queue.settings, &view))
    }

    /// A copy of a queue as the store has it, for the auditor. None if the store has no such queue; nothing is restored.
    pub async fn stored_snapshot(&self, performance: PerformanceId) -> Result<Option<QueueSnapshot>, Unavailable> {
        self.0.recovery.stored_snapshot(performance).await
    }

    /// The most fans who may be inside; none if the performance has no open queue, as of the last refresh.
    pub fn max_active(&self, performance: PerformanceId) -> Option<u32> {
        self.0.open_queues.find(performance).map(|open| open.queue.settings.max_active)
    }

    /// The performances on sale, and those whose queue is in its pre-queue, as of the last refresh.
    pub fn on_sale(&self) -> Vec<PerformanceId> {
        self.0.open_queues.on_sale().keys().copied().collect()
    }
}

/// What the workers of every instance do. Each step is idempotent and may run on all instances at the same time. A step about all
/// queues runs side by side for each, and returns without those that hang.
impl WaitingRoom {
    /// How often [`Self::refresh_open_queues`] runs. An operator's change takes effect on all instances within this time.
    pub const REFRESH_EVERY: Duration = open_queues::REFRESH_EVERY;
    /// How often [`Self::tick`] runs.
    pub const TICK_EVERY: Duration = registry::TICK;
    /// How often [`Self::checkpoint`] runs. A restored queue may be this much older than the lost one.
    pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
    /// How often [`Self::keep_presence`] runs: many times within every grace.
    pub const PRESENCE_EVERY: Duration = Duration::from_secs(1);

    /// Reads from the catalog which queues are open, and their settings.
    pub async fn refresh_open_queues(&self) -> Result<(), Unavailable> {
        self.0.open_queues.refresh().await
    }

    /// Runs one tick of every open queue: draws the numbers of one that has opened, ends what is due, calls as many fans as rate,
    /// batch, maximum and stock allow, and renews the replicas that fans read.
    pub async fn tick(&self) -> Result<(), WaitingRoomError> {
        self.0.admission.tick().await
    }

    /// The same without ending or calling anybody: for an instance whose clock is wrong, whose fans go on watching.
    pub async fn renew(&self) -> Result<(), WaitingRoomError> {
        self.0.admission.renew().await
    }

    /// Forgets what this instance knows of queues that are closed. [`Self::checkpoint`] does that, too.
    pub fn forget_closed(&self) {
        let on_sale = self.0.open_queues.on_sale();
        self.0.recovery.forget_closed(|performance| on_sale.contains_key(&performance));
        self.0.openings.forget_closed(|performance| on_sale.contains_key(&performance));
    }

    /// Writes the state of every open queue to its record, from which it is restored if the store loses it. Notes the opening of a queue
    /// that has opened, once.
    pub async fn checkpoint(&self) -> Result<(), WaitingRoomError> {
        self.forget_closed();
        let queues = self.0.open_queues.all().into_iter().map(|open| (open.performance, open));
        let checkpoint = |open| {
            let (recovery, openings) = (Arc::clone(&self.0.recovery), Arc::clone(&self.0.openings));
            async move {
                // A queue that hangs in its store is noted all the same.
                let (kept, noted) = join!(recovery.checkpoint(&open), openings.note(&open));
                kept.and(noted.map_err(WaitingRoomError::from))
            }
        };
        self.0.checkpoints.run(queues, checkpoint).await
    }

    /// Reports the present fans of this instance, and ends the tokens of fans who were absent for longer than the grace.
    pub async fn keep_presence(&self) -> Result<(), WaitingRoomError> {
        self.0.absence.run(true).await
    }

    /// The same without ending any token: for an instance whose clock is wrong.
    pub async fn report_present(&self) -> Result<(), WaitingRoomError> {
        self.0.absence.run(false).await
    }
}

impl WaitingRoom {
    /// A waiting room on its ports. It knows no open queue until the first [`Self::refresh_open_queues`].
    pub fn new(parts: WaitingRoomParts) -> Self {
        Self::noting(parts, Arc::new(QueueFacts::off()))
    }

    /// The same, which notes what happens to fans.
    pub fn noting(parts: WaitingRoomParts, facts: Arc<QueueFacts>) -> Self {
        let WaitingRoomParts { queues, records, draws, catalog, stock, clock } = parts;
        let openings = Arc::new(Openings::new(Arc::clone(&catalog), Arc::clone(&clock)));
        let open_queues = Arc::new(OpenQueues::new(catalog, Arc::clone(&clock)));
        let ports = RecoveryPorts { queues, records, draws, clock: Arc::clone(&clock), facts };
        let recovery = Arc::new(Recovery::new(ports, Arc::clone(&open_queues)));
        let replicas = Arc::new(ReplicaRegistry::new(
            Arc::clone(&recovery),
            Arc::clone(&open_queues),
            Arc::clone(&stock),
            Arc::clone(&clock),
        ));
        let absence = AbsenceSweep::new(
            Arc::clone(&recovery),
            Arc::clone(&open_queues),
            Arc::clone(&replicas),
            Arc::clone(&clock),
        );
        let statuses = StatusReader::new(Arc::clone(&recovery), Arc::clone(&stock));
        let admission = Admission {
            bulkhead: Bulkhead::new("tick", admission::DEADLINE),
            recovery: Arc::clone(&recovery),
            open_queues: Arc::clone(&open_queues),
            replicas: Arc::clone(&replicas),
            stock,
            clock: Arc::clone(&clock),
        };
        let checkpoints = Bulkhead::new("queue records", CHECKPOINT_DEADLINE);
        let (admission, absence) = (Arc::new(admission), Arc::new(absence));
        Self(Arc::new(Inner {
            open_queues,
            recovery,
            replicas,
            statuses,
            admission,
            absence,
            checkpoints,
            openings,
            clock,
        }))
    }
}
