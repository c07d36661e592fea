//! Keeping records of the queue, losing it and restoring it.

use encore_domain::queue::{Inside, QueueRecord};

use crate::checked::Checked;
use crate::model::Phase;
use crate::operations::{Loss, TokenChoice};
use crate::record::Kept;
use crate::{EPOCH, FANS, LIMIT_AHEAD, settings};

impl Checked {
    /// Restores the queue from the last record, and raises its limits.
    pub async fn open(&mut self) {
        let (performance, now) = (self.model.performance, self.model.now);
        for (lane, limit) in self.record.lanes.iter_mut().zip(self.limits) {
            // A limit is stored when it is raised, not when the record is kept.
            lane.limit = limit;
        }
        let queue = self.record.restored(None, &[], &self.model.ended, &settings(), now);
        for is_first in [true, false] {
            let opened = self.queues().open(performance, &queue).await.expect("the store answers");
            assert_eq!(opened, is_first, "a queue is opened once");
        }
        for lane in 0..self.limits.len() {
            self.limits[lane] += LIMIT_AHEAD;
            let (at, limit) = (u8::try_from(lane).expect("few lanes"), self.limits[lane]);
            self.queues().extend(performance, EPOCH, at, limit).await.expect("the queue is open");
        }
    }

    pub async fn keep(&mut self) {
        let (queue, now) = (self.snapshot().await, self.model.now);
        self.record = queue.record(now, &settings());
        let before = std::mem::replace(&mut self.kept, self.model.kept());
        assert_eq!(kept(&self.record), self.kept, "the kept record");
        for (before, head) in before.heads.iter().zip(self.kept.heads) {
            assert!(*before <= head, "a kept head never decreases");
        }
    }

    /// Loses and restores the queue. Some of the present fans then show their tokens.
    pub async fn lose(&mut self, loss: Loss, showing: &[bool]) {
        (self.stores.lose)(loss).await;
        for queues in &self.stores.instances {
            let snapshot = queues.snapshot(self.model.performance).await.expect("the store answers");
            assert_eq!(snapshot, None, "the queue is lost");
        }
        let limits = self.limits;
        self.open().await;
        let kept = self.kept.clone();
        self.model.lose(&kept, limits);
        let shows = |fan: &usize| showing[*fan] && self.model.fans[*fan].is_present;
        let shown = |fan| self.model.choice(TokenChoice { fan, earlier: false, admitted: true });
        // Not in the order of the queue, and alternately by the two instances.
        let shown: Vec<_> = (0..FANS).rev().filter(shows).filter_map(shown).collect();
        for some in shown.chunks(3) {
            self.show(some).await;
        }
    }
}

fn kept(record: &QueueRecord) -> Kept {
    let phase = |inside: &Inside| if inside.active { Phase::Active(inside.until) } else { Phase::Called(inside.until) };
    Kept {
        at: record.recorded_at,
        heads: std::array::from_fn(|lane| record.lanes[lane].head),
        tails: std::array::from_fn(|lane| record.lanes[lane].tail),
        inside: record.inside.iter().map(|inside| (inside.lane_number, phase(inside))).collect(),
        unspent: record.unspent,
    }
}
