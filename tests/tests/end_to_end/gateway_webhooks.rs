//! Webhooks of the payment gateway: hints that make a payment due.

use std::time::Duration;

use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;
use encore_grpc::GuardedRpcs;
use encore_payment_gateway::{DISPUTE, NEEDS_ACTION, WEBHOOK_TOLERANCE, WebhookSecrets};
use encore_proto::payment::v1::{Payment, PaymentDispute, PaymentFailure, PaymentState};
use encore_server::encore::Encore;
use encore_server::webhooks::{WEBHOOK_BODY_MAX, WEBHOOK_PATH};
use encore_tests::fan::{Fan, request_id};
use encore_tests::ledger;
use encore_tests::world::{World, until};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

const SECRET: &str = "whsec_of_the_end_to_end_tests";

/// A listener beside the instances of a world.
struct Listening {
    address: std::net::SocketAddr,
    _stop: DropGuard,
}

impl Listening {
    async fn beside(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let encore = Encore::new(world.ports.clone(), GuardedRpcs::default());
        let secrets = WebhookSecrets::parse(SECRET).expect("secrets");
        let stop = CancellationToken::new();
        tokio::spawn(encore.webhooks(secrets).run(listener, stop.clone()));
        Self { address, _stop: stop.drop_guard() }
    }

    /// Sends bytes, and reads the status of the answer; none if there is none.
    async fn send(&self, bytes: &[u8]) -> Option<u16> {
        let mut connection = TcpStream::connect(self.address).await.expect("a connection");
        // The server may refuse a body before it has read it.
        let _ = connection.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        text.split(' ').nth(1).and_then(|status| status.parse().ok())
    }

    async fn post(&self, signature: Option<&str>, body: &[u8]) -> Option<u16> {
        let signature = signature.map(|it| format!("Stripe-Signature: {it}\r\n")).unwrap_or_default();
        let length = body.len();
        let head =
            format!("POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: encore\r\nContent-Length: {length}\r\n{signature}\r\n");
        self.send(&[head.as_bytes(), body].concat()).await
    }
}

