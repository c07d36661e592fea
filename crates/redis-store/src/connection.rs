use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError, RedisFuture,
    ScriptInvocation, ServerErrorKind, Value,
};

use crate::cluster::Cluster;
use crate::keys::Keys;

/// How long an answer may take. The longest script takes a few milliseconds, so this is a Redis that hangs.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
/// How long it may take to connect; while a connection is being made, commands wait for it.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How many commands may wait to be written to the connection; more wait their turn in their callers.
const COMMANDS_BUFFERED: usize = 1_024;
/// After how long without a sign of life from the peer's kernel the connection is given up, and made anew.
#[cfg(target_os = "linux")]
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// One multiplexed connection to Redis, or to each node of a Redis Cluster, and the prefix of all keys. Clones share it.
///
/// A command that finds the connection broken fails, and a new connection is tried for the commands after it; nothing
/// is sent twice. While Redis is away every command fails as soon as that is known; while a node is away, those of its keys.
#[derive(Clone)]
pub struct Redis {
    connection: Connection,
    /// The servers that were named: what subscribes makes connections of its own to one of them.
    pub(crate) servers: Arc<[Client]>,
    pub(crate) keys: Keys,
}

#[derive(Clone)]
enum Connection {
    Server(ConnectionManager),
    Cluster(Cluster),
}

impl Redis {
    /// Connects to the server at a `redis://` URL or, if several are named, comma-separated, to the Redis Cluster whose nodes
    /// they are. The prefix goes before every key, such as `encore:`, and has no braces, since Redis Cluster would read them
    /// as the hash tag.
    pub async fn connect(urls: &str, key_prefix: &str) -> Result<Self, Unavailable> {
        let addresses: Vec<ConnectionInfo> =
            urls.split(',').map(address).collect::<Result<_, _>>().map_err(unavailable)?;
        let servers =
            addresses.iter().cloned().map(Client::open).collect::<Result<Vec<_>, _>>().map_err(unavailable)?;
        let connection = match servers.as_slice() {
            [server] => {
                ConnectionManager::new_with_config(server.clone(), manager_config()).await.map(Connection::Server)
            }
            _ => Cluster::connect(&addresses).await.map(Connection::Cluster),
        };
        Ok(Self { connection: connection.map_err(unavailable)?, servers: servers.into(), keys: Keys::new(key_prefix) })
    }

    /// Runs a script by its hash; a Redis that does not know it is taught it, and again if it has forgotten it by the
    /// time it is asked.
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

    /// Sends some commands at once; all or none take effect if the pipeline is atomic.
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

fn address(url: &str) -> Result<ConnectionInfo, RedisError> {
    Ok(url.trim().into_connection_info()?.set_tcp_settings(tcp_settings()))
}

pub(crate) fn manager_config() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_response_timeout(Some(COMMAND_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_number_of_retries(0)
        .set_pipeline_buffer_size(COMMANDS_BUFFERED)
}

fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(SILENCE_MAX);
    settings
}

pub(crate) fn unavailable(error: RedisError) -> Unavailable {
    Unavailable::new("redis", error)
}
