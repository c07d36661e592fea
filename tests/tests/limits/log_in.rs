//! Guessing passwords.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use encore_grpc::{GuardedRpcs, TrustedProxies};
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::identity::v1::{LogInRequest, SignUpRequest};
use encore_server::encore::Encore;
use encore_tests::clock::TestClock;
use encore_tests::fan::reason;
use encore_tests::world::embedded_ports;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Status};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::quota::{quota, retry_after};

const EMAIL: &str = "operator@example.com";
const PASSWORD: &str = "correct horse";

async fn log_in(channel: &Channel, password: &str) -> Result<(), Status> {
    let message = LogInRequest { email: EMAIL.into(), password: password.into(), ..LogInRequest::default() };
    IdentityServiceClient::new(channel.clone()).log_in(message).await.map(drop)
}

async fn connect(server: SocketAddr, from: [u8; 4]) -> Channel {
    let connector = service_fn(move |_: Uri| async move {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        socket.connect(server).await.map(TokioIo::new)
    });
    Endpoint::from_static("http://server").connect_with_connector(connector).await.expect("the server answers")
}

/// Serves a port in which an operator has signed up, until the guard is dropped.
async fn serve(clock: &Arc<TestClock>, proxies: TrustedProxies) -> (SocketAddr, DropGuard) {
    let encore = Encore::new(embedded_ports(Arc::clone(clock)), GuardedRpcs::default()).behind(proxies);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let server = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let stop_at_end = stop.clone().drop_guard();
    tokio::spawn(async move { encore.api.serve(TcpListenerStream::new(listener), stop).await.expect("it serves") });
    let sign_up = SignUpRequest { email: EMAIL.into(), password: PASSWORD.into(), ..SignUpRequest::default() };
    let sign_up = SignUpRequest { display_name: "Operator".into(), ..sign_up };
    let channel = connect(server, [127, 0, 0, 9]).await;
    IdentityServiceClient::new(channel).sign_up(sign_up).await.expect("a new user");
    (server, stop_at_end)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guesser_must_wait_longer_each_time_and_locks_nobody_out() {
    let clock = Arc::new(TestClock::default());
    let (server, _stop_at_end) = serve(&clock, TrustedProxies::default()).await;
    let (guesser, operator) = (connect(server, [127, 0, 0, 2]).await, connect(server, [127, 0, 0, 3]).await);
    for guess in 0..5 {
        let refusal = log_in(&guesser, &format!("guess number {guess}")).await.expect_err("a wrong guess");
        assert_eq!(reason(&refusal), "LOG_IN_FAILED");
    }
    for seconds in [1, 2, 4] {
        // The right password is not tried either, so a guesser learns nothing.
        for password in ["one more guess", PASSWORD] {
            let refusal = log_in(&guesser, password).await.expect_err("it must wait");
            assert_eq!(quota(&refusal), "wrong_passwords");
            assert_eq!(retry_after(&refusal), Duration::from_secs(seconds));
        }
        clock.advance(Duration::from_secs(seconds));
        assert_eq!(reason(&log_in(&guesser, "one more guess").await.expect_err("wrong")), "LOG_IN_FAILED");
    }
    log_in(&operator, PASSWORD).await.expect("the operator comes from elsewhere");
    clock.advance(Duration::from_secs(8));
    log_in(&guesser, PASSWORD).await.expect("who waits and knows the password gets in");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_a_trusted_proxy_are_told_apart_and_those_of_another_are_not() {
    let clock = Arc::new(TestClock::default());
    let (server, _stop_at_end) = serve(&clock, "127.0.0.2".parse().expect("an address")).await;
    let (proxy, liar) = (connect(server, [127, 0, 0, 2]).await, connect(server, [127, 0, 0, 3]).await);
    let guess = async |channel: &Channel, forwarded_for: String| {
        let message = LogInRequest { email: EMAIL.into(), password: "one more guess".into(), ..LogInRequest::default() };
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-forwarded-for", forwarded_for.parse().expect("metadata"));
        reason(&IdentityServiceClient::new(channel.clone()).log_in(request).await.expect_err("a wrong guess"))
    };
    for number in 0..5 {
        // What the client writes before the proxy does not count.
        assert_eq!(guess(&proxy, format!("198.51.100.{number}, 203.0.113.1")).await, "LOG_IN_FAILED");
        assert_eq!(guess(&liar, format!("203.0.113.{number}")).await, "LOG_IN_FAILED");
    }
    assert_eq!(guess(&proxy, "203.0.113.1".to_owned()).await, "RATE_LIMITED");
    assert_eq!(guess(&liar, "203.0.113.99".to_owned()).await, "RATE_LIMITED");
    assert_eq!(guess(&proxy, "203.0.113.2".to_owned()).await, "LOG_IN_FAILED", "another client of the proxy");
}
