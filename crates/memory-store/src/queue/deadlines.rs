use std::collections::{BTreeSet, HashMap};

use encore_domain::queue::LaneNumber;
use encore_domain::time::Timestamp;

/// Numbers with the moment at which their time is over, found by either.
#[derive(Default)]
pub struct Deadlines {
    by_number: HashMap<LaneNumber, Timestamp>,
    by_time: BTreeSet<(Timestamp, LaneNumber)>,
}

impl Deadlines {
    pub fn len(&self) -> u64 {
        self.by_number.len() as u64
    }

    pub fn insert(&mut self, number: LaneNumber, deadline: Timestamp) {
        self.by_number.insert(number, deadline);
        self.by_time.insert((deadline, number));
    }

    /// Answers whether it was there.
    pub fn remove(&mut self, number: LaneNumber) -> bool {
        let deadline = self.by_number.remove(&number);
        deadline.is_some_and(|deadline| self.by_time.remove(&(deadline, number)))
    }

    /// The deadline of a number, if it is after `now`.
    pub fn after(&self, number: LaneNumber, now: Timestamp) -> Option<Timestamp> {
        self.by_number.get(&number).copied().filter(|deadline| now < *deadline)
    }

    /// Takes out a number whose time is over.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<LaneNumber> {
        let (deadline, number) = *self.by_time.first()?;
        if deadline > now {
            return None;
        }
        self.remove(number);
        Some(number)
    }

    /// All of them.
    pub fn to_map(&self) -> HashMap<LaneNumber, Timestamp> {
        self.by_number.clone()
    }
}
