//! The contracts of the ports on Postgres. Each case has a database of its own.
#![expect(clippy::expect_used, reason = "tests")]

mod common;

use std::sync::Arc;

use encore_port_tests::RecordBench;
use encore_postgres_store::{
    Database, PostgresAudit, PostgresAuditLog, PostgresCardPayments, PostgresCatalog, PostgresDrafts, PostgresDraws,
    PostgresEmailVerifications, PostgresNotifications, PostgresOutbox, PostgresPasswordResets, PostgresPayments,
    PostgresPerformanceChanges, PostgresQueueRecords, PostgresReconciliations, PostgresRefunds, PostgresRelayCursor,
    PostgresRequestRecords, PostgresReservations, PostgresSalesRecords, PostgresSalesSwitches, PostgresSeatBlocks,
    PostgresSentAlarms, PostgresSessions, PostgresSettlements, PostgresUsers, PostgresWalletCredits, PostgresWallets,
    PostgresWebhookDeliveries, PostgresWebhookEndpoints, PostgresWithdrawals,
};

async fn bench() -> RecordBench {
    let scratch = common::scratch().await;
    let database = Database::connect(&scratch.config()).await.expect("the scratch database accepts connections");
    RecordBench {
        users: Arc::new(PostgresUsers::new(database.clone())),
        sessions: Arc::new(PostgresSessions::new(database.clone())),
        password_resets: Arc::new(PostgresPasswordResets::new(database.clone())),
        email_verifications: Arc::new(PostgresEmailVerifications::new(database.clone())),
        catalog: Arc::new(PostgresCatalog::new(database.clone())),
        drafts: Arc::new(PostgresDrafts::new(database.clone())),
        performance_changes: Arc::new(PostgresPerformanceChanges::new(database.clone())),
        queue_records: Arc::new(PostgresQueueRecords::new(database.clone())),
        draws: Arc::new(PostgresDraws::new(database.clone())),
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
        outbox: Arc::new(PostgresOutbox::new(database.clone())),
        notifications: Arc::new(PostgresNotifications::new(database.clone())),
        sent_alarms: Arc::new(PostgresSentAlarms::new(database.clone())),
        relay_cursor: Arc::new(PostgresRelayCursor::new(database.clone(), "events")),
        webhook_endpoints: Arc::new(PostgresWebhookEndpoints::new(database.clone())),
        webhook_deliveries: Arc::new(PostgresWebhookDeliveries::new(database.clone())),
        audit: Arc::new(PostgresAudit::new(database.clone())),
        audit_log: Arc::new(PostgresAuditLog::new(database)),
        keep: Box::new(scratch),
    }
}

encore_port_tests::users!(bench);
encore_port_tests::sessions!(bench);
encore_port_tests::password_resets!(bench);
encore_port_tests::email_verifications!(bench);
encore_port_tests::catalog!(bench);
encore_port_tests::drafts!(bench);
encore_port_tests::queue_records!(bench);
encore_port_tests::draws!(bench);
encore_port_tests::reservations!(bench);
encore_port_tests::seat_blocks!(bench);
encore_port_tests::wallets!(bench);
encore_port_tests::payments!(bench);
encore_port_tests::refunds!(bench);
encore_port_tests::wallet_credits!(bench);
encore_port_tests::withdrawals!(bench);
encore_port_tests::reconciliations!(bench);
encore_port_tests::settlements!(bench);
encore_port_tests::sales_records!(bench);
encore_port_tests::sales_switches!(bench);
encore_port_tests::request_records!(bench);
encore_port_tests::card_payments!(bench);
encore_port_tests::outbox!(bench);
encore_port_tests::webhook_endpoints!(bench);
encore_port_tests::webhook_deliveries!(bench);
encore_port_tests::relay_cursor!(bench);
encore_port_tests::notifications!(bench);
encore_port_tests::sent_alarms!(bench);
encore_port_tests::audit!(bench);
encore_port_tests::audit_log!(bench);
