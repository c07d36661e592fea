//! Selects the adapter of each port.

use std::sync::Arc;

use encore_credentials::{
    Argon2Passwords, EncryptedSecrets, Keyring, SignedAccessTokens, SignedLaneGrants, SignedPageTokens,
    SignedQueueTokens,
};
use encore_domain::error::Unavailable;
use encore_domain::ports::{
    AccessTokens, Audit, AuditLog, CardPayments, Catalog, Clock, Drafts, Draws, EmailVerifications, EventPublisher,
    Ids, LaneGrants, Mailer, Notifications, Outbox, PageTokens, PasswordResets, Passwords, PaymentGateway, Payments,
    PerformanceChanges, QueueRecords, QueueStore, QueueTokens, RateLimits, Reconciliations, Refunds, RelayCursor,
    RequestRecords, Reservations, SalesRecords, SalesSwitches, SandboxActions, SeatBlocks, SeatChanges, SeatLocks,
    SecretSeals, SentAlarms, Sessions, Settlements, Users, WalletCredits, Wallets, WebhookDeliveries, WebhookEndpoints,
    WebhookSender, Withdrawals,
};
use encore_events::{HttpWebhookSender, Reach};
use encore_memory_store::{
    MemoryAudit, MemoryAuditLog, MemoryCardPayments, MemoryCatalog, MemoryDrafts, MemoryDraws,
    MemoryEmailVerifications, MemoryMailer, MemoryNotifications, MemoryOutbox, MemoryPasswordResets, MemoryPayments,
    MemoryPerformanceChanges, MemoryQueueRecords, MemoryQueueStore, MemoryRateLimits, MemoryReconciliations,
    MemoryRecords, MemoryRefunds, MemoryRelayCursor, MemoryRequestRecords, MemoryReservations, MemorySalesRecords,
    MemorySalesSwitches, MemorySeatBlocks, MemorySeatChanges, MemorySeatLocks, MemorySentAlarms, MemorySessions,
    MemorySettlements, MemoryUsers, MemoryWallets, MemoryWebhookDeliveries, MemoryWebhookEndpoints, MemoryWithdrawals,
};
use encore_payment_gateway::{SandboxGateway, StripeConfig, StripeConfigError, StripeGateway};
use encore_postgres_store::{
    Database, DatabaseConfig, PostgresAudit, PostgresAuditLog, PostgresCardPayments, PostgresCatalog, PostgresClock,
    PostgresDrafts, PostgresDraws, PostgresEmailVerifications, PostgresNotifications, PostgresOutbox,
    PostgresPasswordResets, PostgresPayments, PostgresPerformanceChanges, PostgresQueueRecords,
    PostgresReconciliations, PostgresRefunds, PostgresRelayCursor, PostgresRequestRecords, PostgresReservations,
    PostgresSalesRecords, PostgresSalesSwitches, PostgresSeatBlocks, PostgresSentAlarms, PostgresSessions,
    PostgresSettlements, PostgresUsers, PostgresWalletCredits, PostgresWallets, PostgresWebhookDeliveries,
    PostgresWebhookEndpoints, PostgresWithdrawals,
};
use encore_redis_store::{Redis, RedisClock, RedisQueueStore, RedisRateLimits, RedisSeatChanges, RedisSeatLocks};

use crate::store_watch::StoreClocks;
use crate::system::{SystemClock, SystemIds, cores};

/// The name of the relay that publishes events, in the database.
const EVENT_RELAY: &str = "events";
/// The name of what tells fans of events.
const NOTIFIER: &str = "notifications";
/// The name of the relay of the seat feed.
const SEAT_FEED: &str = "seats";

