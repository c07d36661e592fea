//! The audit reports each kind of damage under its promise and by its row, and reports nothing else. The damage is done
//! in SQL, because no port can do it.
#![expect(clippy::expect_used, reason = "tests")]

mod common;

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use encore_domain::audit::{FINDINGS_PER_PROMISE_MAX, Promise};
use encore_domain::booking::Reservation;
use encore_domain::catalog::SEATS_PER_FAN_MAX;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::payment::PaymentPlan;
use encore_domain::ports::{Audit, Catalog, Payments, RequestRecords, Reservations, Users, Wallets};
use encore_domain::request::ForgottenRequests;
use encore_domain::wallet::Transfer;
use encore_port_tests::fixtures::{self, at_secs, euros, hold, payment, request, start, top_up};
use encore_postgres_store::scratch::ScratchDatabase;
use encore_postgres_store::{
    Database, PostgresAudit, PostgresCatalog, PostgresPayments, PostgresRequestRecords, PostgresReservations,
    PostgresUsers, PostgresWallets,
};

/// A database in which seats S-A-1 and S-A-2 are sold, S-A-3 is held, a hold on S-A-4 was released, and one on S-A-5 expired.
struct Fixture {
    scratch: ScratchDatabase,
    audit: PostgresAudit,
    fan: UserId,
    other: UserId,
    performance: PerformanceId,
    other_performance: PerformanceId,
    paid: Reservation,
    held: Reservation,
    released: Reservation,
    expired: Reservation,
    plan: PaymentPlan,
    credit: Transfer,
}

async fn fixture() -> Fixture {
    let scratch = common::scratch().await;
    let database = Database::connect(&scratch.config()).await.expect("the scratch database accepts connections");
    let catalog = PostgresCatalog::new(database.clone());
    let reservations = PostgresReservations::new(database.clone());
    let users = PostgresUsers::new(database.clone());
    let (fan, other) = (fixtures::account(), fixtures::account());
    let (fan_id, other_id) = (fan.user.id, other.user.id);
    users.create(fan, None).await.expect("a fan");
    users.create(other, None).await.expect("another fan");
    let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
    catalog.add_venue(venue.clone(), None).await.expect("a venue");
    catalog.add_concert(concert.clone(), None).await.expect("a concert");
    let [sale, other_sale] = [(); 2].map(|()| fixtures::performance(concert.id, venue.id));
    for sale in [&sale, &other_sale] {
        catalog.add_performance(sale.clone(), None, None).await.expect("a performance");
    }
    let mut holds = [[0, 1].as_slice(), &[2], &[3], &[4]].map(|seats| hold(fan_id, &sale, seats));
    holds[3].expires_at = at_secs(1);
    for hold in &holds {
        reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, request(fan_id)).await.expect("placed");
    }
    let [paid, held, released, expired] = holds;
    reservations.release(released.id, start(), Some(request(fan_id))).await.expect("released");
    reservations.expire_due(at_secs(1), 10).await.expect("the database is available");
    let credit = top_up(fan_id, euros(100_000));
    PostgresWallets::new(database.clone()).top_up(credit.clone(), request(fan_id)).await.expect("topped up");
    let plan = payment(&paid, start());
    let payments = PostgresPayments::new(database.clone());
    payments.pay_from_wallet(plan.clone(), request(fan_id)).await.expect("paid");
    Fixture {
        scratch,
        audit: PostgresAudit::new(database),
        fan: fan_id,
        other: other_id,
        performance: sale.id,
        other_performance: other_sale.id,
        paid,
        held,
        released,
        expired,
        plan,
        credit,
    }
}

impl Fixture {
    async fn found(&self, scope: Option<PerformanceId>) -> Vec<(Promise, String)> {
        let report = self.audit.sweep(scope).await.expect("the database is available");
        report.findings().map(|finding| (finding.promise, finding.subject.clone())).collect()
    }

