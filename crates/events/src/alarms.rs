mod notifier;
mod webhook;

pub use notifier::{AlarmNotifier, AlarmNotifierParts, Alarms};
pub use webhook::{AlarmWebhook, AlarmWebhookError};
