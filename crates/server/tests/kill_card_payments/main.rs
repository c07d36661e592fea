//! Payments by card while the gateway is frozen and the instance that asks it is killed with SIGKILL, at each recorded step: before the
//! gateway has done what it is asked for, and after that and before it has answered; and while the gateway does nothing at all. Another process
//! of the binary completes the payment.
//! `roles` has processes that share the work.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod roles;
mod stripe;

use std::env;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use encore_credentials::Keyring;
use encore_domain::booking::ReservationState;
use encore_domain::catalog::{OnSaleWindow, Performance};
use encore_domain::identity::{Caller, Role};
use encore_domain::ids::{PaymentId, PerformanceId, ReservationId};
use encore_port_tests::fixtures;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_proto::payment::v1::PaymentState;
use encore_server::ports::Ports;
use encore_tests::fan::Fan;
use encore_tests::ledger;
use encore_tests::world::{access_token, until, variable};
use tonic::transport::{Channel, Endpoint};

use self::stripe::{Freeze, NEEDS_ACTION, Stripe};

const KEYS: &str = "test:a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=";
const PRICE_MINOR: i64 = 12_000;

/// A child process that is killed with SIGKILL when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A database, and a gateway that is outside of all instances.
struct Fixture {
    database: ScratchDatabase,
    ports: Ports,
    stripe: Stripe,
    stripe_url: String,
}

impl Fixture {
    async fn new(freeze: Option<Freeze>) -> Self {
        let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
        let ports = Ports::embedded(Keyring::parse(KEYS).expect("keys"));
        let ports = ports.on_postgres(&database.config()).await.expect("Postgres is available");
        let (stripe, stripe_url) = Stripe::start(freeze).await;
        Self { database, ports, stripe, stripe_url }
    }

    async fn instance(&self) -> (Process, Channel) {
        self.instance_with(&[]).await
    }

    /// The same with further variables.
    async fn instance_with(&self, variables: &[(&str, &str)]) -> (Process, Channel) {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let database_url = self.database.url();
        let child = Command::new(env!("CARGO_BIN_EXE_encore"))
            .args(["serve", "--log", "error"])
            .env("ENCORE_LISTEN", address.to_string())
            .env("ENCORE_DATABASE_URL", &database_url)
            .env("ENCORE_DATABASE_POOL", "8")
            .env("ENCORE_REDIS_URL", variable("ENCORE_REDIS_URL"))
            .env("ENCORE_REDIS_PREFIX", database_url.rsplit('/').next().expect("a database name"))
            .env("ENCORE_TOKEN_KEYS", KEYS)
            .env("ENCORE_PAYMENT_GATEWAY", "stripe")
            .env("ENCORE_STRIPE_URL", &self.stripe_url)
            .env("ENCORE_STRIPE_SECRET_KEY", "sk_test_of_this_test")
            .env("ENCORE_STRIPE_RETURN_URL", "https://tickets.example/paid")
            .env("ENCORE_CANCEL_CLOSES_BEFORE_SECONDS", "0")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
        until("the instance to serve", || async { endpoint.connect().await.is_ok() }).await;
        (Process(child), endpoint.connect_lazy())
    }

    async fn fan(&self, channel: &Channel) -> Fan {
        let account = fixtures::account();
        let user = account.user.id;
        self.ports.users.create(account, None).await.expect("a new user");
        let caller = Caller { user, role: Role::Fan };
        let access_token = access_token(&self.ports, caller);
        Fan { user, access_token, queue_token: String::new(), channel: channel.clone() }
    }

    /// The same performance, on sale now.
    fn on_sale(&self, performance: Performance) -> Performance {
        let (now, day) = (self.ports.clock.now(), Duration::from_hours(24));
        let on_sale = OnSaleWindow { opens_at: now - day, closes_at: now + day };
        Performance { starts_at: now + day, on_sale, ..performance }
    }

    async fn performance(&self) -> PerformanceId {
        let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
        let performance = self.on_sale(fixtures::performance(concert.id, venue.id));
        let id = performance.id;
        self.ports.catalog.add_venue(venue, None).await.expect("a new venue");
        self.ports.catalog.add_concert(concert, None).await.expect("a new concert");
        self.ports.catalog.add_performance(performance, None, None).await.expect("a new performance");
        id
    }

