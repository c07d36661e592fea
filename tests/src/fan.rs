//! The client of a fan or operator: it sends an access token and, after joining a queue, a queue token.

use encore_domain::ids::{PerformanceId, RequestId, UserId};
use encore_grpc::QUEUE_TOKEN_HEADER;
use encore_port_tests::fixtures;
use encore_proto::admin::v1 as admin;
use encore_proto::admin::v1::admin_service_client::AdminServiceClient;
use encore_proto::booking::v1 as booking;
use encore_proto::booking::v1::booking_service_client::BookingServiceClient;
use encore_proto::catalog::v1 as catalog;
use encore_proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use encore_proto::common::v1::Money;
use encore_proto::payment::v1 as payment;
use encore_proto::payment::v1::payment_service_client::PaymentServiceClient;
use encore_proto::queue::v1 as queue;
use encore_proto::queue::v1::queue_service_client::QueueServiceClient;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_proto::wallet::v1 as wallet;
use encore_proto::wallet::v1::wallet_service_client::WalletServiceClient;
use prost::Message;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_types::{StatusExt, pb};

/// A caller.
#[derive(Clone, Debug)]
pub struct Fan {
    /// The user id.
    pub user: UserId,
    /// Sent as `authorization: Bearer …`; empty for none.
    pub access_token: String,
    /// Sent as `queue-token`; empty for none.
    pub queue_token: String,
    /// The connection to an instance.
    pub channel: Channel,
}

/// A new request id.
pub fn request_id() -> String {
    fixtures::id::<RequestId>().to_string()
}

