//! The gRPC server: every service behind every layer, on any listener.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use encore_app::admin::AdminUseCases;
use encore_app::audit::AuditUseCases;
use encore_app::booking::BookingUseCases;
use encore_app::caller_limits::CallerLimits;
use encore_app::cancellation::CancellationUseCases;
use encore_app::card_payments::CardPaymentUseCases;
use encore_app::catalog::CatalogUseCases;
use encore_app::drafts::DraftUseCases;
use encore_app::email_verifications::EmailVerificationUseCases;
use encore_app::event_log::EventLogUseCases;
use encore_app::identity::IdentityUseCases;
use encore_app::money_admin::MoneyAdmin;
use encore_app::password_resets::PasswordResetUseCases;
use encore_app::payment::PaymentUseCases;
use encore_app::performance_admin::PerformanceAdmin;
use encore_app::performance_cancellation::PerformanceCancellations;
use encore_app::personal_data::PersonalDataUseCases;
use encore_app::queue::QueueUseCases;
use encore_app::queue_admin::QueueAdminUseCases;
use encore_app::queue_guard::QueueGuard;
use encore_app::records::RecordsUseCases;
use encore_app::rehearsal_fans::RehearsalFans;
use encore_app::seat_blocks::SeatBlockUseCases;
use encore_app::sessions::SessionUseCases;
use encore_app::wallet::WalletUseCases;
use encore_app::webhooks::WebhookUseCases;
use encore_domain::ports::{AccessTokens, Clock, PageTokens, QueueTokens};
use encore_proto::admin::v1::admin_service_server::AdminServiceServer;
use encore_proto::admin::v1::draft_service_server::DraftServiceServer;
use encore_proto::admin::v1::money_service_server::MoneyServiceServer;
use encore_proto::admin::v1::performance_service_server::PerformanceServiceServer;
use encore_proto::admin::v1::records_service_server::RecordsServiceServer;
use encore_proto::admin::v1::webhook_service_server::WebhookServiceServer;
use encore_proto::booking::v1::booking_service_server::BookingServiceServer;
use encore_proto::catalog::v1::catalog_service_server::CatalogServiceServer;
use encore_proto::events::v1::event_service_server::EventServiceServer;
use encore_proto::identity::v1::identity_service_server::IdentityServiceServer;
use encore_proto::payment::v1::payment_service_server::PaymentServiceServer;
use encore_proto::queue::v1::queue_service_server::QueueServiceServer;
use encore_proto::rehearsal::v1::rehearsal_service_server::RehearsalServiceServer;
use encore_proto::wallet::v1::wallet_service_server::WalletServiceServer;
use futures::Stream;
use http::{HeaderName, Request};
use prost::DecodeError;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::service::{Routes, RoutesBuilder};
use tonic::transport::Server;
use tonic_web::GrpcWebLayer;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower_http::classify::{GrpcErrorsAsFailures, SharedClassifier};
use tower_http::cors::{Any, CorsLayer};
use tower_http::trace::{DefaultOnFailure, DefaultOnRequest, DefaultOnResponse, TraceLayer};
use tracing::field::Empty;
use tracing::{Level, Span, info_span};

use crate::admin::AdminApi;
use crate::authenticate::Authenticate;
use crate::booking::BookingApi;
use crate::call_limits::CallLimitsLayer;
use crate::calls::Calls;
use crate::catalog::CatalogApi;
use crate::check::CheckLayer;
use crate::client_address::TrustedProxies;
use crate::connections::{ConnectionLimits, ListenerTls, PeerAddress, accepted};
use crate::contract::served_paths;
use crate::deadline::DeadlineLayer;
use crate::drafts::DraftsApi;
use crate::events::EventsApi;
use crate::guarded::GuardedRpcs;
use crate::health::{Availability, Health, Needs};
use crate::identity::IdentityApi;
use crate::key_set::KeySetLayer;
use crate::library_status::describe;
use crate::measure::MeasureLayer;
use crate::money::MoneyApi;
use crate::only_post::OnlyPostLayer;
use crate::pace::PaceLayer;
use crate::page_token::Listings;
use crate::payment::PaymentApi;
use crate::performances::PerformancesApi;
use crate::queue::QueueApi;
use crate::queue_pass::{QUEUE_TOKEN_HEADER, ReadQueuePass};
use crate::records::RecordsApi;
use crate::rehearsal::RehearsalApi;
use crate::sent_body::keep_sent_body;
use crate::shared_charts::SharedCharts;
use crate::shared_reply::send_shared;
use crate::wallet::WalletApi;
use crate::webhooks::WebhooksApi;

