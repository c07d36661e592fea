//! The background loops of an instance, by its roles. Every step is idempotent and may run on several instances at the same time,
//! so a step that fails is retried.

mod loops;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use encore_app::card_saga::CardSaga;
use encore_app::contexts::PerformanceContexts;
use encore_app::email_verifications::EmailVerificationUseCases;
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
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub(crate) use self::loops::repeat;
use self::loops::{Loops, REPAIR_EVERY};
use crate::alarms::AlarmConditions;
use crate::roles::Roles;
use crate::store_watch::StoreWatch;

/// The interval at which expired holds are ended.
const EXPIRE_EVERY: Duration = Duration::from_millis(250);
/// The interval at which card payments that are due are taken up.
const TAKE_UP_EVERY: Duration = Duration::from_millis(500);
/// The pause between two comparisons of all locks on sale with the claims.
const COMPARE_EVERY: Duration = Duration::from_secs(5);
/// The interval at which an instance learns which sessions have ended on others.
const FOLLOW_SESSIONS_EVERY: Duration = Duration::from_millis(250);
/// The pause between two steps that end expired sessions and delete ended ones.
const SWEEP_SESSIONS_EVERY: Duration = Duration::from_secs(10);
/// The interval at which mails that were asked for are sent.
const SEND_MAILS_EVERY: Duration = Duration::from_millis(250);
/// The pause between two deletions of expired password resets, and of expired e-mail verifications.
const SWEEP_RESETS_EVERY: Duration = Duration::from_mins(1);
/// The pause between two deletions of what is kept of past queues, and of old requests.
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// The background loops of an instance.
#[derive(Clone)]
pub struct Workers {
    parts: WorkerParts,
    mails: Option<(PasswordResetUseCases, EmailVerificationUseCases)>,
    roles: Roles,
}

/// What the loops run.
#[derive(Clone)]
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
    pub(crate) alarms: AlarmConditions,
    pub(crate) sessions: SessionUseCases,
    pub(crate) stores: StoreWatch,
}

impl Workers {
    pub(crate) fn new(parts: WorkerParts) -> Self {
        Self { parts, mails: None, roles: Roles::ALL }
    }

    /// The loops of these roles alone.
    pub(crate) fn playing(mut self, roles: Roles) -> Self {
        self.roles = roles;
        self
    }

    /// The same loops, which keep delivered events for this long.
    pub(crate) fn keeping_events_for(mut self, retention: Duration) -> Self {
        self.parts.relay = self.parts.relay.map(|relay| relay.keeping_for(retention));
        self
    }

    /// The same loops, which tell fans nothing.
    pub(crate) fn without_notifications(mut self) -> Self {
        self.parts.notifier = None;
        self
    }

    /// The same loops, which send the mails of these.
    pub(crate) fn with_mails(mut self, resets: PasswordResetUseCases, of_emails: EmailVerificationUseCases) -> Self {
        self.mails = Some((resets, of_emails));
        self
    }

    /// The same loops over these sessions.
    pub(crate) fn with_sessions(mut self, sessions: SessionUseCases) -> Self {
        self.parts.sessions = sessions;
        self
    }

    /// The same loops, which keep what is known of a queue for this long after its sale has closed.
    pub(crate) fn keeping_queues_for(mut self, retention: Duration) -> Self {
        self.parts.upkeep = self.parts.upkeep.keeping_queues_for(retention);
        self
    }

    /// The same loops, which keep requests of holds for this long.
    pub(crate) fn keeping_requests_for(mut self, retention: Duration) -> Self {
        self.parts.requests = self.parts.requests.keeping_for(retention);
        self
    }

    /// The same loops, where the clock may differ from those of the stores by this much.
    pub(crate) fn tolerating(mut self, tolerance: Duration) -> Self {
        self.parts.stores = self.parts.stores.tolerating(tolerance);
        self
    }

    /// The number of seat locks that this instance has repaired.
    pub fn seats_repaired(&self) -> u64 {
        self.parts.upkeep.seats_repaired()
    }

    /// Takes up the card payments that are due, once.
    pub async fn take_up_card_payments(&self) -> Result<(), AppError> {
        match &self.parts.cards {
            Some(cards) => cards.take_up().await,
            None => Ok(()),
        }
    }

    /// Looks at the stores once. Before that an instance with stores is not ready.
    pub async fn look_at_stores(&self) {
        self.parts.stores.look().await;
    }

