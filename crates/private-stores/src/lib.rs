#![doc = include_str!("../README.md")]

#[cfg(feature = "certificates")]
pub mod certificates;
mod daemon;
mod kafka;
pub mod localstripe;
mod missing;
mod postgres;
mod postgres_server;
mod programs;
mod redis;
mod redis_cluster;
mod redis_server;
mod stores;
pub mod supervisor;

pub use daemon::free_port;
pub use kafka::{KafkaSecurity, KafkaServer};
pub use localstripe::URL_VARIABLE as LOCALSTRIPE_URL;
pub use missing::{Program, missing_programs};
pub use postgres::URL_VARIABLE as DATABASE_URL;
pub use postgres_server::PostgresServer;
pub use redis::URL_VARIABLE as REDIS_URL;
pub use redis_cluster::{RedisCluster, URL_VARIABLE as REDIS_CLUSTER_URL};
pub use redis_server::RedisServer;
pub use stores::{Lasting, Stores};
