use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::ids::EndpointId;
use encore_domain::ports::{Clock, Ids, Outbox, WebhookDeliveries};
use encore_domain::webhook::DELIVERIES_KEPT;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;
use uuid::Uuid;

use super::parts::WebhookDelivererParts;
use super::turn::Turns;

/// How long the lease of an endpoint lasts. When an instance dies, another sends after so long at most.
const LEASE: Duration = Duration::from_secs(10);
/// The lease is renewed when less than this is left of it.
const RENEW_BEFORE: Duration = Duration::from_secs(7);
/// How long an instance that has no endpoint waits at least before it looks for one again.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How much longer it may wait. The part is random, so that instances do not look together.
const LOOK_LATER_BY: Duration = Duration::from_secs(1);
/// The most old deliveries that are deleted at once.
const FORGOTTEN_AT_ONCE: u32 = 5_000;

/// Sends events to the endpoints of webhooks. See the crate's README. Clones are the same.
#[derive(Clone)]
pub struct WebhookDeliverer(Arc<Inner>);

struct Inner {
    outbox: Arc<dyn Outbox>,
    deliveries: Arc<dyn WebhookDeliveries>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    holder: Uuid,
    turns: Arc<Turns>,
    /// The turns under way: at most one for each endpoint.
    running: Mutex<HashMap<EndpointId, JoinHandle<()>>>,
    /// Set while this instance has no endpoint: when it looks for one again.
    look_at: Mutex<Option<Instant>>,
}

impl WebhookDeliverer {
    /// How often [`Self::poll`] should be called.
    pub const POLL_EVERY: Duration = Duration::from_millis(500);

    /// One that has not begun.
    pub fn new(parts: WebhookDelivererParts) -> Self {
        let holder = parts.ids.next();
        Self(Arc::new(Inner {
            outbox: Arc::clone(&parts.outbox),
            deliveries: Arc::clone(&parts.deliveries),
            clock: Arc::clone(&parts.clock),
            ids: Arc::clone(&parts.ids),
            holder,
            turns: Arc::new(Turns::new(parts, holder)),
            running: Mutex::default(),
            look_at: Mutex::default(),
        }))
    }

    /// Takes a step, unless this instance has no endpoint and looked for one a short time ago.
    pub async fn poll(&self, stop: &CancellationToken) -> Result<(), Unavailable> {
        let look_at = *locked(&self.0.look_at);
        if look_at.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        self.step(stop).await
    }

    /// Takes the endpoints that no other instance has, and begins a turn for each that has something to be sent and no turn under way. It
    /// does not wait for the turns, so an endpoint that does not answer delays no other. A cancelled `stop` ends them after the requests
    /// under way.
    pub async fn step(&self, stop: &CancellationToken) -> Result<(), Unavailable> {
        let inner = &self.0;
        // A turn that ends after this may have moved the cursor behind the one that is acquired here. Its endpoint is left out.
        locked(&inner.running).retain(|_, turn| !turn.is_finished());
        let now = inner.clock.now();
        let held = inner.deliveries.acquire(inner.holder, now, now + RENEW_BEFORE, now + LEASE).await?;
        *locked(&inner.look_at) = held.is_empty().then(|| Instant::now() + inner.pause());
        if held.is_empty() {
            return Ok(());
        }
        let end = inner.outbox.end().await?;
        let mut running = locked(&inner.running);
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
        let turns: Vec<_> = locked(&self.0.running).drain().collect();
        for (endpoint, turn) in turns {
            if turn.await.is_err() {
                let worker = "webhooks";
                error!(
                    alarm = "worker_panicked",
                    worker, %endpoint, "sending to a webhook endpoint panicked; retrying"
                );
            }
        }
    }

    /// Lets other instances send at once.
    pub async fn release(&self) -> Result<(), Unavailable> {
        self.0.deliveries.release(self.0.holder).await
    }

    /// Deletes old deliveries, until none is left or `stop` is cancelled.
    pub async fn forget(&self, stop: &CancellationToken) -> Result<(), Unavailable> {
        let (deliveries, before) = (&self.0.deliveries, self.0.clock.now() - DELIVERIES_KEPT);
        while deliveries.forget(before, FORGOTTEN_AT_ONCE).await? >= u64::from(FORGOTTEN_AT_ONCE)
            && !stop.is_cancelled()
        {}
        Ok(())
    }
}

impl Inner {
    fn pause(&self) -> Duration {
        let random = u32::try_from(self.ids.next().as_u128() % 1_000).unwrap_or_default();
        LOOK_EVERY + LOOK_LATER_BY * random / 1_000
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
