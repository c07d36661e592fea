//! What takes events out.

use std::sync::Arc;

use encore_app::contexts::PerformanceContexts;
use encore_app::webhooks::{WebhookParts, WebhookUseCases};
use encore_domain::ports::{EventPublisher, RelayCursor};
use encore_domain::queue::fact::QueueFacts;
use encore_events::{
    Notifier, NotifierParts, QueueFactPublisher, Relay, RelayParts, WebhookDeliverer, WebhookDelivererParts,
};

use crate::alarms::{AlarmConditionParts, AlarmConditions};
use crate::metrics::EventBacklog;
use crate::ports::Ports;

/// Publishes events, if there is somewhere to publish them.
pub(super) fn relay(ports: &Ports) -> Option<Relay> {
    let relay = Relay::new(relay_parts(ports, ports.relay_cursor.clone(), ports.publisher.clone()?));
    Some(match ports.seat_publisher {
        Some(_) => relay.keeping_what_needs(ports.seat_feed_cursor.clone()),
        None => relay,
    })
}

/// Publishes the seat feed, if there is somewhere to publish it.
pub(super) fn seat_relay(ports: &Ports) -> Option<Relay> {
    Some(Relay::of_seats(relay_parts(ports, ports.seat_feed_cursor.clone(), ports.seat_publisher.clone()?)))
}

/// Publishes the facts of queues, if there is somewhere to publish them.
pub(super) fn queue_fact_publisher(ports: &Ports, facts: &Arc<QueueFacts>) -> Option<QueueFactPublisher> {
    Some(QueueFactPublisher::new(Arc::clone(facts), ports.queue_fact_publisher.clone()?, ports.ids.clone()))
}

fn relay_parts(ports: &Ports, cursor: Arc<dyn RelayCursor>, publisher: Arc<dyn EventPublisher>) -> RelayParts {
    RelayParts {
        outbox: ports.outbox.clone(),
        cursor,
        publisher,
        catalog: ports.catalog.clone(),
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    }
}

/// Tells fans of events, if there is something to send mails with.
pub(super) fn notifier(ports: &Ports) -> Option<Notifier> {
    let mailer = ports.mailer.clone()?;
    Some(Notifier::new(NotifierParts {
        outbox: ports.outbox.clone(),
        cursor: ports.notifier_cursor.clone(),
        notifications: ports.notifications.clone(),
        users: ports.users.clone(),
        reservations: ports.reservations.clone(),
        catalog: ports.catalog.clone(),
        mailer,
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    }))
}

pub(super) fn webhook_deliverer(ports: &Ports) -> WebhookDeliverer {
    WebhookDeliverer::new(WebhookDelivererParts {
        outbox: ports.outbox.clone(),
        deliveries: ports.webhook_deliveries.clone(),
        seals: ports.secret_seals.clone(),
        sender: ports.webhook_sender.clone(),
        catalog: ports.catalog.clone(),
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    })
}

pub(super) fn webhooks(ports: &Ports, contexts: PerformanceContexts) -> WebhookUseCases {
    WebhookUseCases::new(WebhookParts {
        endpoints: ports.webhook_endpoints.clone(),
        deliveries: ports.webhook_deliveries.clone(),
        sender: ports.webhook_sender.clone(),
        seals: ports.secret_seals.clone(),
        outbox: ports.outbox.clone(),
        contexts,
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    })
}

/// What lasts too long.
pub(super) fn alarm_conditions(ports: &Ports) -> AlarmConditions {
    AlarmConditions::new(AlarmConditionParts {
        outbox: ports.outbox.clone(),
        cursor: ports.relay_cursor.clone(),
        clock: ports.clock.clone(),
        publishes: ports.publisher.is_some(),
    })
}

pub(super) fn event_backlog(ports: &Ports) -> EventBacklog {
    EventBacklog {
        outbox: ports.outbox.clone(),
        cursor: ports.relay_cursor.clone(),
        seat_feed: ports.seat_publisher.as_ref().map(|_| ports.seat_feed_cursor.clone()),
        webhooks: ports.webhook_deliveries.clone(),
        clock: ports.clock.clone(),
    }
}
