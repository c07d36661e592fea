//! Three processes of the binary relay events to files, or to Kafka, and are killed with SIGKILL one after the other while wallets are
//! topped up. The broker is killed, too. Without Java and Maven the mock cluster of librdkafka stands for it.
#![expect(clippy::expect_used, clippy::print_stderr, reason = "a test fails by panicking")]

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use encore_credentials::Keyring;
use encore_domain::event::message::EventMessage;
use encore_domain::event::{Event, OutboxPlace};
use encore_domain::ids::UserId;
use encore_domain::wallet::Transfer;
use encore_event_format::from_json_line;
use encore_events::{KafkaReader, KafkaServers, event_files};
use encore_port_tests::fixtures;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_private_stores::KafkaServer;
use encore_server::ports::Ports;
use encore_tests::ledger::damage;
use encore_tests::world::{until, variable};
use futures::future::join_all;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use tokio::time::sleep;

const FANS: usize = 6;
const INSTANCES: usize = 3;
const KILLS: usize = 9;
const TOPIC: &str = "encore.events.test";
/// Gives the oldest event an id under which it was not published.
const LOSE: &str = "UPDATE outbox SET event_id = 'lost' WHERE sequence = (SELECT min(sequence) FROM outbox)";
const KEYS: &str = "test:a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=";

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

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start_instance(database: &ScratchDatabase, to: &[(&str, String)]) -> Process {
    let database_url = database.url();
    let child = Command::new(env!("CARGO_BIN_EXE_encore"))
        .args(["serve", "--log", "error", "--listen", "127.0.0.1:0"])
        .envs(to.iter().cloned())
        .env("ENCORE_DATABASE_URL", &database_url)
        .env("ENCORE_DATABASE_POOL", "4")
        .env("ENCORE_REDIS_URL", variable("ENCORE_REDIS_URL"))
        .env("ENCORE_REDIS_PREFIX", database_url.rsplit('/').next().expect("a database name"))
        .env("ENCORE_TOKEN_KEYS", KEYS)
        .stdin(Stdio::null())
        .spawn()
        .expect("the binary starts");
    Process(child)
}

async fn sign_up(ports: &Ports) -> UserId {
    let account = fixtures::account();
    let user = account.user.id;
    ports.users.add_all(vec![account]).await.expect("a user");
    user
}

/// Tops up a wallet again and again, and returns the ids of the events in the order of their commits.
async fn top_up_until(stop: Arc<AtomicBool>, ports: Ports, fan: UserId) -> Vec<String> {
    let mut ids = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        // Now, since what is published and older than the retention is deleted.
        let top_up = Transfer { at: ports.clock.now(), ..fixtures::top_up(fan, fixtures::euros(1)) };
        let entry = ports.wallets.top_up(top_up, fixtures::request(fan)).await.expect("a top-up").into_inner();
        ids.push(Event::WalletToppedUp { user: fan, entry }.id());
    }
    ids
}

/// All events in the files, in order. Each line must be one.
fn in_files(folder: &Path) -> Vec<EventMessage> {
    if !folder.exists() {
        return Vec::new();
    }
    let files = event_files(folder).expect("the folder can be read");
    let text: String = files.iter().map(|path| fs::read_to_string(path).expect("a file")).collect();
    text.lines().map(|line| from_json_line(line).expect("an event")).collect()
}

/// All events of the topic, in the order of each partition. None if it cannot be read now.
fn in_topic(brokers: &str) -> Option<Vec<EventMessage>> {
    let reader = KafkaReader::open(&KafkaServers::plain(brokers), TOPIC, true).ok()?;
    let length = usize::try_from(reader.length()).expect("few");
    let mut events = Vec::new();
    while events.len() < length {
        events.extend(reader.next(Duration::from_millis(100)).ok()?.flatten());
    }
    Some(events)
}

