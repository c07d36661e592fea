//! Calls as bytes on a connection: what no well-behaved client library sends, and what browsers send.

use encore_proto::identity::v1::LogInRequest;
use encore_tests::fan::reason;
use encore_tests::http2::{
    ACK, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, frame, next_frame,
};
use encore_tests::world::World;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::codegen::http::{HeaderMap, HeaderName};
use tonic::{Code, Status};

/// The most cancelled calls that the server keeps before it has read them: as many as may be open.
const CANCELLED_MAX: usize = 20_000;

/// The flags of a frame of HEADERS that is a whole request without a body.
const WHOLE_REQUEST: u8 = END_HEADERS | END_STREAM;

/// The beginning of a connection, this many calls that are cancelled at once, and a ping.
fn cancelled_calls(count: usize) -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    // The first request puts its fields into the table of the connection (RFC 7541); the others name them by index.
    let mut first = vec![0x83, 0x86];
    let path = "/encore.catalog.v1.CatalogService/ListConcerts";
    for (index, value) in [(0x44, path), (0x41, "encore"), (0x5F, "application/grpc")] {
        first.extend([index, u8::try_from(value.len()).expect("a short value")]);
        first.extend(value.as_bytes());
    }
    let others = vec![0x83, 0x86, 0xC0, 0xBF, 0xBE];
    let headers = std::iter::once(&first).chain(std::iter::repeat(&others));
    for (stream, headers) in (1..).step_by(2).zip(headers).take(count) {
        bytes.extend(frame(HEADERS, WHOLE_REQUEST, stream, headers));
        let cancel = 8_u32.to_be_bytes();
        bytes.extend(frame(RST_STREAM, 0, stream, &cancel));
    }
    bytes.extend(frame(PING, 0, 0, b"reply to"));
    bytes
}

/// The kind of the frame with which the server answers a flood of cancelled calls: it replies to the ping, or says goodbye.
async fn answer_to_cancelled_calls(count: usize) -> u8 {
    let world = World::embedded().await;
    let bytes = cancelled_calls(count);
    let mut connection = world.instances[0].connect_with(bytes.len());
    connection.write_all(&bytes).await.expect("the buffer has room");
    loop {
        let frame = next_frame(&mut connection).await.expect("a frame");
        match (frame.kind, frame.flags) {
            (GOAWAY, _) => return GOAWAY,
            (PING, ACK) => return PING,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_cancelled_before_they_are_read_do_not_end_the_connection() {
    for count in [21, 1_000, CANCELLED_MAX / 2] {
        assert_eq!(answer_to_cancelled_calls(count).await, PING, "{count} calls");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_cancelled_calls_ends_its_connection() {
    assert_eq!(answer_to_cancelled_calls(CANCELLED_MAX * 3 / 2).await, GOAWAY);
}

/// The head and the body of the response to a call of gRPC-Web, or to another request of a browser.
async fn browser(world: &World, request_line: &str, headers: &str, body: &[u8]) -> (HeaderMap, String) {
    let length = body.len();
    let head = format!(
        "{request_line} HTTP/1.1\r\nhost: encore\r\norigin: https://shop.example\r\nconnection: close\r\n\
         content-length: {length}\r\n{headers}\r\n"
    );
    let mut connection = world.instances[0].connect();
    connection.write_all(head.as_bytes()).await.expect("the server reads");
    connection.write_all(body).await.expect("the server reads");
    let mut response = Vec::new();
    connection.read_to_end(&mut response).await.expect("the server answers and closes");
    let response = String::from_utf8_lossy(&response);
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let field =
        |(name, value): (&str, &str)| (name.parse::<HeaderName>().expect("a name"), value.parse().expect("text"));
    (fields.map(field).collect(), body.to_owned())
}

/// The same for a call of gRPC-Web with this encoded message.
async fn web_call(world: &World, rpc: &str, headers: &str, message: &[u8]) -> (HeaderMap, String) {
    let headers = format!("content-type: application/grpc-web+proto\r\n{headers}");
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).expect("a short message").to_be_bytes());
    body.extend(message);
    browser(world, &format!("POST /{rpc}"), &headers, &body).await
}

fn status(headers: &HeaderMap) -> (Code, String) {
    let status = Status::from_header_map(headers).expect("a status");
    (status.code(), reason(&status))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_answered_at_its_deadline() {
    let world = World::embedded().await;
    let log_in = LogInRequest {
        email: "nobody@example.com".into(),
        password: "correct horse".into(),
        ..LogInRequest::default()
    };
    let rpc = "encore.identity.v1.IdentityService/LogIn";
    // A log-in takes a password hash, and the deadline has passed when it begins.
    let (headers, _) = web_call(&world, rpc, "grpc-timeout: 1n\r\n", &log_in.encode_to_vec()).await;
    assert_eq!(status(&headers), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".into()));
    let (headers, _) = web_call(&world, rpc, "grpc-timeout: 1M\r\n", &log_in.encode_to_vec()).await;
    assert_eq!(status(&headers), (Code::Unauthenticated, "LOG_IN_FAILED".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_at_its_deadline() {
    let world = World::embedded().await;
    let (_, body) = web_call(&world, "grpc.health.v1.Health/Watch", "grpc-timeout: 200m\r\n", &[]).await;
    assert!(body.contains("grpc-status:4\r\n"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_message_is_an_invalid_argument() {
    let world = World::embedded().await;
    let rpc = "encore.identity.v1.IdentityService/LogIn";
    // A text that is longer than the message, one that is not UTF-8, and a tag that does not exist.
    for message in [&[0x0A, 0x7F][..], &[0x0A, 0x01, 0xFF], &[0x07]] {
        let (headers, _) = web_call(&world, rpc, "", message).await;
        assert_eq!(status(&headers), (Code::InvalidArgument, "MALFORMED_MESSAGE".into()), "{message:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_send_trace_context_and_asks_once_a_day() {
    let world = World::embedded().await;
    let asked = "authorization,content-type,grpc-timeout,queue-token,traceparent,tracestate,x-grpc-web";
    let headers = format!("access-control-request-method: POST\r\naccess-control-request-headers: {asked}\r\n");
    let request = "OPTIONS /encore.catalog.v1.CatalogService/ListConcerts";
    let (allowed, _) = browser(&world, request, &headers, &[]).await;
    let of = |name: &str| allowed.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(of("access-control-max-age"), "86400");
    let may_be_sent: Vec<&str> = of("access-control-allow-headers").split(',').map(str::trim).collect();
    for header in asked.split(',') {
        assert!(may_be_sent.contains(&header), "{header} is not allowed: {may_be_sent:?}");
    }
}
