#![doc = include_str!("../README.md")]

mod sandbox;
mod stripe;

pub use sandbox::{
    ANSWER_LATE, APPROVE, CAPTURE_REFUSED, DECLINE, DISPUTE, INSUFFICIENT_FUNDS, LOSE_ANSWER, NEEDS_ACTION,
    REFUND_FAILS_LATER, REFUND_REFUSED, SandboxGateway, TIME_OUT,
};
pub use stripe::webhooks::{
    Hint, NotWebhookSecrets, WEBHOOK_SECRETS_MAX, WEBHOOK_TOLERANCE, WebhookRefusal, WebhookSecrets,
};
pub use stripe::{
    NotASecretKey, STRIPE_CALL_WITHIN, STRIPE_URL, SecretKey, StripeConfig, StripeConfigError, StripeGateway,
};
