//! The fixture of these tests: a *world* is a set of instances that share their stores, their keys and a clock.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use encore_credentials::Keyring;
use encore_domain::catalog::Performance;
use encore_domain::catalog::seat_chart::SeatChart;
use encore_domain::error::Unavailable;
use encore_domain::identity::{AccessTokenPayload, Caller, Role};
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{Clock, MockSeatLocks};
use encore_domain::queue::{DRAW_KEY_BYTES, DrawKey, Queue, QueueDraw, QueueSettings, RESTORE_QUIET};
use encore_domain::time::Timestamp;
use encore_grpc::GuardedRpcs;
use encore_port_tests::fixtures;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_server::store_watch::StoreClocks;
use tonic::transport::Channel;

use crate::clock::{CountingIds, TestClock};
use crate::fan::Fan;
use crate::in_memory::{Instance, KillableInstance};

/// The lifetime of access tokens.
pub const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_hours(24 * 365);

/// A token that says who calls, outside any session.
pub fn access_token(ports: &Ports, caller: Caller) -> String {
    let now = ports.clock.now();
    let payload = AccessTokenPayload { caller, session: None, expires_at: now + ACCESS_TOKEN_LIFETIME };
    ports.access_tokens.issue(&payload, now).token
}

/// Embedded ports with the test's clock and ids.
pub fn embedded_ports(clock: Arc<TestClock>) -> Ports {
    let keyring = Keyring::from_secret("test", &[7; 32]).expect("a key");
    Ports { clock, ids: Arc::new(CountingIds), ..Ports::embedded(keyring) }
}

async fn durable_ports(clock: &Arc<TestClock>, database: &ScratchDatabase, redis_urls: &str, prefix: &str) -> Ports {
    let ports = embedded_ports(Arc::clone(clock)).on_postgres(&database.config()).await;
    let ports = ports.expect("Postgres is available").on_redis(redis_urls, prefix).await.expect("Redis is available");
    on_test_clock(ports)
}

/// The ports with the payment gateway of others: there is one outside of all instances.
fn at_one_gateway(ports: Ports, others: Option<&Ports>) -> Ports {
    match others {
        Some(others) => Ports { gateway: others.gateway.clone(), sandbox: others.sandbox.clone(), ..ports },
        None => ports,
    }
}

/// The ports without the stores' clocks, with which a test's clock does not agree.
fn on_test_clock(ports: Ports) -> Ports {
    Ports { store_clocks: StoreClocks::default(), ..ports }
}

/// A set of instances and what they share.
pub struct World {
    /// The clock of all instances.
    pub clock: Arc<TestClock>,
    /// The running instances.
    pub instances: Vec<Instance>,
    /// The ports of the first instance, for set-up and for checks past the API.
    pub ports: Ports,
    database: Option<ScratchDatabase>,
    redis: Option<OwnRedis>,
}

/// The Redis and the key prefix of a world.
struct OwnRedis {
    urls: String,
    prefix: String,
}

impl World {
    /// Instances on a new Postgres database and a new Redis prefix.
    pub async fn durable(instances: usize) -> Self {
        Self::durable_on(instances, &variable("ENCORE_REDIS_URL")).await
    }

    /// The same on a Redis Cluster.
    pub async fn on_cluster(instances: usize) -> Self {
        Self::durable_on(instances, &variable("ENCORE_REDIS_CLUSTER_URL")).await
    }

    /// The same on a Redis that the test supplies.
    pub async fn durable_on(instances: usize, redis_urls: &str) -> Self {
        let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
        let database_url = database.url();
        let prefix = database_url.rsplit('/').next().expect("a database name").to_owned();
        let clock = Arc::new(TestClock::default());
        let mut all_ports: Vec<Ports> = Vec::new();
        for _ in 0..instances {
            let ports = durable_ports(&clock, &database, redis_urls, &prefix).await;
            all_ports.push(at_one_gateway(ports, all_ports.first()));
        }
        let redis = OwnRedis { urls: redis_urls.to_owned(), prefix };
        Self { redis: Some(redis), ..Self::start(clock, all_ports, Some(database)).await }
    }

    /// Another instance of a durable world, which can be killed.
    pub async fn killable_instance(&self) -> KillableInstance {
        let OwnRedis { urls, prefix } = self.redis.as_ref().expect("a world on Redis");
        let ports = durable_ports(&self.clock, self.database(), urls, prefix).await;
        KillableInstance::start(at_one_gateway(ports, Some(&self.ports))).await
    }

