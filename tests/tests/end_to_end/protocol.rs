//! The behaviour of the gRPC protocol itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::identity::{Caller, Role};
use encore_domain::ports::MockWallets;
use encore_domain::request::{DIGEST_LEN, Fingerprint};
use encore_grpc::GuardedRpcs;
use encore_port_tests::fixtures;
use encore_proto::common::v1::Money;
use encore_proto::wallet::v1::{GetBalanceRequest, TopUpRequest, TopUpResponse};
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::fan::{Fan, reason, request_id};
use encore_tests::in_memory::Instance;
use encore_tests::world::{World, access_token, embedded_ports};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_reflection::pb::v1alpha;

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_method_is_unimplemented() {
    let world = World::embedded().await;
    let mut client = Grpc::new(world.channel(0).clone());
    client.ready().await.expect("the server is there");
    let path = "/encore.booking.v1.BookingService/StealSeats".parse().expect("a path");
    let codec = tonic_prost::ProstCodec::<GetBalanceRequest, GetBalanceRequest>::default();
    let fan = world.fan(0).await;
    let refusal = client.unary(fan.request(GetBalanceRequest {}), path, codec).await.expect_err("no such method");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Unimplemented, "UNKNOWN_METHOD"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_method_is_unimplemented_without_a_token_too() {
    let world = World::embedded().await;
    let paths = [
        "/encore.booking.v1.BookingService/StealSeats",
        "/encore.admin.v1.AdminService/StealSeats",
        "/encore.booking.v9.BookingService/HoldSeats",
        // This server does not allow rehearsals.
        "/encore.rehearsal.v1.RehearsalService/AddRehearsalFans",
    ];
    for path in paths {
        let mut client = Grpc::new(world.channel(0).clone());
        client.ready().await.expect("the server is there");
        let codec = tonic_prost::ProstCodec::<GetBalanceRequest, GetBalanceRequest>::default();
        let request = tonic::Request::new(GetBalanceRequest {});
        let refusal = client.unary(request, path.parse().expect("a path"), codec).await.expect_err("no such method");
        assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Unimplemented, "UNKNOWN_METHOD"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_request_is_the_same_request() {
    let world = World::embedded().await;
    let fan = world.fan(0).await;
    let amount = Some(Money { amount_minor: 500, currency_code: "EUR".into() });
    let message = TopUpRequest { request_id: request_id(), amount: amount.clone(), card: None };
    let mut compressing = fan.wallet().send_compressed(CompressionEncoding::Gzip);
    let first = compressing.top_up(fan.request(message.clone())).await.expect("a top-up").into_inner();
    let again = fan.wallet().top_up(fan.request(message)).await.expect("the same top-up").into_inner();
    assert_eq!(first, again);
    let bomb = TopUpRequest { request_id: "0".repeat(10_000_000), amount, card: None };
    let refusal = compressing.top_up(fan.request(bomb)).await.expect_err("too large when it is decompressed");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
}

/// A newer version of `TopUpRequest`, with a field that this version does not know.
#[derive(Clone, PartialEq, prost::Message)]
struct NewerTopUpRequest {
    #[prost(string, tag = "1")]
    request_id: String,
    #[prost(message, optional, tag = "2")]
    amount: Option<Money>,
    #[prost(string, tag = "100")]
    voucher: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_this_version_does_not_know_is_part_of_the_fingerprint() {
    let asked: Arc<Mutex<Vec<Fingerprint>>> = Arc::default();
    let mut wallets = MockWallets::new();
    let noted = Arc::clone(&asked);
    wallets.expect_top_up().returning(move |_, request| {
        noted.lock().expect("nobody panicked").push(request.fingerprint);
        Err(Unavailable::of("postgres").into())
    });
    let ports = Ports { wallets: Arc::new(wallets), ..embedded_ports(Arc::new(TestClock::default())) };
    let instance = Instance::start_without_workers(Encore::new(ports.clone(), GuardedRpcs::default())).await;
    let caller = Caller { user: fixtures::id(), role: Role::Fan };
    let access_token = access_token(&ports, caller);
    let fan = Fan { user: caller.user, access_token, queue_token: String::new(), channel: instance.channel.clone() };
    let mut client = Grpc::new(instance.channel.clone());
    let request_id = uuid::Uuid::from_u128(7).to_string();
    for voucher in ["", "HALF", "FREE"] {
        client.ready().await.expect("the server is there");
        let amount = Some(Money { amount_minor: 500, currency_code: "EUR".into() });
        let request = NewerTopUpRequest { request_id: request_id.clone(), amount, voucher: voucher.into() };
        let path = "/encore.wallet.v1.WalletService/TopUp".parse().expect("a path");
        let codec = tonic_prost::ProstCodec::<NewerTopUpRequest, TopUpResponse>::default();
        client.unary(fan.request(request), path, codec).await.expect_err("the store is away");
    }
    let asked = asked.lock().expect("nobody panicked").clone();
    let [(plain_sent, plain), (half_sent, half), (free_sent, free)] =
        [0, 1, 2].map(|at: usize| asked[at].as_bytes()[1..].split_at(DIGEST_LEN));
    assert!(plain == half && half == free, "what is understood is the same");
    assert!(plain_sent == plain, "every field is known");
    assert!(plain_sent != half_sent && half_sent != free_sent, "what is sent is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_size_limit_is_refused() {
    let world = World::embedded().await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let huge = "S".repeat(70_000);
    let refusal = fan.hold(performance, &[&huge]).await.expect_err("too large");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_reports_serving_for_each_service() {
    let world = World::embedded().await;
    let mut health = HealthClient::new(world.channel(0).clone());
    for service in ["", "encore.booking.v1.BookingService", "encore.queue.v1.QueueService"] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.expect("an answer");
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{service:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_every_service_and_the_error_details() {
    let world = World::embedded().await;
    let channel = world.channel(0).clone();
    let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let questions = vec![
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("google.rpc.ErrorInfo".into())),
    ];
    let mut reflection = ServerReflectionClient::new(channel.clone());
    let answers = reflection.server_reflection_info(tokio_stream::iter(questions));
    let mut answers = answers.await.expect("answers").into_inner();
    let services = answers.message().await.expect("an answer").and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(services)) = services else { panic!("no list: {services:?}") };
    let names: Vec<_> = services.service.iter().map(|service| service.name.as_str()).collect();
    for capability in ["Admin", "Booking", "Catalog", "Identity", "Payment", "Queue", "Wallet"] {
        let name = format!("encore.{}.v1.{capability}Service", capability.to_lowercase());
        assert!(names.contains(&name.as_str()), "{name} is missing from {names:?}");
    }
    let details: Option<ServerReflectionResponse> = answers.message().await.expect("an answer");
    let details = details.and_then(|answer| answer.message_response);
    assert!(matches!(details, Some(MessageResponse::FileDescriptorResponse(_))), "{details:?}");

    let question = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut old = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = old.server_reflection_info(tokio_stream::iter([question])).await.expect("answers");
    assert!(answers.into_inner().message().await.expect("an answer").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_a_disconnected_client_is_completed_once() {
    let world = Arc::new(World::durable(2).await);
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    // The client disconnects at different points of the call, from before the request was sent to after the reply.
    for (turn, seat) in ["S-A-1", "S-A-2", "S-A-3", "S-A-4"].into_iter().enumerate() {
        let request = encore_tests::fan::request_id();
        let patience = Duration::from_millis(turn as u64 * 3);
        let hung_up = tokio::time::timeout(patience, fan.hold_as(&request, performance, &[seat])).await;
        drop(hung_up);
        let hold = fan.on(world.channel(1)).hold_as(&request, performance, &[seat]).await.expect("the one hold");
        assert_eq!(hold.seats.len(), 1);
    }
    let claims = world.ports.reservations.claims(performance).await.expect("claims");
    assert_eq!(claims.len(), 4, "four holds of one seat each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_calls_with_grpc_web_over_http_1() {
    let world = World::embedded().await;
    // A frame with an empty message: no flags and no bytes.
    let request = b"POST /encore.catalog.v1.CatalogService/ListConcerts HTTP/1.1\r\nhost: encore\r\n\
        origin: https://shop.example\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: 5\r\n\
        connection: close\r\n\r\n\0\0\0\0\0";
    let mut connection = world.instances[0].connect();
    connection.write_all(request).await.expect("the server reads");
    let mut response = Vec::new();
    connection.read_to_end(&mut response).await.expect("the server answers and closes");
    let response = String::from_utf8_lossy(&response);
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(response.contains("access-control-allow-origin: *"), "{response}");
    assert!(response.contains("grpc-status:0"), "{response}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_does_not_wait_for_idle_connections() {
    const TIMEOUT: Duration = Duration::from_mins(1);
    let mut world = World::embedded().await;
    let channel = world.channel(0).clone();
    let request = HealthCheckRequest { service: String::new() };
    let mut health = HealthClient::new(channel.clone()).watch(request).await.expect("a stream").into_inner();
    let first = health.message().await.expect("a status").expect("a status");
    assert_eq!(first.status(), ServingStatus::Serving);
    let silent = world.instances[0].connect();
    let questions = tokio_stream::pending::<ServerReflectionRequest>();
    let mut reflection = ServerReflectionClient::new(channel);
    let answers = reflection.server_reflection_info(questions).await.expect("an open stream");

    world.instances[0].shut_down();

    let last = health.message().await.expect("a status").expect("a status");
    assert_eq!(last.status(), ServingStatus::NotServing);
    let stopped = tokio::time::timeout(TIMEOUT, world.instances[0].stopped()).await;
    assert!(stopped.is_ok(), "the server waits for idle connections");
    drop((silent, answers));
}
