use std::convert::Infallible;

use async_trait::async_trait;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::PaymentId;
use encore_domain::payment::refund::{CancelPlan, CancelRefusal, Cancellation, Cancelled, Refund};
use encore_domain::ports::Refunds;
use encore_domain::request::{Applied, RequestKey};

use crate::records::{MemoryRecords, Records};
use crate::reservations::unknown_reservation;

/// [`Refunds`] in process.
pub struct MemoryRefunds(MemoryRecords);

impl MemoryRefunds {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Refunds for MemoryRefunds {
    async fn cancel(
        &self,
        plan: CancelPlan,
        request: RequestKey,
    ) -> Result<Applied<Cancelled>, RequestError<CancelRefusal>> {
        let records = &mut *self.0.lock();
        let Records { reservations, wallets, payments, cards, outbox, requests, audit_log, .. } = records;
        if let Some(before) = requests.before(Some(request))? {
            return Ok(Applied::Before(before));
        }
        let before = reservations.find(plan.reservation).ok_or_else(unknown_reservation)?;
        let card = before.payment.and_then(|payment| cards.payments.get_mut(&payment));
        let decided = plan.decide(before, card.is_some()).map_err(RequestError::Refused)?;
        let Cancellation { reservation, refund, transfers } = decided;
        reservations.cancel(&reservation, &refund.slots);
        for transfer in transfers {
            wallets.post(&transfer.for_request(request.id));
        }
        payments.refunds.insert(refund.id, refund.clone());
        if let Some(attempt) = card.filter(|_| refund.amount().minor > 0).and_then(|card| card.attempts.last_mut()) {
            attempt.events.push(refund.requested());
            cards.reopen(refund.payment, plan.at);
        }
        outbox.write(&Event::SeatsCancelled { reservation: reservation.clone(), refund: refund.clone() });
        let cancelled = Cancelled { reservation, refund };
        audit_log.note(plan.act.as_ref().map(|act| act.cancelled(&cancelled)));
        requests.remember(Some(request), cancelled.clone());
        Ok(Applied::Now(cancelled))
    }

    async fn find_cancelled(&self, request: RequestKey) -> Result<Option<Cancelled>, RequestError<Infallible>> {
        self.0.lock().requests.before(Some(request))
    }

    async fn of_payment(&self, payment: PaymentId) -> Result<Vec<Refund>, Unavailable> {
        Ok(self.0.lock().payments.refunds_of(payment).into_iter().cloned().collect())
    }
}
