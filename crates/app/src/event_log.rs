//! Reading events again.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::catalog::Venue;
use encore_domain::event::{OutboxPlace, OutboxRecord};
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Outbox;
use encore_seat_map::contexts::ContextError;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use crate::contexts::PerformanceContexts;
use crate::error::AppError;

/// How many records are read at once.
const READ_AT_ONCE: u32 = 200;
/// How many records one page looks at, at most: a filter that lets few through must not make a call long.
const LOOKED_AT_MAX: usize = 5_000;
/// The pause between two looks of a watcher.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a watcher hears nothing before it is sent a cursor alone.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);

/// Which events are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Kinds of events; empty for all.
    pub kinds: Vec<&'static str>,
    /// The performance that they are about; none for all.
    pub performance: Option<PerformanceId>,
}

/// An event with what names its seats.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    /// The event.
    pub record: OutboxRecord,
    /// The venue of its performance, if it is about one that exists.
    pub venue: Option<Arc<Venue>>,
}

/// Some events in their order.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// The events.
    pub events: Vec<LoggedEvent>,
    /// The place after which reading goes on.
    pub end: OutboxPlace,
    /// Whether there may be more now.
    pub has_more: bool,
}

/// What a watcher is sent.
#[derive(Clone, Debug)]
pub enum Watched {
    /// An event.
    Event(Box<LoggedEvent>),
    /// Nothing happened up to here.
    Nothing(OutboxPlace),
}

/// The use cases of `EventService`.
#[derive(Clone)]
pub struct EventLogUseCases {
    outbox: Arc<dyn Outbox>,
    contexts: PerformanceContexts,
}

impl EventLogUseCases {
    /// The use cases over their ports.
    pub fn new(outbox: Arc<dyn Outbox>, contexts: PerformanceContexts) -> Self {
        Self { outbox, contexts }
    }

    /// At most `limit` events after a place.
    pub async fn page(&self, after: OutboxPlace, filter: &EventFilter, limit: u32) -> Result<EventPage, AppError> {
        let limit = limit as usize;
        let mut page = EventPage { events: Vec::new(), end: after, has_more: true };
        let mut looked_at = 0;
        while page.events.len() < limit && looked_at < LOOKED_AT_MAX {
            let read = match filter.performance {
                Some(performance) => {
                    self.outbox.of_key_after(performance.0, page.end, OutboxPlace::END, READ_AT_ONCE).await?
                }
                None => self.outbox.after(page.end, READ_AT_ONCE).await?,
            };
            if read.end == page.end {
                page.has_more = false;
                break;
            }
            looked_at += read.records.len().max(1);
            page.end = read.end;
            for record in read.records {
                let place = record.place;
                if filter.kinds.is_empty() || filter.kinds.contains(&record.kind.as_str()) {
                    page.events.push(self.named(record).await?);
                }
                if page.events.len() == limit {
                    page.end = place;
                    break;
                }
            }
        }
        Ok(page)
    }

    /// The events after a place, or from now on, as they are committed. The stream ends with an error if a store is unavailable.
    pub async fn watch(
        &self,
        after: Option<OutboxPlace>,
        filter: EventFilter,
    ) -> Result<impl Stream<Item = Result<Watched, AppError>> + Send + 'static, AppError> {
        let after = match after {
            Some(after) => after,
            None => self.outbox.end().await?,
        };
        let log = self.clone();
        let state = (log, filter, after, Instant::now());
        let pages = stream::try_unfold(state, |(log, filter, mut after, heard_at)| async move {
            loop {
                let page = log.page(after, &filter, READ_AT_ONCE).await?;
                after = page.end;
                if !page.events.is_empty() || heard_at.elapsed() >= HEARTBEAT_EVERY {
                    return Ok::<_, AppError>(Some((page, (log, filter, after, Instant::now()))));
                }
                if !page.has_more {
                    sleep(LOOK_EVERY).await;
                }
            }
        });
        let watched = pages.map_ok(|EventPage { events, end, .. }| {
            let nothing = events.is_empty().then_some(Watched::Nothing(end));
            let events = events.into_iter().map(|event| Watched::Event(Box::new(event)));
            stream::iter(events.chain(nothing).map(Ok))
        });
        Ok(watched.try_flatten().boxed())
    }

    async fn named(&self, record: OutboxRecord) -> Result<LoggedEvent, AppError> {
        let performance = record.event.as_ref().ok().and_then(encore_domain::event::Event::performance);
        let Some(performance) = performance else { return Ok(LoggedEvent { record, venue: None }) };
        match self.contexts.context(performance).await {
            Ok(context) => Ok(LoggedEvent { record, venue: Some(context.venue) }),
            Err(ContextError::NotFound { .. }) => Ok(LoggedEvent { record, venue: None }),
            Err(ContextError::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }
}
