use encore_domain::error::Unavailable;
use redis::{AsyncConnectionConfig, Client, RedisError};
use tracing::warn;

use crate::connection::{COMMAND_TIMEOUT, CONNECT_TIMEOUT, unavailable};

/// The only policy with which a full Redis refuses what is new and drops nothing of what it has.
const NO_EVICTION: &str = "noeviction";
const POLICY_FIELD: &str = "maxmemory_policy:";

/// The `maxmemory-policy` of the first of these servers, named by comma-separated `redis://` URLs, that may drop keys when its memory
/// is full; none if no server may. A state that is lost as a whole is noticed and restored, single keys of it that are
/// dropped are not. A server that is away is not asked.
pub async fn eviction_policy(urls: &str) -> Result<Option<String>, Unavailable> {
    for url in urls.split(',') {
        let server = Client::open(url.trim()).map_err(unavailable)?;
        match policy(&server).await {
            Ok(policy) if policy != NO_EVICTION => return Ok(Some(policy)),
            Ok(_) => {}
            Err(error) => {
                let address = server.get_connection_info().addr();
                warn!(%address, error = &error as &dyn std::error::Error, "whether redis drops keys is not known");
            }
        }
    }
    Ok(None)
}

/// `INFO` answers also where providers do not let `CONFIG GET` be used.
async fn policy(server: &Client) -> Result<String, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(COMMAND_TIMEOUT));
    let mut connection = server.get_multiplexed_async_connection_with_config(&config).await?;
    let memory: String = redis::cmd("INFO").arg("memory").query_async(&mut connection).await?;
    let policy = memory.lines().find_map(|line| line.strip_prefix(POLICY_FIELD));
    // One that does not say so knows no other policy.
    Ok(policy.unwrap_or(NO_EVICTION).to_owned())
}
