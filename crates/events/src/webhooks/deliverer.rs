use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::ids::EndpointId;
use encore_domain::ports::{Clock, Outbox, WebhookDeliveries};
use encore_domain::webhook::DELIVERIES_KEPT;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;
use uuid::Uuid;

use super::parts::WebhookDelivererParts;
use super::turn::Turns;

/// How long the lease of an endpoint lasts. When an instance dies, another sends after so long at most.
const LEASE: Duration = Duration::from_secs(10);
/// The lease is renewed when less than this is left of it.
const RENEW_BEFORE: Duration = Duration::from_secs(7);
/// The most old deliveries that are deleted at once.
const FORGOTTEN_AT_ONCE: u32 = 5_000;

/// Sends events to the endpoints of webhooks. See the crate's README. Clones are the same.
#[derive(Clone)]
pub struct WebhookDeliverer(Arc<Inner>);

struct Inner {
    outbox: Arc<dyn Outbox>,
    deliveries: Arc<dyn WebhookDeliveries>,
    clock: Arc<dyn Clock>,
    holder: Uuid,
    turns: Arc<Turns>,
    /// The turns under way: at most one for each endpoint.
    running: Mutex<HashMap<EndpointId, JoinHandle<()>>>,
}

impl WebhookDeliverer {
    /// How often a step should be taken.
    pub const POLL_EVERY: Duration = Duration::from_millis(500);

    /// One that has not begun.
    pub fn new(parts: WebhookDelivererParts) -> Self {
        let holder = parts.ids.next();
        Self(Arc::new(Inner {
            outbox: Arc::clone(&parts.outbox),
            deliveries: Arc::clone(&parts.deliveries),
            clock: Arc::clone(&parts.clock),
            holder,
            turns: Arc::new(Turns::new(parts, holder)),
            running: Mutex::default(),
        }))
    }

    /// Takes the endpoints that no other instance has, and begins a turn for each that has something to be sent and no turn under way. It
    /// does not wait for the turns, so an endpoint that does not answer delays no other. A cancelled `stop` ends them after the requests
    /// under way.
    pub async fn step(&self, stop: &CancellationToken) -> Result<(), Unavailable> {
        let inner = &self.0;
        // A turn that ends after this may have moved the cursor behind the one that is acquired here. Its endpoint is left out.
        inner.running().retain(|_, turn| !turn.is_finished());
        let now = inner.clock.now();
        let held = inner.deliveries.acquire(inner.holder, now, now + RENEW_BEFORE, now + LEASE).await?;
        if held.is_empty() {
            return Ok(());
        }
        let end = inner.outbox.end().await?;
        let mut running = inner.running();
        for held in held {
            let is_due = held.due_at.is_some_and(|due_at| due_at <= now);
            let has_work = is_due || held.cursor < end || held.replay.is_some();
            if has_work && !stop.is_cancelled() {
                let (endpoint, turns, stop) = (held.endpoint.id, Arc::clone(&inner.turns), stop.clone());
                let turn = async move { turns.take(held, &stop).await };
                running.entry(endpoint).or_insert_with(|| tokio::spawn(turn));
            }
        }
        Ok(())
    }

    /// Waits until all turns that were begun have ended.
    pub async fn finish(&self) {
        let turns: Vec<_> = self.0.running().drain().collect();
        for (endpoint, turn) in turns {
            if turn.await.is_err() {
                error!(%endpoint, "sending to a webhook endpoint panicked; retrying");
            }
        }
    }

    /// Lets other instances send at once.
    pub async fn release(&self) -> Result<(), Unavailable> {
        self.0.deliveries.release(self.0.holder).await
    }

    /// Deletes old deliveries. The next step goes on.
    pub async fn forget(&self) -> Result<(), Unavailable> {
        self.0.deliveries.forget(self.0.clock.now() - DELIVERIES_KEPT, FORGOTTEN_AT_ONCE).await?;
        Ok(())
    }
}

impl Inner {
    fn running(&self) -> MutexGuard<'_, HashMap<EndpointId, JoinHandle<()>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
