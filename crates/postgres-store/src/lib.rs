#![doc = include_str!("../README.md")]

mod books;
mod catalog;
mod chart_rows;
mod claims;
mod codec;
mod database;
mod draws;
mod error;
mod event_record;
mod gathering;
mod hold_changes;
mod hold_record;
mod ledger;
mod line_records;
mod line_rows;
mod locks;
pub mod migration;
mod outbox;
mod payments;
mod performance_rows;
mod placing;
mod requests;
mod reservation_rows;
mod reservations;
mod schema;
#[cfg(feature = "scratch")]
pub mod scratch;
mod seat_blocks;
mod statement;
mod users;
mod wallets;

pub use books::PostgresBooks;
pub use catalog::PostgresCatalog;
pub use database::{Database, DatabaseConfig};
pub use draws::PostgresDraws;
pub use line_records::PostgresLineRecords;
pub use outbox::PostgresOutbox;
pub use payments::PostgresPayments;
pub use reservations::PostgresReservations;
pub use seat_blocks::PostgresSeatBlocks;
pub use users::PostgresUsers;
pub use wallets::PostgresWallets;
