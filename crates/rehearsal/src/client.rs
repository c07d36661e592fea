//! Calls as an app makes them: one method per RPC, with the tokens that the contract asks for.

use std::time::Duration;

use encore_proto::booking::v1 as booking;
use encore_proto::booking::v1::booking_service_client::BookingServiceClient;
use encore_proto::catalog::v1 as catalog;
use encore_proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use encore_proto::common::v1::Money;
use encore_proto::payment::v1 as payment;
use encore_proto::payment::v1::payment_service_client::PaymentServiceClient;
use encore_proto::queue::v1 as queue;
use encore_proto::queue::v1::queue_service_client::QueueServiceClient;
use encore_proto::wallet::v1 as wallet;
use encore_proto::wallet::v1::wallet_service_client::WalletServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use uuid::Uuid;

/// The currency of all rehearsals.
pub const CURRENCY: &str = "EUR";
/// The token of a card that the sandbox approves.
const APPROVED_CARD: &str = "sandbox_approve";
/// How long a call may take before its caller gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// How long a connection may take to be made.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How often an idle connection is tried, so that a dead instance is noticed by those who only listen.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
/// How long the other side may take to say that it is there.
const KEEPALIVE_PATIENCE: Duration = Duration::from_secs(5);
/// How many bytes of a stream the other side may send ahead: a fan's frames are small and there are many fans.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// How many bytes of all streams of a connection it may send ahead.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 24;
/// A page of the seat map may be larger than the usual 4 MiB.
pub(crate) const MESSAGE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// The connections of the client: a number to each instance. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Connections {
    /// By instance.
    channels: Vec<Vec<Channel>>,
}

impl Connections {
    /// Prepares connections; they are made when they are first used, and again when they break.
    pub fn to(addresses: &[String], per_instance: usize) -> Result<Self, tonic::transport::Error> {
        let connect = |address: &String| {
            let endpoint = Endpoint::from_shared(address.clone())?
                .connect_timeout(CONNECT_PATIENCE)
                .tcp_nodelay(true)
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .http2_keep_alive_interval(KEEPALIVE_EVERY)
                .keep_alive_timeout(KEEPALIVE_PATIENCE);
            Ok((0..per_instance.max(1)).map(|_| endpoint.connect_lazy()).collect())
        };
        Ok(Self { channels: addresses.iter().map(connect).collect::<Result<_, tonic::transport::Error>>()? })
    }

    /// A connection to an instance; both are taken in turn.
    pub fn turn(&self, turn: u64) -> Channel {
        let turn = usize::try_from(turn).unwrap_or(usize::MAX);
        let instance = &self.channels[turn % self.channels.len()];
        instance[turn / self.channels.len() % instance.len()].clone()
    }

    /// All of them, of each instance the first first.
    pub fn all(&self) -> Vec<Channel> {
        self.channels.iter().flatten().cloned().collect()
    }
}

/// A request id, drawn by the caller so that the same seed asks the same.
pub type RequestId = Uuid;

/// A caller with an access token and, after joining a queue, a queue token.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(crate) channel: Channel,
    authorization: MetadataValue<Ascii>,
    queue_token: Option<MetadataValue<Ascii>>,
}

impl Caller {
    /// Somebody with an access token.
    pub fn new(channel: Channel, access_token: &str) -> Result<Self, Status> {
        let authorization = metadata(&format!("Bearer {access_token}"))?;
        Ok(Self { channel, authorization, queue_token: None })
    }

    /// The same, over another connection.
    pub fn over(&self, channel: Channel) -> Self {
        Self { channel, ..self.clone() }
    }

    /// The same, with a queue token.
    pub fn showing(self, queue_token: &str) -> Result<Self, Status> {
        Ok(Self { queue_token: Some(metadata(queue_token)?), ..self })
    }

