//! Events that many fans are told of: everybody who has a paid reservation of a performance.
//!
//! Each step tells the buyers of one page of seats, so that other mails are not held up. Which fans were told is noted by the event and the
//! fan. The saved cursor stays before the event until all are told, so another instance that takes over begins it again, and tells those who
//! are not noted.

use std::collections::{BTreeMap, HashSet};

use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::event::{Event, OutboxPlace, OutboxRecord};
use encore_domain::ids::UserId;
use encore_domain::page::{Page, PageRequest};
use encore_domain::time::Timestamp;
use futures::future::join_all;
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::mails::Outcome;
use super::{BACK_OFF, Inner, SENT_AT_ONCE, State};

/// The most events that are told to many at once. Each is an event in memory, and one that another instance begins again when it takes over.
const BROADCASTS_MAX: usize = 20;
/// How many sold seats a step reads.
const SEATS: u32 = 100;
/// How often all fans of an event are gone through: those whose mail was not accepted are tried again each time.
const PASSES_MAX: u32 = 20;

/// The events that fans are being told of, by their places.
#[derive(Default)]
pub(super) struct Broadcasts(BTreeMap<OutboxPlace, Broadcast>);

struct Broadcast {
    record: OutboxRecord,
    /// The seats up to here were gone through.
    after: Option<Slot>,
    /// How many mails of this pass were not accepted.
    failed: u64,
    passes: u32,
    /// It goes on at this moment.
    next_at: Timestamp,
    /// How many mails had been accepted when a whole wave of it was not, last.
    refused_at: Option<u64>,
}

/// What came of a page of seats.
struct Told {
    next: Next,
    /// How many mails were not accepted.
    failed: u64,
}

/// How a broadcast goes on.
enum Next {
    /// The same seats again, later: no mail of a wave was accepted.
    Again,
    /// Behind these seats.
    Behind(Option<Slot>),
}

impl Broadcasts {
    /// Begins to tell of an event, if that has not begun. Returns whether there was room.
    pub(super) fn begin(&mut self, record: &OutboxRecord, now: Timestamp) -> bool {
        if self.0.contains_key(&record.place) {
            return true;
        }
        if self.0.len() >= BROADCASTS_MAX {
            return false;
        }
        let record = record.clone();
        let (after, failed, passes, refused_at) = (None, 0, 0, None);
        self.0.insert(record.place, Broadcast { record, after, failed, passes, next_at: now, refused_at });
        true
    }

    /// The first place of an event that not all were told of.
    pub(super) fn first(&self) -> Option<OutboxPlace> {
        self.0.keys().next().copied()
    }

    /// The event that goes on next, if one is due.
    fn due(&self, now: Timestamp) -> Option<OutboxPlace> {
        let due = self.0.iter().filter(|(_, broadcast)| broadcast.next_at <= now);
        due.min_by_key(|(place, broadcast)| (broadcast.next_at, **place)).map(|(place, _)| *place)
    }
}

impl Broadcast {
    /// Whether to wait after a wave of which no mail was accepted. While no other is accepted either, it is the server, and not the
    /// mailboxes.
    fn waits(&mut self, accepted: u64) -> bool {
        let others_since = self.refused_at.is_some_and(|before| before < accepted);
        self.refused_at = Some(accepted);
        !others_since
    }

    /// Goes on behind the seats of a page. Returns whether that was the last page of the last pass.
    fn turn(&mut self, next: Option<Slot>, now: Timestamp) -> bool {
        self.after = next;
        if next.is_some() {
            return false;
        }
        self.passes += 1;
        if self.failed == 0 || self.passes >= PASSES_MAX {
            return true;
        }
        (self.failed, self.next_at) = (0, now + BACK_OFF);
        false
    }
}

impl Inner {
    /// Tells the fans of one page of seats, of the event that waits longest. Returns how many mails were not accepted.
    pub(super) async fn broadcast(&self, state: &mut State, stop: &CancellationToken) -> Result<u64, Unavailable> {
        let now = self.clock.now();
        let Some(place) = state.broadcasts.due(now) else { return Ok(0) };
        let Some(Broadcast { record, after, .. }) = state.broadcasts.0.get(&place) else { return Ok(0) };
        let (record, after) = (record.clone(), *after);
        let mut failed = 0;
        if record.event.is_err() || record.at < self.oldest() {
            warn!(event = record.id, "not all fans were told of an event in time; given up");
        } else {
            let Some(told) = self.tell_page(state, stop, &record, after).await? else { return Ok(0) };
            let Some(broadcast) = state.broadcasts.0.get_mut(&place) else { return Ok(0) };
            failed = told.failed;
            let Next::Behind(next) = told.next else {
                broadcast.next_at = now + BACK_OFF;
                return Ok(failed);
            };
            broadcast.failed += failed;
            let left = broadcast.failed;
            if !broadcast.turn(next, now) {
                return Ok(failed);
            }
            if left > 0 {
                warn!(event = record.id, left, "some fans could not be told of an event; given up");
            } else {
                info!(event = record.id, "all fans were told of an event");
            }
        }
        self.notifications.note(&[record.id], now).await?;
        state.broadcasts.0.remove(&place);
        self.save(state).await?;
        Ok(failed)
    }

