#![doc = include_str!("../README.md")]

mod bitmap;
mod books;
mod catalog;
mod draws;
mod line;
mod line_records;
mod lines;
mod lock;
mod outbox;
mod paging;
mod payments;
mod records;
mod requests;
mod reservations;
mod seat_blocks;
mod seat_changes;
mod seat_locks;
mod seats;
mod seen_requests;
mod users;
mod wallets;

pub use books::MemoryBooks;
pub use catalog::MemoryCatalog;
pub use draws::MemoryDraws;
pub use line_records::MemoryLineRecords;
pub use lines::MemoryLines;
pub use outbox::MemoryOutbox;
pub use payments::MemoryPayments;
pub use records::MemoryRecords;
pub use reservations::MemoryReservations;
pub use seat_blocks::MemorySeatBlocks;
pub use seat_changes::MemorySeatChanges;
pub use seat_locks::MemorySeatLocks;
pub use seen_requests::{MemorySeenRequests, REQUESTS_REMEMBERED_MAX};
pub use users::MemoryUsers;
pub use wallets::MemoryWallets;
