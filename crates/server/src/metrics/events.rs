//! What is in the outbox and not published yet.

use std::sync::Arc;

use encore_domain::error::Unavailable;
use encore_domain::event::Backlog;
use encore_domain::event::relay::RelayPosition;
use encore_domain::ports::{Clock, Outbox, RelayCursor};
use encore_domain::time::Timestamp;
use metrics::gauge;

/// Reads how far the relay of any instance is behind.
#[derive(Clone)]
pub struct EventBacklog {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) cursor: Arc<dyn RelayCursor>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The backlog at one moment.
pub(super) struct BacklogRead {
    position: RelayPosition,
    backlog: Backlog,
    at: Timestamp,
}

impl EventBacklog {
    pub(super) async fn read(&self) -> Result<BacklogRead, Unavailable> {
        let position = self.cursor.position().await?;
        let backlog = self.outbox.backlog(position.cursor).await?;
        Ok(BacklogRead { position, backlog, at: self.clock.now() })
    }
}

impl BacklogRead {
    /// Sets the gauges.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact to 2^53")]
    pub(super) fn set(&self) {
        let age = self.backlog.oldest.map_or(0.0, |oldest| (self.at - oldest).as_seconds_f64().max(0.0));
        gauge!("encore_event_backlog").set(self.backlog.events as f64);
        gauge!("encore_event_backlog_age_seconds").set(age);
        gauge!("encore_event_keys_held_back").set(self.position.held_back.len() as f64);
        gauge!("encore_event_keys_parked").set(self.position.parked() as f64);
    }
}
