//! Mails to fans about what happened.

mod text;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::event::relay::RelayPosition;
use encore_domain::event::{Event, OutboxPlace, OutboxRecord};
use encore_domain::ids::PerformanceId;
use encore_domain::mail::Mail;
use encore_domain::ports::{Catalog, Clock, Ids, Mailer, Notifications, Outbox, RelayCursor, Users};
use encore_domain::time::Timestamp;
use futures::future::join_all;
use metrics::counter;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use self::text::{Show, mail_of};
use crate::charts::Charts;

/// How long the lease lasts: longer than a wave of mails.
const LEASE: Duration = Duration::from_secs(30);
/// How many events are read at once.
const PAGE: u32 = 100;
/// How many mails are sent at once.
const SENT_AT_ONCE: usize = 10;
/// How long sending a mail may take.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// The pause after mails were not accepted.
const BACK_OFF: Duration = Duration::from_secs(30);
/// How often a mail is tried that is not accepted while others are.
const TRIES_MAX: u32 = 20;
/// Nobody is told of what is older: after so long a mail confuses more than it helps.
const TOLD_WITHIN: Duration = Duration::from_hours(72);
/// How long notes of what was told are kept: until the events are too old to be told.
const NOTES_KEPT: Duration = Duration::from_hours(24 * 7);
/// The most notes that are deleted at once.
const FORGOTTEN_AT_ONCE: u32 = 5_000;

/// The outcome of a mail that was accepted.
const SENT: &str = "sent";
/// The outcome of a mail that is not tried again.
const GIVEN_UP: &str = "given_up";

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
    cursor: Arc<dyn RelayCursor>,
    notifications: Arc<dyn Notifications>,
    users: Arc<dyn Users>,
    catalog: Arc<dyn Catalog>,
    charts: Charts,
    mailer: Arc<dyn Mailer>,
    clock: Arc<dyn Clock>,
    holder: Uuid,
    tries: Mutex<Tries>,
}

/// The mails of the current page that were not accepted.
#[derive(Default)]
struct Tries {
    /// How often each was not accepted while others were.
    failures: HashMap<String, u32>,
    /// When they are tried again.
    not_before: Option<Timestamp>,
}

/// What came of a mail.
enum Outcome {
    /// The event is done: its mail was accepted, or there is nobody to tell.
    Done(&'static str),
    /// It can never be sent.
    Refused(Unavailable),
    /// It was not accepted now.
    Failed,
}

impl Notifier {
    /// How often a step should be taken.
    pub const POLL_EVERY: Duration = Duration::from_secs(1);

    /// A notifier that has not begun.
    pub fn new(parts: NotifierParts) -> Self {
        let NotifierParts { outbox, cursor, notifications, users, catalog, mailer, clock, ids } = parts;
        let (holder, charts) = (ids.next(), Charts::new(Arc::clone(&catalog)));
        Self(Arc::new(Inner {
            outbox,
            cursor,
            notifications,
            users,
            catalog,
            charts,
            mailer,
            clock,
            holder,
            tries: Mutex::default(),
        }))
    }

    /// Tells fans of what happened since the last step, if no other instance does. Before its first step nobody is told of anything.
    pub async fn step(&self, stop: &CancellationToken) -> Result<(), Unavailable> {
        let inner = &self.0;
        let now = inner.clock.now();
        if inner.tries.lock().await.not_before.is_some_and(|at| now < at) {
            return Ok(());
        }
        let Some(mut position) = inner.hold().await? else { return Ok(()) };
        if position.cursor == OutboxPlace::default() {
            // Otherwise an old server would tell all that ever happened when it begins to send mails.
            let end = inner.outbox.end().await?;
            position.cursor = if end == OutboxPlace::default() { end.before() } else { end };
            inner.cursor.save(inner.holder, &position).await?;
        }
        while !stop.is_cancelled() && inner.hold().await?.is_some() {
            let page = inner.outbox.after(position.cursor, PAGE).await?;
            if page.end == position.cursor {
                break;
            }
            inner.tell_all(&page.records, stop).await?;
            if stop.is_cancelled() {
                break;
            }
            position.cursor = page.end;
            if !inner.cursor.save(inner.holder, &position).await? {
                break;
            }
            *inner.tries.lock().await = Tries::default();
        }
        Ok(())
    }

