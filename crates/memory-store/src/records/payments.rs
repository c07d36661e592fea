use std::collections::{BTreeMap, HashMap};

use encore_domain::ids::{PaymentId, RefundId, UserId};
use encore_domain::payment::refund::Refund;
use encore_domain::payment::{Payment, Settlement};
use encore_domain::time::Timestamp;

#[derive(Default)]
pub struct PaymentRecords {
    pub payments: HashMap<PaymentId, Payment>,
    pub by_user: HashMap<UserId, BTreeMap<PaymentId, Payment>>,
    pub pending: BTreeMap<(Timestamp, PaymentId), Settlement>,
    pub refunds: BTreeMap<RefundId, Refund>,
}

impl PaymentRecords {
    pub fn insert(&mut self, payment: &Payment, settlement: Settlement) {
        self.by_user.entry(payment.user).or_default().insert(payment.id, payment.clone());
        self.pending.insert((payment.paid_at, payment.id), settlement);
        self.payments.insert(payment.id, payment.clone());
    }

    /// The refunds of a payment, oldest first.
    pub fn refunds_of(&self, payment: PaymentId) -> Vec<&Refund> {
        let mut refunds: Vec<&Refund> = self.refunds.values().filter(|refund| refund.payment == payment).collect();
        refunds.sort_by_key(|refund| (refund.at, refund.id));
        refunds
    }
}