    /// Runs all loops until `stop` is cancelled. Returns when each loop has finished its current step.
    pub async fn run(self, stop: CancellationToken) {
        let Self { parts, mails, roles } = self;
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
            alarms,
            sessions,
            stores,
        } = parts;
        let mut loops = Loops { running: JoinSet::new(), stop, stores, roles };
        loops.watch_stores();
        queues(&mut loops, room, sales_gate, &upkeep);
        holds(&mut loops, upkeep, requests);
        accounts(&mut loops, sessions, mails);
        if let Some(cards) = cards {
            loops.sweep("card payments", TAKE_UP_EVERY, cards, |cards| async move { cards.take_up().await });
        }
        // Where fans are told is not known of another process.
        let fans_are_told = notifier.is_some() || !roles.notifier;
        let relay =
            relay.map(|relay| if fans_are_told { relay.keeping_at_least(Notifier::TOLD_WITHIN) } else { relay });
        loops.relay(outbox, relay.clone());
        if let Some(relay) = seat_relay.clone() {
            loops.publish("seat relay", relay);
        }
        // What notes facts also publishes them: they are in its memory.
        let queue_facts = queue_facts.filter(|_| roles.api || roles.worker);
        if let Some(facts) = queue_facts.clone() {
            let every = QueueFactPublisher::PUBLISH_EVERY;
            loops.repeat("queue facts", every, facts, |facts| async move { facts.step().await });
        }
        loops.deliver(webhooks.clone());
        loops.notify(notifier.clone());
        // On all, since what an alarm tells may be that no worker runs.
        loops.repeat("alarms", AlarmConditions::LOOK_EVERY, alarms, |alarms| async move { alarms.look().await });
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

/// The loops of queues, and those that follow what is on sale.
fn queues(loops: &mut Loops, room: WaitingRoom, sales_gate: SalesGate, upkeep: &Upkeep) {
    loops.repeat("open queues", WaitingRoom::REFRESH_EVERY, room.clone(), |room| async move {
        room.refresh_open_queues().await
    });
    loops.repeat("changed performances", PerformanceContexts::REFRESH_EVERY, upkeep.clone(), |upkeep| async move {
        upkeep.follow_performances().await
    });
    loops.repeat(
        "sales switch",
        SalesGate::REFRESH_EVERY,
        sales_gate.clone(),
        |gate| async move { gate.refresh().await },
    );
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
    if !loops.roles.worker {
        loops.keep_up(room.clone(), upkeep.clone());
    }
    loops.sweep("queue records", WaitingRoom::CHECKPOINT_EVERY, room, |room| async move { room.checkpoint().await });
}

/// The loops that keep holds, locks and requests in order.
fn holds(loops: &mut Loops, upkeep: Upkeep, requests: RequestRetention) {
    loops.sweep("expiry", EXPIRE_EVERY, upkeep.clone(), |upkeep| async move { upkeep.expire_holds().await });
    loops.sweep(
        "settlements",
        REPAIR_EVERY,
        upkeep.clone(),
        |upkeep| async move { upkeep.propagate_settlements().await },
    );
    loops.sweep(
        "overdue locks",
        REPAIR_EVERY,
        upkeep.clone(),
        |upkeep| async move { upkeep.settle_overdue_locks().await },
    );
    loops.sweep("past queues", FORGET_EVERY, upkeep.clone(), |upkeep| async move { upkeep.forget_past_queues().await });
    loops.sweep("old requests", FORGET_EVERY, requests, |requests| async move { requests.sweep().await });
    loops.sweep("seat lock repair", COMPARE_EVERY, upkeep, |upkeep| async move { upkeep.repair_seat_locks().await });
}

/// The loops of sessions, and of mails that users ask for.
fn accounts(
    loops: &mut Loops,
    sessions: SessionUseCases,
    mails: Option<(PasswordResetUseCases, EmailVerificationUseCases)>,
) {
    if loops.roles.api {
        loops.repeat("ended sessions", FOLLOW_SESSIONS_EVERY, sessions.clone(), |sessions| async move {
            sessions.follow_ended().await
        });
    }
    loops.sweep("sessions", SWEEP_SESSIONS_EVERY, sessions, |sessions| async move { sessions.sweep().await });
    if let Some((resets, of_emails)) = mails {
        // They wait in the memory of the instance that was asked for them.
        if loops.roles.api {
            loops.repeat(
                "mails",
                SEND_MAILS_EVERY,
                resets.clone(),
                |resets| async move { resets.send_waiting().await },
            );
            loops.repeat("verification mails", SEND_MAILS_EVERY, of_emails.clone(), |of_emails| async move {
                of_emails.send_waiting().await
            });
        }
        loops.sweep("password resets", SWEEP_RESETS_EVERY, resets, |resets| async move { resets.sweep().await });
        loops.sweep("e-mail verifications", SWEEP_RESETS_EVERY, of_emails, |of_emails| async move {
            of_emails.sweep().await
        });
    }
}

/// Logs that leases were not given up at the end.
fn report(leases_of: &'static str, released: Result<(), impl Error + 'static>) {
    if let Err(error) = released {
        let error = &error as &dyn Error;
        warn!(leases_of, error, "leases not released; another instance waits for their end");
    }
}
