use async_trait::async_trait;

use crate::booking::seat_state::SeatNews;
use crate::error::Unavailable;
use crate::ids::PerformanceId;

/// Publishes the changes of the live state of seats, so that replicas need not poll it.
///
/// Changes are delivered as they happen and are not stored: a listener that was disconnected reads the state again
/// ([`SeatLocks::snapshot`](super::SeatLocks::snapshot)). A message between processes may be lost without notice, so replicas
/// are compared with [`SeatLocks::stock`](super::SeatLocks::stock) at intervals.
///
/// # Contract
/// - `tells_changes_in_order`: each has its version, which is one more than that of the change before, and the new statuses
/// - `tells_from_the_moment_of_listening`: every change after `listen` has returned is delivered. A change just before it may be
///   delivered too, where messages pass between servers; its version shows that
/// - `tells_nothing_where_nothing_changed`
/// - `a_load_is_reported_as_missed`: it is [`SeatNews::Missed`], since a replica must read the loaded state
/// - `a_large_change_is_reported_as_missed`: a change of more than [`CHANGE_SEATS_MAX`](crate::booking::seat_state::CHANGE_SEATS_MAX) seats
/// - `a_slow_listener_is_sent_missed`: the buffer of a slow listener is bounded. When it overflows, the listener receives
///   [`SeatNews::Missed`] and then the latest changes
/// - `tells_everybody_who_listens`: each listener receives each change
/// - `listens_before_anything_is_loaded`: a listener may subscribe before the seats are loaded
/// - `hears_of_its_performance_alone`: a listener receives no change of another performance
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SeatChanges: Send + Sync {
    /// Subscribes to the seats of a performance until the listener is dropped.
    async fn listen(&self, performance: PerformanceId) -> Result<Box<dyn SeatListener>, Unavailable>;
}

/// Receives the changes of the seats of a performance.
#[async_trait]
pub trait SeatListener: Send {
    /// Waits for the next change. It is cancel safe: a caller that stops waiting loses no change.
    async fn next(&mut self) -> SeatNews;
}
