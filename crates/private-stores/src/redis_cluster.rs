use std::error::Error;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, free_port};
use crate::redis::{self, TlsFiles};

/// The variable with the URLs of a Redis Cluster's nodes, comma-separated.
pub const URL_VARIABLE: &str = "ENCORE_REDIS_CLUSTER_URL";

/// The first and last slot of each node.
const SLOTS: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];
/// How long the nodes may take to find each other. They serve nothing in their first two seconds.
const MEETING_PATIENCE: Duration = Duration::from_mins(1);
const MEETING_POLL: Duration = Duration::from_millis(20);

/// A Redis Cluster of three nodes without replicas on the loopback. It stores nothing on disk. If a node is down, its slots
/// are unavailable and the others are served. All nodes are stopped when this is dropped.
pub struct RedisCluster {
    nodes: Vec<Node>,
}

struct Node {
    /// Its files. The log is beside the folder.
    folder: PathBuf,
    port: u16,
    bus_port: u16,
    /// The encrypted port, if there is one. Then the nodes talk to each other encrypted, too.
    tls: Option<(TlsFiles, u16)>,
    server: Option<Daemon>,
}

impl RedisCluster {
    /// Starts the nodes with their files in this folder, and waits until all of them serve.
    pub fn start(folder: &Path) -> Result<Self, Box<dyn Error>> {
        Self::meet((0..SLOTS.len()).map(|node| Node::start(node_folder(folder, node), None)))
    }

    /// Starts the nodes with encrypted ports beside the others, with this certificate and key, and the root of both, in PEM.
    pub fn start_encrypted(folder: &Path, certificate: &str, key: &str, root: &str) -> Result<Self, Box<dyn Error>> {
        let files = TlsFiles::write(folder, certificate, key, root)?;
        Self::meet((0..SLOTS.len()).map(|node| Node::start(node_folder(folder, node), Some(&files))))
    }

    fn meet(nodes: impl Iterator<Item = Result<Node, Box<dyn Error>>>) -> Result<Self, Box<dyn Error>> {
        let cluster = Self { nodes: nodes.collect::<Result<_, _>>()? };
        for (node, (first, last)) in cluster.nodes.iter().zip(SLOTS) {
            node.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"))?;
            // With equal epochs the nodes would have to resolve the conflict first.
            node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", first + 1))?;
        }
        for (index, node) in cluster.nodes.iter().enumerate() {
            for other in cluster.nodes.iter().skip(index + 1) {
                node.ask(&format!("CLUSTER MEET 127.0.0.1 {} {}", other.announced_port(), other.bus_port))?;
            }
        }
        let deadline = Instant::now() + MEETING_PATIENCE;
        while !cluster.nodes.iter().all(|node| node.knows(cluster.nodes.len())) {
            if Instant::now() > deadline {
                return Err("the nodes of the Redis Cluster did not find each other within a minute".into());
            }
            sleep(MEETING_POLL);
        }
        Ok(cluster)
    }

    /// The URLs of all nodes, comma-separated.
    pub fn urls(&self) -> String {
        self.nodes.iter().map(|node| redis::url(node.port)).collect::<Vec<_>>().join(",")
    }

    /// The URLs of the encrypted ports of all nodes, comma-separated.
    pub fn encrypted_urls(&self) -> String {
        let urls = self.nodes.iter().map(|node| redis::encrypted_url("127.0.0.1", node.announced_port()));
        urls.collect::<Vec<_>>().join(",")
    }

    pub(crate) fn into_servers(self) -> Vec<Daemon> {
        self.nodes.into_iter().filter_map(|node| node.server).collect()
    }

    /// The node that serves a slot.
    pub fn node_of(&self, slot: u16) -> usize {
        SLOTS.iter().take_while(|(_, last)| *last < slot).count()
    }

    /// Stops a node. Its data is lost.
    pub fn stop(&mut self, node: usize) {
        self.nodes[node].server = None;
    }

    /// Suspends a node: it accepts connections and answers nothing.
    pub fn pause(&self, node: usize) {
        self.nodes[node].signal("STOP");
    }

    /// Resumes a suspended node.
    pub fn resume(&self, node: usize) {
        self.nodes[node].signal("CONT");
    }

    /// Starts a node that was stopped. It serves after some seconds.
    pub fn start_again(&mut self, node: usize) -> Result<(), Box<dyn Error>> {
        self.nodes[node].serve()
    }
}

fn node_folder(folder: &Path, node: usize) -> PathBuf {
    folder.join(format!("redis-{node}"))
}

impl Node {
    fn start(folder: PathBuf, tls: Option<&TlsFiles>) -> Result<Self, Box<dyn Error>> {
        let tls = tls.map(|files| Ok::<_, std::io::Error>((files.clone(), free_port()?))).transpose()?;
        let mut node = Self { folder, port: free_port()?, bus_port: free_port()?, tls, server: None };
        node.serve()?;
        Ok(node)
    }

    fn serve(&mut self) -> Result<(), Box<dyn Error>> {
        let mut server = redis::server(self.port, &self.folder)?;
        server.args(["--appendonly", "no", "--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]);
        server.args(["--cluster-port", &self.bus_port.to_string()]);
        if let Some((files, port)) = &self.tls {
            files.serve(&mut server, *port);
            server.args(["--tls-cluster", "yes"]);
        }
        let log = self.folder.with_extension("log");
        self.server = Some(Daemon::start("redis", &mut server, &log, |_| redis::answers(self.port))?);
        Ok(())
    }

    /// The port that clients and nodes are told of.
    fn announced_port(&self) -> u16 {
        self.tls.as_ref().map_or(self.port, |(_, port)| *port)
    }

    fn signal(&self, signal: &str) {
        if let Some(server) = &self.server {
            server.signal(signal);
        }
    }

    fn ask(&self, command: &str) -> std::io::Result<String> {
        redis::ask(self.port, command)
    }

    /// Whether it serves and knows this many nodes and all slots.
    fn knows(&self, nodes: usize) -> bool {
        let info = self.ask("CLUSTER INFO").unwrap_or_default();
        let wanted = ["cluster_state:ok", "cluster_slots_assigned:16384", &format!("cluster_known_nodes:{nodes}")];
        wanted.iter().all(|wanted| info.lines().any(|line| line == *wanted))
    }
}