/// The largest request of a fan. Eight seats and a token take far less.
const MESSAGE_MAX_BYTES: usize = 64 * 1024;
/// The largest request of an operator: a seating plan of 100,000 seats with all its decoration.
const ADMIN_MESSAGE_MAX_BYTES: usize = 64 * 1024 * 1024;
/// The most calls and streams that HTTP/2 lets one connection have open. A BFF opens the streams of many fans over one connection.
/// Who calls decides how many are carried out; see [`ConnectionLimits`].
const STREAMS_PER_CONNECTION_MAX: u32 = 20_000;
/// The most calls of a connection that may be cancelled before the server has read them; one more ends the connection. As
/// many as may be open: a BFF whose calls all time out while the server is busy cancels all of them in one read, and must
/// not lose the position streams of its fans. Cancelled calls that wait to be read take no more memory than open ones.
const CANCELLED_UNREAD_MAX: usize = STREAMS_PER_CONNECTION_MAX as usize;
/// The largest head of a call, as HTTP/2 counts it: both tokens take less than 2 KiB.
const HEAD_MAX_BYTES: u32 = 8 * 1024;
/// How long a browser may keep the answer to a preflight request. Browsers have their own, lower limits.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(24);
/// How long the last responses may take to reach their clients at shutdown. Connections are dropped afterwards, because
/// many clients keep idle connections open.
const LINGER: Duration = Duration::from_secs(1);
/// The interval of HTTP/2 keepalive pings.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
/// How long a client may take to acknowledge a keepalive ping.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The use cases of every capability, and the ports that the layers use.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field holds the use cases of the capability it is named after, or a port")]
pub struct Api {
    pub identity: IdentityUseCases,
    pub sessions: SessionUseCases,
    pub password_resets: PasswordResetUseCases,
    pub email_verifications: EmailVerificationUseCases,
    pub personal_data: PersonalDataUseCases,
    pub caller_limits: CallerLimits,
    pub catalog: CatalogUseCases,
    pub queue: QueueUseCases,
    pub booking: BookingUseCases,
    pub cancellations: CancellationUseCases,
    pub wallet: WalletUseCases,
    pub payments: PaymentUseCases,
    pub cards: CardPaymentUseCases,
    pub performance_cancellations: PerformanceCancellations,
    pub admin: AdminUseCases,
    pub drafts: DraftUseCases,
    pub performances: PerformanceAdmin,
    pub money: MoneyAdmin,
    pub records: RecordsUseCases,
    pub queue_admin: QueueAdminUseCases,
    pub seat_blocks: SeatBlockUseCases,
    pub audit: AuditUseCases,
    pub event_log: EventLogUseCases,
    pub webhooks: WebhookUseCases,
    /// None unless rehearsals are allowed: then there is no `RehearsalService` at all.
    pub rehearsal_fans: Option<RehearsalFans>,
    pub access_tokens: Arc<dyn AccessTokens>,
    pub queue_tokens: Arc<dyn QueueTokens>,
    pub page_tokens: Arc<dyn PageTokens>,
    pub queue_guard: QueueGuard,
    pub clock: Arc<dyn Clock>,
    pub guarded: GuardedRpcs,
    /// What connections may take.
    pub limits: ConnectionLimits,
    /// Whose word about the addresses of clients is taken.
    pub proxies: TrustedProxies,
    /// How connections are encrypted; none if they are not.
    pub tls: Option<ListenerTls>,
    /// Whether health is all that is served: for an instance that works and takes no calls.
    pub health_only: bool,
    /// What the health of the services follows.
    pub availability: watch::Receiver<Availability>,
}