    /// Takes up the payment again and again, until it has this state.
    async fn reaches(&self, fan: &Fan, payment: PaymentId, state: PaymentState) {
        until("the end of the payment", || async {
            let now = self.ports.clock.now();
            self.ports.card_payments.hasten(payment, now).await.expect("Postgres is available");
            fan.payment_of(&payment.to_string()).await.is_ok_and(|payment| payment.state() == state)
        })
        .await;
    }

    /// The payment of a reservation, which the killed instance recorded before it asked the gateway. Its lease has ended.
    async fn payment_of(&self, reservation: ReservationId) -> PaymentId {
        let now = self.ports.clock.now();
        let far = now + Duration::from_hours(1);
        let cards = self.ports.card_payments.take_due(far, now, 10).await.expect("Postgres is available");
        let [card] = &cards[..] else { panic!("one payment of reservation {reservation}: {cards:?}") };
        card.id
    }

    /// Checks that the card was charged once, and that all money and seats are accounted for.
    async fn assert_right(&self, refunds: &[i64]) {
        let expected = (vec!["succeeded".to_owned()], 1, refunds.to_vec());
        assert_eq!(self.stripe.statement(), expected, "charged once, captured once");
        self.assert_sound().await;
    }

    async fn assert_sound(&self) {
        ledger::assert_conserved(&self.database).await;
        let report = self.ports.audit.sweep(None).await.expect("Postgres is available");
        assert!(report.is_clean(), "{:?}", report.findings().collect::<Vec<_>>());
    }
}

/// The instance dies while the gateway is frozen at a step of paying.
async fn dies_while_paying(freeze: Freeze) {
    let fixture = Fixture::new(Some(freeze)).await;
    let performance = fixture.performance().await;
    let (victim, channel) = fixture.instance().await;
    let fan = fixture.fan(&channel).await;
    let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    let paying = tokio::spawn({
        let (fan, id) = (fan.clone(), hold.reservation_id.clone());
        async move { fan.pay_by_card(&id, "pm_card_visa").await }
    });
    fixture.stripe.frozen().await;
    drop(victim);
    paying.await.expect("a task").expect_err("its instance died");

    let reservation: ReservationId = hold.reservation_id.parse().expect("an id");
    let payment = fixture.payment_of(reservation).await;
    let (_survivor, channel) = fixture.instance().await;
    let fan = fan.on(&channel);
    fixture.reaches(&fan, payment, PaymentState::Paid).await;
    until("the capture", || async { fixture.stripe.statement().0 == ["succeeded"] }).await;
    let sold = fixture.ports.reservations.find(reservation).await.expect("Postgres is available");
    assert_eq!(sold.map(|it| it.state), Some(ReservationState::Confirmed), "{freeze:?}");
    fixture.assert_right(&[]).await;
}

/// The instance dies while the gateway is frozen at a refund.
async fn dies_while_refunding(freeze: Freeze) {
    let fixture = Fixture::new(Some(freeze)).await;
    let performance = fixture.performance().await;
    let (victim, channel) = fixture.instance().await;
    let fan = fixture.fan(&channel).await;
    let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    let paid = fan.pay_by_card(&hold.reservation_id, "pm_card_visa").await.expect("it is paid");
    assert_eq!(paid.state(), PaymentState::Paid);
    fan.cancel(&hold.reservation_id, &[]).await.expect("a refund");
    fixture.stripe.frozen().await;
    drop(victim);

    let payment = fixture.payment_of(hold.reservation_id.parse().expect("an id")).await;
    assert_eq!(payment.to_string(), paid.payment_id);
    let (_survivor, channel) = fixture.instance().await;
    until("the refund to be final", || async {
        let now = fixture.ports.clock.now();
        fixture.ports.card_payments.hasten(payment, now).await.expect("Postgres is available");
        let card = fixture.ports.card_payments.find(payment).await.expect("Postgres is available");
        card.is_some_and(|card| card.latest().open_refund().is_none())
    })
    .await;
    let fan = fan.on(&channel);
    assert_eq!(fan.balance().await.expect("a balance"), 0, "the money is on the card");
    fixture.assert_right(&[PRICE_MINOR]).await;
}

