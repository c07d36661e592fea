//! Queues that put themselves in place again when their store has lost them, and tokens that are found by their queue tokens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{
    Clock, CutLane, Draws, FrozenLane, JoinRefusal, Joining, Payments, Presence, QueueLost, QueueRecords, QueueStore,
    SHOWN_MAX, TokenRefusal,
};
use encore_domain::queue::snapshot::QueueSnapshot;
use encore_domain::queue::{
    AdmissionTerms, Draw, DrawKey, Drawn, EndReason, Queue, QueueRecord, QueueSettings, QueueToken, QueueTokenPayload,
    TokenState,
};
use encore_domain::time::Timestamp;
use tracing::{info, warn};

use crate::error::AppError;
use crate::open_queues::{OpenQueue, OpenQueues};

/// How many indexes are allotted to a lane at once. What a lost store had allotted and not given out is skipped, which nobody
/// sees; more allotted at once means fewer writes to the records in a rush.
const ALLOTMENT: u64 = 100_000;
/// How often a call is tried again after the queue was put in place or a token was shown: each happens once, unless the store is
/// lost again meanwhile.
const TRIES_MAX: usize = 4;
/// A record that says nothing new is kept again after this long: its age says how many may have come in since.
const KEEP_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What this instance knows of a queue's draw: of how many each lane's numbers were drawn, and the draws themselves.
#[derive(Clone, Default)]
struct KnownDraw(Arc<Vec<Option<Draw>>>);

/// What the queue is asked about a queue token.
#[derive(Clone, Copy)]
enum Question {
    State,
    Accept { active_duration: Duration },
    End { reason: EndReason },
}

/// The waiting queues, with what keeps them alive.
#[derive(Clone)]
pub struct QueueRecovery {
    queues: Arc<dyn QueueStore>,
    records: Arc<dyn QueueRecords>,
    draws: Arc<dyn Draws>,
    payments: Arc<dyn Payments>,
    open_queues: OpenQueues,
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<HashMap<PerformanceId, KnownDraw>>>,
    /// Held while a queue is put in place or a limit is raised, so that a crowd that finds it lost causes one repair.
    repair: Arc<tokio::sync::Mutex<()>>,
    /// What was last kept of each queue, to write only what moves.
    kept: Arc<Mutex<HashMap<PerformanceId, QueueRecord>>>,
}

/// The ports of the recovery.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the port of its type")]
pub struct RecoveryPorts {
    pub queues: Arc<dyn QueueStore>,
    pub records: Arc<dyn QueueRecords>,
    pub draws: Arc<dyn Draws>,
    pub payments: Arc<dyn Payments>,
    pub clock: Arc<dyn Clock>,
}

impl QueueRecovery {
    /// Puts the recovery on its ports.
    pub fn new(ports: RecoveryPorts, open_queues: OpenQueues) -> Self {
        let RecoveryPorts { queues, records, draws, payments, clock } = ports;
        let (known, repair, kept) = (Arc::default(), Arc::default(), Arc::default());
        Self { queues, records, draws, payments, open_queues, clock, known, repair, kept }
    }

    /// Gives a token to somebody, or answers the token they have.
    pub async fn join(&self, mut joining: Joining) -> Result<QueueTokenPayload, AppError> {
        for _ in 0..TRIES_MAX {
            match self.queues.join(joining).await {
                Ok(payload) => return Ok(payload),
                Err(PortError::Refused(JoinRefusal::NoToken)) => return Err(AppError::QueueDraining),
                Err(PortError::Refused(JoinRefusal::NumberNeeded { payload, drawn })) => {
                    joining.token = Some(self.drawn_token(payload, drawn).await?);
                }
                Err(PortError::Refused(JoinRefusal::Lost)) => self.put_in_place(joining.performance).await?,
                Err(PortError::Refused(JoinRefusal::NumbersSpent)) => {
                    self.allot(joining.performance, joining.lane).await?;
                }
                Err(PortError::RequestReused) => return Err(AppError::RequestReused),
                Err(PortError::Unavailable(unavailable)) => return Err(unavailable.into()),
            }
        }
        Err(Unavailable::of("the queue").into())
    }

    /// The state of a queue token.
    pub async fn state(&self, payload: &QueueTokenPayload) -> Result<TokenState, AppError> {
        self.ask(payload, Question::State).await
    }

    /// Makes a called queue token active; any other is left as it is.
    pub async fn accept(&self, payload: &QueueTokenPayload, active_duration: Duration) -> Result<TokenState, AppError> {
        self.ask(payload, Question::Accept { active_duration }).await
    }

    /// Ends a queue token, unless it has ended before.
    pub async fn end(&self, payload: &QueueTokenPayload, reason: EndReason) -> Result<TokenState, AppError> {
        self.ask(payload, Question::End { reason }).await
    }

