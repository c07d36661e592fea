use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::event::OutboxRecord;
use encore_domain::event::message::{EventMessage, PublishOutcome};
use encore_domain::event::relay::{HeldBackKey, KEYS_HELD_BACK_MAX, TRIES_BEFORE_PARKED};
use encore_domain::ports::{Catalog, Clock, EventPublisher, Ids, Outbox, RelayCursor};
use encore_domain::time::Timestamp;
use metrics::counter;
use tokio::sync::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::charts::Charts;
use crate::lease::{Lease, LeaseTerms};

/// For how long delivered events are kept, unless another retention is set.
const RETENTION: Duration = Duration::from_hours(168);
/// How long the lease lasts. When an instance dies, another relays after so long at most.
const LEASE: Duration = Duration::from_secs(3);
/// The lease is renewed when less than this is left of it.
const RENEW_BEFORE: Duration = Duration::from_secs(2);
/// How often it is renewed while a batch is being published.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// The most events that are read and published together. With the largest events that is a hundred megabytes, with usual ones less
/// than one.
const BATCH: u32 = 1_000;
/// The same where each seat has a message: a block has a thousand, and the producer of Kafka queues a hundred thousand.
const BATCH_OF_SEATS: u32 = 50;
/// The most keys that are tried again in one step, so that they do not delay all others.
const KEYS_TRIED_PER_STEP: usize = 10;
/// The most batches of one key that are published in one step.
const BATCHES_OF_KEY_PER_STEP: usize = 5;
/// The most delivered events that are deleted at once: a short transaction.
const FORGOTTEN_AT_ONCE: u32 = 5_000;
/// The pause between two deletions, if there is nothing more to delete.
const FORGET_EVERY: Duration = Duration::from_mins(1);
/// The longest pause after failures.
const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// What a [`Relay`] is made of.
pub struct RelayParts {
    /// Where the events are.
    pub outbox: Arc<dyn Outbox>,
    /// Where the relay is.
    pub cursor: Arc<dyn RelayCursor>,
    /// Where they go.
    pub publisher: Arc<dyn EventPublisher>,
    /// Names the seats.
    pub catalog: Arc<dyn Catalog>,
    /// The time, for the lease and the retention.
    pub clock: Arc<dyn Clock>,
    /// Identifies this relay among those of all instances, and spreads their retries.
    pub ids: Arc<dyn Ids>,
}

/// A relay of the outbox: that of events, or that of the seat feed. See the crate's README. Clones are the same relay.
#[derive(Clone)]
pub struct Relay {
    inner: Arc<Inner>,
    retention: Duration,
    /// The cursors of other relays, which need what they have not published.
    others: Vec<Arc<dyn RelayCursor>>,
}

/// What a relay makes of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    /// A message of each.
    Events,
    /// A message of each seat whose status it changes.
    Seats,
}

struct Inner {
    feed: Feed,
    outbox: Arc<dyn Outbox>,
    publisher: Arc<dyn EventPublisher>,
    charts: Charts,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    state: Mutex<State>,
}

struct State {
    lease: Lease,
    /// Steps that failed in a row.
    failures: u32,
    forget_at: Option<Timestamp>,
}

impl Relay {
    /// How often a step should be taken. An event leaves Encore half as long after its commit on average.
    pub const POLL_EVERY: Duration = Duration::from_millis(250);

    /// The relay of events, which has not begun. It also closes the windows of the outbox, and deletes what is delivered.
    pub fn new(parts: RelayParts) -> Self {
        Self::of(Feed::Events, parts)
    }

    /// The relay of the seat feed, which has not begun. It has a cursor and a publisher of its own.
    pub fn of_seats(parts: RelayParts) -> Self {
        Self::of(Feed::Seats, parts)
    }

    fn of(feed: Feed, parts: RelayParts) -> Self {
        let RelayParts { outbox, cursor, publisher, catalog, clock, ids } = parts;
        let terms = LeaseTerms { task: feed.task(), lasts_for: LEASE, renewed_before: RENEW_BEFORE };
        let lease = Lease::new(cursor, Arc::clone(&clock), ids.next(), terms);
        let state = Mutex::new(State { lease, failures: 0, forget_at: None });
        let inner = Arc::new(Inner { feed, outbox, publisher, charts: Charts::new(catalog), clock, ids, state });
        Self { inner, retention: RETENTION, others: Vec::new() }
    }

    /// The same relay, which keeps delivered events for this long.
    pub fn keeping_for(self, retention: Duration) -> Self {
        Self { retention, ..self }
    }

    /// The same relay, which keeps delivered events for this long or longer.
    pub fn keeping_at_least(self, retention: Duration) -> Self {
        let retention = self.retention.max(retention);
        self.keeping_for(retention)
    }

