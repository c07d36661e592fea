//! The behaviour of the adapters while Redis is unavailable, and when it is back.
#![expect(clippy::expect_used, reason = "tests")]

#[expect(dead_code, reason = "other test files use the rest")]
mod support;

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use encore_domain::booking::seat_state::{SeatLock, SeatNews, SeatStatus};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, ReservationId, UserId};
use encore_domain::ports::{QueueStore, SeatChanges, SeatLocks};
use encore_redis_store::{CONNECT_TIMEOUT, Redis, RedisQueueStore, RedisSeatChanges, RedisSeatLocks};
use support::{fresh_prefix, redis_at, server_url};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Longer than any call may take. A call that reaches it hangs.
const HANG: Duration = Duration::from_secs(20);
const PERFORMANCE: PerformanceId = PerformanceId(Uuid::from_u128(1));

/// A TCP proxy to the server. Dropping it closes its port and all connections through it.
struct Proxy {
    address: SocketAddr,
    stalled: watch::Sender<bool>,
    _serving: JoinSet<()>,
}

impl Proxy {
    async fn listen(address: &str) -> Self {
        let server = server_address().await;
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stalled = watch::Sender::new(false);
        let stall = stalled.subscribe();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(forward(client, server, stall.clone()));
            }
        });
        Self { address, stalled, _serving: serving }
    }

    fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Stops forwarding. Connections stay open.
    fn stall(&self) {
        self.stalled.send_replace(true);
    }
}

async fn forward(mut client: TcpStream, server: SocketAddr, mut stall: watch::Receiver<bool>) {
    let mut server = TcpStream::connect(server).await.expect("the server replies");
    {
        let stalled = stall.wait_for(|stalled| *stalled);
        tokio::select! {
            // An error is the end of the connection, too.
            _ended = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
            _stalled = stalled => {}
        }
    }
    std::future::pending::<()>().await;
}

async fn server_address() -> SocketAddr {
    let url = server_url();
    let client = redis::Client::open(url).expect("a redis URL");
    let redis::ConnectionAddr::Tcp(host, port) = client.get_connection_info().addr().clone() else {
        panic!("ENCORE_REDIS_URL is a plain redis:// URL with a host")
    };
    tokio::net::lookup_host((host, port)).await.expect("a known host").next().expect("an address")
}

async fn returns<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, call).await.expect("the call returns")
}

fn assert_redis_is_unavailable<T>(result: Result<T, Unavailable>) {
    assert_eq!(result.err().map(|unavailable| unavailable.what), Some("redis"));
}

#[tokio::test]
async fn connecting_to_a_closed_port_fails() {
    let closed = Proxy::listen("127.0.0.1:0").await;
    let url = closed.url();
    drop(closed);
    assert_redis_is_unavailable(returns(Redis::connect(&url, "encore:")).await);
    assert_redis_is_unavailable(returns(Redis::connect("not a url", "encore:")).await);
}

#[tokio::test]
async fn connecting_to_a_server_that_hangs_times_out() {
    let proxy = Proxy::listen("127.0.0.1:0").await;
    proxy.stall();
    assert_redis_is_unavailable(returns(Redis::connect(&proxy.url(), "encore:")).await);
}

#[tokio::test]
async fn a_server_that_hangs_is_unavailable() {
    let proxy = Proxy::listen("127.0.0.1:0").await;
    let queues = RedisQueueStore::new(redis_at(&proxy.url()).await);
    assert_eq!(returns(queues.snapshot(PERFORMANCE)).await.expect("the server is available"), None);
    proxy.stall();
    assert_redis_is_unavailable(returns(queues.snapshot(PERFORMANCE)).await);
}

