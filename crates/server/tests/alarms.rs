//! Operators are told of an alarm once, by whichever of two processes of the binary, and the URL of their webhook is not logged.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_credentials::Keyring;
use encore_domain::catalog::{OnSaleWindow, Performance};
use encore_domain::ids::PerformanceId;
use encore_port_tests::fixtures::{self, euros, hold_at, payment, request, top_up};
use encore_postgres_store::scratch::ScratchDatabase;
use encore_server::ports::Ports;
use encore_tests::ledger::damage;
use encore_tests::world::{until, variable};

const KEYS: &str = "test:a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=";

/// A server whose log is read when it has ended. It is killed when dropped.
struct Server {
    process: Child,
    metrics: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port")
}

impl Server {
    fn start(database: &ScratchDatabase, webhook: &str) -> Self {
        let (url, metrics) = (database.url(), free_address());
        let process = Command::new(env!("CARGO_BIN_EXE_encore"))
            .args(["--log", "info", "--log-format", "json", "serve"])
            .env("ENCORE_LISTEN", free_address().to_string())
            .env("ENCORE_METRICS_LISTEN", metrics.to_string())
            .env("ENCORE_AUDIT_SECONDS", "1")
            .env("ENCORE_DATABASE_URL", &url)
            .env("ENCORE_DATABASE_POOL", "4")
            .env("ENCORE_REDIS_URL", variable("ENCORE_REDIS_URL"))
            .env("ENCORE_REDIS_PREFIX", url.rsplit('/').next().expect("a database name"))
            .env("ENCORE_TOKEN_KEYS", KEYS)
            .env("ENCORE_ALARM_WEBHOOK", webhook)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        Self { process, metrics }
    }

    /// How many alarms had this outcome.
    fn alarms(&self, outcome: &str) -> u64 {
        let Ok(mut connection) = TcpStream::connect(self.metrics) else { return 0 };
        let request = b"GET /metrics HTTP/1.1\r\nhost: encore\r\nconnection: close\r\n\r\n";
        connection.write_all(request).expect("the server reads");
        let mut page = String::new();
        connection.read_to_string(&mut page).expect("the server answers and closes");
        let series = format!("encore_alarms_total{{outcome=\"{outcome}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or_default()
    }

    /// Kills it. Returns what it logged.
    fn log(mut self) -> String {
        let _ = self.process.kill();
        let mut log = String::new();
        self.process.stderr.take().expect("it is piped").read_to_string(&mut log).expect("text");
        log
    }
}

/// Takes requests on a port of its own, and keeps them.
fn receiver() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (address, taken) = (listener.local_addr().expect("an address"), Arc::new(Mutex::new(Vec::new())));
    let requests: Arc<Mutex<Vec<String>>> = Arc::clone(&taken);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, mut text, mut block) = (connection.expect("a connection"), String::new(), [0; 4096]);
            // The body is one JSON object.
            while !text.ends_with("\"}") {
                let count = connection.read(&mut block).expect("a request");
                assert!(count > 0, "a whole request");
                text.push_str(&String::from_utf8_lossy(&block[..count]));
            }
            requests.lock().expect("not poisoned").push(text);
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("the server reads");
        }
    });
    (address, taken)
}

/// A seat that is paid for and has no claim.
async fn broken_sale(database: &ScratchDatabase) -> PerformanceId {
    let ports = Ports::embedded(Keyring::parse(KEYS).expect("keys"));
    let ports = ports.on_postgres(&database.config()).await.expect("Postgres is available");
    let (venue, concert, now) = (fixtures::venue(fixtures::small_chart()), fixtures::concert(), ports.clock.now());
    let window = OnSaleWindow { opens_at: now, closes_at: now + Duration::from_hours(1) };
    let sale = Performance { on_sale: window, ..fixtures::performance(concert.id, venue.id) };
    ports.catalog.add_venue(venue, None).await.expect("a venue");
    ports.catalog.add_concert(concert, None).await.expect("a concert");
    ports.catalog.add_performance(sale.clone(), None, None).await.expect("a performance");
    let account = fixtures::account();
    let fan = account.user.id;
    ports.users.add_all(vec![account]).await.expect("a fan");
    let hold = hold_at(fan, &sale, &[0], now);
    ports.reservations.place(hold.clone(), 8, None, request(fan)).await.expect("placed");
    ports.wallets.top_up(top_up(fan, euros(12_000)), request(fan)).await.expect("topped up");
    ports.payments.pay_from_wallet(payment(&hold, now), request(fan)).await.expect("paid");
    damage(database, "DELETE FROM claims").await;
    sale.id
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_told_once_of_a_broken_promise() {
    let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
    let performance = broken_sale(&database).await;
    let (address, taken) = receiver();
    let webhook = format!("http://{address}/services/secret-of-operators");
    let servers = [Server::start(&database, &webhook), Server::start(&database, &webhook)];
    until("each process to raise it again", || async {
        servers.iter().all(|server| server.alarms("repeated") > 0) && !taken.lock().expect("not poisoned").is_empty()
    })
    .await;
    let requests = taken.lock().expect("not poisoned").clone();
    let about =
        format!("[critical] promise_broken: promise broken\\npromise=paid_without_seat, performance={performance}\\n");
    let told: Vec<&String> = requests.iter().filter(|request| request.contains(&about)).collect();
    assert_eq!(told.len(), 1, "{requests:#?}");
    assert!(told[0].starts_with("POST /services/secret-of-operators HTTP/1.1\r\n"), "{told:?}");
    assert!(told[0].contains("\r\n\r\n{\"text\":\"[critical]"), "{told:?}");
    for server in servers {
        let log = server.log();
        assert!(log.contains("alarms are sent to a webhook"), "{log}");
        assert!(log.contains("promise broken") && !log.contains("secret-of-operators"), "{log}");
    }
}
