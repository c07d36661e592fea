//! No client can fill the log: what it sends wrongly is not logged, and a callsite writes a few lines a second.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use encore_server::telemetry::{LogFormat, init_with};
use encore_tests::world::World;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::{info, warn};

#[derive(Clone, Default)]
struct LogLines(Arc<Mutex<Vec<u8>>>);

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl LogLines {
    fn read(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    fn count(&self, message: &str) -> u64 {
        self.read().iter().filter(|line| line["message"] == message).count() as u64
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_fill_the_log() {
    let lines = LogLines::default();
    let writer = lines.clone();
    init_with("info", LogFormat::Json, false, move || writer.clone()).expect("a filter");

    let world = World::embedded().await;
    // A log-in whose message ends before its first field does.
    let malformed = b"POST /encore.identity.v1.IdentityService/LogIn HTTP/1.1\r\nhost: encore\r\n\
        content-type: application/grpc-web+proto\r\ncontent-length: 7\r\nconnection: close\r\n\r\n\
        \0\0\0\0\x02\x0A\x7F";
    for _ in 0..50 {
        let mut connection = world.instances[0].connect();
        connection.write_all(malformed).await.expect("the server reads");
        let mut response = Vec::new();
        connection.read_to_end(&mut response).await.expect("the server answers and closes");
        assert!(String::from_utf8_lossy(&response).contains("grpc-status: 3"), "an invalid argument");
    }
    let logged = lines.read();
    assert!(!logged.iter().any(|line| line["level"] == "WARN" || line["level"] == "ERROR"), "{logged:?}");

    let fail = || warn!("store unavailable");
    for _ in 0..1_000 {
        fail();
    }
    info!("another callsite");
    sleep(Duration::from_millis(1_100));
    fail();
    let written = lines.count("store unavailable");
    assert!(written <= 100, "{written} lines of 1,001");
    assert_eq!(lines.count("another callsite"), 1);
    let left_out: u64 = lines.read().iter().filter_map(|line| line["left_out"].as_u64()).sum();
    assert_eq!(written + left_out, 1_001);
}
