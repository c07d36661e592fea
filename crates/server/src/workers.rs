//! The background loops of every instance. Every step is idempotent and may run on several instances at the same time,
//! so a step that fails is retried.

mod repeat;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use encore_app::card_saga::CardSaga;
use encore_app::error::AppError;
use encore_app::password_resets::PasswordResetUseCases;
use encore_app::reconciliation::Reconciler;
use encore_app::request_retention::RequestRetention;
use encore_app::sales_gate::SalesGate;
use encore_app::sessions::SessionUseCases;
use encore_app::upkeep::Upkeep;
use encore_domain::ports::Outbox;
use encore_events::{Notifier, QueueFactPublisher, Relay, WebhookDeliverer};
use encore_waiting_room::WaitingRoom;
use futures::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub(crate) use self::repeat::repeat;
use crate::store_watch::{LOOK_EVERY, StoreWatch};

/// The interval at which expired holds are ended.
const EXPIRE_EVERY: Duration = Duration::from_millis(250);
/// The interval at which card payments that are due are taken up.
const TAKE_UP_EVERY: Duration = Duration::from_millis(500);
/// The interval at which pending settlements are propagated and overdue locks are compared with the claims.
const REPAIR_EVERY: Duration = Duration::from_secs(1);
/// The pause between two comparisons of all locks on sale with the claims.
const COMPARE_EVERY: Duration = Duration::from_secs(5);
/// The interval at which an instance learns which sessions have ended on others.
const FOLLOW_SESSIONS_EVERY: Duration = Duration::from_millis(250);
/// The pause between two steps that end expired sessions and delete ended ones.
const SWEEP_SESSIONS_EVERY: Duration = Duration::from_secs(10);
/// The pause between two windows of the outbox where nothing is published. They keep windows small, should a relay begin one day.
const CLOSE_WINDOW_EVERY: Duration = Duration::from_secs(1);
/// The interval at which mails that were asked for are sent.
const SEND_MAILS_EVERY: Duration = Duration::from_millis(250);
/// The pause between two deletions of expired password resets.
const SWEEP_RESETS_EVERY: Duration = Duration::from_mins(1);
/// The pause between two deletions of old deliveries of webhooks, and of notes of notifications.
const SWEEP_DELIVERIES_EVERY: Duration = Duration::from_mins(1);
/// The pause between two deletions of what is kept of past queues, and of old requests.
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// The background loops of an instance.
#[derive(Clone)]
pub struct Workers {
    room: WaitingRoom,
    sales_gate: SalesGate,
    upkeep: Upkeep,
    requests: RequestRetention,
    cards: Option<CardSaga>,
    reconciler: Option<Reconciler>,
    outbox: Arc<dyn Outbox>,
    relay: Option<Relay>,
    seat_relay: Option<Relay>,
    queue_facts: Option<QueueFactPublisher>,
    webhooks: WebhookDeliverer,
    notifier: Option<Notifier>,
    sessions: SessionUseCases,
    password_resets: Option<PasswordResetUseCases>,
    pub(crate) stores: StoreWatch,
}

/// What the loops run.
pub(crate) struct WorkerParts {
    pub(crate) room: WaitingRoom,
    pub(crate) sales_gate: SalesGate,
    pub(crate) upkeep: Upkeep,
    pub(crate) requests: RequestRetention,
    pub(crate) cards: Option<CardSaga>,
    pub(crate) reconciler: Option<Reconciler>,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) relay: Option<Relay>,
    pub(crate) seat_relay: Option<Relay>,
    pub(crate) queue_facts: Option<QueueFactPublisher>,
    pub(crate) webhooks: WebhookDeliverer,
    pub(crate) notifier: Option<Notifier>,
    pub(crate) sessions: SessionUseCases,
    pub(crate) stores: StoreWatch,
}

impl Workers {
    pub(crate) fn new(parts: WorkerParts) -> Self {
        let WorkerParts {
            room,
            sales_gate,
            upkeep,
            requests,
            cards,
            reconciler,
            outbox,
            relay,
            seat_relay,
            queue_facts,
            webhooks,
            notifier,
            sessions,
            stores,
        } = parts;
        let password_resets = None;
        Self {
            room,
            sales_gate,
            upkeep,
            requests,
            cards,
            reconciler,
            outbox,
            relay,
            seat_relay,
            queue_facts,
            webhooks,
            notifier,
            sessions,
            password_resets,
            stores,
        }
    }

    /// The same loops, which keep delivered events for this long.
    pub(crate) fn keeping_events_for(mut self, retention: Duration) -> Self {
        self.relay = self.relay.map(|relay| relay.keeping_for(retention));
        self
    }

    /// The same loops, which tell fans nothing.
    pub(crate) fn without_notifications(mut self) -> Self {
        self.notifier = None;
        self
    }

    /// The same loops, which send the mails of these resets.
    pub(crate) fn with_password_resets(mut self, resets: PasswordResetUseCases) -> Self {
        self.password_resets = Some(resets);
        self
    }

