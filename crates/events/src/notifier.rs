//! Mails to fans about what happened.

mod broadcasts;
mod left;
mod mails;
mod text;

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::event::{OutboxPlace, OutboxRecord};
use encore_domain::ports::{Catalog, Clock, Ids, Mailer, Notifications, Outbox, RelayCursor, Reservations, Users};
use encore_domain::time::Timestamp;
use futures::future::join_all;
use metrics::counter;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::broadcasts::Broadcasts;
use self::left::{Failed, Left};
use self::mails::{Mails, Outcome};
use crate::charts::Charts;
use crate::lease::{Lease, LeaseTerms};

/// How long the lease lasts. When an instance dies, another goes on after so long at most.
const LEASE: Duration = Duration::from_secs(30);
/// The lease is renewed when less than this is left of it: a wave of mails takes half as long at most.
const RENEW_BEFORE: Duration = Duration::from_secs(20);
/// How many events are read at once.
const PAGE: u32 = 100;
/// How many mails are sent at once.
const SENT_AT_ONCE: usize = 10;
/// The pause after mails were not accepted.
const BACK_OFF: Duration = Duration::from_secs(30);
/// How long notes of what was told are kept: until the events are too old to be told.
const NOTES_KEPT: Duration = Duration::from_hours(24 * 7);
/// The most notes that are deleted at once.
const FORGOTTEN_AT_ONCE: u32 = 5_000;

/// What a [`Notifier`] is made of.
pub struct NotifierParts {
    /// Where the events are.
    pub outbox: Arc<dyn Outbox>,
    /// Where the notifier is.
    pub cursor: Arc<dyn RelayCursor>,
    /// Of which events fans were told.
    pub notifications: Arc<dyn Notifications>,
    /// Who the fans are.
    pub users: Arc<dyn Users>,
    /// Who has bought seats.
    pub reservations: Arc<dyn Reservations>,
    /// What the shows are.
    pub catalog: Arc<dyn Catalog>,
    /// Sends mails.
    pub mailer: Arc<dyn Mailer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Identifies this notifier among those of all instances.
    pub ids: Arc<dyn Ids>,
}

/// Sends mails to fans. See the crate's README. Clones are the same notifier.
#[derive(Clone)]
pub struct Notifier(Arc<Inner>);

struct Inner {
    outbox: Arc<dyn Outbox>,
    notifications: Arc<dyn Notifications>,
    reservations: Arc<dyn Reservations>,
    mails: Mails,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// How far the notifier is. What is read beyond the saved cursor is either noted or left, so nothing is lost with this state.
struct State {
    lease: Lease,
    /// The cursor that this state continues; none if there is nothing to continue.
    saved: Option<OutboxPlace>,
    /// Everything up to here was read.
    read: OutboxPlace,
    left: Left,
    broadcasts: Broadcasts,
    /// How many mails were accepted.
    accepted: u64,
    /// No further events are read before this moment.
    read_at: Option<Timestamp>,
}

/// What came of a wave of mails.
#[derive(Default)]
struct Wave<'r> {
    /// The events that need no further try, and why.
    done: Vec<(&'r OutboxRecord, &'static str)>,
    accepted: u64,
    failed: u64,
    /// The first event that was not told and is not left either.
    pending: Option<OutboxPlace>,
    outage: Option<Unavailable>,
}

impl Notifier {
    /// How often a step should be taken.
    pub const POLL_EVERY: Duration = Duration::from_secs(1);
    /// Nobody is told of what is older: after so long a mail confuses more than it helps.
    pub const TOLD_WITHIN: Duration = Duration::from_hours(72);

    /// A notifier that has not begun.
    pub fn new(parts: NotifierParts) -> Self {
        let NotifierParts { outbox, cursor, notifications, users, reservations, catalog, mailer, clock, ids } = parts;
        let terms = LeaseTerms { task: "notifications", lasts_for: LEASE, renewed_before: RENEW_BEFORE };
        let lease = Lease::new(cursor, Arc::clone(&clock), ids.next(), terms);
        let charts = Charts::new(Arc::clone(&catalog));
        let (saved, read, left, broadcasts) = (None, OutboxPlace::default(), Left::default(), Broadcasts::default());
        let state = Mutex::new(State { lease, saved, read, left, broadcasts, accepted: 0, read_at: None });
        let mails = Mails { users, catalog, charts, mailer };
        Self(Arc::new(Inner { outbox, notifications, reservations, mails, clock, state }))
    }

    /// Tells fans of what happened since the last step, if no other instance does. Before its first step nobody is told of anything.
    /// An error says that something was left, and is tried again.
    pub async fn step(&self, stop: &CancellationToken) -> Result<(), Unavailable> {
        let (inner, mut state) = (&self.0, self.0.state.lock().await);
        let state = &mut *state;
        if !inner.begin(state).await? {
            return Ok(());
        }
        let mut failed = inner.try_left(state, stop).await?;
        failed += inner.broadcast(state, stop).await?;
        failed += inner.read_on(state, stop).await?;
        if failed > 0 {
            return Err(Unavailable::new("mail", "mails were not accepted; they are tried again"));
        }
        Ok(())
    }