    /// The same relay, which keeps what the relay with this cursor has not published.
    pub fn keeping_what_needs(mut self, other: Arc<dyn RelayCursor>) -> Self {
        self.others.push(other);
        self
    }

    /// Publishes what is in the outbox, if no other instance does. After a failure it waits before it returns, the longer the more
    /// steps have failed. A cancelled `stop` ends it after the current batch.
    pub async fn step(&self, stop: &CancellationToken) -> Result<(), Unavailable> {
        let mut state = self.inner.state.lock().await;
        let outcome = self.inner.relay(&mut state, self, stop).await;
        if outcome.is_ok() {
            state.failures = 0;
            return outcome;
        }
        state.lease.invalidate();
        state.failures = state.failures.saturating_add(1);
        stop.run_until_cancelled(sleep(self.inner.back_off(state.failures))).await;
        outcome
    }

    /// Lets another instance relay at once.
    pub async fn release(&self) -> Result<(), Unavailable> {
        self.inner.state.lock().await.lease.release().await
    }
}

impl Inner {
    async fn relay(&self, state: &mut State, terms: &Relay, stop: &CancellationToken) -> Result<(), Unavailable> {
        if !state.lease.hold().await? {
            return Ok(());
        }
        if self.feed == Feed::Events {
            self.outbox.close_window().await?;
        }
        while !stop.is_cancelled() && state.lease.hold().await? && self.publish_next(state).await? {}
        self.try_held_back_keys(state, stop).await?;
        if self.feed == Feed::Events && state.lease.is_held() {
            self.forget(state, terms).await?;
        }
        Ok(())
    }

    /// Publishes the next batch. Returns whether there may be another.
    async fn publish_next(&self, state: &mut State) -> Result<bool, Unavailable> {
        let mut position = state.lease.position().clone();
        let page = self.outbox.after(position.cursor, self.feed.batch()).await?;
        if page.end == position.cursor {
            return Ok(false);
        }
        let records = page.records.iter().filter(|record| position.held_back(record.key).is_none());
        let mut failed = self.publish(state, records).await?;
        failed.sort_unstable_by_key(|(record, _)| record.place);
        let now = self.clock.now();
        position.cursor = page.end;
        let mut is_full = false;
        for (record, reason) in failed {
            if position.held_back.len() >= KEYS_HELD_BACK_MAX {
                // It goes no further than here. What was published behind is published again when there is room.
                position.cursor = record.place.before();
                is_full = true;
                break;
            }
            warn!(event = record.id, key = %record.key, reason, "event cannot be published; its key is held back");
            position.held_back.push(HeldBackKey::of(record, reason, now));
        }
        let saved = state.lease.save(position).await?;
        if is_full {
            return Err(Unavailable::defect("event relay", "the events of too many keys cannot be published"));
        }
        Ok(saved)
    }

    /// Publishes the events of keys that are held back and due.
    async fn try_held_back_keys(&self, state: &mut State, stop: &CancellationToken) -> Result<(), Unavailable> {
        let now = self.clock.now();
        let due = state.lease.position().held_back.iter().filter(|held| held.next_try_at <= now);
        let due: Vec<HeldBackKey> = due.take(KEYS_TRIED_PER_STEP).cloned().collect();
        for held in due {
            if stop.is_cancelled() || !state.lease.hold().await? {
                break;
            }
            let left = self.try_key(state, held.clone()).await?;
            let mut position = state.lease.position().clone();
            position.held_back.retain(|other| other.key != held.key);
            if left.is_none() {
                info!(key = %held.key, "events of a key that was held back are published");
            }
            position.held_back.extend(left);
            if !state.lease.save(position).await? {
                break;
            }
        }
        Ok(())
    }

    /// Publishes the events of a key up to the cursor. Returns what is left of it.
    async fn try_key(&self, state: &mut State, mut held: HeldBackKey) -> Result<Option<HeldBackKey>, Unavailable> {
        let until = state.lease.position().cursor;
        for _ in 0..BATCHES_OF_KEY_PER_STEP {
            if !state.lease.hold().await? {
                break;
            }
            let page = self.outbox.of_key_after(held.key, held.published, until, self.feed.batch()).await?;
            if let Some((record, reason)) = self.publish(state, page.records.iter()).await?.pop() {
                let failed = held.failed_again(record, reason, self.clock.now());
                if failed.failures == TRIES_BEFORE_PARKED {
                    error!(
                        alarm = "event_key_parked",
                        event = failed.event_id,
                        key = %failed.key,
                        reason = failed.reason,
                        "event cannot be published; its key is parked, and later events of the key wait"
                    );
                }
                return Ok(Some(failed));
            }
            held.published = page.end;
            if held.published >= until {
                return Ok(None);
            }
        }
        Ok(Some(held))
    }

