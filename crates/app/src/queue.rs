//! Joining the line, knowing where one stands, and leaving.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::catalog::Performance;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::identity::Caller;
use encore_domain::ids::PerformanceId;
use encore_domain::line_snapshot::Standing;
use encore_domain::ports::{Clock, Joining, LaneGrants, LineLost, Lines, Presence, QueueTokens, Seen, SeenRequests};
use encore_domain::queue::{DrawKey, Drawn, EndReason, LaneName, Lanes, Line, QueueTicket, TokenState};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use tokio::time::Instant;

use crate::error::AppError;
use crate::halls::Halls;
use crate::line_board::LineBoards;
use crate::line_keeper::LineKeeper;
use crate::line_view::LineView;
use crate::open_lines::{OpenLine, OpenLines};
use crate::position_stream::PositionStream;
use crate::seat_map::SeatMap;
use crate::standing::{Ending, FanStanding, ObservedStanding, Waiting};

/// What the use cases of the line are made of.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the part of its type")]
pub struct QueueParts {
    pub lines: Arc<dyn Lines>,
    pub keeper: LineKeeper,
    pub tokens: Arc<dyn QueueTokens>,
    pub lane_grants: Arc<dyn LaneGrants>,
    pub seen: Arc<dyn SeenRequests>,
    pub halls: Halls,
    pub seat_map: SeatMap,
    pub open_lines: OpenLines,
    pub boards: LineBoards,
    pub clock: Arc<dyn Clock>,
}

/// The use cases of `QueueService`, and what a worker does for the lines.
#[derive(Clone)]
pub struct QueueUseCases {
    parts: Arc<QueueParts>,
    /// By line the grace, and since when keeping presence has gone well with it.
    well_since: Arc<Mutex<HashMap<PerformanceId, (Duration, Timestamp)>>>,
}

/// Somebody's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedLine {
    /// What is shown from now on.
    pub queue_token: String,
    /// What it says.
    pub ticket: QueueTicket,
    /// The lane.
    pub lane: LaneName,
    /// Whether the number is still to be drawn.
    pub collected: bool,
}

