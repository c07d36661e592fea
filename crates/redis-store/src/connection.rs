use std::sync::Arc;

use encore_domain::error::Unavailable;
use redis::aio::ConnectionLike;
use redis::{
    Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture, ScriptInvocation,
    ServerErrorKind, Value,
};

use crate::cluster::Cluster;
use crate::keys::Keys;
use crate::server_pool::ServerPool;
use crate::servers::RedisServers;

/// Connections to a Redis server, or to each node of a Redis Cluster, and the prefix of all keys. Clones share them.
///
/// A command that finds its connection broken fails, and the commands after it use a new connection. No command is sent
/// twice. While the server is unavailable, every command fails as soon as an attempt to connect has failed. In a cluster,
/// only the commands for the slots of the unavailable node fail.
#[derive(Clone)]
pub struct Redis {
    connection: Connection,
    /// The servers of the URLs. Subscriptions open connections of their own to one of them.
    pub(crate) servers: Arc<[Client]>,
    pub(crate) keys: Keys,
}

#[derive(Clone)]
enum Connection {
    Server(ServerPool),
    Cluster(Cluster),
}

impl Redis {
    /// Connects to the server at a URL, with the root certificates of the system for TLS. Several URLs, separated by commas, are
    /// nodes of a Redis Cluster.
    pub async fn connect(urls: &str, key_prefix: &str) -> Result<Self, Unavailable> {
        let servers = RedisServers::parse(urls, None).map_err(|error| Unavailable::new("redis", error))?;
        Self::open(&servers, key_prefix).await
    }

    /// Connects to a server, or to several as nodes of a Redis Cluster.
    ///
    /// The prefix, such as `encore:`, is put before every key. It must not contain braces, because Redis Cluster would
    /// parse them as the hash tag.
    pub async fn open(servers: &RedisServers, key_prefix: &str) -> Result<Self, Unavailable> {
        let servers = Arc::clone(&servers.0);
        let addresses: Vec<ConnectionInfo> =
            servers.iter().map(|server| server.get_connection_info().clone()).collect();
        let connection = match addresses.as_slice() {
            [server] => ServerPool::connect(server.clone()).await.map(Connection::Server),
            nodes => Cluster::connect(nodes).await.map(Connection::Cluster),
        };
        Ok(Self { connection: connection.map_err(unavailable)?, servers, keys: Keys::new(key_prefix) })
    }

    /// Runs a script by its hash. If the server does not have the script, it is loaded and run. Since the server may lose
    /// it again between the two (`SCRIPT FLUSH`, failover), this is done once more.
    pub(crate) async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Unavailable> {
        let mut connection = self.connection.clone();
        let mut reply = script.invoke_async(&mut connection).await;
        if reply.as_ref().is_err_and(|error: &RedisError| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
        {
            reply = script.invoke_async(&mut connection).await;
        }
        reply.map_err(unavailable)
    }

    /// Sends one command.
    pub(crate) async fn send<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Unavailable> {
        command.query_async(&mut self.connection.clone()).await.map_err(unavailable)
    }

    /// Sends a command without a key: to the server, or to all nodes of a cluster, of which the first reply counts.
    pub(crate) async fn send_to_any<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Unavailable> {
        match &self.connection {
            Connection::Server(server) => command.query_async(&mut server.clone()).await,
            Connection::Cluster(cluster) => cluster.send_to_any(command).await,
        }
        .map_err(unavailable)
    }

    /// Sends the commands of a pipeline together. If the pipeline is atomic, all of them take effect or none does.
    pub(crate) async fn send_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Unavailable> {
        commands.query_async(&mut self.connection.clone()).await.map_err(unavailable)
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(server) => server.req_packed_command(command),
            Self::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(server) => server.req_packed_commands(commands, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        0
    }
}

pub(crate) fn unavailable(error: RedisError) -> Unavailable {
    Unavailable::new("redis", error)
}
