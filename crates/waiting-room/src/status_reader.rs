//! Reads the status of a token off a view, and asks the queue itself where the view cannot tell.

use std::sync::Arc;

use encore_domain::queue::snapshot::NumberStatus;
use encore_domain::queue::{EndReason, QueueTokenPayload, TokenState};
use encore_domain::time::Timestamp;
use tracing::debug;

use crate::error::WaitingRoomError;
use crate::open_queues::OpenQueue;
use crate::recovery::Recovery;
use crate::status::{Ending, QueueStatus, Waiting};
use crate::stock::Stock;
use crate::view::{QueuePhase, QueueView};

/// Reads statuses.
#[derive(Clone)]
pub(crate) struct StatusReader {
    recovery: Arc<Recovery>,
    stock: Arc<dyn Stock>,
}

impl StatusReader {
    pub(crate) fn new(recovery: Arc<Recovery>, stock: Arc<dyn Stock>) -> Self {
        Self { recovery, stock }
    }

    /// The status of a token. A waiting or active token costs no call of the store. Reading the status of a called token accepts
    /// the call. None if the view is too old to tell: the next view can.
    pub(crate) async fn read(
        &self,
        payload: &QueueTokenPayload,
        view: &QueueView,
    ) -> Result<Option<QueueStatus>, WaitingRoomError> {
        let token = self.recovery.token(payload);
        let seen = view.status(&token);
        if let Some((NumberStatus::Active { until }, _)) = seen
            && until > view.observed_at
        {
            return Ok(Some(QueueStatus::Admitted { until }));
        }
        let Some(open) = &view.open else {
            return self.status_after_close(payload).await.map(Some);
        };
        if let Some((NumberStatus::PreQueued | NumberStatus::Waiting { .. }, _)) = seen
            && payload.admitted_until.is_some()
            && let Some(status) = self.accept(payload, open, None).await?
        {
            // The payload says admitted, so the view is older than the admission.
            return Ok(Some(status));
        }
        match seen {
            Some((NumberStatus::PreQueued | NumberStatus::Waiting { .. }, _)) if view.is_quiet() => Ok(None),
            Some((NumberStatus::PreQueued, people_waiting)) => {
                let (opens_at, message) = (open.opens_at, view.message.clone());
                Ok(Some(QueueStatus::PreQueued { opens_at, people_waiting, message }))
            }
            Some((NumberStatus::Waiting { position, position_by_need }, people_waiting)) => {
                Ok(Some(waiting(payload, view, (position, position_by_need), people_waiting)))
            }
            Some((NumberStatus::Active { .. } | NumberStatus::Ended, _)) => self.accept(payload, open, None).await,
            Some((NumberStatus::Called, _)) => self.accept_if_useful(payload, open, view.called_at(&token)).await,
            None => self.accept_if_useful(payload, open, None).await,
        }
    }

    /// The status of a token that its fan was just given, which the view may be too old to know. None if only the store can tell.
    pub(crate) async fn read_joined(
        &self,
        payload: &QueueTokenPayload,
        view: &QueueView,
    ) -> Result<Option<QueueStatus>, WaitingRoomError> {
        if view.knows(&self.recovery.token(payload)) {
            return self.read(payload, view).await;
        }
        let Some(open) = &view.open else { return Ok(None) };
        let (ahead, ahead_by_need, all) = view.ahead_of_newcomer(payload);
        if view.phase() == QueuePhase::PreQueue {
            let (opens_at, message) = (open.opens_at, view.message.clone());
            return Ok(Some(QueueStatus::PreQueued { opens_at, people_waiting: all + 1, message }));
        }
        Ok(Some(waiting(payload, view, (ahead + 1, ahead_by_need + 1), all + 1)))
    }

    /// The position of a token's drawn number among those who want the same kind of seat: 0 if it does not wait any more, none if the numbers are not drawn.
    pub(crate) fn drawn_position(&self, payload: &QueueTokenPayload, view: &QueueView) -> Option<u64> {
        match view.status(&self.recovery.token(payload))?.0 {
            NumberStatus::PreQueued => None,
            NumberStatus::Waiting { position_by_need, .. } => Some(position_by_need),
            NumberStatus::Called | NumberStatus::Active { .. } | NumberStatus::Ended => Some(0),
        }
    }