    /// Takes one of the holds that an active queue token may try.
    pub async fn spend_hold_try(&self, payload: &QueueTokenPayload, tries: u32) -> Result<bool, AppError> {
        for _ in 0..TRIES_MAX {
            match self.queues.spend_hold_try(&self.token(payload), tries, self.clock.now()).await {
                Ok(spent) => return Ok(spent),
                Err(error) => self.repair(payload, error).await?,
            }
        }
        Err(Unavailable::of("the queue").into())
    }

    /// Until when a queue token is good by its own word, where the queue cannot be asked: it says that the fan was admitted, and the
    /// fan has not paid since.
    pub async fn passes_without_queue(&self, payload: &QueueTokenPayload) -> Result<Option<Timestamp>, Unavailable> {
        let Some(until) = payload.admitted_until.filter(|until| self.clock.now() < *until) else { return Ok(None) };
        Ok((!self.payments.has_used(payload).await?).then_some(until))
    }

    /// A copy of the queue; one that was lost is put in place first.
    pub async fn snapshot(&self, performance: PerformanceId) -> Result<Option<QueueSnapshot>, AppError> {
        if let Some(snapshot) = self.queues.snapshot(performance).await? {
            return Ok(Some(snapshot));
        }
        if self.records.find(performance).await?.is_none() {
            return Ok(None);
        }
        self.put_in_place(performance).await?;
        Ok(self.queues.snapshot(performance).await?)
    }