    /// Replaces the names in braces with ids of the fixture.
    fn filled(&self, text: &str) -> String {
        let wallet_entry = self.credit.wallet_entry.id.to_string();
        let names = [
            ("{fan}", self.fan.to_string()),
            ("{other}", self.other.to_string()),
            ("{performance}", self.performance.to_string()),
            ("{other performance}", self.other_performance.to_string()),
            ("{paid}", self.paid.id.to_string()),
            ("{held}", self.held.id.to_string()),
            ("{released}", self.released.id.to_string()),
            ("{expired}", self.expired.id.to_string()),
            ("{payment}", self.plan.payment.id.to_string()),
            ("{transfer}", self.plan.transfer.id.to_string()),
            ("{top-up}", self.credit.id.to_string()),
            ("{top-up entry}", wallet_entry),
            ("{new}", "00000000-0000-0000-0000-00000000beef".to_owned()),
            ("{newer}", "00000000-0000-0000-0000-0000feedbeef".to_owned()),
        ];
        names.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id))
    }
}

/// Which audits report a damage: that of its performance and that of everything, or only that of everything.
#[derive(Clone, Copy)]
enum Seen {
    InScope,
    OnlyUnscoped,
}

/// Damages a fixture in one transaction, and expects exactly these findings. Foreign keys are switched off with the
/// triggers; the damage itself drops the other constraints that prevent it.
async fn assert_reported(seen: Seen, damage: &str, expected: &[(Promise, &str)]) {
    let fixture = fixture().await;
    assert_eq!(fixture.found(None).await, [], "before the damage");
    let mut conn =
        AsyncPgConnection::establish(&fixture.scratch.url()).await.expect("the database accepts connections");
    let damage = fixture.filled(damage);
    let damage = format!("BEGIN; SET LOCAL session_replication_role = replica; {damage}; COMMIT");
    conn.batch_execute(&damage).await.expect("the damage is done");
    let mut expected: Vec<(Promise, String)> =
        expected.iter().map(|(promise, subject)| (*promise, fixture.filled(subject))).collect();
    expected.sort();
    assert_eq!(fixture.found(None).await, expected);
    let in_scope = match seen {
        Seen::InScope => expected,
        Seen::OnlyUnscoped => Vec::new(),
    };
    assert_eq!(fixture.found(Some(fixture.performance)).await, in_scope, "in the scope of its performance");
    assert_eq!(fixture.found(Some(fixture.other_performance)).await, [], "in the scope of another");
}

macro_rules! damage {
    ($($name:ident: $seen:ident, $damage:expr => [$($promise:ident $subject:expr),+ $(,)?];)+) => {$(
        #[tokio::test]
        async fn $name() {
            assert_reported(Seen::$seen, $damage, &[$((Promise::$promise, $subject)),+]).await;
        }
    )+};
}

const SOLD: &str = "performance {performance} seat S-A-1/slot 0";
const HELD: &str = "performance {performance} seat S-A-3/slot 2";
const RELEASED: &str = "performance {performance} seat S-A-4/slot 3";

