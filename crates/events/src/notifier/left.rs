//! The events whose mails were not accepted yet, and are tried again.

use std::collections::BTreeMap;

use encore_domain::event::{OutboxPlace, OutboxRecord};
use encore_domain::time::Timestamp;

/// The most events that are left. Each is an event in memory, and one that another instance reads again when it takes over.
const LEFT_MAX: usize = 100;
/// How often a mail is tried again, with others accepted since the try before.
const TRIES_MAX: u32 = 20;

/// The events that are left, by their places.
#[derive(Default)]
pub(super) struct Left(BTreeMap<OutboxPlace, LeftEvent>);

struct LeftEvent {
    record: OutboxRecord,
    tries: u32,
    /// How many mails had been accepted at the last try.
    accepted: u64,
    next_try_at: Timestamp,
}

/// What becomes of an event whose mail was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It is tried again.
    Left,
    /// It was tried often enough.
    GivenUp,
    /// It would be tried again, but too many are left.
    NoRoom,
}

impl Left {
    /// A mail was not accepted. `accepted` is how many were, of all events and in all tries.
    pub(super) fn fail(&mut self, record: &OutboxRecord, accepted: u64, next_try_at: Timestamp) -> Failed {
        if let Some(left) = self.0.get_mut(&record.place) {
            // While none is accepted it is the server, and not the mailbox.
            left.tries += u32::from(left.accepted < accepted);
            (left.accepted, left.next_try_at) = (accepted, next_try_at);
            if left.tries < TRIES_MAX {
                return Failed::Left;
            }
            self.0.remove(&record.place);
            return Failed::GivenUp;
        }
        if self.0.len() >= LEFT_MAX {
            return Failed::NoRoom;
        }
        self.0.insert(record.place, LeftEvent { record: record.clone(), tries: 0, accepted, next_try_at });
        Failed::Left
    }

    /// An event needs no mail any more.
    pub(super) fn remove(&mut self, place: OutboxPlace) {
        self.0.remove(&place);
    }

    /// Whether an event is left.
    pub(super) fn contains(&self, place: OutboxPlace) -> bool {
        self.0.contains_key(&place)
    }

    /// The first place that is left.
    pub(super) fn first(&self) -> Option<OutboxPlace> {
        self.0.keys().next().copied()
    }

    /// The events that are tried again now, those that wait longest first.
    pub(super) fn due(&self, now: Timestamp) -> Vec<OutboxRecord> {
        let mut due: Vec<&LeftEvent> = self.0.values().filter(|left| left.next_try_at <= now).collect();
        due.sort_by_key(|left| (left.next_try_at, left.record.place));
        due.into_iter().map(|left| left.record.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use encore_domain::event::UnreadableEvent;
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn record(sequence: i64) -> OutboxRecord {
        OutboxRecord {
            place: OutboxPlace { window: 3, sequence },
            id: format!("kind/{sequence}"),
            kind: "kind".to_owned(),
            key: Uuid::nil(),
            at: NOW,
            event: Err(UnreadableEvent("kind".to_owned())),
        }
    }

    #[test]
    fn a_mail_is_given_up_after_tries_between_which_others_were_accepted() {
        let mut left = Left::default();
        for _ in 0..100 {
            assert_eq!(left.fail(&record(1), 0, NOW), Failed::Left, "none is accepted");
        }
        for accepted in 1..20 {
            assert_eq!(left.fail(&record(1), accepted, NOW), Failed::Left);
            assert_eq!(left.fail(&record(1), accepted, NOW), Failed::Left, "none since");
        }
        assert_eq!(left.fail(&record(1), 20, NOW), Failed::GivenUp);
        assert_eq!(left.first(), None);
    }

    #[test]
    fn no_more_than_a_hundred_are_left() {
        let mut left = Left::default();
        for sequence in 1..=100 {
            assert_eq!(left.fail(&record(sequence), 0, NOW), Failed::Left);
        }
        assert_eq!(left.fail(&record(101), 0, NOW), Failed::NoRoom);
        assert_eq!(left.fail(&record(7), 0, NOW), Failed::Left, "it is left already");
        left.remove(record(1).place);
        assert_eq!(left.first(), Some(record(2).place));
        assert_eq!(left.fail(&record(101), 0, NOW), Failed::Left);
    }

    #[test]
    fn those_that_wait_longest_are_due_first() {
        let mut left = Left::default();
        let later = NOW + Duration::from_secs(1);
        left.fail(&record(1), 0, later);
        left.fail(&record(3), 0, NOW);
        left.fail(&record(2), 0, NOW);
        left.fail(&record(4), 0, later + Duration::from_secs(1));
        let due: Vec<i64> = left.due(later).into_iter().map(|record| record.place.sequence).collect();
        assert_eq!(due, [2, 3, 1]);
    }
}
