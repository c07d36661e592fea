//! `PaymentService`.

use std::sync::Arc;

use encore_app::card_payments::CardPaymentUseCases;
use encore_app::payment::PaymentUseCases;
use encore_domain::money::Money;
use encore_domain::payment::attempt::Progress;
use encore_domain::payment::card::{CardPayment, PaymentState, Purpose};
use encore_domain::payment::fan_payment::{FanPayment, PaidFromWallet};
use encore_domain::payment::gateway::{FailureReason, MethodToken};
use encore_proto::payment::v1::{self as pb, payment_service_server::PaymentService};
use tonic::{Request, Response, Status};

use crate::authenticate::caller;
use crate::calls::Calls;
use crate::fields::Fields;
use crate::page_token::Listings;
use crate::queue_pass::queue_pass;
use crate::sent_body::sent_body;
use crate::to_proto::{money, timestamp};

pub(crate) struct PaymentApi {
    pub(crate) payments: Arc<PaymentUseCases>,
    pub(crate) cards: CardPaymentUseCases,
    pub(crate) listings: Listings,
    pub(crate) calls: Calls,
}

#[tonic::async_trait]
impl PaymentService for PaymentApi {
    async fn pay_reservation(
        &self,
        request: Request<pb::PayReservationRequest>,
    ) -> Result<Response<pb::PayReservationResponse>, Status> {
        let (caller, pass, sent) = (caller(&request)?, queue_pass(&request), sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.request(caller.user, &message.request_id, &sent.of("PayReservation", &message));
        let id = fields.id("reservation_id", &message.reservation_id);
        let card = message.card.map(|card| fields.read("card.token", MethodToken::parse(&card.token)));
        let (Some(key), Some(id)) = (key, id) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let payment = if let Some(method) = card.flatten() {
            let cards = self.cards.clone();
            let paid = async move { cards.pay_reservation(caller, &pass, id, &method, key).await };
            card_to_proto(&self.calls.write(paid).await?)
        } else {
            let payments = Arc::clone(&self.payments);
            let paid = async move { payments.pay_reservation(caller, &pass, id, key).await };
            wallet_to_proto(&self.calls.write(paid).await?.into())
        };
        Ok(Response::new(pb::PayReservationResponse { payment: Some(payment) }))
    }

    async fn get_payment(
        &self,
        request: Request<pb::GetPaymentRequest>,
    ) -> Result<Response<pb::GetPaymentResponse>, Status> {
        let caller = caller(&request)?;
        let mut fields = Fields::default();
        let Some(id) = fields.id("payment_id", &request.get_ref().payment_id) else {
            return Err(fields.into_status());
        };
        let payment = self.calls.read(self.payments.get_payment(caller, id)).await?;
        Ok(Response::new(pb::GetPaymentResponse { payment: Some(to_proto(&payment)) }))
    }

    async fn complete_sandbox_action(
        &self,
        request: Request<pb::CompleteSandboxActionRequest>,
    ) -> Result<Response<pb::CompleteSandboxActionResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let Some(id) = fields.id("payment_id", &message.payment_id) else {
            return Err(fields.into_status());
        };
        let cards = self.cards.clone();
        let completed = async move { cards.complete_sandbox_action(caller, id, message.succeeds).await };
        let card = self.calls.write(completed).await?;
        Ok(Response::new(pb::CompleteSandboxActionResponse { payment: Some(card_to_proto(&card)) }))
    }

    async fn list_payments(
        &self,
        request: Request<pb::ListPaymentsRequest>,
    ) -> Result<Response<pb::ListPaymentsResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let listing = self.listings.of("ListPayments", Some(caller.user), []);
        let Some(page) = fields.page(&listing, message.page_size, &message.page_token) else {
            return Err(fields.into_status());
        };
        let page = self.calls.read(self.payments.list_payments(caller.user, page)).await?;
        Ok(Response::new(pb::ListPaymentsResponse {
            payments: page.items.iter().map(to_proto).collect(),
            next_page_token: listing.next_page_token(page.next.as_ref()),
        }))
    }
}

