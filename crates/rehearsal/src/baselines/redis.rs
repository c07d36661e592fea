//! The ceiling of Redis: a script that takes two keys.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, IntoConnectionInfo, RedisResult, Script};

use crate::baselines::{BaselineError, random_digits};
use crate::load::{Counted, Load, Outcome, Saturated};

/// Before all keys, so that whoever finds one knows whose it is.
const PREFIX: &str = "encore-baseline:";
/// The most calls, since each leaves two keys behind until the end: at this number about 60 MB. A rate is known by then.
const CALLS_MAX: u64 = 200_000;
/// For how long a run that was killed leaves its keys behind, beyond the time it meant to last.
const KEYS_OUTLIVE: Duration = Duration::from_mins(1);
/// The keys of how many calls are removed in one pipeline.
const CALLS_PER_REMOVAL: u64 = 1_000;
/// As in the store: a Redis that takes longer hangs.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// As in the store: how many commands may wait to be written to the connection.
const COMMANDS_BUFFERED: usize = 1_024;

static TAKE_TWO: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/take_two.lua")));

/// How often Redis takes two keys that are free, by a script, over one multiplexed connection as Encore has.
#[derive(Clone)]
pub struct RedisBaseline(ConnectionManager);

impl RedisBaseline {
    /// Connects, and loads the script.
    pub async fn connect(url: &str) -> Result<Self, BaselineError> {
        let mut connection = connect(url).await?;
        TAKE_TWO.load_async(&mut connection).await?;
        Ok(Self(connection))
    }

    /// What it does, in a sentence.
    pub fn about() -> String {
        "Takes two free keys in one Lua script, over one multiplexed connection: the least that a change asks of Redis, with no gRPC \
         before it and no Postgres behind it."
            .to_owned()
    }

    /// How often it does so. The keys are removed afterwards.
    pub async fn measure(&self, load: &Load, saturated: Saturated) -> Counted {
        self.take_and_remove(load, &random_digits().into(), saturated).await
    }

    async fn take_and_remove(&self, load: &Load, run: &Arc<str>, saturated: Saturated) -> Counted {
        let saturated = Saturated { calls_max: saturated.calls_max.min(CALLS_MAX), ..saturated };
        let ttl_ms = u64::try_from((saturated.lasts + KEYS_OUTLIVE).as_millis()).unwrap_or(u64::MAX);
        let (caller, named) = (self.0.clone(), Arc::clone(run));
        let counted = load.closed_loop(saturated, move |number| {
            let (connection, run) = (caller.clone(), Arc::clone(&named));
            async move { outcome(&take_two(connection, keys(&run, number), number, ttl_ms).await) }
        });
        let counted = counted.await;
        // Keys that stay because this fails expire by themselves. The calls had the numbers from 0.
        let _ = remove(&mut self.0.clone(), run, counted.calls()).await;
        counted
    }
}

/// One multiplexed connection, as Encore has.
pub(super) async fn connect(url: &str) -> RedisResult<ConnectionManager> {
    let info = url.into_connection_info()?.set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let config = ConnectionManagerConfig::new()
        .set_response_timeout(Some(COMMAND_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_number_of_retries(0)
        .set_pipeline_buffer_size(COMMANDS_BUFFERED);
    ConnectionManager::new_with_config(Client::open(info)?, config).await
}

/// The two keys of a call. Redis Cluster would keep them together for what is in the braces.
fn keys(run: &str, number: u64) -> [String; 2] {
    ["a", "b"].map(|seat| format!("{PREFIX}{{{run}:{number}}}:{seat}"))
}

async fn take_two(mut connection: ConnectionManager, keys: [String; 2], owner: u64, ttl_ms: u64) -> RedisResult<bool> {
    let mut take = TAKE_TWO.prepare_invoke();
    take.key(&keys).arg(owner).arg(ttl_ms);
    take.invoke_async(&mut connection).await
}

fn outcome(taken: &RedisResult<bool>) -> Outcome {
    match taken {
        Ok(true) => Outcome::Success,
        Ok(false) => Outcome::Refused("KEYS_TAKEN".to_owned()),
        Err(error) => Outcome::Failed(error.category().to_owned()),
    }
}

async fn remove(connection: &mut ConnectionManager, run: &str, calls: u64) -> RedisResult<()> {
    let mut first = 0;
    while first < calls {
        let end = calls.min(first + CALLS_PER_REMOVAL);
        let mut removal = redis::pipe();
        for number in first..end {
            removal.unlink(&keys(run, number)).ignore();
        }
        removal.query_async::<()>(connection).await?;
        first = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    const TTL_MS: u64 = 60_000;

    fn url() -> String {
        std::env::var("ENCORE_REDIS_URL").expect("ENCORE_REDIS_URL names a Redis server: run `cargo xtask test`")
    }

    async fn connection() -> ConnectionManager {
        connect(&url()).await.expect("the server of ENCORE_REDIS_URL answers")
    }

    #[tokio::test]
    async fn every_call_takes_keys_of_its_own_and_none_stay() {
        let load = Load { stop: CancellationToken::new() };
        let few = Saturated { in_flight: 8, lasts: Duration::from_mins(1), calls_max: 2_500 };
        let (mut connection, run) = (connection().await, random_digits().into());
        let baseline = RedisBaseline::connect(&url()).await.expect("the server answers");
        let measured = baseline.take_and_remove(&load, &run, few).await;
        assert_eq!((measured.successes(), measured.calls()), (2_500, 2_500));
        let all: Vec<_> = (0..2_500).flat_map(|number| keys(&run, number)).collect();
        let left: u64 = redis::cmd("EXISTS").arg(&all).query_async(&mut connection).await.expect("a count");
        assert_eq!(left, 0);
    }

    #[tokio::test]
    async fn taken_keys_are_refused_until_they_are_removed() {
        let (mut connection, run) = (connection().await, random_digits());
        let take = async || take_two(connection.clone(), keys(&run, 0), 7, TTL_MS).await;
        assert_eq!(outcome(&take().await), Outcome::Success);
        assert_eq!(outcome(&take().await), Outcome::Refused("KEYS_TAKEN".into()));
        for key in keys(&run, 0) {
            let ttl_ms: u64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection.clone()).await.expect("a time");
            assert!((1..=TTL_MS).contains(&ttl_ms), "it would go by itself");
        }
        remove(&mut connection, &run, 1).await.expect("they are removed");
        let left: u64 = redis::cmd("EXISTS").arg(&keys(&run, 0)).query_async(&mut connection).await.expect("a count");
        assert_eq!(left, 0);
    }

    #[tokio::test]
    async fn without_a_server_there_is_no_ceiling() {
        assert!(matches!(RedisBaseline::connect("redis://127.0.0.1:1").await, Err(BaselineError::Redis(_))));
    }
}
