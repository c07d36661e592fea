use std::collections::{BTreeMap, HashMap};

use encore_domain::ids::{PaymentId, PerformanceId, UserId};
use encore_domain::payment::{Payment, Settlement};
use encore_domain::queue::{EndReason, EndedToken, QueueTokenPayload};
use encore_domain::time::Timestamp;

#[derive(Default)]
pub struct PaymentRecords {
    pub payments: HashMap<PaymentId, Payment>,
    pub by_user: HashMap<UserId, BTreeMap<PaymentId, Payment>>,
    pub pending: BTreeMap<(Timestamp, PaymentId), Settlement>,
    /// By performance and epoch, and then by lane and index.
    ended: HashMap<(PerformanceId, i64), BTreeMap<(u8, u64), EndReason>>,
}

impl PaymentRecords {
    pub fn insert(&mut self, payment: &Payment, settlement: Settlement) {
        self.by_user.entry(payment.user).or_default().insert(payment.id, payment.clone());
        if let Some(payload) = settlement.payload {
            self.end_token(&payload, EndReason::Used);
        }
        self.pending.insert((payment.paid_at, payment.id), settlement);
        self.payments.insert(payment.id, payment.clone());
    }

    /// Records the end of a queue token, unless it has ended. Returns whether this call did it.
    pub fn end_token(&mut self, payload: &QueueTokenPayload, reason: EndReason) -> bool {
        let of_queue = self.ended.entry((payload.performance, payload.epoch)).or_default();
        let is_new = !of_queue.contains_key(&(payload.lane, payload.index));
        of_queue.entry((payload.lane, payload.index)).or_insert(reason);
        is_new
    }

    /// Why a queue token has ended, if it has.
    pub fn token_end(&self, payload: &QueueTokenPayload) -> Option<EndReason> {
        self.ended.get(&(payload.performance, payload.epoch))?.get(&(payload.lane, payload.index)).copied()
    }

    /// The ended tokens of a queue.
    pub fn ended_tokens(&self, performance: PerformanceId, epoch: i64) -> Vec<EndedToken> {
        let of_queue = self.ended.get(&(performance, epoch)).into_iter().flatten();
        of_queue.map(|(&(lane, index), &reason)| EndedToken { lane, index, reason }).collect()
    }
}
