//! Lines that put themselves in place again when their store has lost them, and places that are found by their tickets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::PerformanceId;
use encore_domain::line_snapshot::LineSnapshot;
use encore_domain::ports::{
    Clock, CutLane, Draws, FrozenLane, JoinRefusal, Joining, LineLost, LineRecords, Lines, Payments, Presence,
    SHOWN_MAX, TicketRefusal,
};
use encore_domain::queue::{
    AdmissionTerms, Draw, DrawKey, Drawn, EndReason, Line, LineRecord, LineSettings, Place, QueueTicket, TokenState,
};
use encore_domain::time::Timestamp;
use tracing::{info, warn};

use crate::error::AppError;
use crate::open_lines::{OpenLine, OpenLines};

/// How many indexes are allotted to a lane at once. What a lost store had allotted and not given out is skipped, which nobody
/// sees; more allotted at once means fewer writes to the records in a rush.
const ALLOTMENT: u64 = 100_000;
/// How often a call is tried again after the line was put in place or a place was shown: each happens once, unless the store is
/// lost again meanwhile.
const TRIES_MAX: usize = 4;
/// A record that says nothing new is kept again after this long: its age says how many may have come in since.
const KEEP_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What this instance knows of a line's draw: of how many each lane's numbers were drawn, and the draws themselves.
#[derive(Clone, Default)]
struct KnownDraw(Arc<Vec<Option<Draw>>>);

/// What the line is asked about a ticket.
#[derive(Clone, Copy)]
enum Question {
    State,
    Claim { active_for: Duration },
    End { reason: EndReason },
}

/// The waiting lines, with what keeps them alive.
#[derive(Clone)]
pub struct LineKeeper {
    lines: Arc<dyn Lines>,
    records: Arc<dyn LineRecords>,
    draws: Arc<dyn Draws>,
    payments: Arc<dyn Payments>,
    open_lines: OpenLines,
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<HashMap<PerformanceId, KnownDraw>>>,
    /// Held while a line is put in place or a limit is raised, so that a crowd that finds it lost causes one repair.
    mending: Arc<tokio::sync::Mutex<()>>,
    /// What was last kept of each line, to write only what moves.
    kept: Arc<Mutex<HashMap<PerformanceId, LineRecord>>>,
}

/// The ports of the keeper.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the port of its type")]
pub struct KeeperPorts {
    pub lines: Arc<dyn Lines>,
    pub records: Arc<dyn LineRecords>,
    pub draws: Arc<dyn Draws>,
    pub payments: Arc<dyn Payments>,
    pub clock: Arc<dyn Clock>,
}

impl LineKeeper {
    /// Puts the keeper on its ports.
    pub fn new(ports: KeeperPorts, open_lines: OpenLines) -> Self {
        let KeeperPorts { lines, records, draws, payments, clock } = ports;
        let (known, mending, kept) = (Arc::default(), Arc::default(), Arc::default());
        Self { lines, records, draws, payments, open_lines, clock, known, mending, kept }
    }

    /// Gives a place to somebody, or answers the place they have.
    pub async fn join(&self, mut joining: Joining) -> Result<QueueTicket, AppError> {
        for _ in 0..TRIES_MAX {
            match self.lines.join(joining).await {
                Ok(ticket) => return Ok(ticket),
                Err(PortError::Refused(JoinRefusal::NoPlace)) => return Err(AppError::LineDraining),
                Err(PortError::Refused(JoinRefusal::NumberNeeded { ticket, drawn })) => {
                    joining.place = Some(self.drawn_place(ticket, drawn).await?);
                }
                Err(PortError::Refused(JoinRefusal::Lost)) => self.put_in_place(joining.performance).await?,
                Err(PortError::Refused(JoinRefusal::NumbersSpent)) => {
                    self.allot(joining.performance, joining.lane).await?;
                }
                Err(PortError::RequestReused) => return Err(AppError::RequestReused),
                Err(PortError::Unavailable(weather)) => return Err(weather.into()),
            }
        }
        Err(Unavailable::of("the line").into())
    }

    /// The state of a ticket.
    pub async fn state(&self, ticket: &QueueTicket) -> Result<TokenState, AppError> {
        self.ask(ticket, Question::State).await
    }

