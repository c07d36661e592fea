//! The loops that run, by the roles of the process.

use std::convert::Infallible;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use encore_app::upkeep::Upkeep;
use encore_domain::ports::Outbox;
use encore_events::{Notifier, Relay, WebhookDeliverer};
use encore_waiting_room::WaitingRoom;
use futures::FutureExt;
use metrics::{counter, histogram};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::roles::Roles;
use crate::store_watch::{LOOK_EVERY, StoreWatch};

/// The interval at which pending settlements are propagated and overdue locks are compared with the claims.
pub(super) const REPAIR_EVERY: Duration = Duration::from_secs(1);
/// The pause between two windows of the outbox where nothing is published. They keep windows small, should a relay begin one day.
const CLOSE_WINDOW_EVERY: Duration = Duration::from_secs(1);
/// The pause between two deletions of old deliveries of webhooks, and of notes of notifications.
const SWEEP_DELIVERIES_EVERY: Duration = Duration::from_mins(1);

/// The loops that run.
pub(super) struct Loops {
    pub(super) running: JoinSet<()>,
    pub(super) stop: CancellationToken,
    pub(super) stores: StoreWatch,
    pub(super) roles: Roles,
}

impl Loops {
    /// What is in the memory of an instance that serves, and what a worker does beside its other work.
    pub(super) fn keep_up(&mut self, room: WaitingRoom, upkeep: Upkeep) {
        self.repeat("queue records", WaitingRoom::CHECKPOINT_EVERY, room, |room| async move {
            room.forget_closed();
            Ok::<_, Infallible>(())
        });
        self.repeat("settlements", REPAIR_EVERY, upkeep, |upkeep| async move { upkeep.note_propagated().await });
    }

    pub(super) fn watch_stores(&mut self) {
        let stores = self.stores.clone();
        let look = move || {
            let stores = stores.clone();
            async move {
                stores.look().await;
                Ok::<_, Infallible>(())
            }
        };
        self.running.spawn(repeat("stores", self.stop.clone(), LOOK_EVERY, || true, look));
    }

    /// Publishes events; where they are not published, only closes windows.
    pub(super) fn relay(&mut self, outbox: Arc<dyn Outbox>, relay: Option<Relay>) {
        if !self.roles.worker {
            return;
        }
        let Some(relay) = relay else {
            return self.repeat("outbox windows", CLOSE_WINDOW_EVERY, outbox, |outbox| async move {
                outbox.close_window().await
            });
        };
        self.publish("event relay", relay);
    }

    /// Publishes what follows from events.
    pub(super) fn publish(&mut self, name: &'static str, relay: Relay) {
        if self.roles.worker {
            let step = |relay: Relay, stop| async move { relay.step(&stop).await };
            self.sweep_until_stop(name, Relay::POLL_EVERY, relay, step);
        }
    }

    /// Tells fans of events.
    pub(super) fn notify(&mut self, notifier: Option<Notifier>) {
        let Some(notifier) = notifier.filter(|_| self.roles.notifier) else { return };
        let step = |notifier: Notifier, stop| async move { notifier.step(&stop).await };
        self.sweep_until_stop("notifications", Notifier::POLL_EVERY, notifier.clone(), step);
        let forget = |notifier: Notifier, stop| async move { notifier.forget(&stop).await };
        self.sweep_until_stop("notes of notifications", SWEEP_DELIVERIES_EVERY, notifier, forget);
    }

    /// Sends events to the endpoints of webhooks.
    pub(super) fn deliver(&mut self, webhooks: WebhookDeliverer) {
        if !self.roles.notifier {
            return;
        }
        let poll = |webhooks: WebhookDeliverer, stop| async move { webhooks.poll(&stop).await };
        self.sweep_until_stop("webhooks", WebhookDeliverer::POLL_EVERY, webhooks.clone(), poll);
        let forget = |webhooks: WebhookDeliverer, stop| async move { webhooks.forget(&stop).await };
        self.sweep_until_stop("webhook deliveries", SWEEP_DELIVERIES_EVERY, webhooks, forget);
    }