/// Why the server failed.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The listener or the transport failed.
    #[error("gRPC transport failed")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors of the contract could not be read.
    #[error("the descriptors of the contract could not be read")]
    Contract(#[from] DecodeError),
    /// The reflection service could not be built from the descriptors of the contract.
    #[error("the reflection service could not be built")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl Api {
    /// Serves until `shutdown` is cancelled. Health follows what is available. When the shutdown begins, it reports
    /// `NOT_SERVING` and streams end. Returns when every call that was read has been answered and every write has
    /// ended. Idle connections are not waited for.
    pub async fn serve<L, C, E>(self, incoming: L, shutdown: CancellationToken) -> Result<(), ServeError>
    where
        L: Stream<Item = Result<C, E>>,
        C: AsyncRead + AsyncWrite + PeerAddress + Unpin + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let calls = Calls::new(&self.limits);
        let stopping = shutdown.clone();
        let served = if self.health_only { HashSet::new() } else { served_paths(self.rehearsal_fans.is_some())? };
        let measure = MeasureLayer::new(&served);
        let authenticate = Authenticate {
            served,
            access_tokens: Arc::clone(&self.access_tokens),
            ended_sessions: self.sessions.ended().clone(),
            clock: Arc::clone(&self.clock),
        };
        let key_set = KeySetLayer {
            access_tokens: Arc::clone(&self.access_tokens),
            clock: Arc::clone(&self.clock),
            is_public: !self.health_only,
        };
        let read_queue_pass = ReadQueuePass {
            guarded: self.guarded.clone(),
            queue_tokens: Arc::clone(&self.queue_tokens),
            guard: self.queue_guard.clone(),
            calls: calls.clone(),
        };
        let (available, limits) = (self.availability.clone(), self.limits);
        let (tls, proxies) = (self.tls.clone(), self.proxies.clone());
        let (mut health, routes) = self.routes(&calls, &shutdown)?;
        // Before the first connection, so that nobody is told what was not looked at.
        let found = *available.borrow();
        health.start(found).await;
        let stop = health.run(available, shutdown);
        let server = Server::builder()
            .accept_http1(true)
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .http2_max_header_list_size(HEAD_MAX_BYTES)
            .http2_max_pending_accept_reset_streams(Some(CANCELLED_UNREAD_MAX))
            .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .layer(trace_layer())
            .layer(cors_layer())
            .layer(key_set)
            .layer(OnlyPostLayer)
            .layer(GrpcWebLayer::new())
            .layer(measure)
            .layer(DeadlineLayer)
            .layer(MapResponseLayer::new(describe))
            .layer(CheckLayer::new(authenticate))
            .layer(CallLimitsLayer::new(limits, proxies))
            .layer(PaceLayer::new(&limits))
            .layer(CheckLayer::new(read_queue_pass))
            .layer(MapRequestLayer::new(keep_sent_body))
            .layer(MapResponseLayer::new(send_shared))
            .add_routes(routes)
            .serve_with_incoming_shutdown(accepted(incoming, limits, tls), stop);
        let drained = async {
            stopping.cancelled().await;
            calls.finish().await;
            tokio::time::sleep(LINGER).await;
        };
        tokio::select! {
            ended = Box::pin(server) => ended?,
            () = drained => {}
        }
        calls.finish().await;
        Ok(())
    }

    fn routes(self, calls: &Calls, shutdown: &CancellationToken) -> Result<(Health, Routes), ServeError> {
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let mut health = Health::new(reporter);
        let mut routes = RoutesBuilder::default();
        routes.add_service(health_service);
        if self.health_only {
            return Ok((health, routes.routes()));
        }
        add_reflection(&mut routes, self.rehearsal_fans.is_some())?;

        macro_rules! serve {
            ($server:ident, $needs:ident, $api:expr, $max_bytes:expr) => {
                let server = $server::new($api)
                    .max_decoding_message_size($max_bytes)
                    .accept_compressed(CompressionEncoding::Gzip);
                health.add(&server, Needs::$needs);
                routes.add_service(server);
            };
        }
        let calls = || calls.clone();
        let ended_sessions = || self.sessions.ended().clone();
        let listings = || Listings(Arc::clone(&self.page_tokens));
        let catalog = CatalogApi {
            catalog: self.catalog,
            listings: listings(),
            shared_charts: SharedCharts::default(),
            calls: calls(),
            ended_sessions: ended_sessions(),
            shutdown: shutdown.clone(),
        };
        let cancellations = Arc::new(self.cancellations);
        let booking = Arc::new(self.booking);
        let booking =
            BookingApi { booking, cancellations: Arc::clone(&cancellations), listings: listings(), calls: calls() };
        let wallet = WalletApi { wallet: self.wallet, cards: self.cards.clone(), listings: listings(), calls: calls() };
        let (payments, cards) = (Arc::new(self.payments), self.cards);
        let payments = PaymentApi { payments, cards, listings: listings(), calls: calls() };
        let (clock, shutdown) = (|| Arc::clone(&self.clock), || shutdown.clone());
        let queue =
            QueueApi { queue: self.queue, calls: calls(), ended_sessions: ended_sessions(), shutdown: shutdown() };
        let identity = IdentityApi {
            identity: self.identity.clone(),
            sessions: self.sessions.clone(),
            resets: self.password_resets,
            verifications: self.email_verifications,
            personal_data: self.personal_data,
            limits: self.caller_limits,
            calls: calls(),
            ended_sessions: ended_sessions(),
            clock: clock(),
            shutdown: shutdown(),
        };
        serve!(IdentityServiceServer, Records, identity, MESSAGE_MAX_BYTES);
        serve!(CatalogServiceServer, Records, catalog, MESSAGE_MAX_BYTES);
        serve!(QueueServiceServer, Queues, queue, MESSAGE_MAX_BYTES);
        serve!(BookingServiceServer, Records, booking, MESSAGE_MAX_BYTES);
        serve!(WalletServiceServer, Records, wallet, MESSAGE_MAX_BYTES);
        serve!(PaymentServiceServer, Records, payments, MESSAGE_MAX_BYTES);
        let events = EventsApi {
            log: self.event_log,
            calls: calls(),
            ended_sessions: ended_sessions(),
            clock: clock(),
            shutdown: shutdown(),
        };
        serve!(EventServiceServer, Records, events, MESSAGE_MAX_BYTES);
        let webhooks = WebhooksApi { webhooks: self.webhooks, listings: listings(), calls: calls(), clock: clock() };
        serve!(WebhookServiceServer, Records, webhooks, MESSAGE_MAX_BYTES);
        let admin = AdminApi {
            admin: self.admin,
            identity: self.identity.clone(),
            queue_admin: self.queue_admin,
            seat_blocks: self.seat_blocks,
            cancellations,
            performance_cancellations: self.performance_cancellations,
            audit: self.audit,
            listings: listings(),
            calls: calls(),
            clock: clock(),
            ended_sessions: ended_sessions(),
            shutdown: shutdown(),
        };
        serve!(AdminServiceServer, Records, admin, ADMIN_MESSAGE_MAX_BYTES);
        serve!(MoneyServiceServer, Records, MoneyApi { money: self.money, calls: calls() }, MESSAGE_MAX_BYTES);
        let drafts = DraftsApi { drafts: self.drafts, listings: listings(), calls: calls() };
        serve!(DraftServiceServer, Records, drafts, MESSAGE_MAX_BYTES);
        let performances = PerformancesApi { performances: self.performances, calls: calls() };
        serve!(PerformanceServiceServer, Records, performances, MESSAGE_MAX_BYTES);
        let records = RecordsApi { records: self.records, listings: listings(), calls: calls() };
        serve!(RecordsServiceServer, Records, records, MESSAGE_MAX_BYTES);
        if let Some(fans) = self.rehearsal_fans {
            serve!(RehearsalServiceServer, Records, RehearsalApi { fans, calls: calls() }, MESSAGE_MAX_BYTES);
        }
        Ok((health, routes.routes()))
    }
}

