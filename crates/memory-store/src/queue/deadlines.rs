use std::collections::{BTreeSet, HashMap};

use encore_domain::queue::LaneNumber;
use encore_domain::time::Timestamp;

/// Numbers with their deadlines, indexed by both.
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

    /// Removes a number. Returns whether it was present.
    pub fn remove(&mut self, number: LaneNumber) -> bool {
        let deadline = self.by_number.remove(&number);
        deadline.is_some_and(|deadline| self.by_time.remove(&(deadline, number)))
    }

    /// The deadline of a number, if it is after `now`.
    pub fn after(&self, number: LaneNumber, now: Timestamp) -> Option<Timestamp> {
        self.by_number.get(&number).copied().filter(|deadline| now < *deadline)
    }

    /// Removes the number with the earliest deadline, if that has passed.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<LaneNumber> {
        let (deadline, number) = *self.by_time.first()?;
        if deadline > now {
            return None;
        }
        self.remove(number);
        Some(number)
    }

    /// All numbers with their deadlines.
    pub fn to_map(&self) -> HashMap<LaneNumber, Timestamp> {
        self.by_number.clone()
    }
}
