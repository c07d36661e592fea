//! Queues in memory and in a private Redis, with functions that lose them.

use std::path::Path;
use std::sync::Arc;

use encore_domain::ports::QueueStore;
use encore_memory_store::MemoryQueueStore;
use encore_private_stores::RedisServer;
use encore_redis_store::{Redis, RedisQueueStore};
use futures::future::BoxFuture;

use crate::Stores;
use crate::operations::Loss;

const PREFIX: &str = "encore:";

pub async fn on_memory() -> Stores {
    let queues = Arc::new(MemoryQueueStore::default());
    let lost = Arc::clone(&queues);
    let lose = move |_loss| -> BoxFuture<'static, ()> {
        lost.lose_all();
        Box::pin(async {})
    };
    Stores { instances: [Arc::clone(&queues) as Arc<dyn QueueStore>, queues], lose: Box::new(lose) }
}

/// A private Redis that contains only the queue.
pub struct Flushable(RedisServer);

impl Flushable {
    pub fn start() -> Self {
        Self::start_as("queue-model")
    }

    /// Starts one with a folder of this name. Tests that run at the same time have different ones.
    pub fn start_as(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        Self(RedisServer::start(&folder).expect("Redis starts"))
    }
}

/// Two instances with a connection each.
pub async fn on_redis(redis: &Flushable) -> Stores {
    let url = redis.0.url();
    let client = redis::Client::open(url.as_str()).expect("a URL");
    let connection = client.get_multiplexed_async_connection().await.expect("Redis is available");
    let mut instances = Vec::new();
    for _ in 0..2 {
        let redis = Redis::connect(&url, PREFIX).await.expect("Redis is available");
        instances.push(Arc::new(RedisQueueStore::new(redis)) as Arc<dyn QueueStore>);
    }
    let lose = move |loss| -> BoxFuture<'static, ()> {
        let mut connection = connection.clone();
        Box::pin(async move {
            let lost = match loss {
                Loss::Flush => redis::cmd("FLUSHALL"),
                Loss::FailOver => {
                    let keys: Vec<String> =
                        redis::cmd("KEYS").arg("*:queue").query_async(&mut connection).await.expect("Redis answers");
                    let mut other_home = redis::cmd("HSET");
                    other_home.arg(&keys[0]).arg("home").arg("8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb");
                    other_home
                }
            };
            lost.query_async::<()>(&mut connection).await.expect("Redis answers");
        })
    };
    let instances = instances.try_into().unwrap_or_else(|_| unreachable!("two instances"));
    Stores { instances, lose: Box::new(lose) }
}
