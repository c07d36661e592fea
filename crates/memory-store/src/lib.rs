#![doc = include_str!("../README.md")]

mod audit;
mod bitmap;
mod catalog;
mod draws;
mod lock;
mod outbox;
mod paging;
mod payments;
mod queue;
mod queue_records;
mod queue_store;
mod records;
mod requests;
mod reservations;
mod seat_blocks;
mod seat_changes;
mod seat_locks;
mod seats;
mod users;
mod wallets;

pub use audit::MemoryAudit;
pub use catalog::MemoryCatalog;
pub use draws::MemoryDraws;
pub use outbox::MemoryOutbox;
pub use payments::MemoryPayments;
pub use queue_records::MemoryQueueRecords;
pub use queue_store::MemoryQueueStore;
pub use records::MemoryRecords;
pub use reservations::MemoryReservations;
pub use seat_blocks::MemorySeatBlocks;
pub use seat_changes::MemorySeatChanges;
pub use seat_locks::MemorySeatLocks;
pub use users::MemoryUsers;
pub use wallets::MemoryWallets;
