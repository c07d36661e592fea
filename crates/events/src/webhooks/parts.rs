use std::sync::Arc;

use encore_domain::ports::{Catalog, Clock, Ids, Outbox, SecretSeals, WebhookDeliveries, WebhookSender};

/// What a [`WebhookDeliverer`](super::WebhookDeliverer) is made of.
pub struct WebhookDelivererParts {
    /// Where the events are.
    pub outbox: Arc<dyn Outbox>,
    /// The endpoints, and how far each is.
    pub deliveries: Arc<dyn WebhookDeliveries>,
    /// Opens their secrets.
    pub seals: Arc<dyn SecretSeals>,
    /// Sends.
    pub sender: Arc<dyn WebhookSender>,
    /// Names the seats.
    pub catalog: Arc<dyn Catalog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Identifies this instance, and spreads retries.
    pub ids: Arc<dyn Ids>,
}