/// Every port of the domain with its adapter. Replace a field to run the server on another adapter, such as a mock.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the port that its type names")]
pub struct Ports {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub passwords: Arc<dyn Passwords>,
    pub access_tokens: Arc<dyn AccessTokens>,
    pub queue_tokens: Arc<dyn QueueTokens>,
    pub lane_grants: Arc<dyn LaneGrants>,
    pub page_tokens: Arc<dyn PageTokens>,
    pub users: Arc<dyn Users>,
    pub sessions: Arc<dyn Sessions>,
    pub password_resets: Arc<dyn PasswordResets>,
    pub email_verifications: Arc<dyn EmailVerifications>,
    /// None if this server sends no mails.
    pub mailer: Option<Arc<dyn Mailer>>,
    pub catalog: Arc<dyn Catalog>,
    pub drafts: Arc<dyn Drafts>,
    pub performance_changes: Arc<dyn PerformanceChanges>,
    pub reservations: Arc<dyn Reservations>,
    pub seat_blocks: Arc<dyn SeatBlocks>,
    pub wallets: Arc<dyn Wallets>,
    pub payments: Arc<dyn Payments>,
    pub refunds: Arc<dyn Refunds>,
    pub reconciliations: Arc<dyn Reconciliations>,
    pub withdrawals: Arc<dyn Withdrawals>,
    pub wallet_credits: Arc<dyn WalletCredits>,
    pub settlements: Arc<dyn Settlements>,
    pub sales_records: Arc<dyn SalesRecords>,
    pub sales_switches: Arc<dyn SalesSwitches>,
    pub request_records: Arc<dyn RequestRecords>,
    pub card_payments: Arc<dyn CardPayments>,
    /// None if nobody can pay by card.
    pub gateway: Option<Arc<dyn PaymentGateway>>,
    /// The sandbox, if that is the gateway.
    pub sandbox: Option<Arc<dyn SandboxActions>>,
    pub outbox: Arc<dyn Outbox>,
    pub relay_cursor: Arc<dyn RelayCursor>,
    pub notifications: Arc<dyn Notifications>,
    /// Where the notifier is.
    pub notifier_cursor: Arc<dyn RelayCursor>,
    pub sent_alarms: Arc<dyn SentAlarms>,
    /// None if events are not published.
    pub publisher: Option<Arc<dyn EventPublisher>>,
    /// Where the relay of the seat feed is.
    pub seat_feed_cursor: Arc<dyn RelayCursor>,
    /// None if there is no seat feed.
    pub seat_publisher: Option<Arc<dyn EventPublisher>>,
    /// None if the facts of queues are not published.
    pub queue_fact_publisher: Option<Arc<dyn EventPublisher>>,
    pub webhook_endpoints: Arc<dyn WebhookEndpoints>,
    pub webhook_deliveries: Arc<dyn WebhookDeliveries>,
    pub webhook_sender: Arc<dyn WebhookSender>,
    pub secret_seals: Arc<dyn SecretSeals>,
    pub audit: Arc<dyn Audit>,
    pub audit_log: Arc<dyn AuditLog>,
    pub seat_locks: Arc<dyn SeatLocks>,
    pub seat_changes: Arc<dyn SeatChanges>,
    pub queues: Arc<dyn QueueStore>,
    pub rate_limits: Arc<dyn RateLimits>,
    pub queue_records: Arc<dyn QueueRecords>,
    pub draws: Arc<dyn Draws>,
    pub store_clocks: StoreClocks,
}

