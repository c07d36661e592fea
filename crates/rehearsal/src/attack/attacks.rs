//! The attacks: one per file, and one line each in this table.

mod early_joins;
mod endless_bodies;
mod guesses;
mod heads;
mod idle_frames;
mod silent_sockets;
mod top_ups;
mod unread_replies;

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// How many fans attacks have.
pub(super) const FANS: u64 = 100;

/// An attack.
pub(super) struct Attack {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) what: &'static str,
    /// By how much the server's memory may grow.
    pub(super) memory_max_mib: u64,
    /// Attacks until the token is cancelled. Returns what the attacker saw.
    pub(super) run: fn(Target, CancellationToken) -> BoxFuture<'static, String>,
}

/// What is attacked.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The address and the port of the server.
    pub(super) address: String,
    /// A performance that is on sale.
    pub(super) performance: String,
    /// A performance with a queue, whose sale opens later.
    pub(super) shut_performance: String,
    /// The access tokens of [`FANS`] fans.
    pub(super) access_tokens: Arc<[String]>,
}

/// All attacks.
pub(super) const ATTACKS: [Attack; 8] = [
    Attack {
        name: "silent-sockets",
        what: "2,000 sockets that send nothing, half a preface, or half a head; those that are closed are opened again",
        memory_max_mib: 64,
        run: |target, stop| Box::pin(silent_sockets::run(target, stop)),
    },
    Attack {
        name: "unread-replies",
        what: "4 connections without a token, each with 5,000 calls of GetSeatChart, none of whose replies is read",
        memory_max_mib: 128,
        run: |target, stop| Box::pin(unread_replies::run(target, stop)),
    },
    Attack {
        name: "heads",
        what: "5 connections, each with 20,000 calls whose heads have 7 KiB in a few bytes, and whose bodies do not end",
        memory_max_mib: 256,
        run: |target, stop| Box::pin(heads::run(target, stop)),
    },
    Attack {
        name: "endless-bodies",
        what: "3,000 bodies of 60 KB on 30 connections that do not end",
        memory_max_mib: 320,
        run: |target, stop| Box::pin(endless_bodies::run(target, stop)),
    },
    Attack {
        name: "idle-frames",
        what: "4 connections that send pings, priorities and window updates as fast as they are read",
        memory_max_mib: 64,
        run: |target, stop| Box::pin(idle_frames::run(target, stop)),
    },
    Attack {
        name: "guesses",
        what: "one connection with 120 wrong log-ins under way, and an honest fan who logs in from elsewhere",
        memory_max_mib: 128,
        run: |target, stop| Box::pin(guesses::run(target, stop)),
    },
    Attack {
        name: "top-ups",
        what: "one fan with 400 top-ups under way",
        memory_max_mib: 64,
        run: |target, stop| Box::pin(top_ups::run(target, stop)),
    },
    Attack {
        name: "early-joins",
        what: "100 fans who join a queue whose sale opens later, as fast as they are answered",
        memory_max_mib: 64,
        run: |target, stop| Box::pin(early_joins::run(target, stop)),
    },
];

/// Sends bytes, and reads whatever the server sends, until the connection ends. Returns whether it ended before all was sent.
async fn send_all(connection: TcpStream, bytes: &[u8], stop: &CancellationToken) -> bool {
    let (mut reading, mut writing) = connection.into_split();
    let mut ignored = vec![0; 64 * 1024];
    let sending = async {
        let is_cut = writing.write_all(bytes).await.is_err();
        if is_cut {
            return true;
        }
        stop.cancelled().await;
        false
    };
    let draining = async { while reading.read(&mut ignored).await.is_ok_and(|read| read > 0) {} };
    tokio::select! {
        is_cut = sending => is_cut,
        () = draining => true,
        () = stop.cancelled() => false,
    }
}

/// Does the same on so many connections, again whenever one ends, and a moment later. Returns how many the server ended.
async fn on_connections(count: usize, target: &Target, bytes: Vec<u8>, stop: &CancellationToken) -> u64 {
    let bytes: Arc<[u8]> = bytes.into();
    let again = |_| {
        let (address, bytes, stop) = (target.address.clone(), Arc::clone(&bytes), stop.clone());
        async move {
            let mut ended = 0;
            while !stop.is_cancelled() {
                if let Ok(connection) = super::wire::connect(&address).await {
                    ended += u64::from(send_all(connection, &bytes, &stop).await);
                }
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
            ended
        }
    };
    futures::future::join_all((0..count).map(again)).await.iter().sum()
}

/// How long an attacker waits before it connects again: the load is bounded.
const RECONNECT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
