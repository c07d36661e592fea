use async_trait::async_trait;

use crate::error::Unavailable;
use crate::event::{OutboxPage, OutboxPlace};

/// Reads the events that the other ports write in their transactions, in an order in which no event ever appears before one
/// that was read, and none before one that it depends on.
///
/// # Contract
/// - `reading`: records come in the order of their places, after the one given, at most `limit`; the page ends with the last
///   of them, or behind what is known to be empty
/// - `closing`: what was committed before a window was closed can be read
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Closes the current window, if there is anything in it, so that its events can be read.
    async fn close_window(&self) -> Result<(), Unavailable>;

    /// The records after a place.
    async fn after(&self, place: OutboxPlace, limit: u32) -> Result<OutboxPage, Unavailable>;
}
