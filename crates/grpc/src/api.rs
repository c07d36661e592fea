//! All services behind all layers, on any listener.

use std::sync::Arc;
use std::time::Duration;

use encore_app::admin::AdminUseCases;
use encore_app::audit::AuditUseCases;
use encore_app::booking::BookingUseCases;
use encore_app::catalog::CatalogUseCases;
use encore_app::identity::IdentityUseCases;
use encore_app::payment::PaymentUseCases;
use encore_app::queue::QueueUseCases;
use encore_app::queue_admin::QueueAdminUseCases;
use encore_app::queue_guard::QueueGuard;
use encore_app::rehearsal_fans::RehearsalFans;
use encore_app::seat_blocks::SeatBlockUseCases;
use encore_app::wallet::WalletUseCases;
use encore_domain::ports::{AccessTokens, Clock, QueueTokens};
use encore_proto::admin::v1::admin_service_server::AdminServiceServer;
use encore_proto::booking::v1::booking_service_server::BookingServiceServer;
use encore_proto::catalog::v1::catalog_service_server::CatalogServiceServer;
use encore_proto::identity::v1::identity_service_server::IdentityServiceServer;
use encore_proto::payment::v1::payment_service_server::PaymentServiceServer;
use encore_proto::queue::v1::queue_service_server::QueueServiceServer;
use encore_proto::wallet::v1::wallet_service_server::WalletServiceServer;
use futures::Stream;
use http::{HeaderName, Request};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic_health::server::HealthReporter;
use tonic_web::GrpcWebLayer;
use tower::util::MapRequestLayer;
use tower_http::classify::{GrpcCode, GrpcErrorsAsFailures, SharedClassifier};
use tower_http::cors::{Any, CorsLayer};
use tower_http::trace::{DefaultOnFailure, DefaultOnRequest, DefaultOnResponse, TraceLayer};
use tracing::{Level, Span, info_span};

use crate::admin::AdminApi;
use crate::authenticate::Authenticate;
use crate::booking::BookingApi;
use crate::calls::Calls;
use crate::catalog::CatalogApi;
use crate::check::CheckLayer;
use crate::guarded::GuardedRpcs;
use crate::identity::IdentityApi;
use crate::payment::PaymentApi;
use crate::queue::QueueApi;
use crate::queue_pass::{QUEUE_TOKEN_HEADER, ReadQueuePass};
use crate::sent_body::keep_sent_body;
use crate::wallet::WalletApi;

/// The largest request of fans: eight seats and a token are far below it.
const MESSAGE_MAX_BYTES: usize = 64 * 1024;
/// The largest request of operators: a seating plan of 100,000 seats with all its decoration.
const ADMIN_MESSAGE_MAX_BYTES: usize = 64 * 1024 * 1024;
/// How many calls and streams one connection may have open: a BFF that holds many fans' streams, bounded.
const STREAMS_PER_CONNECTION_MAX: u32 = 20_000;
/// How long what was answered last may take to reach its clients at shutdown, before connections are dropped: many clients
/// hold theirs open although nothing is under way.
const LINGER: Duration = Duration::from_secs(1);
/// How often a silent client is asked whether it is still there.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
/// How long it may take to say so.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The use cases of every capability, and what the layers need.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the use cases of the capability of its name, or a port")]
pub struct Api {
    pub identity: IdentityUseCases,
    pub catalog: CatalogUseCases,
    pub queue: QueueUseCases,
    pub booking: BookingUseCases,
    pub wallet: WalletUseCases,
    pub payments: PaymentUseCases,
    pub admin: AdminUseCases,
    pub queue_admin: QueueAdminUseCases,
    pub seat_blocks: SeatBlockUseCases,
    pub audit: AuditUseCases,
    pub rehearsal_fans: RehearsalFans,
    pub access_tokens: Arc<dyn AccessTokens>,
    pub queue_tokens: Arc<dyn QueueTokens>,
    pub queue_guard: QueueGuard,
    pub clock: Arc<dyn Clock>,
    pub guarded: GuardedRpcs,
}

