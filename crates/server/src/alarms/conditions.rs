//! What lasts too long, which no single step can tell.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::ports::{Clock, Outbox, RelayCursor};
use encore_domain::time::Timestamp;
use tokio::sync::Mutex;
use tracing::{error, info, warn};

/// An event that is not published for so long is late. A relay that takes over, and a broker that restarts, take less.
const EVENTS_LATE_AFTER: Duration = Duration::from_mins(5);
/// A transaction of Encore takes seconds at most.
const TRANSACTION_LONG_AFTER: Duration = Duration::from_mins(5);
/// While it lasts, it is raised again after so long.
const RAISED_EVERY: Duration = Duration::from_hours(1);

/// What [`AlarmConditions`] are made of.
pub(crate) struct AlarmConditionParts {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) cursor: Arc<dyn RelayCursor>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether events are published at all.
    pub(crate) publishes: bool,
}

/// Looks whether something lasts too long. Clones share what they have raised.
#[derive(Clone)]
pub(crate) struct AlarmConditions {
    parts: Arc<AlarmConditionParts>,
    raised: Arc<Mutex<Raised>>,
}

/// When each was raised, while it lasts.
#[derive(Default)]
struct Raised {
    events_late: Lasting,
    transaction_open: Lasting,
}

#[derive(Default)]
struct Lasting(Option<Timestamp>);

/// What there is to say of something that may last.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// It began, or lasts for long.
    Lasts,
    Ended,
    None,
}

impl Lasting {
    fn note(&mut self, lasts: bool, now: Timestamp) -> News {
        match self.0 {
            Some(_) if !lasts => {
                self.0 = None;
                News::Ended
            }
            Some(raised) if now < raised + RAISED_EVERY => News::None,
            None if !lasts => News::None,
            Some(_) | None => {
                self.0 = Some(now);
                News::Lasts
            }
        }
    }
}

impl AlarmConditions {
    /// How often [`Self::look`] runs.
    pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(30);

    pub(crate) fn new(parts: AlarmConditionParts) -> Self {
        Self { parts: Arc::new(parts), raised: Arc::default() }
    }

    /// Looks once.
    pub(crate) async fn look(&self) -> Result<(), Unavailable> {
        let AlarmConditionParts { outbox, cursor, clock, publishes } = &*self.parts;
        let mut raised = self.raised.lock().await;
        let since = |began: Timestamp| (clock.now() - began).to_std().unwrap_or_default();
        let open_for = outbox.oldest_transaction().await?.map(since).filter(|age| *age > TRANSACTION_LONG_AFTER);
        match raised.transaction_open.note(open_for.is_some(), clock.now()) {
            News::Lasts => {
                let seconds = open_for.unwrap_or_default().as_secs();
                warn!(alarm = "transaction_open_long", seconds, "a transaction that has written is open for long");
            }
            News::Ended => info!("no transaction is open for long any more"),
            News::None => {}
        }
        if !publishes {
            return Ok(());
        }
        let position = cursor.position().await?;
        let oldest = outbox.backlog(position.cursor).await?.oldest;
        let late_for = oldest.map(since).filter(|age| *age > EVENTS_LATE_AFTER);
        match raised.events_late.note(late_for.is_some(), clock.now()) {
            News::Lasts => {
                let seconds = late_for.unwrap_or_default().as_secs();
                error!(alarm = "events_late", seconds, "events are not published for long");
            }
            News::Ended => info!("events are published again"),
            News::None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_raised_when_it_begins_every_hour_and_when_it_ends() {
        use News::{Ended, Lasts, None};

        let (mut lasting, began) = (Lasting::default(), Timestamp::UNIX_EPOCH);
        let news = [(0, false), (1, true), (59, true), (62, true), (63, true), (64, false), (65, false), (66, true)]
            .map(|(minute, lasts)| lasting.note(lasts, began + Duration::from_mins(minute)));
        assert_eq!(news, [None, Lasts, None, Lasts, None, Ended, None, Lasts]);
    }
}
