//! A TCP proxy with a fixed address and a changeable target, like the address of a Redis whose replica takes over.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A loopback port that forwards to another port.
#[derive(Debug)]
pub struct Route {
    address: SocketAddr,
    target: watch::Sender<u16>,
    _serving: JoinSet<()>,
}

impl Route {
    /// Forwards to this port.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let target = watch::Sender::new(port);
        let targets = target.subscribe();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(forward(client, targets.clone()));
            }
        });
        Self { address, target, _serving: serving }
    }

    /// The URL of a Redis behind the proxy.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Forwards to another port from now on. All open connections are closed.
    pub fn turn_to(&self, port: u16) {
        self.target.send_replace(port);
    }
}

async fn forward(mut client: TcpStream, mut targets: watch::Receiver<u16>) {
    let port = *targets.borrow_and_update();
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    tokio::select! {
        // An error ends the connection and is otherwise ignored.
        _ended = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _turned = targets.changed() => {}
    }
}