/// The reason of a refusal: the name in `ErrorReason` without its prefix.
pub fn reason(refusal: &Status) -> String {
    refusal.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// A value from the metadata of a refusal's reason.
pub fn reason_metadata(refusal: &Status, key: &str) -> Option<String> {
    refusal.get_error_details().error_info().and_then(|info| info.metadata.get(key).cloned())
}

/// The next queue status of a position stream.
pub async fn next_status(frames: &mut Streaming<queue::WatchPositionResponse>) -> QueueStatus {
    let frame = frames.message().await.expect("a frame").expect("the stream goes on");
    frame.status.and_then(|status| status.status).expect("a status")
}

/// The fields of a refusal's violations, in order.
pub fn violated_fields(refusal: &Status) -> Vec<String> {
    let details = refusal.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    violations.iter().map(|violation| violation.field.clone()).collect()
}

/// The `SeatsTaken` detail of a refusal.
pub fn seats_taken(refusal: &Status) -> Option<booking::SeatsTaken> {
    let status = pb::Status::decode(refusal.details()).ok()?;
    let detail = status.details.iter().find(|it| it.type_url == "type.googleapis.com/encore.booking.v1.SeatsTaken")?;
    booking::SeatsTaken::decode(detail.value.as_slice()).ok()
}

impl Fan {
    /// The same fan with a connection to another instance.
    pub fn on(&self, channel: &Channel) -> Self {
        Self { channel: channel.clone(), ..self.clone() }
    }

    /// The same fan with another queue token.
    pub fn showing(&self, queue_token: &str) -> Self {
        Self { queue_token: queue_token.to_owned(), ..self.clone() }
    }

    /// A request with this fan's tokens.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let ascii = |text: &str| text.parse::<MetadataValue<Ascii>>().expect("a token is ASCII");
        if !self.access_token.is_empty() {
            request.metadata_mut().insert("authorization", ascii(&format!("Bearer {}", self.access_token)));
        }
        if !self.queue_token.is_empty() {
            request.metadata_mut().insert(QUEUE_TOKEN_HEADER, ascii(&self.queue_token));
        }
        request
    }

    /// Joins a queue, and sends its queue token from then on.
    pub async fn join(&mut self, performance: PerformanceId) -> Result<u64, Status> {
        Ok(self.join_with(performance, "").await?.join_index)
    }

    /// The same with a lane grant.
    pub async fn join_with(
        &mut self,
        performance: PerformanceId,
        lane_grant: &str,
    ) -> Result<queue::JoinQueueResponse, Status> {
        let message = queue::JoinQueueRequest {
            performance_id: performance.to_string(),
            lane_grant: lane_grant.to_owned(),
            ..queue::JoinQueueRequest::default()
        };
        self.send_join(message).await
    }

    /// The same with all that a request may say.
    pub async fn send_join(&mut self, message: queue::JoinQueueRequest) -> Result<queue::JoinQueueResponse, Status> {
        let joined = self.queue().join_queue(self.request(message)).await?.into_inner();
        self.queue_token.clone_from(&joined.queue_token);
        Ok(joined)
    }

    /// Joins a queue under a given request id. The fan goes on sending the queue token of before.
    pub async fn join_as(
        &self,
        request_id: &str,
        performance: PerformanceId,
        lane_grant: &str,
    ) -> Result<queue::JoinQueueResponse, Status> {
        let message = queue::JoinQueueRequest {
            request_id: request_id.to_owned(),
            performance_id: performance.to_string(),
            lane_grant: lane_grant.to_owned(),
            ..queue::JoinQueueRequest::default()
        };
        Ok(self.queue().join_queue(self.request(message)).await?.into_inner())
    }

    /// Leaves the queue.
    pub async fn leave(&self) -> Result<queue::EndReason, Status> {
        self.leave_as("").await
    }

    /// Leaves the queue under a given request id.
    pub async fn leave_as(&self, request_id: &str) -> Result<queue::EndReason, Status> {
        let message =
            queue::LeaveQueueRequest { request_id: request_id.to_owned(), queue_token: self.queue_token.clone() };
        Ok(self.queue().leave_queue(self.request(message)).await?.into_inner().reason())
    }

    /// Opens the position stream.
    pub async fn watch(&self) -> Result<Streaming<queue::WatchPositionResponse>, Status> {
        let message = queue::WatchPositionRequest { queue_token: self.queue_token.clone() };
        Ok(self.queue().watch_position(self.request(message)).await?.into_inner())
    }

    /// Joins a queue, watches until admitted, and sends the admitted token from then on. Returns the positions that the
    /// stream showed.
    pub async fn enter(&mut self, performance: PerformanceId) -> Result<Vec<u64>, Status> {
        self.join(performance).await?;
        self.wait().await
    }

    /// Watches until admitted, and sends the admitted token from then on. Returns the positions that the stream showed.
    pub async fn wait(&mut self) -> Result<Vec<u64>, Status> {
        let mut frames = self.watch().await?;
        let mut positions = Vec::new();
        while let Some(frame) = frames.message().await? {
            match frame.status.and_then(|status| status.status) {
                Some(QueueStatus::Waiting(waiting)) => positions.push(waiting.position),
                Some(QueueStatus::PreQueued(_)) => {}
                Some(QueueStatus::Admitted(admitted)) => {
                    self.queue_token = admitted.queue_token;
                    return Ok(positions);
                }
                Some(QueueStatus::Ended(ended)) => return Err(Status::aborted(format!("{:?}", ended.reason()))),
                None => return Err(Status::data_loss("a frame without a status")),
            }
        }
        Err(Status::aborted("the stream ended before admission"))
    }

    /// The fan's queue status.
    pub async fn position(&self) -> Result<QueueStatus, Status> {
        let response = self.position_response().await?;
        Ok(response.status.and_then(|status| status.status).expect("a status"))
    }

    /// The same with all that the response says.
    pub async fn position_response(&self) -> Result<queue::GetPositionResponse, Status> {
        let message = queue::GetPositionRequest { queue_token: self.queue_token.clone() };
        Ok(self.queue().get_position(self.request(message)).await?.into_inner())
    }

    /// Holds seats under a new request id.
    pub async fn hold(&self, performance: PerformanceId, seats: &[&str]) -> Result<booking::Reservation, Status> {
        self.hold_as(&request_id(), performance, seats).await
    }

    /// Holds seats under a given request id.
    pub async fn hold_as(
        &self,
        request_id: &str,
        performance: PerformanceId,
        seats: &[&str],
    ) -> Result<booking::Reservation, Status> {
        let message = booking::HoldSeatsRequest {
            request_id: request_id.to_owned(),
            performance_id: performance.to_string(),
            seat_ids: seats.iter().map(|&seat| seat.to_owned()).collect(),
            ..Default::default()
        };
        self.send_hold(message).await
    }

    /// Holds the best available seats under a new request id.
    pub async fn hold_best(
        &self,
        performance: PerformanceId,
        seat_request: booking::BestAvailable,
    ) -> Result<booking::Reservation, Status> {
        self.hold_best_as(&request_id(), performance, seat_request).await
    }

    /// Holds the best available seats under a given request id.
    pub async fn hold_best_as(
        &self,
        request_id: &str,
        performance: PerformanceId,
        seat_request: booking::BestAvailable,
    ) -> Result<booking::Reservation, Status> {
        let message = booking::HoldSeatsRequest {
            request_id: request_id.to_owned(),
            performance_id: performance.to_string(),
            best_available: Some(seat_request),
            ..Default::default()
        };
        self.send_hold(message).await
    }

    /// Holds units of a general admission area under a new request id.
    pub async fn hold_units(
        &self,
        performance: PerformanceId,
        area: &str,
        count: u32,
    ) -> Result<booking::Reservation, Status> {
        self.hold_units_as(&request_id(), performance, area, count).await
    }

    /// Holds units of a general admission area under a given request id.
    pub async fn hold_units_as(
        &self,
        request_id: &str,
        performance: PerformanceId,
        area: &str,
        count: u32,
    ) -> Result<booking::Reservation, Status> {
        let message = booking::HoldSeatsRequest {
            request_id: request_id.to_owned(),
            performance_id: performance.to_string(),
            general_admission: Some(booking::GeneralAdmission { area: area.to_owned(), count }),
            ..Default::default()
        };
        self.send_hold(message).await
    }

    /// Sends a `HoldSeats` request.
    pub async fn send_hold(&self, message: booking::HoldSeatsRequest) -> Result<booking::Reservation, Status> {
        let held = self.booking().hold_seats(self.request(message)).await?.into_inner();
        Ok(held.reservation.expect("a reservation"))
    }

    /// Releases a hold.
    pub async fn release(&self, reservation_id: &str) -> Result<booking::Reservation, Status> {
        self.release_as("", reservation_id, &[]).await
    }

    /// Releases seats of a hold under a given request id. An empty list releases all of them.
    pub async fn release_as(
        &self,
        request_id: &str,
        reservation_id: &str,
        seats: &[&str],
    ) -> Result<booking::Reservation, Status> {
        let message = booking::ReleaseHoldRequest {
            request_id: request_id.to_owned(),
            reservation_id: reservation_id.to_owned(),
            seat_ids: seats.iter().map(|&seat| seat.to_owned()).collect(),
        };
        let released = self.booking().release_hold(self.request(message)).await?.into_inner();
        Ok(released.reservation.expect("a reservation"))
    }

    /// Extends a hold under a given request id.
    pub async fn extend_as(&self, request_id: &str, reservation_id: &str) -> Result<booking::Reservation, Status> {
        let message =
            booking::ExtendHoldRequest { request_id: request_id.to_owned(), reservation_id: reservation_id.to_owned() };
        let extended = self.booking().extend_hold(self.request(message)).await?.into_inner();
        Ok(extended.reservation.expect("a reservation"))
    }

    /// Cancels a paid reservation, or some of its seats.
    pub async fn cancel(
        &self,
        reservation_id: &str,
        seats: &[&str],
    ) -> Result<booking::CancelReservationResponse, Status> {
        self.cancel_as(&request_id(), reservation_id, seats).await
    }

    /// The same under a given request id.
    pub async fn cancel_as(
        &self,
        request_id: &str,
        reservation_id: &str,
        seats: &[&str],
    ) -> Result<booking::CancelReservationResponse, Status> {
        let message = booking::CancelReservationRequest {
            request_id: request_id.to_owned(),
            reservation_id: reservation_id.to_owned(),
            seat_ids: seats.iter().map(|&seat| seat.to_owned()).collect(),
        };
        Ok(self.booking().cancel_reservation(self.request(message)).await?.into_inner())
    }

    /// Reads a reservation.
    pub async fn reservation(&self, reservation_id: &str) -> Result<booking::Reservation, Status> {
        let message = booking::GetReservationRequest { reservation_id: reservation_id.to_owned() };
        let read = self.booking().get_reservation(self.request(message)).await?.into_inner();
        Ok(read.reservation.expect("a reservation"))
    }

    /// Tops up the wallet by this many euro cents.
    pub async fn top_up(&self, amount_minor: i64) -> Result<wallet::LedgerEntry, Status> {
        self.top_up_as(&request_id(), amount_minor).await
    }

    /// The same under a given request id.
    pub async fn top_up_as(&self, request_id: &str, amount_minor: i64) -> Result<wallet::LedgerEntry, Status> {
        let amount = Some(Money { amount_minor, currency_code: "EUR".into() });
        let message = wallet::TopUpRequest { request_id: request_id.to_owned(), amount, card: None };
        let topped_up = self.wallet().top_up(self.request(message)).await?.into_inner();
        Ok(topped_up.entry.expect("an entry"))
    }

    /// Tops up the wallet by card.
    pub async fn top_up_by_card(
        &self,
        request_id: &str,
        amount_minor: i64,
        token: &str,
    ) -> Result<wallet::TopUpResponse, Status> {
        let message = wallet::TopUpRequest {
            request_id: request_id.to_owned(),
            amount: Some(Money { amount_minor, currency_code: "EUR".into() }),
            card: Some(payment::CardMethod { token: token.to_owned() }),
        };
        Ok(self.wallet().top_up(self.request(message)).await?.into_inner())
    }

    /// The balance in euro cents.
    pub async fn balance(&self) -> Result<i64, Status> {
        let response = self.wallet().get_balance(self.request(wallet::GetBalanceRequest {})).await?.into_inner();
        Ok(response.balances.iter().find(|it| it.currency_code == "EUR").map_or(0, |it| it.amount_minor))
    }

    /// Pays a hold under a new request id.
    pub async fn pay(&self, reservation_id: &str) -> Result<payment::Payment, Status> {
        self.pay_as(&request_id(), reservation_id).await
    }

    /// Pays a hold under a given request id.
    pub async fn pay_as(&self, request_id: &str, reservation_id: &str) -> Result<payment::Payment, Status> {
        let message = payment::PayReservationRequest {
            request_id: request_id.to_owned(),
            reservation_id: reservation_id.to_owned(),
            card: None,
        };
        let paid = self.payment().pay_reservation(self.request(message)).await?.into_inner();
        Ok(paid.payment.expect("a payment"))
    }

    /// Pays a hold by card, with this token of the gateway.
    pub async fn pay_by_card(&self, reservation_id: &str, token: &str) -> Result<payment::Payment, Status> {
        self.pay_by_card_as(&request_id(), reservation_id, token).await
    }

    /// The same under a given request id.
    pub async fn pay_by_card_as(
        &self,
        request_id: &str,
        reservation_id: &str,
        token: &str,
    ) -> Result<payment::Payment, Status> {
        let message = payment::PayReservationRequest {
            request_id: request_id.to_owned(),
            reservation_id: reservation_id.to_owned(),
            card: Some(payment::CardMethod { token: token.to_owned() }),
        };
        let paid = self.payment().pay_reservation(self.request(message)).await?.into_inner();
        Ok(paid.payment.expect("a payment"))
    }

    /// Reads a payment.
    pub async fn payment_of(&self, payment_id: &str) -> Result<payment::Payment, Status> {
        let message = payment::GetPaymentRequest { payment_id: payment_id.to_owned() };
        let found = self.payment().get_payment(self.request(message)).await?.into_inner();
        Ok(found.payment.expect("a payment"))
    }

    /// Completes the action that a payment waits for at the sandbox.
    pub async fn complete_action(&self, payment_id: &str, succeeds: bool) -> Result<payment::Payment, Status> {
        let message = payment::CompleteSandboxActionRequest { payment_id: payment_id.to_owned(), succeeds };
        let completed = self.payment().complete_sandbox_action(self.request(message)).await?.into_inner();
        Ok(completed.payment.expect("a payment"))
    }

    /// Blocks seats, as an operator.
    pub async fn block(
        &self,
        request_id: &str,
        performance: PerformanceId,
        seats: &[&str],
        reason: &str,
    ) -> Result<admin::BlockSeatsResponse, Status> {
        let message = admin::BlockSeatsRequest {
            request_id: request_id.to_owned(),
            performance_id: performance.to_string(),
            seat_ids: seats.iter().map(|&seat| seat.to_owned()).collect(),
            reason: reason.to_owned(),
        };
        Ok(self.admin().block_seats(self.request(message)).await?.into_inner())
    }

    /// Unblocks seats, as an operator.
    pub async fn unblock(
        &self,
        request_id: &str,
        performance: PerformanceId,
        seats: &[&str],
    ) -> Result<admin::UnblockSeatsResponse, Status> {
        let message = admin::UnblockSeatsRequest {
            request_id: request_id.to_owned(),
            performance_id: performance.to_string(),
            seat_ids: seats.iter().map(|&seat| seat.to_owned()).collect(),
        };
        Ok(self.admin().unblock_seats(self.request(message)).await?.into_inner())
    }

    /// The blocked seats of a performance, with their reasons, as an operator.
    pub async fn blocked(&self, performance: PerformanceId) -> Result<Vec<(String, String)>, Status> {
        let message = admin::ListBlockedSeatsRequest { performance_id: performance.to_string(), ..Default::default() };
        let listed = self.admin().list_blocked_seats(self.request(message)).await?.into_inner();
        Ok(listed.seats.into_iter().map(|seat| (seat.seat_id, seat.reason)).collect())
    }

    /// All seats of a performance.
    pub async fn seats(&self, performance: PerformanceId) -> Result<Vec<catalog::Seat>, Status> {
        let message = catalog::ListSeatsRequest { performance_id: performance.to_string(), ..Default::default() };
        let listed = self.catalog().list_seats(self.request(message)).await?.into_inner();
        Ok(listed.sections.into_iter().flat_map(|section| section.rows).flat_map(|row| row.seats).collect())
    }

    /// A client of the catalogue.
    pub fn catalog(&self) -> CatalogServiceClient<Channel> {
        CatalogServiceClient::new(self.channel.clone())
    }

    /// A client for operators.
    pub fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    /// A client of the queues.
    pub fn queue(&self) -> QueueServiceClient<Channel> {
        QueueServiceClient::new(self.channel.clone())
    }

    /// A client of bookings.
    pub fn booking(&self) -> BookingServiceClient<Channel> {
        BookingServiceClient::new(self.channel.clone())
    }

    /// A client of wallets.
    pub fn wallet(&self) -> WalletServiceClient<Channel> {
        WalletServiceClient::new(self.channel.clone())
    }

    /// A client of payments.
    pub fn payment(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(self.channel.clone())
    }
}