    /// Lets another instance go on at once.
    pub async fn release(&self) -> Result<(), Unavailable> {
        self.0.state.lock().await.lease.release().await
    }

    /// Deletes old notes, until none is left or `stop` is cancelled.
    pub async fn forget(&self, stop: &CancellationToken) -> Result<(), Unavailable> {
        let (notifications, before) = (&self.0.notifications, self.0.clock.now() - NOTES_KEPT);
        while notifications.forget(before, FORGOTTEN_AT_ONCE).await? >= u64::from(FORGOTTEN_AT_ONCE)
            && !stop.is_cancelled()
        {}
        Ok(())
    }
}

impl Inner {
    /// Whether this notifier has the lease. If another had it meanwhile and moved the cursor, it begins again there.
    async fn begin(&self, state: &mut State) -> Result<bool, Unavailable> {
        if !state.lease.hold().await? {
            return Ok(false);
        }
        let mut position = state.lease.position().clone();
        if position.cursor == OutboxPlace::default() {
            // Otherwise an old server would tell all that ever happened when it begins to send mails.
            let end = self.outbox.end().await?;
            position.cursor = if end == OutboxPlace::default() { end.before() } else { end };
            if !state.lease.save(position.clone()).await? {
                return Ok(false);
            }
        }
        if state.saved != Some(position.cursor) {
            (state.saved, state.read) = (Some(position.cursor), position.cursor);
            (state.left, state.broadcasts) = (Left::default(), Broadcasts::default());
        }
        Ok(true)
    }

    /// Whether this notifier still has the lease, and no other has moved the cursor. Otherwise the next step begins again.
    async fn goes_on(&self, state: &mut State, stop: &CancellationToken) -> Result<bool, Unavailable> {
        Ok(!stop.is_cancelled() && state.lease.hold().await? && state.saved == Some(state.lease.position().cursor))
    }

    /// Tries the mails that are left and due. Returns how many failed again.
    async fn try_left(&self, state: &mut State, stop: &CancellationToken) -> Result<u64, Unavailable> {
        let due = state.left.due(self.clock.now());
        if due.is_empty() {
            return Ok(0);
        }
        let to_tell = self.to_tell(&due).await?;
        for record in &due {
            if record.at < self.oldest() {
                warn!(event = record.id, "a mail to a fan was not accepted in time; given up");
                counter!("encore_notifications_total", "outcome" => "given_up").increment(1);
            }
            if !to_tell.iter().any(|it| it.place == record.place) {
                state.left.remove(record.place);
            }
        }
        let mut failed = 0;
        for wave in to_tell.chunks(SENT_AT_ONCE) {
            if !self.goes_on(state, stop).await? {
                return Ok(failed);
            }
            let wave = self.send(state, wave).await;
            failed += wave.failed;
            let is_refused = wave.is_refused();
            self.finish(wave).await?;
            if is_refused {
                break;
            }
        }
        self.save(state).await?;
        Ok(failed)
    }

    /// Reads on and tells of what is new. Returns how many mails were not accepted.
    async fn read_on(&self, state: &mut State, stop: &CancellationToken) -> Result<u64, Unavailable> {
        let mut failed = 0;
        if state.read_at.is_some_and(|at| self.clock.now() < at) {
            return Ok(failed);
        }
        while self.goes_on(state, stop).await? {
            let page = self.outbox.after(state.read, PAGE).await?;
            if page.end == state.read {
                break;
            }
            let new = self.to_tell(&page.records).await?;
            let (to_many, mut new): (Vec<_>, Vec<_>) = new.into_iter().partition(|record| is_told_to_many(record));
            let now = self.clock.now();
            // Without room for one of them, nothing behind it is read.
            let held_up = to_many.into_iter().find(|record| !state.broadcasts.begin(record, now));
            let end = held_up.map_or(page.end, |record| record.place.before());
            new.retain(|record| record.place <= end && !state.left.contains(record.place));
            for wave in new.chunks(SENT_AT_ONCE) {
                if !self.goes_on(state, stop).await? {
                    return Ok(failed);
                }
                let last = wave.last().map(|record| record.place);
                let wave = self.send(state, wave).await;
                failed += wave.failed;
                state.read = wave.pending.map(OutboxPlace::before).or(last).unwrap_or(state.read);
                // If none is accepted, the server may be away, and further mails would fail, too.
                let pauses = wave.is_refused() || wave.pending.is_some();
                self.finish(wave).await?;
                if pauses {
                    state.read_at = Some(self.clock.now() + BACK_OFF);
                    self.save(state).await?;
                    return Ok(failed);
                }
            }
            state.read = end;
            if !self.save(state).await? || held_up.is_some() {
                break;
            }
        }
        Ok(failed)
    }