fn event(payment: &str, kind: &str) -> Vec<u8> {
    let object = format!(r#"{{"object":"payment_intent","metadata":{{"encore_payment":"{payment}"}}}}"#);
    format!(r#"{{"id":"evt_1","type":"{kind}","data":{{"object":{object}}}}}"#).into_bytes()
}

fn signed(secret: &str, at: Timestamp, body: &[u8]) -> String {
    let at = at.timestamp();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    format!("t={at},v1={:x}", mac.finalize().into_bytes())
}

/// A fan whose card payment waits for 3-D Secure.
async fn acting(world: &World) -> (Fan, Payment) {
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    let payment = fan.pay_by_card(&hold.reservation_id, NEEDS_ACTION).await.expect("an answer");
    assert_eq!(payment.state(), PaymentState::NeedsAction);
    (fan, payment)
}

async fn state(fan: &Fan, payment: &Payment) -> PaymentState {
    fan.payment_of(&payment.payment_id).await.expect("the payment").state()
}

/// The fan authenticates at the bank, of which Encore is not told.
async fn authenticate(world: &World, payment: &Payment) {
    let id = payment.payment_id.parse().expect("an id");
    let card = world.ports.card_payments.find(id).await.expect("the store answers").expect("the payment");
    let sandbox = world.ports.sandbox.as_ref().expect("a sandbox");
    assert!(sandbox.complete(card.attempt().expect("an attempt").id, true).await);
}

/// The time stands still in this test, so nothing but a hint makes the payment due.
#[tokio::test(flavor = "multi_thread")]
async fn a_hint_brings_the_news_of_a_payment() {
    let world = World::durable(2).await;
    let listening = Listening::beside(&world).await;
    let (fan, payment) = acting(&world).await;
    authenticate(&world, &payment).await;
    let body = event(&payment.payment_id, "payment_intent.amount_capturable_updated");
    let signature = signed(SECRET, world.clock.now(), &body);
    assert_eq!(listening.post(Some(&signature), &body).await, Some(204));
    until("the news", || async { state(&fan, &payment).await == PaymentState::Paid }).await;
    // Again, and one that is older and says that it failed: it is over, and a hint is no fact.
    let old = event(&payment.payment_id, "payment_intent.payment_failed");
    let earlier = signed(SECRET, world.clock.now() - Duration::from_mins(1), &old);
    for (signature, body) in [(&signature, &body), (&signature, &body), (&earlier, &old)] {
        assert_eq!(listening.post(Some(signature), body).await, Some(204));
    }
    assert_eq!(state(&fan, &payment).await, PaymentState::Paid);
    assert_eq!(ledger::payments(world.database()).await, 1);
    ledger::assert_conserved(world.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_by_the_gateway_moves_nothing() {
    let world = World::durable(1).await;
    let listening = Listening::beside(&world).await;
    let (fan, payment) = acting(&world).await;
    authenticate(&world, &payment).await;
    let due = async || {
        let id = payment.payment_id.parse().expect("an id");
        let card = world.ports.card_payments.find(id).await.expect("the store answers").expect("the payment");
        (card.attempts, card.tries)
    };
    let before = due().await;
    let body = event(&payment.payment_id, "payment_intent.succeeded");
    let now = world.clock.now();
    let too_old = now - WEBHOOK_TOLERANCE - Duration::from_secs(1);
    for (signature, body, expected) in [
        (None, body.clone(), 400),
        (Some(String::new()), body.clone(), 400),
        (Some(signed("whsec_of_somebody_else", now, &body)), body.clone(), 400),
        (Some(signed(SECRET, too_old, &body)), body.clone(), 400),
        (Some(signed(SECRET, now, &body)), event(&request_id(), "payment_intent.succeeded"), 400),
        (Some(signed(SECRET, now, b"{}")), b"{}".to_vec(), 400),
        (Some(signed(SECRET, now, &body)), vec![b'x'; WEBHOOK_BODY_MAX + 1], 413),
    ] {
        assert_eq!(listening.post(signature.as_deref(), &body).await, Some(expected), "{signature:?}");
    }
    for other in [
        event(&request_id(), "payment_intent.succeeded"),
        event("no id", "payment_intent.succeeded"),
        br#"{"data":{"object":{"object":"dispute","payment_intent":"pi_1"}}}"#.to_vec(),
    ] {
        let signature = signed(SECRET, now, &other);
        assert_eq!(listening.post(Some(&signature), &other).await, Some(204), "of nobody");
    }
    let get = format!("GET {WEBHOOK_PATH} HTTP/1.1\r\nHost: encore\r\n\r\n");
    assert_eq!(listening.send(get.as_bytes()).await, Some(405));
    assert_eq!(
        listening.send(b"POST /elsewhere HTTP/1.1\r\nHost: encore\r\nContent-Length: 0\r\n\r\n").await,
        Some(404)
    );
    assert_eq!(listening.send(b"\x16\x03\x01 no HTTP\r\n\r\n").await, Some(400));
    assert_eq!(due().await, before);
    assert_eq!(state(&fan, &payment).await, PaymentState::NeedsAction);
}

/// The sandbox calls a charge by its attempt, says of a dispute at the first look that it is open, and then that it was lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_is_told_and_counted() {
    let world = World::durable(2).await;
    let listening = Listening::beside(&world).await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    let payment = fan.pay_by_card(&hold.reservation_id, DISPUTE).await.expect("a payment");
    assert_eq!(payment.state(), PaymentState::Paid);
    let id = payment.payment_id.parse().expect("an id");
    let card = world.ports.card_payments.find(id).await.expect("the store answers").expect("the payment");
    let attempt = card.attempt().expect("an attempt").id;
    let news = format!(r#"{{"data":{{"object":{{"object":"dispute","payment_intent":"{attempt}"}}}}}}"#).into_bytes();
    let signature = signed(SECRET, world.clock.now(), &news);
    let told = async || fan.payment_of(&payment.payment_id).await.expect("the payment").attempts[0].dispute();
    let counted = async || {
        let currency = card.amount.currency;
        let settled = world.ports.settlements.of(performance, currency).await.expect("the store answers");
        (settled.open_disputes, settled.lost_disputes)
    };
    assert_eq!(told().await, PaymentDispute::Unspecified);
    for (dispute, counts) in [(PaymentDispute::Open, (1, 0)), (PaymentDispute::Lost, (0, 1))] {
        assert_eq!(listening.post(Some(&signature), &news).await, Some(204));
        until("the gateway to be asked", || async { told().await == dispute }).await;
        assert_eq!(counted().await, counts);
    }
    let now = fan.payment_of(&payment.payment_id).await.expect("the payment");
    assert_eq!((now.state(), now.attempts[0].failure()), (PaymentState::Paid, PaymentFailure::Unspecified));
    ledger::assert_conserved(world.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_that_cannot_be_recorded_is_sent_again() {
    let mut cards = encore_domain::ports::MockCardPayments::new();
    cards.expect_hasten().returning(|_, _| Err(encore_domain::error::Unavailable::of("the store")));
    let mut world = World::embedded().await;
    world.ports.card_payments = std::sync::Arc::new(cards);
    let listening = Listening::beside(&world).await;
    let body = event(&request_id(), "payment_intent.succeeded");
    let signature = signed(SECRET, world.clock.now(), &body);
    assert_eq!(listening.post(Some(&signature), &body).await, Some(503));
}
