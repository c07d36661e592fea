use futures::try_join;
use tokio_postgres::{Client, Error, Statement};

const COMMIT_ROW: &str = "INSERT INTO commits (id) VALUES ($1)";

const LOCK_SEATS: &str = "\
    SELECT state = 'free' FROM seats WHERE performance_id = $1 AND slot = ANY ($2) ORDER BY slot FOR UPDATE";
const HOLD_SEATS: &str = "\
    UPDATE seats SET state = 'held', reservation_id = $3 WHERE performance_id = $1 AND slot = ANY ($2)";
const RESERVE: &str = "\
    INSERT INTO reservations (id, user_id, performance_id, total_minor, state, held_at, expires_at)
    VALUES ($1, $2, $3, $4, 'held', now(), now() + interval '10 minutes')";
const RESERVE_SEATS: &str = "\
    INSERT INTO reservation_seats (reservation_id, slot, price_minor)
    SELECT $1, slot, $3 FROM unnest($2::integer[]) AS slot";

const READ_SEATS: &str = "\
    SELECT state = 'free', version FROM seats WHERE performance_id = $1 AND slot = ANY ($2) ORDER BY slot";
const HOLD_SEEN_SEATS: &str = "\
    UPDATE seats SET state = 'held', reservation_id = $3, version = seats.version + 1
    FROM unnest($2::integer[], $4::integer[]) AS seen (slot, version)
    WHERE performance_id = $1 AND seats.slot = seen.slot AND seats.version = seen.version AND state = 'free'
    RETURNING seats.slot";

const LOCK_RESERVATION: &str = "\
    SELECT state = 'held' AND expires_at > now(), performance_id, total_minor FROM reservations WHERE id = $1 FOR UPDATE";
const LOCK_WALLET: &str = "SELECT balance_minor FROM wallets WHERE user_id = $1 FOR UPDATE";
const DEBIT: &str = "UPDATE wallets SET balance_minor = $2 WHERE user_id = $1";
const CONFIRM: &str = "UPDATE reservations SET state = 'confirmed' WHERE id = $1";
const SELL_SEATS: &str = "\
    UPDATE seats SET state = 'sold' FROM reservation_seats
    WHERE reservation_seats.reservation_id = $2 AND seats.performance_id = $1 AND seats.slot = reservation_seats.slot";
const PAY: &str = "\
    INSERT INTO payments (id, reservation_id, user_id, amount_minor, paid_at) VALUES ($1, $2, $3, $4, now())";
const ENTER: &str = "\
    INSERT INTO ledger_entries (payment_id, account_kind, owner_id, amount_minor, balance_after_minor)
    VALUES ($1, 'wallet', $2, -$4::bigint, $5), ($1, 'sales', $3, $4, NULL)";

const READ_RESERVATION: &str = "\
    SELECT state = 'held' AND expires_at > now(), performance_id, total_minor, version FROM reservations WHERE id = $1";
const READ_WALLET: &str = "SELECT balance_minor, version FROM wallets WHERE user_id = $1";
const DEBIT_SEEN: &str = "\
    UPDATE wallets SET balance_minor = $2, version = version + 1 WHERE user_id = $1 AND version = $3 RETURNING version";
const CONFIRM_SEEN: &str = "\
    UPDATE reservations SET state = 'confirmed', version = version + 1 WHERE id = $1 AND version = $2 RETURNING version";

/// All statements, prepared on one connection.
pub(super) struct Statements {
    pub(super) commit_row: Statement,
    pub(super) lock_seats: Statement,
    pub(super) hold_seats: Statement,
    pub(super) reserve: Statement,
    pub(super) reserve_seats: Statement,
    pub(super) lock_reservation: Statement,
    pub(super) lock_wallet: Statement,
    pub(super) debit: Statement,
    pub(super) confirm: Statement,
    pub(super) sell_seats: Statement,
    pub(super) pay: Statement,
    pub(super) enter: Statement,
    pub(super) read_seats: Statement,
    pub(super) hold_seen_seats: Statement,
    pub(super) read_reservation: Statement,
    pub(super) read_wallet: Statement,
    pub(super) debit_seen: Statement,
    pub(super) confirm_seen: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let (commit_row, lock_seats, hold_seats, reserve, reserve_seats) = try_join!(
            client.prepare(COMMIT_ROW),
            client.prepare(LOCK_SEATS),
            client.prepare(HOLD_SEATS),
            client.prepare(RESERVE),
            client.prepare(RESERVE_SEATS),
        )?;
        let (lock_reservation, lock_wallet, debit, confirm, sell_seats, pay, enter) = try_join!(
            client.prepare(LOCK_RESERVATION),
            client.prepare(LOCK_WALLET),
            client.prepare(DEBIT),
            client.prepare(CONFIRM),
            client.prepare(SELL_SEATS),
            client.prepare(PAY),
            client.prepare(ENTER),
        )?;
        let (read_seats, hold_seen_seats, read_reservation, read_wallet, debit_seen, confirm_seen) = try_join!(
            client.prepare(READ_SEATS),
            client.prepare(HOLD_SEEN_SEATS),
            client.prepare(READ_RESERVATION),
            client.prepare(READ_WALLET),
            client.prepare(DEBIT_SEEN),
            client.prepare(CONFIRM_SEEN),
        )?;
        Ok(Self {
            commit_row,
            lock_seats,
            hold_seats,
            reserve,
            reserve_seats,
            lock_reservation,
            lock_wallet,
            debit,
            confirm,
            sell_seats,
            pay,
            enter,
            read_seats,
            hold_seen_seats,
            read_reservation,
            read_wallet,
            debit_seen,
            confirm_seen,
        })
    }
}
