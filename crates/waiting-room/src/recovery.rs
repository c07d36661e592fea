//! Access to the queue store that survives the store's losses: a queue that the store lost is restored from its record, and a call
//! that found it lost is repeated.

mod checkpoint;
mod drawing;
mod ended;
mod facts;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_domain::error::{PortError, RequestError, Unavailable};
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{
    Absent, Clock, Draws, JoinRefusal, Joined, Joining, Presence, QueueLost, QueueRecords, QueueStore, RequestReused,
    SHOWN_MAX, TokenRefusal,
};
use encore_domain::queue::fact::QueueFacts;
use encore_domain::queue::snapshot::QueueSnapshot;
use encore_domain::queue::{
    AdmissionTerms, Draw, DrawEntries, EndReason, EndedToken, LaneNumber, Queue, QueueRecord, QueueToken,
    QueueTokenPayload, TokenState,
};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use tokio::sync::Semaphore;
use tracing::{info, warn};

use self::ended::EndedNotes;
use self::facts::Facts;
use crate::error::{WaitingRoomError, refusal};
use crate::known_draws::KnownDraws;
use crate::open_queues::{OpenQueue, OpenQueues};
use crate::queue_locks::QueueLocks;

/// How often a join is tried. It may need more kinds of repair than other calls.
const JOIN_TRIES_MAX: usize = 6;
/// How often a call is tried. Each kind of repair is needed at most once per call, unless the store is lost again meanwhile.
const TRIES_MAX: usize = 4;
/// How many records an instance writes at once: a part of its connections to the store of records, which holds need too.
const RECORDED_AT_ONCE: usize = 8;
/// How many draws an instance computes at once. Each takes a core for up to seconds.
const DRAWN_AT_ONCE: usize = 2;

/// The ports behind the waiting room. Nothing but [`Recovery`] uses them.
pub(crate) struct RecoveryPorts {
    pub(crate) queues: Arc<dyn QueueStore>,
    pub(crate) records: Arc<dyn QueueRecords>,
    pub(crate) draws: Arc<dyn Draws>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where it notes what happens to fans.
    pub(crate) facts: Arc<QueueFacts>,
}

/// The only access to the queue store.
pub(crate) struct Recovery {
    ports: RecoveryPorts,
    open_queues: Arc<OpenQueues>,
    known_draws: KnownDraws,
    /// A queue is locked while it is restored or an index limit is raised, so that many calls that find the same fault cause one
    /// repair.
    repairing: QueueLocks,
    /// Limits how many records are written at once.
    recording: Semaphore,
    /// Limits how many draws are computed at once.
    drawing: Semaphore,
    ended_notes: EndedNotes,
    /// The last checkpoint of each queue. A checkpoint with nothing new is not written.
    checkpoints: Mutex<HashMap<PerformanceId, QueueRecord>>,
}

impl Recovery {
    pub(crate) fn new(ports: RecoveryPorts, open_queues: Arc<OpenQueues>) -> Self {
        let (known_draws, checkpoints) = (KnownDraws::default(), Mutex::default());
        let (recording, drawing) = (Semaphore::new(RECORDED_AT_ONCE), Semaphore::new(DRAWN_AT_ONCE));
        let (repairing, ended_notes) = (QueueLocks::default(), EndedNotes::new(Arc::clone(&ports.records)));
        Self { ports, open_queues, known_draws, repairing, recording, drawing, ended_notes, checkpoints }
    }

    /// Gives a fan a token, or returns the token the fan has.
    pub(crate) async fn join(&self, mut joining: Joining) -> Result<QueueTokenPayload, WaitingRoomError> {
        for _ in 0..JOIN_TRIES_MAX {
            let refused = match self.ports.queues.join(joining).await {
                Ok(Joined { payload, replaced }) => {
                    self.facts().joined(&payload, joining.presence.now);
                    if let Some(replaced) = replaced {
                        self.facts().replaced(&payload, &replaced, joining.presence.now);
                        self.ended_notes.note(payload.performance, payload.epoch, vec![replaced]).await?;
                    }
                    return Ok(payload);
                }
                Err(error) => refusal(error)?,
            };
            match refused {
                JoinRefusal::NoToken => return Err(WaitingRoomError::Draining),
                JoinRefusal::Reused(RequestReused) => return Err(WaitingRoomError::RequestReused),
                JoinRefusal::EntryNeeded { epoch } => joining.entry = self.enter_draw(&joining, epoch).await?,
                JoinRefusal::Drawing => self.draw_entered(&joining).await?,
                JoinRefusal::NumberNeeded { payload, drawn } => {
                    joining.token = Some(self.drawn_token(payload, drawn).await?);
                }
                JoinRefusal::Lost => self.restore(joining.performance).await?,
                JoinRefusal::NumbersSpent => self.allot(joining.performance, joining.lane).await?,
            }
        }
        Err(Unavailable::of("the queue").into())
    }

