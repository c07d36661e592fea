use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::AttemptId;
use encore_domain::payment::reconciliation::{Difference, Unreconciled};
use encore_domain::ports::Reconciliations;
use encore_domain::time::Timestamp;

use crate::records::MemoryRecords;

/// [`Reconciliations`] in process.
pub struct MemoryReconciliations(MemoryRecords);

impl MemoryReconciliations {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Reconciliations for MemoryReconciliations {
    async fn unreconciled(&self, begun_before: Timestamp, limit: u32) -> Result<Vec<Unreconciled>, Unavailable> {
        let cards = &self.0.lock().cards;
        let at_rest = cards.payments.values().filter(|card| !cards.is_open(card.id));
        let attempts = at_rest.flat_map(|card| (0..card.attempts.len()).map(move |index| (card, index)));
        let mut found: Vec<Unreconciled> = attempts
            .filter_map(|(card, index)| {
                let attempt = &card.attempts[index];
                let refunds = attempt.state().refunds.len();
                let is_known = cards.reconciled.get(&attempt.id).is_some_and(|known| known.refunds == refunds);
                let is_due = attempt.made_at < begun_before && !is_known;
                is_due.then(|| Unreconciled { charge: card.charge_of(attempt), state: attempt.state() })
            })
            .collect();
        found.sort_unstable_by_key(|it| (it.charge.begun_at, it.charge.attempt));
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn record(
        &self,
        attempt: AttemptId,
        difference: Option<Difference>,
        _at: Timestamp,
    ) -> Result<(), Unavailable> {
        let cards = &mut self.0.lock().cards;
        let attempts = cards.payments.values().flat_map(|card| &card.attempts);
        let refunds = attempts.filter(|it| it.id == attempt).map(|it| it.state().refunds.len()).sum();
        cards.reconciled.insert(attempt, crate::records::Reconciled { refunds, difference });
        Ok(())
    }
}