    /// Makes a called ticket active; any other is left as it is.
    pub async fn claim(&self, ticket: &QueueTicket, active_for: Duration) -> Result<TokenState, AppError> {
        self.ask(ticket, Question::Claim { active_for }).await
    }

    /// Ends a ticket, unless it has ended before.
    pub async fn end(&self, ticket: &QueueTicket, reason: EndReason) -> Result<TokenState, AppError> {
        self.ask(ticket, Question::End { reason }).await
    }

    /// Takes one of the holds that an active ticket may try.
    pub async fn spend_hold_try(&self, ticket: &QueueTicket, tries: u32) -> Result<bool, AppError> {
        for _ in 0..TRIES_MAX {
            match self.lines.spend_hold_try(&self.place(ticket), tries, self.clock.now()).await {
                Ok(spent) => return Ok(spent),
                Err(error) => self.mend(ticket, error).await?,
            }
        }
        Err(Unavailable::of("the line").into())
    }

    /// Until when a ticket is good by its own word, where the line cannot be asked: it says that the fan was admitted, and the
    /// fan has not paid since.
    pub async fn passes_without_line(&self, ticket: &QueueTicket) -> Result<Option<Timestamp>, Unavailable> {
        let Some(until) = ticket.admitted_until.filter(|until| self.clock.now() < *until) else { return Ok(None) };
        Ok((!self.payments.has_used(ticket).await?).then_some(until))
    }

    /// A copy of the line; one that was lost is put in place first.
    pub async fn snapshot(&self, performance: PerformanceId) -> Result<Option<LineSnapshot>, AppError> {
        if let Some(snapshot) = self.lines.snapshot(performance).await? {
            return Ok(Some(snapshot));
        }
        if self.records.find(performance).await?.is_none() {
            return Ok(None);
        }
        self.put_in_place(performance).await?;
        Ok(self.lines.snapshot(performance).await?)
    }

    /// Ends what is due and calls whom the terms allow. Of a line that was lost nobody is called; it is put in place. A line that
    /// nobody ever joined stays as it is.
    pub async fn admit(&self, performance: PerformanceId, terms: &AdmissionTerms) -> Result<u64, AppError> {
        match self.lines.admit(performance, terms, self.clock.now()).await {
            Ok(called) => Ok(called),
            Err(PortError::Refused(LineLost)) => {
                if self.records.find(performance).await?.is_some() {
                    self.put_in_place(performance).await?;
                }
                Ok(0)
            }
            Err(PortError::RequestReused) => Err(AppError::RequestReused),
            Err(PortError::Unavailable(weather)) => Err(weather.into()),
        }
    }

    /// Shows the places of these tickets to a line that was put in place again.
    pub async fn show(
        &self,
        performance: PerformanceId,
        tickets: &[QueueTicket],
        presence: Presence,
    ) -> Result<(), AppError> {
        for tickets in tickets.chunks(SHOWN_MAX) {
            let draws = self.known_draws(performance);
            let places: Vec<Place> = tickets.iter().map(|ticket| draws.place(*ticket)).collect();
            match self.lines.show(performance, &places, presence).await {
                Ok(()) => {}
                // Each stream shows its own place when it asks.
                Err(PortError::Refused(refusal)) => info!(%performance, %refusal, "places were not shown in bulk"),
                Err(PortError::RequestReused) => return Err(AppError::RequestReused),
                Err(PortError::Unavailable(weather)) => return Err(weather.into()),
            }
        }
        Ok(())
    }

    /// The place of a ticket, as far as this instance knows the draw.
    pub fn place(&self, ticket: &QueueTicket) -> Place {
        self.known_draws(ticket.performance).place(*ticket)
    }

    /// Whether this instance knows that the numbers were drawn.
    pub fn knows_draw(&self, performance: PerformanceId) -> bool {
        self.known_draws(performance).is_drawn()
    }

    /// Learns from a snapshot of how many the numbers were drawn.
    pub fn learn(&self, performance: PerformanceId, key: Option<DrawKey>, snapshot: &LineSnapshot) {
        let counts: Vec<Option<u64>> = snapshot.lanes.iter().map(|lane| lane.drawn).collect();
        if self.known_draws(performance).counts() != counts {
            self.know(performance, key, &counts);
        }
    }

