//! Hints of the payment gateway that a payment has news.

use std::sync::Arc;

use encore_domain::ids::{PaymentId, RefundId};
use encore_domain::payment::attempt::{Outcome, Step};
use encore_domain::payment::card_change::{CardChange, CardChangeIds, Change, TakeUp};
use encore_domain::ports::{CardPayments, Clock, Ids, PaymentGateway};

use crate::error::AppError;
use crate::wallet::transfer_ids;

/// The use cases of webhooks: a hint makes a payment due. What is new is asked of the gateway.
#[derive(Clone)]
pub struct CardHints {
    cards: Arc<dyn CardPayments>,
    gateway: Option<Arc<dyn PaymentGateway>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl CardHints {
    /// Over these ports.
    pub fn new(
        cards: Arc<dyn CardPayments>,
        gateway: Option<Arc<dyn PaymentGateway>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self { cards, gateway, clock, ids }
    }

    /// Makes a payment due now. Returns whether it has something left to do.
    pub async fn look_at(&self, payment: PaymentId) -> Result<bool, AppError> {
        Ok(self.cards.hasten(payment, self.clock.now()).await?)
    }

    /// Records that somebody is said to dispute the charge that the gateway calls by this name, and makes its payment due. Returns the
    /// payment; none if it is not Encore's.
    pub async fn dispute(&self, gateway_name: &str) -> Result<Option<PaymentId>, AppError> {
        let Some(gateway) = &self.gateway else { return Ok(None) };
        let Some(payment) = gateway.payment_of(gateway_name).await? else { return Ok(None) };
        if self.cards.find(payment).await?.is_none() {
            return Ok(None);
        }
        let transfers = [(); 2].map(|()| transfer_ids(&*self.ids));
        let ids = CardChangeIds { refund: RefundId(self.ids.next()), transfers };
        let what = Change::Report(vec![(Step::Dispute, Outcome::Requested)]);
        self.cards.apply(payment, CardChange { what, at: self.clock.now(), ids }, TakeUp::Hinted).await?;
        Ok(Some(payment))
    }
}
