//! Remembers which searches found nothing. When a performance is sold out, everybody makes the same few searches, and each looks at
//! all seats of the venue.

use std::sync::Arc;

use encore_domain::booking::best_available::SeatSearch;

/// How many searches are remembered. Fans make few kinds of them.
const KEPT_MAX: usize = 32;

/// Searches that found nothing in one state of the seats.
#[derive(Debug, Default)]
pub(crate) struct FailedSearches(Vec<SeatSearch>);

impl FailedSearches {
    /// The result of a search, which is made unless it is known to find nothing.
    pub(crate) fn unless_known<T>(&mut self, search: &SeatSearch, make: impl FnOnce() -> Option<T>) -> Option<T> {
        if self.0.iter().any(|failed| is_same(failed, search)) {
            return None;
        }
        let found = make();
        if found.is_none() && self.0.len() < KEPT_MAX {
            self.0.push(search.clone());
        }
        found
    }

    /// Forgets all: seats were freed.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

fn is_same(one: &SeatSearch, other: &SeatSearch) -> bool {
    Arc::ptr_eq(&one.order, &other.order) && (one.count, one.allow_split) == (other.count, other.allow_split)
}

#[cfg(test)]
mod tests {
    use encore_domain::booking::best_available::SeatOrder;

    use super::*;

    #[test]
    fn a_search_that_found_nothing_is_made_once_until_seats_are_freed() {
        let order = Arc::new(SeatOrder { sections: vec![], distances: vec![], accessible: vec![] });
        let search = SeatSearch { order, count: 2, allow_split: false };
        let mut failed = FailedSearches::default();
        assert_eq!(failed.unless_known(&search, || None::<u8>), None);
        assert_eq!(failed.unless_known(&search, || Some(1)), None, "known");
        let others = [
            SeatSearch { count: 1, ..search.clone() },
            SeatSearch { allow_split: true, ..search.clone() },
            SeatSearch { order: Arc::new((*search.order).clone()), ..search.clone() },
        ];
        for other in &others {
            assert_eq!(failed.unless_known(other, || Some(1)), Some(1), "{other:?}");
        }
        failed.clear();
        assert_eq!(failed.unless_known(&search, || Some(1)), Some(1));
    }

    #[test]
    fn no_more_than_some_are_remembered() {
        let order = Arc::new(SeatOrder { sections: vec![], distances: vec![], accessible: vec![] });
        let mut failed = FailedSearches::default();
        for count in 0..KEPT_MAX * 2 {
            failed.unless_known(&SeatSearch { order: Arc::clone(&order), count, allow_split: false }, || None::<u8>);
        }
        assert_eq!(failed.0.len(), KEPT_MAX);
    }
}