    /// One instance on a new Postgres database, with queues and seat locks in memory.
    pub async fn without_redis() -> Self {
        let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
        let clock = Arc::new(TestClock::default());
        let ports = embedded_ports(Arc::clone(&clock)).on_postgres(&database.config()).await;
        Self::start(clock, vec![on_test_clock(ports.expect("Postgres is available"))], Some(database)).await
    }

    /// One instance on embedded stores.
    pub async fn embedded() -> Self {
        let clock = Arc::new(TestClock::default());
        let ports = embedded_ports(Arc::clone(&clock));
        Self::start(clock, vec![ports], None).await
    }

    /// The same, changed before it starts.
    pub async fn embedded_as(change: impl FnOnce(Encore) -> Encore) -> Self {
        let clock = Arc::new(TestClock::default());
        let ports = embedded_ports(Arc::clone(&clock));
        let encore = change(Encore::new(ports.clone(), GuardedRpcs::default()));
        let instances = vec![Instance::start(encore).await];
        Self { clock, instances, ports, database: None, redis: None }
    }

    /// Two instances on a new Postgres database. Their seat locks are unavailable, and their queues are in memory.
    pub async fn without_seat_locks() -> Self {
        let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
        let clock = Arc::new(TestClock::default());
        let mut all_ports = Vec::new();
        for _ in 0..2 {
            let ports = embedded_ports(Arc::clone(&clock)).on_postgres(&database.config()).await;
            all_ports.push(Ports {
                seat_locks: Arc::new(unavailable_seat_locks()),
                ..on_test_clock(ports.expect("Postgres is available"))
            });
        }
        Self::start(clock, all_ports, Some(database)).await
    }

    async fn start(clock: Arc<TestClock>, all_ports: Vec<Ports>, database: Option<ScratchDatabase>) -> Self {
        let ports = all_ports[0].clone();
        let mut instances = Vec::new();
        for ports in all_ports {
            instances.push(Instance::start(Encore::new(ports, GuardedRpcs::default())).await);
        }
        Self { clock, instances, ports, database, redis: None }
    }

    /// Deletes all keys of this world from Redis in one step, like a flush.
    pub async fn lose_redis(&self) {
        const LOSE: &str = r"
            local cursor = '0'
            repeat
              local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
              cursor = page[1]
              for _, key in ipairs(page[2]) do
                redis.call('UNLINK', key)
              end
            until cursor == '0'";
        let OwnRedis { urls, prefix } = self.redis.as_ref().expect("a world on Redis");
        let client = redis::Client::open(urls.as_str()).expect("a URL");
        let mut connection = client.get_multiplexed_async_connection().await.expect("Redis is available");
        let mut lose = redis::cmd("EVAL");
        lose.arg(LOSE).arg(0).arg(format!("{prefix}*"));
        lose.query_async::<()>(&mut connection).await.expect("all keys are deleted");
    }

    /// Deletes all keys, and waits until the queue is restored and its quiet period is over.
    pub async fn lose_queue(&self, performance: PerformanceId) {
        self.queue_lost_by(performance, self.lose_redis()).await;
    }

    /// Loses the queue by `lose`, and waits until it is restored and its quiet period is over.
    pub async fn queue_lost_by(&self, performance: PerformanceId, lose: impl Future<Output = ()>) {
        let restored_at = async || {
            let queue = self.ports.queues.snapshot(performance).await;
            queue.ok().flatten().map(|queue| queue.restored_at)
        };
        let before = restored_at().await;
        // One millisecond later, so that `restored_at` differs from the value before.
        self.clock.advance(Duration::from_millis(1));
        lose.await;
        until("a restored queue", || async { restored_at().await.is_some_and(|at| Some(at) != before) }).await;
        self.clock.advance(RESTORE_QUIET);
    }

    /// A new instance on the same Postgres database without the state in memory, as after a restart.
    pub async fn successor(&self) -> Instance {
        let ports = embedded_ports(Arc::clone(&self.clock)).on_postgres(&self.database().config()).await;
        let ports = on_test_clock(ports.expect("Postgres is available"));
        Instance::start(Encore::new(ports, GuardedRpcs::default())).await
    }

    /// The database that durable instances share.
    pub fn database(&self) -> &ScratchDatabase {
        self.database.as_ref().expect("a durable world")
    }

    /// The time of the test's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A connection to the instance whose turn it is.
    pub fn channel(&self, turn: usize) -> &Channel {
        &self.instances[turn % self.instances.len()].channel
    }

    /// A new fan with a connection to the instance whose turn it is. The user is added to the store directly, because a
    /// sign-up costs a password hash.
    pub async fn fan(&self, turn: usize) -> Fan {
        self.user(turn, Role::Fan).await
    }