    /// A request with this caller's tokens and a deadline.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.lasting_request(message);
        request.set_timeout(PATIENCE);
        request
    }

    /// A request for a stream, which lasts as long as it likes.
    fn lasting_request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        if let Some(queue_token) = &self.queue_token {
            request.metadata_mut().insert("queue-token", queue_token.clone());
        }
        request
    }

    fn queue_token(&self) -> String {
        let token = self.queue_token.as_ref().and_then(|token| token.to_str().ok());
        token.unwrap_or_default().to_owned()
    }

    /// `JoinQueue`.
    pub async fn join(&self, performance: &str) -> Result<queue::JoinQueueResponse, Status> {
        let message = queue::JoinQueueRequest { performance_id: performance.to_owned(), ..Default::default() };
        let mut client = QueueServiceClient::new(self.channel.clone());
        Ok(client.join_queue(self.request(message)).await?.into_inner())
    }

    /// `GetPosition`.
    pub async fn position(&self) -> Result<queue::GetPositionResponse, Status> {
        let message = queue::GetPositionRequest { queue_token: self.queue_token() };
        let mut client = QueueServiceClient::new(self.channel.clone());
        Ok(client.get_position(self.request(message)).await?.into_inner())
    }

    /// `WatchPosition`.
    pub async fn watch(&self) -> Result<Streaming<queue::WatchPositionResponse>, Status> {
        let message = queue::WatchPositionRequest { queue_token: self.queue_token() };
        let mut client = QueueServiceClient::new(self.channel.clone());
        Ok(client.watch_position(self.lasting_request(message)).await?.into_inner())
    }

    /// `LeaveQueue`.
    pub async fn leave(&self) -> Result<(), Status> {
        let message = queue::LeaveQueueRequest { queue_token: self.queue_token(), ..Default::default() };
        QueueServiceClient::new(self.channel.clone()).leave_queue(self.request(message)).await?;
        Ok(())
    }

    /// `ListSeats`: a page of the whole map, or of one section.
    pub async fn seats(&self, message: catalog::ListSeatsRequest) -> Result<catalog::ListSeatsResponse, Status> {
        let client = CatalogServiceClient::new(self.channel.clone());
        let mut client = client.max_decoding_message_size(MESSAGE_MAX_BYTES);
        Ok(client.list_seats(self.request(message)).await?.into_inner())
    }

    /// `WatchSeats`: all seats, and what becomes of them.
    pub async fn watch_seats(&self, performance: &str) -> Result<Streaming<catalog::WatchSeatsResponse>, Status> {
        let message = catalog::WatchSeatsRequest { performance_id: performance.to_owned(), ..Default::default() };
        let client = CatalogServiceClient::new(self.channel.clone());
        let mut client = client.max_decoding_message_size(MESSAGE_MAX_BYTES);
        Ok(client.watch_seats(self.lasting_request(message)).await?.into_inner())
    }

    /// `HoldSeats`.
    pub async fn hold(
        &self,
        request: RequestId,
        performance: &str,
        seat_ids: &[String],
    ) -> Result<booking::Reservation, Status> {
        let message = booking::HoldSeatsRequest {
            request_id: request.to_string(),
            performance_id: performance.to_owned(),
            seat_ids: seat_ids.to_vec(),
            ..Default::default()
        };
        self.send_hold(message).await
    }

    /// `HoldSeats`, of units of a general admission area.
    pub async fn hold_units(
        &self,
        request: RequestId,
        performance: &str,
        area: &str,
        count: u32,
    ) -> Result<booking::Reservation, Status> {
        let message = booking::HoldSeatsRequest {
            request_id: request.to_string(),
            performance_id: performance.to_owned(),
            general_admission: Some(booking::GeneralAdmission { area: area.to_owned(), count }),
            ..Default::default()
        };
        self.send_hold(message).await
    }

    /// `HoldSeats`, of the best that are available.
    pub async fn hold_best(
        &self,
        request: RequestId,
        performance: &str,
        count: u32,
    ) -> Result<booking::Reservation, Status> {
        let message = booking::HoldSeatsRequest {
            request_id: request.to_string(),
            performance_id: performance.to_owned(),
            best_available: Some(booking::BestAvailable { count, ..Default::default() }),
            ..Default::default()
        };
        self.send_hold(message).await
    }

    async fn send_hold(&self, message: booking::HoldSeatsRequest) -> Result<booking::Reservation, Status> {
        let mut client = BookingServiceClient::new(self.channel.clone());
        let held = client.hold_seats(self.request(message)).await?.into_inner();
        held.reservation.ok_or_else(|| Status::data_loss("a hold without a reservation"))
    }

    /// `ReleaseHold`.
    pub async fn release(&self, request: RequestId, reservation_id: &str) -> Result<(), Status> {
        let (request_id, reservation_id) = (request.to_string(), reservation_id.to_owned());
        let message = booking::ReleaseHoldRequest { request_id, reservation_id, seat_ids: vec![] };
        BookingServiceClient::new(self.channel.clone()).release_hold(self.request(message)).await?;
        Ok(())
    }

    /// `GetReservation`: whether it is paid.
    pub async fn is_confirmed(&self, reservation_id: &str) -> Result<bool, Status> {
        let message = booking::GetReservationRequest { reservation_id: reservation_id.to_owned() };
        let mut client = BookingServiceClient::new(self.channel.clone());
        let found = client.get_reservation(self.request(message)).await?.into_inner().reservation;
        Ok(found.is_some_and(|it| it.state() == booking::ReservationState::Confirmed))
    }

    /// `TopUp`, in minor units of [`CURRENCY`].
    pub async fn top_up(&self, request: RequestId, amount_minor: i64) -> Result<(), Status> {
        let amount = Some(Money { amount_minor, currency_code: CURRENCY.to_owned() });
        let message = wallet::TopUpRequest { request_id: request.to_string(), amount, card: None };
        WalletServiceClient::new(self.channel.clone()).top_up(self.request(message)).await?;
        Ok(())
    }

    /// `GetBalance`, in minor units of [`CURRENCY`].
    pub async fn balance_minor(&self) -> Result<i64, Status> {
        let mut client = WalletServiceClient::new(self.channel.clone());
        let balances = client.get_balance(self.request(wallet::GetBalanceRequest {})).await?.into_inner().balances;
        Ok(balances.iter().find(|it| it.currency_code == CURRENCY).map_or(0, |it| it.amount_minor))
    }

    /// `PayReservation`, from the wallet.
    pub async fn pay(&self, request: RequestId, reservation_id: &str) -> Result<payment::Payment, Status> {
        self.send_payment(request, reservation_id, None).await
    }

    /// `PayReservation`, by a card that the sandbox approves. A payment that is not over is an error.
    pub async fn pay_by_card(&self, request: RequestId, reservation_id: &str) -> Result<payment::Payment, Status> {
        let card = payment::CardMethod { token: APPROVED_CARD.to_owned() };
        let paid = self.send_payment(request, reservation_id, Some(card)).await?;
        let state = paid.state();
        if state == payment::PaymentState::Paid { Ok(paid) } else { Err(Status::data_loss(state.as_str_name())) }
    }

    async fn send_payment(
        &self,
        request: RequestId,
        reservation_id: &str,
        card: Option<payment::CardMethod>,
    ) -> Result<payment::Payment, Status> {
        let (request_id, reservation_id) = (request.to_string(), reservation_id.to_owned());
        let message = payment::PayReservationRequest { request_id, reservation_id, card };
        let mut client = PaymentServiceClient::new(self.channel.clone());
        let paid = client.pay_reservation(self.request(message)).await?.into_inner();
        paid.payment.ok_or_else(|| Status::data_loss("a payment that is none"))
    }
}

fn metadata(text: &str) -> Result<MetadataValue<Ascii>, Status> {
    text.parse().map_err(|_| Status::internal("a token is not ASCII"))
}
