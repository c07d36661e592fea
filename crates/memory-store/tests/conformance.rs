//! The contracts of the ports, on the stores in process.

use std::sync::Arc;

use encore_memory_store::{
    MemoryAudit, MemoryAuditLog, MemoryCardPayments, MemoryCatalog, MemoryDrafts, MemoryDraws,
    MemoryEmailVerifications, MemoryNotifications, MemoryOutbox, MemoryPasswordResets, MemoryPayments,
    MemoryPerformanceChanges, MemoryQueueRecords, MemoryQueueStore, MemoryRateLimits, MemoryReconciliations,
    MemoryRecords, MemoryRefunds, MemoryRelayCursor, MemoryRequestRecords, MemoryReservations, MemorySalesRecords,
    MemorySalesSwitches, MemorySeatBlocks, MemorySeatChanges, MemorySeatLocks, MemorySentAlarms, MemorySessions,
    MemorySettlements, MemoryUsers, MemoryWallets, MemoryWebhookDeliveries, MemoryWebhookEndpoints, MemoryWithdrawals,
};
use encore_port_tests::{RecordBench, SpeedBench};

async fn records() -> RecordBench {
    let records = MemoryRecords::default();
    RecordBench {
        users: Arc::new(MemoryUsers::new(records.clone())),
        sessions: Arc::new(MemorySessions::new(records.clone())),
        password_resets: Arc::new(MemoryPasswordResets::new(records.clone())),
        email_verifications: Arc::new(MemoryEmailVerifications::new(records.clone())),
        catalog: Arc::new(MemoryCatalog::new(records.clone())),
        drafts: Arc::new(MemoryDrafts::new(records.clone())),
        performance_changes: Arc::new(MemoryPerformanceChanges::new(records.clone())),
        queue_records: Arc::new(MemoryQueueRecords::new(records.clone())),
        draws: Arc::new(MemoryDraws::new(records.clone())),
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
        outbox: Arc::new(MemoryOutbox::new(records.clone())),
        notifications: Arc::new(MemoryNotifications::new(records.clone())),
        sent_alarms: Arc::new(MemorySentAlarms::new(records.clone())),
        relay_cursor: Arc::new(MemoryRelayCursor::new(records.clone(), "events")),
        webhook_endpoints: Arc::new(MemoryWebhookEndpoints::new(records.clone())),
        webhook_deliveries: Arc::new(MemoryWebhookDeliveries::new(records.clone())),
        audit: Arc::new(MemoryAudit::new(records.clone())),
        audit_log: Arc::new(MemoryAuditLog::new(records)),
        keep: Box::new(()),
    }
}

async fn speed() -> SpeedBench {
    let seat_locks = MemorySeatLocks::default();
    SpeedBench {
        seat_changes: Arc::new(MemorySeatChanges::new(seat_locks.clone())),
        seat_locks: Arc::new(seat_locks),
        queues: Arc::new(MemoryQueueStore::default()),
        rate_limits: Arc::new(MemoryRateLimits::default()),
        keep: Box::new(()),
    }
}

encore_port_tests::users!(records);
encore_port_tests::sessions!(records);
encore_port_tests::password_resets!(records);
encore_port_tests::email_verifications!(records);
encore_port_tests::catalog!(records);
encore_port_tests::drafts!(records);
encore_port_tests::performance_changes!(records);
encore_port_tests::queue_records!(records);
encore_port_tests::draws!(records);
encore_port_tests::reservations!(records);
encore_port_tests::seat_blocks!(records);
encore_port_tests::wallets!(records);
encore_port_tests::payments!(records);
encore_port_tests::refunds!(records);
encore_port_tests::wallet_credits!(records);
encore_port_tests::withdrawals!(records);
encore_port_tests::reconciliations!(records);
encore_port_tests::settlements!(records);
encore_port_tests::sales_records!(records);
encore_port_tests::sales_switches!(records);
encore_port_tests::request_records!(records);
encore_port_tests::card_payments!(records);
encore_port_tests::outbox!(records);
encore_port_tests::webhook_endpoints!(records);
encore_port_tests::webhook_deliveries!(records);
encore_port_tests::relay_cursor!(records);
encore_port_tests::notifications!(records);
encore_port_tests::sent_alarms!(records);
encore_port_tests::audit!(records);
encore_port_tests::audit_log!(records);
encore_port_tests::seat_changes!(speed);
encore_port_tests::seat_locks!(speed);
encore_port_tests::queue_store!(speed);
encore_port_tests::rate_limits!(speed);
