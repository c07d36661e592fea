//! Notes what happens to fans, from what the calls of the queue store answer anyway: no fact costs a call.

use std::time::Duration;

use encore_domain::ids::PerformanceId;
use encore_domain::queue::fact::{QueueFact, QueueFactKind, QueueFacts};
use encore_domain::queue::{EndReason, EndedToken, QueueTokenPayload};
use encore_domain::time::Timestamp;

/// Notes facts.
pub(crate) struct Facts<'a>(pub(super) &'a QueueFacts);

impl Facts<'_> {
    /// The answer to a join at `now`. A token that was issued before was not given out by it.
    pub(super) fn joined(&self, payload: &QueueTokenPayload, now: Timestamp) {
        if payload.issued_at.timestamp_millis() == now.timestamp_millis() {
            self.note(payload, QueueFactKind::Joined, now);
        }
    }

    /// A fan moved to the lane of this payload.
    pub(super) fn replaced(&self, payload: &QueueTokenPayload, replaced: &EndedToken, now: Timestamp) {
        let EndedToken { lane, index, reason } = *replaced;
        self.note(&QueueTokenPayload { lane, index, ..*payload }, QueueFactKind::Ended(reason), now);
    }

    /// A fan was called at this time, if it is known.
    pub(super) fn called(&self, payload: &QueueTokenPayload, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.note(payload, QueueFactKind::Called, at);
        }
    }

    /// The answer to an acceptance at `now` for this duration. A token with another deadline than that was active before.
    pub(super) fn accepted(
        &self,
        payload: &QueueTokenPayload,
        called_at: Option<Timestamp>,
        until: Timestamp,
        (now, duration): (Timestamp, Duration),
    ) {
        if until.timestamp_millis() == (now + duration).timestamp_millis() {
            self.called(payload, called_at);
            self.note(payload, QueueFactKind::Accepted { until }, now);
        }
    }

    /// A token ended.
    pub(crate) fn ended(&self, payload: &QueueTokenPayload, reason: EndReason, at: Timestamp) {
        self.note(payload, QueueFactKind::Ended(reason), at);
    }

    /// Tokens ended whose fans are not known here.
    pub(super) fn ended_tokens(&self, performance: PerformanceId, epoch: i64, ended: &[EndedToken], at: Timestamp) {
        let fact = |&EndedToken { lane, index, reason }: &EndedToken| QueueFact {
            performance,
            epoch,
            lane,
            index,
            user: None,
            kind: QueueFactKind::Ended(reason),
            at,
        };
        self.0.note(ended.iter().map(fact));
    }

    fn note(&self, payload: &QueueTokenPayload, kind: QueueFactKind, at: Timestamp) {
        self.0.note([QueueFact::of(payload, kind, at)]);
    }
}
