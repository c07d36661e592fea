//! Joining the line, knowing where one stands, and leaving.

use std::sync::{Arc, Mutex, PoisonError};

use encore_domain::error::Unavailable;
use encore_domain::identity::Caller;
use encore_domain::ids::PerformanceId;
use encore_domain::line_snapshot::Standing;
use encore_domain::ports::{Clock, Lines, Presence, QueueTokens, Seen, SeenRequests};
use encore_domain::queue::{EndReason, QueueTicket, TokenState};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;

use crate::error::AppError;
use crate::halls::Halls;
use crate::line_board::{LineBoards, LineView};
use crate::open_lines::OpenLines;
use crate::position_stream::PositionStream;

/// Where a fan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FanStanding {
    /// In the line.
    Waiting {
        /// How many will be called before and including the fan: 1 is next.
        position: u64,
        /// How many wait in all.
        people_waiting: u64,
        /// Seats that are neither held nor sold.
        seats_left: u32,
        /// Whether an operator has paused the line.
        paused: bool,
    },
    /// May use guarded calls.
    Admitted {
        /// The deadline.
        until: Timestamp,
    },
    /// Over.
    Ended(Ending),
}

/// Why it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The token ended.
    Token(EndReason),
    /// The sale closed while the fan waited.
    SaleClosed,
}

/// A standing and when it was true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObservedStanding {
    /// When.
    pub observed_at: Timestamp,
    /// What.
    pub standing: FanStanding,
}

/// The use cases of `QueueService`, and what a worker does for the lines.
#[derive(Clone)]
pub struct QueueUseCases {
    lines: Arc<dyn Lines>,
    tokens: Arc<dyn QueueTokens>,
    seen: Arc<dyn SeenRequests>,
    halls: Halls,
    open_lines: OpenLines,
    boards: LineBoards,
    clock: Arc<dyn Clock>,
    /// Since when keeping presence has gone well.
    well_since: Arc<Mutex<Option<Timestamp>>>,
}

impl QueueUseCases {
    /// Puts the use cases on their ports.
    pub fn new(
        lines: Arc<dyn Lines>,
        tokens: Arc<dyn QueueTokens>,
        seen: Arc<dyn SeenRequests>,
        halls: Halls,
        open_lines: OpenLines,
        boards: LineBoards,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { lines, tokens, seen, halls, open_lines, boards, clock, well_since: Arc::default() }
    }

    /// Gives the caller a place in a line, or answers the one they have.
    pub async fn join_queue(
        &self,
        caller: Caller,
        performance: PerformanceId,
        request: Option<RequestKey>,
    ) -> Result<(String, QueueTicket), AppError> {
        let hall = self.halls.performance(performance).await?;
        if !hall.has_line {
            return Err(AppError::NoLine);
        }
        let now = self.clock.now();
        hall.on_sale.check(now)?;
        let settings = self.open_lines.settings_now(performance).await?;
        let settings = settings.ok_or_else(|| Unavailable::of("the line"))?;
        self.refuse_reuse(request).await?;
        let presence = Presence { now, grace: settings.grace };
        let ticket = self.lines.join(performance, caller.user, presence, now.timestamp_millis()).await?;
        Ok((self.tokens.sign(&ticket), ticket))
    }

    /// A stream of the caller's standings. While it is open the caller is present.
    pub async fn watch_position(&self, caller: Caller, token: &str) -> Result<PositionStream, AppError> {
        let ticket = self.read_own(caller, token)?;
        let watcher = self.boards.watch(&ticket).await?;
        Ok(PositionStream::new(self.clone(), ticket, watcher))
    }

    /// The caller's standing now. Asking counts as being there.
    pub async fn get_position(&self, caller: Caller, token: &str) -> Result<ObservedStanding, AppError> {
        let ticket = self.read_own(caller, token)?;
        let view = self.boards.view_for(&ticket).await?;
        let standing = self.standing(&ticket, &view).await?;
        Ok(ObservedStanding { observed_at: view.observed_at, standing })
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
        match self.lines.end(&ticket, EndReason::Left, self.clock.now()).await? {
            TokenState::Ended(reason) => Ok(reason),
            state @ (TokenState::Waiting | TokenState::Called { .. } | TokenState::Active { .. }) => {
                Err(AppError::Internal(format!("a token that was ended is {state:?}")))
            }
        }
    }

