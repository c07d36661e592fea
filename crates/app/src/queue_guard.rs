//! Whether a fan may pass: what guarded calls ask before they do anything.

use std::sync::Arc;

use encore_domain::catalog::Performance;
use encore_domain::identity::Caller;
use encore_domain::ports::{Clock, Lines};
use encore_domain::queue::{QueueTicket, TokenState};

use crate::error::AppError;

/// What a call shows at the guard. It is made in one place, by the layer that knows which calls are guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePass {
    /// The call is not guarded: everybody passes.
    NotGuarded,
    /// No queue token was shown.
    Missing,
    /// A queue token was shown that nobody here signed.
    Unreadable,
    /// What a queue token says.
    Ticket(QueueTicket),
}

impl QueuePass {
    /// The ticket shown, if any.
    pub fn ticket(&self) -> Option<QueueTicket> {
        match self {
            Self::Ticket(ticket) => Some(*ticket),
            Self::NotGuarded | Self::Missing | Self::Unreadable => None,
        }
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

    /// Refuses who may not pass. The line itself is asked, not a copy of it: one lookup.
    pub async fn admit(&self, pass: &QueuePass, caller: Caller, performance: &Performance) -> Result<(), AppError> {
        if !performance.has_line {
            return Ok(());
        }
        let ticket = match pass {
            QueuePass::NotGuarded => return Ok(()),
            QueuePass::Missing => return Err(AppError::QueueTokenMissing),
            QueuePass::Unreadable => return Err(AppError::QueueTokenInvalid),
            QueuePass::Ticket(ticket) => ticket,
        };
        if ticket.user != caller.user || ticket.performance != performance.id {
            return Err(AppError::QueueTokenInvalid);
        }
        match self.lines.state(ticket, self.clock.now()).await? {
            TokenState::Active { .. } => Ok(()),
            TokenState::Waiting | TokenState::Called { .. } => Err(AppError::NotAdmitted),
            TokenState::Ended(reason) => Err(AppError::QueueTokenEnded(reason)),
        }
    }
}
