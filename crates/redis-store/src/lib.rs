#![doc = include_str!("../README.md")]

mod cluster;
mod cluster_nodes;
mod connection;
mod eviction;
mod keys;
mod presence;
mod queue_bits;
mod queue_joins;
mod queue_snapshots;
mod queue_store;
mod rate_limits;
mod reply;
mod seat_bytes;
mod seat_changes;
mod seat_fans;
mod seat_lock_scripts;
mod seat_locks;
mod seat_search_arguments;
mod server_pool;
mod servers;
mod staged_locks;
mod store_clock;
mod subscriptions;

pub use connection::Redis;
pub use eviction::eviction_policy;
pub use queue_store::RedisQueueStore;
pub use rate_limits::RedisRateLimits;
pub use seat_changes::RedisSeatChanges;
pub use seat_locks::RedisSeatLocks;
pub use server_pool::{COMMAND_TIMEOUT, CONNECT_TIMEOUT};
pub use servers::{RedisServers, ServersError};
pub use store_clock::RedisClock;
