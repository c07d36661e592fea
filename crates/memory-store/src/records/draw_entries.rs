use std::collections::{BTreeMap, HashMap};

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::DrawClosed;
use encore_domain::queue::{DrawEntries, DrawEntry};

/// The entries of the draws of all queues.
#[derive(Default)]
pub struct DrawEntryRecords(HashMap<PerformanceId, QueueEntries>);

/// The entries of the draw of one queue.
#[derive(Default)]
struct QueueEntries {
    indexes: BTreeMap<(u8, UserId), u64>,
    counts: DrawEntries,
}

impl DrawEntryRecords {
    /// Enters a fan into the draw of a lane, unless the fan has entered it. Returns the index, or how many entered if the draw is
    /// closed.
    pub fn enter(&mut self, performance: PerformanceId, user: UserId, lane: u8) -> Result<u64, DrawClosed> {
        let QueueEntries { indexes, counts } = self.0.entry(performance).or_default();
        if counts.closed {
            return Err(DrawClosed { joined: counts.joined.clone() });
        }
        let at = usize::from(lane);
        counts.joined.resize(counts.joined.len().max(at + 1), 0);
        let index = indexes.entry((lane, user)).or_insert_with(|| {
            counts.joined[at] += 1;
            counts.joined[at]
        });
        Ok(*index)
    }

    /// Lets nobody enter any more. Returns how many entered.
    pub fn close(&mut self, performance: PerformanceId) -> Vec<u64> {
        let counts = &mut self.0.entry(performance).or_default().counts;
        counts.closed = true;
        counts.joined.clone()
    }

    /// Deletes up to `limit` entries of a queue, whose counts stay. Returns how many.
    pub fn forget(&mut self, performance: PerformanceId, limit: usize) -> usize {
        let Some(entries) = self.0.get_mut(&performance) else { return 0 };
        let before = entries.indexes.len();
        while before - entries.indexes.len() < limit && entries.indexes.pop_first().is_some() {}
        before - entries.indexes.len()
    }

    /// The entries of a fan in all queues, by performance and lane.
    pub fn of_user(&self, user: UserId) -> Vec<DrawEntry> {
        let of_queue = |(performance, entries): (&PerformanceId, &QueueEntries)| {
            let own = entries.indexes.iter().filter(|((_, fan), _)| *fan == user);
            let entry = |((lane, _), index): (&(u8, UserId), &u64)| DrawEntry {
                performance: *performance,
                lane: *lane,
                index: *index,
            };
            own.map(entry).collect::<Vec<_>>()
        };
        let mut own: Vec<DrawEntry> = self.0.iter().flat_map(of_queue).collect();
        own.sort_unstable();
        own
    }

    /// How many entered.
    pub fn counts(&self, performance: PerformanceId) -> DrawEntries {
        self.0.get(&performance).map(|entries| entries.counts.clone()).unwrap_or_default()
    }
}
