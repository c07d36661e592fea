use std::collections::BTreeMap;

use encore_domain::event::OutboxPlace;
use encore_domain::ids::EndpointId;
use encore_domain::time::Timestamp;
use encore_domain::webhook::{DeliveryState, Replay, WebhookDelivery, WebhookEndpoint};
use uuid::Uuid;

/// The endpoints of webhooks, and what was delivered.
#[derive(Default)]
pub struct WebhookRecords {
    pub endpoints: BTreeMap<EndpointId, EndpointRecord>,
    /// By the endpoint and the id of the event.
    pub deliveries: BTreeMap<(EndpointId, String), WebhookDelivery>,
}

/// An endpoint and how far it is.
pub struct EndpointRecord {
    pub endpoint: WebhookEndpoint,
    pub cursor: OutboxPlace,
    pub replay: Option<Replay>,
    /// Who sends to it, until when.
    pub lease: Option<(Uuid, Timestamp)>,
}

impl WebhookRecords {
    /// The deliveries to an endpoint.
    pub fn of(&self, endpoint: EndpointId) -> impl Iterator<Item = &WebhookDelivery> {
        let from = (endpoint, String::new());
        self.deliveries.range(from..).take_while(move |((of, _), _)| *of == endpoint).map(|(_, delivery)| delivery)
    }

    /// The deliveries to an endpoint that wait, and when each is due.
    pub fn waiting(&self, endpoint: EndpointId) -> impl Iterator<Item = (Timestamp, &WebhookDelivery)> {
        self.of(endpoint).filter_map(|delivery| match delivery.state {
            DeliveryState::Waiting { next_try_at } => Some((next_try_at, delivery)),
            DeliveryState::Delivered | DeliveryState::GivenUp => None,
        })
    }

    /// The last place that no endpoint needs any more; none if no endpoint needs anything.
    pub fn needed_after(&self) -> Option<OutboxPlace> {
        let enabled = self.endpoints.values().filter(|record| record.endpoint.disabled.is_none());
        let needed = enabled.map(|record| {
            let waiting = self.waiting(record.endpoint.id).map(|(_, delivery)| delivery.event.place.before());
            waiting.fold(record.cursor, OutboxPlace::min)
        });
        needed.min()
    }
}
