//! Fifty concurrent bookings on two processes of the binary. One process is killed with SIGKILL in the middle.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_credentials::Keyring;
use encore_domain::catalog::{OnSaleWindow, Performance};
use encore_domain::identity::{Caller, Role};
use encore_domain::ids::PerformanceId;
use encore_domain::queue::Queue;
use encore_port_tests::fixtures;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_proto::catalog::v1::SeatStatus;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_server::ports::Ports;
use encore_tests::fan::{Fan, request_id};
use encore_tests::ledger;
use encore_tests::world::{access_token, until, variable};
use futures::future::join_all;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

const FANS: usize = 50;
/// The balance of each fan: it pays for a few seats.
const TOP_UP_MINOR: i64 = 100_000;
/// The instance is killed when this many payments have been answered.
const KILL_AFTER_PAYMENTS: usize = 5;
const KEYS: &str = "test:a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=";

/// A child process that is killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL on Unix. The test also kills its victim this way.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Cluster {
    database: ScratchDatabase,
    ports: Ports,
    /// The instance to kill; none once it is killed.
    victim: Mutex<Option<Process>>,
    _survivor: Process,
    channels: [Channel; 2],
}

impl Cluster {
    async fn start() -> Self {
        let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
        let keyring = Keyring::parse(KEYS).expect("keys");
        let ports = Ports::embedded(keyring);
        let ports = ports.on_postgres(&database.config()).await.expect("Postgres is available");
        let (victim, first) = start_instance(&database).await;
        let (survivor, second) = start_instance(&database).await;
        Self { database, ports, victim: Mutex::new(Some(victim)), _survivor: survivor, channels: [first, second] }
    }

    async fn fan(&self) -> Fan {
        let account = fixtures::account();
        let user = account.user.id;
        self.ports.users.create(account, None).await.expect("a new user");
        let caller = Caller { user, role: Role::Fan };
        let access_token = access_token(&self.ports, caller);
        Fan { user, access_token, queue_token: String::new(), channel: self.channels[0].clone() }
    }

    async fn performance(&self) -> PerformanceId {
        let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
        let now = self.ports.clock.now();
        let day = Duration::from_hours(24);
        let performance = Performance {
            starts_at: now + day,
            on_sale: OnSaleWindow { opens_at: now - day, closes_at: now + day },
            hold_for: Duration::from_secs(10),
            has_queue: true,
            ..fixtures::performance(concert.id, venue.id)
        };
        let id = performance.id;
        let catalog = &self.ports.catalog;
        catalog.add_venue(venue, None).await.expect("a new venue");
        catalog.add_concert(concert, None).await.expect("a new concert");
        catalog.add_performance(performance, Some(Queue::default()), None).await.expect("a new performance");
        id
    }

    fn kill(&self) {
        let mut victim = self.victim.lock().expect("a lock that is not poisoned");
        drop(victim.take());
    }
}

async fn start_instance(database: &ScratchDatabase) -> (Process, Channel) {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let database_url = database.url();
    let child = Command::new(env!("CARGO_BIN_EXE_encore"))
        .args(["serve", "--log", "error"])
        .env("ENCORE_LISTEN", address.to_string())
        .env("ENCORE_DATABASE_URL", &database_url)
        .env("ENCORE_DATABASE_POOL", "8")
        .env("ENCORE_REDIS_URL", variable("ENCORE_REDIS_URL"))
        .env("ENCORE_REDIS_PREFIX", database_url.rsplit('/').next().expect("a database name"))
        .env("ENCORE_TOKEN_KEYS", KEYS)
        .env("ENCORE_WALLET_TOP_UP", "free")
        .stdin(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    until("the instance to serve", || async { endpoint.connect().await.is_ok() }).await;
    (Process(child), endpoint.connect_lazy())
}

/// Calls the two instances in turn until one answers, like a client with a retry policy.
async fn retry<T, F>(fan: &Fan, cluster: &Cluster, first: usize, call: impl Fn(Fan) -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    const ATTEMPTS: usize = 20;
    let mut outcome = Err(Status::unavailable("not called yet"));
    for turn in first..first + ATTEMPTS {
        outcome = call(fan.on(&cluster.channels[turn % 2])).await;
        let again = matches!(&outcome, Err(status) if matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal));
        if !again {
            break;
        }
    }
    outcome
}

