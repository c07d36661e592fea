//! A gateway whose Stripe is a server of the test.
#![expect(dead_code, reason = "each test file uses some of it")]

pub mod complete;
pub mod scripted;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use encore_domain::payment::gateway::MethodToken;
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;
use encore_payment_gateway::{SecretKey, StripeConfig, StripeGateway};
use encore_port_tests::fixtures::start;
use tokio::net::TcpListener;

/// Where fans return to.
pub const RETURN_URL: &str = "https://tickets.example/paid";

pub fn token(text: &str) -> MethodToken {
    MethodToken::parse(text).expect("a token")
}

/// A clock that stands still.
struct Stopped(Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// The time at which the attempts of the suite were begun.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(Stopped(start()))
}

/// The adapter, as it is this long after the attempts of the suite were begun.
pub fn gateway(url: String, age: Duration) -> StripeGateway {
    let config = StripeConfig {
        secret_key: SecretKey::parse("sk_test_encore").expect("a key"),
        url,
        return_url: RETURN_URL.to_owned(),
        call_within: Duration::from_secs(5),
    };
    StripeGateway::new(config, Arc::new(Stopped(start() + age))).expect("a gateway")
}

/// Serves on a free port for as long as the test runs.
pub async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