    /// Tells the buyers of a page of seats. None if it was stopped.
    async fn tell_page(
        &self,
        state: &mut State,
        stop: &CancellationToken,
        record: &OutboxRecord,
        after: Option<Slot>,
    ) -> Result<Option<Told>, Unavailable> {
        let Some(performance) = record.event.as_ref().ok().and_then(Event::performance) else {
            return Ok(Some(Told { next: Next::Behind(None), failed: 0 }));
        };
        let Page { items, next } =
            self.reservations.sold_seats(performance, PageRequest { after, size: SEATS }).await?;
        let mut seen = HashSet::new();
        let before = items.iter().filter(|seat| seat.confirmed_at < record.at).map(|seat| seat.user);
        let fans: Vec<(UserId, String)> =
            before.filter(|fan| seen.insert(*fan)).map(|fan| (fan, format!("{}/{fan}", record.id))).collect();
        let ids: Vec<String> = fans.iter().map(|(_, id)| id.clone()).collect();
        let noted = if ids.is_empty() { HashSet::new() } else { self.notifications.noted(&ids).await? };
        let fans: Vec<(UserId, String)> = fans.into_iter().filter(|(_, id)| !noted.contains(id)).collect();
        let mut failed = 0;
        for wave in fans.chunks(SENT_AT_ONCE) {
            if !self.goes_on(state, stop).await? {
                return Ok(None);
            }
            let failed_of_wave = self.tell_wave(state, record, wave).await?;
            failed += failed_of_wave;
            let is_refused = failed_of_wave == wave.len() as u64;
            let broadcast = state.broadcasts.0.get_mut(&record.place);
            if is_refused && broadcast.is_some_and(|broadcast| broadcast.waits(state.accepted)) {
                return Ok(Some(Told { next: Next::Again, failed }));
            }
        }
        Ok(Some(Told { next: Next::Behind(next), failed }))
    }

    /// Sends the mails of a wave, and notes those that need no further try. Returns how many were not accepted.
    async fn tell_wave(
        &self,
        state: &mut State,
        record: &OutboxRecord,
        wave: &[(UserId, String)],
    ) -> Result<u64, Unavailable> {
        let outcomes = join_all(wave.iter().map(|(fan, _)| self.mails.tell_fan(record, *fan))).await;
        let (mut done, mut failed, mut outage) = (Vec::new(), 0, None);
        for ((fan, id), outcome) in wave.iter().zip(outcomes) {
            let outcome = match outcome {
                Ok(Outcome::Sent) => "sent",
                Ok(Outcome::Skipped) => "skipped",
                Ok(Outcome::Refused(refusal)) => {
                    let error = &refusal as &dyn std::error::Error;
                    warn!(event = record.id, %fan, error, "a mail to a fan cannot be sent; given up");
                    "given_up"
                }
                Ok(Outcome::Failed) => "failed",
                Err(unavailable) => {
                    outage = Some(unavailable);
                    continue;
                }
            };
            counter!("encore_notifications_total", "outcome" => outcome).increment(1);
            state.accepted += u64::from(outcome == "sent");
            if outcome == "failed" {
                failed += 1;
            } else {
                done.push(id.clone());
            }
        }
        if !done.is_empty() {
            self.notifications.note(&done, self.clock.now()).await?;
        }
        outage.map_or(Ok(failed), Err)
    }
}

#[cfg(test)]
mod tests {
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

    fn broadcast() -> Broadcast {
        Broadcast { record: record(1), after: None, failed: 0, passes: 0, next_at: NOW, refused_at: None }
    }

    #[test]
    fn no_more_than_twenty_events_are_told_at_once() {
        let mut broadcasts = Broadcasts::default();
        for sequence in (1..=20).rev() {
            assert!(broadcasts.begin(&record(sequence), NOW));
        }
        assert!(!broadcasts.begin(&record(21), NOW));
        assert!(broadcasts.begin(&record(7), NOW), "it has begun already");
        assert_eq!((broadcasts.first(), broadcasts.due(NOW)), (Some(record(1).place), Some(record(1).place)));
        broadcasts.0.get_mut(&record(1).place).expect("it has begun").next_at = NOW + BACK_OFF;
        assert_eq!(broadcasts.due(NOW), Some(record(2).place));
    }

    #[test]
    fn all_fans_are_gone_through_again_while_mails_fail() {
        let mut broadcast = broadcast();
        assert!(!broadcast.turn(Some(Slot(99)), NOW));
        assert_eq!(broadcast.after, Some(Slot(99)));
        broadcast.failed = 2;
        assert!(!broadcast.turn(None, NOW), "two are tried again");
        assert_eq!((broadcast.after, broadcast.failed, broadcast.next_at), (None, 0, NOW + BACK_OFF));
        assert!(broadcast.turn(None, NOW), "all were told");
        for _ in 0..17 {
            broadcast.failed = 1;
            assert!(!broadcast.turn(None, NOW));
        }
        broadcast.failed = 1;
        assert!(broadcast.turn(None, NOW), "it is given up");
    }

    #[test]
    fn a_wave_that_is_refused_waits_until_others_are_accepted() {
        let mut broadcast = broadcast();
        assert!(broadcast.waits(5) && broadcast.waits(5));
        assert!(!broadcast.waits(6), "the server accepts mails");
        assert!(broadcast.waits(6));
    }
}