    /// Ends what is due and calls whom the terms allow. Of a queue that was lost nobody is called; it is put in place. A queue that
    /// nobody ever joined stays as it is.
    pub async fn admit(&self, performance: PerformanceId, terms: &AdmissionTerms) -> Result<u64, AppError> {
        match self.queues.admit(performance, terms, self.clock.now()).await {
            Ok(called) => Ok(called),
            Err(PortError::Refused(QueueLost)) => {
                if self.records.find(performance).await?.is_some() {
                    self.put_in_place(performance).await?;
                }
                Ok(0)
            }
            Err(PortError::RequestReused) => Err(AppError::RequestReused),
            Err(PortError::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    /// Shows the tokens of these queue tokens to a queue that was restored.
    pub async fn show(
        &self,
        performance: PerformanceId,
        payloads: &[QueueTokenPayload],
        presence: Presence,
    ) -> Result<(), AppError> {
        for payloads in payloads.chunks(SHOWN_MAX) {
            let draws = self.known_draws(performance);
            let tokens: Vec<QueueToken> = payloads.iter().map(|payload| draws.token(*payload)).collect();
            match self.queues.show(performance, &tokens, presence).await {
                Ok(()) => {}
                // Each stream shows its own token when it asks.
                Err(PortError::Refused(refusal)) => info!(%performance, %refusal, "tokens were not shown in bulk"),
                Err(PortError::RequestReused) => return Err(AppError::RequestReused),
                Err(PortError::Unavailable(unavailable)) => return Err(unavailable.into()),
            }
        }
        Ok(())
    }

    /// The token of a queue token, as far as this instance knows the draw.
    pub fn token(&self, payload: &QueueTokenPayload) -> QueueToken {
        self.known_draws(payload.performance).token(*payload)
    }

    /// Whether this instance knows that the numbers were drawn.
    pub fn knows_draw(&self, performance: PerformanceId) -> bool {
        self.known_draws(performance).is_drawn()
    }

    /// Learns from a snapshot of how many the numbers were drawn.
    pub fn learn(&self, performance: PerformanceId, key: Option<DrawKey>, snapshot: &QueueSnapshot) {
        let counts: Vec<Option<u64>> = snapshot.lanes.iter().map(|lane| lane.drawn).collect();
        if self.known_draws(performance).counts() != counts {
            self.know(performance, key, &counts);
        }
    }

    async fn ask(&self, payload: &QueueTokenPayload, question: Question) -> Result<TokenState, AppError> {
        for _ in 0..TRIES_MAX {
            let (token, now) = (self.token(payload), self.clock.now());
            let answer = match question {
                Question::State => self.queues.state(&token, now).await,
                Question::Accept { active_duration } => self.queues.accept(&token, active_duration, now).await,
                Question::End { reason } => self.queues.end(&token, reason, now).await,
            };
            match answer {
                Ok(state) => return Ok(state),
                Err(error) => self.repair(payload, error).await?,
            }
        }
        Err(Unavailable::of("the queue").into())
    }

    /// Puts right what stands between a queue token and its queue, so that the queue can be asked again: a queue that was lost, a draw that
    /// this instance has not heard of, a token that was not shown since the queue was put in place.
    async fn repair(&self, payload: &QueueTokenPayload, error: PortError<TokenRefusal>) -> Result<(), AppError> {
        match error {
            PortError::Refused(TokenRefusal::Lost) => self.put_in_place(payload.performance).await,
            PortError::Refused(TokenRefusal::Drawn { .. }) => self.learn_draw(payload.performance).await,
            PortError::Refused(TokenRefusal::Unseen) => self.show_one(payload).await,
            PortError::Refused(TokenRefusal::Drawing) => Err(Unavailable::of("the draw").into()),
            PortError::RequestReused => Err(AppError::RequestReused),
            PortError::Unavailable(unavailable) => Err(unavailable.into()),
        }
    }

    /// The token of a queue token whose lane's numbers were drawn of so many.
    async fn drawn_token(&self, payload: QueueTokenPayload, drawn: u64) -> Result<QueueToken, AppError> {
        let key = self.queue(payload.performance).await?.draw.map(|draw| draw.key).ok_or(AppError::NoDraw)?;
        Ok(payload.token(Some(&Draw::new(key, payload.lane, drawn))))
    }

    async fn show_one(&self, payload: &QueueTokenPayload) -> Result<(), AppError> {
        let grace = self.queue(payload.performance).await?.settings.grace;
        self.show(payload.performance, &[*payload], Presence { now: self.clock.now(), grace }).await
    }

    async fn queue(&self, performance: PerformanceId) -> Result<Arc<Queue>, AppError> {
        self.open_queues.queue_ever(performance).await?.ok_or(AppError::NoQueue)
    }

    async fn learn_draw(&self, performance: PerformanceId) -> Result<(), AppError> {
        let key = self.queue(performance).await?.draw.map(|draw| draw.key);
        if let Some(snapshot) = self.queues.snapshot(performance).await? {
            self.learn(performance, key, &snapshot);
        }
        Ok(())
    }

    fn know(&self, performance: PerformanceId, key: Option<DrawKey>, counts: &[Option<u64>]) {
        let draw = |(lane, count): (u8, &Option<u64>)| Some(Draw::new(key?, lane, (*count)?));
        let draws = KnownDraw(Arc::new((0..).zip(counts).map(draw).collect()));
        lock(&self.known).insert(performance, draws);
    }

    fn known_draws(&self, performance: PerformanceId) -> KnownDraw {
        lock(&self.known).get(&performance).cloned().unwrap_or_default()
    }

    /// Puts a queue in place from its record, which is begun if there is none.
    async fn put_in_place(&self, performance: PerformanceId) -> Result<(), AppError> {
        let _alone = self.repair.lock().await;
        // Whoever waited for this very repair finds it done; opening again would do nothing, but reads what lasts.
        if self.queues.snapshot(performance).await?.is_some() {
            return Ok(());
        }
        let queue = self.queue(performance).await?;
        let now = self.clock.now();
        let new = QueueRecord::begun(now.timestamp_millis(), &queue.settings, now);
        let record = self.records.begin(performance, new).await?;
        let drawn = self.draws.find(performance).await?.unwrap_or_default();
        let counts: Vec<u64> = drawn.iter().map(|drawn| drawn.count).collect();
        let used = if record.is_new() {
            Vec::new()
        } else {
            self.payments.ended_queue_tokens(performance, record.epoch).await?
        };
        let key = queue.draw.map(|draw| draw.key);
        let restored = record.restored(key, &counts, &used, &queue.settings, self.clock.now());
        let done = self.queues.open(performance, &restored).await?;
        let counts: Vec<Option<u64>> = restored.lanes.iter().map(|lane| lane.drawn).collect();
        self.know(performance, key, &counts);
        if done && !record.is_new() {
            warn!(%performance, used = used.len(), "the queue was lost, and is open again");
        }
        Ok(())
    }

    /// Allots more indexes to a lane that has given out all it had.
    async fn allot(&self, performance: PerformanceId, lane: u8) -> Result<(), AppError> {
        let _alone = self.repair.lock().await;
        if let Some(snapshot) = self.queues.snapshot(performance).await? {
            self.raise_limit(performance, &snapshot, lane, 0).await?;
        }
        Ok(())
    }

    /// Raises the limit of a lane that has no more than so many indexes left.
    async fn raise_limit(
        &self,
        performance: PerformanceId,
        snapshot: &QueueSnapshot,
        lane: u8,
        left: u64,
    ) -> Result<(), AppError> {
        let Some(state) = snapshot.lanes.get(usize::from(lane)) else { return Ok(()) };
        if state.limit.saturating_sub(state.tail) > left {
            return Ok(());
        }
        let limit = self.records.raise_limit(performance, lane, state.tail + ALLOTMENT).await?;
        match self.queues.extend(performance, snapshot.epoch, lane, limit).await {
            // A lost queue is put in place by whoever asks next.
            Ok(()) | Err(PortError::Refused(QueueLost)) => Ok(()),
            Err(PortError::RequestReused) => Err(AppError::RequestReused),
            Err(PortError::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    /// Keeps what a queue has come to where it lasts, if it moved, and allots indexes ahead of their use.
    pub async fn keep(&self, performance: PerformanceId, settings: &QueueSettings) -> Result<(), AppError> {
        let Some(snapshot) = self.queues.snapshot(performance).await? else { return Ok(()) };
        for lane in (0..).take(snapshot.lanes.len()) {
            let in_use = snapshot.lanes[usize::from(lane)].limit > 0;
            if in_use {
                self.raise_limit(performance, &snapshot, lane, ALLOTMENT / 2).await?;
            }
        }
        let record = snapshot.record(self.clock.now(), settings);
        let is_news = |before: &QueueRecord| {
            !before.says_the_same(&record) || before.recorded_at + KEEP_AGAIN_AFTER <= record.recorded_at
        };
        if lock(&self.kept).get(&performance).is_none_or(is_news) {
            self.records.keep(performance, &record).await?;
            lock(&self.kept).insert(performance, record);
        }
        Ok(())
    }

    /// Draws the numbers of a queue that has opened, unless they were drawn. Any instance may do it, and any may finish what another
    /// has begun: what is drawn of is fixed by the first whose draw is kept.
    pub async fn draw(&self, performance: PerformanceId, queue: &OpenQueue) -> Result<(), AppError> {
        let Some(key) = queue.draw_key().filter(|_| queue.opens_at <= self.clock.now()) else { return Ok(()) };
        if self.knows_draw(performance) {
            return Ok(());
        }
        let frozen = match self.queues.freeze(performance).await {
            Ok(Some(frozen)) => frozen,
            Ok(None) => return self.learn_draw(performance).await,
            Err(PortError::Refused(QueueLost)) => return Ok(()),
            Err(PortError::RequestReused) => return Err(AppError::RequestReused),
            Err(PortError::Unavailable(unavailable)) => return Err(unavailable.into()),
        };
        let drawn = match self.draws.find(performance).await? {
            Some(drawn) => drawn,
            None => self.draws.keep(performance, &digested(key, &frozen).await?).await?,
        };
        let lanes = tokio::task::spawn_blocking(move || cut_lanes(key, &drawn, &frozen)).await;
        let lanes = lanes.map_err(|failed| AppError::Internal(failed.to_string()))?;
        let presence = Presence { now: self.clock.now(), grace: queue.queue.settings.grace };
        match self.queues.cut(performance, &lanes, presence).await {
            Ok(true) => {
                info!(%performance, joined = lanes.iter().map(|lane| lane.count).sum::<u64>(), "numbers are drawn");
            }
            Ok(false) | Err(PortError::Refused(QueueLost)) => {}
            Err(PortError::RequestReused) => return Err(AppError::RequestReused),
            Err(PortError::Unavailable(unavailable)) => return Err(unavailable.into()),
        }
        self.learn_draw(performance).await
    }

    /// What was drawn, by lane; none before the draw.
    pub async fn drawn(&self, performance: PerformanceId) -> Result<Option<Vec<Drawn>>, Unavailable> {
        self.draws.find(performance).await
    }
}

/// How many joined each lane, with the digest of their numbers.
async fn digested(key: DrawKey, frozen: &[FrozenLane]) -> Result<Vec<Drawn>, AppError> {
    let counts: Vec<u64> = frozen.iter().map(|lane| lane.count).collect();
    // A million numbers take some seconds of a core.
    let digesting = tokio::task::spawn_blocking(move || {
        let drawn = |(lane, count)| Drawn { lane, count, digest: Draw::new(key, lane, count).digest() };
        (0..).zip(counts).map(drawn).collect()
    });
    digesting.await.map_err(|failed| AppError::Internal(failed.to_string()))
}

/// The lanes with their drawn numbers: who had left or was not seen is so under the new number.
fn cut_lanes(key: DrawKey, drawn: &[Drawn], frozen: &[FrozenLane]) -> Vec<CutLane> {
    let cut = |(drawn, frozen): (&Drawn, &FrozenLane)| {
        let draw = Draw::new(key, drawn.lane, drawn.count);
        let numbers = |indexes: &[u64]| {
            let drawn_of = |index: &&u64| **index <= drawn.count;
            indexes.iter().filter(drawn_of).map(|index| draw.number(*index)).collect()
        };
        CutLane { count: drawn.count, gone: numbers(&frozen.gone), unseen: numbers(&frozen.unseen) }
    };
    drawn.iter().zip(frozen).map(cut).collect()
}

impl KnownDraw {
    fn token(&self, payload: QueueTokenPayload) -> QueueToken {
        payload.token(self.0.get(usize::from(payload.lane)).and_then(Option::as_ref))
    }

    fn counts(&self) -> Vec<Option<u64>> {
        self.0.iter().map(|draw| draw.as_ref().map(Draw::count)).collect()
    }

    fn is_drawn(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
