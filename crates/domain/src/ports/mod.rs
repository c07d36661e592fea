//! What the core asks of the world. One trait per role; each method is one atomic fact.
//!
//! The bullets under `# Contract` are the cases of the port's conformance suite in `encore-port-tests`, under the same
//! names. With the `mock` feature every port has a `Mock…` made by mockall.

mod access_tokens;
mod audit;
mod catalog;
mod clock;
mod draws;
mod ids;
mod lane_grants;
mod outbox;
mod passwords;
mod payments;
mod queue_records;
mod queue_store;
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
pub use audit::Audit;
pub use catalog::Catalog;
pub use clock::Clock;
pub use draws::Draws;
pub use ids::Ids;
pub use lane_grants::LaneGrants;
pub use outbox::Outbox;
pub use passwords::{HashingError, Passwords};
pub use payments::Payments;
pub use queue_records::QueueRecords;
pub use queue_store::{
    CutLane, FrozenLane, JoinRefusal, Joining, Presence, QueueLost, QueueStore, SHOWN_MAX, TokenRefusal,
};
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
    access_tokens::MockAccessTokens, audit::MockAudit, catalog::MockCatalog, clock::MockClock, draws::MockDraws,
    ids::MockIds, lane_grants::MockLaneGrants, outbox::MockOutbox, passwords::MockPasswords, payments::MockPayments,
    queue_records::MockQueueRecords, queue_store::MockQueueStore, queue_tokens::MockQueueTokens,
    reservations::MockReservations, seat_blocks::MockSeatBlocks, seat_changes::MockSeatChanges,
    seat_locks::MockSeatLocks, secrets::MockSecrets, seen_requests::MockSeenRequests, users::MockUsers,
    wallets::MockWallets,
};
