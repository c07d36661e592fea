//! What a process of the binary tells of itself: its health, and its metrics, scraped while fans book.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};

use encore_proto::catalog::v1::ListConcertsRequest;
use encore_proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use encore_proto::identity::v1::LogInRequest;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_server::metrics::{Kind, METRICS};
use encore_tests::world::until;
use serde_json::Value;
use tonic::Code;
use tonic::transport::Endpoint;

/// A server on embedded stores, which is killed when dropped.
struct Server {
    process: Child,
    api: SocketAddr,
    metrics: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_encore"))
            .args(["--log-format", "json", "serve", "--listen", "127.0.0.1:0"])
            .args(["--metrics-listen", "127.0.0.1:0", "--audit-seconds", "1"])
            .env_remove("ENCORE_DATABASE_URL")
            .env_remove("ENCORE_REDIS_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let mut address_of = |message: &str| {
            loop {
                let line = lines.next().expect("the server logs its addresses").expect("text");
                let line: Value = serde_json::from_str(&line).expect("JSON");
                if line["message"] == message {
                    return line["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
                }
            }
        };
        let (metrics, api) = (address_of("serving metrics"), address_of("listening"));
        // Otherwise the pipe fills up, and the server blocks while it logs.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, api, metrics }
    }

    /// The page that Prometheus reads.
    fn scrape(&self) -> String {
        let mut connection = TcpStream::connect(self.metrics).expect("metrics are served");
        let request = b"GET /metrics HTTP/1.1\r\nhost: encore\r\nconnection: close\r\n\r\n";
        connection.write_all(request).expect("the server reads");
        let mut page = String::new();
        connection.read_to_string(&mut page).expect("the server answers and closes");
        page
    }
}

/// The value of the first series whose line begins so.
fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find(|line| line.starts_with(series))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_sales_and_promises_are_scraped() {
    let server = Server::start();
    let channel = Endpoint::from_shared(format!("http://{}", server.api)).expect("a URL").connect_lazy();
    CatalogServiceClient::new(channel.clone()).list_concerts(ListConcertsRequest::default()).await.expect("concerts");
    let wrong = LogInRequest {
        email: "nobody@encore.test".into(),
        password: "not a password".into(),
        ..LogInRequest::default()
    };
    let refused = IdentityServiceClient::new(channel).log_in(wrong).await.expect_err("nobody has signed up");
    assert_eq!(refused.code(), Code::Unauthenticated);

    until("the sales and the promises to be read", || async {
        let page = server.scrape();
        value(&page, "encore_sales_open").is_some_and(|open| open > 0.0)
            && value(&page, "encore_audit_complete") == Some(1.0)
    })
    .await;
    let page = server.scrape();
    let calls = |method: &str, code: &str| {
        page.lines()
            .filter(|line| line.starts_with("rpc_server_call_duration_seconds_count"))
            .find(|line| line.contains(method) && line.contains(&format!("\"{code}\"")))
            .and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    assert_eq!(calls("encore.catalog.v1.CatalogService/ListConcerts", "OK"), Some(1), "{page}");
    assert_eq!(calls("encore.identity.v1.IdentityService/LogIn", "UNAUTHENTICATED"), Some(1), "{page}");
    assert_eq!(value(&page, "encore_sales_unread"), Some(0.0));
    assert!(page.contains("state=\"free\""), "{page}");
    let findings: Vec<&str> = page.lines().filter(|line| line.starts_with("encore_promise_findings{")).collect();
    assert!(!findings.is_empty() && findings.iter().all(|line| line.ends_with(" 0")), "{findings:?}");
    let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let told = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let unknown: Vec<&str> = told.filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "not in the catalog of metrics: {unknown:?}");
}

/// Runs the binary to its end. Returns what it printed.
fn run(args: &[&str]) -> (ExitStatus, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_encore"));
    let output = command.args(args).env_remove("ENCORE_LISTEN").output().expect("the binary runs");
    (output.status, String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn health_is_told_by_the_exit_code() {
    let server = Server::start();
    let listen = format!("--listen={}", server.api);
    let ask = |more: &[&str]| run(&[&["health", listen.as_str()], more].concat());
    for service in [&[][..], &["--service=liveness"], &["--service=encore.booking.v1.BookingService"]] {
        let (status, printed) = ask(service);
        assert_eq!((status.code(), printed.as_str()), (Some(0), "SERVING\n"), "{service:?}");
    }
    assert_eq!(ask(&["--service=encore.no.such.Service"]).0.code(), Some(1));
    drop(server);
    assert_eq!(ask(&[]).0.code(), Some(1), "nobody listens");
}

#[test]
fn every_metric_is_documented() {
    let manual = include_str!("../../../docs/operating.md");
    for metric in METRICS {
        assert!(manual.contains(&format!("`{}`", metric.name)), "docs/operating.md lacks {}", metric.name);
        assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
    }
}

/// The words that look like names of metrics.
fn names_in(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| ["encore_", "rpc_server_", "db_client_"].iter().any(|prefix| word.starts_with(prefix)))
}

#[test]
fn alarms_and_dashboard_read_metrics_that_exist() {
    let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let exists = |name: &str| {
        let histogram = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
        known.contains(name) || histogram.is_some_and(|name| known.contains(name))
    };
    let dashboard = include_str!("../../../deploy/grafana/dashboards/encore.json");
    for (file, text) in
        [("alerts.yml", include_str!("../../../deploy/prometheus/alerts.yml")), ("encore.json", dashboard)]
    {
        let unknown: BTreeSet<&str> = names_in(text).filter(|name| !exists(name)).collect();
        assert!(unknown.is_empty(), "{file} names what is no metric: {unknown:?}");
    }
    let missing: Vec<&str> = known.into_iter().filter(|name| !dashboard.contains(name)).collect();
    assert_eq!(missing, [""; 0], "the dashboard does not show every metric");
}
