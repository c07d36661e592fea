//! The binary's `encore serve` on a Redis that may evict keys.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use encore_postgres_store::scratch::ScratchDatabase;
use encore_private_stores::RedisServer;
use encore_tests::world::{until, variable};

const KEYS: &str = "test:a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=";

/// A child process that is killed when dropped.
struct Process(Mutex<Child>);

impl Process {
    fn with<T>(&self, act: impl FnOnce(&mut Child) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.with(|child| {
            let _ = child.kill();
            let _ = child.wait();
        });
    }
}

#[tokio::test]
async fn serve_exits_with_1_if_redis_may_evict_keys() {
    let redis = RedisServer::start(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("drops")).expect("Redis starts");
    redis.ask("CONFIG SET maxmemory-policy volatile-lru").expect("set");
    let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
    let mut serve = Command::new(env!("CARGO_BIN_EXE_encore"));
    serve.arg("serve").env("ENCORE_LISTEN", "127.0.0.1:0").env("ENCORE_TOKEN_KEYS", KEYS);
    serve.env("ENCORE_DATABASE_URL", database.url()).env("ENCORE_REDIS_URL", redis.url());
    let serving = serve.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let serving = Process(Mutex::new(serving));
    until("the refusal", || async { serving.with(|it| it.try_wait().expect("a process").is_some()) }).await;
    let mut said = String::new();
    serving.with(|it| it.stderr.take().expect("piped").read_to_string(&mut said)).expect("text");
    assert_eq!(serving.with(Child::wait).expect("it ended").code(), Some(1), "{said}");
    assert!(said.contains("noeviction, not volatile-lru"), "{said}");
}
