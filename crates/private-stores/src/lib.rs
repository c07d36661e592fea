#![doc = include_str!("../README.md")]

mod daemon;
mod install;
pub mod keeper;
mod postgres;
mod redis;
mod redis_cluster;
mod redis_server;
mod stores;

pub use daemon::free_port;
pub use redis_cluster::RedisCluster;
pub use redis_server::RedisServer;
pub use stores::{Lasting, Stores};

/// Where a program looks for Postgres.
pub const DATABASE_URL: &str = postgres::URL_VARIABLE;
/// Where a program looks for Redis.
pub const REDIS_URL: &str = redis::URL_VARIABLE;
/// Where tests look for a Redis Cluster.
pub const REDIS_CLUSTER_URL: &str = redis_cluster::URL_VARIABLE;