impl Ports {
    /// Every port in memory. The data is lost when the process ends.
    pub fn embedded(keyring: Keyring) -> Self {
        let records = MemoryRecords::default();
        let seat_locks = MemorySeatLocks::default();
        let sandbox = Arc::new(SandboxGateway::default());
        Self {
            clock: Arc::new(SystemClock::default()),
            ids: Arc::new(SystemIds),
            passwords: Arc::new(Argon2Passwords::new(cores())),
            access_tokens: Arc::new(SignedAccessTokens::new(keyring.clone())),
            queue_tokens: Arc::new(SignedQueueTokens::new(keyring.clone())),
            lane_grants: Arc::new(SignedLaneGrants::new(keyring.clone())),
            page_tokens: Arc::new(SignedPageTokens::new(keyring.clone())),
            secret_seals: Arc::new(EncryptedSecrets::new(keyring)),
            users: Arc::new(MemoryUsers::new(records.clone())),
            sessions: Arc::new(MemorySessions::new(records.clone())),
            password_resets: Arc::new(MemoryPasswordResets::new(records.clone())),
            email_verifications: Arc::new(MemoryEmailVerifications::new(records.clone())),
            mailer: Some(Arc::new(MemoryMailer::default())),
            catalog: Arc::new(MemoryCatalog::new(records.clone())),
            drafts: Arc::new(MemoryDrafts::new(records.clone())),
            performance_changes: Arc::new(MemoryPerformanceChanges::new(records.clone())),
            reservations: Arc::new(MemoryReservations::new(records.clone())),
            seat_blocks: Arc::new(MemorySeatBlocks::new(records.clone())),
            wallets: Arc::new(MemoryWallets::new(records.clone())),
            payments: Arc::new(MemoryPayments::new(records.clone())),
            refunds: Arc::new(MemoryRefunds::new(records.clone())),
            reconciliations: Arc::new(MemoryReconciliations::new(records.clone())),
            withdrawals: Arc::new(MemoryWithdrawals::new(records.clone())),
            wallet_credits: Arc::new(MemoryWallets::new(records.clone())),
            settlements: Arc::new(MemorySettlements::new(records.clone())),
            sales_records: Arc::new(MemorySalesRecords::new(records.clone())),
            sales_switches: Arc::new(MemorySalesSwitches::new(records.clone())),
            request_records: Arc::new(MemoryRequestRecords::new(records.clone())),
            card_payments: Arc::new(MemoryCardPayments::new(records.clone())),
            gateway: Some(Arc::clone(&sandbox) as Arc<dyn PaymentGateway>),
            sandbox: Some(sandbox),
            outbox: Arc::new(MemoryOutbox::new(records.clone())),
            relay_cursor: Arc::new(MemoryRelayCursor::new(records.clone(), EVENT_RELAY)),
            notifications: Arc::new(MemoryNotifications::new(records.clone())),
            notifier_cursor: Arc::new(MemoryRelayCursor::new(records.clone(), NOTIFIER)),
            sent_alarms: Arc::new(MemorySentAlarms::new(records.clone())),
            publisher: None,
            seat_feed_cursor: Arc::new(MemoryRelayCursor::new(records.clone(), SEAT_FEED)),
            seat_publisher: None,
            queue_fact_publisher: None,
            webhook_endpoints: Arc::new(MemoryWebhookEndpoints::new(records.clone())),
            webhook_deliveries: Arc::new(MemoryWebhookDeliveries::new(records.clone())),
            webhook_sender: Arc::new(HttpWebhookSender::new(Reach::Public)),
            audit: Arc::new(MemoryAudit::new(records.clone())),
            audit_log: Arc::new(MemoryAuditLog::new(records.clone())),
            seat_changes: Arc::new(MemorySeatChanges::new(seat_locks.clone())),
            seat_locks: Arc::new(seat_locks),
            queues: Arc::new(MemoryQueueStore::default()),
            rate_limits: Arc::new(MemoryRateLimits::default()),
            queue_records: Arc::new(MemoryQueueRecords::new(records.clone())),
            draws: Arc::new(MemoryDraws::new(records.clone())),
            store_clocks: StoreClocks::default(),
        }
    }

    /// The same ports without a payment gateway: nobody pays by card.
    pub fn without_gateway(self) -> Self {
        Self { gateway: None, sandbox: None, ..self }
    }

    /// The same ports, where cards are charged by Stripe.
    pub fn on_stripe(self, config: StripeConfig) -> Result<Self, StripeConfigError> {
        let gateway = StripeGateway::new(config, self.clock.clone())?;
        Ok(Self { gateway: Some(Arc::new(gateway)), sandbox: None, ..self })
    }

