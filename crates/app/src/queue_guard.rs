//! Authorization of guarded calls by queue token.

use encore_domain::catalog::Performance;
use encore_domain::identity::Caller;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::QueueTokenPayload;
use encore_domain::time::Timestamp;
use encore_waiting_room::WaitingRoom;

use crate::error::AppError;

/// The queue token of a call, as far as it is needed. The layer that knows which calls are guarded makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePass {
    /// The call is not guarded. It has a payload if a queue token was shown all the same.
    NotGuarded(Option<QueueTokenPayload>),
    /// No queue token was shown.
    Missing,
    /// The queue token shown is not signed by this server.
    Unreadable,
    /// The payload of the queue token shown.
    Payload(QueueTokenPayload),
}

impl QueuePass {
    /// The same for a call that is not guarded.
    pub fn not_guarded(self) -> Self {
        match self {
            Self::Payload(payload) => Self::NotGuarded(Some(payload)),
            Self::NotGuarded(_) => self,
            Self::Missing | Self::Unreadable => Self::NotGuarded(None),
        }
    }

    /// The payload shown, if it is this caller's and of this performance.
    pub fn payload(&self, caller: Caller, performance: PerformanceId) -> Option<QueueTokenPayload> {
        let shown = match self {
            Self::Payload(payload) | Self::NotGuarded(Some(payload)) => Some(*payload),
            Self::NotGuarded(None) | Self::Missing | Self::Unreadable => None,
        };
        shown.filter(|payload| payload.user == caller.user && payload.performance == performance)
    }
}

/// Authorizes callers with an active token of the performance, and every caller where there is no queue.
#[derive(Clone)]
pub struct QueueGuard {
    room: WaitingRoom,
}

impl QueueGuard {
    /// A guard that asks this waiting room.
    pub fn new(room: WaitingRoom) -> Self {
        Self { room }
    }

    /// Refuses a caller who may not use guarded calls of the performance. It costs one call of the queue store, which is asked
    /// instead of a replica. Returns until when the caller is authorized; none if that is not limited.
    pub async fn authorize(
        &self,
        pass: &QueuePass,
        caller: Caller,
        performance: &Performance,
    ) -> Result<Option<Timestamp>, AppError> {
        match needed_payload(pass, caller, performance)? {
            Some(payload) => Ok(Some(self.room.authorize(&payload).await?)),
            None => Ok(None),
        }
    }

    /// Refuses a caller without an active token of any performance, for calls that name no performance. It costs one call of the
    /// queue store.
    pub async fn authorize_anywhere(&self, pass: &QueuePass, caller: Caller) -> Result<(), AppError> {
        match pass {
            QueuePass::NotGuarded(_) => Ok(()),
            QueuePass::Missing => Err(AppError::QueueTokenMissing),
            QueuePass::Payload(payload) if payload.user == caller.user => {
                self.room.authorize(payload).await?;
                Ok(())
            }
            QueuePass::Unreadable | QueuePass::Payload(_) => Err(AppError::QueueTokenInvalid),
        }
    }

    /// Takes one of the hold attempts of the caller's token, if the queue limits them.
    pub async fn spend_hold_try(
        &self,
        pass: &QueuePass,
        caller: Caller,
        performance: &Performance,
    ) -> Result<(), AppError> {
        match needed_payload(pass, caller, performance)? {
            Some(payload) => Ok(self.room.spend_hold_try(&payload).await?),
            None => Ok(()),
        }
    }
}

/// The payload whose token must be active; none if the call needs no token.
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