damage! {
    a_seat_in_two_live_reservations: InScope,
        "INSERT INTO reservation_seats VALUES ('{held}', 0, 12000);
         UPDATE reservations SET total_minor = total_minor + 12000 WHERE id = '{held}'"
        => [DoubleSoldSeat SOLD];
    two_claims_on_a_seat: InScope,
        "ALTER TABLE claims DROP CONSTRAINT claims_pkey;
         INSERT INTO claims SELECT * FROM claims WHERE slot = 0"
        => [DoubleSoldSeat SOLD];
    a_sold_seat_without_a_claim: InScope,
        "DELETE FROM claims WHERE slot = 0" => [PaidWithoutSeat SOLD];
    a_confirmed_reservation_without_seats: InScope,
        "DELETE FROM claims WHERE reservation_id = '{paid}';
         DELETE FROM reservation_seats WHERE reservation_id = '{paid}'"
        => [PaidWithoutSeat "reservation {paid}", MoneyMadeOrLost "reservation {paid}"];
    a_payment_of_a_live_hold: InScope,
        "UPDATE reservations SET state = 'held', settled_at = NULL, payment_id = NULL WHERE id = '{paid}';
         DELETE FROM outbox WHERE event_id = 'booking.reservation_confirmed/{paid}'"
        => [PaidWithoutSeat "payment {payment}"];
    a_held_seat_without_a_claim: InScope,
        "DELETE FROM claims WHERE slot = 2" => [OrphanHold HELD];
    a_claim_of_a_released_reservation: InScope,
        "INSERT INTO claims VALUES ('{performance}', 3, '{released}', '{fan}')" => [OrphanHold RELEASED];
    a_claim_of_an_expired_reservation: InScope,
        "INSERT INTO claims VALUES ('{performance}', 900, '{expired}', '{fan}')"
        => [OrphanHold "performance {performance} slot 900"];
    a_claim_of_a_reservation_that_does_not_exist: InScope,
        "INSERT INTO claims VALUES ('{performance}', 3, '{new}', '{fan}')" => [OrphanHold RELEASED];
    a_claim_of_a_reservation_that_does_not_list_the_seat: InScope,
        "INSERT INTO claims VALUES ('{performance}', 3, '{paid}', '{fan}')" => [OrphanHold RELEASED];
    a_claim_of_a_block_that_does_not_exist: InScope,
        "INSERT INTO claims VALUES ('{performance}', 3, NULL, NULL, '{new}')" => [OrphanHold RELEASED];
    a_claim_of_a_block_that_does_not_list_the_seat: InScope,
        "INSERT INTO seat_blocks VALUES ('{new}', '{performance}', '{other}', 'House', '{5}', '2026-06-01T10:00:00Z');
         INSERT INTO outbox (event_id, kind, key, payload, created_at)
         VALUES ('booking.seats_blocked/{new}', 'booking.seats_blocked', '{performance}', '{}', '2026-06-01T10:00:00Z');
         INSERT INTO claims VALUES ('{performance}', 3, NULL, NULL, '{new}')"
        => [OrphanHold RELEASED];
    a_claim_of_a_fan_and_of_operators: InScope,
        "ALTER TABLE claims DROP CONSTRAINT claims_one_owner;
         UPDATE claims SET block_id = '{new}' WHERE slot = 2"
        => [OrphanHold HELD];
    an_unblock_without_its_event: InScope,
        "INSERT INTO seat_blocks VALUES ('{new}', '{performance}', '{other}', NULL, '{5}', '2026-06-01T10:00:00Z')"
        => [OutboxGap "event booking.seats_unblocked/{new}"];
    a_claim_for_another_fan: InScope,
        "UPDATE claims SET user_id = '{other}' WHERE slot = 2" => [OrphanHold HELD];
    a_claim_for_a_user_who_does_not_exist: InScope,
        "UPDATE claims SET user_id = '{new}' WHERE slot = 2;
         UPDATE requests SET user_id = '{new}' WHERE result_id = '{held}';
         UPDATE reservations SET user_id = '{new}' WHERE id = '{held}'"
        => [OrphanHold HELD];
    a_transfer_with_one_entry: InScope,
        "DELETE FROM ledger_entries WHERE transfer_id = '{transfer}' AND account_kind = 'sales'"
        => [MoneyMadeOrLost "transfer {transfer}"];
    a_transfer_with_three_entries: InScope,
        "INSERT INTO ledger_entries VALUES ('{new}', '{transfer}', 'sales', '{performance}', 0, NULL)"
        => [MoneyMadeOrLost "transfer {transfer}"];
    entries_that_do_not_sum_to_zero: InScope,
        "UPDATE ledger_entries SET amount_minor = amount_minor + 1
         WHERE transfer_id = '{transfer}' AND account_kind = 'sales'"
        => [MoneyMadeOrLost "transfer {transfer}"];
    an_entry_for_the_sales_of_another_performance: InScope,
        "UPDATE ledger_entries SET owner_id = '{other performance}'
         WHERE transfer_id = '{transfer}' AND account_kind = 'sales'"
        => [MoneyMadeOrLost "transfer {transfer}"];
    a_transfer_of_another_amount_than_its_entries: OnlyUnscoped,
        "UPDATE transfers SET amount_minor = amount_minor + 1 WHERE id = '{top-up}'"
        => [MoneyMadeOrLost "transfer {top-up}"];
    an_entry_without_a_transfer: OnlyUnscoped,
        "INSERT INTO ledger_entries VALUES ('{new}', '{newer}', 'gateway', NULL, 5, NULL)"
        => [MoneyMadeOrLost "ledger entry {new}"];
    a_payment_of_another_amount_than_its_reservation_and_transfer: InScope,
        "UPDATE payments SET amount_minor = amount_minor + 1"
        => [MoneyMadeOrLost "payment {payment}", MoneyMadeOrLost "payment {payment}"];
    a_payment_without_a_transfer: InScope,
        "DELETE FROM transfers WHERE id = '{transfer}'; DELETE FROM ledger_entries WHERE transfer_id = '{transfer}';
         UPDATE wallets SET balance_minor = 100000"
        => [MoneyMadeOrLost "payment {payment}"];
    a_transfer_of_a_payment_that_does_not_exist: OnlyUnscoped,
        "INSERT INTO transfers VALUES ('{new}', 'payment', '{fan}', 0, 'EUR', '{newer}', '2026-06-01T10:00:00Z');
         INSERT INTO ledger_entries VALUES
             ('{new}', '{new}', 'wallet', '{fan}', 0, 0), ('{newer}', '{new}', 'sales', '{performance}', 0, NULL)"
        => [MoneyMadeOrLost "transfer {new}", MoneyMadeOrLost "transfer {new}"];
    a_confirmed_reservation_without_its_payment: InScope,
        "UPDATE reservations SET payment_id = '{new}' WHERE id = '{paid}'"
        => [MoneyMadeOrLost "reservation {paid}"];
    a_cancelled_reservation_without_its_refund: InScope,
        "UPDATE reservations SET state = 'cancelled', cancelled_at = '2026-06-01T10:00:00Z' WHERE id = '{paid}';
         DELETE FROM claims WHERE reservation_id = '{paid}'"
        => [MoneyMadeOrLost "reservation {paid}"];
    a_card_that_was_charged_and_forgotten: InScope,
        "INSERT INTO card_payments VALUES
             ('{new}', '{fan}', '{held}', '{performance}', 12000, 'EUR', '2026-06-01T10:00:00Z', NULL, 0);
         INSERT INTO payment_attempts VALUES ('{newer}', '{new}', 0, 'card', '2026-06-01T10:00:00Z',
             '2026-06-01T10:00:00Z', '2026-06-01T10:00:00Z');
         INSERT INTO payment_events VALUES
             ('{newer}', 0, 'authorize', NULL, 'requested', NULL, '2026-06-01T10:00:00Z'),
             ('{newer}', 1, 'capture', NULL, 'succeeded', NULL, '2026-06-01T10:00:00Z');
         INSERT INTO requests VALUES
             ('{fan}', '{new}', 'pay_by_card', decode('01' || repeat('5a', 32), 'hex'), '{newer}', NULL, NULL)"
        => [MoneyMadeOrLost "payment {new}", OutboxGap "event payment.captured/{new}/1"];
    a_sale_by_card_that_was_never_charged: InScope,
        "INSERT INTO card_payments VALUES
             ('{new}', '{fan}', '{held}', '{performance}', 12000, 'EUR', '2026-06-01T10:00:00Z', NULL, 0);
         INSERT INTO payment_attempts VALUES ('{newer}', '{new}', 0, 'card', '2026-06-01T10:00:00Z',
             '2026-06-01T10:00:00Z', '2026-06-01T10:00:00Z');
         INSERT INTO payment_events VALUES
             ('{newer}', 0, 'confirm', NULL, 'succeeded', NULL, '2026-06-01T10:00:00Z');
         INSERT INTO requests VALUES
             ('{fan}', '{new}', 'pay_by_card', decode('01' || repeat('5a', 32), 'hex'), '{newer}', NULL, NULL)"
        => [MoneyMadeOrLost "payment {new}", MoneyMadeOrLost "payment {new}"];
    a_total_that_is_not_the_sum_of_prices: InScope,
        "UPDATE reservation_seats SET price_minor = price_minor - 1 WHERE reservation_id = '{released}'"
        => [MoneyMadeOrLost "reservation {released}"];
    a_balance_that_is_not_the_sum_of_the_entries: InScope,
        "UPDATE wallets SET balance_minor = balance_minor + 1" => [MoneyMadeOrLost "wallet of user {fan} in EUR"];
    entries_of_a_wallet_that_does_not_exist: InScope,
        "DELETE FROM wallets" => [MoneyMadeOrLost "wallet of user {fan} in EUR"];
    a_balance_without_entries: OnlyUnscoped,
        "INSERT INTO wallets VALUES ('{other}', 'USD', 1)" => [MoneyMadeOrLost "wallet of user {other} in USD"];
    a_negative_balance: InScope,
        "ALTER TABLE wallets DROP CONSTRAINT wallets_balance_minor_check;
         UPDATE wallets SET balance_minor = -1"
        => [NegativeWallet "wallet of user {fan} in EUR", MoneyMadeOrLost "wallet of user {fan} in EUR"];
    a_balance_that_was_negative: OnlyUnscoped,
        "ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_balance_after_minor_check;
         INSERT INTO wallets VALUES ('{other}', 'USD', 0);
         INSERT INTO transfers VALUES ('{newer}', 'top_up', '{other}', 0, 'USD', NULL, '2026-06-01T10:00:00Z');
         INSERT INTO ledger_entries VALUES
             ('{new}', '{newer}', 'wallet', '{other}', 0, -1),
             ('{newer}', '{newer}', 'gateway', NULL, 0, NULL);
         INSERT INTO requests VALUES
             ('{other}', '{new}', 'top_up', decode('01' || repeat('5a', 32), 'hex'), '{new}', NULL, NULL);
         INSERT INTO outbox (event_id, kind, key, payload, created_at)
         VALUES ('wallet.topped_up/{newer}', 'wallet.topped_up', '{other}', '{}', '2026-06-01T10:00:00Z')"
        => [NegativeWallet "ledger entry {new}"];
    a_reservation_without_a_request: InScope,
        "DELETE FROM requests WHERE result_id = '{held}'" => [RepeatedEffect "reservation {held}"];
    a_top_up_without_a_request: OnlyUnscoped,
        "DELETE FROM requests WHERE operation = 'top_up'" => [RepeatedEffect "top-up {top-up entry}"];
    a_payment_that_two_requests_made: InScope,
        "INSERT INTO requests
         SELECT user_id, '{new}', operation, fingerprint, result_id FROM requests WHERE operation = 'pay'"
        => [RepeatedEffect "payment {payment}"];
    a_request_without_its_result: OnlyUnscoped,
        "INSERT INTO requests VALUES
             ('{fan}', '{new}', 'place_hold', decode('01' || repeat('5a', 32), 'hex'), '{newer}', NULL, NULL)"
        => [RepeatedEffect "request {new} of user {fan}"];
    a_top_up_made_twice_by_one_request: OnlyUnscoped,
        "INSERT INTO transfers VALUES ('{newer}', 'top_up', '{fan}', 7, 'EUR', NULL, '2026-06-01T10:00:00Z');
         INSERT INTO ledger_entries VALUES
             ('{new}', '{newer}', 'wallet', '{fan}', 7, 7), ('{newer}', '{newer}', 'gateway', NULL, -7, NULL);
         UPDATE wallets SET balance_minor = balance_minor + 7;
         INSERT INTO outbox (event_id, kind, key, payload, created_at)
         VALUES ('wallet.topped_up/{newer}', 'wallet.topped_up', '{fan}', '{}', '2026-06-01T10:00:00Z')"
        => [RepeatedEffect "top-up {new}"];
    a_credit_that_no_operator_made: OnlyUnscoped,
        "INSERT INTO transfers VALUES ('{newer}', 'operator_credit', '{fan}', 7, 'EUR', NULL, '2026-06-01T10:00:00Z');
         INSERT INTO ledger_entries VALUES
             ('{new}', '{newer}', 'wallet', '{fan}', 7, 7), ('{newer}', '{newer}', 'operator', '{fan}', -7, NULL);
         UPDATE wallets SET balance_minor = balance_minor + 7;
         INSERT INTO outbox (event_id, kind, key, payload, created_at)
         VALUES ('wallet.topped_up/{newer}', 'wallet.topped_up', '{fan}', '{}', '2026-06-01T10:00:00Z')"
        => [MoneyMadeOrLost "transfer {newer}"];
    a_credit_made_twice_by_one_request: OnlyUnscoped,
        "INSERT INTO transfers VALUES ('{newer}', 'operator_credit', '{fan}', 7, 'EUR', NULL, '2026-06-01T10:00:00Z');
         INSERT INTO ledger_entries VALUES
             ('{new}', '{newer}', 'wallet', '{fan}', 7, 7), ('{newer}', '{newer}', 'operator', '{fan}', -7, NULL);
         INSERT INTO wallet_credits VALUES ('{newer}', '{fan}', 'twice');
         UPDATE wallets SET balance_minor = balance_minor + 7;
         INSERT INTO outbox (event_id, kind, key, payload, created_at)
         VALUES ('wallet.topped_up/{newer}', 'wallet.topped_up', '{fan}', '{}', '2026-06-01T10:00:00Z')"
        => [RepeatedEffect "credit {new}"];
    a_reservation_paid_twice: InScope,
        "ALTER TABLE payments DROP CONSTRAINT payments_once_per_reservation;
         INSERT INTO payments SELECT '{new}', reservation_id, user_id, performance_id, amount_minor, currency, paid_at
         FROM payments;
         INSERT INTO transfers SELECT '{new}', kind, user_id, amount_minor, currency, '{new}', made_at
         FROM transfers WHERE id = '{transfer}';
         INSERT INTO ledger_entries
         SELECT CASE account_kind WHEN 'sales' THEN '{new}' ELSE '{newer}' END::uuid, '{new}', account_kind, owner_id,
             amount_minor, balance_after_minor
         FROM ledger_entries WHERE transfer_id = '{transfer}';
         UPDATE wallets SET balance_minor = balance_minor - 24000;
         INSERT INTO requests VALUES
             ('{fan}', '{new}', 'pay', decode('01' || repeat('5a', 32), 'hex'), '{new}', NULL, NULL)"
        => [RepeatedEffect "reservation {paid}"];
    a_hold_without_its_request_since_older_ones_were_forgotten: InScope,
        "UPDATE requests_forgotten SET before = '2026-06-01T09:59:59Z'; DELETE FROM requests WHERE result_id = '{held}'"
        => [RepeatedEffect "reservation {held}"];
    a_hold_without_its_event: InScope,
        "DELETE FROM outbox WHERE event_id = 'booking.hold_placed/{held}'"
        => [OutboxGap "event booking.hold_placed/{held}"];
    an_event_that_is_missing_since_older_ones_were_forgotten: InScope,
        "INSERT INTO outbox_forgotten VALUES (true, '2026-06-01T09:59:59Z');
         DELETE FROM outbox WHERE event_id = 'booking.hold_placed/{held}'"
        => [OutboxGap "event booking.hold_placed/{held}"];
    a_change_of_a_hold_without_its_event: InScope,
        "UPDATE reservations SET revision = 1, placed = '{}' WHERE id = '{held}'"
        => [OutboxGap "event booking.hold_changed/{held}/1"];
    a_payment_without_its_event: InScope,
        "DELETE FROM outbox WHERE event_id = 'booking.reservation_confirmed/{paid}'"
        => [OutboxGap "event booking.reservation_confirmed/{paid}"];
    an_expiry_with_the_event_of_a_release: InScope,
        "UPDATE outbox SET kind = 'booking.hold_released', event_id = 'booking.hold_released/{expired}'
         WHERE event_id = 'booking.hold_expired/{expired}'"
        => [OutboxGap "event booking.hold_released/{expired}", OutboxGap "event booking.hold_expired/{expired}"];
    an_event_of_another_kind_than_its_id: InScope,
        "UPDATE outbox SET kind = 'booking.hold_expired' WHERE event_id = 'booking.hold_placed/{held}'"
        => [OutboxGap "event booking.hold_placed/{held}"];
    a_duplicate_of_another_kind_and_a_withdrawal_that_was_not_made: OnlyUnscoped,
        "INSERT INTO outbox (event_id, kind, key, payload, created_at)
         SELECT kind || '/{new}', kind, '{new}', '{}', '2026-06-01T10:00:00Z'
         FROM unnest(ARRAY['user.deleted', 'wallet.withdrawn', 'user.deleted']) AS kind"
        => [OutboxGap "event wallet.withdrawn/{new}", OutboxGap "event user.deleted/{new}"];
    a_top_up_without_its_event: OnlyUnscoped,
        "DELETE FROM outbox WHERE kind = 'wallet.topped_up'" => [OutboxGap "event wallet.topped_up/{top-up}"];
    an_event_without_a_change: OnlyUnscoped,
        "INSERT INTO outbox (event_id, kind, key, payload, created_at)
         VALUES ('booking.hold_placed/{new}', 'booking.hold_placed', '{newer}', '{}', '2026-06-01T10:00:00Z')"
        => [OutboxGap "event booking.hold_placed/{new}"];
    a_duplicate_event: InScope,
        "INSERT INTO outbox (event_id, kind, key, payload, created_at)
         SELECT event_id, kind, key, payload, created_at FROM outbox WHERE event_id = 'booking.hold_placed/{held}'"
        => [OutboxGap "event booking.hold_placed/{held}"];
    an_end_before_its_hold_in_the_outbox: InScope,
        "INSERT INTO outbox (event_id, kind, key, payload, created_at)
         SELECT event_id || '!', kind, key, payload, created_at FROM outbox
         WHERE event_id = 'booking.hold_placed/{released}';
         DELETE FROM outbox WHERE event_id = 'booking.hold_placed/{released}';
         UPDATE outbox SET event_id = 'booking.hold_placed/{released}'
         WHERE event_id = 'booking.hold_placed/{released}!'"
        => [OutboxGap "reservation {released}"];
    a_hold_long_past_its_deadline: InScope,
        "UPDATE reservations SET expires_at = '2026-06-01T09:58:59.999Z' WHERE id = '{held}'"
        => [OverdueHold "reservation {held}"];
}

