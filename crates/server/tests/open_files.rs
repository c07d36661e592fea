//! A server that may have few files open, and more silent sockets than that.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use encore_proto::catalog::v1::ListConcertsRequest;
use encore_proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use encore_tests::world::until;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// The files that the server may have open, and the sockets that say nothing.
const FILES: &str = "128";
const SOCKETS: usize = 178;

/// A child process that is killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(address: SocketAddr) -> Process {
    let limited = format!("ulimit -n {FILES} && exec \"$0\" \"$@\"");
    let child = Command::new("sh")
        .args(["-c", &limited, env!("CARGO_BIN_EXE_encore"), "serve", "--log", "error"])
        .env("ENCORE_LISTEN", address.to_string())
        .env_remove("ENCORE_DATABASE_URL")
        .env_remove("ENCORE_REDIS_URL")
        .stdout(Stdio::null())
        .spawn();
    Process(child.expect("the binary"))
}

async fn connect(address: SocketAddr) -> Option<Channel> {
    Endpoint::from_shared(format!("http://{address}")).expect("a URI").connect().await.ok()
}

async fn health(address: SocketAddr) -> bool {
    let Some(channel) = connect(address).await else { return false };
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.is_ok()
}

async fn list(address: SocketAddr) -> bool {
    let Some(channel) = connect(address).await else { return false };
    CatalogServiceClient::new(channel).list_concerts(ListConcertsRequest::default()).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_sockets_beyond_the_open_files_leave_room_for_health_and_are_closed() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let _server = start(address);
    until("the server is there", || health(address)).await;
    let silent: Vec<TcpStream> =
        (0..SOCKETS).map(|_| TcpStream::connect(address).expect("the server listens")).collect();
    assert!(health(address).await, "health is answered");
    assert!(!list(address).await, "there is room for nothing else");
    // The silent sockets are still open on this side.
    until("the silent sockets are closed", || list(address)).await;
    drop(silent);
}
