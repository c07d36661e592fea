//! Hints of the payment gateway that a payment has news.

use std::sync::Arc;

use encore_domain::ids::PaymentId;
use encore_domain::ports::{CardPayments, Clock};

use crate::error::AppError;

/// The use case of webhooks: a hint makes a payment due, and nothing else. What is new is asked of the gateway.
#[derive(Clone)]
pub struct CardHints {
    cards: Arc<dyn CardPayments>,
    clock: Arc<dyn Clock>,
}

impl CardHints {
    /// Over these ports.
    pub fn new(cards: Arc<dyn CardPayments>, clock: Arc<dyn Clock>) -> Self {
        Self { cards, clock }
    }

    /// Makes a payment due now. Returns whether it has something left to do.
    pub async fn look_at(&self, payment: PaymentId) -> Result<bool, AppError> {
        Ok(self.cards.hasten(payment, self.clock.now()).await?)
    }
}
