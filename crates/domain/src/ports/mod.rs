//! The ports: what the domain needs from outside. There is one trait per role, and each method is atomic.
//!
//! The bullets under `# Contract` are the cases of the port's conformance suite in `encore-port-tests`, under the same
//! names. With the `mock` feature, each port has a `Mock…` made by mockall.

mod audit;
mod audit_log;
mod booking;
mod card_payments;
mod catalog;
mod clock;
mod drafts;
mod event_publisher;
mod identity;
mod ids;
mod mailer;
mod notifications;
mod outbox;
mod page_tokens;
mod payment_gateway;
mod payments;
mod performance_changes;
mod queue;
mod rate_limits;
mod reconciliations;
mod refunds;
mod relay_cursor;
mod request_records;
mod sales_records;
mod sales_switches;
mod sent_alarms;
mod settlements;
mod store_clock;
mod wallet_credits;
mod wallets;
mod webhooks;
mod withdrawals;

pub use audit::Audit;
pub use audit_log::AuditLog;
pub use booking::{
    ChooseRefusal, LockTerms, PlaceRefusal, RESERVATIONS_REMEMBERED, Reservations, SeatBlocks, SeatChanges,
    SeatListener, SeatLocks, TakeRefusal, TakenSeats,
};
pub use card_payments::CardPayments;
pub use catalog::Catalog;
pub use clock::Clock;
pub use drafts::Drafts;
pub use event_publisher::EventPublisher;
pub use identity::{
    AccessTokens, AccountChanged, EmailTaken, EmailVerifications, EndedSession, HashingError, PasswordResets,
    Passwords, Refreshed, Sessions, Users,
};
pub use ids::Ids;
pub use mailer::Mailer;
pub use notifications::Notifications;
pub use outbox::Outbox;
pub use page_tokens::{LISTING_NAME_LEN, PageTokens};
pub use payment_gateway::{PaymentGateway, SandboxActions};
pub use payments::Payments;
pub use performance_changes::PerformanceChanges;
pub use queue::{
    Absent, CutLane, DrawClosed, Draws, FrozenLane, JoinRefusal, Joined, Joining, LaneGrants, Presence, QueueLost,
    QueueRecords, QueueStore, QueueTokens, REQUESTS_KEPT, RequestReused, SHOWN_MAX, TokenRefusal,
};
pub use rate_limits::RateLimits;
pub use reconciliations::Reconciliations;
pub use refunds::Refunds;
pub use relay_cursor::RelayCursor;
pub use request_records::RequestRecords;
pub use sales_records::SalesRecords;
pub use sales_switches::SalesSwitches;
pub use sent_alarms::SentAlarms;
pub use settlements::Settlements;
pub use store_clock::StoreClock;
pub use wallet_credits::WalletCredits;
pub use wallets::Wallets;
pub use webhooks::{
    AddEndpointRefusal, DeliveryCursor, NoSuchEndpoint, Rotated, SecretSeals, WebhookDeliveries, WebhookEndpoints,
    WebhookSender,
};
pub use withdrawals::Withdrawals;

#[cfg(feature = "mock")]
pub use self::{
    audit::MockAudit, audit_log::MockAuditLog, booking::MockReservations, booking::MockSeatBlocks,
    booking::MockSeatChanges, booking::MockSeatLocks, card_payments::MockCardPayments, catalog::MockCatalog,
    clock::MockClock, drafts::MockDrafts, event_publisher::MockEventPublisher, identity::MockAccessTokens,
    identity::MockEmailVerifications, identity::MockPasswordResets, identity::MockPasswords, identity::MockSessions,
    identity::MockUsers, ids::MockIds, mailer::MockMailer, notifications::MockNotifications, outbox::MockOutbox,
    page_tokens::MockPageTokens, payment_gateway::MockPaymentGateway, payment_gateway::MockSandboxActions,
    payments::MockPayments, performance_changes::MockPerformanceChanges, queue::MockDraws, queue::MockLaneGrants,
    queue::MockQueueRecords, queue::MockQueueStore, queue::MockQueueTokens, rate_limits::MockRateLimits,
    reconciliations::MockReconciliations, refunds::MockRefunds, relay_cursor::MockRelayCursor,
    request_records::MockRequestRecords, sales_records::MockSalesRecords, sales_switches::MockSalesSwitches,
    sent_alarms::MockSentAlarms, settlements::MockSettlements, store_clock::MockStoreClock,
    wallet_credits::MockWalletCredits, wallets::MockWallets, webhooks::MockSecretSeals,
    webhooks::MockWebhookDeliveries, webhooks::MockWebhookEndpoints, webhooks::MockWebhookSender,
    withdrawals::MockWithdrawals,
};
