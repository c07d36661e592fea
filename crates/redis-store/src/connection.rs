use std::time::Duration;

use encore_domain::error::Unavailable;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError, ScriptInvocation, ServerErrorKind,
};

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

/// One multiplexed connection to Redis and the prefix of all keys. Clones share the connection.
///
/// A command that finds the connection broken fails, and a new connection is tried for the commands after it; nothing
/// is sent twice. While Redis is away every command fails as soon as that is known.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    /// Makes connections of its own for what subscribes.
    pub(crate) client: Client,
    pub(crate) keys: Keys,
}

impl Redis {
    /// Connects to the server at a `redis://` URL. The prefix goes before every key, such as `encore:`, and has no
    /// braces, since Redis Cluster would read them as the hash tag.
    pub async fn connect(url: &str, key_prefix: &str) -> Result<Self, Unavailable> {
        let client =
            url.into_connection_info().map(|info| info.set_tcp_settings(tcp_settings())).and_then(Client::open);
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(COMMAND_TIMEOUT))
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_number_of_retries(0)
            .set_pipeline_buffer_size(COMMANDS_BUFFERED);
        let client = client.map_err(unavailable)?;
        let connection = ConnectionManager::new_with_config(client.clone(), config).await.map_err(unavailable)?;
        Ok(Self { connection, client, keys: Keys::new(key_prefix) })
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

fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(SILENCE_MAX);
    settings
}

pub(crate) fn unavailable(error: RedisError) -> Unavailable {
    Unavailable::new("redis", error)
}
