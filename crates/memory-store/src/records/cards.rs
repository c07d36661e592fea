use std::collections::{BTreeSet, HashMap};

use encore_domain::ids::{AttemptId, PaymentId, ReservationId, UserId};
use encore_domain::payment::card::{CardPayment, Purpose};
use encore_domain::payment::card_change::TakeUp;
use encore_domain::payment::reconciliation::Difference;
use encore_domain::time::Timestamp;

/// Payments by card. Their refunds are in the records of payments.
#[derive(Default)]
pub struct CardRecords {
    pub payments: HashMap<PaymentId, CardPayment>,
    pub by_user: HashMap<UserId, BTreeSet<PaymentId>>,
    pub by_reservation: HashMap<ReservationId, PaymentId>,
    /// What was found of each attempt that was compared with the gateway.
    pub reconciled: HashMap<AttemptId, Reconciled>,
    due: HashMap<PaymentId, Due>,
}

/// When a payment is taken up.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Timestamp,
    /// Whether that is the end of the lease of whoever drives it.
    is_lease: bool,
    /// Whether there was a hint since it was leased.
    is_hinted: bool,
}

/// A comparison of an attempt with the gateway.
#[derive(Clone, Copy, Debug)]
pub struct Reconciled {
    /// How many refunds it had.
    pub refunds: usize,
    /// What differed.
    pub difference: Option<Difference>,
}

impl CardRecords {
    /// Adds or replaces a payment.
    pub fn write(&mut self, card: CardPayment) {
        self.by_user.entry(card.user).or_default().insert(card.id);
        if let Purpose::Seats { reservation, .. } = card.purpose {
            self.by_reservation.insert(reservation, card.id);
        }
        self.payments.insert(card.id, card);
    }

    /// Leases a payment that was taken up.
    pub fn take(&mut self, payment: PaymentId, lease_until: Timestamp) {
        self.due.insert(payment, Due { at: lease_until, is_lease: true, is_hinted: false });
    }

    /// Sets when a payment is due after a change at `now`: at once if there was a hint since it was leased.
    pub fn set_due(&mut self, payment: PaymentId, due: Option<Timestamp>, take_up: TakeUp, now: Timestamp) {
        if take_up == TakeUp::Hinted {
            if due.is_some() {
                self.reopen(payment, now);
            }
            return;
        }
        let before = self.due.remove(&payment);
        let was_hinted = before.is_some_and(|before| before.is_hinted);
        if let Some(at) = due {
            let due = if matches!(take_up, TakeUp::Leased(_)) {
                Due { at, is_lease: true, is_hinted: was_hinted }
            } else {
                Due { at: if was_hinted { at.min(now) } else { at }, is_lease: false, is_hinted: false }
            };
            self.due.insert(payment, due);
        }
    }

    /// Makes a payment due at `at`, unless it is due before. One that is leased is due when the lease is given up. Returns whether it will
    /// be taken up at all.
    pub fn hasten(&mut self, payment: PaymentId, at: Timestamp) -> bool {
        let Some(due) = self.due.get_mut(&payment) else { return false };
        if due.is_lease {
            due.is_hinted = true;
        } else {
            due.at = at.min(due.at);
        }
        true
    }

    /// Makes a payment due at `at`, as [`Self::hasten`] does, but also one that is over: a refund of it was begun.
    pub fn reopen(&mut self, payment: PaymentId, at: Timestamp) {
        if !self.hasten(payment, at) {
            self.due.insert(payment, Due { at, is_lease: false, is_hinted: false });
        }
    }

    /// Whether a payment will be taken up again.
    pub fn is_open(&self, payment: PaymentId) -> bool {
        self.due.contains_key(&payment)
    }

    /// The payments that are due at `now`, oldest first.
    pub fn due(&self, now: Timestamp, limit: usize) -> Vec<PaymentId> {
        let mut due: Vec<(Timestamp, PaymentId)> =
            self.due.iter().filter(|(_, due)| due.at <= now).map(|(id, due)| (due.at, *id)).collect();
        due.sort_unstable();
        due.truncate(limit);
        due.into_iter().map(|(_, id)| id).collect()
    }
}
