use redis::{AsyncConnectionConfig, Client, RedisError};
use tracing::warn;

use crate::server_pool::{COMMAND_TIMEOUT, CONNECT_TIMEOUT};
use crate::servers::RedisServers;

/// The only policy with which a Redis whose memory is full refuses writes and deletes no key.
const NO_EVICTION: &str = "noeviction";
const POLICY_FIELD: &str = "maxmemory_policy:";

/// The `maxmemory-policy` of the first of these servers that may evict keys, or none if no server may.
///
/// The loss of a whole state is detected and repaired; the eviction of single keys is not. An unavailable server is skipped
/// with a warning.
pub async fn eviction_policy(servers: &RedisServers) -> Option<String> {
    for server in servers.0.iter() {
        match policy(server).await {
            Ok(policy) if policy != NO_EVICTION => return Some(policy),
            Ok(_) => {}
            Err(error) => {
                let address = server.get_connection_info().addr();
                warn!(%address, error = &error as &dyn std::error::Error, "redis unavailable; its eviction policy was not checked");
            }
        }
    }
    None
}

/// `INFO` works also where a provider disables `CONFIG GET`.
async fn policy(server: &Client) -> Result<String, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(COMMAND_TIMEOUT));
    let mut connection = server.get_multiplexed_async_connection_with_config(&config).await?;
    let memory: String = redis::cmd("INFO").arg("memory").query_async(&mut connection).await?;
    let policy = memory.lines().find_map(|line| line.strip_prefix(POLICY_FIELD));
    // A server that does not report a policy does not evict.
    Ok(policy.unwrap_or(NO_EVICTION).to_owned())
}
