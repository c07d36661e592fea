//! Chooses the best free seats of a performance on a copy of the locks, so that many callers who come at once share one read of the
//! locks, and none is given what another was given a moment ago.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_domain::booking::best_available::SeatSearch;
use encore_domain::booking::seat_state::{SeatState, SeatStatus};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::SeatLocks;
use moka::future::Cache;
use tokio::time::Instant;

use crate::failed_searches::FailedSearches;
use crate::mutex::lock;
use crate::turns::Turns;

/// How many performances have a chooser. One of 60,000 seats takes 120 KB.
const CHOOSERS_KEPT: u64 = 1_000;
/// How long an unused chooser is kept.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// The choosers of all performances. Clones share them.
#[derive(Clone)]
pub(crate) struct Choosers {
    locks: Arc<dyn SeatLocks>,
    choosers: Cache<PerformanceId, Arc<Chooser>>,
}

/// Chooses seats of one performance.
pub(crate) struct Chooser {
    performance: PerformanceId,
    locks: Arc<dyn SeatLocks>,
    /// Who may choose.
    pub(crate) turns: Turns,
    /// Locked while the locks are read, so that concurrent callers share the read.
    reading: tokio::sync::Mutex<()>,
    view: Mutex<View>,
}

/// The seats as they were read, and what was proposed since.
#[derive(Default)]
struct View {
    /// When the read began; none if the locks were not read yet.
    begun: Option<Instant>,
    version: u64,
    statuses: Vec<Option<SeatStatus>>,
    /// What is being locked. A read may not show it yet.
    proposed: HashSet<Slot>,
    failed: FailedSearches,
}

/// What a chooser finds.
pub(crate) enum Choice {
    /// These seats, which nobody else is proposed meanwhile.
    Seats(Proposal),
    /// No free seats fit, as was seen after the call.
    None {
        /// The version in which there are none.
        version: u64,
    },
    /// The performance's seats are not loaded.
    NotLoaded,
}

/// Seats to lock. Unless they are [kept](Self::keep), they may be proposed again when this is dropped.
pub(crate) struct Proposal {
    chooser: Arc<Chooser>,
    slots: Vec<Slot>,
    is_kept: bool,
}

impl Choosers {
    pub(crate) fn new(locks: Arc<dyn SeatLocks>) -> Self {
        Self { locks, choosers: Cache::builder().max_capacity(CHOOSERS_KEPT).time_to_idle(KEPT_FOR).build() }
    }

    /// The chooser of a performance.
    pub(crate) async fn of(&self, performance: PerformanceId) -> Arc<Chooser> {
        let new = async {
            let (locks, turns) = (Arc::clone(&self.locks), Turns::new());
            Arc::new(Chooser {
                performance,
                locks,
                turns,
                reading: tokio::sync::Mutex::default(),
                view: Mutex::default(),
            })
        };
        self.choosers.get_with(performance, new).await
    }
}

impl Chooser {
    /// Whose seats it chooses.
    pub(crate) fn performance(&self) -> PerformanceId {
        self.performance
    }

    /// Chooses the best seats for a call that came at `called`, on a read of the locks that began no earlier.
    pub(crate) async fn choose(self: &Arc<Self>, search: &SeatSearch, called: Instant) -> Result<Choice, Unavailable> {
        if !self.has_read_since(called) {
            let _reading = self.reading.lock().await;
            if !self.has_read_since(called) {
                let begun = Instant::now();
                let Some(state) = self.locks.snapshot(self.performance).await? else { return Ok(Choice::NotLoaded) };
                lock(&self.view).show(begun, state);
            }
        }
        let mut view = lock(&self.view);
        Ok(match view.propose(search) {
            Some(slots) => Choice::Seats(Proposal { chooser: Arc::clone(self), slots, is_kept: false }),
            None => Choice::None { version: view.version },
        })
    }

    /// Notes that the locks have refused these seats of a proposal.
    pub(crate) fn note_taken(&self, slots: &[Slot]) {
        lock(&self.view).set(slots, SeatStatus::Held);
    }

    fn has_read_since(&self, called: Instant) -> bool {
        lock(&self.view).begun.is_some_and(|begun| begun >= called)
    }
}

impl View {
    fn show(&mut self, begun: Instant, SeatState { version, statuses }: SeatState) {
        (self.begun, self.version, self.statuses) = (Some(begun), version, statuses);
        self.failed.clear();
        let proposed: Vec<Slot> = self.proposed.iter().copied().collect();
        self.set(&proposed, SeatStatus::Held);
    }

    fn propose(&mut self, search: &SeatSearch) -> Option<Vec<Slot>> {
        let slots = self.failed.unless_known(search, || search.choose(&self.statuses))?;
        self.set(&slots, SeatStatus::Held);
        self.proposed.extend(&slots);
        Some(slots)
    }

    fn set(&mut self, slots: &[Slot], status: SeatStatus) {
        for slot in slots {
            if let Some(seat) = self.statuses.get_mut(slot.0 as usize) {
                *seat = Some(status);
            }
        }
    }
}