    /// Publishes records. Returns the first of each key that could not be published, and why; later records of its key were left out.
    async fn publish<'page>(
        &self,
        state: &mut State,
        records: impl Iterator<Item = &'page OutboxRecord>,
    ) -> Result<Vec<(&'page OutboxRecord, String)>, Unavailable> {
        let (mut failed, mut failed_keys) = (Vec::new(), HashSet::new());
        let (mut sent, mut batch) = (Vec::new(), Vec::new());
        for record in records {
            if failed_keys.contains(&record.key) {
                continue;
            }
            match self.messages(record).await? {
                Ok(messages) => {
                    sent.extend(messages.iter().map(|_| record));
                    batch.extend(messages);
                }
                Err(reason) => {
                    failed_keys.insert(record.key);
                    failed.push((record, reason));
                }
            }
        }
        if batch.is_empty() {
            return Ok(failed);
        }
        let outcomes = self.publish_batch(state, &batch).await?;
        let mut published = 0;
        for (record, outcome) in sent.into_iter().zip(outcomes) {
            match outcome {
                PublishOutcome::Published => published += 1,
                PublishOutcome::Refused(reason) => note_failed(&mut failed, record, reason),
                PublishOutcome::Waiting => {}
            }
        }
        self.feed.count(published, failed.len() as u64);
        Ok(failed)
    }

    /// The messages of a record, or why they cannot be made.
    async fn messages(&self, record: &OutboxRecord) -> Result<Result<Vec<EventMessage>, String>, Unavailable> {
        match self.feed {
            Feed::Events => Ok(self.charts.encode(record).await?.map(|message| vec![message])),
            Feed::Seats => self.charts.encode_seats(record).await,
        }
    }

    /// Publishes a batch, and renews the lease meanwhile.
    async fn publish_batch(
        &self,
        state: &mut State,
        batch: &[EventMessage],
    ) -> Result<Vec<PublishOutcome>, Unavailable> {
        let mut publishing = self.publisher.publish(batch);
        loop {
            tokio::select! {
                outcomes = &mut publishing => return outcomes,
                () = sleep(RENEW_EVERY) => state.lease.renew().await,
            }
        }
    }

    /// Deletes what is delivered, by all relays, and past its retention.
    async fn forget(&self, state: &mut State, terms: &Relay) -> Result<(), Unavailable> {
        let now = self.clock.now();
        if state.forget_at.is_some_and(|at| now < at) {
            return Ok(());
        }
        let mut delivered = state.lease.position().delivered();
        for other in &terms.others {
            delivered = delivered.min(other.position().await?.delivered());
        }
        let forgotten = self.outbox.forget(delivered, now - terms.retention, FORGOTTEN_AT_ONCE).await?;
        let is_more = forgotten >= u64::from(FORGOTTEN_AT_ONCE);
        state.forget_at = Some(if is_more { now } else { now + FORGET_EVERY });
        Ok(())
    }

    /// The pause after so many failures: it doubles, and half of it is random, so that instances do not try together.
    fn back_off(&self, failures: u32) -> Duration {
        let longest = Relay::POLL_EVERY.saturating_mul(1 << failures.min(10)).min(BACK_OFF_MAX);
        let random = u32::try_from(self.ids.next().as_u128() % 1_000).unwrap_or_default();
        longest / 2 + longest / 2 * random / 1_000
    }
}

impl Feed {
    /// What the log calls it.
    fn task(self) -> &'static str {
        match self {
            Self::Events => "event relay",
            Self::Seats => "seat relay",
        }
    }

    fn batch(self) -> u32 {
        match self {
            Self::Events => BATCH,
            Self::Seats => BATCH_OF_SEATS,
        }
    }

    fn count(self, published: u64, refused: u64) {
        match self {
            Self::Events => {
                counter!("encore_events_published_total").increment(published);
                counter!("encore_events_refused_total").increment(refused);
            }
            Self::Seats => counter!("encore_seat_messages_published_total").increment(published),
        }
    }
}

/// Notes the first record of a key that failed. Later ones of the key wait like all others.
fn note_failed<'page>(failed: &mut Vec<(&'page OutboxRecord, String)>, record: &'page OutboxRecord, reason: String) {
    match failed.iter_mut().find(|(other, _)| other.key == record.key) {
        Some((other, _)) if other.place <= record.place => {}
        Some(later) => *later = (record, reason),
        None => failed.push((record, reason)),
    }
}
