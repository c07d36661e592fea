//! Card payments under everything that may go wrong at once: a gateway that loses requests and answers and delivers late, instances that
//! die between any two calls of their ports, fans who pay, cancel, compete and give up, and time that passes. When all has come to rest,
//! the auditor finds nothing, and the ledger says of every payment what the gateway says.
//!
//! `CARD_MODEL_SEEDS` sets how many schedules are run, `CARD_MODEL_SEED` runs one.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod fuse;
mod hostile_gateway;

use std::collections::HashMap;
use std::env;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::booking::{ReservationFilter, ReservationState};
use encore_domain::ids::PaymentId;
use encore_domain::page::PageRequest;
use encore_domain::ports::{CardPayments, Clock, PaymentGateway, SandboxActions};
use encore_domain::wallet::TransferKind;
use encore_grpc::GuardedRpcs;
use encore_proto::payment::v1 as payment;
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::fan::{Fan, request_id};
use encore_tests::in_memory::Instance;
use encore_tests::world::World;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use fuse::{Fuse, Mortal};
use hostile_gateway::HostileGateway;

/// The schedules of an ordinary run.
const SEEDS: u64 = 300;
const FANS: usize = 3;
const STEPS: usize = 30;
/// Few seats, so that fans compete for them.
const SEATS: [&str; 4] = ["S-A-1", "S-A-2", "C-A-1", "C-A-2"];
/// The longest that a payment stays open after the gateway behaves: the bound, the time to arrive, and some tries.
const REST: Duration = Duration::from_hours(1);

/// An instance that may die. Its stores and its gateway survive it.
struct Mortals {
    encore: Encore,
    instance: Instance,
    fuse: Arc<Fuse>,
}

impl Mortals {
    async fn start(ports: &Ports, gateway: &Arc<HostileGateway>) -> Self {
        let fuse = Arc::new(Fuse::default());
        let cards: Arc<Mortal<dyn CardPayments>> =
            Arc::new(Mortal { fuse: Arc::clone(&fuse), port: ports.card_payments.clone() });
        let port: Arc<dyn PaymentGateway> = gateway.clone();
        let mortal: Arc<Mortal<dyn PaymentGateway>> = Arc::new(Mortal { fuse: Arc::clone(&fuse), port });
        let sandbox: Arc<dyn SandboxActions> = gateway.clone();
        let ports = Ports { card_payments: cards, gateway: Some(mortal), sandbox: Some(sandbox), ..ports.clone() };
        let encore = Encore::new(ports, GuardedRpcs::default());
        let instance = Instance::start_without_workers(encore.clone()).await;
        Self { encore, instance, fuse }
    }

    /// Does something until it is done or the instance dies.
    async fn attempt<T>(&self, calls: i64, doing: impl Future<Output = T>) -> Option<T> {
        self.fuse.set(calls);
        tokio::select! {
            done = doing => Some(done),
            () = self.fuse.blown() => None,
        }
    }
}

struct Model {
    rng: ChaCha8Rng,
    world: World,
    gateway: Arc<HostileGateway>,
    instances: Vec<Mortals>,
    fans: Vec<Fan>,
    performance: encore_domain::ids::PerformanceId,
    payments: Vec<(usize, String)>,
}

impl Model {
    async fn new(seed: u64) -> Self {
        let world = World::embedded().await;
        let clock: Arc<TestClock> = world.clock.clone();
        let gateway = Arc::new(HostileGateway::new(seed, clock as Arc<dyn Clock>));
        let performance = world.performance(None).await;
        let mut fans = Vec::new();
        for _ in 0..FANS {
            fans.push(world.fan(0).await);
        }
        let mut instances = Vec::new();
        for _ in 0..2 {
            instances.push(Box::pin(Mortals::start(&world.ports, &gateway)).await);
        }
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { rng, world, gateway, instances, fans, performance, payments: Vec::new() }
    }

    async fn step(&mut self) {
        let (fan, instance) = (self.rng.random_range(0..FANS), self.rng.random_range(0..2));
        // One call in three meets an instance that dies in it.
        let calls = if self.rng.random_bool(0.33) { self.rng.random_range(0..12) } else { i64::MAX };
        match self.rng.random_range(0..100) {
            0..25 => self.hold(fan, instance).await,
            25..55 => self.pay(fan, instance, calls).await,
            55..62 => self.cancel(fan, instance).await,
            62..70 => self.act(instance, calls).await,
            70..85 => self.take_up(instance, calls).await,
            _ => self.pass_time().await,
        }
    }

    fn fan(&self, fan: usize, instance: usize) -> Fan {
        self.fans[fan].on(&self.instances[instance].instance.channel)
    }

    async fn hold(&mut self, fan: usize, instance: usize) {
        let count = self.rng.random_range(1..=2);
        let first = self.rng.random_range(0..SEATS.len());
        let seats: Vec<&str> = (0..count).map(|index| SEATS[(first + index) % SEATS.len()]).collect();
        // Another fan may have them.
        drop(self.fan(fan, instance).hold(self.performance, &seats).await);
    }

    async fn of_fan(&mut self, fan: usize, state: ReservationState) -> Option<String> {
        let filter = ReservationFilter { states: vec![state], now: self.world.clock.now() };
        let page = PageRequest::first(10);
        let listed = self.world.ports.reservations.list(self.fans[fan].user, &filter, page).await;
        let found = listed.expect("the store answers").items;
        if found.is_empty() {
            return None;
        }
        Some(found[self.rng.random_range(0..found.len())].id.to_string())
    }