#[tokio::test]
async fn a_claim_of_a_reservation_of_another_performance() {
    let fixture = fixture().await;
    let mut conn =
        AsyncPgConnection::establish(&fixture.scratch.url()).await.expect("the database accepts connections");
    let damage = "INSERT INTO claims VALUES ('{other performance}', 0, '{paid}', '{fan}')";
    conn.batch_execute(&fixture.filled(damage)).await.expect("the damage is done");
    let expected = [(Promise::OrphanHold, fixture.filled("performance {other performance} seat S-A-1/slot 0"))];
    assert_eq!(fixture.found(None).await, expected);
    assert_eq!(fixture.found(Some(fixture.other_performance)).await, expected);
    assert_eq!(fixture.found(Some(fixture.performance)).await, []);
}

#[tokio::test]
async fn a_request_without_its_hold_is_not_forgotten() {
    let fixture = fixture().await;
    let mut conn =
        AsyncPgConnection::establish(&fixture.scratch.url()).await.expect("the database accepts connections");
    let damage = "INSERT INTO requests VALUES ('{fan}', '{new}', 'place_hold', decode('01' || repeat('5a', 32), 'hex'), '{newer}', NULL,
        '2026-06-01T09:00:00Z')";
    conn.batch_execute(&fixture.filled(damage)).await.expect("the damage is done");
    let database = Database::connect(&fixture.scratch.config()).await.expect("the database accepts connections");
    let requests = PostgresRequestRecords::new(database);
    let step = requests.forget(at_secs(100), 100).await.expect("the database is available");
    assert_eq!(step, ForgottenRequests { forgotten: 5, kept: 1 }, "four holds, and a release");
    let expected = [(Promise::RepeatedEffect, fixture.filled("request {new} of user {fan}"))];
    assert_eq!(fixture.found(None).await, expected);
    let step = requests.forget(at_secs(100), 100).await.expect("the database is available");
    assert_eq!(step, ForgottenRequests::default(), "it is behind");
}