/// Serves the contract by reflection. The descriptors of error details are included, so that its clients can decode them.
fn add_reflection(routes: &mut RoutesBuilder, with_rehearsals: bool) -> Result<(), ServeError> {
    let mut descriptors = vec![
        encore_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_types::pb::FILE_DESCRIPTOR_SET,
    ];
    descriptors.extend(with_rehearsals.then_some(encore_proto::REHEARSAL_FILE_DESCRIPTOR_SET));
    let reflection = || {
        let builder = tonic_reflection::server::Builder::configure();
        descriptors
            .iter()
            .copied()
            .fold(builder, tonic_reflection::server::Builder::register_encoded_file_descriptor_set)
    };
    routes.add_service(reflection().build_v1()?);
    routes.add_service(reflection().build_v1alpha()?);
    Ok(())
}

/// One span per call. Layers and handlers record who calls and which request. The outcome is logged by [`MeasureLayer`];
/// what the server fails at is logged once more, in `status`.
fn trace_layer()
-> TraceLayer<SharedClassifier<GrpcErrorsAsFailures>, impl Fn(&Request<tonic::body::Body>) -> Span + Clone> {
    TraceLayer::new_for_grpc()
        .make_span_with(|request: &Request<tonic::body::Body>| {
            let trace_id = trace_id(request.headers());
            info_span!("call", rpc = request.uri().path(), trace_id, user_id = Empty, request_id = Empty)
        })
        .on_request(DefaultOnRequest::new().level(Level::TRACE))
        .on_response(DefaultOnResponse::new().level(Level::DEBUG))
        .on_failure(DefaultOnFailure::new().level(Level::DEBUG))
}

/// The id of the trace that the caller is in, from the header `traceparent` of W3C Trace Context.
fn trace_id(headers: &http::HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (_version, trace_id) = (parts.next()?, parts.next()?);
    let is_hex = trace_id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (trace_id.len() == 32 && is_hex).then_some(trace_id)
}

/// Allows every origin. Calls are authorized by a token in the metadata and never by a cookie, so a foreign page gains
/// nothing.
fn cors_layer() -> CorsLayer {
    let grpc_headers = ["grpc-status", "grpc-message", "grpc-status-details-bin"].map(HeaderName::from_static);
    let request_headers = [
        "authorization",
        "content-type",
        "grpc-timeout",
        "traceparent",
        "tracestate",
        "x-grpc-web",
        "x-user-agent",
        QUEUE_TOKEN_HEADER,
    ];
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([http::Method::POST])
        .allow_headers(request_headers.map(HeaderName::from_static))
        .expose_headers(grpc_headers)
        .max_age(PREFLIGHT_MAX_AGE)
}
