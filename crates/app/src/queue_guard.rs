//! The guard: refuses guarded calls without an active queue token.

use encore_domain::catalog::Performance;
use encore_domain::identity::Caller;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::{QueueTokenPayload, TokenState};
use encore_domain::time::Timestamp;

use crate::error::AppError;
use crate::open_queues::OpenQueues;
use crate::queue_recovery::QueueRecovery;

/// The queue token of a call, as the guard sees it. The layer that knows which calls are guarded creates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePass {
    /// The call is not guarded and passes without a token. The payload of a token that was sent anyway is kept.
    NotGuarded(Option<QueueTokenPayload>),
    /// The call has no queue token.
    Missing,
    /// The call has a queue token without a valid signature.
    Unreadable,
    /// The payload of the call's queue token.
    Payload(QueueTokenPayload),
}

impl QueuePass {
    /// The same token on a call that is not guarded.
    pub fn not_guarded(self) -> Self {
        match self {
            Self::Payload(payload) => Self::NotGuarded(Some(payload)),
            Self::NotGuarded(_) => self,
            Self::Missing | Self::Unreadable => Self::NotGuarded(None),
        }
    }

    /// The payload of the token, if it belongs to this caller and performance.
    pub fn payload(&self, caller: Caller, performance: PerformanceId) -> Option<QueueTokenPayload> {
        let shown = match self {
            Self::Payload(payload) | Self::NotGuarded(Some(payload)) => Some(*payload),
            Self::NotGuarded(None) | Self::Missing | Self::Unreadable => None,
        };
        shown.filter(|payload| payload.user == caller.user && payload.performance == performance)
    }
}

/// Authorizes callers with an active token of the performance. A performance without a queue needs no token.
#[derive(Clone)]
pub struct QueueGuard {
    recovery: QueueRecovery,
    open_queues: OpenQueues,
}

impl QueueGuard {
    /// A guard for these queues.
    pub fn new(recovery: QueueRecovery, open_queues: OpenQueues) -> Self {
        Self { recovery, open_queues }
    }

    /// Authorizes a caller for a performance, with one lookup in the queue's store and not in a replica. Returns when the
    /// caller's admission ends; none if the performance has no queue.
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

    /// Authorizes a caller with an active token of any performance, for calls that are not about one performance. One lookup.
    pub async fn authorize_anywhere(&self, pass: &QueuePass, caller: Caller) -> Result<(), AppError> {
        match pass {
            QueuePass::NotGuarded(_) => Ok(()),
            QueuePass::Missing => Err(AppError::QueueTokenMissing),
            QueuePass::Payload(payload) if payload.user == caller.user => self.active_until(payload).await.map(drop),
            QueuePass::Unreadable | QueuePass::Payload(_) => Err(AppError::QueueTokenInvalid),
        }
    }

    /// Counts one attempt to hold seats, where the queue limits the attempts of a token. While the queue's store is
    /// unavailable, attempts are neither counted nor refused: the limit only protects against endless attempts.
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
            // While the queue's store is unavailable, admitted fans continue: the signed token shows the admission.
            Err(AppError::Unavailable(unavailable)) => {
                self.recovery.passes_without_queue(payload).await?.ok_or(AppError::Unavailable(unavailable))
            }
            Err(refusal) => Err(refusal),
        }
    }
}

/// The payload of the token that must be active; none where no token is needed.
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
