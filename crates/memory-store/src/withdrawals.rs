use std::convert::Infallible;

use async_trait::async_trait;
use encore_domain::error::RequestError;
use encore_domain::event::Event;
use encore_domain::payment::card::CardPayment;
use encore_domain::payment::refund::Refund;
use encore_domain::payment::withdrawal::{WithdrawRefusal, WithdrawalPlan};
use encore_domain::ports::Withdrawals;
use encore_domain::request::{Applied, RequestKey};

use crate::records::MemoryRecords;

/// [`Withdrawals`] in process.
pub struct MemoryWithdrawals(MemoryRecords);

impl MemoryWithdrawals {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Withdrawals for MemoryWithdrawals {
    async fn withdraw(
        &self,
        plan: WithdrawalPlan,
        request: RequestKey,
    ) -> Result<Applied<Vec<Refund>>, RequestError<WithdrawRefusal>> {
        let records = &mut *self.0.lock();
        if let Some(before) = records.requests.before(Some(request))? {
            return Ok(Applied::Before(before));
        }
        let ids = records.cards.by_user.get(&plan.user).cloned().unwrap_or_default();
        let cards = ids.into_iter().rev().filter_map(|id| records.card(id));
        let cards: Vec<CardPayment> = cards.filter(|card| card.amount.currency == plan.amount.currency).collect();
        let balance = records.wallets.balance(plan.user, plan.amount.currency);
        let parts = plan.decide(balance, &cards).map_err(RequestError::Refused)?;
        for part in &parts {
            let payment = part.refund.payment;
            if let Some(attempt) = records.cards.payments.get_mut(&payment).and_then(|card| card.attempts.last_mut()) {
                attempt.events.push(part.refund.requested());
            }
            records.cards.reopen(payment, plan.at);
            records.payments.refunds.insert(part.refund.id, part.refund.clone());
            let entry = records.wallets.post(&part.transfer.clone().for_request(request.id));
            records.outbox.write(&Event::WalletWithdrawn { user: plan.user, entry });
        }
        let refunds: Vec<Refund> = parts.into_iter().map(|part| part.refund).collect();
        records.requests.remember(Some(request), refunds.clone());
        Ok(Applied::Now(refunds))
    }

    async fn find_withdrawn(&self, request: RequestKey) -> Result<Option<Vec<Refund>>, RequestError<Infallible>> {
        self.0.lock().requests.before(Some(request))
    }
}
