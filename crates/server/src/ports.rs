//! Which adapter stands behind each port.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use encore_credentials::{Argon2Passwords, Keyring, SignedAccessTokens, SignedLaneGrants, SignedQueueTokens};
use encore_domain::error::Unavailable;
use encore_domain::ports::{
    AccessTokens, Books, Catalog, Clock, Draws, Ids, LaneGrants, LineRecords, Lines, Passwords, Payments, QueueTokens,
    Reservations, SeatBlocks, SeatChanges, SeatLocks, Secrets, SeenRequests, Users, Wallets,
};
use encore_memory_store::{
    MemoryBooks, MemoryCatalog, MemoryDraws, MemoryLineRecords, MemoryLines, MemoryPayments, MemoryRecords,
    MemoryReservations, MemorySeatBlocks, MemorySeatChanges, MemorySeatLocks, MemorySeenRequests, MemoryUsers,
    MemoryWallets,
};
use encore_postgres_store::{
    Database, DatabaseConfig, PostgresBooks, PostgresCatalog, PostgresDraws, PostgresLineRecords, PostgresPayments,
    PostgresReservations, PostgresSeatBlocks, PostgresUsers, PostgresWallets,
};
use encore_redis_store::{Redis, RedisLines, RedisSeatChanges, RedisSeatLocks, RedisSeenRequests};

use crate::system::{SystemClock, SystemSecrets, UuidV7Ids};

/// Every port of the domain, each with an adapter. Replace any field to run the server on something else: a mock, a fake.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the port of its type")]
pub struct Ports {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub passwords: Arc<dyn Passwords>,
    pub access_tokens: Arc<dyn AccessTokens>,
    pub queue_tokens: Arc<dyn QueueTokens>,
    pub lane_grants: Arc<dyn LaneGrants>,
    pub secrets: Arc<dyn Secrets>,
    pub users: Arc<dyn Users>,
    pub catalog: Arc<dyn Catalog>,
    pub reservations: Arc<dyn Reservations>,
    pub seat_blocks: Arc<dyn SeatBlocks>,
    pub wallets: Arc<dyn Wallets>,
    pub payments: Arc<dyn Payments>,
    pub books: Arc<dyn Books>,
    pub seat_locks: Arc<dyn SeatLocks>,
    pub seat_changes: Arc<dyn SeatChanges>,
    pub lines: Arc<dyn Lines>,
    pub line_records: Arc<dyn LineRecords>,
    pub draws: Arc<dyn Draws>,
    pub seen_requests: Arc<dyn SeenRequests>,
}

impl Ports {
    /// Everything in this process; gone when it ends.
    pub fn embedded(keyring: Keyring, access_token_lifetime: Duration) -> Self {
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        let records = MemoryRecords::default();
        let seat_locks = MemorySeatLocks::default();
        Self {
            clock: Arc::new(SystemClock::default()),
            ids: Arc::new(UuidV7Ids),
            passwords: Arc::new(Argon2Passwords::new(cores)),
            access_tokens: Arc::new(SignedAccessTokens::new(keyring.clone(), access_token_lifetime)),
            queue_tokens: Arc::new(SignedQueueTokens::new(keyring.clone())),
            lane_grants: Arc::new(SignedLaneGrants::new(keyring)),
            secrets: Arc::new(SystemSecrets),
            users: Arc::new(MemoryUsers::new(records.clone())),
            catalog: Arc::new(MemoryCatalog::new(records.clone())),
            reservations: Arc::new(MemoryReservations::new(records.clone())),
            seat_blocks: Arc::new(MemorySeatBlocks::new(records.clone())),
            wallets: Arc::new(MemoryWallets::new(records.clone())),
            payments: Arc::new(MemoryPayments::new(records.clone())),
            books: Arc::new(MemoryBooks::new(records.clone())),
            seat_changes: Arc::new(MemorySeatChanges::new(seat_locks.clone())),
            seat_locks: Arc::new(seat_locks),
            lines: Arc::new(MemoryLines::default()),
            line_records: Arc::new(MemoryLineRecords::new(records.clone())),
            draws: Arc::new(MemoryDraws::new(records.clone())),
            seen_requests: Arc::new(MemorySeenRequests::default()),
        }
    }

    /// The same with everything that must last in Postgres.
    pub async fn on_postgres(self, config: &DatabaseConfig) -> Result<Self, Unavailable> {
        let database = Database::connect(config).await?;
        Ok(Self {
            users: Arc::new(PostgresUsers::new(database.clone())),
            catalog: Arc::new(PostgresCatalog::new(database.clone())),
            reservations: Arc::new(PostgresReservations::new(database.clone())),
            seat_blocks: Arc::new(PostgresSeatBlocks::new(database.clone())),
            wallets: Arc::new(PostgresWallets::new(database.clone())),
            payments: Arc::new(PostgresPayments::new(database.clone())),
            line_records: Arc::new(PostgresLineRecords::new(database.clone())),
            draws: Arc::new(PostgresDraws::new(database.clone())),
            books: Arc::new(PostgresBooks::new(database)),
            ..self
        })
    }

    /// The same with lines and seat locks in Redis, or in a Redis Cluster if several nodes are named, comma-separated: any
    /// number of instances share them.
    pub async fn on_redis(self, urls: &str, key_prefix: &str) -> Result<Self, Unavailable> {
        let redis = Redis::connect(urls, key_prefix).await?;
        Ok(Self {
            seat_locks: Arc::new(RedisSeatLocks::new(redis.clone())),
            seat_changes: Arc::new(RedisSeatChanges::new(redis.clone())),
            lines: Arc::new(RedisLines::new(redis.clone())),
            seen_requests: Arc::new(RedisSeenRequests::new(redis)),
            ..self
        })
    }
}