    async fn ask(&self, ticket: &QueueTicket, question: Question) -> Result<TokenState, AppError> {
        for _ in 0..TRIES_MAX {
            let (place, now) = (self.place(ticket), self.clock.now());
            let answer = match question {
                Question::State => self.lines.state(&place, now).await,
                Question::Claim { active_for } => self.lines.claim(&place, active_for, now).await,
                Question::End { reason } => self.lines.end(&place, reason, now).await,
            };
            match answer {
                Ok(state) => return Ok(state),
                Err(error) => self.mend(ticket, error).await?,
            }
        }
        Err(Unavailable::of("the line").into())
    }

    /// Puts right what stands between a ticket and its line, so that the line can be asked again: a line that was lost, a draw that
    /// this instance has not heard of, a place that was not shown since the line was put in place.
    async fn mend(&self, ticket: &QueueTicket, error: PortError<TicketRefusal>) -> Result<(), AppError> {
        match error {
            PortError::Refused(TicketRefusal::Lost) => self.put_in_place(ticket.performance).await,
            PortError::Refused(TicketRefusal::Drawn { .. }) => self.learn_draw(ticket.performance).await,
            PortError::Refused(TicketRefusal::Unseen) => self.show_one(ticket).await,
            PortError::Refused(TicketRefusal::Drawing) => Err(Unavailable::of("the draw").into()),
            PortError::RequestReused => Err(AppError::RequestReused),
            PortError::Unavailable(weather) => Err(weather.into()),
        }
    }

    /// The place of a ticket whose lane's numbers were drawn of so many.
    async fn drawn_place(&self, ticket: QueueTicket, drawn: u64) -> Result<Place, AppError> {
        let key = self.line(ticket.performance).await?.draw.map(|draw| draw.key).ok_or(AppError::NoDraw)?;
        Ok(ticket.place(Some(&Draw::new(key, ticket.lane, drawn))))
    }

    async fn show_one(&self, ticket: &QueueTicket) -> Result<(), AppError> {
        let grace = self.line(ticket.performance).await?.settings.grace;
        self.show(ticket.performance, &[*ticket], Presence { now: self.clock.now(), grace }).await
    }

    async fn line(&self, performance: PerformanceId) -> Result<Arc<Line>, AppError> {
        self.open_lines.line_ever(performance).await?.ok_or(AppError::NoLine)
    }