#[tokio::test]
async fn a_broken_connection_is_replaced_when_the_server_is_back() {
    let proxy = Proxy::listen("127.0.0.1:0").await;
    let address = proxy.address.to_string();
    let queues = RedisQueueStore::new(redis_at(&proxy.url()).await);
    assert_eq!(returns(queues.snapshot(PERFORMANCE)).await.expect("the server is available"), None);

    drop(proxy);
    for _ in 0..3 {
        assert_redis_is_unavailable(returns(queues.snapshot(PERFORMANCE)).await);
    }

    let _proxy = Proxy::listen(&address).await;
    let back = async {
        // The first call may still receive the error of the attempt before.
        while queues.snapshot(PERFORMANCE).await.is_err() {}
    };
    returns(back).await;
}

#[tokio::test]
async fn a_server_that_refuses_connections_fails_commands_before_the_time_out() {
    const COMMANDS: u32 = 10;
    let proxy = Proxy::listen("127.0.0.1:0").await;
    let queues = RedisQueueStore::new(redis_at(&proxy.url()).await);
    drop(proxy);
    let begun = Instant::now();
    for _ in 0..COMMANDS {
        assert_redis_is_unavailable(returns(queues.snapshot(PERFORMANCE)).await);
    }
    let took = begun.elapsed();
    assert!(took < CONNECT_TIMEOUT * COMMANDS / 2, "{took:?}");
}

#[tokio::test]
async fn a_server_that_closes_all_connections_fails_one_command() {
    let proxy = Proxy::listen("127.0.0.1:0").await;
    let address = proxy.address.to_string();
    let queues = RedisQueueStore::new(redis_at(&proxy.url()).await);
    for _ in 0..10 {
        assert_eq!(returns(queues.snapshot(PERFORMANCE)).await.expect("the server is available"), None);
    }

    drop(proxy);
    assert_redis_is_unavailable(returns(queues.snapshot(PERFORMANCE)).await);
    let _proxy = Proxy::listen(&address).await;
    for _ in 0..10 {
        assert_eq!(returns(queues.snapshot(PERFORMANCE)).await.expect("the server is back"), None);
    }
}

#[tokio::test]
async fn a_subscriber_is_notified_of_a_broken_connection_and_receives_later_changes() {
    let proxy = Proxy::listen("127.0.0.1:0").await;
    let address = proxy.address.to_string();
    let prefix = fresh_prefix().await;
    let through_proxy = Redis::connect(&proxy.url(), &prefix).await.expect("the server replies");
    let changes = RedisSeatChanges::new(through_proxy);
    let seat_locks = RedisSeatLocks::new(Redis::connect(&server_url(), &prefix).await.expect("the server answers"));
    seat_locks.load(PERFORMANCE, &[Some(SeatStatus::Free); 3], &[], 1).await.expect("redis answers");
    let sold = |slot| [SeatLock::sold(Slot(slot), ReservationId(Uuid::nil()), UserId(Uuid::nil()))];
    let mut listener = returns(changes.listen(PERFORMANCE)).await.expect("redis replies");

    drop(proxy);
    seat_locks.mark(PERFORMANCE, &sold(0)).await.expect("redis replies");
    assert_redis_is_unavailable(returns(changes.listen(PERFORMANCE)).await.map(drop));
    let _proxy = Proxy::listen(&address).await;
    assert_eq!(returns(listener.next()).await, SeatNews::Missed);

    seat_locks.mark(PERFORMANCE, &sold(1)).await.expect("redis replies");
    let news = returns(listener.next()).await;
    assert!(matches!(&news, SeatNews::Changed(change) if change.version == 3), "{news:?}");
}

#[tokio::test]
async fn subscribing_on_a_connection_that_hangs_times_out() {
    let proxy = Proxy::listen("127.0.0.1:0").await;
    let changes = RedisSeatChanges::new(redis_at(&proxy.url()).await);
    let _listener = returns(changes.listen(PERFORMANCE)).await.expect("redis replies");
    proxy.stall();
    assert_redis_is_unavailable(returns(changes.listen(PerformanceId(Uuid::from_u128(2)))).await.map(drop));
}
