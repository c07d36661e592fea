//! `encore events replay` of the binary: a process relays the seat feed to a file, or to Kafka, and the map that is rebuilt from it is
//! compared with the claims. Without Java and Maven the mock cluster of librdkafka stands for Kafka.
#![expect(clippy::expect_used, clippy::print_stderr, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use encore_credentials::Keyring;
use encore_domain::booking::Reservation;
use encore_domain::booking::seat_block::{BlockReason, SeatBlock};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::catalog::{OnSaleWindow, Performance};
use encore_domain::ids::PerformanceId;
use encore_port_tests::fixtures::{self, euros, hold_at, payment, request, slots, top_up};
use encore_postgres_store::scratch::ScratchDatabase;
use encore_private_stores::KafkaServer;
use encore_server::ports::Ports;
use encore_tests::ledger::damage;
use encore_tests::world::variable;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

const KEYS: &str = "test:a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=";
const TOPIC: &str = "encore.events.test";
const SEAT_TOPIC: &str = "encore.seats.test";

/// A child process that is killed with SIGKILL when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("{name}-{}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A sale in a database, and where its feed goes.
struct Bench<'a> {
    database: ScratchDatabase,
    ports: Ports,
    sale: Performance,
    to: &'a [(&'a str, String)],
}

impl<'a> Bench<'a> {
    /// A venue with seats and a general admission area.
    async fn new(to: &'a [(&'a str, String)]) -> Self {
        let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
        let ports = Ports::embedded(Keyring::parse(KEYS).expect("keys"));
        let ports = ports.on_postgres(&database.config()).await.expect("Postgres is available");
        let (venue, concert, now) =
            (fixtures::venue(fixtures::festival_chart(4)), fixtures::concert(), ports.clock.now());
        let window = OnSaleWindow { opens_at: now, closes_at: now + Duration::from_hours(1) };
        let starts_at = now + Duration::from_hours(2);
        let sale = Performance { on_sale: window, starts_at, ..fixtures::performance(concert.id, venue.id) };
        ports.catalog.add_venue(venue, None).await.expect("a venue");
        ports.catalog.add_concert(concert, None).await.expect("a concert");
        ports.catalog.add_performance(sale.clone(), None, None).await.expect("a performance");
        Self { database, ports, sale, to }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_encore"));
        command
            .envs(self.to.iter().cloned())
            .env("ENCORE_LOG", "error")
            .env("ENCORE_DATABASE_URL", self.database.url())
            .env("ENCORE_DATABASE_POOL", "4")
            .env("ENCORE_TOKEN_KEYS", KEYS)
            .env_remove("ENCORE_REDIS_URL")
            .stdin(Stdio::null());
        command
    }

    fn start(&self) -> Process {
        Process(self.command().args(["serve", "--listen", "127.0.0.1:0"]).spawn().expect("the binary starts"))
    }

    fn replaying(&self, performance: PerformanceId, flags: &[&str]) -> Command {
        let mut command = self.command();
        command.args(["events", "replay", "--performance", &performance.to_string()]).args(flags);
        command
    }

    fn replay(&self, flags: &[&str]) -> (Option<i32>, String) {
        outcome(self.replaying(self.sale.id, flags))
    }

    async fn place(&self, slots: &[Slot]) -> Reservation {
        let account = fixtures::account();
        let fan = account.user.id;
        self.ports.users.add_all(vec![account]).await.expect("a fan");
        let mut hold = hold_at(fan, &self.sale, &vec![0; slots.len()], self.ports.clock.now());
        for (seat, slot) in hold.seats.iter_mut().zip(slots) {
            seat.slot = *slot;
        }
        self.ports.reservations.place(hold.clone(), 8, None, request(fan)).await.expect("free seats");
        hold
    }

    async fn pay(&self, hold: &Reservation) {
        let now = self.ports.clock.now();
        self.ports.wallets.top_up(top_up(hold.user, euros(50_000)), request(hold.user)).await.expect("a top-up");
        self.ports.payments.pay_from_wallet(payment(hold, now), request(hold.user)).await.expect("paid");
    }

    /// Seats are held, given back, sold, blocked, and units of the area are held.
    async fn sell(&self) {
        let now = self.ports.clock.now();
        let bought = self.place(&slots(&[0, 1])).await;
        let (given_back, by) = (slots(&[1]), Some(request(bought.user)));
        let left = self.ports.reservations.release_seats(bought.id, &given_back, now, by).await;
        self.pay(&left.expect("a live hold").into_inner()).await;
        let released = self.place(&slots(&[2])).await;
        self.ports.reservations.release(released.id, now, None).await.expect("a live hold");
        let floor = fixtures::festival_chart(4).areas()[0].slots();
        self.place(&[Slot(floor.start), Slot(floor.start + 1)]).await;
        let block = SeatBlock {
            id: fixtures::id(),
            performance: self.sale.id,
            operator: bought.user,
            reason: BlockReason::parse("house seats").expect("a reason"),
            slots: slots(&[3]),
            at: now,
        };
        self.ports.seat_blocks.block(block, None).await.expect("a free seat");
    }
}