    /// The token of an earlier join with the same request. None too if the queue is lost, and its requests with it.
    pub(crate) async fn find_join(
        &self,
        performance: PerformanceId,
        request: RequestKey,
    ) -> Result<Option<QueueTokenPayload>, RequestError<Infallible>> {
        self.ports.queues.find_join(performance, request).await.map_err(|error| match error {
            PortError::Refused(RequestReused) => RequestError::Reused,
            PortError::Unavailable(unavailable) => unavailable.into(),
        })
    }

    /// Notes that the fan of a token asked to leave. Returns the state of the token.
    pub(crate) async fn note_leave(
        &self,
        payload: &QueueTokenPayload,
        request: Option<RequestKey>,
    ) -> Result<TokenState, WaitingRoomError> {
        let note = |token, now| async move { self.ports.queues.note_leave(&token, request, now).await };
        self.repaired(payload, note).await
    }

    /// The state of a token.
    pub(crate) async fn state(&self, payload: &QueueTokenPayload) -> Result<TokenState, WaitingRoomError> {
        self.repaired(payload, |token, now| async move { self.ports.queues.state(&token, now).await }).await
    }

    /// Makes a called token active. A token in any other state is left as it is. `called_at` is when it was called, if that is known.
    pub(crate) async fn accept(
        &self,
        payload: &QueueTokenPayload,
        active_duration: Duration,
        called_at: Option<Timestamp>,
    ) -> Result<TokenState, WaitingRoomError> {
        let accept = |token, now| async move {
            let answer = self.ports.queues.accept(&token, active_duration, now).await;
            if let Ok(TokenState::Active { until }) = answer {
                self.facts().accepted(payload, called_at, until, (now, active_duration));
            }
            answer
        };
        self.repaired(payload, accept).await
    }

    /// Ends a token, unless it has ended before. Whoever ends it has noted that in the records.
    pub(crate) async fn end(
        &self,
        payload: &QueueTokenPayload,
        reason: EndReason,
    ) -> Result<TokenState, WaitingRoomError> {
        let end = |token, now| async move { self.ports.queues.end(&token, reason, now).await };
        let state = self.repaired(payload, end).await?;
        if let TokenState::Ended(reason) = state {
            self.facts().ended(payload, reason, self.ports.clock.now());
        }
        Ok(state)
    }

