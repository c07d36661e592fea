//! What takes events to endpoints of webhooks and to fans, on the embedded stores and on Postgres.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod mail_bench;
mod notifications;
mod postponed;
mod webhook_bench;
mod webhook_deliveries;
mod webhook_turns;
