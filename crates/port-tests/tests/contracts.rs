//! The bullets of the ports' contracts and the cases of the suites are the same names, in the same order.

/// The names of the bullets under `# Contract`: what stands in backticks before the first colon.
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
    ($($suite:ident),+) => {$(
        #[test]
        fn $suite() {
            let port = include_str!(concat!("../../domain/src/ports/", stringify!($suite), ".rs"));
            let suite = include_str!(concat!("../src/", stringify!($suite), ".rs"));
            let stamped = encore_port_tests::$suite!(@names);
            assert_eq!(stamped.as_slice(), bullets(port), "stamped cases, and the contract");
            assert_eq!(stamped.as_slice(), cases(suite), "stamped cases, and the functions of the suite");
        }
    )+};
}

agree!(
    users,
    catalog,
    reservations,
    wallets,
    payments,
    books,
    seat_changes,
    seat_locks,
    line_records,
    draws,
    seen_requests
);

/// The suite of the lines is a folder: its themes are files, in the order of the contract.
#[test]
fn lines() {
    let port = include_str!("../../domain/src/ports/lines.rs");
    let suite = concat!(
        include_str!("../src/lines/joining.rs"),
        include_str!("../src/lines/admitting.rs"),
        include_str!("../src/lines/tickets.rs"),
        include_str!("../src/lines/presence.rs"),
        include_str!("../src/lines/drawing.rs"),
        include_str!("../src/lines/restoring.rs"),
        include_str!("../src/lines/snapshots.rs"),
    );
    let stamped = encore_port_tests::lines!(@names);
    assert_eq!(stamped.as_slice(), bullets(port), "stamped cases, and the contract");
    assert_eq!(stamped.as_slice(), cases(suite), "stamped cases, and the functions of the suite");
}

/// The one bullet of `Outbox` has no name.
#[test]
fn outbox() {
    let stamped = encore_port_tests::outbox!(@names);
    assert_eq!(stamped.as_slice(), cases(include_str!("../src/outbox.rs")));
}