    /// Lets another instance go on at once.
    pub async fn release(&self) -> Result<(), Unavailable> {
        self.0.cursor.release(self.0.holder).await
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
    /// The position, if this notifier has the lease, which is prolonged.
    async fn hold(&self) -> Result<Option<RelayPosition>, Unavailable> {
        let now = self.clock.now();
        self.cursor.acquire(self.holder, now, now + LEASE).await
    }

    /// Tells of the events of a page that were not told yet.
    async fn tell_all(&self, records: &[OutboxRecord], stop: &CancellationToken) -> Result<(), Unavailable> {
        let oldest = self.clock.now() - TOLD_WITHIN;
        let told: Vec<&OutboxRecord> = records.iter().filter(|it| is_told(it) && oldest <= it.at).collect();
        if told.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = told.iter().map(|record| record.id.clone()).collect();
        let noted = self.notifications.noted(&ids).await?;
        let left: Vec<&OutboxRecord> = told.into_iter().filter(|record| !noted.contains(&record.id)).collect();
        let (mut accepted, mut failed) = (0, Vec::new());
        for wave in left.chunks(SENT_AT_ONCE) {
            if stop.is_cancelled() || self.hold().await?.is_none() {
                return Ok(());
            }
            let outcomes = join_all(wave.iter().map(|record| self.tell(record))).await;
            let (mut done, mut outage) = (Vec::new(), None);
            for (record, outcome) in wave.iter().zip(outcomes) {
                match outcome {
                    Ok(Outcome::Done(outcome)) => {
                        accepted += usize::from(outcome == SENT);
                        done.push((*record, outcome));
                    }
                    Ok(Outcome::Refused(refusal)) => {
                        warn!(
                            event = record.id,
                            error = &refusal as &dyn std::error::Error,
                            "a mail to a fan cannot be sent; given up"
                        );
                        done.push((*record, GIVEN_UP));
                    }
                    Ok(Outcome::Failed) => failed.push(*record),
                    Err(unavailable) => outage = Some(unavailable),
                }
            }
            // What was sent is noted, also if the rest of the wave was not.
            self.note(&done).await?;
            if let Some(unavailable) = outage {
                return Err(unavailable);
            }
        }
        self.try_again(&failed, accepted > 0).await
    }

    /// Notes events that are done, and what came of their mails.
    async fn note(&self, done: &[(&OutboxRecord, &'static str)]) -> Result<(), Unavailable> {
        if done.is_empty() {
            return Ok(());
        }
        for (_, outcome) in done {
            counter!("encore_notifications_total", "outcome" => *outcome).increment(1);
        }
        let ids: Vec<String> = done.iter().map(|(record, _)| record.id.clone()).collect();
        self.notifications.note(&ids, self.clock.now()).await
    }

    /// Gives up what failed often while others were accepted. The rest is tried again, and the cursor waits for it.
    async fn try_again(&self, failed: &[&OutboxRecord], others_accepted: bool) -> Result<(), Unavailable> {
        let (mut is_left, mut done) = (false, Vec::new());
        for record in failed {
            counter!("encore_notifications_total", "outcome" => "failed").increment(1);
            let tries = {
                let mut known = self.tries.lock().await;
                let tries = known.failures.entry(record.id.clone()).or_default();
                *tries += u32::from(others_accepted);
                *tries
            };
            if tries >= TRIES_MAX {
                warn!(event = record.id, tries, "a mail to a fan was not accepted; given up");
                done.push((*record, GIVEN_UP));
            } else {
                is_left = true;
            }
        }
        self.note(&done).await?;
        if is_left {
            self.tries.lock().await.not_before = Some(self.clock.now() + BACK_OFF);
            return Err(Unavailable::new("mail", "mails were not accepted; they are tried again"));
        }
        Ok(())
    }

    /// Tells the fan of an event.
    async fn tell(&self, record: &OutboxRecord) -> Result<Outcome, Unavailable> {
        let Ok(event) = &record.event else { return Ok(Outcome::Done("skipped")) };
        let Some(mail) = self.compose(event).await? else { return Ok(Outcome::Done("skipped")) };
        Ok(match timeout(SEND_WITHIN, self.mailer.send(&mail)).await {
            Ok(Ok(())) => {
                info!(event = record.id, "a fan was told by mail");
                Outcome::Done(SENT)
            }
            Ok(Err(refusal)) if refusal.is_defect => Outcome::Refused(refusal),
            Ok(Err(_)) | Err(_) => Outcome::Failed,
        })
    }

    /// The mail about an event; none if there is nobody to be told.
    async fn compose(&self, event: &Event) -> Result<Option<Mail>, Unavailable> {
        let (Event::ReservationConfirmed { reservation, .. } | Event::SeatsCancelled { reservation, .. }) = event
        else {
            return Ok(None);
        };
        let Some(account) = self.users.find(reservation.user).await? else { return Ok(None) };
        // Deleted users, and the fans of rehearsals, have addresses that receive nothing.
        if !account.password_hash.is_of_a_password() {
            return Ok(None);
        }
        let Some(show) = self.show(reservation.performance).await? else { return Ok(None) };
        Ok(mail_of(account.user.email, event, &show))
    }

    async fn show(&self, id: PerformanceId) -> Result<Option<Show>, Unavailable> {
        let Some(performance) = self.catalog.performance(id).await? else { return Ok(None) };
        let Some(concert) = self.catalog.concert(performance.concert).await? else { return Ok(None) };
        let venue = self.charts.venue_of(id).await?;
        Ok(venue.map(|venue| Show { title: concert.title, starts_at: performance.starts_at, venue }))
    }
}

/// Whether fans are told of such events.
fn is_told(record: &OutboxRecord) -> bool {
    matches!(
        record.kind.as_str(),
        "booking.reservation_confirmed" | "booking.seats_cancelled" | "booking.reservation_cancelled"
    )
}
