//! Whether a fan may pass: what guarded calls ask before they do anything.

use encore_domain::catalog::Performance;
use encore_domain::identity::Caller;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::{QueueTicket, TokenState};
use encore_domain::time::Timestamp;

use crate::error::AppError;
use crate::line_keeper::LineKeeper;
use crate::open_lines::OpenLines;

/// What a call shows at the guard. It is made in one place, by the layer that knows which calls are guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePass {
    /// The call is not guarded: everybody passes. A queue token that was shown all the same is known.
    NotGuarded(Option<QueueTicket>),
    /// No queue token was shown.
    Missing,
    /// A queue token was shown that nobody here signed.
    Unreadable,
    /// What a queue token says.
    Ticket(QueueTicket),
}

impl QueuePass {
    /// The same at a call that is not guarded.
    pub fn not_guarded(self) -> Self {
        match self {
            Self::Ticket(ticket) => Self::NotGuarded(Some(ticket)),
            Self::NotGuarded(_) => self,
            Self::Missing | Self::Unreadable => Self::NotGuarded(None),
        }
    }

    /// The ticket shown, if it is this caller's for this performance.
    pub fn ticket(&self, caller: Caller, performance: PerformanceId) -> Option<QueueTicket> {
        let shown = match self {
            Self::Ticket(ticket) | Self::NotGuarded(Some(ticket)) => Some(*ticket),
            Self::NotGuarded(None) | Self::Missing | Self::Unreadable => None,
        };
        shown.filter(|ticket| ticket.user == caller.user && ticket.performance == performance)
    }
}

/// Lets those pass who hold an active token of the performance, or everybody where there is no line.
#[derive(Clone)]
pub struct QueueGuard {
    keeper: LineKeeper,
    open_lines: OpenLines,
}

impl QueueGuard {
    /// Puts the guard before the lines.
    pub fn new(keeper: LineKeeper, open_lines: OpenLines) -> Self {
        Self { keeper, open_lines }
    }

    /// Refuses who may not pass to a performance. The line itself is asked, not a copy of it: one lookup. Answers until when
    /// the caller may go on; none if that is not limited.
    pub async fn admit(
        &self,
        pass: &QueuePass,
        caller: Caller,
        performance: &Performance,
    ) -> Result<Option<Timestamp>, AppError> {
        match needed_ticket(pass, caller, performance)? {
            Some(ticket) => Ok(Some(self.active_until(&ticket).await?)),
            None => Ok(None),
        }
    }

    /// Refuses who is not inside at any performance: for calls that are about no one performance. One lookup.
    pub async fn admit_anywhere(&self, pass: &QueuePass, caller: Caller) -> Result<(), AppError> {
        match pass {
            QueuePass::NotGuarded(_) => Ok(()),
            QueuePass::Missing => Err(AppError::QueueTokenMissing),
            QueuePass::Ticket(ticket) if ticket.user == caller.user => self.active_until(ticket).await.map(drop),
            QueuePass::Unreadable | QueuePass::Ticket(_) => Err(AppError::QueueTokenInvalid),
        }
    }

    /// Takes one of the holds that an active token may try, where the line limits them. Where the line cannot be asked, nothing
    /// is taken: the limit keeps fans from trying without end, and a sale goes on without it.
    pub async fn spend_hold_try(
        &self,
        pass: &QueuePass,
        caller: Caller,
        performance: &Performance,
    ) -> Result<(), AppError> {
        let tries = self.open_lines.line(performance.id).and_then(|open| open.line.settings.hold_tries);
        let (Some(ticket), Some(tries)) = (needed_ticket(pass, caller, performance)?, tries) else { return Ok(()) };
        match self.keeper.spend_hold_try(&ticket, tries).await {
            Ok(true) | Err(AppError::Unavailable(_)) => Ok(()),
            Ok(false) => Err(AppError::HoldTriesExhausted { tries }),
            Err(refusal) => Err(refusal),
        }
    }

    async fn active_until(&self, ticket: &QueueTicket) -> Result<Timestamp, AppError> {
        match self.keeper.state(ticket).await {
            Ok(TokenState::Active { until }) => Ok(until),
            Ok(TokenState::Waiting | TokenState::Called { .. }) => Err(AppError::NotAdmitted),
            Ok(TokenState::Ended(reason)) => Err(AppError::QueueTokenEnded(reason)),
            // Whoever was admitted goes on while the line cannot be asked: the ticket says so itself.
            Err(AppError::Unavailable(weather)) => {
                self.keeper.passes_without_line(ticket).await?.ok_or(AppError::Unavailable(weather))
            }
            Err(refusal) => Err(refusal),
        }
    }
}

/// The ticket that the line must know as active; none where no token is needed.
fn needed_ticket(pass: &QueuePass, caller: Caller, performance: &Performance) -> Result<Option<QueueTicket>, AppError> {
    match pass {
        QueuePass::NotGuarded(_) => Ok(None),
        _ if !performance.has_line => Ok(None),
        QueuePass::Missing => Err(AppError::QueueTokenMissing),
        QueuePass::Unreadable | QueuePass::Ticket(_) => {
            pass.ticket(caller, performance.id).map(Some).ok_or(AppError::QueueTokenInvalid)
        }
    }
}
