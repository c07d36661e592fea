//! Connections that begin something and do not end it, and connections beyond the caps.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use encore_grpc::{ConnectionLimits, GuardedRpcs};
use encore_proto::catalog::v1::ListConcertsRequest;
use encore_proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use encore_server::encore::Encore;
use encore_tests::clock::TestClock;
use encore_tests::http2::{
    ACK, DATA, EMPTY_MESSAGE, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, beginning, frame,
    head, next_frame,
};
use encore_tests::in_memory::Instance;
use encore_tests::world::embedded_ports;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use crate::quota::quota;

const LIST_CONCERTS: &str = "encore.catalog.v1.CatalogService/ListConcerts";
const SIGN_UP: &str = "encore.identity.v1.IdentityService/SignUp";

/// Time-outs that a test can wait for, and that calls on a busy machine do not reach.
pub(crate) fn short() -> ConnectionLimits {
    let timeout = Duration::from_secs(2);
    ConnectionLimits {
        handshake_timeout: timeout,
        frame_timeout: timeout,
        body_timeout: timeout,
        stall_timeout: timeout,
        look_every: Duration::from_millis(50),
        ..ConnectionLimits::default()
    }
}

pub(crate) fn encore(limits: ConnectionLimits) -> Encore {
    Encore::new(embedded_ports(Arc::new(TestClock::default())), GuardedRpcs::default()).limiting(limits)
}

async fn instance(limits: ConnectionLimits) -> Instance {
    Instance::start(encore(limits)).await
}

/// A connection on which this was sent.
async fn sent(instance: &Instance, bytes: &[u8]) -> DuplexStream {
    let mut connection = instance.connect_with(bytes.len().max(64 * 1024));
    connection.write_all(bytes).await.expect("the buffer has room");
    connection
}

