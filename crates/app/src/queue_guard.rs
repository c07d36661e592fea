//! Whether a fan may pass: what guarded calls ask before they do anything.

use encore_domain::catalog::Performance;
use encore_domain::identity::Caller;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::{QueueTokenPayload, TokenState};
use encore_domain::time::Timestamp;

use crate::error::AppError;
use crate::open_queues::OpenQueues;
use crate::queue_recovery::QueueRecovery;

/// What a call shows at the guard. It is made in one token, by the layer that knows which calls are guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePass {
    /// The call is not guarded: everybody passes. A queue token that was shown all the same is known.
    NotGuarded(Option<QueueTokenPayload>),
    /// No queue token was shown.
    Missing,
    /// A queue token was shown that nobody here signed.
    Unreadable,
    /// What a queue token says.
    Payload(QueueTokenPayload),
}

impl QueuePass {
    /// The same at a call that is not guarded.
    pub fn not_guarded(self) -> Self {
        match self {
            Self::Payload(payload) => Self::NotGuarded(Some(payload)),
            Self::NotGuarded(_) => self,
            Self::Missing | Self::Unreadable => Self::NotGuarded(None),
        }
    }

    /// The queue token shown, if it is this caller's for this performance.
    pub fn payload(&self, caller: Caller, performance: PerformanceId) -> Option<QueueTokenPayload> {
        let shown = match self {
            Self::Payload(payload) | Self::NotGuarded(Some(payload)) => Some(*payload),
            Self::NotGuarded(None) | Self::Missing | Self::Unreadable => None,
        };
        shown.filter(|payload| payload.user == caller.user && payload.performance == performance)
    }
}

/// Lets those pass who hold an active token of the performance, or everybody where there is no queue.
#[derive(Clone)]
pub struct QueueGuard {
    recovery: QueueRecovery,
    open_queues: OpenQueues,
}

impl QueueGuard {
    /// Puts the guard before the queues.
    pub fn new(recovery: QueueRecovery, open_queues: OpenQueues) -> Self {
        Self { recovery, open_queues }
    }

    /// Refuses who may not pass to a performance. The queue itself is asked, not a copy of it: one lookup. Answers until when
    /// the caller may go on; none if that is not limited.
    pub async fn admit(
        &self,
        pass: &QueuePass,
        caller: Caller,
        performance: &Performance,
    ) -> Result<Option<Timestamp>, AppError> {
        match needed_payload(pass, caller, performance)? {
            Some(payload) => Ok(Some(self.active_until(&payload).await?)),
            None => Ok(None),
        }
    }

    /// Refuses who is not inside at any performance: for calls that are about no one performance. One lookup.
    pub async fn authorize_anywhere(&self, pass: &QueuePass, caller: Caller) -> Result<(), AppError> {
        match pass {
            QueuePass::NotGuarded(_) => Ok(()),
            QueuePass::Missing => Err(AppError::QueueTokenMissing),
            QueuePass::Payload(payload) if payload.user == caller.user => self.active_until(payload).await.map(drop),
            QueuePass::Unreadable | QueuePass::Payload(_) => Err(AppError::QueueTokenInvalid),
        }
    }

    /// Takes one of the holds that an active token may try, where the queue limits them. Where the queue cannot be asked, nothing
    /// is taken: the limit keeps fans from trying without end, and a sale goes on without it.
    pub async fn spend_hold_try(
        &self,
        pass: &QueuePass,
        caller: Caller,
        performance: &Performance,
    ) -> Result<(), AppError> {
        let tries = self.open_queues.queue(performance.id).and_then(|open| open.queue.settings.hold_tries);
        let (Some(payload), Some(tries)) = (needed_payload(pass, caller, performance)?, tries) else { return Ok(()) };
        match self.recovery.spend_hold_try(&payload, tries).await {
            Ok(true) | Err(AppError::Unavailable(_)) => Ok(()),
            Ok(false) => Err(AppError::HoldTriesExhausted { tries }),
            Err(refusal) => Err(refusal),
        }
    }

    async fn active_until(&self, payload: &QueueTokenPayload) -> Result<Timestamp, AppError> {
        match self.recovery.state(payload).await {
            Ok(TokenState::Active { until }) => Ok(until),
            Ok(TokenState::Waiting | TokenState::Called { .. }) => Err(AppError::NotAdmitted),
            Ok(TokenState::Ended(reason)) => Err(AppError::QueueTokenEnded(reason)),
            // Whoever was admitted goes on while the queue cannot be asked: the queue token says so itself.
            Err(AppError::Unavailable(unavailable)) => {
                self.recovery.passes_without_queue(payload).await?.ok_or(AppError::Unavailable(unavailable))
            }
            Err(refusal) => Err(refusal),
        }
    }
}

/// The queue token that the queue must know as active; none where no token is needed.
fn needed_payload(
    pass: &QueuePass,
    caller: Caller,
    performance: &Performance,
) -> Result<Option<QueueTokenPayload>, AppError> {
    match pass {
        QueuePass::NotGuarded(_) => Ok(None),
        _ if !performance.has_queue => Ok(None),
        QueuePass::Missing => Err(AppError::QueueTokenMissing),
        QueuePass::Unreadable | QueuePass::Payload(_) => {
            pass.payload(caller, performance.id).map(Some).ok_or(AppError::QueueTokenInvalid)
        }
    }
}
