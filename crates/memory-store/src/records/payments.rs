use std::collections::{BTreeMap, BTreeSet, HashMap};

use encore_domain::ids::{PaymentId, PerformanceId, UserId};
use encore_domain::payment::{Payment, Settlement};
use encore_domain::queue::{EndReason, EndedToken, QueueTokenPayload};
use encore_domain::time::Timestamp;

#[derive(Default)]
pub struct PaymentRecords {
    pub payments: HashMap<PaymentId, Payment>,
    pub by_user: HashMap<UserId, BTreeMap<PaymentId, Payment>>,
    pub pending: BTreeMap<(Timestamp, PaymentId), Settlement>,
    /// By performance and epoch.
    pub ended: HashMap<(PerformanceId, i64), BTreeSet<EndedToken>>,
}

impl PaymentRecords {
    pub fn insert(&mut self, payment: &Payment, settlement: Settlement) {
        self.by_user.entry(payment.user).or_default().insert(payment.id, payment.clone());
        if let Some(payload) = settlement.payload {
            self.ended.entry((payload.performance, payload.epoch)).or_default().insert(ended_token(&payload));
        }
        self.pending.insert((payment.paid_at, payment.id), settlement);
        self.payments.insert(payment.id, payment.clone());
    }
}

/// What is kept of an ended queue token.
pub fn ended_token(payload: &QueueTokenPayload) -> EndedToken {
    EndedToken { lane: payload.lane, index: payload.index, reason: EndReason::Used }
}
