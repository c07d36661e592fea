//! Draws the numbers of a queue when its pre-queue ends.

use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{CutLane, DrawClosed, FrozenLane, Joining, Presence};
use encore_domain::queue::{Draw, DrawKey, Drawn};
use tracing::info;

use super::{Recovery, unless_lost};
use crate::error::{WaitingRoomError, refusal};
use crate::open_queues::OpenQueue;

impl Recovery {
    /// Draws the numbers of a queue that has opened, unless they are drawn. Every instance may do it, and one may finish what
    /// another began: closing the draw fixes how many fans take part.
    pub(crate) async fn draw(&self, open: &OpenQueue) -> Result<(), WaitingRoomError> {
        let has_opened = open.opens_at <= self.ports.clock.now();
        let Some(key) = open.draw_key().filter(|_| has_opened) else { return Ok(()) };
        self.draw_numbers(open.performance, key, self.presence(open)).await
    }

    async fn draw_numbers(
        &self,
        performance: PerformanceId,
        key: DrawKey,
        presence: Presence,
    ) -> Result<(), WaitingRoomError> {
        if self.known_draws.is_drawn(performance) {
            return Ok(());
        }
        let Some(snapshot) = self.stored_snapshot(performance).await? else { return Ok(()) };
        if snapshot.lanes.iter().any(|lane| lane.drawn.is_some()) {
            self.known_draws.update(performance, Some(key), &snapshot);
            return Ok(());
        }
        let joined = self.ports.draws.close(performance).await?;
        let Some(frozen) = unless_lost(self.ports.queues.freeze(performance, &joined).await)? else { return Ok(()) };
        let Some(frozen) = frozen else { return self.learn_draw(performance).await };
        let drawn = if let Some(drawn) = self.drawn(performance).await? {
            drawn
        } else {
            let counts: Vec<u64> = frozen.iter().map(|lane| lane.count).collect();
            let drawn = self.compute(move || digested(key, &counts)).await?;
            self.ports.draws.keep(performance, &drawn).await?
        };
        let lanes = self.compute(move || cut_lanes(key, &drawn, &frozen)).await?;
        let cut = unless_lost(self.ports.queues.cut(performance, &lanes, presence).await)?;
        if cut == Some(true) {
            let fans: u64 = lanes.iter().map(|lane| lane.count).sum();
            info!(%performance, fans, "drew the numbers of the queue; it calls fans from now on");
        }
        self.learn_draw(performance).await
    }

    /// Enters a fan who joins into the draw. Returns the index; none if the draw is closed, and then the queue is frozen, so that it
    /// gives out indexes to fans who take no part.
    pub(super) async fn enter_draw(&self, fan: &Joining, epoch: i64) -> Result<Option<u64>, WaitingRoomError> {
        let Joining { performance, user, lane, .. } = *fan;
        match self.ports.draws.enter(performance, epoch, user, lane).await {
            Ok(index) => Ok(Some(index)),
            Err(error) => {
                let DrawClosed { joined } = refusal(error)?;
                unless_lost(self.ports.queues.freeze(performance, &joined).await)?;
                Ok(None)
            }
        }
    }

    /// Draws the numbers for a fan who entered the draw, and whose call came after the freeze.
    pub(super) async fn draw_entered(&self, fan: &Joining) -> Result<(), WaitingRoomError> {
        let performance = fan.performance;
        let Some(draw) = self.queue(performance).await?.draw else { return Ok(()) };
        // Many such fans come at once, and one of them draws.
        let _exclusive = self.repairing.lock(performance).await;
        self.draw_numbers(performance, draw.key, fan.presence).await
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
