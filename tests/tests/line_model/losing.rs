//! What is kept of the line, and how it is lost and put in place again.

use encore_domain::queue::{Inside, LineRecord};

use crate::checked::Checked;
use crate::model::Phase;
use crate::operations::{Hand, Loss};
use crate::record::Kept;
use crate::{EPOCH, FANS, LIMIT_AHEAD, settings};

impl Checked {
    /// Puts the line in place from what was kept last, and raises its limits.
    pub async fn open(&mut self) {
        let (performance, now) = (self.model.performance, self.model.now);
        for (lane, limit) in self.record.lanes.iter_mut().zip(self.limits) {
            // A limit is kept when it is raised.
            lane.limit = limit;
        }
        let line = self.record.restored(None, &[], &self.model.used, &settings(), now);
        for is_first in [true, false] {
            let opened = self.lines().open(performance, &line).await.expect("the store answers");
            assert_eq!(opened, is_first, "a line is put in place once");
        }
        for lane in 0..self.limits.len() {
            self.limits[lane] += LIMIT_AHEAD;
            let (at, limit) = (u8::try_from(lane).expect("few lanes"), self.limits[lane]);
            self.lines().extend(performance, EPOCH, at, limit).await.expect("the line is in place");
        }
    }

    pub async fn keep(&mut self) {
        let (line, now) = (self.snapshot().await, self.model.now);
        self.record = line.record(now, &settings());
        let before = std::mem::replace(&mut self.kept, self.model.kept());
        assert_eq!(kept(&self.record), self.kept, "what is kept");
        for (before, head) in before.heads.iter().zip(self.kept.heads) {
            assert!(*before <= head, "a head that is kept never goes back");
        }
    }

    /// The line is lost and put in place again, and some of those who are there show their places.
    pub async fn lose(&mut self, loss: Loss, showing: &[bool]) {
        (self.stores.lose)(loss).await;
        for lines in &self.stores.instances {
            let snapshot = lines.snapshot(self.model.performance).await.expect("the store answers");
            assert_eq!(snapshot, None, "it is lost");
        }
        let limits = self.limits;
        self.open().await;
        let kept = self.kept.clone();
        self.model.lose(&kept, limits);
        let shows = |fan: &usize| showing[*fan] && self.model.fans[*fan].is_present;
        let shown = |fan| self.model.hand(Hand { fan, earlier: false, admitted: true });
        // In no order of the line's, some by one instance and some by the other.
        let shown: Vec<_> = (0..FANS).rev().filter(shows).filter_map(shown).collect();
        for some in shown.chunks(3) {
            self.show(some).await;
        }
    }
}

fn kept(record: &LineRecord) -> Kept {
    let phase = |inside: &Inside| if inside.active { Phase::Active(inside.until) } else { Phase::Called(inside.until) };
    Kept {
        at: record.recorded_at,
        heads: std::array::from_fn(|lane| record.lanes[lane].head),
        tails: std::array::from_fn(|lane| record.lanes[lane].tail),
        inside: record.inside.iter().map(|inside| (inside.place, phase(inside))).collect(),
        unspent: record.unspent,
    }
}
