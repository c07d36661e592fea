use async_trait::async_trait;
use encore_domain::booking::seat_state::SeatNews;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{SeatChanges, SeatListener};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::seat_locks::MemorySeatLocks;

/// [`SeatChanges`] in process.
#[derive(Clone)]
pub struct MemorySeatChanges(MemorySeatLocks);

impl MemorySeatChanges {
    /// Publishes the changes of these seats.
    pub fn new(locks: MemorySeatLocks) -> Self {
        Self(locks)
    }
}

#[async_trait]
impl SeatChanges for MemorySeatChanges {
    async fn listen(&self, performance: PerformanceId) -> Result<Box<dyn SeatListener>, Unavailable> {
        Ok(Box::new(Listener(self.0.subscribe(performance))))
    }
}

struct Listener(Receiver<SeatNews>);

#[async_trait]
impl SeatListener for Listener {
    async fn next(&mut self) -> SeatNews {
        match self.0.recv().await {
            Ok(news) => news,
            Err(RecvError::Lagged(_)) => SeatNews::Missed,
            // The store was dropped, so there are no further changes.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
