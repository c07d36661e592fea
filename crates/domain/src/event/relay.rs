//! Where the relay of the outbox is, and the keys that it holds back.
//!
//! The relay publishes events in the order of the outbox and keeps a cursor. An event that cannot be published holds back its key: the
//! cursor goes on, and later events of the key are left out and read again when it is tried again. After some tries the key is *parked*:
//! it is tried less often, and operators are told.

use std::time::Duration;

use uuid::Uuid;

use crate::event::{OutboxPlace, OutboxRecord};
use crate::time::Timestamp;

/// After so many failures in a row of one event its key is parked. By then a transient fault is over.
pub const TRIES_BEFORE_PARKED: u32 = 5;
/// How long the second try waits. Each further one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two tries of a key: parked keys go on by themselves soon after their cause has been removed.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// The most keys that are held back. If more fail, it is not the events, and the relay stops until they can be published.
pub const KEYS_HELD_BACK_MAX: usize = 1_000;

/// How far the relay has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayPosition {
    /// Everything up to here is published, but for the events of keys that are held back.
    pub cursor: OutboxPlace,
    /// At most [`KEYS_HELD_BACK_MAX`], each key once.
    pub held_back: Vec<HeldBackKey>,
}

/// A key of which an event could not be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBackKey {
    /// The key.
    pub key: Uuid,
    /// Everything of the key up to here is published.
    pub published: OutboxPlace,
    /// The id of the event that failed.
    pub event_id: String,
    /// Why it failed last.
    pub reason: String,
    /// How often it failed in a row.
    pub failures: u32,
    /// When it is tried again.
    pub next_try_at: Timestamp,
}

impl RelayPosition {
    /// The key, if it is held back.
    pub fn held_back(&self, key: Uuid) -> Option<&HeldBackKey> {
        self.held_back.iter().find(|held| held.key == key)
    }

    /// Up to here everything is published, whatever its key.
    pub fn delivered(&self) -> OutboxPlace {
        self.held_back.iter().map(|held| held.published).fold(self.cursor, OutboxPlace::min)
    }

    /// The number of parked keys.
    pub fn parked(&self) -> usize {
        self.held_back.iter().filter(|held| held.is_parked()).count()
    }
}

impl HeldBackKey {
    /// The key of an event that failed for the first time.
    pub fn of(failed: &OutboxRecord, reason: String, now: Timestamp) -> Self {
        Self {
            key: failed.key,
            published: failed.place.before(),
            event_id: failed.id.clone(),
            reason,
            failures: 1,
            next_try_at: now + FIRST_PAUSE,
        }
    }

    /// The key after another try, in which this event failed.
    pub fn failed_again(&self, failed: &OutboxRecord, reason: String, now: Timestamp) -> Self {
        let first = Self::of(failed, reason, now);
        if failed.id != self.event_id {
            return first;
        }
        let failures = self.failures.saturating_add(1);
        let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_PAUSE);
        Self { failures, next_try_at: now + pause, ..first }
    }

    /// Whether it has failed so often that somebody must look at it.
    pub fn is_parked(&self) -> bool {
        self.failures >= TRIES_BEFORE_PARKED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::UnreadableEvent;

    fn record(sequence: i64) -> OutboxRecord {
        OutboxRecord {
            place: OutboxPlace { window: 3, sequence },
            id: format!("kind/{sequence}"),
            kind: "kind".to_owned(),
            key: Uuid::max(),
            at: Timestamp::UNIX_EPOCH,
            event: Err(UnreadableEvent("kind".to_owned())),
        }
    }

    #[test]
    fn pauses_grow_until_the_key_is_parked_and_then_stay_bounded() {
        let now = Timestamp::UNIX_EPOCH;
        let mut held = HeldBackKey::of(&record(7), "why".to_owned(), now);
        let mut pauses = vec![];
        for _ in 0..12 {
            pauses.push((held.next_try_at - now).num_seconds());
            held = held.failed_again(&record(7), "why".to_owned(), now);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert!(held.is_parked() && !HeldBackKey::of(&record(7), String::new(), now).is_parked());
    }

    #[test]
    fn another_event_of_the_key_begins_anew() {
        let now = Timestamp::UNIX_EPOCH;
        let held = HeldBackKey::of(&record(7), String::new(), now).failed_again(&record(7), String::new(), now);
        let next = held.failed_again(&record(9), String::new(), now);
        assert_eq!((held.failures, next.failures, next.published.sequence), (2, 1, 8));
    }

    #[test]
    fn what_is_held_back_is_not_delivered() {
        let held = HeldBackKey::of(&record(7), String::new(), Timestamp::UNIX_EPOCH);
        let cursor = OutboxPlace { window: 9, sequence: 0 };
        let position = RelayPosition { cursor, held_back: vec![held] };
        assert_eq!(position.delivered(), OutboxPlace { window: 3, sequence: 6 });
        assert_eq!(RelayPosition { cursor, held_back: vec![] }.delivered(), cursor);
    }
}