#[tokio::test]
async fn findings_beyond_the_limit_are_counted() {
    let fixture = fixture().await;
    let mut conn =
        AsyncPgConnection::establish(&fixture.scratch.url()).await.expect("the database accepts connections");
    let damage = "INSERT INTO outbox (event_id, kind, key, payload, created_at)
        SELECT 'booking.hold_placed/' || number, 'booking.hold_placed', '{performance}', '{}', '2026-06-01T10:00:00Z'
        FROM generate_series(1, 250) AS number";
    conn.batch_execute(&fixture.filled(damage)).await.expect("the damage is done");
    let report = fixture.audit.sweep(None).await.expect("the database is available");
    let gaps = report.of(Promise::OutboxGap).expect("the promise was examined");
    assert_eq!((gaps.broken, gaps.findings.len()), (250, FINDINGS_PER_PROMISE_MAX));
}

/// A sweep runs on a live system. It takes no lock that blocks others.
#[tokio::test]
async fn a_sweep_is_not_blocked_by_writers() {
    let fixture = fixture().await;
    let mut conn =
        AsyncPgConnection::establish(&fixture.scratch.url()).await.expect("the database accepts connections");
    let uncommitted = "BEGIN; UPDATE wallets SET balance_minor = balance_minor + 1; DELETE FROM claims";
    conn.batch_execute(uncommitted).await.expect("the damage is done");
    assert_eq!(fixture.found(None).await, []);
    conn.batch_execute("ROLLBACK").await.expect("the damage is rolled back");
}
