use async_trait::async_trait;

use crate::error::Unavailable;
use crate::event::{OutboxPage, OutboxPlace};

/// Reads the events that the other ports write in their transactions, in an order in which no event ever appears before one
/// that was read. An event that depends on another is after it.
///
/// # Contract
/// - `reading`: records come in the order of their places, after the one given, at most `limit`; the page ends with the last
///   of them, or behind what is known to be empty
/// - `closing`: closing a window tells whether all events can be read that are committed. Those of a transaction cannot while
///   a transaction that began earlier is open, whatever it does
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Closes the current window, if there is anything in it, so that its events can be read. Returns whether none are left.
    async fn close_window(&self) -> Result<bool, Unavailable>;

    /// The records after a place.
    async fn after(&self, place: OutboxPlace, limit: u32) -> Result<OutboxPage, Unavailable>;
}