    /// The same loops over these sessions.
    pub(crate) fn with_sessions(mut self, sessions: SessionUseCases) -> Self {
        self.sessions = sessions;
        self
    }

    /// The same loops, which keep what is known of a queue for this long after its sale has closed.
    pub(crate) fn keeping_queues_for(mut self, retention: Duration) -> Self {
        self.upkeep = self.upkeep.keeping_queues_for(retention);
        self
    }

    /// The same loops, which keep requests of holds for this long.
    pub(crate) fn keeping_requests_for(mut self, retention: Duration) -> Self {
        self.requests = self.requests.keeping_for(retention);
        self
    }

    /// The number of seat locks that this instance has repaired.
    pub fn seats_repaired(&self) -> u64 {
        self.upkeep.seats_repaired()
    }

    /// Takes up the card payments that are due, once.
    pub async fn take_up_card_payments(&self) -> Result<(), AppError> {
        match &self.cards {
            Some(cards) => cards.take_up().await,
            None => Ok(()),
        }
    }

    /// Looks at the stores once. Before that an instance with stores is not ready.
    pub async fn look_at_stores(&self) {
        self.stores.look().await;
    }

    /// Runs all loops until `stop` is cancelled. Returns when each loop has finished its current step.
    pub async fn run(self, stop: CancellationToken) {
        let Self {
            room,
            sales_gate,
            upkeep,
            requests,
            cards,
            reconciler,
            outbox,
            relay,
            seat_relay,
            queue_facts,
            webhooks,
            notifier,
            sessions,
            password_resets,
            stores,
        } = self;
        let mut loops = Loops { running: JoinSet::new(), stop, stores };
        loops.watch_stores();
        loops.repeat("open queues", WaitingRoom::REFRESH_EVERY, room.clone(), |room| async move {
            room.refresh_open_queues().await
        });
        loops.repeat("sales switch", SalesGate::REFRESH_EVERY, sales_gate.clone(), |gate| async move {
            gate.refresh().await
        });
        loops.sweep_or_look(
            "tick",
            WaitingRoom::TICK_EVERY,
            (room.clone(), sales_gate),
            // Nobody is admitted to a sale that is stopped.
            |(room, gate)| async move { if gate.is_stopped() { room.renew().await } else { room.tick().await } },
            |(room, _)| async move { room.renew().await },
        );
        loops.sweep_or_look(
            "presence",
            WaitingRoom::PRESENCE_EVERY,
            room.clone(),
            |room| async move { room.keep_presence().await },
            |room| async move { room.report_present().await },
        );
        loops.sweep(
            "queue records",
            WaitingRoom::CHECKPOINT_EVERY,
            room,
            |room| async move { room.checkpoint().await },
        );
        loops.sweep("expiry", EXPIRE_EVERY, upkeep.clone(), |upkeep| async move { upkeep.expire_holds().await });
        loops.sweep("settlements", REPAIR_EVERY, upkeep.clone(), |upkeep| async move {
            upkeep.propagate_settlements().await
        });
        loops.sweep("overdue locks", REPAIR_EVERY, upkeep.clone(), |upkeep| async move {
            upkeep.settle_overdue_locks().await
        });
        loops.sweep(
            "past queues",
            FORGET_EVERY,
            upkeep.clone(),
            |upkeep| async move { upkeep.forget_past_queues().await },
        );
        loops.sweep("old requests", FORGET_EVERY, requests, |requests| async move { requests.sweep().await });
        loops.sweep(
            "seat lock repair",
            COMPARE_EVERY,
            upkeep,
            |upkeep| async move { upkeep.repair_seat_locks().await },
        );
        loops.repeat("ended sessions", FOLLOW_SESSIONS_EVERY, sessions.clone(), |sessions| async move {
            sessions.follow_ended().await
        });
        loops.sweep("sessions", SWEEP_SESSIONS_EVERY, sessions, |sessions| async move { sessions.sweep().await });
        if let Some(resets) = password_resets {
            loops.repeat(
                "mails",
                SEND_MAILS_EVERY,
                resets.clone(),
                |resets| async move { resets.send_waiting().await },
            );
            loops.sweep("password resets", SWEEP_RESETS_EVERY, resets, |resets| async move { resets.sweep().await });
        }
        if let Some(cards) = cards {
            loops.sweep("card payments", TAKE_UP_EVERY, cards, |cards| async move { cards.take_up().await });
        }
        let relay = relay.map(|relay| keeping_for(notifier.as_ref(), relay));
        loops.relay(outbox, relay.clone());
        if let Some(relay) = seat_relay.clone() {
            loops.publish("seat relay", relay);
        }
        if let Some(facts) = queue_facts.clone() {
            let every = QueueFactPublisher::PUBLISH_EVERY;
            loops.repeat("queue facts", every, facts, |facts| async move { facts.step().await });
        }
        loops.deliver(webhooks.clone());
        loops.notify(notifier.clone());
        if let Some(reconciler) = reconciler {
            loops.sweep("reconciliation", Reconciler::COMPARE_EVERY, reconciler, |reconciler| async move {
                reconciler.compare().await
            });
        }
        while loops.running.join_next().await.is_some() {}
        webhooks.finish().await;
        report("webhook endpoints", webhooks.release().await);
        if let Some(notifier) = notifier {
            report("notifier", notifier.release().await);
        }
        if let Some(relay) = relay {
            report("event relay", relay.release().await);
        }
        if let Some(relay) = seat_relay {
            report("seat relay", relay.release().await);
        }
        if let Some(facts) = queue_facts
            && let Err(error) = facts.step().await
        {
            warn!(error = &error as &dyn Error, "the last facts of queues were not published");
        }
    }
}