impl Proposal {
    /// The seats, in order.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The seats were locked. Returns them.
    pub(crate) fn keep(mut self) -> Vec<Slot> {
        self.is_kept = true;
        self.slots.clone()
    }
}

impl Drop for Proposal {
    fn drop(&mut self) {
        let mut view = lock(&self.chooser.view);
        for slot in &self.slots {
            view.proposed.remove(slot);
        }
        if !self.is_kept {
            view.set(&self.slots, SeatStatus::Free);
            view.failed.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use encore_domain::booking::best_available::{SeatOrder, Stretch};
    use encore_domain::ports::MockSeatLocks;
    use encore_port_tests::fixtures::id;

    use super::*;

    /// A search for neighbours in a row of four, the first seat of which is the best.
    fn search(count: usize) -> SeatSearch {
        // One order, as searches of one kind share it: what found nothing is known by it.
        static ORDER: OnceLock<Arc<SeatOrder>> = OnceLock::new();
        let row = Stretch { first: Slot(0), last: Slot(3), nearest: 1 };
        let order = || SeatOrder { sections: vec![vec![row]], distances: vec![1, 2, 3, 4], accessible: vec![false; 4] };
        SeatSearch { order: Arc::clone(ORDER.get_or_init(|| Arc::new(order()))), count, allow_split: false }
    }

    /// Locks of a row of four free seats, and how often they were read.
    fn free_row() -> (Arc<dyn SeatLocks>, Arc<AtomicUsize>) {
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let mut locks = MockSeatLocks::new();
        locks.expect_snapshot().returning(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Some(SeatState { statuses: vec![Some(SeatStatus::Free); 4], version: 7 }))
        });
        (Arc::new(locks), reads)
    }

    async fn chooser(locks: &Arc<dyn SeatLocks>) -> Arc<Chooser> {
        Choosers::new(Arc::clone(locks)).of(id()).await
    }

    async fn proposal(chooser: &Arc<Chooser>, count: usize, called: Instant) -> Proposal {
        match chooser.choose(&search(count), called).await.expect("the locks answer") {
            Choice::Seats(proposal) => proposal,
            Choice::None { .. } | Choice::NotLoaded => panic!("there are free seats"),
        }
    }

    async fn finds_none(chooser: &Arc<Chooser>, called: Instant) -> bool {
        matches!(chooser.choose(&search(2), called).await, Ok(Choice::None { version: 7 }))
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_come_at_once_share_a_read_and_get_different_seats() {
        let (locks, reads) = free_row();
        let chooser = chooser(&locks).await;
        let called = Instant::now();
        let first = proposal(&chooser, 2, called).await;
        let second = proposal(&chooser, 2, called).await;
        assert_eq!((first.slots(), second.slots()), (&[Slot(0), Slot(1)][..], &[Slot(2), Slot(3)][..]));
        assert!(finds_none(&chooser, called).await);
        assert_eq!(reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_call_reads_again_and_gets_nothing_that_is_being_locked() {
        let (locks, reads) = free_row();
        let chooser = chooser(&locks).await;
        let first = proposal(&chooser, 2, Instant::now()).await;
        tokio::time::advance(Duration::from_millis(1)).await;
        // The locks show the first two as free still.
        assert_eq!(proposal(&chooser, 2, Instant::now()).await.slots(), [Slot(2), Slot(3)]);
        assert_eq!(reads.load(Ordering::SeqCst), 2);
        drop(first);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_locked_is_proposed_again_and_what_was_is_not() {
        let (locks, _) = free_row();
        let chooser = chooser(&locks).await;
        let called = Instant::now();
        drop(proposal(&chooser, 2, called).await);
        let again = proposal(&chooser, 2, called).await;
        assert_eq!(again.keep(), [Slot(0), Slot(1)]);
        let others = proposal(&chooser, 2, called).await;
        assert!(finds_none(&chooser, called).await);
        drop(others);
        assert!(!finds_none(&chooser, called).await, "a search is made again once seats are free");
        chooser.note_taken(&[Slot(2)]);
        assert!(finds_none(&chooser, called).await);
        assert_eq!(proposal(&chooser, 1, called).await.slots(), [Slot(3)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_read_may_find_what_an_earlier_one_did_not() {
        let mut locks = MockSeatLocks::new();
        let mut statuses = [SeatStatus::Free, SeatStatus::Sold];
        locks.expect_snapshot().returning(move |_| {
            statuses.reverse();
            Ok(Some(SeatState { statuses: vec![Some(statuses[0]); 4], version: 7 }))
        });
        let locks: Arc<dyn SeatLocks> = Arc::new(locks);
        let chooser = chooser(&locks).await;
        assert!(finds_none(&chooser, Instant::now()).await);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(proposal(&chooser, 2, Instant::now()).await.slots(), [Slot(0), Slot(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn locks_that_are_not_loaded_choose_nothing() {
        let mut locks = MockSeatLocks::new();
        locks.expect_snapshot().returning(|_| Ok(None));
        let locks: Arc<dyn SeatLocks> = Arc::new(locks);
        let chosen = chooser(&locks).await.choose(&search(1), Instant::now()).await;
        assert!(matches!(chosen, Ok(Choice::NotLoaded)));
    }
}
