mod deliverer;
mod http_sender;
mod pages;
mod signature;

pub use deliverer::{WebhookDeliverer, WebhookDelivererParts};
pub use http_sender::{HttpWebhookSender, Reach};