/// The instance dies while the gateway is frozen at giving up an attempt whose fan has not acted by the hard bound.
async fn dies_while_voiding(freeze: Freeze) {
    let fixture = Fixture::new(Some(freeze)).await;
    let performance = fixture.performance().await;
    let (victim, channel) = fixture.instance().await;
    let fan = fixture.fan(&channel).await;
    let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    let waiting = fan.pay_by_card(&hold.reservation_id, NEEDS_ACTION).await.expect("an action");
    assert_eq!(waiting.state(), PaymentState::NeedsAction);
    ledger::damage(&fixture.database, "UPDATE payment_attempts SET bound = made_at, hold_until = made_at").await;
    let payment: PaymentId = waiting.payment_id.parse().expect("an id");
    let now = fixture.ports.clock.now();
    assert!(fixture.ports.card_payments.hasten(payment, now).await.expect("Postgres is available"));
    fixture.stripe.frozen().await;
    drop(victim);

    let reservation: ReservationId = hold.reservation_id.parse().expect("an id");
    assert_eq!(fixture.payment_of(reservation).await, payment);
    let (_survivor, channel) = fixture.instance().await;
    let fan = fan.on(&channel);
    fixture.reaches(&fan, payment, PaymentState::Expired).await;
    assert_eq!(fixture.stripe.statement(), (vec!["canceled".to_owned()], 0, Vec::new()), "nothing was taken");
    let expired = fixture.ports.reservations.find(reservation).await.expect("Postgres is available");
    assert_eq!(expired.map(|it| it.state), Some(ReservationState::Expired), "{freeze:?}");
    fan.hold(performance, &["S-A-1"]).await.expect("the seat is free");
    fixture.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_attempt_is_given_up() {
    dies_while_voiding(Freeze { call: "cancel", after_effect: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_attempt_is_given_up() {
    dies_while_voiding(Freeze { call: "cancel", after_effect: true }).await;
}

/// The gateway stops as a process does by SIGSTOP. What both instances asked for arrives when it goes on, also that of the dead one.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_gateway_is_stopped() {
    let fixture = Fixture::new(None).await;
    let performance = fixture.performance().await;
    let (victim, channel) = fixture.instance().await;
    let fan = fixture.fan(&channel).await;
    let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    fixture.stripe.set_stopped(true);
    let paying = tokio::spawn({
        let (fan, id) = (fan.clone(), hold.reservation_id.clone());
        async move { fan.pay_by_card(&id, "pm_card_visa").await }
    });
    fixture.stripe.kept_waiting(1).await;
    drop(victim);
    paying.await.expect("a task").expect_err("its instance died");

    let payment = fixture.payment_of(hold.reservation_id.parse().expect("an id")).await;
    let (_survivor, channel) = fixture.instance().await;
    let fan = fan.on(&channel);
    fixture.stripe.kept_waiting(2).await;
    let told = fan.payment_of(&payment.to_string()).await.expect("the payment");
    assert_eq!(told.state(), PaymentState::Processing, "nobody knows");
    fixture.stripe.set_stopped(false);
    fixture.reaches(&fan, payment, PaymentState::Paid).await;
    until("the capture", || async { fixture.stripe.statement().0 == ["succeeded"] }).await;
    fixture.assert_right(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_attempt_is_known_to_the_gateway() {
    dies_while_paying(Freeze { call: "payment_intents", after_effect: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_attempt_is_known_to_the_gateway() {
    dies_while_paying(Freeze { call: "payment_intents", after_effect: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_amount_is_reserved() {
    dies_while_paying(Freeze { call: "confirm", after_effect: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_amount_is_reserved() {
    dies_while_paying(Freeze { call: "confirm", after_effect: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_amount_is_taken() {
    dies_while_paying(Freeze { call: "capture", after_effect: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_amount_is_taken() {
    dies_while_paying(Freeze { call: "capture", after_effect: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_amount_is_given_back() {
    dies_while_refunding(Freeze { call: "refunds", after_effect: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_amount_is_given_back() {
    dies_while_refunding(Freeze { call: "refunds", after_effect: true }).await;
}
