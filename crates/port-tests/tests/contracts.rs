//! Checks that the bullets of the ports' contracts and the cases of the suites have the same names, in the same order.

/// The names of the bullets under `# Contract`: the text in backticks before the first colon.
fn bullets(port: &str) -> Vec<&str> {
    let contract = port.lines().skip_while(|line| *line != "/// # Contract").take_while(|line| line.starts_with("///"));
    let bullets = contract.filter_map(|line| line.strip_prefix("/// - "));
    let names = bullets.flat_map(|bullet| bullet.split(": ").next().unwrap_or(bullet).split(", "));
    names.filter_map(|name| name.strip_prefix('`')?.split('`').next()).collect()
}

/// The names of the public cases that a suite's file defines.
fn cases(suite: &str) -> Vec<&str> {
    suite.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next()).collect()
}

macro_rules! agree {
    ($($($folder:literal)? $suite:ident),+) => {$(
        #[test]
        fn $suite() {
            let port = include_str!(concat!("../../domain/src/ports/", $($folder,)? stringify!($suite), ".rs"));
            let suite = include_str!(concat!("../src/", stringify!($suite), ".rs"));
            let stamped = encore_port_tests::$suite!(@names);
            assert_eq!(stamped.as_slice(), bullets(port), "stamped cases, and the contract");
            assert_eq!(stamped.as_slice(), cases(suite), "stamped cases, and the functions of the suite");
        }
    )+};
}

agree!(
    "identity/" users, "identity/" sessions, "identity/" password_resets, "identity/" email_verifications, drafts, performance_changes, wallets, audit, audit_log, "booking/" seat_blocks, "booking/" seat_changes, "queue/" queue_records,
    "queue/" draws, outbox, relay_cursor, notifications, sent_alarms, event_publisher, wallet_credits, withdrawals, settlements, sales_records, sales_switches, reconciliations, request_records, rate_limits,
    "webhooks/" webhook_endpoints, "webhooks/" webhook_deliveries
);

/// Suites that are folders. Each theme is a file, in the order of the contract.
macro_rules! agree_in_folders {
    ($($($folder:literal)? $suite:ident: [$($theme:ident),+])+) => {$(
        #[test]
        fn $suite() {
            let port = include_str!(concat!("../../domain/src/ports/", $($folder,)? stringify!($suite), ".rs"));
            let suite = concat!(
                $(include_str!(concat!("../src/", stringify!($suite), "/", stringify!($theme), ".rs"))),+
            );
            let stamped = encore_port_tests::$suite!(@names);
            assert_eq!(stamped.as_slice(), bullets(port), "stamped cases, and the contract");
            assert_eq!(stamped.as_slice(), cases(suite), "stamped cases, and the functions of the suite");
        }
    )+};
}

agree_in_folders! {
    catalog: [keeping, finding, listing, queues, events]
    "queue/" queue_store: [joining, repeating, admitting, needs, pace, tokens, presence, drawing, restoring, snapshots]
    payments: [paying, once, remembering, token_ends, together]
    "booking/" reservations: [placing, repeating, giving_back, extending, leaving, expiring, events]
    "booking/" seat_locks: [loading, taking, choosing, units, limiting, changing, blocking, publishing]
}
