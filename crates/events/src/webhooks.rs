mod deliverer;
mod http_sender;
mod pages;
mod parts;
mod signature;
mod turn;

pub use deliverer::WebhookDeliverer;
pub(crate) use http_sender::reason;
pub use http_sender::{HttpWebhookSender, Reach};
pub use parts::WebhookDelivererParts;