    /// Repeats a step.
    pub(super) fn repeat<P, E, F>(
        &mut self,
        name: &'static str,
        pause: Duration,
        on: P,
        step: impl Fn(P) -> F + Send + 'static,
    ) where
        P: Clone + Send + 'static,
        E: Error + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.running.spawn(repeat(name, self.stop.clone(), pause, || true, move || step(on.clone())));
    }

    /// Repeats a step of a worker that ends what is past its deadline, or records when something was. It is left out while the clock is
    /// wrong, and on an instance that is no worker.
    pub(super) fn sweep<P, E, F>(
        &mut self,
        name: &'static str,
        pause: Duration,
        on: P,
        step: impl Fn(P) -> F + Send + 'static,
    ) where
        P: Clone + Send + 'static,
        E: Error + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        if self.roles.worker {
            self.sweep_of_any_role(name, pause, on, step);
        }
    }

    /// The same, of any role.
    fn sweep_of_any_role<P, E, F>(
        &mut self,
        name: &'static str,
        pause: Duration,
        on: P,
        step: impl Fn(P) -> F + Send + 'static,
    ) where
        P: Clone + Send + 'static,
        E: Error + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let stores = self.stores.clone();
        let may_sweep = move || stores.may_sweep();
        self.running.spawn(repeat(name, self.stop.clone(), pause, may_sweep, move || step(on.clone())));
    }

    /// The same, of any role, with a step that ends early when the process stops.
    fn sweep_until_stop<P, E, F>(
        &mut self,
        name: &'static str,
        pause: Duration,
        on: P,
        step: impl Fn(P, CancellationToken) -> F + Send + 'static,
    ) where
        P: Clone + Send + 'static,
        E: Error + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.sweep_of_any_role(name, pause, on, move |on| step(on, stop.clone()));
    }

    /// Repeats a step of a worker that ends what is past its deadline. While the clock is wrong, another is repeated that does the rest of
    /// it, and so it is on an instance that serves and is no worker.
    pub(super) fn sweep_or_look<P, E, F, G>(
        &mut self,
        name: &'static str,
        pause: Duration,
        on: P,
        sweep: impl Fn(P) -> F + Send + 'static,
        look: impl Fn(P) -> G + Send + 'static,
    ) where
        P: Clone + Send + 'static,
        E: Error + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        G: Future<Output = Result<(), E>> + Send + 'static,
    {
        let (stores, sweeps) = (self.stores.clone(), self.roles.worker);
        if !sweeps && !self.roles.api {
            return;
        }
        let step = move || {
            if sweeps && stores.may_sweep() { sweep(on.clone()).left_future() } else { look(on.clone()).right_future() }
        };
        self.running.spawn(repeat(name, self.stop.clone(), pause, || true, step));
    }
}

/// Repeats a step until `stop` is cancelled, while it `may` run. The first failure and the first success after it are logged, not
/// the failures between them. A step that panics is repeated, too.
pub(crate) async fn repeat<E, F>(
    name: &'static str,
    stop: CancellationToken,
    pause: Duration,
    may: impl Fn() -> bool,
    step: impl Fn() -> F,
) where
    E: Error + 'static,
    F: Future<Output = Result<(), E>>,
{
    let mut failing = false;
    while !stop.is_cancelled() {
        if may() {
            let began = Instant::now();
            let outcome = AssertUnwindSafe(step()).catch_unwind().await;
            histogram!("encore_worker_step_duration_seconds", "worker" => name).record(began.elapsed());
            if !matches!(outcome, Ok(Ok(()))) {
                counter!("encore_worker_failures_total", "worker" => name).increment(1);
            }
            match outcome {
                Ok(Ok(())) if failing => {
                    info!(worker = name, "worker step succeeded again; worker recovered");
                    failing = false;
                }
                Ok(Err(error)) if !failing => {
                    warn!(worker = name, error = &error as &dyn Error, "worker step failed; retrying");
                    failing = true;
                }
                Ok(Ok(()) | Err(_)) => {}
                Err(_) => {
                    error!(alarm = "worker_panicked", worker = name, "worker step panicked; retrying");
                    failing = true;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
}
