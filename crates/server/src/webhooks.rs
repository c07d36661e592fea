//! The listener for webhooks of the payment gateway, on a port of its own.
//!
//! A webhook is a hint: it makes the payment due now, and a worker looks at it. It is answered when that is recorded.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use encore_app::card_hints::CardHints;
use encore_domain::ports::Clock;
use encore_payment_gateway::{Hint, WebhookRefusal, WebhookSecrets};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics::counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

/// Where webhooks are sent.
pub const WEBHOOK_PATH: &str = "/webhooks/stripe";
/// The longest body. Stripe's events are some kilobytes.
pub const WEBHOOK_BODY_MAX: usize = 256 << 10;
/// The most connections at once. The gateway repeats what finds no place.
const CONNECTIONS_MAX: usize = 64;
/// How long the head of a request may take.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection may last. It carries one request.
const CONNECTION_WITHIN: Duration = Duration::from_secs(20);
/// How long to wait after a connection could not be accepted.
const BACK_OFF: Duration = Duration::from_millis(200);

/// Listens to webhooks.
#[derive(Clone)]
pub struct Webhooks {
    secrets: WebhookSecrets,
    hints: CardHints,
    clock: Arc<dyn Clock>,
}

impl Webhooks {
    pub(crate) fn new(secrets: WebhookSecrets, hints: CardHints, clock: Arc<dyn Clock>) -> Self {
        Self { secrets, hints, clock }
    }

    /// Serves until `stop` is cancelled. Requests under way are finished.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let router = Router::new().route(WEBHOOK_PATH, post(take)).with_state(self);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        while let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await {
            let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { break };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((connection, _)) => {
                    let router = router.clone();
                    connections.spawn(async move {
                        serve(connection, router).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "a connection for a webhook could not be accepted");
                    sleep(BACK_OFF).await;
                }
            }
        }
        while connections.join_next().await.is_some() {}
    }

    async fn listen(&self, head: &HeaderMap, body: Body) -> Outcome {
        let Ok(body) = to_bytes(body, WEBHOOK_BODY_MAX).await else { return Outcome::TooLong };
        let signature = head.get("Stripe-Signature").and_then(|signature| signature.to_str().ok());
        let hint = match self.secrets.read(signature, &body, self.clock.now()) {
            Ok(hint) => hint,
            Err(refusal) => return Outcome::Refused(refusal),
        };
        let payment = match hint {
            Hint::Payment(payment) => payment,
            Hint::Dispute(charge) => return self.hear_of_a_dispute(&charge).await,
            Hint::Other => return Outcome::NotOurs,
        };
        match self.hints.look_at(payment).await {
            Ok(true) => Outcome::Due,
            Ok(false) => Outcome::NothingToDo,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(%payment, error, "a webhook was not recorded; the gateway sends it again");
                Outcome::Unavailable
            }
        }
    }

    async fn hear_of_a_dispute(&self, charge: &str) -> Outcome {
        match self.hints.dispute(charge).await {
            Ok(Some(payment)) => {
                error!(%payment, "a charge is disputed, or that was decided: see the gateway");
                Outcome::Disputed
            }
            Ok(None) => Outcome::NotOurs,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(error, "a webhook about a dispute was not recorded; the gateway sends it again");
                Outcome::Unavailable
            }
        }
    }
}

/// What became of a webhook.
#[derive(Clone, Copy)]
enum Outcome {
    Due,
    /// The payment is unknown, or has nothing left to do.
    NothingToDo,
    Disputed,
    NotOurs,
    Refused(WebhookRefusal),
    TooLong,
    Unavailable,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::NothingToDo => "nothing_to_do",
            Self::Disputed => "disputed",
            Self::NotOurs => "not_ours",
            Self::Refused(refusal) => refusal.name(),
            Self::TooLong => "too_long",
            Self::Unavailable => "unavailable",
        }
    }

    /// A gateway sends again what is not answered with success, so only what may fare better is answered otherwise, and what it
    /// cannot have sent.
    fn status(self) -> StatusCode {
        match self {
            Self::Due | Self::NothingToDo | Self::Disputed | Self::NotOurs => StatusCode::NO_CONTENT,
            Self::Refused(_) => StatusCode::BAD_REQUEST,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

async fn take(State(webhooks): State<Webhooks>, head: HeaderMap, body: Body) -> StatusCode {
    let outcome = webhooks.listen(&head, body).await;
    counter!("encore_gateway_webhooks_total", "outcome" => outcome.name()).increment(1);
    if let Outcome::Refused(refusal) = outcome {
        debug!(%refusal, "a webhook was refused");
    }
    outcome.status()
}

/// One request of one connection.
async fn serve(connection: TcpStream, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).keep_alive(false);
    let serving = http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(router));
    if let Ok(Err(error)) = timeout(CONNECTION_WITHIN, serving).await {
        tracing::debug!(%error, "a connection for a webhook ended early");
    }
}