/// One fan books two neighbouring seats. Returns the fan and the number of seats paid for.
async fn book(cluster: &Cluster, performance: PerformanceId, turn: usize, payments: &AtomicUsize) -> (Fan, usize) {
    let fan = cluster.fan().await;
    fan.on(&cluster.channels[1]).top_up(TOP_UP_MINOR).await.expect("a credit");
    let first = turn % 8 + 1;
    let seats = [format!("C-B-{first}"), format!("C-B-{}", first + 1)];
    let seats = if turn.is_multiple_of(2) { seats } else { [format!("S-A-{first}"), format!("C-A-{}", turn % 4 + 1)] };
    let joining = retry(&fan, cluster, turn, |mut fan| async move { fan.join(performance).await.map(|_| fan) });
    let fan = joining.await.expect("a queue token");
    until("admission", || async {
        let asking = retry(&fan, cluster, turn, |fan| async move { fan.position().await });
        matches!(asking.await, Ok(QueueStatus::Admitted(_)))
    })
    .await;
    let (hold_request, pay_request) = (request_id(), request_id());
    let holding = retry(&fan, cluster, turn, |fan| {
        let (request, seats) = (hold_request.clone(), seats.clone());
        async move { fan.hold_as(&request, performance, &seats.each_ref().map(String::as_str)).await }
    });
    let Ok(hold) = holding.await else { return give_up(fan, cluster, turn).await };
    let paying = retry(&fan, cluster, turn, |fan| {
        let (request, id) = (pay_request.clone(), hold.reservation_id.clone());
        async move { fan.pay_as(&request, &id).await }
    });
    let Ok(_payment) = paying.await else { return give_up(fan, cluster, turn).await };
    if payments.fetch_add(1, Ordering::SeqCst) + 1 == KILL_AFTER_PAYMENTS {
        cluster.kill();
    }
    (fan, 2)
}

/// Leaves the queue, so that a waiting fan is admitted.
async fn give_up(fan: Fan, cluster: &Cluster, turn: usize) -> (Fan, usize) {
    let leaving = retry(&fan, cluster, turn, |fan| async move { fan.leave().await });
    leaving.await.expect("left");
    (fan, 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_instance_leaves_no_seat_sold_twice_and_no_money_made_or_lost() {
    let cluster = Arc::new(Cluster::start().await);
    let performance = cluster.performance().await;
    let payments = AtomicUsize::new(0);

    let booked = join_all((0..FANS).map(|turn| book(&cluster, performance, turn, &payments))).await;

    assert!(
        cluster.victim.lock().expect("a lock that is not poisoned").is_none(),
        "an instance was killed in the middle"
    );
    let reservations = &cluster.ports.reservations;
    until("every hold to be paid or expired", || async {
        let claims = reservations.claims(performance).await.expect("claims");
        claims.iter().all(|claim| claim.owner.held_until().is_none())
    })
    .await;

    let claims = reservations.claims(performance).await.expect("claims");
    let sold: BTreeSet<_> = claims.iter().map(|claim| claim.slot).collect();
    assert_eq!(sold.len(), claims.len(), "no seat has two claims");
    // By owner: the number of seats and their price.
    let mut owned_by: HashMap<_, (usize, i64)> = HashMap::new();
    for claim in &claims {
        let id = claim.owner.reservation().expect("nothing is blocked");
        let reservation = reservations.find(id).await.expect("Postgres is available").expect("a reservation");
        let seat = reservation.seats.iter().find(|seat| seat.slot == claim.slot).expect("a seat of the reservation");
        let owned = owned_by.entry(reservation.user).or_default();
        *owned = (owned.0 + 1, owned.1 + seat.price_minor);
    }
    for (fan, answered) in &booked {
        let (seats, price) = owned_by.get(&fan.user).copied().unwrap_or_default();
        assert!(seats >= *answered, "every seat of a successful payment is the fan's");
        let paid = TOP_UP_MINOR - fan.on(&cluster.channels[1]).balance().await.expect("a balance");
        assert_eq!(paid, price, "each fan has paid exactly the price of their seats");
    }
    ledger::assert_conserved(&cluster.database).await;
    let report = cluster.ports.audit.sweep(None).await.expect("Postgres is available");
    assert!(report.is_clean(), "{report:#?}");
    assert!(ledger::payments(&cluster.database).await >= i64::try_from(KILL_AFTER_PAYMENTS).expect("a few"));

    let mut fan = cluster.fan().await.on(&cluster.channels[1]);
    fan.enter(performance).await.expect("admitted");
    until("every seat to be shown as sold or free", || async {
        let seats = fan.seats(performance).await.expect("seats");
        let count = |status| seats.iter().filter(|seat| seat.status() == status).count();
        count(SeatStatus::Sold) == sold.len() && count(SeatStatus::Held) == 0
    })
    .await;
}