/// Reads until the server closes the connection. A test that waits forever fails.
pub(crate) async fn closed(mut connection: DuplexStream) {
    let mut sent_by_server = Vec::new();
    // An error is an end, too.
    let reading = connection.read_to_end(&mut sent_by_server);
    assert!(tokio::time::timeout(Duration::from_secs(30), reading).await.is_ok(), "the connection stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_client_does_not_begin_is_closed() {
    let instance = instance(short()).await;
    for part in [&[][..], &PREFACE[..10], PREFACE, &frame(SETTINGS, 0, 0, &[0; 6])[..12]] {
        closed(sent(&instance, part).await).await;
    }
    let half_of_the_settings = [PREFACE, &frame(SETTINGS, 0, 0, &[0; 6])[..12]].concat();
    closed(sent(&instance, &half_of_the_settings).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_with_half_a_head_or_half_a_frame_is_closed() {
    let instance = instance(short()).await;
    let head = head(LIST_CONCERTS, &[]);
    let half_head = frame(HEADERS, 0, 1, &head);
    let half_frame = &frame(HEADERS, END_HEADERS, 1, &head)[..20];
    for half in [&half_head[..], half_frame] {
        closed(sent(&instance, &[&beginning(65_535), half].concat()).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_body_does_not_come_is_ended_and_its_connection_goes_on() {
    let instance = instance(short()).await;
    let bytes = [beginning(65_535), frame(HEADERS, END_HEADERS, 1, &head(SIGN_UP, &[]))].concat();
    let mut connection = sent(&instance, &bytes).await;
    let answer = loop {
        let frame = next_frame(&mut connection).await.expect("the connection goes on");
        if frame.kind == HEADERS {
            break frame;
        }
    };
    assert!(answer.flags & END_STREAM != 0, "a refusal");
    connection.write_all(&frame(PING, 0, 0, b"reply to")).await.expect("the connection is open");
    while next_frame(&mut connection).await.expect("the connection goes on").kind != PING {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_stays_open() {
    let instance = instance(short()).await;
    // Longer than every time-out: a second one has been closed meanwhile.
    let idle = instance.narrow_channel().await;
    for _ in 0..3 {
        closed(sent(&instance, &[]).await).await;
    }
    HealthClient::new(idle).check(HealthCheckRequest::default()).await.expect("the same connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_client_reads_no_replies_is_closed() {
    let instance = instance(short()).await;
    let call = [frame(HEADERS, END_HEADERS, 1, &head(LIST_CONCERTS, &[])), frame(DATA, END_STREAM, 1, EMPTY_MESSAGE)];
    // The reply has at least the five bytes of its frame, and the client takes none of them.
    let mut connection = sent(&instance, &[beginning(0), call.concat()].concat()).await;
    while next_frame(&mut connection).await.is_some_and(|frame| frame.kind != HEADERS) {}
    closed(connection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_frames_that_carry_nothing_is_cut() {
    let instance = instance(ConnectionLimits::default()).await;
    let priority = frame(2, 0, 1, &[0, 0, 0, 3, 16]);
    let window_update = frame(8, 0, 0, &[0, 0, 0, 1]);
    for idle in [frame(PING, 0, 0, b"reply to"), priority, window_update, frame(SETTINGS, 0, 0, &[])] {
        let connection = sent(&instance, &beginning(65_535)).await;
        let (mut reading, mut writing) = tokio::io::split(connection);
        let flooding = async {
            let many = idle.repeat(1_000);
            // It ends with an error when the server has closed the connection.
            while writing.write_all(&many).await.is_ok() {}
        };
        let mut sent_by_server = Vec::new();
        let cut = tokio::time::timeout(Duration::from_secs(30), async {
            tokio::join!(flooding, reading.read_to_end(&mut sent_by_server))
        });
        assert!(cut.await.is_ok(), "the flood goes on: {idle:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_now_and_then_is_not_cut() {
    let instance = instance(ConnectionLimits::default()).await;
    let mut connection = sent(&instance, &beginning(65_535)).await;
    for _ in 0..5_000 {
        connection.write_all(&frame(PING, 0, 0, b"reply to")).await.expect("the connection is open");
        while next_frame(&mut connection).await.is_some_and(|frame| (frame.kind, frame.flags) != (PING, ACK)) {}
    }
    connection.write_all(&frame(RST_STREAM, 0, 1, &[0; 4])).await.expect("the connection is open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_cap_is_told_about_health_and_nothing_else() {
    // The instance has one connection of its own.
    let instance = instance(ConnectionLimits { connections_max: 2, ..short() }).await;
    let ordinary = instance.narrow_channel().await;
    let beyond = instance.narrow_channel().await;
    let list = |channel: &Channel| {
        let mut catalog = CatalogServiceClient::new(channel.clone());
        async move { catalog.list_concerts(ListConcertsRequest::default()).await }
    };
    HealthClient::new(beyond.clone()).check(HealthCheckRequest::default()).await.expect("health is answered");
    assert_eq!(quota(&list(&beyond).await.expect_err("beyond the cap")), "connections");
    list(&ordinary).await.expect("within the cap");
    drop(ordinary);
    encore_tests::world::until("a free place", || async { list(&instance.narrow_channel().await).await.is_ok() }).await;
}

/// A server on a port.
struct Server {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Server {
    async fn start(limits: ConnectionLimits) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let (address, stop) = (listener.local_addr().expect("bound"), CancellationToken::new());
        let serving = encore(limits).api.serve(TcpListenerStream::new(listener), stop.clone());
        tokio::spawn(async move { serving.await.expect("the server serves") });
        Self { address, _stop: stop.drop_guard() }
    }

    /// A connection from an address of this machine.
    async fn socket_from(&self, from: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((from, 0))).expect("an address of this machine");
        socket.connect(self.address).await.expect("the server listens")
    }

    async fn channel_from(&self, from: [u8; 4]) -> Channel {
        let mut socket = Some(TokioIo::new(self.socket_from(from).await));
        let connector = service_fn(move |_: Uri| {
            let socket = socket.take().ok_or_else(|| std::io::Error::other("one connection"));
            async move { socket }
        });
        Endpoint::from_static("http://server").connect_with_connector(connector).await.expect("the server answers")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_sockets_of_one_address_leave_room_for_others_and_are_closed() {
    let (flooding, other) = ([127, 0, 0, 2], [127, 0, 0, 3]);
    // They are closed later than the checks before that take.
    let handshake_timeout = Duration::from_secs(5);
    let server = Server::start(ConnectionLimits { per_address_max: 4, handshake_timeout, ..short() }).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(server.socket_from(flooding).await);
    }
    let list = |channel: Channel| async move {
        CatalogServiceClient::new(channel).list_concerts(ListConcertsRequest::default()).await
    };
    list(server.channel_from(other).await).await.expect("another address has its own cap");
    let probe = HealthClient::new(server.channel_from(flooding).await).check(HealthCheckRequest::default()).await;
    probe.expect("health is answered to the flooding address, too");
    for mut socket in silent {
        let reading = tokio::time::timeout(Duration::from_secs(30), socket.read_u8());
        assert!(reading.await.expect("silent sockets are closed").is_err());
    }
    list(server.channel_from(flooding).await).await.expect("there is room again");
}