    /// A new operator.
    pub async fn operator(&self) -> Fan {
        self.user(0, Role::Operator).await
    }

    /// A new user, without an event of signing up, with a role and a connection to the instance whose turn it is.
    pub async fn user(&self, turn: usize, role: Role) -> Fan {
        let mut account = fixtures::account();
        account.user.role = role;
        let user = account.user.id;
        self.ports.users.add_all(vec![account]).await.expect("a new user");
        self.caller(user, role, self.channel(turn))
    }

    /// A fan with an access token and without an account, which is enough to wait in a queue.
    pub fn fan_without_account(&self, channel: &Channel) -> Fan {
        self.caller(fixtures::id(), Role::Fan, channel)
    }

    fn caller(&self, user: UserId, role: Role, channel: &Channel) -> Fan {
        let access_token = access_token(&self.ports, Caller { user, role });
        Fan { user, access_token, queue_token: String::new(), channel: channel.clone() }
    }

    /// A performance at the small venue of the fixtures: 26 seats such as `S-A-1` at 120.00 and `C-B-9` at 75.00 euros.
    pub async fn performance(&self, queue: Option<QueueSettings>) -> PerformanceId {
        self.performance_with(queue, |performance| performance).await
    }

    /// The same with changes.
    pub async fn performance_with(
        &self,
        queue: Option<QueueSettings>,
        change: impl FnOnce(Performance) -> Performance,
    ) -> PerformanceId {
        self.performance_in(fixtures::small_chart(), queue, change).await
    }

    /// A performance whose sale opens after this time, with an open pre-queue until then.
    pub async fn drawn_performance(&self, settings: QueueSettings, opens_in: Duration) -> PerformanceId {
        let draw = QueueDraw { pre_queue_opens_at: self.clock.now(), key: DrawKey([9; DRAW_KEY_BYTES]) };
        let opening = |mut performance: Performance| {
            performance.on_sale.opens_at = self.clock.now() + opens_in;
            performance
        };
        self.add_performance(fixtures::small_chart(), Some(Queue { settings, draw: Some(draw) }), opening).await
    }

    /// The same at another venue with two grades.
    pub async fn performance_in(
        &self,
        chart: SeatChart,
        queue: Option<QueueSettings>,
        change: impl FnOnce(Performance) -> Performance,
    ) -> PerformanceId {
        self.add_performance(chart, queue.map(|settings| Queue { settings, draw: None }), change).await
    }

    async fn add_performance(
        &self,
        chart: SeatChart,
        queue: Option<Queue>,
        change: impl FnOnce(Performance) -> Performance,
    ) -> PerformanceId {
        let (venue, concert) = (fixtures::venue(chart), fixtures::concert());
        let performance = fixtures::performance(concert.id, venue.id);
        let performance = change(Performance { has_queue: queue.is_some(), ..performance });
        let id = performance.id;
        let catalog = &self.ports.catalog;
        catalog.add_venue(venue, None).await.expect("a new venue");
        catalog.add_concert(concert, None).await.expect("a new concert");
        catalog.add_performance(performance, queue, None).await.expect("a new performance");
        id
    }
}

/// Seat locks whose store is unavailable.
fn unavailable_seat_locks() -> MockSeatLocks {
    let mut locks = MockSeatLocks::new();
    locks.expect_load().returning(|_, _, _, _| Err(Unavailable::of("redis")));
    locks.expect_take().returning(|_, _, _, _| Err(Unavailable::of("redis").into()));
    locks.expect_take_chosen().returning(|_, _, _| Err(Unavailable::of("redis").into()));
    locks.expect_release().returning(|_, _, _| Err(Unavailable::of("redis")));
    locks.expect_unblock().returning(|_, _| Err(Unavailable::of("redis")));
    locks.expect_mark().returning(|_, _| Err(Unavailable::of("redis")));
    locks.expect_snapshot().returning(|_| Err(Unavailable::of("redis")));
    locks.expect_stock().returning(|_| Err(Unavailable::of("redis")));
    locks.expect_bought().returning(|_, _| Err(Unavailable::of("redis")));
    locks.expect_overdue().returning(|_, _, _| Err(Unavailable::of("redis")));
    locks
}

/// The URL of a store from an environment variable.
pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests with `cargo xtask test`"))
}

/// Waits until a condition holds. Panics at a deadline that is longer than anything in these tests takes.
pub async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    const TIMEOUT: Duration = Duration::from_mins(1);
    const POLL_INTERVAL: Duration = Duration::from_millis(20);
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    assert!(tokio::time::timeout(TIMEOUT, waiting).await.is_ok(), "timed out waiting for {what}");
}
