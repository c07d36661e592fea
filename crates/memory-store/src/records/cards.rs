use std::collections::{BTreeSet, HashMap};

use encore_domain::ids::{AttemptId, PaymentId, ReservationId, UserId};
use encore_domain::payment::card::{CardPayment, Purpose};
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
    due: HashMap<PaymentId, Timestamp>,
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

    /// Sets when a payment is due.
    pub fn set_due(&mut self, payment: PaymentId, due: Option<Timestamp>) {
        match due {
            Some(due) => drop(self.due.insert(payment, due)),
            None => drop(self.due.remove(&payment)),
        }
    }

    /// Makes a payment due at `at`, unless it is due before. Returns whether it will be taken up at all.
    pub fn hasten(&mut self, payment: PaymentId, at: Timestamp) -> bool {
        let Some(due) = self.due.get_mut(&payment) else { return false };
        *due = at.min(*due);
        true
    }

    /// Whether a payment will be taken up again.
    pub fn is_open(&self, payment: PaymentId) -> bool {
        self.due.contains_key(&payment)
    }

    /// The payments that are due at `now`, oldest first.
    pub fn due(&self, now: Timestamp, limit: usize) -> Vec<PaymentId> {
        let mut due: Vec<(Timestamp, PaymentId)> =
            self.due.iter().filter(|(_, due)| **due <= now).map(|(id, due)| (*due, *id)).collect();
        due.sort_unstable();
        due.truncate(limit);
        due.into_iter().map(|(_, id)| id).collect()
    }
}
