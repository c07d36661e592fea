//! Guessing passwords.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use encore_app::caller_limits::CallerTerms;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ports::MockRateLimits;
use encore_domain::rate_limit::RateLimit;
use encore_grpc::GuardedRpcs;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::identity::v1::{LogInRequest, SignUpRequest};
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::fan::reason;
use encore_tests::world::embedded_ports;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};
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

fn encore(clock: &Arc<TestClock>) -> Encore {
    Encore::new(embedded_ports(Arc::clone(clock)), GuardedRpcs::default())
}

/// Serves a port in which an operator has signed up, until the guard is dropped.
async fn serve(encore: Encore) -> (SocketAddr, DropGuard) {
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
    let (server, _stop_at_end) = Box::pin(serve(encore(&clock))).await;
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
    let encore = encore(&clock).behind("127.0.0.2".parse().expect("an address"));
    let (server, _stop_at_end) = Box::pin(serve(encore)).await;
    let (proxy, liar) = (connect(server, [127, 0, 0, 2]).await, connect(server, [127, 0, 0, 3]).await);
    let guess = async |channel: &Channel, forwarded_for: String| {
        let message =
            LogInRequest { email: EMAIL.into(), password: "one more guess".into(), ..LogInRequest::default() };
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

#[tokio::test(flavor = "multi_thread")]
async fn a_network_logs_in_as_often_as_it_may_whether_or_not_the_instances_can_be_asked() {
    for is_shared in [true, false] {
        let clock = Arc::new(TestClock::default());
        let mut ports = embedded_ports(Arc::clone(&clock));
        if !is_shared {
            let mut away = MockRateLimits::new();
            away.expect_take().returning(|_, _, _| Err(PortError::Unavailable(Unavailable::of("redis"))));
            ports = Ports { rate_limits: Arc::new(away), ..ports };
        }
        let limit = RateLimit { burst: 2, every: Duration::from_secs(30) };
        let terms = CallerTerms { log_ins: Some(limit), ..CallerTerms::default() };
        let encore = Encore::new(ports, GuardedRpcs::default()).limiting_callers(terms);
        let (server, _stop_at_end) = Box::pin(serve(encore)).await;
        let (one, other) = (connect(server, [127, 0, 0, 2]).await, connect(server, [127, 0, 0, 3]).await);
        for _ in 0..2 {
            log_in(&one, PASSWORD).await.expect("within the limit");
        }
        let refusal = log_in(&one, PASSWORD).await.expect_err("over the limit");
        assert_eq!(quota(&refusal), "log_ins");
        assert_eq!(retry_after(&refusal), Duration::from_secs(30));
        log_in(&other, PASSWORD).await.expect("another network");
        clock.advance(Duration::from_secs(30));
        log_in(&one, PASSWORD).await.expect("one more");
    }
}