    /// The same ports with all durable data in Postgres.
    pub async fn on_postgres(self, config: &DatabaseConfig) -> Result<Self, Unavailable> {
        let database = Database::connect(config).await?;
        Ok(Self {
            users: Arc::new(PostgresUsers::new(database.clone())),
            sessions: Arc::new(PostgresSessions::new(database.clone())),
            password_resets: Arc::new(PostgresPasswordResets::new(database.clone())),
            email_verifications: Arc::new(PostgresEmailVerifications::new(database.clone())),
            catalog: Arc::new(PostgresCatalog::new(database.clone())),
            drafts: Arc::new(PostgresDrafts::new(database.clone())),
            performance_changes: Arc::new(PostgresPerformanceChanges::new(database.clone())),
            reservations: Arc::new(PostgresReservations::new(database.clone())),
            seat_blocks: Arc::new(PostgresSeatBlocks::new(database.clone())),
            wallets: Arc::new(PostgresWallets::new(database.clone())),
            payments: Arc::new(PostgresPayments::new(database.clone())),
            refunds: Arc::new(PostgresRefunds::new(database.clone())),
            reconciliations: Arc::new(PostgresReconciliations::new(database.clone())),
            withdrawals: Arc::new(PostgresWithdrawals::new(database.clone())),
            wallet_credits: Arc::new(PostgresWalletCredits::new(database.clone())),
            settlements: Arc::new(PostgresSettlements::new(database.clone())),
            sales_records: Arc::new(PostgresSalesRecords::new(database.clone())),
            sales_switches: Arc::new(PostgresSalesSwitches::new(database.clone())),
            request_records: Arc::new(PostgresRequestRecords::new(database.clone())),
            card_payments: Arc::new(PostgresCardPayments::new(database.clone())),
            queue_records: Arc::new(PostgresQueueRecords::new(database.clone())),
            draws: Arc::new(PostgresDraws::new(database.clone())),
            outbox: Arc::new(PostgresOutbox::new(database.clone())),
            relay_cursor: Arc::new(PostgresRelayCursor::new(database.clone(), EVENT_RELAY)),
            notifications: Arc::new(PostgresNotifications::new(database.clone())),
            notifier_cursor: Arc::new(PostgresRelayCursor::new(database.clone(), NOTIFIER)),
            sent_alarms: Arc::new(PostgresSentAlarms::new(database.clone())),
            seat_feed_cursor: Arc::new(PostgresRelayCursor::new(database.clone(), SEAT_FEED)),
            webhook_endpoints: Arc::new(PostgresWebhookEndpoints::new(database.clone())),
            webhook_deliveries: Arc::new(PostgresWebhookDeliveries::new(database.clone())),
            audit: Arc::new(PostgresAudit::new(database.clone())),
            audit_log: Arc::new(PostgresAuditLog::new(database.clone())),
            store_clocks: StoreClocks { records: Some(Arc::new(PostgresClock::new(database))), ..self.store_clocks },
            ..self
        })
    }

    /// The same ports with queues and seat locks in Redis, which any number of instances share. Several comma-separated
    /// URLs name the nodes of a Redis Cluster.
    pub async fn on_redis(self, urls: &str, key_prefix: &str) -> Result<Self, Unavailable> {
        Ok(self.with_redis(Redis::connect(urls, key_prefix).await?))
    }

    /// The same ports with queues and seat locks on this Redis.
    pub fn with_redis(self, redis: Redis) -> Self {
        Self {
            seat_locks: Arc::new(RedisSeatLocks::new(redis.clone())),
            seat_changes: Arc::new(RedisSeatChanges::new(redis.clone())),
            queues: Arc::new(RedisQueueStore::new(redis.clone())),
            rate_limits: Arc::new(RedisRateLimits::new(redis.clone())),
            store_clocks: StoreClocks { live: Some(Arc::new(RedisClock::new(redis))), ..self.store_clocks },
            ..self
        }
    }
}