/// Runs a command. Returns its exit code and what it printed.
fn outcome(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary runs");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// What holds wherever the feed goes.
async fn a_replay_tells_whether_the_feed_is_what_is_claimed(to: &[(&str, String)]) {
    let bench = Bench::new(to).await;
    let instance = bench.start();
    bench.sell().await;
    let (code, told) = bench.replay(&[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(": 6 seats in the feed, 4 claims"), "{told}");

    // While seats change all the time, what is on its way is no difference.
    let moving = bench.place(&slots(&[5])).await;
    let command = bench.replaying(bench.sale.id, &[]);
    let replaying = tokio::task::spawn_blocking(move || outcome(command));
    let mut seats = (6..20).cycle();
    while !replaying.is_finished() {
        let held = bench.place(&slots(&[seats.next().expect("endless")])).await;
        bench.ports.reservations.release(held.id, held.held_at, None).await.expect("a live hold");
    }
    let (code, told) = replaying.await.expect("no panic");
    assert_eq!(code, Some(0), "{told}");

    damage(&bench.database, "DELETE FROM claims WHERE slot = 0").await;
    let [from, to] = [5, 21].map(|seat| slots(&[seat])[0].0);
    damage(&bench.database, &format!("UPDATE claims SET slot = {to} WHERE slot = {from}")).await;
    let (code, told) = bench.replay(&[]);
    assert_eq!(code, Some(3), "{told}");
    let lost = told.lines().find(|line| line.starts_with("  seat S-A-1: sold in the feed (version "));
    assert!(lost.is_some_and(|line| line.ends_with("), free by the claims")), "{told}");
    let reservation = moving.id;
    assert!(told.contains(&format!("not in the feed, held for reservation {reservation} by the claims")), "{told}");
    assert!(told.contains("3 seats differ from the claims"), "{told}");

    let (code, told) = outcome(bench.replaying(fixtures::id(), &[]));
    assert_eq!(code, Some(4), "{told}");
    drop(instance);
    bench.place(&slots(&[4])).await;
    let (code, told) = bench.replay(&["--wait-seconds", "1"]);
    assert_eq!(code, Some(4), "nobody relays: {told}");
    assert!(told.contains("the feed has not caught up within 1s"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_in_a_file_is_replayed() {
    let folder = Folder::new("encore-replay");
    a_replay_tells_whether_the_feed_is_what_is_claimed(&[("ENCORE_EVENT_FILES", folder.0.display().to_string())]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_in_kafka_is_replayed() {
    let to = |brokers: String| {
        [
            ("ENCORE_KAFKA_BROKERS", brokers),
            ("ENCORE_KAFKA_TOPIC", TOPIC.to_owned()),
            ("ENCORE_KAFKA_SEAT_TOPIC", SEAT_TOPIC.to_owned()),
            ("ENCORE_KAFKA_PARTITIONS", "3".to_owned()),
        ]
    };
    if !KafkaServer::is_possible() {
        eprintln!("without Java and Maven the mock cluster of librdkafka stands for the broker");
        let mock: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).expect("a mock cluster");
        for topic in [TOPIC, SEAT_TOPIC] {
            mock.create_topic(topic, 3, 1).expect("a topic");
        }
        return a_replay_tells_whether_the_feed_is_what_is_claimed(&to(mock.bootstrap_servers())).await;
    }
    let folder = Folder::new("encore-replay-kafka");
    let jars = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka-jars");
    let kafka = KafkaServer::start(&folder.0.join("kafka"), &jars).expect("Kafka starts");
    a_replay_tells_whether_the_feed_is_what_is_claimed(&to(kafka.address())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_not_there_cannot_be_examined() {
    let folder = Folder::new("encore-replay-nothing");
    let to = [("ENCORE_EVENT_FILES", folder.0.display().to_string())];
    let bench = Bench::new(&to).await;
    let (code, told) = bench.replay(&[]);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("there is no file of seats in"), "{told}");
    let no_brokers = ["--kafka-brokers", "127.0.0.1:1"];
    let (code, told) = bench.replay(&no_brokers);
    assert_eq!(code, Some(4), "{told}");
    let mut replay = bench.command();
    replay.args(["events", "replay", "--performance", &bench.sale.id.to_string()]).env_remove("ENCORE_DATABASE_URL");
    assert_eq!(replay.output().expect("the binary runs").status.code(), Some(1), "without a database");
}