/// A payment as its fan sees it.
pub(crate) fn to_proto(payment: &FanPayment) -> pb::Payment {
    match payment {
        FanPayment::Wallet(paid) => wallet_to_proto(paid),
        FanPayment::Card(card) => card_to_proto(card),
    }
}

fn wallet_to_proto(paid: &PaidFromWallet) -> pb::Payment {
    let payment = &paid.payment;
    pb::Payment {
        payment_id: payment.id.to_string(),
        reservation_id: payment.reservation.to_string(),
        performance_id: payment.performance.to_string(),
        amount: Some(money(payment.amount)),
        paid_at: Some(timestamp(payment.paid_at)),
        method: pb::PaymentMethod::Wallet.into(),
        state: state(paid.state()).into(),
        next_action: None,
        attempts: Vec::new(),
        refunded: Some(money(paid.refunded())),
        balance_after: Some(money(paid.balance_after)),
    }
}

pub(crate) fn card_to_proto(card: &CardPayment) -> pb::Payment {
    let (reservation, performance) = match card.purpose {
        Purpose::Seats { reservation, performance } => (reservation.to_string(), performance.to_string()),
        Purpose::TopUp => (String::new(), String::new()),
    };
    let attempts = card.attempts.iter().map(|attempt| {
        let state = attempt.state();
        pb::PaymentAttempt {
            started_at: Some(timestamp(attempt.made_at)),
            expires_at: Some(timestamp(attempt.bound)),
            failure: state.failure.map_or(pb::PaymentFailure::Unspecified, failure).into(),
            dispute: dispute(state.dispute).into(),
        }
    });
    pb::Payment {
        payment_id: card.id.to_string(),
        reservation_id: reservation,
        performance_id: performance,
        amount: Some(money(card.amount)),
        paid_at: card.paid_at().map(timestamp),
        method: pb::PaymentMethod::Card.into(),
        state: state(card.state()).into(),
        next_action: card.next_action().map(|action| pb::NextAction { url: action.url }),
        attempts: attempts.collect(),
        refunded: Some(money(Money { minor: card.refunded_minor(), ..card.amount })),
        balance_after: None,
    }
}

fn state(state: PaymentState) -> pb::PaymentState {
    match state {
        PaymentState::Processing => pb::PaymentState::Processing,
        PaymentState::NeedsAction => pb::PaymentState::NeedsAction,
        PaymentState::Paid => pb::PaymentState::Paid,
        PaymentState::Failed => pb::PaymentState::Failed,
        PaymentState::Expired => pb::PaymentState::Expired,
        PaymentState::PartlyRefunded => pb::PaymentState::PartlyRefunded,
        PaymentState::Refunded => pb::PaymentState::Refunded,
    }
}

fn dispute(progress: Progress) -> pb::PaymentDispute {
    match progress {
        // What a webhook says is told when the gateway confirms it.
        Progress::NotRequested | Progress::Requested | Progress::NeedsAction => pb::PaymentDispute::Unspecified,
        Progress::Unknown => pb::PaymentDispute::Open,
        Progress::Succeeded => pb::PaymentDispute::Lost,
        Progress::Failed => pb::PaymentDispute::Won,
    }
}

fn failure(reason: FailureReason) -> pb::PaymentFailure {
    match reason {
        FailureReason::Declined => pb::PaymentFailure::Declined,
        FailureReason::InsufficientFunds => pb::PaymentFailure::InsufficientFunds,
        FailureReason::MethodInvalid => pb::PaymentFailure::MethodInvalid,
        FailureReason::ActionFailed => pb::PaymentFailure::ActionFailed,
        FailureReason::NotReceived => pb::PaymentFailure::NotReceived,
        FailureReason::CaptureRefused => pb::PaymentFailure::CaptureRefused,
        FailureReason::RefundRefused => pb::PaymentFailure::RefundRefused,
        // No attempt fails for it.
        FailureReason::DisputeWon => pb::PaymentFailure::Unspecified,
    }
}