    /// Notes facts of the fans.
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts(&self.ports.facts)
    }

    /// Ends a called token whose fan could buy nothing, and notes it.
    pub(crate) async fn pass_over(
        &self,
        payload: &QueueTokenPayload,
        called_at: Option<Timestamp>,
    ) -> Result<TokenState, WaitingRoomError> {
        self.facts().called(payload, called_at);
        let QueueTokenPayload { performance, epoch, lane, index, .. } = *payload;
        let reason = EndReason::LimitReached;
        self.ended_notes.note(performance, epoch, vec![EndedToken { lane, index, reason }]).await?;
        self.end(payload, reason).await
    }

    /// Takes one of the hold attempts of an active token. Returns whether one was left.
    pub(crate) async fn spend_hold_try(
        &self,
        payload: &QueueTokenPayload,
        tries: u32,
    ) -> Result<bool, WaitingRoomError> {
        let spend = |token, now| async move { self.ports.queues.spend_hold_try(&token, tries, now).await };
        self.repaired(payload, spend).await
    }

    /// Returns a hold attempt that was taken for a call that costs none.
    pub(crate) async fn return_hold_try(&self, payload: &QueueTokenPayload) -> Result<(), WaitingRoomError> {
        self.repaired(payload, |token, now| async move { self.ports.queues.return_hold_try(&token, now).await }).await
    }

    /// Until when a token is active by its own signed content, for use while the queue store is unavailable. None if the payload
    /// does not say that the fan was admitted, if the deadline has passed, or if the token is noted as ended.
    pub(crate) async fn active_without_queue(
        &self,
        payload: &QueueTokenPayload,
    ) -> Result<Option<Timestamp>, Unavailable> {
        let now = self.ports.clock.now();
        let Some(until) = payload.admitted_until.filter(|until| now < *until) else { return Ok(None) };
        Ok(self.ports.records.find_ended(payload).await?.is_none().then_some(until))
    }

    /// A copy of the queue. A lost queue is restored first; none if nobody ever joined it.
    pub(crate) async fn snapshot(&self, performance: PerformanceId) -> Result<Option<QueueSnapshot>, WaitingRoomError> {
        if let Some(snapshot) = self.stored_snapshot(performance).await? {
            return Ok(Some(snapshot));
        }
        if self.ports.records.find(performance).await?.is_none() {
            return Ok(None);
        }
        self.restore(performance).await?;
        Ok(self.stored_snapshot(performance).await?)
    }

    /// A copy of the queue as the store has it. None if the store has no such queue; nothing is restored.
    pub(crate) async fn stored_snapshot(
        &self,
        performance: PerformanceId,
    ) -> Result<Option<QueueSnapshot>, Unavailable> {
        self.ports.queues.snapshot(performance).await
    }

    /// Ends what is due, then calls as many fans as the terms allow. A lost queue is restored and calls nobody this time. A queue
    /// that nobody ever joined stays unopened.
    pub(crate) async fn admit(&self, open: &OpenQueue, terms: &AdmissionTerms) -> Result<(), WaitingRoomError> {
        if let Err(error) = self.ports.queues.admit(open.performance, terms, self.ports.clock.now()).await {
            let QueueLost = refusal(error)?;
            if self.ports.records.find(open.performance).await?.is_some() {
                self.restore(open.performance).await?;
            }
        }
        Ok(())
    }

    /// Shows the tokens of these fans to a queue that was restored.
    pub(crate) async fn show(&self, open: &OpenQueue, payloads: &[QueueTokenPayload]) -> Result<(), WaitingRoomError> {
        self.show_with_grace(open.performance, payloads, open.queue.settings.grace).await
    }

    async fn show_with_grace(
        &self,
        performance: PerformanceId,
        payloads: &[QueueTokenPayload],
        grace: Duration,
    ) -> Result<(), WaitingRoomError> {
        let presence = Presence { now: self.ports.clock.now(), grace };
        for payloads in payloads.chunks(SHOWN_MAX) {
            let draws = self.known_draws.of(performance);
            let tokens: Vec<QueueToken> = payloads.iter().map(|payload| draws.token(*payload)).collect();
            match self.ports.queues.show(performance, &tokens, presence).await {
                Ok(replaced) => {
                    let epoch = payloads.first().map_or(0, |payload| payload.epoch);
                    self.facts().ended_tokens(performance, epoch, &replaced, presence.now);
                    self.ended_notes.note(performance, epoch, replaced).await?;
                }
                Err(error) => {
                    let refusal = refusal(error)?;
                    info!(%performance, %refusal, "queue refused tokens shown in bulk; each stream shows its own token instead");
                }
            }
        }
        Ok(())
    }

    /// Reports that the fans of these tokens are present. A lost queue takes no report: the next tick restores it, and showing a
    /// token to a restored queue reports its fan.
    pub(crate) async fn report_present(
        &self,
        open: &OpenQueue,
        payloads: &[QueueTokenPayload],
    ) -> Result<(), WaitingRoomError> {
        let (performance, presence) = (open.performance, self.presence(open));
        let draws = self.known_draws.of(performance);
        let drawn = draws.is_drawn();
        let numbers: Vec<LaneNumber> = payloads.iter().map(|payload| draws.token(*payload).lane_number()).collect();
        unless_lost(self.ports.queues.report_present(performance, &numbers, drawn, presence).await)?;
        Ok(())
    }

    /// Ends the waiting tokens whose fans were absent for longer than the grace, and notes them. Does nothing to a lost queue.
    pub(crate) async fn abandon_absent(&self, open: &OpenQueue) -> Result<(), WaitingRoomError> {
        let performance = open.performance;
        if open.draw_key().is_some() && !self.known_draws.is_drawn(performance) {
            // Without the draw, nobody could tell which token has a number.
            self.learn_draw(performance).await?;
        }
        let absent = self.ports.queues.abandon_absent(performance, self.presence(open)).await;
        let Some(Absent { epoch, numbers }) = unless_lost(absent)? else { return Ok(()) };
        let draws = self.known_draws.of(performance);
        let ended = |absent: LaneNumber| EndedToken {
            lane: absent.lane,
            index: draws.index(absent),
            reason: EndReason::Abandoned,
        };
        let absent: Vec<EndedToken> = numbers.into_iter().map(ended).collect();
        self.facts().ended_tokens(performance, epoch, &absent, self.ports.clock.now());
        Ok(self.ended_notes.note(performance, epoch, absent).await?)
    }

    /// The token of this payload, with its drawn number if this instance knows the draw.
    pub(crate) fn token(&self, payload: &QueueTokenPayload) -> QueueToken {
        self.known_draws.of(payload.performance).token(*payload)
    }

    /// Learns from a snapshot which lanes are drawn. `open` has the key of the draw.
    pub(crate) fn learn(&self, performance: PerformanceId, open: Option<&OpenQueue>, snapshot: &QueueSnapshot) {
        self.known_draws.update(performance, open.and_then(OpenQueue::draw_key), snapshot);
    }

    fn presence(&self, open: &OpenQueue) -> Presence {
        Presence { now: self.ports.clock.now(), grace: open.queue.settings.grace }
    }

    /// Calls the queue store, repairs what the call was refused for, and calls again.
    async fn repaired<T, F>(
        &self,
        payload: &QueueTokenPayload,
        call: impl Fn(QueueToken, Timestamp) -> F,
    ) -> Result<T, WaitingRoomError>
    where
        F: Future<Output = Result<T, PortError<TokenRefusal>>>,
    {
        for _ in 0..TRIES_MAX {
            match call(self.token(payload), self.ports.clock.now()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.repair(payload, refusal(error)?).await?,
            }
        }
        Err(Unavailable::of("the queue").into())
    }

    /// Removes the cause of a refusal: restores a lost queue, learns a draw, shows a token that was not shown since the queue was
    /// restored.
    async fn repair(&self, payload: &QueueTokenPayload, refused: TokenRefusal) -> Result<(), WaitingRoomError> {
        match refused {
            TokenRefusal::Lost => self.restore(payload.performance).await,
            TokenRefusal::Drawn { .. } => self.learn_draw(payload.performance).await,
            TokenRefusal::Unseen => {
                let grace = self.queue(payload.performance).await?.settings.grace;
                self.show_with_grace(payload.performance, &[*payload], grace).await
            }
            TokenRefusal::Drawing => Err(Unavailable::of("the draw").into()),
            TokenRefusal::Reused(RequestReused) => Err(WaitingRoomError::RequestReused),
        }
    }

    /// The token of a payload whose lane is drawn: `drawn` says of how many fans.
    async fn drawn_token(&self, payload: QueueTokenPayload, drawn: u64) -> Result<QueueToken, WaitingRoomError> {
        let draw = self.queue(payload.performance).await?.draw.ok_or(WaitingRoomError::NoDraw)?;
        Ok(payload.token(Some(&Draw::new(draw.key, payload.lane, drawn))))
    }

    /// A queue, open or closed.
    async fn queue(&self, performance: PerformanceId) -> Result<Arc<Queue>, WaitingRoomError> {
        self.open_queues.find_closed_too(performance).await?.ok_or(WaitingRoomError::NoQueue)
    }

    /// Opens a queue in the store from its record. A queue without a record is new: its record is written first.
    async fn restore(&self, performance: PerformanceId) -> Result<(), WaitingRoomError> {
        let _exclusive = self.repairing.lock(performance).await;
        // Another call may have restored it meanwhile. Opening twice changes nothing, but reads records, draws and ended tokens.
        if self.stored_snapshot(performance).await?.is_some() {
            return Ok(());
        }
        let RecoveryPorts { queues, records, draws, clock, .. } = &self.ports;
        let queue = self.queue(performance).await?;
        let now = clock.now();
        let new = QueueRecord::begun(now.timestamp_millis(), &queue.settings, now);
        let mut record = records.begin(performance, new).await?;
        let drawn = draws.find(performance).await?.unwrap_or_default();
        let counts: Vec<u64> = drawn.iter().map(|drawn| drawn.count).collect();
        if queue.draw.is_some() {
            let entries = match counts.as_slice() {
                [] => draws.entries(performance).await?,
                counts => DrawEntries { joined: counts.to_vec(), closed: true },
            };
            record = record.with_entries(&entries);
        }
        let mut ended = Vec::new();
        if !record.is_new() {
            ended = records.ended(performance, record.epoch).await?;
        }
        let key = queue.draw.map(|draw| draw.key);
        let restored = record.restored(key, &counts, &ended, &queue.settings, clock.now());
        let done = queues.open(performance, &restored).await?;
        self.known_draws.set(performance, key, restored.lanes.iter().map(|lane| lane.drawn));
        if done && !record.is_new() {
            warn!(%performance, ended_tokens = ended.len(), "queue was lost from its store; restored it from its record");
        }
        Ok(())
    }
}

/// The answer of the store, or none if it has lost the queue.
fn unless_lost<T>(answer: Result<T, PortError<QueueLost>>) -> Result<Option<T>, WaitingRoomError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => {
            let QueueLost = refusal(error)?;
            Ok(None)
        }
    }
}
