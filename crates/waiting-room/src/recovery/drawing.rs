//! Draws the numbers of a queue when its pre-queue ends.

use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{CutLane, FrozenLane};
use encore_domain::queue::{Draw, DrawKey, Drawn};
use tracing::info;

use super::{Recovery, unless_lost};
use crate::error::WaitingRoomError;
use crate::open_queues::OpenQueue;

impl Recovery {
    /// Draws the numbers of a queue that has opened, unless they are drawn. Every instance may do it, and one may finish what
    /// another began: the first draw that is stored fixes how many fans take part.
    pub(crate) async fn draw(&self, open: &OpenQueue) -> Result<(), WaitingRoomError> {
        let performance = open.performance;
        let has_opened = open.opens_at <= self.ports.clock.now();
        let Some(key) = open.draw_key().filter(|_| has_opened) else { return Ok(()) };
        if self.known_draws.is_drawn(performance) {
            return Ok(());
        }
        let Some(frozen) = unless_lost(self.ports.queues.freeze(performance).await)? else { return Ok(()) };
        let Some(frozen) = frozen else { return self.learn_draw(performance).await };
        let drawn = if let Some(drawn) = self.drawn(performance).await? {
            drawn
        } else {
            let counts: Vec<u64> = frozen.iter().map(|lane| lane.count).collect();
            let drawn = self.compute(move || digested(key, &counts)).await?;
            self.ports.draws.keep(performance, &drawn).await?
        };
        let lanes = self.compute(move || cut_lanes(key, &drawn, &frozen)).await?;
        let cut = unless_lost(self.ports.queues.cut(performance, &lanes, self.presence(open)).await)?;
        if cut == Some(true) {
            let fans: u64 = lanes.iter().map(|lane| lane.count).sum();
            info!(%performance, fans, "drew the numbers of the queue; it calls fans from now on");
        }
        self.learn_draw(performance).await
    }

    /// Computes off the async threads: a million numbers take seconds of a core.
    async fn compute<T: Send + 'static>(
        &self,
        numbers: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, WaitingRoomError> {
        // It is never closed.
        let _permit = self.drawing.acquire().await;
        let computed = tokio::task::spawn_blocking(numbers).await;
        computed.map_err(|failed| WaitingRoomError::Internal(failed.to_string()))
    }

    /// What was drawn, by lane; none before the draw.
    pub(crate) async fn drawn(&self, performance: PerformanceId) -> Result<Option<Vec<Drawn>>, Unavailable> {
        self.ports.draws.find(performance).await
    }

    /// Learns from the store which lanes of a queue are drawn.
    pub(super) async fn learn_draw(&self, performance: PerformanceId) -> Result<(), WaitingRoomError> {
        let key = self.queue(performance).await?.draw.map(|draw| draw.key);
        if let Some(snapshot) = self.stored_snapshot(performance).await? {
            self.known_draws.update(performance, key, &snapshot);
        }
        Ok(())
    }
}

/// How many fans joined each lane, with the digest of their numbers.
fn digested(key: DrawKey, counts: &[u64]) -> Vec<Drawn> {
    let drawn = |(lane, &count)| Drawn { lane, count, digest: Draw::new(key, lane, count).digest() };
    (0..).zip(counts).map(drawn).collect()
}

/// The lanes with their drawn numbers. A fan who left, or was not seen, is recorded under the drawn number.
fn cut_lanes(key: DrawKey, drawn: &[Drawn], frozen: &[FrozenLane]) -> Vec<CutLane> {
    let cut = |(drawn, frozen): (&Drawn, &FrozenLane)| {
        let draw = Draw::new(key, drawn.lane, drawn.count);
        let numbers = |indexes: &[u64]| {
            let takes_part = |index: &&u64| **index <= drawn.count;
            indexes.iter().filter(takes_part).map(|index| draw.number(*index)).collect()
        };
        CutLane {
            count: drawn.count,
            gone: numbers(&frozen.gone),
            unseen: numbers(&frozen.unseen),
            needs_accessible: numbers(&frozen.needs_accessible),
        }
    };
    drawn.iter().zip(frozen).map(cut).collect()
}