    async fn pay(&mut self, fan: usize, instance: usize, calls: i64) {
        let Some(reservation) = self.of_fan(fan, ReservationState::Held).await else { return };
        let (client, request) = (self.fan(fan, instance), request_id());
        let mortals = &self.instances[instance];
        let paid = mortals.attempt(calls, client.pay_by_card_as(&request, &reservation, "card")).await;
        let again = match paid {
            // A fan whose instance died asks another with the same request.
            None if self.rng.random_bool(0.5) => {
                let other = self.fan(fan, 1 - instance);
                let mortals = &self.instances[1 - instance];
                mortals.attempt(i64::MAX, other.pay_by_card_as(&request, &reservation, "card")).await
            }
            paid => paid,
        };
        if let Some(Ok(payment)) = again {
            self.payments.push((fan, payment.payment_id));
        }
    }

    async fn cancel(&mut self, fan: usize, instance: usize) {
        let Some(reservation) = self.of_fan(fan, ReservationState::Confirmed).await else { return };
        let client = self.fan(fan, instance);
        let bought = client.reservation(&reservation).await.expect("a reservation");
        let only_one = self.rng.random_bool(0.5);
        let seats: Vec<&str> = bought.seats.iter().map(|seat| seat.seat_id.as_str()).collect();
        client.cancel(&reservation, if only_one { &seats[..1] } else { &[] }).await.expect("it is confirmed");
    }

    async fn act(&mut self, instance: usize, calls: i64) {
        let Some((fan, payment)) = self.payments.last().cloned() else { return };
        let (client, succeeds) = (self.fan(fan, instance), self.rng.random_bool(0.7));
        let message = payment::CompleteSandboxActionRequest { payment_id: payment, succeeds };
        let mut api = client.payment();
        let acting = api.complete_sandbox_action(client.request(message));
        drop(self.instances[instance].attempt(calls, acting).await);
    }

    async fn take_up(&mut self, instance: usize, calls: i64) {
        let mortals = &self.instances[instance];
        let taken = mortals.attempt(calls, mortals.encore.workers.take_up_card_payments()).await;
        if let Some(taken) = taken {
            taken.expect("the store answers");
        }
    }

    async fn pass_time(&mut self) {
        let longest = [5_000, 60_000, 400_000][self.rng.random_range(0..3)];
        self.world.clock.advance(Duration::from_millis(self.rng.random_range(1..longest)));
        let now = self.world.clock.now();
        self.world.ports.reservations.expire_due(now, 100).await.expect("the store answers");
    }

    /// Lets the gateway behave, and the payments end.
    async fn come_to_rest(&mut self) {
        self.gateway.tame();
        let end = self.world.clock.now() + REST;
        while self.world.clock.now() < end {
            self.take_up(0, i64::MAX).await;
            self.world.clock.advance(Duration::from_secs(47));
            let now = self.world.clock.now();
            self.world.ports.reservations.expire_due(now, 100).await.expect("the store answers");
        }
    }

    /// What the ledger says that the gateway took for each payment, less what it gave back.
    async fn accounted(&self) -> HashMap<PaymentId, i64> {
        let mut accounted = HashMap::new();
        for fan in &self.fans {
            let entries = self.world.ports.wallets.entries(fan.user, PageRequest::first(100)).await;
            let entries = entries.expect("the store answers");
            assert_eq!(entries.next, None, "all entries fit a page");
            for entry in entries.items {
                let of_gateway =
                    matches!(entry.kind, TransferKind::Charge | TransferKind::CardRefund | TransferKind::Returned);
                if let Some(payment) = entry.payment.filter(|_| of_gateway) {
                    *accounted.entry(payment).or_default() += entry.amount.minor;
                }
            }
        }
        accounted.retain(|_, minor| *minor != 0);
        accounted
    }

    async fn check(&self, seed: u64) {
        let ports = &self.world.ports;
        let report = ports.audit.sweep(None).await.expect("the store answers");
        let findings: Vec<_> = report.findings().collect();
        assert!(findings.is_empty(), "seed {seed}: {findings:#?}");
        let far = self.world.clock.now() + Duration::from_secs(30);
        let restless = ports.card_payments.take_due(far, far, 100).await.expect("the store answers");
        let restless: Vec<_> = restless.iter().map(|card| (card.id, card.latest())).collect();
        assert!(restless.is_empty(), "seed {seed}: payments are not at rest: {restless:#?}");
        let mut taken = self.gateway.taken();
        taken.retain(|_, minor| *minor != 0);
        assert_eq!(taken, self.accounted().await, "seed {seed}: what the gateway took, and what the ledger says");
        for fan in &self.fans {
            let filter = ReservationFilter { states: vec![ReservationState::Paying], now: self.world.clock.now() };
            let paying = ports.reservations.list(fan.user, &filter, PageRequest::first(10)).await;
            assert_eq!(paying.expect("the store answers").items, [], "seed {seed}: nothing is being paid for ever");
        }
    }
}

async fn run(seed: u64) -> usize {
    let mut model = Box::pin(Model::new(seed)).await;
    for _ in 0..STEPS {
        model.step().await;
    }
    model.come_to_rest().await;
    model.check(seed).await;
    model.gateway.taken().values().filter(|minor| **minor > 0).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_money_is_conserved() {
    let read = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = read("CARD_MODEL_SEED") {
        Box::pin(run(seed)).await;
        return;
    }
    let seeds = read("CARD_MODEL_SEEDS").unwrap_or(SEEDS);
    let mut sold = 0;
    for seed in 0..seeds {
        sold += Box::pin(run(seed)).await;
    }
    assert!(sold > 0, "no schedule sold anything: the model tests nothing");
}
