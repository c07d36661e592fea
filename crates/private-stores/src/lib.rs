#![doc = include_str!("../README.md")]

mod daemon;
mod install;
pub mod keeper;
mod postgres;
mod redis;
mod stores;

pub use daemon::free_port;
pub use stores::{Lasting, Stores};

/// Where a program looks for Postgres.
pub const DATABASE_URL: &str = postgres::URL_VARIABLE;
/// Where a program looks for Redis.
pub const REDIS_URL: &str = redis::URL_VARIABLE;