/// Wallets are topped up while instances are killed, and `disturb` is called after each kill. Afterwards `read` must have every event, and
/// those of each wallet in the order of their commits.
async fn nothing_is_lost(
    to: &[(&str, String)],
    mut disturb: impl FnMut(usize),
    read: impl AsyncFn() -> Option<Vec<EventMessage>>,
) {
    let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
    let keyring = Keyring::parse(KEYS).expect("keys");
    let ports = Ports::embedded(keyring);
    let ports = ports.on_postgres(&database.config()).await.expect("Postgres is available");
    let mut instances: Vec<Process> = (0..INSTANCES).map(|_| start_instance(&database, to)).collect();

    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for _ in 0..FANS {
        let fan = sign_up(&ports).await;
        writers.push((fan, tokio::spawn(top_up_until(Arc::clone(&stop), ports.clone(), fan))));
    }
    let cursor = async || ports.relay_cursor.position().await.expect("the store answers").cursor;
    until("the first events to be published", || async { cursor().await > OutboxPlace::default() }).await;
    for kill in 0..KILLS {
        // At another moment of the relay's rhythm each time; which instance relays is not known.
        sleep(Duration::from_millis(137 * (kill as u64 % 5) + 60)).await;
        instances[kill % INSTANCES] = start_instance(&database, to);
        disturb(kill);
    }
    stop.store(true, Ordering::SeqCst);
    let (fans, tasks): (Vec<UserId>, Vec<_>) = writers.into_iter().unzip();
    let expected: Vec<Vec<String>> =
        join_all(tasks).await.into_iter().map(|ids| ids.expect("a writer that did not panic")).collect();
    until("the backlog to be published", || async {
        ports.outbox.backlog(cursor().await).await.expect("the store answers").events == 0
    })
    .await;

    let mut first: HashMap<UserId, Vec<String>> = HashMap::new();
    let mut seen = HashSet::new();
    for event in read().await.expect("what was published can be read") {
        if seen.insert(event.id.clone()) {
            first.entry(UserId(event.key.parse().expect("a UUID"))).or_default().push(event.id);
        }
    }
    for (fan, ids) in fans.iter().zip(expected) {
        assert!(!ids.is_empty());
        assert_eq!(first.remove(fan), Some(ids), "each event once, in the order of the commits");
    }
    assert!(first.is_empty(), "{first:?}");

    // What is acknowledged is there, says the command, too; and it says which event is not.
    let (code, published) = verify(&database, to);
    assert_eq!((code, &published["missing"]), (Some(0), &0.into()), "{published}");
    assert!(published["compared"].as_u64().is_some_and(|compared| compared > 0), "{published}");
    damage(&database, LOSE).await;
    let (code, published) = verify(&database, to);
    assert_eq!((code, &published["missing"]), (Some(3), &1.into()), "{published}");
    assert_eq!(published["findings"][0]["event"], "lost");
}

/// Runs `encore verify`. Returns its exit code, and what it says about what was published.
fn verify(database: &ScratchDatabase, to: &[(&str, String)]) -> (Option<i32>, serde_json::Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_encore"));
    command.args(["verify", "--json"]).envs(to.iter().cloned()).env_remove("ENCORE_REDIS_URL");
    let output = command.env("ENCORE_DATABASE_URL", database.url()).output().expect("the binary runs");
    let report = serde_json::from_slice::<serde_json::Value>(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), report.unwrap_or_else(|error| panic!("{error}: {why}"))["published"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_on_the_way_to_files() {
    let folder = Folder(std::env::temp_dir().join(format!("encore-killed-relays-{}", std::process::id())));
    let to = [("ENCORE_EVENT_FILES", folder.0.display().to_string())];
    nothing_is_lost(&to, |_| {}, async || Some(in_files(&folder.0))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_on_the_way_to_kafka() {
    if !KafkaServer::is_possible() {
        eprintln!("without Java and Maven the mock cluster of librdkafka stands for the broker");
        let mock: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).expect("a mock cluster");
        mock.create_topic(TOPIC, 3, 1).expect("a topic");
        let brokers = mock.bootstrap_servers();
        let disturb = |kill| match kill {
            2 => mock.broker_down(1).expect("a broker"),
            4 => mock.broker_up(1).expect("a broker"),
            _ => {}
        };
        let to = [("ENCORE_KAFKA_BROKERS", brokers.clone()), ("ENCORE_KAFKA_TOPIC", TOPIC.to_owned())];
        return nothing_is_lost(&to, disturb, async || in_topic(&brokers)).await;
    }
    let folder = Folder(std::env::temp_dir().join(format!("encore-killed-broker-{}", std::process::id())));
    let jars = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka-jars");
    let mut kafka = KafkaServer::start(&folder.0.join("kafka"), &jars).expect("Kafka starts");
    let brokers = kafka.address();
    let disturb = |kill| match kill {
        2 => kafka.kill(),
        4 => kafka.start_again().expect("Kafka starts again"),
        _ => {}
    };
    let to = [
        ("ENCORE_KAFKA_BROKERS", brokers.clone()),
        ("ENCORE_KAFKA_TOPIC", TOPIC.to_owned()),
        ("ENCORE_KAFKA_PARTITIONS", "3".to_owned()),
    ];
    nothing_is_lost(&to, disturb, async || in_topic(&brokers)).await;
}
