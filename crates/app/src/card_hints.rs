//! Hints of the payment gateway that a payment has news.

use std::sync::Arc;

use encore_domain::ids::{PaymentId, RefundId};
use encore_domain::payment::attempt::{Outcome, Step};
use encore_domain::payment::card_change::{CardChange, CardChangeIds, Change, TakeUp};
use encore_domain::ports::{CardPayments, Clock, Ids, PaymentGateway};

use crate::card_measure;
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
        let change = CardChange { what, at: self.clock.now(), ids };
        let (_, effects) = self.cards.apply(payment, change, TakeUp::Hinted).await?;
        card_measure::recorded(&effects.events);
        Ok(Some(payment))
    }
}

#[cfg(test)]
mod tests {
    use encore_domain::payment::attempt::AttemptEvent;
    use encore_domain::payment::card::{CardPayment, Purpose};
    use encore_domain::payment::card_change::CardEffects;
    use encore_domain::ports::{MockCardPayments, MockClock, MockIds, MockPaymentGateway};
    use encore_port_tests::fixtures::{at_secs, euros, id};
    use futures::executor::block_on;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use uuid::Uuid;

    use super::*;

    fn card(payment: PaymentId) -> CardPayment {
        CardPayment {
            id: payment,
            user: id(),
            purpose: Purpose::TopUp,
            amount: euros(1),
            made_at: at_secs(0),
            attempts: Vec::new(),
            refunds: Vec::new(),
            tries: 0,
        }
    }

    /// The hints about a payment whose dispute is recorded by the first of them.
    fn hints() -> CardHints {
        let payment: PaymentId = id();
        let (mut cards, mut gateway, mut clock, mut ids) =
            (MockCardPayments::new(), MockPaymentGateway::new(), MockClock::new(), MockIds::new());
        gateway.expect_payment_of().returning(move |_| Ok(Some(payment)));
        cards.expect_find().returning(move |_| Ok(Some(card(payment))));
        let mut is_new = true;
        cards.expect_apply().returning(move |_, change, _| {
            let Change::Report(reports) = change.what else { panic!("no report: {change:?}") };
            let event = |(step, outcome)| AttemptEvent { step, outcome, at: change.at };
            let events = reports.into_iter().map(event).filter(|_| is_new).collect();
            is_new = false;
            Ok((card(payment), CardEffects { events, ..CardEffects::default() }))
        });
        clock.expect_now().returning(|| at_secs(1));
        ids.expect_next().returning(|| Uuid::from_u128(1));
        CardHints::new(Arc::new(cards), Some(Arc::new(gateway)), Arc::new(clock), Arc::new(ids))
    }

    #[test]
    fn a_dispute_is_counted_when_it_is_recorded() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let hints = hints();
        for _ in 0..2 {
            metrics::with_local_recorder(&recorder, || block_on(hints.dispute("pi_1")).expect("the stores answer"));
        }
        let page = recorder.handle().render();
        assert!(page.contains("encore_card_steps_total{step=\"dispute\",outcome=\"requested\"} 1\n"), "{page}");
    }
}
