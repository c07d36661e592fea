use async_trait::async_trait;
use uuid::Uuid;

use crate::error::Unavailable;
use crate::event::{Backlog, OutboxPage, OutboxPlace, OutboxRecord};
use crate::time::Timestamp;

/// Reads the events that the other ports write in their transactions, in an order in which no event ever appears before one
/// that was read, and none before one that it depends on.
///
/// # Contract
/// - `reading`: records come in the order of their places, after the one given, at most `limit`, each with its event; the page
///   ends with the last of them, or behind what is known to be empty
/// - `reading_a_key`: so do the records of one key, up to a place
/// - `finding`: records are found by their places, as far as they are kept
/// - `ending`: the end is behind everything that can be read, and before everything that comes later
/// - `closing`: what was committed before a window was closed can be read
/// - `counting`: the backlog counts what was committed after a place, whether or not its window is closed
/// - `forgetting`: what is delivered and older than a moment goes, at most `limit` at once, and nothing else; reading goes on behind it
/// - `telling_what_was_forgotten`: the latest moment before which something may have gone
/// - `waiting_for_transactions`: what has ended is no transaction that windows wait for
/// - `keeping_for_endpoints`: what an endpoint of webhooks has yet to be sent stays, unless it is disabled or removed
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Closes the current window, if there is anything in it, so that its events can be read.
    async fn close_window(&self) -> Result<(), Unavailable>;

    /// The records after a place.
    async fn after(&self, place: OutboxPlace, limit: u32) -> Result<OutboxPage, Unavailable>;

    /// The records of a key after `place` and not after `until`.
    async fn of_key_after(
        &self,
        key: Uuid,
        place: OutboxPlace,
        until: OutboxPlace,
        limit: u32,
    ) -> Result<OutboxPage, Unavailable>;

    /// The records at these places that are kept, in any order.
    async fn find(&self, places: &[OutboxPlace]) -> Result<Vec<OutboxRecord>, Unavailable>;

    /// The place behind everything that can be read now.
    async fn end(&self) -> Result<OutboxPlace, Unavailable>;

    /// What was committed after a place.
    async fn backlog(&self, place: OutboxPlace) -> Result<Backlog, Unavailable>;

    /// When the oldest transaction began that has written and not ended, as far as it can be seen. Its events are in no window yet, and
    /// what reads windows passes all that came after it began. None if there is none.
    async fn oldest_transaction(&self) -> Result<Option<Timestamp>, Unavailable>;

    /// Deletes records that are not after `delivered` and older than `before`. Returns how many. The audit expects no event of a
    /// change before that moment any more.
    async fn forget(&self, delivered: OutboxPlace, before: Timestamp, limit: u32) -> Result<u64, Unavailable>;

    /// Records of changes before this moment may have been deleted. None if none was.
    async fn forgotten_before(&self) -> Result<Option<Timestamp>, Unavailable>;
}
