use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use encore_domain::catalog::performance_change::ChangeCursor;
use encore_domain::catalog::search::SearchWords;
use encore_domain::catalog::sort_key::SortKey;
use encore_domain::catalog::{Concert, Performance, Venue};
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use encore_domain::queue::Queue;
use encore_domain::time::Timestamp;

/// What happens to a performance once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Milestone {
    /// Its queue opened.
    QueueOpened,
    /// It was cancelled.
    Cancelled,
}

#[derive(Default)]
pub struct CatalogRecords {
    /// Shared, since a large venue takes milliseconds to copy: that is done outside the mutex.
    pub venues: HashMap<VenueId, Arc<Venue>>,
    pub concerts: BTreeMap<ConcertId, Concert>,
    /// The words of each concert.
    pub words: HashMap<ConcertId, SearchWords>,
    /// The title of each concert as it is sorted.
    pub titles: HashMap<ConcertId, SortKey>,
    pub performances: HashMap<PerformanceId, Performance>,
    pub by_concert: HashMap<ConcertId, BTreeSet<(Timestamp, PerformanceId)>>,
    pub by_start: BTreeSet<(Timestamp, PerformanceId)>,
    pub by_end_of_sale: BTreeSet<(Timestamp, PerformanceId)>,
    /// Those that were changed after they were published, by when they were changed last.
    pub by_change: BTreeSet<ChangeCursor>,
    pub queues: HashMap<PerformanceId, Queue>,
    /// What happened once, and when it was noted.
    pub milestones: BTreeMap<(PerformanceId, Milestone), Timestamp>,
}

impl CatalogRecords {
    /// Notes what happens once. Returns whether it was not noted before.
    pub fn reach(&mut self, performance: PerformanceId, milestone: Milestone, at: Timestamp) -> bool {
        match self.milestones.entry((performance, milestone)) {
            Entry::Vacant(vacant) => {
                vacant.insert(at);
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// Adds a concert.
    pub fn add_concert(&mut self, concert: Concert) {
        self.words.insert(concert.id, concert.search_words());
        self.titles.insert(concert.id, SortKey::of(concert.title.as_str()));
        self.concerts.insert(concert.id, concert);
    }

    /// Adds a performance with its queue, if it has one.
    pub fn add_performance(&mut self, performance: Performance, queue: Option<Queue>) {
        let Performance { id, concert, starts_at, on_sale, .. } = performance;
        self.by_start.insert((starts_at, id));
        self.by_concert.entry(concert).or_default().insert((starts_at, id));
        self.by_end_of_sale.insert((on_sale.closes_at, id));
        self.queues.extend(queue.map(|queue| (id, queue)));
        self.performances.insert(id, performance);
    }

    /// Replaces a performance that was changed at this moment.
    pub fn change_performance(&mut self, performance: Performance, at: Timestamp) {
        let id = performance.id;
        if let Some(Performance { concert, starts_at, on_sale, .. }) = self.performances.remove(&id) {
            self.by_start.remove(&(starts_at, id));
            self.by_concert.entry(concert).or_default().remove(&(starts_at, id));
            self.by_end_of_sale.remove(&(on_sale.closes_at, id));
        }
        self.by_change.retain(|(_, changed)| *changed != id);
        self.by_change.insert((at, id));
        self.add_performance(performance, None);
    }
}
