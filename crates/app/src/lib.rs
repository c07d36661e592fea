#![doc = include_str!("../README.md")]

pub mod admin;
pub mod audit;
pub mod booking;
pub mod caller_limits;
pub mod cancellation;
pub mod card_hints;
mod card_measure;
pub mod card_payments;
pub mod card_saga;
pub mod catalog;
pub mod drafts;
pub mod error;
pub mod event_log;
pub mod identity;
pub mod money_admin;
mod mail_queue;
mod mail_token;
pub mod password_resets;
pub mod payment;
pub mod performance_cancellation;
pub mod queue;
pub mod queue_admin;
mod queue_ceilings;
pub mod queue_guard;
pub mod reconciliation;
pub mod records;
pub mod rehearsal_fans;
mod repeats;
pub mod request_retention;
pub mod sales_gate;
pub mod seat_blocks;
pub mod sessions;
pub mod upkeep;
pub mod wallet;
pub mod webhooks;

pub use encore_seat_map::contexts;