/// What is told of a line's draw.
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

    /// Gives the caller a place in a line, or answers the one they have. A lane grant leads into its lane.
    pub async fn join_queue(
        &self,
        caller: Caller,
        performance: PerformanceId,
        lane_grant: Option<&str>,
        request: Option<RequestKey>,
    ) -> Result<JoinedLine, AppError> {
        let hall = self.parts.halls.performance(performance).await?;
        if !hall.has_line {
            return Err(AppError::NoLine);
        }
        let now = self.parts.clock.now();
        let open = self.line_for_joining(&hall, now).await?;
        let settings = &open.line.settings;
        let lane = self.lane(caller, performance, &settings.lanes, lane_grant, now)?;
        self.refuse_reuse(request).await?;
        let presence = Presence { now, grace: settings.grace };
        let joining =
            Joining { performance, user: caller.user, lane, may_enter: !settings.draining, place: None, presence };
        let ticket = self.parts.keeper.join(joining).await?;
        let name = settings.lanes.as_slice().get(usize::from(ticket.lane)).map(|lane| lane.name.clone());
        Ok(JoinedLine {
            queue_token: self.parts.tokens.sign(&ticket),
            ticket,
            lane: name.ok_or_else(|| AppError::Internal(format!("lane {} has no name", ticket.lane)))?,
            collected: now < open.opens_at,
        })
    }

    /// The line, if it is open or collects joiners.
    async fn line_for_joining(&self, performance: &Performance, now: Timestamp) -> Result<OpenLine, AppError> {
        let open = self.parts.open_lines.line_now(performance.id).await?;
        let collects = |open: &OpenLine| open.line.draw.is_some() && now < open.opens_at;
        if !open.as_ref().is_some_and(collects) {
            performance.on_sale.check(now)?;
        }
        Ok(open.ok_or_else(|| Unavailable::of("the line"))?)
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

    /// A stream of the caller's standings. While it is open the caller is present.
    pub async fn watch_position(&self, caller: Caller, token: &str) -> Result<PositionStream, AppError> {
        let ticket = self.read_own(caller, token)?;
        let watcher = self.parts.boards.watch(&ticket).await?;
        Ok(PositionStream::new(self.clone(), ticket, watcher))
    }

    /// The caller's standing now. Asking counts as being there.
    pub async fn get_position(&self, caller: Caller, token: &str) -> Result<ObservedStanding, AppError> {
        let ticket = self.read_own(caller, token)?;
        let mut view = self.parts.boards.view_for(&ticket).await?;
        let mut standing = self.standing(&ticket, &view).await?;
        if standing.is_none() {
            view = self.parts.boards.renewed_view(ticket.performance).await?;
            standing = self.standing(&ticket, &view).await?;
        }
        let standing = standing.ok_or_else(|| Unavailable::of("the line's latest state"))?;
        Ok(self.observed(&ticket, view.observed_at, standing))
    }

    /// A standing as it is told. Who is admitted gets a token that says so.
    pub(crate) fn observed(
        &self,
        ticket: &QueueTicket,
        observed_at: Timestamp,
        standing: FanStanding,
    ) -> ObservedStanding {
        let admitted_token = match standing {
            FanStanding::Admitted { until } => {
                Some(self.parts.tokens.sign(&QueueTicket { admitted_until: Some(until), ..*ticket }))
            }
            FanStanding::Collected { .. } | FanStanding::Waiting(_) | FanStanding::Ended(_) => None,
        };
        ObservedStanding { observed_at, standing, admitted_token }
    }

    /// Gives up the caller's place, or ends their active token.
    pub async fn leave_queue(
        &self,
        caller: Caller,
        token: &str,
        request: Option<RequestKey>,
    ) -> Result<EndReason, AppError> {
        let ticket = self.read_own(caller, token)?;
        self.refuse_reuse(request).await?;
        match self.parts.keeper.end(&ticket, EndReason::Left).await? {
            TokenState::Ended(reason) => Ok(reason),
            state @ (TokenState::Waiting | TokenState::Called { .. } | TokenState::Active { .. }) => {
                Err(AppError::Internal(format!("a token that was ended is {state:?}")))
            }
        }
    }

    /// The draw of a line, for everybody to check.
    pub async fn get_draw(&self, performance: PerformanceId) -> Result<DrawResult, AppError> {
        let hall = self.parts.halls.performance(performance).await?;
        let line: Arc<Line> = self.parts.open_lines.line_ever(performance).await?.ok_or(AppError::NoLine)?;
        let key = line.draw.map(|draw| draw.key).ok_or(AppError::NoDraw)?;
        let drawn = self.parts.keeper.drawn(performance).await?.map(|drawn| {
            let names = line.settings.lanes.as_slice().iter().map(|lane| lane.name.clone());
            (key, names.zip(drawn).collect())
        });
        Ok(DrawResult { opens_at: hall.on_sale.opens_at, commitment: key.commitment(), drawn })
    }

    /// One tick of every open line: draws the numbers of one that has opened, ends what is due, calls whom rate, batch, cap and
    /// stock allow, and renews the copies that fans read. Any instance may do it at any time.
    pub async fn tick(&self) -> Result<(), AppError> {
        let (mut outcome, mut admitted_in) = (Ok(()), HashMap::new());
        for (performance, open) in self.parts.open_lines.lines() {
            let begun = Instant::now();
            outcome = outcome.and(self.admit(performance, &open).await);
            admitted_in.insert(performance, begun.elapsed());
        }
        outcome.and(self.parts.boards.renew_watched(&admitted_in).await)
    }

    async fn admit(&self, performance: PerformanceId, open: &OpenLine) -> Result<(), AppError> {
        self.parts.keeper.draw(performance, open).await?;
        // Where the stock is not known the claims decide, as they do in the end.
        let stock = self.parts.seat_map.stock(&[performance]).await.ok();
        let stock = stock.and_then(|stock| stock.first().copied());
        let terms = open.terms(stock, self.parts.clock.now());
        self.parts.keeper.admit(performance, &terms).await.map(drop)
    }

    /// Keeps what every open line has come to where it lasts.
    pub async fn keep_lines(&self) -> Result<(), AppError> {
        let mut outcome = Ok(());
        for (performance, open) in self.parts.open_lines.lines() {
            outcome = outcome.and(self.parts.keeper.keep(performance, &open.line.settings).await);
        }
        outcome
    }

    /// Reports who is here, and ends the places of those who have been nowhere for longer than the grace. While nobody could
    /// report, everybody seems away: after a start, an outage or a change of the grace, places are ended only when all has gone well
    /// for a whole grace again.
    pub async fn keep_presence(&self) -> Result<(), AppError> {
        let kept = match self.parts.boards.report_present().await {
            Ok(()) => self.end_absent().await,
            Err(weather) => Err(weather),
        };
        if kept.is_err() {
            self.well_since().clear();
        }
        kept
    }

    async fn end_absent(&self) -> Result<(), AppError> {
        let mut outcome = Ok(());
        for (performance, open) in self.parts.open_lines.lines() {
            let (now, grace) = (self.parts.clock.now(), open.line.settings.grace);
            let since = self.well_with(performance, grace, now);
            if since + grace <= now {
                let ended = self.parts.lines.abandon_absent(performance, Presence { now, grace }).await;
                outcome = outcome.and(match ended {
                    Ok(_) | Err(PortError::Refused(LineLost)) => Ok(()),
                    Err(PortError::RequestReused) => Err(AppError::RequestReused),
                    Err(PortError::Unavailable(weather)) => Err(weather.into()),
                });
            }
        }
        outcome
    }

    /// Since when keeping the presence of a line has gone well with this grace.
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

    /// Reads a standing off a view. A called fan who asks has come: the call is claimed. Wherever the view alone cannot
    /// tell, the line is asked. None if the line knows more than the view; the next one will say it.
    pub(crate) async fn standing(
        &self,
        ticket: &QueueTicket,
        view: &LineView,
    ) -> Result<Option<FanStanding>, AppError> {
        let place = self.parts.keeper.place(ticket);
        let seen = view.standing(&place);
        if let Some((Standing::Active { until }, _)) = seen
            && until > view.observed_at
        {
            return Ok(Some(FanStanding::Admitted { until }));
        }
        let Some(open) = &view.open else {
            return self.standing_after_close(ticket).await.map(Some);
        };
        if let Some((Standing::Collected | Standing::Waiting { .. }, _)) = seen
            && ticket.admitted_until.is_some()
            && let Some(standing) = self.claim(ticket, open).await?
        {
            // The view is of before the fan was admitted.
            return Ok(Some(standing));
        }
        match seen {
            Some((Standing::Collected | Standing::Waiting { .. }, _)) if view.is_quiet() => Ok(None),
            Some((Standing::Collected, people_waiting)) => {
                let (opens_at, message) = (open.opens_at, view.message.clone());
                Ok(Some(FanStanding::Collected { opens_at, people_waiting, message }))
            }
            Some((Standing::Waiting { position }, people_waiting)) => Ok(Some(FanStanding::Waiting(Waiting {
                position,
                // A view from before the fan joined does not count them.
                people_waiting: people_waiting.max(position),
                wait: view.wait(place.lane_number(), position),
                seats_left: view.stock.free,
                phase: view.phase(),
                message: view.message.clone(),
            }))),
            Some((Standing::Called | Standing::Active { .. } | Standing::Ended, _)) | None => {
                self.claim(ticket, open).await
            }
        }
    }

    /// The position that a drawn number has in a view: 0 for who is past waiting, none while the numbers are not drawn.
    pub(crate) fn drawn_position(&self, ticket: &QueueTicket, view: &LineView) -> Option<u64> {
        match view.standing(&self.parts.keeper.place(ticket))?.0 {
            Standing::Collected => None,
            Standing::Waiting { position } => Some(position),
            Standing::Called | Standing::Active { .. } | Standing::Ended => Some(0),
        }
    }

    async fn claim(&self, ticket: &QueueTicket, open: &OpenLine) -> Result<Option<FanStanding>, AppError> {
        Ok(match self.parts.keeper.claim(ticket, open.line.settings.active_for).await? {
            TokenState::Active { until } => Some(FanStanding::Admitted { until }),
            TokenState::Ended(reason) => Some(FanStanding::Ended(Ending::Token(reason))),
            TokenState::Waiting | TokenState::Called { .. } => None,
        })
    }

    async fn standing_after_close(&self, ticket: &QueueTicket) -> Result<FanStanding, AppError> {
        Ok(match self.parts.keeper.state(ticket).await? {
            TokenState::Active { until } => FanStanding::Admitted { until },
            TokenState::Ended(reason) => FanStanding::Ended(Ending::Token(reason)),
            TokenState::Waiting | TokenState::Called { .. } => FanStanding::Ended(Ending::SaleClosed),
        })
    }

    /// The ticket of a token that is the caller's own.
    fn read_own(&self, caller: Caller, token: &str) -> Result<QueueTicket, AppError> {
        let ticket = self.parts.tokens.read(token).filter(|ticket| ticket.user == caller.user);
        ticket.ok_or(AppError::QueueTokenInvalid)
    }

    async fn refuse_reuse(&self, request: Option<RequestKey>) -> Result<(), AppError> {
        let Some(request) = request else { return Ok(()) };
        match self.parts.seen.remember(request).await? {
            Seen::First | Seen::Same => Ok(()),
            Seen::Other => Err(AppError::RequestReused),
        }
    }
}
