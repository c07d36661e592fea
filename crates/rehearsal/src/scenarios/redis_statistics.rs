//! What Redis says about itself.

use redis::aio::MultiplexedConnection;

use crate::scenario::Run;

/// The Redis behind the servers, where it is known and answers.
#[derive(Clone)]
pub(super) struct RedisStatistics(MultiplexedConnection);

impl RedisStatistics {
    pub(super) async fn of(run: &Run<'_>) -> Option<Self> {
        let client = redis::Client::open(run.environment.stores.redis.as_deref()?).ok()?;
        client.get_multiplexed_async_connection().await.ok().map(Self)
    }

    /// How many commands it was sent since it was started.
    pub(super) async fn commands_processed(&mut self) -> Option<u64> {
        let info: String = redis::cmd("INFO").arg("stats").query_async(&mut self.0).await.ok()?;
        line(&info, "total_commands_processed")?.parse().ok()
    }
}

/// The value of a line such as `name:value`.
fn line<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_found_by_its_whole_name() {
        let info = "# Stats\r\ntotal_commands_processed_elsewhere:7\r\ntotal_commands_processed:42\r\n";
        assert_eq!(line(info, "total_commands_processed"), Some("42"));
        assert_eq!(line(info, "total_commands"), None);
    }
}
