//! What can be rehearsed.

mod callers;
pub(crate) mod contend;
mod distinct;
pub(crate) mod hold;
pub(crate) mod join;
pub(crate) mod journey;
mod kill;
pub(crate) mod map;
mod part;
pub(crate) mod pay;
mod redis_statistics;
pub(crate) mod watch;
