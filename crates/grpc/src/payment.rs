//! `PaymentService`.

use std::sync::Arc;

use encore_app::payment::PaymentUseCases;
use encore_domain::payment::Payment;
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
        let (Some(key), Some(id)) = (key, id) else {
            return Err(fields.into_status());
        };
        let payments = Arc::clone(&self.payments);
        let paid = self.calls.write(async move { payments.pay_reservation(caller, &pass, id, key).await });
        Ok(Response::new(pb::PayReservationResponse { payment: Some(to_proto(&paid.await?)) }))
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
        let page = self.calls.read(self.payments.list_payments(caller, page)).await?;
        Ok(Response::new(pb::ListPaymentsResponse {
            payments: page.items.iter().map(to_proto).collect(),
            next_page_token: listing.next_page_token(page.next.as_ref()),
        }))
    }
}

fn to_proto(payment: &Payment) -> pb::Payment {
    pb::Payment {
        payment_id: payment.id.to_string(),
        reservation_id: payment.reservation.to_string(),
        performance_id: payment.performance.to_string(),
        amount: Some(money(payment.amount)),
        paid_at: Some(timestamp(payment.paid_at)),
    }
}
