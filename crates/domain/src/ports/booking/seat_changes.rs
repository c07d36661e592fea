use async_trait::async_trait;

use crate::booking::seat_state::SeatNews;
use crate::error::Unavailable;
use crate::ids::PerformanceId;

/// Tells what changes in the live state of seats, so that whoever keeps a copy of it need not ask again and again.
///
/// It is told as it happens and kept nowhere: a listener that was away reads the state anew
/// ([`SeatLocks::snapshot`](super::SeatLocks::snapshot)). Words may get lost between processes without anybody noticing,
/// so a copy is compared with [`SeatLocks::stock`](super::SeatLocks::stock) now and then.
///
/// # Contract
/// - `tells_changes_in_order`: each with its version, one more than the one before, and what the seats are since then
/// - `tells_from_the_moment_of_listening`: what changes after `listen` has answered is told. What changed just before may be told
///   late, where words are passed on between servers: its version shows that
/// - `tells_nothing_where_nothing_changed`
/// - `a_load_is_reported_as_missed`: nobody can follow it, only read it
/// - `a_large_change_is_reported_as_missed`: one of more than [`CHANGE_SEATS_MAX`](crate::booking::seat_state::CHANGE_SEATS_MAX) seats
/// - `a_slow_listener_is_sent_missed`: words are kept for a slow listener in bounded number; then it has missed something, and
///   hears on from there
/// - `tells_everybody_who_listens`
/// - `listens_before_anything_is_loaded`
/// - `hears_of_its_performance_alone`
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SeatChanges: Send + Sync {
    /// Listens to the seats of a performance from now on, until what it answers is dropped.
    async fn listen(&self, performance: PerformanceId) -> Result<Box<dyn SeatListener>, Unavailable>;
}

/// What a listener hears.
#[async_trait]
pub trait SeatListener: Send {
    /// The next word; waits for it. A caller that stops waiting loses nothing.
    async fn next(&mut self) -> SeatNews;
}
