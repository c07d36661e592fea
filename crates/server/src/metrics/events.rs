//! What is in the outbox and was neither published nor sent yet.

use std::sync::Arc;

use encore_domain::error::Unavailable;
use encore_domain::event::Backlog;
use encore_domain::event::relay::RelayPosition;
use encore_domain::ports::{Clock, Outbox, RelayCursor, WebhookDeliveries};
use encore_domain::time::Timestamp;
use encore_domain::webhook::WebhookSummary;
use metrics::gauge;

/// Reads how far the relay and the deliverers of webhooks of all instances are behind.
#[derive(Clone)]
pub struct EventBacklog {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) cursor: Arc<dyn RelayCursor>,
    /// The cursor of the seat feed, if there is one.
    pub(crate) seat_feed: Option<Arc<dyn RelayCursor>>,
    pub(crate) webhooks: Arc<dyn WebhookDeliveries>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The backlog at one moment.
pub(super) struct BacklogRead {
    position: RelayPosition,
    backlog: Backlog,
    /// The position and the backlog of the seat feed.
    seat_feed: Option<(RelayPosition, Backlog)>,
    webhooks: WebhookSummary,
    /// Of the endpoint that is furthest behind.
    webhook_backlog: Backlog,
    at: Timestamp,
}

impl EventBacklog {
    pub(super) async fn read(&self) -> Result<BacklogRead, Unavailable> {
        let position = self.cursor.position().await?;
        let backlog = self.outbox.backlog(position.cursor).await?;
        let seat_feed = match &self.seat_feed {
            Some(cursor) => {
                let position = cursor.position().await?;
                let backlog = self.outbox.backlog(position.cursor).await?;
                Some((position, backlog))
            }
            None => None,
        };
        let webhooks = self.webhooks.summary().await?;
        let webhook_backlog = match webhooks.cursor {
            Some(cursor) => self.outbox.backlog(cursor).await?,
            None => Backlog::default(),
        };
        Ok(BacklogRead { position, backlog, seat_feed, webhooks, webhook_backlog, at: self.clock.now() })
    }
}

impl BacklogRead {
    /// Sets the gauges.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact to 2^53")]
    pub(super) fn set(&self) {
        let age = |of: Backlog| of.oldest.map_or(0.0, |oldest| (self.at - oldest).as_seconds_f64().max(0.0));
        gauge!("encore_event_backlog").set(self.backlog.events as f64);
        gauge!("encore_event_backlog_age_seconds").set(age(self.backlog));
        gauge!("encore_event_keys_held_back").set(self.position.held_back.len() as f64);
        gauge!("encore_event_keys_parked").set(self.position.parked() as f64);
        if let Some((position, backlog)) = &self.seat_feed {
            gauge!("encore_seat_feed_backlog_age_seconds").set(age(*backlog));
            gauge!("encore_seat_feed_keys_held_back").set(position.held_back.len() as f64);
        }
        let WebhookSummary { healthy, failing, disabled, waiting, cursor: _ } = self.webhooks;
        for (state, endpoints) in [("healthy", healthy), ("failing", failing), ("disabled", disabled)] {
            gauge!("encore_webhook_endpoints", "state" => state).set(endpoints as f64);
        }
        gauge!("encore_webhook_deliveries_waiting").set(waiting as f64);
        gauge!("encore_webhook_backlog_age_seconds").set(age(self.webhook_backlog));
    }
}
