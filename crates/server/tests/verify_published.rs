//! `encore verify` finds an event that was acknowledged and is not in the files any more.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use encore_credentials::Keyring;
use encore_domain::wallet::Transfer;
use encore_events::{FileLimits, FilePublisher, Relay, RelayParts};
use encore_port_tests::fixtures;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_server::ports::Ports;
use encore_tests::world::variable;
use tokio_util::sync::CancellationToken;

const KEYS: &str = "test:a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=";
const EVENTS: usize = 5;

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Publishes some events to files.
async fn publish(database: &ScratchDatabase, folder: &Path) {
    let ports = Ports::embedded(Keyring::parse(KEYS).expect("keys"));
    let ports = ports.on_postgres(&database.config()).await.expect("Postgres is available");
    let account = fixtures::account();
    let fan = account.user.id;
    ports.users.add_all(vec![account]).await.expect("a fan");
    // Now, since what is published and older than the retention is deleted.
    let top_up = || Transfer { at: ports.clock.now(), ..fixtures::top_up(fan, fixtures::euros(1)) };
    for _ in 0..EVENTS {
        ports.wallets.top_up(top_up(), fixtures::request(fan)).await.expect("a top-up");
    }
    let limits = FileLimits { file_bytes_max: 1_000_000, files_max: 2 };
    let relay = Relay::new(RelayParts {
        outbox: ports.outbox.clone(),
        cursor: ports.relay_cursor.clone(),
        publisher: Arc::new(FilePublisher::new(folder.to_owned(), limits)),
        catalog: ports.catalog.clone(),
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    });
    relay.step(&CancellationToken::new()).await.expect("the folder can be written");
    // What comes after the relay's step is not acknowledged.
    ports.wallets.top_up(top_up(), fixtures::request(fan)).await.expect("a top-up");
    ports.outbox.close_window().await.expect("Postgres is available");
}

fn verify(database: &ScratchDatabase, flags: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_encore"));
    command.env_remove("ENCORE_REDIS_URL").env("ENCORE_LOG", "error").env("ENCORE_DATABASE_URL", database.url());
    let Output { status, stdout, stderr } = command.arg("verify").args(flags).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_gone_from_the_files_is_found() {
    let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
    let folder = Folder(std::env::temp_dir().join(format!("encore-verify-published-{}", std::process::id())));
    publish(&database, &folder.0).await;
    let path = folder.0.display().to_string();
    let in_files = ["--event-files", path.as_str()];
    let (code, table, _) = verify(&database, &in_files);
    let line = |missing| format!("event_not_published  {missing:>8}  {EVENTS} events that were published");
    assert_eq!(code, Some(0), "{table}");
    assert!(table.lines().any(|found| found == line(0)), "{table}");
    let (code, table, _) = verify(&database, &["--event-files", "off"]);
    assert_eq!((code, table.contains("event_not_published")), (Some(0), false), "{table}");

    let file = folder.0.join("events.jsonl");
    let text = fs::read_to_string(&file).expect("the file");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), EVENTS);
    let gone: serde_json::Value = serde_json::from_str(lines[2]).expect("JSON");
    let id = gone["id"].as_str().expect("an id");
    let rest: String = lines.iter().filter(|line| **line != lines[2]).flat_map(|line| [*line, "\n"]).collect();
    fs::write(&file, rest).expect("the file is written");
    let (code, table, stderr) = verify(&database, &in_files);
    assert_eq!(code, Some(3), "{table}");
    assert!(table.lines().any(|found| found == line(1)), "{table}");
    assert!(table.contains(&format!("\n  event {id} of key ")), "{table}");
    assert_eq!(stderr, "encore: promises are broken: event_not_published\n");
    let (code, json, _) = verify(&database, &[in_files.as_slice(), &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).expect("one JSON object");
    assert_eq!((code, &report["clean"]), (Some(3), &false.into()), "{json}");
    assert_eq!((&report["published"]["missing"], &report["published"]["compared"]), (&1.into(), &EVENTS.into()));

    let (code, table, stderr) = verify(&database, &["--event-files", "/nowhere"]);
    assert_eq!(code, Some(4), "{table}");
    assert!(stderr.contains("there are no files of events in that folder"), "{stderr}");
}
