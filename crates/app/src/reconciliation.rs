//! Compares card payments that have come to rest with the gateway.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::payment::reconciliation::{Unreconciled, difference};
use encore_domain::ports::{Clock, PaymentGateway, Reconciliations};
use tokio::time::timeout;
use tracing::{error, info};

use crate::card_measure;
use crate::error::AppError;

/// How old an attempt is when it is compared: nothing of it is under way any more.
const COMPARE_AFTER: Duration = Duration::from_hours(1);
/// How many attempts one round compares. With the pause between two rounds this spares the gateway, whose answers the sale needs.
const BATCH: u32 = 50;
/// How many attempts of a round may stay without an answer before the gateway is taken to be away.
const UNANSWERED_MAX: u32 = 3;
/// How long the gateway may take to say what it knows of an attempt.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// Compares what Encore recorded with what the gateway says. What differs is kept for the auditor.
#[derive(Clone)]
pub struct Reconciler {
    reconciliations: Arc<dyn Reconciliations>,
    gateway: Arc<dyn PaymentGateway>,
    clock: Arc<dyn Clock>,
}

impl Reconciler {
    /// The pause between two rounds.
    pub const COMPARE_EVERY: Duration = Duration::from_secs(30);

    /// Over these ports.
    pub fn new(
        reconciliations: Arc<dyn Reconciliations>,
        gateway: Arc<dyn PaymentGateway>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { reconciliations, gateway, clock }
    }

    /// Compares some attempts. Those of which the gateway does not answer are compared in a later round.
    pub async fn compare(&self) -> Result<(), AppError> {
        let begun_before = self.clock.now() - COMPARE_AFTER;
        let attempts = self.reconciliations.unreconciled(begun_before, BATCH).await?;
        let (mut compared, mut unanswered) = (0, 0);
        for Unreconciled { charge, state } in attempts {
            let answer = timeout(ANSWER_WITHIN, self.gateway.look_up(&charge)).await;
            let view = match answer.unwrap_or_else(|_| Err(Unavailable::of("the payment gateway"))) {
                Ok(view) => view,
                Err(unavailable) if unanswered == UNANSWERED_MAX => return Err(unavailable.into()),
                Err(_) => {
                    unanswered += 1;
                    continue;
                }
            };
            let found = difference(&state, view.as_ref());
            if let Some(found) = found {
                let (payment, attempt, difference) = (charge.payment, charge.attempt, found.name());
                error!(
                    alarm = "gateway_differs",
                    %payment, %attempt, difference, "the payment gateway and Encore differ about a payment"
                );
            }
            self.reconciliations.record(charge.attempt, found, self.clock.now()).await?;
            card_measure::compared(found);
            compared += 1;
        }
        if compared > 0 {
            info!(attempts = compared, "attempts to pay by card were compared with the gateway");
        }
        Ok(())
    }
}