/// The relay, which keeps events for as long as fans may be told of them.
fn keeping_for(notifier: Option<&Notifier>, relay: Relay) -> Relay {
    match notifier {
        Some(_) => relay.keeping_at_least(Notifier::TOLD_WITHIN),
        None => relay,
    }
}

/// Logs that leases were not given up at the end.
fn report(leases_of: &'static str, released: Result<(), impl Error + 'static>) {
    if let Err(error) = released {
        let error = &error as &dyn Error;
        warn!(leases_of, error, "leases not released; another instance waits for their end");
    }
}

/// The loops that run.
struct Loops {
    running: JoinSet<()>,
    stop: CancellationToken,
    stores: StoreWatch,
}

impl Loops {
    fn watch_stores(&mut self) {
        let stores = self.stores.clone();
        let look = move || {
            let stores = stores.clone();
            async move {
                stores.look().await;
                Ok::<_, std::convert::Infallible>(())
            }
        };
        self.running.spawn(repeat("stores", self.stop.clone(), LOOK_EVERY, || true, look));
    }

    /// Publishes events; where they are not published, only closes windows.
    fn relay(&mut self, outbox: Arc<dyn Outbox>, relay: Option<Relay>) {
        let Some(relay) = relay else {
            return self.repeat("outbox windows", CLOSE_WINDOW_EVERY, outbox, |outbox| async move {
                outbox.close_window().await
            });
        };
        self.publish("event relay", relay);
    }

    fn publish(&mut self, name: &'static str, relay: Relay) {
        let stop = self.stop.clone();
        self.sweep(name, Relay::POLL_EVERY, relay, move |relay| {
            let stop = stop.clone();
            async move { relay.step(&stop).await }
        });
    }

    /// Tells fans of events.
    fn notify(&mut self, notifier: Option<Notifier>) {
        let Some(notifier) = notifier else { return };
        let stop = self.stop.clone();
        self.sweep("notifications", Notifier::POLL_EVERY, notifier.clone(), move |notifier| {
            let stop = stop.clone();
            async move { notifier.step(&stop).await }
        });
        let stop = self.stop.clone();
        self.sweep("notes of notifications", SWEEP_DELIVERIES_EVERY, notifier, move |notifier| {
            let stop = stop.clone();
            async move { notifier.forget(&stop).await }
        });
    }

    /// Sends events to the endpoints of webhooks.
    fn deliver(&mut self, webhooks: WebhookDeliverer) {
        let stop = self.stop.clone();
        self.sweep("webhooks", WebhookDeliverer::POLL_EVERY, webhooks.clone(), move |webhooks| {
            let stop = stop.clone();
            async move { webhooks.poll(&stop).await }
        });
        let stop = self.stop.clone();
        self.sweep("webhook deliveries", SWEEP_DELIVERIES_EVERY, webhooks, move |webhooks| {
            let stop = stop.clone();
            async move { webhooks.forget(&stop).await }
        });
    }

    /// Repeats a step.
    fn repeat<P, E, F>(&mut self, name: &'static str, pause: Duration, on: P, step: impl Fn(P) -> F + Send + 'static)
    where
        P: Clone + Send + 'static,
        E: Error + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.running.spawn(repeat(name, self.stop.clone(), pause, || true, move || step(on.clone())));
    }

    /// Repeats a step that ends what is past its deadline, or records when something was. It is left out while the clock is wrong.
    fn sweep<P, E, F>(&mut self, name: &'static str, pause: Duration, on: P, step: impl Fn(P) -> F + Send + 'static)
    where
        P: Clone + Send + 'static,
        E: Error + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let stores = self.stores.clone();
        let may_sweep = move || stores.may_sweep();
        self.running.spawn(repeat(name, self.stop.clone(), pause, may_sweep, move || step(on.clone())));
    }

    /// Repeats a step that ends what is past its deadline. While the clock is wrong, another is repeated that does the rest of it.
    fn sweep_or_look<P, E, F, G>(
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
        let stores = self.stores.clone();
        let step = move || {
            if stores.may_sweep() { sweep(on.clone()).left_future() } else { look(on.clone()).right_future() }
        };
        self.running.spawn(repeat(name, self.stop.clone(), pause, || true, step));
    }
}
