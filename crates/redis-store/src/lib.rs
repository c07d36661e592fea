#![doc = include_str!("../README.md")]

mod cluster;
mod cluster_nodes;
mod connection;
mod eviction;
mod keys;
mod line_bits;
mod line_snapshots;
mod lines;
mod presence;
mod reply;
mod seat_changes;
mod seat_locks;
mod seen_requests;
mod staged_locks;
mod subscriptions;

pub use connection::{COMMAND_TIMEOUT, CONNECT_TIMEOUT, Redis};
pub use eviction::eviction_policy;
pub use lines::RedisLines;
pub use seat_changes::RedisSeatChanges;
pub use seat_locks::RedisSeatLocks;
pub use seen_requests::RedisSeenRequests;
