//! What can be rehearsed.

pub(crate) mod area;
mod callers;
pub(crate) mod contend;
mod distinct;
pub(crate) mod flow;
pub(crate) mod hold;
pub(crate) mod join;
pub(crate) mod journey;
mod kill;
pub(crate) mod long_queue;
pub(crate) mod map;
mod map_watchers;
pub(crate) mod pay;
mod redis_statistics;
pub(crate) mod rush;
pub(crate) mod single_call;
mod streams;
pub(crate) mod watch;
