//! The guard: refuses guarded calls without an active queue token.

use encore_domain::catalog::Performance;
use encore_domain::identity::Caller;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::{EndReason, QueueTokenPayload};
use encore_domain::time::Timestamp;
use encore_waiting_room::WaitingRoom;
use tracing::warn;

use crate::error::AppError;
use crate::sales_gate::SalesGate;

/// The queue token of a call, as the guard sees it. The layer that knows which calls are guarded creates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePass {
    /// The call is not guarded. It has a payload if a queue token was shown all the same.
    NotGuarded(Option<QueueTokenPayload>),
    /// The call has no queue token.
    Missing,
    /// The call has a queue token without a valid signature.
    Unreadable,
    /// The payload of the queue token shown.
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

/// The admission with which a guarded call is authorized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The payload of its queue token.
    pub payload: QueueTokenPayload,
    /// When it ends.
    pub until: Timestamp,
}

/// Authorizes callers with an active token of the performance. A performance without a queue needs no token.
#[derive(Clone)]
pub struct QueueGuard {
    room: WaitingRoom,
    sales: SalesGate,
}

impl QueueGuard {
    /// A guard for these queues, which lets nobody buy while all sales are stopped.
    pub fn new(room: WaitingRoom, sales: SalesGate) -> Self {
        Self { room, sales }
    }

    /// Refuses a caller who would hold or pay seats while all sales are stopped, and then as [`Self::authorize`] does.
    pub async fn authorize_sale(
        &self,
        pass: &QueuePass,
        caller: Caller,
        performance: &Performance,
    ) -> Result<Option<Admission>, AppError> {
        self.sales.check()?;
        self.authorize(pass, caller, performance).await
    }

    /// Refuses a caller who may not use guarded calls of the performance. It costs one call of the queue store, which
    /// is asked instead of a replica. Returns the caller's admission; none if the call needs none.
    pub async fn authorize(
        &self,
        pass: &QueuePass,
        caller: Caller,
        performance: &Performance,
    ) -> Result<Option<Admission>, AppError> {
        match needed_payload(pass, caller, performance)? {
            Some(payload) => Ok(Some(Admission { payload, until: self.room.authorize(&payload).await? })),
            None => Ok(None),
        }
    }

    /// Authorizes a caller with an active token of any performance, for calls that are not about one performance. One
    /// lookup.
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

    /// Counts one attempt to hold seats, where the queue limits the attempts of a token. While the queue's store is
    /// unavailable, attempts are neither counted nor refused: the limit only protects against endless attempts.
    pub async fn spend_hold_try(&self, admission: &Admission) -> Result<(), AppError> {
        Ok(self.room.spend_hold_try(&admission.payload).await?)
    }

    /// Ends a token in the queue's store that has ended in the records: the call that ended it did not come to it. The fan can
    /// then join again. If the store is unavailable, the next hold that is refused tries again.
    pub async fn end(&self, admission: &Admission, reason: EndReason) {
        if let Err(error) = self.room.end(&admission.payload, reason).await {
            warn!(error = &error as &dyn std::error::Error, "a queue token that has ended stays active in its store");
        }
    }

    /// Takes back the count of an attempt that costs none. If the store is unavailable, the attempt stays counted.
    pub async fn return_hold_try(&self, admission: &Admission) {
        if let Err(error) = self.room.return_hold_try(&admission.payload).await {
            warn!(error = &error as &dyn std::error::Error, "an attempt to hold seats stays counted");
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
