#![doc = include_str!("../README.md")]

mod audit;
mod batcher;
mod catalog;
mod chart_rows;
mod claims;
mod codec;
mod database;
mod drawing_record;
mod draws;
mod ended_tokens;
mod error;
mod event_record;
mod hold_changes;
mod hold_record;
mod ledger;
mod locks;
pub mod migration;
mod outbox;
mod payments;
mod performance_rows;
mod placing;
mod queue_records;
mod queue_rows;
mod requests;
mod reservation_rows;
mod reservations;
mod schema;
#[cfg(feature = "scratch")]
pub mod scratch;
mod seat_blocks;
mod statement;
mod store_clock;
mod users;
mod wallets;

pub use audit::PostgresAudit;
pub use catalog::PostgresCatalog;
pub use database::{Database, DatabaseConfig};
pub use draws::PostgresDraws;
pub use outbox::PostgresOutbox;
pub use payments::PostgresPayments;
pub use queue_records::PostgresQueueRecords;
pub use reservations::PostgresReservations;
pub use seat_blocks::PostgresSeatBlocks;
pub use store_clock::PostgresClock;
pub use users::PostgresUsers;
pub use wallets::PostgresWallets;