/// Why serving ended badly.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The listener or the transport failed.
    #[error("the transport failed")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors of the contract could not be served by reflection.
    #[error("reflection could not be built")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl Api {
    /// Serves until `shutdown`: then health says `NOT_SERVING`, streams end, and it returns when every call that was
    /// read has been answered and every write has ended. Connections on which nothing is under way are not waited for.
    pub async fn serve<L, C, E>(self, incoming: L, shutdown: CancellationToken) -> Result<(), ServeError>
    where
        L: Stream<Item = Result<C, E>>,
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        C::ConnectInfo: Clone + Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let calls = Calls::default();
        let stopping = shutdown.clone();
        let authenticate =
            Authenticate { access_tokens: Arc::clone(&self.access_tokens), clock: Arc::clone(&self.clock) };
        let read_queue_pass = ReadQueuePass {
            guarded: self.guarded.clone(),
            queue_tokens: Arc::clone(&self.queue_tokens),
            guard: self.queue_guard.clone(),
            calls: calls.clone(),
        };
        let (health, routes) = self.routes(&calls, &shutdown).await?;
        let stop = async move {
            shutdown.cancelled().await;
            say_not_serving(health).await;
        };
        let server = Server::builder()
            .accept_http1(true)
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .layer(trace_layer())
            .layer(cors_layer())
            .layer(GrpcWebLayer::new())
            .layer(CheckLayer::new(authenticate))
            .layer(CheckLayer::new(read_queue_pass))
            .layer(MapRequestLayer::new(keep_sent_body))
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, stop);
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

    async fn routes(self, calls: &Calls, shutdown: &CancellationToken) -> Result<(HealthReporter, Routes), ServeError> {
        let (health, health_service) = tonic_health::server::health_reporter();
        let mut routes = RoutesBuilder::default();
        routes.add_service(health_service);
        // The descriptors of error details are served too, so that reflection clients can show them.
        let descriptors = [
            encore_proto::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_types::pb::FILE_DESCRIPTOR_SET,
        ];
        let reflection = || {
            let builder = tonic_reflection::server::Builder::configure();
            descriptors
                .into_iter()
                .fold(builder, tonic_reflection::server::Builder::register_encoded_file_descriptor_set)
        };
        routes.add_service(reflection().build_v1()?);
        routes.add_service(reflection().build_v1alpha()?);

        macro_rules! serve {
            ($server:ident, $api:expr, $max_bytes:expr) => {
                let server = $server::new($api).max_decoding_message_size($max_bytes);
                say_serving(&health, &server).await;
                routes.add_service(server);
            };
        }
        let calls = || calls.clone();
        let catalog = CatalogApi { catalog: self.catalog, calls: calls(), shutdown: shutdown.clone() };
        let queue = QueueApi { queue: self.queue, calls: calls(), shutdown: shutdown.clone() };
        serve!(IdentityServiceServer, IdentityApi { identity: self.identity, calls: calls() }, MESSAGE_MAX_BYTES);
        serve!(CatalogServiceServer, catalog, MESSAGE_MAX_BYTES);
        serve!(QueueServiceServer, queue, MESSAGE_MAX_BYTES);
        serve!(BookingServiceServer, BookingApi { booking: Arc::new(self.booking), calls: calls() }, MESSAGE_MAX_BYTES);
        serve!(WalletServiceServer, WalletApi { wallet: self.wallet, calls: calls() }, MESSAGE_MAX_BYTES);
        serve!(
            PaymentServiceServer,
            PaymentApi { payments: Arc::new(self.payments), calls: calls() },
            MESSAGE_MAX_BYTES
        );
        let admin = AdminApi {
            admin: self.admin,
            queue_admin: self.queue_admin,
            seat_blocks: self.seat_blocks,
            audit: self.audit,
            rehearsal_fans: self.rehearsal_fans,
            calls: calls(),
            shutdown: shutdown.clone(),
        };
        serve!(AdminServiceServer, admin, ADMIN_MESSAGE_MAX_BYTES);
        Ok((health, routes.routes()))
    }
}

/// The names of all services, the empty one included, which stands for the whole server.
const SERVICES: [&str; 8] = [
    "",
    IdentityServiceServer::<IdentityApi>::NAME,
    CatalogServiceServer::<CatalogApi>::NAME,
    QueueServiceServer::<QueueApi>::NAME,
    BookingServiceServer::<BookingApi>::NAME,
    WalletServiceServer::<WalletApi>::NAME,
    PaymentServiceServer::<PaymentApi>::NAME,
    AdminServiceServer::<AdminApi>::NAME,
];

async fn say_serving<S: NamedService>(health: &HealthReporter, _server: &S) {
    health.set_serving::<S>().await;
}

/// Those who watch are told, and their streams end, since an open one would hold up the shutdown.
async fn say_not_serving(mut health: HealthReporter) {
    for service in SERVICES {
        health.set_service_status(service, tonic_health::ServingStatus::NotServing).await;
        health.clear_service_status(service).await;
    }
}

/// One span per call. A refusal is an answer, not a failure of the server, and unavailability is logged where it is met.
fn trace_layer()
-> TraceLayer<SharedClassifier<GrpcErrorsAsFailures>, impl Fn(&Request<tonic::body::Body>) -> Span + Clone> {
    let classifier = GrpcErrorsAsFailures::new()
        .with_success(GrpcCode::InvalidArgument)
        .with_success(GrpcCode::NotFound)
        .with_success(GrpcCode::AlreadyExists)
        .with_success(GrpcCode::FailedPrecondition)
        .with_success(GrpcCode::PermissionDenied)
        .with_success(GrpcCode::Unauthenticated)
        .with_success(GrpcCode::ResourceExhausted)
        .with_success(GrpcCode::Unavailable)
        .with_success(GrpcCode::Unimplemented)
        .with_success(GrpcCode::OutOfRange)
        .with_success(GrpcCode::Cancelled);
    TraceLayer::new(SharedClassifier::new(classifier))
        .make_span_with(|request: &Request<tonic::body::Body>| info_span!("call", rpc = request.uri().path()))
        .on_request(DefaultOnRequest::new().level(Level::TRACE))
        .on_response(DefaultOnResponse::new().level(Level::DEBUG))
        .on_failure(DefaultOnFailure::new().level(Level::WARN))
}

/// Browsers may call from any page: what authorises is a token that the page must have, never a cookie.
fn cors_layer() -> CorsLayer {
    let grpc_headers = ["grpc-status", "grpc-message", "grpc-status-details-bin"].map(HeaderName::from_static);
    let request_headers =
        ["authorization", "content-type", "grpc-timeout", "x-grpc-web", "x-user-agent", QUEUE_TOKEN_HEADER];
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([http::Method::POST])
        .allow_headers(request_headers.map(HeaderName::from_static))
        .expose_headers(grpc_headers)
}
