//! Three processes of the binary relay events to files, and are killed with SIGKILL one after the other while wallets are topped up.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use encore_credentials::Keyring;
use encore_domain::event::Event;
use encore_domain::event::message::EventMessage;
use encore_domain::ids::UserId;
use encore_event_format::from_json_line;
use encore_events::event_files;
use encore_port_tests::fixtures;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_server::ports::Ports;
use encore_tests::world::{until, variable};
use futures::future::join_all;
use tokio::time::sleep;

const FANS: usize = 6;
const INSTANCES: usize = 3;
const KILLS: usize = 9;
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

fn start_instance(database: &ScratchDatabase, folder: &Path) -> Process {
    let database_url = database.url();
    let child = Command::new(env!("CARGO_BIN_EXE_encore"))
        .args(["serve", "--log", "error", "--listen", "127.0.0.1:0", "--event-files"])
        .arg(folder)
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
    ports.users.create(account, None).await.expect("a user");
    user
}

/// Tops up a wallet again and again, and returns the ids of the events in the order of their commits.
async fn top_up_until(stop: Arc<AtomicBool>, ports: Ports, fan: UserId) -> Vec<String> {
    let mut ids = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let top_up = fixtures::top_up(fan, fixtures::euros(1));
        let entry = ports.wallets.top_up(top_up, fixtures::request(fan)).await.expect("a top-up").into_inner();
        ids.push(Event::WalletToppedUp { user: fan, entry }.id());
    }
    ids
}

/// All events in the files, in order. Each line must be one.
fn published(folder: &Path) -> Vec<EventMessage> {
    let files = event_files(folder).expect("the folder can be read");
    let text: String = files.iter().map(|path| fs::read_to_string(path).expect("a file")).collect();
    text.lines().map(|line| from_json_line(line).expect("an event")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_when_relays_are_killed() {
    let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
    let name = database.url().rsplit('/').next().expect("a database name").to_owned();
    let folder = Folder(std::env::temp_dir().join(format!("encore-events-of-{name}")));
    let keyring = Keyring::parse(KEYS).expect("keys");
    let ports = Ports::embedded(keyring);
    let ports = ports.on_postgres(&database.config()).await.expect("Postgres is available");
    let mut instances: Vec<Process> = (0..INSTANCES).map(|_| start_instance(&database, &folder.0)).collect();

    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for _ in 0..FANS {
        let fan = sign_up(&ports).await;
        writers.push((fan, tokio::spawn(top_up_until(Arc::clone(&stop), ports.clone(), fan))));
    }
    until("the first events to be published", || async { folder.0.exists() && !published(&folder.0).is_empty() }).await;
    for kill in 0..KILLS {
        // At another moment of the relay's rhythm each time; which instance relays is not known.
        sleep(Duration::from_millis(137 * (kill as u64 % 5) + 60)).await;
        instances[kill % INSTANCES] = start_instance(&database, &folder.0);
    }
    stop.store(true, Ordering::SeqCst);
    let (fans, tasks): (Vec<UserId>, Vec<_>) = writers.into_iter().unzip();
    let expected: Vec<Vec<String>> =
        join_all(tasks).await.into_iter().map(|ids| ids.expect("a writer that did not panic")).collect();
    until("the backlog to be published", || async {
        let cursor = ports.relay_cursor.position().await.expect("the store answers").cursor;
        ports.outbox.backlog(cursor).await.expect("the store answers").events == 0
    })
    .await;

    let mut first: HashMap<UserId, Vec<String>> = HashMap::new();
    let mut seen = HashSet::new();
    for event in published(&folder.0) {
        if seen.insert(event.id.clone()) {
            first.entry(UserId(event.key)).or_default().push(event.id);
        }
    }
    for (fan, ids) in fans.iter().zip(expected) {
        assert!(!ids.is_empty());
        assert_eq!(first.remove(fan), Some(ids), "each event once, in the order of the commits");
    }
    assert!(first.is_empty(), "{first:?}");
}
