//! Locks in Redis around a transaction, as many write them: `SET NX PX` for each thing, and a script that gives up what is still one's
//! own.

use std::sync::LazyLock;

use redis::aio::ConnectionManager;
use redis::{RedisResult, Script};
use uuid::Uuid;

use crate::baselines::redis::connect;
use crate::baselines::{BaselineError, random_digits};

/// For how long a lock lasts whose owner is gone: longer than any transaction here.
const LOCK_TTL_MS: u64 = 10_000;
/// How many things are locked at once.
pub(super) const LOCKED_AT_ONCE: usize = 2;

static UNLOCK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/unlock.lua")));

/// Locks of one run.
#[derive(Clone)]
pub(super) struct RedisLocks {
    connection: ConnectionManager,
    prefix: String,
}

impl std::fmt::Debug for RedisLocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisLocks").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl RedisLocks {
    /// Connects, and loads the script.
    pub(super) async fn connect(url: &str) -> Result<Self, BaselineError> {
        let mut connection = connect(url).await?;
        UNLOCK.load_async(&mut connection).await?;
        Ok(Self { connection, prefix: format!("encore-baseline:{}", random_digits()) })
    }

    /// Takes the locks of these things, which have different names, or none of them. Returns whether they were free.
    pub(super) async fn lock(&self, owner: Uuid, things: &[String; LOCKED_AT_ONCE]) -> RedisResult<bool> {
        let keys = self.keys(things);
        let mut taking = redis::pipe();
        for key in &keys {
            taking.cmd("SET").arg(key).arg(owner.to_string()).arg("NX").arg("PX").arg(LOCK_TTL_MS);
        }
        let taken: Vec<Option<String>> = taking.query_async(&mut self.connection.clone()).await?;
        if taken.iter().all(Option::is_some) {
            return Ok(true);
        }
        if taken.iter().any(Option::is_some) {
            self.unlock(owner, things).await?;
        }
        Ok(false)
    }

    /// Gives them up.
    pub(super) async fn unlock(&self, owner: Uuid, things: &[String; LOCKED_AT_ONCE]) -> RedisResult<()> {
        let mut unlock = UNLOCK.prepare_invoke();
        unlock.key(&self.keys(things)).arg(owner.to_string());
        unlock.invoke_async::<u64>(&mut self.connection.clone()).await.map(drop)
    }

    /// Redis Cluster would keep them together for what is in the braces.
    fn keys(&self, things: &[String; LOCKED_AT_ONCE]) -> [String; LOCKED_AT_ONCE] {
        let Self { prefix, .. } = self;
        things.each_ref().map(|thing| format!("{{{prefix}}}:{thing}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn locks_are_taken_together_and_given_up_by_their_owner_only() {
        let url =
            std::env::var("ENCORE_REDIS_URL").expect("ENCORE_REDIS_URL names a Redis server: run `cargo xtask test`");
        let locks = RedisLocks::connect(&url).await.expect("the server answers");
        let things = |first: &str, second: &str| [first.to_owned(), second.to_owned()];
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let lock = async |owner, of: &[String; 2]| locks.lock(owner, of).await.expect("an answer");
        assert!(lock(one, &things("a", "b")).await);
        assert!(!lock(other, &things("b", "c")).await, "one of them is locked");
        assert!(lock(one, &things("c", "d")).await, "it left nothing locked");
        locks.unlock(other, &things("a", "b")).await.expect("an answer");
        assert!(!lock(other, &things("a", "b")).await, "they are another's");
        locks.unlock(one, &things("a", "b")).await.expect("an answer");
        assert!(lock(other, &things("a", "b")).await);
    }
}