    /// The events of which fans are told, and were not told yet.
    async fn to_tell<'r>(&self, records: &'r [OutboxRecord]) -> Result<Vec<&'r OutboxRecord>, Unavailable> {
        let oldest = self.oldest();
        let mut wanted: Vec<&OutboxRecord> = records.iter().filter(|it| is_told(it) && oldest <= it.at).collect();
        if !wanted.is_empty() {
            let ids: Vec<String> = wanted.iter().map(|record| record.id.clone()).collect();
            let noted = self.notifications.noted(&ids).await?;
            wanted.retain(|record| !noted.contains(&record.id));
        }
        Ok(wanted)
    }

    /// Sends the mails of a wave. What is not accepted is left, if there is room.
    async fn send<'r>(&self, state: &mut State, records: &[&'r OutboxRecord]) -> Wave<'r> {
        let outcomes = join_all(records.iter().map(|record| self.mails.tell(record))).await;
        let sent = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Sent))).count() as u64;
        state.accepted += sent;
        let next_try_at = self.clock.now() + BACK_OFF;
        let mut wave = Wave { accepted: sent, ..Wave::default() };
        for (record, outcome) in records.iter().copied().zip(outcomes) {
            match outcome {
                Ok(Outcome::Sent) => wave.done.push((record, "sent")),
                Ok(Outcome::Skipped) => wave.done.push((record, "skipped")),
                Ok(Outcome::Refused(refusal)) => {
                    let error = &refusal as &dyn std::error::Error;
                    warn!(event = record.id, error, "a mail to a fan cannot be sent; given up");
                    wave.done.push((record, "given_up"));
                }
                Ok(Outcome::Failed) => {
                    counter!("encore_notifications_total", "outcome" => "failed").increment(1);
                    wave.failed += 1;
                    match state.left.fail(record, state.accepted, next_try_at) {
                        Failed::Left => {}
                        Failed::GivenUp => {
                            warn!(event = record.id, "a mail to a fan was not accepted; given up");
                            wave.done.push((record, "given_up"));
                        }
                        Failed::NoRoom => wave.leave(record.place),
                    }
                }
                Err(unavailable) => {
                    wave.leave(record.place);
                    wave.outage = Some(unavailable);
                }
            }
        }
        for (record, _) in &wave.done {
            state.left.remove(record.place);
        }
        wave
    }

    /// Notes what is done. What was sent is noted, also if the rest of the wave was not.
    async fn finish(&self, wave: Wave<'_>) -> Result<(), Unavailable> {
        let Wave { done, outage, .. } = wave;
        if !done.is_empty() {
            for (_, outcome) in &done {
                counter!("encore_notifications_total", "outcome" => *outcome).increment(1);
            }
            let ids: Vec<String> = done.iter().map(|(record, _)| record.id.clone()).collect();
            self.notifications.note(&ids, self.clock.now()).await?;
        }
        outage.map_or(Ok(()), Err)
    }

    /// Nobody is told of what is older.
    fn oldest(&self) -> Timestamp {
        self.clock.now() - Notifier::TOLD_WITHIN
    }

    /// Saves the place before everything that is left, and before what not all were told of. Returns whether this notifier still has the lease.
    async fn save(&self, state: &mut State) -> Result<bool, Unavailable> {
        let unfinished = state.left.first().into_iter().chain(state.broadcasts.first());
        let cursor = unfinished.min().map_or(state.read, |first| first.before().min(state.read));
        if state.saved == Some(cursor) {
            return Ok(true);
        }
        let mut position = state.lease.position().clone();
        position.cursor = cursor;
        let saved = state.lease.save(position).await?;
        state.saved = saved.then_some(cursor);
        Ok(saved)
    }
}

impl Wave<'_> {
    /// Whether mails were tried, and none was accepted.
    fn is_refused(&self) -> bool {
        self.accepted == 0 && self.failed > 0
    }

    fn leave(&mut self, place: OutboxPlace) {
        self.pending = Some(self.pending.map_or(place, |pending| pending.min(place)));
    }
}

/// Whether fans are told of such events.
fn is_told(record: &OutboxRecord) -> bool {
    matches!(
        record.kind.as_str(),
        "booking.reservation_confirmed"
            | "booking.seats_cancelled"
            | "booking.reservation_cancelled"
            | "payment.refunded"
            | "payment.refund_failed"
    ) || is_told_to_many(record)
}

/// Whether all who have bought seats of the performance are told of such events.
fn is_told_to_many(record: &OutboxRecord) -> bool {
    record.kind == "catalog.performance_postponed"
}
