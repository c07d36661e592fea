#![doc = include_str!("../README.md")]
#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a case fails by panicking")]

mod answers;
mod bench;
mod contention;
pub mod fixtures;
mod paging;
mod stamp;

pub mod audit;
pub mod audit_log;
pub mod card_payments;
pub mod catalog;
pub mod drafts;
pub mod draws;
pub mod email_verifications;
pub mod event_publisher;
pub mod notifications;
pub mod outbox;
pub mod password_resets;
pub mod payment_gateway;
pub mod payments;
pub mod performance_changes;
pub mod queue_records;
pub mod queue_store;
pub mod rate_limits;
pub mod reconciliations;
pub mod refunds;
pub mod relay_cursor;
pub mod request_records;
pub mod reservations;
pub mod sales_records;
pub mod sales_switches;
pub mod seat_blocks;
pub mod seat_changes;
pub mod seat_locks;
pub mod sent_alarms;
pub mod sessions;
pub mod settlements;
pub mod users;
pub mod wallet_credits;
pub mod wallets;
pub mod webhook_deliveries;
pub mod webhook_endpoints;
pub mod withdrawals;

pub use bench::{RecordBench, SpeedBench};
pub use event_publisher::PublisherBench;
