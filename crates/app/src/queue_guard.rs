//! Whether a fan may pass: what guarded calls ask before they do anything.

use std::sync::Arc;

use encore_domain::catalog::Performance;
use encore_domain::identity::Caller;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{Clock, Lines};
use encore_domain::queue::{QueueTicket, TokenState};
use encore_domain::time::Timestamp;

use crate::error::AppError;

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
    lines: Arc<dyn Lines>,
    clock: Arc<dyn Clock>,
}

impl QueueGuard {
    /// Puts the guard on its ports.
    pub fn new(lines: Arc<dyn Lines>, clock: Arc<dyn Clock>) -> Self {
        Self { lines, clock }
    }

    /// Refuses who may not pass to a performance. The line itself is asked, not a copy of it: one lookup. Answers until when
    /// the caller may go on; none if that is not limited.
    pub async fn admit(
        &self,
        pass: &QueuePass,
        caller: Caller,
        performance: &Performance,
    ) -> Result<Option<Timestamp>, AppError> {
        match pass {
            QueuePass::NotGuarded(_) => return Ok(None),
            _ if !performance.has_line => return Ok(None),
            QueuePass::Missing => return Err(AppError::QueueTokenMissing),
            QueuePass::Unreadable | QueuePass::Ticket(_) => {}
        }
        let ticket = pass.ticket(caller, performance.id).ok_or(AppError::QueueTokenInvalid)?;
        Ok(Some(self.active_until(&ticket).await?))
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

    async fn active_until(&self, ticket: &QueueTicket) -> Result<Timestamp, AppError> {
        match self.lines.state(ticket, self.clock.now()).await? {
            TokenState::Active { until } => Ok(until),
            TokenState::Waiting | TokenState::Called { .. } => Err(AppError::NotAdmitted),
            TokenState::Ended(reason) => Err(AppError::QueueTokenEnded(reason)),
        }
    }
}