    /// Notes that a stream ended with its token, unless whoever ended the token noted it.
    pub(crate) fn note_end(&self, payload: &QueueTokenPayload, status: &QueueStatus, at: Timestamp) {
        let QueueStatus::Ended(Ending::Token(reason)) = status else { return };
        // A missed call is `Abandoned`: a fan with a stream is not absent.
        if matches!(reason, EndReason::Expired | EndReason::Abandoned | EndReason::Reset) {
            self.recovery.facts().ended(payload, *reason, at);
        }
    }

    /// Accepts a call of this time, unless the fan could buy nothing: then the token ends, and its place goes to the next fan. A token that was
    /// active already is not asked for again: it may be there to pay a hold.
    async fn accept_if_useful(
        &self,
        payload: &QueueTokenPayload,
        open: &OpenQueue,
        called_at: Option<Timestamp>,
    ) -> Result<Option<QueueStatus>, WaitingRoomError> {
        if payload.admitted_until.is_some() || self.may_buy(payload).await {
            return self.accept(payload, open, called_at).await;
        }
        Ok(match self.recovery.state(payload).await? {
            TokenState::Waiting => None,
            TokenState::Called { .. } => match self.recovery.pass_over(payload, called_at).await? {
                TokenState::Ended(reason) => Some(QueueStatus::Ended(Ending::Token(reason))),
                TokenState::Waiting | TokenState::Called { .. } | TokenState::Active { .. } => None,
            },
            TokenState::Active { until } => Some(QueueStatus::Admitted { until }),
            TokenState::Ended(reason) => Some(QueueStatus::Ended(Ending::Token(reason))),
        })
    }

    /// Whether the fan may buy a seat. While that cannot be known, the fan is let in, and holds decide.
    async fn may_buy(&self, payload: &QueueTokenPayload) -> bool {
        match self.stock.may_buy(payload.performance, payload.user).await {
            Ok(may_buy) => may_buy,
            Err(unavailable) => {
                debug!(error = &unavailable as &dyn std::error::Error, "what a called fan has bought is not known");
                true
            }
        }
    }

    async fn accept(
        &self,
        payload: &QueueTokenPayload,
        open: &OpenQueue,
        called_at: Option<Timestamp>,
    ) -> Result<Option<QueueStatus>, WaitingRoomError> {
        Ok(match self.recovery.accept(payload, open.queue.settings.active_duration, called_at).await? {
            TokenState::Active { until } => Some(QueueStatus::Admitted { until }),
            TokenState::Ended(reason) => Some(QueueStatus::Ended(Ending::Token(reason))),
            TokenState::Waiting | TokenState::Called { .. } => None,
        })
    }

    async fn status_after_close(&self, payload: &QueueTokenPayload) -> Result<QueueStatus, WaitingRoomError> {
        Ok(match self.recovery.state(payload).await? {
            TokenState::Active { until } => QueueStatus::Admitted { until },
            TokenState::Ended(reason) => QueueStatus::Ended(Ending::Token(reason)),
            TokenState::Waiting | TokenState::Called { .. } => QueueStatus::Ended(Ending::SaleClosed),
        })
    }
}

/// The status of a fan who waits at a position of the lane, and at one among those who want the same kind of seat.
fn waiting(
    payload: &QueueTokenPayload,
    view: &QueueView,
    (position, position_by_need): (u64, u64),
    people_waiting: u64,
) -> QueueStatus {
    let QueueTokenPayload { lane, needs_accessible, .. } = *payload;
    let others_pass = view.stock.of(!needs_accessible).is_sold_out();
    // Nobody is called for a kind of seat that is sold out, so those who want it are not ahead.
    let position = if others_pass { position_by_need } else { position };
    QueueStatus::Waiting(Waiting {
        position,
        position_by_need,
        // A view from before the fan joined does not count the fan.
        people_waiting: people_waiting.max(position),
        wait: view.wait(lane, needs_accessible, position),
        seats_left: view.stock.of(needs_accessible).free,
        phase: view.phase_for(needs_accessible),
        message: view.message.clone(),
    })
}