    async fn learn_draw(&self, performance: PerformanceId) -> Result<(), AppError> {
        let key = self.line(performance).await?.draw.map(|draw| draw.key);
        if let Some(snapshot) = self.lines.snapshot(performance).await? {
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

    /// Puts a line in place from its record, which is begun if there is none.
    async fn put_in_place(&self, performance: PerformanceId) -> Result<(), AppError> {
        let _alone = self.mending.lock().await;
        // Whoever waited for this very repair finds it done; opening again would do nothing, but reads what lasts.
        if self.lines.snapshot(performance).await?.is_some() {
            return Ok(());
        }
        let line = self.line(performance).await?;
        let now = self.clock.now();
        let new = LineRecord::begun(now.timestamp_millis(), &line.settings, now);
        let record = self.records.begin(performance, new).await?;
        let drawn = self.draws.find(performance).await?.unwrap_or_default();
        let counts: Vec<u64> = drawn.iter().map(|drawn| drawn.count).collect();
        let used =
            if record.is_new() { Vec::new() } else { self.payments.used_tickets(performance, record.epoch).await? };
        let key = line.draw.map(|draw| draw.key);
        let restored = record.restored(key, &counts, &used, &line.settings, self.clock.now());
        let done = self.lines.open(performance, &restored).await?;
        let counts: Vec<Option<u64>> = restored.lanes.iter().map(|lane| lane.drawn).collect();
        self.know(performance, key, &counts);
        if done && !record.is_new() {
            warn!(%performance, used = used.len(), "the line was lost, and is in place again");
        }
        Ok(())
    }

    /// Allots more indexes to a lane that has given out all it had.
    async fn allot(&self, performance: PerformanceId, lane: u8) -> Result<(), AppError> {
        let _alone = self.mending.lock().await;
        if let Some(snapshot) = self.lines.snapshot(performance).await? {
            self.raise_limit(performance, &snapshot, lane, 0).await?;
        }
        Ok(())
    }

    /// Raises the limit of a lane that has no more than so many indexes left.
    async fn raise_limit(
        &self,
        performance: PerformanceId,
        snapshot: &LineSnapshot,
        lane: u8,
        left: u64,
    ) -> Result<(), AppError> {
        let Some(state) = snapshot.lanes.get(usize::from(lane)) else { return Ok(()) };
        if state.limit.saturating_sub(state.tail) > left {
            return Ok(());
        }
        let limit = self.records.raise_limit(performance, lane, state.tail + ALLOTMENT).await?;
        match self.lines.extend(performance, snapshot.epoch, lane, limit).await {
            // A lost line is put in place by whoever asks next.
            Ok(()) | Err(PortError::Refused(LineLost)) => Ok(()),
            Err(PortError::RequestReused) => Err(AppError::RequestReused),
            Err(PortError::Unavailable(weather)) => Err(weather.into()),
        }
    }

    /// Keeps what a line has come to where it lasts, if it moved, and allots indexes ahead of their use.
    pub async fn keep(&self, performance: PerformanceId, settings: &LineSettings) -> Result<(), AppError> {
        let Some(snapshot) = self.lines.snapshot(performance).await? else { return Ok(()) };
        for lane in (0..).take(snapshot.lanes.len()) {
            let in_use = snapshot.lanes[usize::from(lane)].limit > 0;
            if in_use {
                self.raise_limit(performance, &snapshot, lane, ALLOTMENT / 2).await?;
            }
        }
        let record = snapshot.record(self.clock.now(), settings);
        let is_news = |before: &LineRecord| {
            !before.says_the_same(&record) || before.recorded_at + KEEP_AGAIN_AFTER <= record.recorded_at
        };
        if lock(&self.kept).get(&performance).is_none_or(is_news) {
            self.records.keep(performance, &record).await?;
            lock(&self.kept).insert(performance, record);
        }
        Ok(())
    }

    /// Draws the numbers of a line that has opened, unless they were drawn. Any instance may do it, and any may finish what another
    /// has begun: what is drawn of is fixed by the first whose draw is kept.
    pub async fn draw(&self, performance: PerformanceId, line: &OpenLine) -> Result<(), AppError> {
        let Some(key) = line.draw_key().filter(|_| line.opens_at <= self.clock.now()) else { return Ok(()) };
        if self.knows_draw(performance) {
            return Ok(());
        }
        let frozen = match self.lines.freeze(performance).await {
            Ok(Some(frozen)) => frozen,
            Ok(None) => return self.learn_draw(performance).await,
            Err(PortError::Refused(LineLost)) => return Ok(()),
            Err(PortError::RequestReused) => return Err(AppError::RequestReused),
            Err(PortError::Unavailable(weather)) => return Err(weather.into()),
        };
        let drawn = match self.draws.find(performance).await? {
            Some(drawn) => drawn,
            None => self.draws.keep(performance, &digested(key, &frozen).await?).await?,
        };
        let lanes = tokio::task::spawn_blocking(move || cut_lanes(key, &drawn, &frozen)).await;
        let lanes = lanes.map_err(|failed| AppError::Internal(failed.to_string()))?;
        let presence = Presence { now: self.clock.now(), grace: line.line.settings.grace };
        match self.lines.cut(performance, &lanes, presence).await {
            Ok(true) => {
                info!(%performance, joined = lanes.iter().map(|lane| lane.count).sum::<u64>(), "numbers are drawn");
            }
            Ok(false) | Err(PortError::Refused(LineLost)) => {}
            Err(PortError::RequestReused) => return Err(AppError::RequestReused),
            Err(PortError::Unavailable(weather)) => return Err(weather.into()),
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
    fn place(&self, ticket: QueueTicket) -> Place {
        ticket.place(self.0.get(usize::from(ticket.lane)).and_then(Option::as_ref))
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
