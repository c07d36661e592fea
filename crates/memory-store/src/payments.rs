use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use async_trait::async_trait;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{PaymentId, PerformanceId, UserId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::payment::fan_payment::{FanPayment, PaidFromWallet};
use encore_domain::payment::{Paid, PayRefusal, Payment, PaymentMethod, PaymentPlan, Settlement};
use encore_domain::ports::Payments;
use encore_domain::queue::{EndReason, QueueTokenPayload};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use encore_domain::wallet::TransferKind;
use uuid::Uuid;

use crate::paging::{below, rows};
use crate::records::{MemoryRecords, PaymentRecords, Records};
use crate::reservations::unknown_reservation;

/// [`Payments`] in process.
pub struct MemoryPayments(MemoryRecords);

impl MemoryPayments {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

impl Records {
    /// A payment as its fan sees it.
    pub fn fan_payment(&self, id: PaymentId) -> Option<FanPayment> {
        if let Some(card) = self.card(id) {
            return Some(FanPayment::Card(card));
        }
        let payment = self.payments.payments.get(&id).filter(|payment| payment.method == PaymentMethod::Wallet)?;
        let mut entries = self.wallets.entries.get(&payment.user)?.values();
        let entry = entries.find(|entry| entry.kind == TransferKind::Payment && entry.payment == Some(id))?;
        Some(FanPayment::Wallet(PaidFromWallet {
            payment: payment.clone(),
            balance_after: entry.balance_after(),
            refunds: self.payments.refunds_of(id).into_iter().cloned().collect(),
        }))
    }
}

#[async_trait]
impl Payments for MemoryPayments {
    async fn pay_from_wallet(
        &self,
        plan: PaymentPlan,
        request: RequestKey,
    ) -> Result<Applied<Paid>, RequestError<PayRefusal>> {
        let Records { reservations, wallets, payments, ended_tokens, outbox, requests, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(Some(request))? {
            return Ok(Applied::Before(before));
        }
        let hold = reservations.find(plan.payment.reservation).ok_or_else(unknown_reservation)?;
        let balance = wallets.balance(plan.transfer.user, plan.transfer.amount.currency);
        plan.check(hold, balance).map_err(RequestError::Refused)?;
        let ended_token = plan.ended_token(reservations.has_another_hold(hold, plan.payment.paid_at));
        let PaymentPlan { payment, transfer, .. } = plan;

        let reservation = reservations.confirm(&payment).ok_or_else(unknown_reservation)?;
        let balance_after = wallets.post(&transfer.for_request(request.id)).balance_after();
        let Payment { id, performance, .. } = payment;
        let slots = reservation.slots();
        let settlement = Settlement {
            payment: id,
            reservation: reservation.id,
            user: reservation.user,
            performance,
            slots,
            payload: ended_token.map(QueueTokenPayload::bare),
        };
        payments.insert(&payment, settlement);
        if let Some(token) = &ended_token {
            ended_tokens.insert(token, EndReason::Used);
        }
        outbox.write(&Event::ReservationConfirmed { reservation, payment: payment.clone() });
        let paid = Paid { payment, balance_after, ended_token };
        requests.remember(Some(request), paid.clone());
        Ok(Applied::Now(paid))
    }

    async fn find_paid(&self, request: RequestKey) -> Result<Option<Paid>, RequestError<Infallible>> {
        self.0.lock().requests.before(Some(request))
    }

    async fn find(&self, id: PaymentId) -> Result<Option<FanPayment>, Unavailable> {
        Ok(self.0.lock().fan_payment(id))
    }

    async fn list(
        &self,
        user: UserId,
        page: PageRequest<PaymentId>,
    ) -> Result<Page<FanPayment, PaymentId>, Unavailable> {
        let records = self.0.lock();
        let made = records.payments.by_user.get(&user).into_iter().flat_map(BTreeMap::keys);
        let by_card = records.cards.by_user.get(&user).into_iter().flatten();
        let of_user: BTreeSet<PaymentId> = made.chain(by_card).copied().collect();
        let found = of_user.range(below(&page)).rev().take(rows(&page));
        let found = found.filter_map(|id| records.fan_payment(*id)).collect();
        Ok(Page::from_rows(found, page.size, FanPayment::id))
    }

    async fn performances_pending(&self, before: Timestamp) -> Result<Vec<PerformanceId>, Unavailable> {
        let pending = &self.0.lock().payments.pending;
        let due = pending.range(..=(before, PaymentId(Uuid::max())));
        let performances: BTreeSet<PerformanceId> = due.map(|(_, settlement)| settlement.performance).collect();
        Ok(performances.into_iter().collect())
    }

    async fn pending(
        &self,
        performance: PerformanceId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Settlement>, Unavailable> {
        let pending = &self.0.lock().payments.pending;
        let due = pending.range(..=(before, PaymentId(Uuid::max()))).map(|(_, settlement)| settlement);
        let of_performance = due.filter(|settlement| settlement.performance == performance);
        Ok(of_performance.take(limit as usize).cloned().collect())
    }

    async fn mark_propagated(&self, payments: &[PaymentId]) -> Result<(), Unavailable> {
        let PaymentRecords { payments: known, pending, .. } = &mut self.0.lock().payments;
        for payment in payments.iter().filter_map(|id| known.get(id)) {
            pending.remove(&(payment.paid_at, payment.id));
        }
        Ok(())
    }
}