    /// One tick of every open line: ends what is due, calls whom rate, batch and cap allow, and renews the copies that
    /// fans read. Any instance may do it at any time.
    pub async fn tick(&self) -> Result<(), AppError> {
        let now = self.clock.now();
        let mut outcome = Ok(());
        for (performance, settings) in self.open_lines.on_sale().iter() {
            if let Some(settings) = settings {
                let admitted = self.lines.admit(*performance, settings, now).await;
                outcome = outcome.and(admitted.map(drop).map_err(AppError::from));
            }
        }
        outcome.and(self.boards.renew_watched().await)
    }

    /// Reports who is here, and ends the places of those who have been nowhere for longer than the grace. While nobody could
    /// report, everybody seems away: after a start or an outage, places are ended only when all has gone well for a whole
    /// grace again.
    pub async fn keep_presence(&self) -> Result<(), AppError> {
        let kept = match self.boards.report_present().await {
            Ok(()) => self.end_absent().await,
            Err(weather) => Err(weather),
        };
        let mut well_since = self.well_since.lock().unwrap_or_else(PoisonError::into_inner);
        *well_since = if kept.is_ok() { well_since.or_else(|| Some(self.clock.now())) } else { None };
        Ok(kept?)
    }

    async fn end_absent(&self) -> Result<(), Unavailable> {
        let Some(since) = *self.well_since.lock().unwrap_or_else(PoisonError::into_inner) else { return Ok(()) };
        let mut outcome = Ok(());
        for (performance, settings) in self.open_lines.on_sale().iter() {
            let now = self.clock.now();
            if let Some(settings) = settings
                && since + settings.grace <= now
            {
                let presence = Presence { now, grace: settings.grace };
                outcome = outcome.and(self.lines.abandon_absent(*performance, presence).await.map(drop));
            }
        }
        outcome
    }

    /// Reads a standing off a view. A called fan who asks has come: the call is claimed. Wherever the view alone cannot
    /// tell, the line is asked.
    pub(crate) async fn standing(&self, ticket: &QueueTicket, view: &LineView) -> Result<FanStanding, AppError> {
        let snapshot = view.snapshot.as_ref().filter(|snapshot| snapshot.epoch == ticket.epoch);
        let seen = snapshot.map(|snapshot| (snapshot.standing(ticket.number), snapshot.waiting()));
        if let Some((Standing::Active { until }, _)) = seen
            && until > view.observed_at
        {
            return Ok(FanStanding::Admitted { until });
        }
        let Some(settings) = view.settings else {
            return self.standing_after_close(ticket).await;
        };
        if let Some((Standing::Waiting { position }, people_waiting)) = seen {
            let LineView { seats_left, .. } = *view;
            // A view from before the fan joined does not count them.
            let people_waiting = people_waiting.max(position);
            return Ok(FanStanding::Waiting { position, people_waiting, seats_left, paused: settings.paused });
        }
        match self.lines.claim(ticket, settings.active_for, self.clock.now()).await? {
            TokenState::Active { until } => Ok(FanStanding::Admitted { until }),
            TokenState::Ended(reason) => Ok(FanStanding::Ended(Ending::Token(reason))),
            // The view is older than the ticket; the next one will know.
            TokenState::Waiting | TokenState::Called { .. } => Err(Unavailable::of("the line's latest state").into()),
        }
    }

    async fn standing_after_close(&self, ticket: &QueueTicket) -> Result<FanStanding, AppError> {
        Ok(match self.lines.state(ticket, self.clock.now()).await? {
            TokenState::Active { until } => FanStanding::Admitted { until },
            TokenState::Ended(reason) => FanStanding::Ended(Ending::Token(reason)),
            TokenState::Waiting | TokenState::Called { .. } => FanStanding::Ended(Ending::SaleClosed),
        })
    }

    /// The ticket of a token that is the caller's own.
    fn read_own(&self, caller: Caller, token: &str) -> Result<QueueTicket, AppError> {
        let ticket = self.tokens.read(token).filter(|ticket| ticket.user == caller.user);
        ticket.ok_or(AppError::QueueTokenInvalid)
    }

    async fn refuse_reuse(&self, request: Option<RequestKey>) -> Result<(), AppError> {
        let Some(request) = request else { return Ok(()) };
        match self.seen.remember(request).await? {
            Seen::First | Seen::Same => Ok(()),
            Seen::Other => Err(AppError::RequestReused),
        }
    }
}
