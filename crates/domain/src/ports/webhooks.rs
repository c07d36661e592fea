mod secret_seals;
mod webhook_deliveries;
mod webhook_endpoints;
mod webhook_sender;

pub use secret_seals::SecretSeals;
pub use webhook_deliveries::{DeliveryCursor, WebhookDeliveries};
pub use webhook_endpoints::{AddEndpointRefusal, NoSuchEndpoint, Rotated, WebhookEndpoints};
pub use webhook_sender::WebhookSender;

#[cfg(feature = "mock")]
pub use self::{
    secret_seals::MockSecretSeals, webhook_deliveries::MockWebhookDeliveries, webhook_endpoints::MockWebhookEndpoints,
    webhook_sender::MockWebhookSender,
};
