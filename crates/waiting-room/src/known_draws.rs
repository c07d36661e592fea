//! The draws that this instance knows. With a draw, the number of a queue token is computed, not read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use encore_domain::ids::PerformanceId;
use encore_domain::queue::snapshot::QueueSnapshot;
use encore_domain::queue::{Draw, DrawKey, LaneNumber, QueueToken, QueueTokenPayload};

/// The draws of the lanes of one queue, by index. A lane has none until its numbers are drawn.
#[derive(Clone, Default)]
pub(crate) struct LaneDraws(Arc<Vec<Option<Draw>>>);

impl LaneDraws {
    /// The token with its number: the drawn one if the lane's draw is known.
    pub(crate) fn token(&self, payload: QueueTokenPayload) -> QueueToken {
        payload.token(self.0.get(usize::from(payload.lane)).and_then(Option::as_ref))
    }

    /// The join index of a number.
    pub(crate) fn index(&self, LaneNumber { lane, number }: LaneNumber) -> u64 {
        let draw = self.0.get(usize::from(lane)).and_then(Option::as_ref);
        draw.filter(|draw| number <= draw.count()).map_or(number, |draw| draw.index(number))
    }

    fn counts(&self) -> impl Iterator<Item = Option<u64>> {
        self.0.iter().map(|draw| draw.as_ref().map(Draw::count))
    }

    /// Whether the numbers of a lane are drawn.
    pub(crate) fn is_drawn(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }
}

/// The known draws of all queues.
#[derive(Default)]
pub(crate) struct KnownDraws(Mutex<HashMap<PerformanceId, LaneDraws>>);

impl KnownDraws {
    /// The draws of a queue.
    pub(crate) fn of(&self, performance: PerformanceId) -> LaneDraws {
        self.lock().get(&performance).cloned().unwrap_or_default()
    }

    /// Whether this instance knows that the numbers of a queue are drawn.
    pub(crate) fn is_drawn(&self, performance: PerformanceId) -> bool {
        self.lock().get(&performance).is_some_and(LaneDraws::is_drawn)
    }

    /// Forgets the draws of the other queues.
    pub(crate) fn retain(&self, is_kept: impl Fn(PerformanceId) -> bool) {
        self.lock().retain(|performance, _| is_kept(*performance));
    }

    /// Takes over the draws that a snapshot says.
    pub(crate) fn update(&self, performance: PerformanceId, key: Option<DrawKey>, snapshot: &QueueSnapshot) {
        let counts = || snapshot.lanes.iter().map(|lane| lane.drawn);
        if !self.of(performance).counts().eq(counts()) {
            self.set(performance, key, counts());
        }
    }

    /// Sets the draws of a queue. `counts` says for each lane how many numbers were drawn.
    pub(crate) fn set(
        &self,
        performance: PerformanceId,
        key: Option<DrawKey>,
        counts: impl Iterator<Item = Option<u64>>,
    ) {
        let draw = |(lane, count): (u8, Option<u64>)| Some(Draw::new(key?, lane, count?));
        let draws = LaneDraws(Arc::new((0..).zip(counts).map(draw).collect()));
        self.lock().insert(performance, draws);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PerformanceId, LaneDraws>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
