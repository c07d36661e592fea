//! What the core asks of the world. One trait per role; each method is one atomic fact.
//!
//! The bullets under `# Contract` are the cases of the port's conformance suite in `encore-port-tests`, under the same
//! names. With the `mock` feature every port has a `Mock…` made by mockall.

mod access_tokens;
mod books;
mod catalog;
mod clock;
mod draws;
mod ids;
mod lane_grants;
mod line_records;
mod lines;
mod outbox;
mod passwords;
mod payments;
mod queue_tokens;
mod reservations;
mod seat_blocks;
mod seat_changes;
mod seat_locks;
mod secrets;
mod seen_requests;
mod users;
mod wallets;

pub use access_tokens::AccessTokens;
pub use books::Books;
pub use catalog::Catalog;
pub use clock::Clock;
pub use draws::Draws;
pub use ids::Ids;
pub use lane_grants::LaneGrants;
pub use line_records::LineRecords;
pub use lines::{CutLane, FrozenLane, JoinRefusal, Joining, LineLost, Lines, Presence, SHOWN_MAX, TicketRefusal};
pub use outbox::Outbox;
pub use passwords::{HashingError, Passwords};
pub use payments::Payments;
pub use queue_tokens::QueueTokens;
pub use reservations::{PlaceRefusal, ReleaseRefusal, Reservations};
pub use seat_blocks::SeatBlocks;
pub use seat_changes::{SeatChanges, SeatListener};
pub use seat_locks::{ChooseRefusal, SeatLocks, TakeRefusal, TakenSeats};
pub use secrets::Secrets;
pub use seen_requests::{Seen, SeenRequests};
pub use users::{EmailTaken, Users};
pub use wallets::Wallets;

#[cfg(feature = "mock")]
pub use self::{
    access_tokens::MockAccessTokens, books::MockBooks, catalog::MockCatalog, clock::MockClock, draws::MockDraws,
    ids::MockIds, lane_grants::MockLaneGrants, line_records::MockLineRecords, lines::MockLines, outbox::MockOutbox,
    passwords::MockPasswords, payments::MockPayments, queue_tokens::MockQueueTokens, reservations::MockReservations,
    seat_blocks::MockSeatBlocks, seat_changes::MockSeatChanges, seat_locks::MockSeatLocks, secrets::MockSecrets,
    seen_requests::MockSeenRequests, users::MockUsers, wallets::MockWallets,
};
